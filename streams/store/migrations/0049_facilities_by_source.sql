-- Facilities by source and identifier: two sources may use the same identifier for different
-- facilities. Counts and days are built again from the events, which hold both. Days whose events
-- retention has deleted keep their rows, with an empty source.

SELECT hold_lock('facilities');
-- No batch is stored while the tables are built.
LOCK TABLE pending_facilities IN SHARE ROW EXCLUSIVE MODE;
DO $$
BEGIN
    WHILE roll_up_facilities(1000) > 0 LOOP
    END LOOP;
END
$$;

ALTER TABLE pending_corrections ADD COLUMN source_id text NOT NULL DEFAULT '';
ALTER TABLE pending_corrections ALTER COLUMN source_id DROP DEFAULT;

-- Other tables in place of the old ones: the keys of compressed hypertables cannot be changed.
-- `fenghuo db migrate` makes them hypertables.
CREATE TABLE facility_counts_by_source (
    region      text COLLATE "C" NOT NULL,
    signal      text COLLATE "C" NOT NULL,
    day         date             NOT NULL,
    facility_id text COLLATE "C" NOT NULL,
    source_id   text COLLATE "C" NOT NULL,
    value       numeric          NOT NULL
) WITH (fillfactor = 80);
CREATE TABLE facility_days_by_source (
    region      text COLLATE "C" NOT NULL,
    kind        text COLLATE "C" NOT NULL,
    day         date             NOT NULL,
    facility_id text COLLATE "C" NOT NULL,
    source_id   text COLLATE "C" NOT NULL
);

INSERT INTO facility_counts_by_source (region, signal, day, facility_id, source_id, value)
SELECT s.region, s.signal, c.day, c.facility_id, c.source_id, sum(c.amount)
FROM (
    SELECT (e.occurred_at AT TIME ZONE k.zone)::date AS day, e.facility_id, e.source_id,
           unnest(e.series) AS series_id, unnest(e.amounts) AS amount
    FROM clock k, events e
    JOIN event_heads h
      ON h.event_key = e.event_key AND h.kind = e.kind AND h.revision = e.revision
    WHERE NOT e.cancelled
) c
JOIN series s USING (series_id)
GROUP BY 1, 2, 3, 4, 5
HAVING sum(c.amount) <> 0;

INSERT INTO facility_days_by_source (region, kind, day, facility_id, source_id)
SELECT DISTINCT e.region, e.kind, (e.occurred_at AT TIME ZONE k.zone)::date, e.facility_id,
       e.source_id
FROM clock k, events e;

-- Retention may have deleted some of the events of their first day, and those before it. A late
-- event may have come after older ones were deleted: `kept_since` is the later limit then.
INSERT INTO facility_counts_by_source (region, signal, day, facility_id, source_id, value)
SELECT f.region, f.signal, f.day, f.facility_id, '', f.value - coalesce(n.value, 0)
FROM facility_counts f
CROSS JOIN (
    SELECT CASE WHEN count(*) > 0
                THEN (greatest(min(e.occurred_at), kept_since())
                      AT TIME ZONE (SELECT k.zone FROM clock k))::date END AS first
    FROM events e
) e
LEFT JOIN (
    SELECT b.region, b.signal, b.day, b.facility_id, sum(b.value) AS value
    FROM facility_counts_by_source b
    GROUP BY 1, 2, 3, 4
) n ON n.region = f.region AND n.signal = f.signal AND n.day = f.day
   AND n.facility_id = f.facility_id
WHERE (e.first IS NULL OR f.day <= e.first) AND f.value > coalesce(n.value, 0);

INSERT INTO facility_days_by_source (region, kind, day, facility_id, source_id)
SELECT f.region, f.kind, f.day, f.facility_id, ''
FROM facility_days f
CROSS JOIN (
    SELECT CASE WHEN count(*) > 0
                THEN (greatest(min(e.occurred_at), kept_since())
                      AT TIME ZONE (SELECT k.zone FROM clock k))::date END AS first
    FROM events e
) e
WHERE (e.first IS NULL OR f.day <= e.first)
  AND NOT EXISTS (
      SELECT FROM facility_days_by_source b
      WHERE b.region = f.region AND b.kind = f.kind AND b.day = f.day
        AND b.facility_id = f.facility_id);

DROP TABLE facility_counts, facility_days;
ALTER TABLE facility_counts_by_source RENAME TO facility_counts;
ALTER TABLE facility_days_by_source RENAME TO facility_days;
ALTER TABLE facility_counts ADD PRIMARY KEY (region, signal, day, facility_id, source_id);
ALTER TABLE facility_days ADD PRIMARY KEY (region, kind, day, facility_id, source_id);
ANALYZE facility_counts, facility_days;
COMMENT ON TABLE facility_counts IS
    'Daily counts by facility, rolled up from events by roll_up_facilities';
COMMENT ON TABLE facility_days IS 'Days of which a facility has sent at least one event of a kind';
COMMENT ON COLUMN facility_counts.source_id IS
    'Empty: unknown, counted before migration 0049 from events that retention has deleted';
COMMENT ON COLUMN facility_days.source_id IS 'Empty: unknown, as in facility_counts';

-- 0: no limit. On plain PostgreSQL the setting has no effect.
SET LOCAL timescaledb.max_tuples_decompressed_per_dml_transaction = 0;
UPDATE facility_reports r
SET facilities = n.facilities
FROM (
    SELECT a.ancestor, d.kind, d.day, count(*)::int AS facilities
    FROM facility_days d JOIN region_ancestors a ON a.region = d.region
    GROUP BY 1, 2, 3
) n
WHERE r.region = n.ancestor AND r.kind = n.kind AND r.day = n.day
  AND r.facilities <> n.facilities;

