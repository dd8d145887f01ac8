-- The exactly-once commit of one batch, as one statement: a round trip for each of its parts would
-- keep the transaction and its locks waiting for the worker's next turn.

-- An earlier state of this migration had another number.
DROP FUNCTION IF EXISTS take_in;

CREATE FUNCTION take_in(
    in_log text, in_topic text, in_partition int, in_position bigint, in_next_offset bigint,
    in_kind text, in_records int, in_refused text[], in_worker text, in_received_at timestamptz,
    OUT stored_offset bigint, OUT batch bigint, OUT recorded timestamptz,
    OUT inserted int, OUT replaced int, OUT repeated int, OUT conflicts int[]
)
    LANGUAGE plpgsql
AS $$
DECLARE
    met  int[];
    zone text := (SELECT i.value FROM installation i WHERE i.key = 'time_zone');
BEGIN
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
        SELECT date_trunc('hour', i.occurred_at, zone) AS hour,
               unnest(i.series) AS series_id, unnest(i.amounts) AS amount
        FROM incoming i
        WHERE NOT i.cancelled
        UNION ALL
        SELECT date_trunc('hour', k.occurred_at, zone), unnest(k.series), -unnest(k.amounts)
        FROM known k
        WHERE k.outcome = 'replace' AND NOT k.cancelled
    ), change AS (
        SELECT series_id, hour, sum(amount) AS change
        FROM counted
        GROUP BY 1, 2
        HAVING sum(amount) <> 0
    ), changed_day AS (
        SELECT c.series_id, (c.hour AT TIME ZONE zone)::date AS day, sum(c.change) AS change
        FROM change c
        GROUP BY 1, 2
    ), history AS (
        INSERT INTO count_history (recorded_at, series_id, batch_id, hour, change)
        SELECT recorded, series_id, batch, hour, change FROM change
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

    repeated := in_records - cardinality(in_refused) - inserted - replaced - cardinality(conflicts);
    INSERT INTO batches (batch_id, log, topic, partition, from_offset, next_offset, records,
                         inserted, replaced, repeated, refused, worker, received_at, recorded_at)
    OVERRIDING SYSTEM VALUE
    VALUES (batch, in_log, in_topic, in_partition, in_position, in_next_offset, in_records,
            inserted, replaced, repeated, cardinality(in_refused || conflicts::text[]), in_worker,
            in_received_at, recorded);
END
$$;
COMMENT ON FUNCTION take_in IS
    'Stores the rows of the temporary table incoming and moves the offset; batch is null and nothing is written where the offset stands elsewhere';
