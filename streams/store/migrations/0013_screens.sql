-- What screens show fast at national size: sums that are kept soon after the commit, so that no
-- query adds up thousands of regions; and what the configuration calls things.

-- Written from the configuration by `fenghuo db migrate` and by each worker when it starts.
CREATE TABLE signals (
    signal   text PRIMARY KEY,
    place    int  NOT NULL,
    title_en text NOT NULL,
    title_zh text NOT NULL,
    kind     text NOT NULL,
    measure  text NOT NULL
);
COMMENT ON TABLE signals IS 'The signals of the configuration, for those who read the database only';

CREATE TABLE rules (
    rule      text PRIMARY KEY,
    place     int  NOT NULL,
    signal    text NOT NULL,
    level     text NOT NULL,
    grain     text NOT NULL,
    severity  text NOT NULL,
    detector  text NOT NULL,
    min_cases double precision NOT NULL
);
COMMENT ON TABLE rules IS 'The rules of the configuration, for those who read the database only';

-- Where people find what is not on the screen.
CREATE TABLE links (
    name text PRIMARY KEY,
    url  text NOT NULL
);
COMMENT ON TABLE links IS 'page: public address of the triage page';

-- level_counts_by_day and level_counts_by_week without the regions' own counts: what lies below.
CREATE TABLE level_counts (
    region  text COLLATE "C" NOT NULL,
    signal  text COLLATE "C" NOT NULL,
    grain   text COLLATE "C" NOT NULL CHECK (grain IN ('day', 'week')),
    period  date             NOT NULL,
    stratum text COLLATE "C" NOT NULL,
    value   numeric          NOT NULL,
    PRIMARY KEY (region, signal, grain, period, stratum)
) WITH (fillfactor = 80);
COMMENT ON TABLE level_counts IS
    'Sums of the regions below a region, rolled up by roll_up_batches; imports take the place of live counts';

-- Facilities that have reported, of a region and all below it. A facility counts in each region
-- whose events it sends.
CREATE TABLE facility_reports (
    region     text COLLATE "C" NOT NULL,
    kind       text COLLATE "C" NOT NULL,
    day        date             NOT NULL,
    facilities int              NOT NULL,
    PRIMARY KEY (region, kind, day)
) WITH (fillfactor = 80);
COMMENT ON TABLE facility_reports IS 'Number of rows of facility_days, by level';

-- How late counts come in: by the day on which they came, and by hours since they happened.
CREATE TABLE arrivals (
    day    date             NOT NULL,
    signal text COLLATE "C" NOT NULL,
    within int              NOT NULL,
    value  numeric          NOT NULL,
    PRIMARY KEY (day, signal, within)
) WITH (fillfactor = 70);
COMMENT ON COLUMN arrivals.within IS 'Hours: 1, 3, 6, 12, 24, 48, 72, 168, 336, 720, or 0 for later still';

-- By hour for good, by minute for a month.
CREATE TABLE intake_hours (
    hour     timestamptz      NOT NULL,
    topic    text COLLATE "C" NOT NULL,
    batches  int    NOT NULL,
    records  bigint NOT NULL,
    inserted bigint NOT NULL,
    replaced bigint NOT NULL,
    repeated bigint NOT NULL,
    refused  bigint NOT NULL,
    seconds  double precision NOT NULL,
    slowest  double precision NOT NULL,
    PRIMARY KEY (hour, topic)
) WITH (fillfactor = 70);
COMMENT ON COLUMN intake_hours.seconds IS 'From the arrival of each batch to its commit, added up';
CREATE TABLE intake_minutes (LIKE intake_hours INCLUDING ALL);
ALTER TABLE intake_minutes RENAME COLUMN hour TO minute;
COMMENT ON TABLE intake_minutes IS 'Kept for 30 days';

CREATE TABLE sources (
    source_id      text COLLATE "C" NOT NULL,
    topic          text COLLATE "C" NOT NULL,
    first_received timestamptz NOT NULL,
    last_received  timestamptz NOT NULL,
    last_event     timestamptz,
    days           int         NOT NULL,
    PRIMARY KEY (source_id, topic)
) WITH (fillfactor = 70);
COMMENT ON COLUMN sources.days IS 'Number of days on which it sent anything';

