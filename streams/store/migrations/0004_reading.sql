-- Reading: recount, history, weeks and upper levels, all derived in SQL.

CREATE FUNCTION recount(known_at timestamptz DEFAULT 'infinity')
    RETURNS TABLE (signal text, region text, stratum text, hour timestamptz, value numeric)
    LANGUAGE sql STABLE
AS $$
    WITH zone AS (SELECT i.value AS name FROM installation i WHERE i.key = 'time_zone'),
    latest AS (
        SELECT DISTINCT ON (e.event_key) e.event_key, e.cancelled, e.occurred_at, e.series, e.amounts
        FROM events e
        WHERE e.recorded_at <= known_at
        ORDER BY e.event_key, e.revision DESC
    ), counted AS (
        SELECT c.series_id, date_trunc('hour', l.occurred_at, zone.name) AS hour, sum(c.amount) AS value
        FROM latest l, zone, unnest(l.series, l.amounts) AS c(series_id, amount)
        WHERE NOT l.cancelled
        GROUP BY 1, 2
    )
    SELECT s.signal, s.region, s.stratum, c.hour, c.value
    FROM counted c JOIN series s USING (series_id)
$$;
COMMENT ON FUNCTION recount IS 'Hourly counts from the stored events alone, as they were known at a time';

CREATE FUNCTION counts_as_of(known_at timestamptz)
    RETURNS TABLE (signal text, region text, stratum text, hour timestamptz, value numeric)
    LANGUAGE sql STABLE
AS $$
    WITH known AS (
        SELECT h.series_id, h.hour, sum(h.change) AS value
        FROM count_history h
        WHERE h.recorded_at <= known_at
        GROUP BY 1, 2
        HAVING sum(h.change) <> 0
    )
    SELECT s.signal, s.region, s.stratum, k.hour, k.value
    FROM known k JOIN series s USING (series_id)
$$;
COMMENT ON FUNCTION counts_as_of IS 'Hourly counts as they were known at a time, from the history of changes';

-- What was imported for a region and period takes the place of live counts there.
CREATE VIEW counts_by_day AS
    SELECT signal, region, stratum, period AS day, value, true AS imported
    FROM imported_counts
    WHERE grain = 'day'
UNION ALL
    SELECT d.signal, d.region, d.stratum, d.day, d.value, false
    FROM counts_daily d
    WHERE NOT EXISTS (
        SELECT FROM imported_counts i
        WHERE i.signal = d.signal AND i.region = d.region AND i.grain = 'day' AND i.period = d.day);

CREATE VIEW counts_by_week AS
    SELECT signal, region, stratum, period AS week, value
    FROM imported_counts
    WHERE grain = 'week'
UNION ALL
    SELECT c.signal, c.region, c.stratum, epi_week(c.day), sum(c.value)
    FROM counts_by_day c
    WHERE NOT EXISTS (
        SELECT FROM imported_counts i
        WHERE i.signal = c.signal AND i.region = c.region AND i.grain = 'week'
          AND i.period = epi_week(c.day))
    GROUP BY 1, 2, 3, 4;

CREATE VIEW level_counts_by_day AS
    SELECT c.signal, a.level, a.ancestor AS region, c.stratum, c.day, sum(c.value) AS value
    FROM counts_by_day c JOIN region_ancestors a ON a.region = c.region
    GROUP BY 1, 2, 3, 4, 5;

CREATE VIEW level_counts_by_week AS
    SELECT c.signal, a.level, a.ancestor AS region, c.stratum, c.week, sum(c.value) AS value
    FROM counts_by_week c JOIN region_ancestors a ON a.region = c.region
    GROUP BY 1, 2, 3, 4, 5;