CREATE OR REPLACE FUNCTION roll_up_facilities(most int) RETURNS int
    LANGUAGE plpgsql
    SET TimeZone = 'UTC'
AS $$
DECLARE
    taken bigint[];
    since timestamptz;
    until timestamptz;
BEGIN
    PERFORM set_config('TimeZone', i.value, true) FROM installation i WHERE i.key = 'time_zone';
    -- One roll-up at a time: an explanation then reads all batches of another one or none.
    PERFORM hold_lock('facilities');
    WITH gone AS (
        DELETE FROM pending_facilities p
        WHERE p.ctid = ANY(ARRAY(SELECT q.ctid FROM pending_facilities q LIMIT most))
        RETURNING p.batch_id, p.first_at, p.last_at
    )
    SELECT array_agg(g.batch_id), min(g.first_at), max(g.last_at) INTO taken, since, until
    FROM gone g;
    IF taken IS NULL THEN
        RETURN 0;
    END IF;

    WITH gone AS (
        DELETE FROM pending_corrections p WHERE p.batch_id = ANY(taken)
        RETURNING p.occurred_at, p.facility_id, p.source_id, p.series, p.amounts
    ), version AS MATERIALIZED (
        SELECT e.kind, e.region, e.occurred_at::date AS day, e.facility_id, e.source_id,
               e.cancelled, e.series, e.amounts
        FROM events e
        WHERE e.batch_id = ANY(taken) AND e.occurred_at BETWEEN since AND until
    ), sent AS MATERIALIZED (
        SELECT DISTINCT region, kind, day, facility_id, source_id FROM version
    ), reported AS (
        INSERT INTO facility_days (region, kind, day, facility_id, source_id)
        SELECT region, kind, day, facility_id, source_id FROM sent
        ORDER BY 1, 2, 3, 4, 5
        ON CONFLICT DO NOTHING
        RETURNING region, kind, day
    ), reports AS MATERIALIZED (
        SELECT a.ancestor, r.kind, r.day, count(*) AS facilities
        FROM reported r JOIN region_ancestors a ON a.region = r.region
        GROUP BY 1, 2, 3
    ), told AS (
        INSERT INTO facility_reports AS f (region, kind, day, facilities)
        SELECT ancestor, kind, day, facilities FROM reports
        ORDER BY 1, 2, 3
        ON CONFLICT (region, kind, day)
        DO UPDATE SET facilities = f.facilities + EXCLUDED.facilities
    ), counted AS (
        SELECT day, facility_id, source_id, unnest(series) AS series_id, unnest(amounts) AS amount
        FROM version
        WHERE NOT cancelled
        UNION ALL
        SELECT occurred_at::date, facility_id, source_id, unnest(series), -unnest(amounts)
        FROM gone
    ), change AS MATERIALIZED (
        SELECT s.region, s.signal, c.day, c.facility_id, c.source_id, sum(c.amount) AS change
        FROM counted c JOIN series s USING (series_id)
        GROUP BY 1, 2, 3, 4, 5
        HAVING sum(c.amount) <> 0
    )
    INSERT INTO facility_counts AS f (region, signal, day, facility_id, source_id, value)
    SELECT region, signal, day, facility_id, source_id, change FROM change
    ORDER BY 1, 2, 3, 4, 5
    ON CONFLICT (region, signal, day, facility_id, source_id)
    DO UPDATE SET value = f.value + EXCLUDED.value;

    RETURN cardinality(taken);
END
$$;

-- The other functions that name facilities, whatever their latest definition: pairs of old and new.
CREATE FUNCTION pg_temp.replace_in(in_function text, in_pairs text[]) RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    statement text := pg_get_functiondef(in_function::regproc);
    pair      text[];
BEGIN
    FOREACH pair SLICE 1 IN ARRAY in_pairs LOOP
        IF strpos(statement, pair[1]) = 0 THEN
            RAISE EXCEPTION '% lacks the text: %', in_function, pair[1];
        END IF;
        statement := replace(statement, pair[1], pair[2]);
    END LOOP;
    EXECUTE statement;
END
$$;

-- The source is part of the event's key: a replaced version has that of the new one.
SELECT pg_temp.replace_in('take_in', ARRAY[[
    'INTO pending_corrections (batch_id, occurred_at, facility_id, series, amounts)
        SELECT batch, k.occurred_at, k.facility_id, k.series, k.amounts
        FROM known k
',
    'INTO pending_corrections
            (batch_id, occurred_at, facility_id, source_id, series, amounts)
        SELECT batch, k.occurred_at, k.facility_id, i.source_id, k.series, k.amounts
        FROM known k
        JOIN incoming i USING (ord)
']]);

SELECT pg_temp.replace_in('screen_facilities', ARRAY[
    ['SELECT f.region, f.facility_id,', 'SELECT f.region, f.facility_id, f.source_id,'],
    ['GROUP BY f.region, f.facility_id,', 'GROUP BY f.region, f.facility_id, f.source_id,'],
    ['DESC, f.facility_id
', 'DESC, f.facility_id, f.source_id
'],
    ['g.name_zh, f.facility_id,', 'g.name_zh,
           CASE WHEN f.source_id <> '''' AND min(f.source_id) OVER (PARTITION BY f.facility_id)
                    <> max(f.source_id) OVER (PARTITION BY f.facility_id)
               THEN f.source_id || ''/'' || f.facility_id ELSE f.facility_id END,']]);
DROP FUNCTION pg_temp.replace_in;