CREATE TABLE source_days (
    day       date             NOT NULL,
    source_id text COLLATE "C" NOT NULL,
    topic     text COLLATE "C" NOT NULL,
    accepted  bigint NOT NULL,
    refused   bigint NOT NULL,
    PRIMARY KEY (day, source_id, topic)
) WITH (fillfactor = 70);
COMMENT ON TABLE source_days IS 'Records by local day of their arrival';

-- How long judging takes, by ten minutes: reading the counts and running the detector.
CREATE TABLE judging_runs (
    since   timestamptz      NOT NULL,
    rule    text COLLATE "C" NOT NULL,
    runs    int    NOT NULL,
    periods bigint NOT NULL,
    seconds double precision NOT NULL,
    slowest double precision NOT NULL,
    last_at timestamptz NOT NULL,
    PRIMARY KEY (since, rule)
) WITH (fillfactor = 70);
COMMENT ON TABLE judging_runs IS 'Kept for 90 days';
COMMENT ON COLUMN judging_runs.rule IS '*: a look at the queue with all its rules';
COMMENT ON COLUMN judging_runs.periods IS 'Verdicts; of *, rows that were taken from the queue';

-- How far the logs reached when a worker last looked: what is not read yet is the lag.
CREATE TABLE log_ends (
    log        text   NOT NULL,
    topic      text   NOT NULL,
    partition  int    NOT NULL,
    end_offset bigint NOT NULL,
    seen_at    timestamptz NOT NULL,
    PRIMARY KEY (log, topic, partition)
);

-- Batches that wait for the roll-up, written with the batch.
CREATE TABLE pending_roll_ups (
    batch_id    bigint      NOT NULL,
    recorded_at timestamptz NOT NULL
);

CREATE INDEX dead_letters_refused_at ON dead_letters (refused_at);
CREATE INDEX batch_sources_recorded_at ON batch_sources USING brin (recorded_at);

-- As before, and every batch is noted for the other roll-up.
CREATE OR REPLACE FUNCTION note_facilities(batch bigint) RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
    INSERT INTO pending_roll_ups (batch_id, recorded_at)
    SELECT b.batch_id, b.recorded_at FROM batches b WHERE b.batch_id = batch;

    INSERT INTO pending_facilities (batch_id, first_at, last_at)
    SELECT batch, min(i.occurred_at), max(i.occurred_at)
    FROM incoming i
    WHERE batch IS NOT NULL
    HAVING count(*) > 0;
    IF NOT FOUND THEN
        RETURN;
    END IF;

    -- A head does not tell the facility of the version that is replaced; the stored version does.
    INSERT INTO pending_corrections (batch_id, occurred_at, facility_id, series, amounts)
    SELECT batch, k.occurred_at, e.facility_id, k.series, k.amounts
    FROM known k
    JOIN incoming i USING (ord)
    CROSS JOIN LATERAL (
        SELECT v.facility_id FROM events v
        WHERE v.occurred_at = k.occurred_at AND v.event_key = i.event_key
          AND v.revision < i.revision
        ORDER BY v.revision DESC
        LIMIT 1
    ) e
    WHERE k.outcome = 'replace' AND NOT k.cancelled;
END
$$;
COMMENT ON FUNCTION note_facilities IS
    'Has a batch rolled up by facility and by level; does nothing where the batch is null';

-- As before, and the facilities that reported are counted by level.
CREATE OR REPLACE FUNCTION roll_up_facilities(most int) RETURNS int
    LANGUAGE plpgsql
AS $$
DECLARE
    zone  text := (SELECT i.value FROM installation i WHERE i.key = 'time_zone');
    taken bigint[];
    since timestamptz;
    until timestamptz;
