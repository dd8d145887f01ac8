-- Cheaper roll-ups. A batch that waits brings its changes along, in arrays: the history that holds
-- them is indexed by time in a way that leaves out what came in since its last vacuum, and each
-- roll-up looked through all of that. Groups are formed before they are sorted: hashing few groups
-- is cheaper than sorting all rows by their texts. And the local time zone is set once instead of
-- being looked up by its name for each row; the SET clause of a function brings the caller's back.

ALTER TABLE pending_roll_ups
    ADD COLUMN series  int[]         NOT NULL DEFAULT '{}',
    ADD COLUMN hours   timestamptz[] NOT NULL DEFAULT '{}',
    ADD COLUMN changes numeric[]     NOT NULL DEFAULT '{}',
    -- They live for a second or so: compressing them costs more than it saves.
    ALTER COLUMN series SET STORAGE EXTERNAL,
    ALTER COLUMN hours SET STORAGE EXTERNAL,
    ALTER COLUMN changes SET STORAGE EXTERNAL;
COMMENT ON COLUMN pending_roll_ups.series IS
    'With hours and changes: what the batch added to hourly_counts';

UPDATE pending_roll_ups p
SET series = h.series, hours = h.hours, changes = h.changes
FROM (
    SELECT h.batch_id, array_agg(h.series_id) AS series, array_agg(h.hour) AS hours,
           array_agg(h.change) AS changes
    FROM count_history h
    WHERE h.recorded_at >= (SELECT min(p.recorded_at) FROM pending_roll_ups p)
    GROUP BY 1
) h
WHERE h.batch_id = p.batch_id;

ALTER TABLE pending_roll_ups
    ALTER COLUMN series DROP DEFAULT,
    ALTER COLUMN hours DROP DEFAULT,
    ALTER COLUMN changes DROP DEFAULT;

CREATE OR REPLACE VIEW waiting_changes AS
    SELECT w.series_id, (w.hour AT TIME ZONE k.zone)::date AS day, sum(w.change) AS change
    FROM clock k, pending_roll_ups p,
         LATERAL unnest(p.series, p.hours, p.changes) AS w(series_id, hour, change)
    GROUP BY 1, 2;
COMMENT ON VIEW waiting_changes IS
    'What changed in waiting batches, by series and day: daily_counts has it, level_counts has not';

-- As before; what waits for the roll-ups is noted here, and not by a function of its own.
CREATE OR REPLACE FUNCTION take_in(
    in_log text, in_topic text, in_partition int, in_position bigint, in_next_offset bigint,
    in_kind text, in_records int, in_refused text[], in_worker text, in_received_at timestamptz,
    OUT stored_offset bigint, OUT batch bigint, OUT recorded timestamptz,
    OUT inserted int, OUT replaced int, OUT repeated int, OUT conflicts int[]
)
    LANGUAGE plpgsql
    SET TimeZone = 'UTC'
AS $$
DECLARE
    met int[];
