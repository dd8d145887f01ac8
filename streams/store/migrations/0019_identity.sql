-- What an event is, and how its versions are found.
--
-- The kind is part of the identity: a sale with the ids of a visit is another event. Keys stay as
-- they are, so that stored events that are sent again count nothing.
--
-- A version is found by time and key. By its time alone it was searched for among all events of
-- that moment, which are many where times are rounded to the hour or the day.

ALTER TABLE event_heads
    ADD COLUMN kind        text COLLATE "C" NOT NULL DEFAULT 'visits',
    ADD COLUMN facility_id text;
COMMENT ON COLUMN event_heads.event_key IS 'MD5 of source_id, a line feed, and event_id; unique within a kind';
COMMENT ON COLUMN event_heads.facility_id IS 'Null: stored before migration 0019, the stored version tells it';

-- A batch is of one topic and so of one kind. Where retention has deleted the events of a batch, other
-- batches of its topic tell the kind.
CREATE TEMPORARY TABLE kind_of_batch ON COMMIT DROP AS
    SELECT e.batch_id, min(e.kind) AS kind FROM events e GROUP BY 1;
INSERT INTO kind_of_batch
SELECT b.batch_id, t.kind
FROM batches b
JOIN (SELECT b.topic, min(k.kind) AS kind
      FROM kind_of_batch k JOIN batches b USING (batch_id)
      GROUP BY 1) t USING (topic)
WHERE NOT EXISTS (SELECT FROM kind_of_batch k WHERE k.batch_id = b.batch_id);
UPDATE event_heads h SET kind = k.kind
FROM kind_of_batch k
WHERE k.batch_id = h.batch_id AND k.kind <> 'visits';
DROP TABLE kind_of_batch;

ALTER TABLE event_heads
    ALTER COLUMN kind DROP DEFAULT,
    DROP CONSTRAINT event_heads_pkey,
    ADD PRIMARY KEY (event_key, kind);

-- Also for all that reads events by their time.
CREATE INDEX events_version ON events (occurred_at DESC, event_key);
DROP INDEX events_occurred_at;

CREATE OR REPLACE FUNCTION recount(known_at timestamptz DEFAULT 'infinity')
    RETURNS TABLE (signal text, region text, stratum text, hour timestamptz, value numeric)
    LANGUAGE sql STABLE
AS $$
    WITH zone AS (SELECT i.value AS name FROM installation i WHERE i.key = 'time_zone'),
    latest AS (
        SELECT DISTINCT ON (e.event_key, e.kind) e.event_key, e.cancelled, e.occurred_at, e.series, e.amounts
        FROM events e
        WHERE e.recorded_at <= known_at
        ORDER BY e.event_key, e.kind, e.revision DESC
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

-- As before, by kind and key; every series must exist, and be of the event's region and stratum.
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
            (event_key, kind, revision, cancelled, occurred_at, facility_id, series, amounts,
             batch_id)
        SELECT i.event_key, in_kind, i.revision, i.cancelled, i.occurred_at, i.facility_id,
               i.series, i.amounts, batch
        FROM incoming i
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

    repeated := in_records - cardinality(in_refused) - inserted - replaced - cardinality(conflicts);
    INSERT INTO batches (batch_id, log, topic, partition, from_offset, next_offset, records,
                         inserted, replaced, repeated, refused, worker, received_at, recorded_at)
    OVERRIDING SYSTEM VALUE
    VALUES (batch, in_log, in_topic, in_partition, in_position, in_next_offset, in_records,
            inserted, replaced, repeated, cardinality(in_refused || conflicts::text[]), in_worker,
            in_received_at, recorded);
END
$$;