BEGIN
    -- One at a time: whoever explains next finds the whole, not all but what another one is at.
    PERFORM pg_advisory_xact_lock(5103481003);
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
        RETURNING p.occurred_at, p.facility_id, p.series, p.amounts
    ), version AS MATERIALIZED (
        SELECT e.kind, e.region, (e.occurred_at AT TIME ZONE zone)::date AS day, e.facility_id,
               CASE WHEN e.cancelled THEN '{}' ELSE e.series END AS series, e.amounts
        FROM events e
        WHERE e.batch_id = ANY(taken) AND e.occurred_at BETWEEN since AND until
    ), reported AS (
        INSERT INTO facility_days (region, kind, day, facility_id)
        SELECT DISTINCT region, kind, day, facility_id FROM version
        ORDER BY 1, 2, 3, 4
        ON CONFLICT DO NOTHING
        RETURNING region, kind, day
    ), reports AS (
        INSERT INTO facility_reports AS f (region, kind, day, facilities)
        SELECT a.ancestor, r.kind, r.day, count(*)
        FROM reported r JOIN region_ancestors a ON a.region = r.region
        GROUP BY 1, 2, 3
        ORDER BY 1, 2, 3
        ON CONFLICT (region, kind, day)
        DO UPDATE SET facilities = f.facilities + EXCLUDED.facilities
    ), counted AS (
        SELECT day, facility_id, unnest(series) AS series_id,
               unnest(CASE WHEN series = '{}' THEN '{}' ELSE amounts END) AS amount
        FROM version
        UNION ALL
        SELECT (occurred_at AT TIME ZONE zone)::date, facility_id, unnest(series),
               -unnest(amounts)
        FROM gone
    ), by_series AS (
        SELECT series_id, day, facility_id, sum(amount) AS change
        FROM counted
        GROUP BY 1, 2, 3
    )
    INSERT INTO facility_counts AS f (region, signal, day, facility_id, value)
    SELECT s.region, s.signal, c.day, c.facility_id, sum(c.change)
    FROM by_series c JOIN series s USING (series_id)
    GROUP BY 1, 2, 3, 4
    HAVING sum(c.change) <> 0
    ORDER BY 1, 2, 3, 4
    ON CONFLICT (region, signal, day, facility_id) DO UPDATE SET value = f.value + EXCLUDED.value;

    RETURN cardinality(taken);
END
$$;

-- One row. Weeks are days less their distance from a Monday or Sunday; a function for each day of
-- a sum would look the kind of week up as often.
CREATE VIEW clock AS
    SELECT zone.value AS zone,
           date '1900-01-01' - (week.value = 'mmwr')::int AS week_origin,
           (now() AT TIME ZONE zone.value)::date AS today
    FROM installation zone, installation week
    WHERE zone.key = 'time_zone' AND week.key = 'epi_week';
COMMENT ON VIEW clock IS 'Time zone, a first day of an epi week before all others, and the local day';

-- What changed in waiting batches, by series and day: daily_counts has it, level_counts has not.
CREATE VIEW waiting_changes AS
    SELECT h.series_id, (h.hour AT TIME ZONE k.zone)::date AS day, sum(h.change) AS change
    FROM clock k, count_history h
    WHERE h.batch_id IN (SELECT p.batch_id FROM pending_roll_ups p)
      AND h.recorded_at >= (SELECT min(p.recorded_at) FROM pending_roll_ups p)
      AND h.recorded_at <= (SELECT max(p.recorded_at) FROM pending_roll_ups p)
    GROUP BY 1, 2;

CREATE FUNCTION roll_up_batches(most int) RETURNS int
    LANGUAGE plpgsql
AS $$
DECLARE
    zone  text;
    week0 date;
    taken bigint[];
    since timestamptz;
    until timestamptz;
