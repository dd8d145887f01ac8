-- From which time on counts are kept, and no change of counts before it.
--
-- Retention drops whole chunks. A revision or cancellation of an event whose counts were dropped took
-- back what was not there any more: the count became -1, and no panel could be read.

CREATE TABLE retention (
    only_row   boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    keep_years int,
    kept_since timestamptz NOT NULL DEFAULT '-infinity'
);
COMMENT ON TABLE retention IS 'What is deleted of events and counts; written by fenghuo db migrate';
COMMENT ON COLUMN retention.keep_years IS 'Age at which chunks are dropped; null: nothing is dropped';
COMMENT ON COLUMN retention.kept_since IS 'Before this time, something was dropped under an earlier setting';

-- Chunks are dropped when all of their range is older than keep_years. The day more is for chunks of
-- days, whose bounds lie in another time zone, and for transactions that began before the drop.
CREATE FUNCTION kept_since() RETURNS timestamptz
    LANGUAGE sql STABLE
AS $$
    SELECT coalesce(
        (SELECT greatest(r.kept_since,
                         now() - make_interval(years => r.keep_years) + interval '1 day')
         FROM retention r),
        '-infinity')
$$;
COMMENT ON FUNCTION kept_since IS 'Events, counts and their changes since this time are all there; -infinity: nothing is deleted';

-- Heads outlive their events: a head before all stored events says that some were dropped. Of other
-- tables, whose chunks have other bounds, up to a week more may have been dropped.
INSERT INTO retention (kept_since)
SELECT CASE WHEN EXISTS (SELECT FROM event_heads h WHERE h.occurred_at < e.first)
            THEN e.first + interval '8 days' ELSE '-infinity' END
FROM (SELECT coalesce(min(e.occurred_at), now()) AS first FROM events e) e;

-- Counts that went below 0 where the counts were dropped.
SET LOCAL timescaledb.max_tuples_decompressed_per_dml_transaction = 0;
DELETE FROM hourly_counts h WHERE h.value < 0 AND h.hour < (SELECT r.kept_since FROM retention r);
DELETE FROM daily_counts d WHERE d.value < 0 AND d.day < (SELECT r.kept_since FROM retention r);
DELETE FROM facility_counts f WHERE f.value < 0 AND f.day < (SELECT r.kept_since FROM retention r);

-- As before, and refuses changes of counts that are not kept.
DROP FUNCTION take_in(text, text, int, bigint, bigint, text, int, text[], text, timestamptz);
CREATE FUNCTION take_in(
    in_log text, in_topic text, in_partition int, in_position bigint, in_next_offset bigint,
    in_kind text, in_records int, in_refused text[], in_worker text, in_received_at timestamptz,
    OUT stored_offset bigint, OUT batch bigint, OUT recorded timestamptz,
    OUT inserted int, OUT replaced int, OUT repeated int, OUT conflicts int[], OUT unkept int[]
)
    LANGUAGE plpgsql
    SET TimeZone = 'UTC'