BEGIN
    PERFORM set_config('TimeZone', i.value, true) FROM installation i WHERE i.key = 'time_zone';

    UPDATE stream_offsets o
    SET next_offset = in_next_offset, updated_at = clock_timestamp()
    WHERE o.log = in_log AND o.topic = in_topic AND o.partition = in_partition
      AND o.next_offset = in_position
    RETURNING nextval(pg_get_serial_sequence('batches', 'batch_id')) INTO batch;
    IF NOT FOUND THEN
        SELECT o.next_offset INTO stored_offset FROM stream_offsets o
        WHERE o.log = in_log AND o.topic = in_topic AND o.partition = in_partition;
        RETURN;
    END IF;
    stored_offset := in_next_offset;
    conflicts := '{}';
    replaced := 0;

    -- Whether an event is new is decided by this key alone. A conflict also waits for another
    -- worker's transaction that holds the same event.
    WITH new AS (
        INSERT INTO event_heads
            (event_key, revision, cancelled, occurred_at, series, amounts, batch_id)
        SELECT i.event_key, i.revision, i.cancelled, i.occurred_at, i.series, i.amounts, batch
        FROM incoming i
        ORDER BY i.event_key
        ON CONFLICT (event_key) DO NOTHING
        RETURNING event_key
    )
    SELECT coalesce(array_agg(i.ord), '{}'), (SELECT count(*) FROM new) INTO met, inserted
    FROM incoming i
    WHERE NOT EXISTS (SELECT FROM new n WHERE n.event_key = i.event_key);

    IF met <> '{}' THEN
        -- The lateral subquery looks each head up by its key. Joined plainly, the planner, which
        -- knows nothing of a temporary table's rows, reads the whole of event_heads instead.
        INSERT INTO known
        SELECT i.ord,
               CASE
                   WHEN i.revision > h.revision THEN 'replace'
                   WHEN i.revision = h.revision
                        AND (i.cancelled, i.occurred_at, i.series, i.amounts)
                            IS DISTINCT FROM (h.cancelled, h.occurred_at, h.series, h.amounts)
                       THEN 'conflict'
                   ELSE 'repeat'
               END,
               h.cancelled, h.occurred_at, h.series, h.amounts
        FROM (SELECT * FROM incoming WHERE ord = ANY(met) ORDER BY event_key) i
        CROSS JOIN LATERAL (
            SELECT * FROM event_heads WHERE event_key = i.event_key FOR UPDATE
        ) h;

        IF EXISTS (SELECT FROM known k WHERE k.outcome = 'conflict') THEN
            -- The very same record is a repeat, even where the case definitions have changed since.
            SELECT coalesce(array_agg(k.ord ORDER BY k.ord), '{}') INTO conflicts
            FROM known k JOIN incoming i USING (ord)
            WHERE k.outcome = 'conflict'
              AND i.payload::text IS DISTINCT FROM (
                  SELECT e.payload::text FROM events e
                  WHERE e.occurred_at = i.occurred_at AND e.event_key = i.event_key
                    AND e.revision = i.revision
                  LIMIT 1);
        END IF;

        UPDATE event_heads h
        SET revision = i.revision, cancelled = i.cancelled, occurred_at = i.occurred_at,
            series = i.series, amounts = i.amounts, batch_id = batch
        FROM incoming i JOIN known k USING (ord)
        WHERE k.outcome = 'replace' AND h.event_key = i.event_key;
        GET DIAGNOSTICS replaced = ROW_COUNT;
    END IF;

    -- By the database's clock all workers' changes are ordered. It is looked at when the heads are
    -- locked: a revision that replaces another one is then recorded later than it, and no count as
    -- of any time takes back what was not counted yet.
    recorded := clock_timestamp();

    INSERT INTO batch_sources
        (batch_id, source_id, topic, accepted, refused, last_occurred_at, recorded_at)
    SELECT batch, source_id, in_topic, coalesce(a.records, 0), coalesce(r.records, 0), a.latest,
           recorded
    FROM (
        SELECT i.source_id, count(*) AS records, max(i.occurred_at) AS latest
        FROM incoming i
        WHERE i.ord <> ALL(conflicts)
        GROUP BY 1
    ) a
    FULL JOIN (
        SELECT source_id, count(*) AS records
        FROM (
            SELECT unnest(in_refused) AS source_id
            UNION ALL
            SELECT i.source_id FROM incoming i WHERE i.ord = ANY(conflicts)
        ) refused
        GROUP BY 1
    ) r USING (source_id);

    -- What follows is about versions that were not stored before.
    DELETE FROM incoming i USING known k WHERE k.ord = i.ord AND k.outcome <> 'replace';

    INSERT INTO events (occurred_at, event_key, revision, cancelled, kind, source_id, facility_id,
                        region, stratum, series, amounts, payload, batch_id, recorded_at)
    SELECT i.occurred_at, i.event_key, i.revision, i.cancelled, in_kind, i.source_id,
           i.facility_id, i.region, i.stratum, i.series, i.amounts, i.payload, batch, recorded
    FROM incoming i;

    WITH counted AS (
        SELECT date_trunc('hour', i.occurred_at) AS hour,
               unnest(i.series) AS series_id, unnest(i.amounts) AS amount
        FROM incoming i
        WHERE NOT i.cancelled
        UNION ALL
        SELECT date_trunc('hour', k.occurred_at), unnest(k.series), -unnest(k.amounts)
        FROM known k
        WHERE k.outcome = 'replace' AND NOT k.cancelled
    ), change AS (
        SELECT series_id, hour, sum(amount) AS change
        FROM counted
        GROUP BY 1, 2
        HAVING sum(amount) <> 0
    ), changed_day AS (
        SELECT c.series_id, c.hour::date AS day, sum(c.change) AS change
        FROM change c
        GROUP BY 1, 2
    ), history AS (
        INSERT INTO count_history (recorded_at, series_id, batch_id, hour, change)
        SELECT recorded, series_id, batch, hour, change FROM change
    ), waiting AS (
        INSERT INTO pending_roll_ups (batch_id, recorded_at, series, hours, changes)
        SELECT batch, recorded, coalesce(array_agg(series_id), '{}'),
               coalesce(array_agg(hour), '{}'), coalesce(array_agg(change), '{}')
        FROM change
    ), hourly AS (
        INSERT INTO hourly_counts AS c (series_id, hour, value)
        SELECT series_id, hour, change FROM change ORDER BY 1, 2
        ON CONFLICT (series_id, hour) DO UPDATE SET value = c.value + EXCLUDED.value
    ), daily AS (
        INSERT INTO daily_counts AS c (series_id, day, value)
        SELECT series_id, day, change FROM changed_day ORDER BY 1, 2
        ON CONFLICT (series_id, day) DO UPDATE SET value = c.value + EXCLUDED.value
    )
    INSERT INTO pending_judgements (signal, region, day)
    SELECT DISTINCT s.signal, s.region, c.day FROM changed_day c JOIN series s USING (series_id);

    INSERT INTO pending_facilities (batch_id, first_at, last_at)
    SELECT batch, min(i.occurred_at), max(i.occurred_at)
    FROM incoming i
    HAVING count(*) > 0;

    IF replaced > 0 THEN
        -- A head does not tell the facility of the version that is replaced; that version does.
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
    END IF;

    repeated := in_records - cardinality(in_refused) - inserted - replaced - cardinality(conflicts);
    INSERT INTO batches (batch_id, log, topic, partition, from_offset, next_offset, records,
                         inserted, replaced, repeated, refused, worker, received_at, recorded_at)
    OVERRIDING SYSTEM VALUE
    VALUES (batch, in_log, in_topic, in_partition, in_position, in_next_offset, in_records,
            inserted, replaced, repeated, cardinality(in_refused || conflicts::text[]), in_worker,
            in_received_at, recorded);