BEGIN
    -- One at a time, and not while counts are imported: what an import takes the place of must
    -- neither be added by one nor missed by the other.
    PERFORM pg_advisory_xact_lock(5103481004);
    SELECT k.zone, k.week_origin INTO zone, week0 FROM clock k;
    WITH gone AS (
        DELETE FROM pending_roll_ups p
        WHERE p.ctid = ANY(ARRAY(SELECT q.ctid FROM pending_roll_ups q LIMIT most))
        RETURNING p.batch_id, p.recorded_at
    )
    SELECT array_agg(g.batch_id), min(g.recorded_at), max(g.recorded_at) INTO taken, since, until
    FROM gone g;
    IF taken IS NULL THEN
        RETURN 0;
    END IF;

    WITH changed AS MATERIALIZED (
        SELECT h.series_id, (h.hour AT TIME ZONE zone)::date AS day, sum(h.change) AS change
        FROM count_history h
        WHERE h.batch_id = ANY(taken) AND h.recorded_at BETWEEN since AND until
        GROUP BY 1, 2
        HAVING sum(h.change) <> 0
    ), live AS MATERIALIZED (
        SELECT s.region, s.signal, s.stratum, c.day, c.day - (c.day - week0) % 7 AS week, c.change
        FROM changed c JOIN series s USING (series_id)
        WHERE NOT EXISTS (
            SELECT FROM imported_counts i
            WHERE i.signal = s.signal AND i.region = s.region AND i.grain = 'day'
              AND i.period = c.day)
    ), cell AS (
        SELECT region, signal, 'day' AS grain, day AS period, stratum, change FROM live
        UNION ALL
        SELECT region, signal, 'week', week, stratum, change
        FROM live l
        WHERE NOT EXISTS (
            SELECT FROM imported_counts i
            WHERE i.signal = l.signal AND i.region = l.region AND i.grain = 'week'
              AND i.period = l.week)
    )
    INSERT INTO level_counts AS l (region, signal, grain, period, stratum, value)
    SELECT a.ancestor, c.signal, c.grain, c.period, c.stratum, sum(c.change)
    FROM cell c JOIN region_ancestors a ON a.region = c.region AND a.ancestor <> c.region
    GROUP BY 1, 2, 3, 4, 5
    HAVING sum(c.change) <> 0
    ORDER BY 1, 2, 3, 4, 5
    ON CONFLICT (region, signal, grain, period, stratum)
    DO UPDATE SET value = l.value + EXCLUDED.value;

    -- Only what was added: corrections that take back are no arrivals.
    WITH added AS (
        SELECT (h.recorded_at AT TIME ZONE zone)::date AS day, h.series_id,
               extract(epoch FROM h.recorded_at - h.hour) / 3600 AS hours, h.change
        FROM count_history h
        WHERE h.batch_id = ANY(taken) AND h.recorded_at BETWEEN since AND until AND h.change > 0
    ), bounded AS (
        SELECT day, series_id, sum(change) AS change,
               (ARRAY[1, 3, 6, 12, 24, 48, 72, 168, 336, 720, 0])
                   [1 + width_bucket(hours, ARRAY[1, 3, 6, 12, 24, 48, 72, 168, 336, 720]::numeric[])]
                   AS within
        FROM added
        GROUP BY 1, 2, 4
    )
    INSERT INTO arrivals AS a (day, signal, within, value)
    SELECT b.day, s.signal, b.within, sum(b.change)
    FROM bounded b JOIN series s USING (series_id)
    GROUP BY 1, 2, 3
    ORDER BY 1, 2, 3
    ON CONFLICT (day, signal, within) DO UPDATE SET value = a.value + EXCLUDED.value;

    PERFORM add_intake(taken, since, until);
    RETURN cardinality(taken);
END
$$;
COMMENT ON FUNCTION roll_up_batches IS
    'Adds up to so many waiting batches to the sums that screens show; returns how many it took';

CREATE FUNCTION add_intake(taken bigint[], since timestamptz, until timestamptz) RETURNS void
    LANGUAGE sql