AS $$
DECLARE
    met     int[];
    refused int[];
    kept    timestamptz := kept_since();
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
    unkept := '{}';
    replaced := 0;

    -- Whether an event is new is decided by this key alone. A conflict also waits for another
    -- worker's transaction that holds the same event.
    WITH new AS (
        INSERT INTO event_heads
            (event_key, kind, revision, cancelled, occurred_at, facility_id, series, amounts,
             batch_id)
        SELECT i.event_key, in_kind, i.revision, i.cancelled, i.occurred_at, i.facility_id,
               i.series, i.amounts, batch
        FROM incoming i
        WHERE i.occurred_at >= kept
        ORDER BY i.event_key
        ON CONFLICT (event_key, kind) DO NOTHING
        RETURNING event_key
    )
    SELECT coalesce(array_agg(i.ord), '{}'), (SELECT count(*) FROM new) INTO met, inserted
    FROM incoming i
    WHERE NOT EXISTS (SELECT FROM new n WHERE n.event_key = i.event_key);

    IF met <> '{}' THEN
        -- The lateral subquery looks each head up by its key. Joined plainly, the planner, which
        -- knows nothing of a temporary table's rows, reads the whole of event_heads instead.
        INSERT INTO known (ord, outcome, cancelled, occurred_at, facility_id, series, amounts)
        SELECT i.ord,
               CASE
                   -- No count is taken back where counts may be deleted: it would become negative.
                   WHEN i.revision > h.revision AND (
                       i.occurred_at < kept
                       OR (h.occurred_at < kept AND NOT h.cancelled AND h.series <> '{}'))
                       THEN 'unkept'
                   WHEN i.revision > h.revision THEN 'replace'
                   WHEN i.revision = h.revision
                        AND (i.cancelled, i.occurred_at, i.facility_id, i.series, i.amounts)
                            IS DISTINCT FROM
                            (h.cancelled, h.occurred_at, f.facility_id, h.series, h.amounts)
                       THEN 'conflict'
                   ELSE 'repeat'
               END,
               h.cancelled, h.occurred_at, f.facility_id, h.series, h.amounts
        FROM (SELECT * FROM incoming WHERE ord = ANY(met) ORDER BY event_key) i
        CROSS JOIN LATERAL (
            SELECT * FROM event_heads
            WHERE event_key = i.event_key AND kind = in_kind
            FOR UPDATE
        ) h
        CROSS JOIN LATERAL (
            -- Heads from before migration 0019 do not hold the facility; their version does.
            SELECT coalesce(h.facility_id, (
                SELECT e.facility_id FROM events e
                WHERE e.occurred_at = h.occurred_at AND e.event_key = h.event_key
                  AND e.kind = in_kind AND e.revision = h.revision
                LIMIT 1), i.facility_id) AS facility_id
        ) f;

        -- Events that were not inserted and are not known are new and too old.
        SELECT coalesce(array_agg(m.ord ORDER BY m.ord), '{}') INTO unkept
        FROM unnest(met) AS m(ord) LEFT JOIN known k USING (ord)
        WHERE k.ord IS NULL OR k.outcome = 'unkept';

        IF EXISTS (SELECT FROM known k WHERE k.outcome = 'conflict') THEN
            -- The very same record is a repeat, even where the case definitions have changed since.
            SELECT coalesce(array_agg(k.ord ORDER BY k.ord), '{}') INTO conflicts
            FROM known k JOIN incoming i USING (ord)
            WHERE k.outcome = 'conflict'
              AND i.payload::text IS DISTINCT FROM (
                  SELECT e.payload::text FROM events e
                  WHERE e.occurred_at = k.occurred_at AND e.event_key = i.event_key
                    AND e.kind = in_kind AND e.revision = i.revision
                  LIMIT 1);
        END IF;

        UPDATE event_heads h
        SET revision = i.revision, cancelled = i.cancelled, occurred_at = i.occurred_at,
            facility_id = i.facility_id, series = i.series, amounts = i.amounts, batch_id = batch
        FROM incoming i JOIN known k USING (ord)
        WHERE k.outcome = 'replace' AND h.event_key = i.event_key AND h.kind = in_kind;
        GET DIAGNOSTICS replaced = ROW_COUNT;
    END IF;
    refused := conflicts || unkept;

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
        WHERE i.ord <> ALL(refused)
        GROUP BY 1
    ) a
    FULL JOIN (
        SELECT source_id, count(*) AS records
        FROM (
            SELECT unnest(in_refused) AS source_id
            UNION ALL
            SELECT i.source_id FROM incoming i WHERE i.ord = ANY(refused)
        ) s
        GROUP BY 1
    ) r USING (source_id);

    -- What follows is about versions that were not stored before.
    DELETE FROM incoming i USING known k WHERE k.ord = i.ord AND k.outcome <> 'replace';
    IF unkept <> '{}' THEN
        DELETE FROM incoming i WHERE i.ord = ANY(unkept);
    END IF;

    -- Instead of foreign keys, which would cost a look-up and a lock for each row of a count.
    IF EXISTS (
        SELECT FROM (
            SELECT DISTINCT unnest(i.series) AS series_id, i.region, i.stratum FROM incoming i
        ) n
        LEFT JOIN series s USING (series_id)
        WHERE s.series_id IS NULL OR s.region <> n.region OR s.stratum <> n.stratum
    ) THEN
        RAISE EXCEPTION 'The batch is counted in series that the database does not have'
            USING ERRCODE = 'foreign_key_violation';
    END IF;

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
        INSERT INTO pending_corrections (batch_id, occurred_at, facility_id, series, amounts)
        SELECT batch, k.occurred_at, k.facility_id, k.series, k.amounts
        FROM known k
        WHERE k.outcome = 'replace' AND NOT k.cancelled;
    END IF;

    repeated := in_records - cardinality(in_refused) - inserted - replaced - cardinality(refused);
    INSERT INTO batches (batch_id, log, topic, partition, from_offset, next_offset, records,
                         inserted, replaced, repeated, refused, worker, received_at, recorded_at)
    OVERRIDING SYSTEM VALUE
    VALUES (batch, in_log, in_topic, in_partition, in_position, in_next_offset, in_records,
            inserted, replaced, repeated, cardinality(in_refused) + cardinality(refused), in_worker,
            in_received_at, recorded);
END
$$;