END
$$;
DROP FUNCTION note_facilities;

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
        SELECT e.kind, e.region, e.occurred_at::date AS day, e.facility_id, e.cancelled, e.series,
               e.amounts
        FROM events e
        WHERE e.batch_id = ANY(taken) AND e.occurred_at BETWEEN since AND until
    ), sent AS MATERIALIZED (
        SELECT DISTINCT region, kind, day, facility_id FROM version
    ), reported AS (
        INSERT INTO facility_days (region, kind, day, facility_id)
        SELECT region, kind, day, facility_id FROM sent
        ORDER BY 1, 2, 3, 4
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
        SELECT day, facility_id, unnest(series) AS series_id, unnest(amounts) AS amount
        FROM version
        WHERE NOT cancelled
        UNION ALL
        SELECT occurred_at::date, facility_id, unnest(series), -unnest(amounts)
        FROM gone
    ), change AS MATERIALIZED (
        SELECT s.region, s.signal, c.day, c.facility_id, sum(c.amount) AS change
        FROM counted c JOIN series s USING (series_id)
        GROUP BY 1, 2, 3, 4
        HAVING sum(c.amount) <> 0
    )
    INSERT INTO facility_counts AS f (region, signal, day, facility_id, value)
    SELECT region, signal, day, facility_id, change FROM change
    ORDER BY 1, 2, 3, 4
    ON CONFLICT (region, signal, day, facility_id) DO UPDATE SET value = f.value + EXCLUDED.value;

    RETURN cardinality(taken);