AS $$
    DELETE FROM intake_minutes m WHERE m.minute < now() - interval '30 days';

    INSERT INTO intake_minutes AS m (minute, topic, batches, records, inserted, replaced, repeated,
                                     refused, seconds, slowest)
    SELECT date_trunc('minute', b.recorded_at), b.topic, count(*), sum(b.records), sum(b.inserted),
           sum(b.replaced), sum(b.repeated), sum(b.refused),
           sum(extract(epoch FROM b.recorded_at - b.received_at)),
           max(extract(epoch FROM b.recorded_at - b.received_at))
    FROM batches b
    WHERE b.batch_id = ANY(taken) AND b.recorded_at >= now() - interval '30 days'
    GROUP BY 1, 2
    ORDER BY 1, 2
    ON CONFLICT (minute, topic) DO UPDATE SET
        batches = m.batches + EXCLUDED.batches, records = m.records + EXCLUDED.records,
        inserted = m.inserted + EXCLUDED.inserted, replaced = m.replaced + EXCLUDED.replaced,
        repeated = m.repeated + EXCLUDED.repeated, refused = m.refused + EXCLUDED.refused,
        seconds = m.seconds + EXCLUDED.seconds, slowest = greatest(m.slowest, EXCLUDED.slowest);

    INSERT INTO intake_hours AS m (hour, topic, batches, records, inserted, replaced, repeated,
                                     refused, seconds, slowest)
    SELECT date_trunc('hour', b.recorded_at), b.topic, count(*), sum(b.records), sum(b.inserted),
           sum(b.replaced), sum(b.repeated), sum(b.refused),
           sum(extract(epoch FROM b.recorded_at - b.received_at)),
           max(extract(epoch FROM b.recorded_at - b.received_at))
    FROM batches b
    WHERE b.batch_id = ANY(taken)
    GROUP BY 1, 2
    ORDER BY 1, 2
    ON CONFLICT (hour, topic) DO UPDATE SET
        batches = m.batches + EXCLUDED.batches, records = m.records + EXCLUDED.records,
        inserted = m.inserted + EXCLUDED.inserted, replaced = m.replaced + EXCLUDED.replaced,
        repeated = m.repeated + EXCLUDED.repeated, refused = m.refused + EXCLUDED.refused,
        seconds = m.seconds + EXCLUDED.seconds, slowest = greatest(m.slowest, EXCLUDED.slowest);

    -- xmax tells an inserted row from an updated one.
    WITH told AS MATERIALIZED (
        SELECT b.source_id, b.topic, (b.recorded_at AT TIME ZONE k.zone)::date AS day, b.accepted,
               b.refused, b.recorded_at, b.last_occurred_at
        FROM batch_sources b, clock k
        WHERE b.batch_id = ANY(taken) AND b.recorded_at BETWEEN since AND until
    ), days AS (
        INSERT INTO source_days AS d (day, source_id, topic, accepted, refused)
        SELECT t.day, t.source_id, t.topic, sum(t.accepted), sum(t.refused)
        FROM told t
        GROUP BY 1, 2, 3
        ORDER BY 1, 2, 3
        ON CONFLICT (day, source_id, topic) DO UPDATE SET
            accepted = d.accepted + EXCLUDED.accepted, refused = d.refused + EXCLUDED.refused
        RETURNING d.source_id, d.topic, (d.xmax = 0)::int AS added
    )
    INSERT INTO sources AS s (source_id, topic, first_received, last_received, last_event, days)
    SELECT t.source_id, t.topic, min(t.recorded_at), max(t.recorded_at), max(t.last_occurred_at),
           (SELECT sum(d.added) FROM days d
            WHERE d.source_id = t.source_id AND d.topic = t.topic)
    FROM told t
    GROUP BY 1, 2
    ORDER BY 1, 2
    ON CONFLICT (source_id, topic) DO UPDATE SET
        first_received = least(s.first_received, EXCLUDED.first_received),
        last_received = greatest(s.last_received, EXCLUDED.last_received),
        last_event = greatest(s.last_event, EXCLUDED.last_event),
        days = s.days + EXCLUDED.days;
$$;
COMMENT ON FUNCTION add_intake IS 'Adds batches to intake_hours, intake_minutes, sources and source_days';

-- After a change of the region tree or of the weeks, and once for what came in before.
CREATE FUNCTION rebuild_levels() RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(5103481003);
    PERFORM pg_advisory_xact_lock(5103481004);
    -- No batch comes in meanwhile: the views would count it, and the roll-up once more.
    LOCK TABLE pending_roll_ups, pending_facilities IN SHARE ROW EXCLUSIVE MODE;
    WHILE roll_up_batches(1000) > 0 LOOP
    END LOOP;
    TRUNCATE level_counts, facility_reports;
    INSERT INTO level_counts (region, signal, grain, period, stratum, value)
    SELECT a.ancestor, c.signal, 'day', c.day, c.stratum, sum(c.value)
    FROM counts_by_day c
    JOIN region_ancestors a ON a.region = c.region AND a.ancestor <> c.region
    GROUP BY 1, 2, 4, 5;
    INSERT INTO level_counts (region, signal, grain, period, stratum, value)
    SELECT a.ancestor, c.signal, 'week', c.week, c.stratum, sum(c.value)
    FROM counts_by_week c
    JOIN region_ancestors a ON a.region = c.region AND a.ancestor <> c.region
    GROUP BY 1, 2, 4, 5;
    INSERT INTO facility_reports (region, kind, day, facilities)
    SELECT a.ancestor, d.kind, d.day, count(*)
    FROM facility_days d JOIN region_ancestors a ON a.region = d.region
    GROUP BY 1, 2, 3;
END
$$;
COMMENT ON FUNCTION rebuild_levels IS 'Makes level_counts and facility_reports anew';

-- What came in before this migration.
DO $$
BEGIN
    PERFORM rebuild_levels();
    PERFORM add_intake(array_agg(b.batch_id), min(b.recorded_at), max(b.recorded_at))
    FROM batches b;
END
$$;
