-- Where counts come from: facilities, for the explanation of alerts. They are rolled up from the
-- stored events soon after the commit, several batches at once: see docs/adr/0013.

-- All strata together. A recount of the events gives the same.
CREATE TABLE facility_counts (
    region      text COLLATE "C" NOT NULL,
    signal      text COLLATE "C" NOT NULL,
    day         date             NOT NULL,
    facility_id text COLLATE "C" NOT NULL,
    value       numeric          NOT NULL,
    PRIMARY KEY (region, signal, day, facility_id)
) WITH (fillfactor = 80);
COMMENT ON TABLE facility_counts IS 'Daily counts by facility, rolled up from events by roll_up_facilities';

-- A facility that sent anything of a kind was not silent, even where no signal counts it and even
-- where it was taken back. A row is written once and never changed.
CREATE TABLE facility_days (
    region      text COLLATE "C" NOT NULL,
    kind        text COLLATE "C" NOT NULL,
    day         date             NOT NULL,
    facility_id text COLLATE "C" NOT NULL,
    PRIMARY KEY (region, kind, day, facility_id)
);
COMMENT ON TABLE facility_days IS 'Days of which a facility has sent at least one event of a kind';

-- Batches that wait for the roll-up, written with the batch.
CREATE TABLE pending_facilities (
    batch_id bigint      NOT NULL,
    first_at timestamptz NOT NULL,
    last_at  timestamptz NOT NULL
);
COMMENT ON COLUMN pending_facilities.first_at IS 'Earliest occurred_at of the batch: tells which chunks hold it';

-- Versions that a waiting batch replaced, as they were counted.
CREATE TABLE pending_corrections (
    batch_id    bigint      NOT NULL,
    occurred_at timestamptz NOT NULL,
    facility_id text        NOT NULL,
    series      int[]       NOT NULL,
    amounts     numeric[]   NOT NULL
);

CREATE INDEX events_batch ON events (batch_id);

-- Follows `take_in` in its transaction: `incoming` then holds the new versions, and `known` what
-- became of those that were stored before.
CREATE FUNCTION note_facilities(batch bigint) RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
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
    'Has the new versions of a batch rolled up by facility; does nothing where the batch is null';

CREATE FUNCTION roll_up_facilities(most int) RETURNS int
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
COMMENT ON FUNCTION roll_up_facilities IS
    'Rolls up to so many waiting batches up by facility; returns how many it took';

-- What came in before this migration.
INSERT INTO pending_facilities (batch_id, first_at, last_at)
SELECT e.batch_id, min(e.occurred_at), max(e.occurred_at) FROM events e GROUP BY 1;

INSERT INTO pending_corrections (batch_id, occurred_at, facility_id, series, amounts)
SELECT r.batch_id, p.occurred_at, p.facility_id, p.series, p.amounts
FROM (
    SELECT e.batch_id, e.event_key, lag(e.revision) OVER (PARTITION BY e.event_key ORDER BY e.revision) AS replaced
    FROM events e
) r
JOIN events p ON p.event_key = r.event_key AND p.revision = r.replaced
WHERE NOT p.cancelled;