END
$$;

CREATE OR REPLACE FUNCTION roll_up_batches(most int) RETURNS int
    LANGUAGE plpgsql
    SET TimeZone = 'UTC'
AS $$
DECLARE
    week0 date;
    taken bigint[];
    since timestamptz;
    until timestamptz;
BEGIN
    -- One at a time, and not while counts are imported: what an import takes the place of must
    -- neither be added by one nor missed by the other.
    PERFORM pg_advisory_xact_lock(5103481004);
    SELECT k.week_origin INTO week0 FROM clock k;
    PERFORM set_config('TimeZone', k.zone, true) FROM clock k;
    WITH gone AS MATERIALIZED (
        DELETE FROM pending_roll_ups p
        WHERE p.ctid = ANY(ARRAY(SELECT q.ctid FROM pending_roll_ups q LIMIT most))
        RETURNING p.batch_id, p.recorded_at, p.series, p.hours, p.changes
    ), waiting AS MATERIALIZED (
        SELECT g.recorded_at, w.series_id, w.hour, w.change
        FROM gone g,
             LATERAL unnest(g.series, g.hours, g.changes) AS w(series_id, hour, change)
    ), changed AS MATERIALIZED (
        SELECT w.series_id, w.hour::date AS day, sum(w.change) AS change
        FROM waiting w
        GROUP BY 1, 2
        HAVING sum(w.change) <> 0
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
    ), above AS MATERIALIZED (
        SELECT a.ancestor, c.signal, c.grain, c.period, c.stratum, sum(c.change) AS change
        FROM cell c JOIN region_ancestors a ON a.region = c.region AND a.ancestor <> c.region
        GROUP BY 1, 2, 3, 4, 5
        HAVING sum(c.change) <> 0
    ), levels AS (
        INSERT INTO level_counts AS l (region, signal, grain, period, stratum, value)
        SELECT ancestor, signal, grain, period, stratum, change FROM above
        ORDER BY 1, 2, 3, 4, 5
        ON CONFLICT (region, signal, grain, period, stratum)
        DO UPDATE SET value = l.value + EXCLUDED.value
    ), added AS MATERIALIZED (
        -- Only what was added: corrections that take back are no arrivals.
        SELECT w.recorded_at, s.signal, w.hour, sum(w.change) AS change
        FROM waiting w JOIN series s USING (series_id)
        WHERE w.change > 0
        GROUP BY 1, 2, 3
    ), came AS MATERIALIZED (
        SELECT recorded_at::date AS day, signal, change,
               width_bucket(date_part('epoch', recorded_at - hour) / 3600,
                            ARRAY[1, 3, 6, 12, 24, 48, 72, 168, 336, 720]::float8[]) AS bound
        FROM added
    ), arrivals AS (
        INSERT INTO arrivals AS a (day, signal, within, value)
        SELECT day, signal, (ARRAY[1, 3, 6, 12, 24, 48, 72, 168, 336, 720, 0])[1 + bound],
               sum(change)
        FROM came
        GROUP BY 1, 2, 3
        ORDER BY 1, 2, 3
        ON CONFLICT (day, signal, within) DO UPDATE SET value = a.value + EXCLUDED.value
    )
    SELECT array_agg(g.batch_id), min(g.recorded_at), max(g.recorded_at) INTO taken, since, until
    FROM gone g;
    IF taken IS NULL THEN
        RETURN 0;
    END IF;

    PERFORM add_intake(taken, since, until);
    RETURN cardinality(taken);
END
$$;
