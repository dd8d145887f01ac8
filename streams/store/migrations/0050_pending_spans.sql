-- History that waits for a judge: one row per series and span of days, beside the live changes.
--
-- An import of three years for some 2,850 counties and 10 signals wrote 31 million rows into
-- pending_judgements, and live changes waited behind them.

CREATE TABLE pending_spans (
    span_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    signal    text NOT NULL,
    region    text NOT NULL,
    first_day date NOT NULL,
    last_day  date NOT NULL,
    noted_at  timestamptz NOT NULL,
    CHECK (first_day <= last_day)
);
COMMENT ON TABLE pending_spans IS
    'Days of series that changed and are judged when no live change waits; upper levels have rows of their own';
COMMENT ON COLUMN pending_spans.noted_at IS 'Since when the oldest change of the row has been waiting';
CREATE INDEX pending_spans_newest ON pending_spans (last_day DESC, span_id);
CREATE INDEX pending_spans_series ON pending_spans (signal, region);

-- Changed days of counted regions are added to what waits already, for each region and all above it.
-- A row that a judge has taken is left to it: it may have read the counts of before. The new row is
-- judged after it.
CREATE FUNCTION pend_spans(
    in_signals text[], in_regions text[], in_first date[], in_last date[],
    in_noted_at timestamptz DEFAULT clock_timestamp()
)
    RETURNS int
    LANGUAGE plpgsql
AS $$
DECLARE
    -- Spans of one series with at most this number of unchanged days between them become one: files
    -- leave out days without cases. Most detectors look back further, and judge no period more.
    gap    CONSTANT int := 28;
    stored int;
BEGIN
    WITH changed AS MATERIALIZED (
        SELECT c.signal, coalesce(a.ancestor, c.region) AS region, c.first_day, c.last_day
        FROM unnest(in_signals, in_regions, in_first, in_last) AS c(signal, region, first_day, last_day)
        LEFT JOIN region_ancestors a ON a.region = c.region
    ), taken AS (
        DELETE FROM pending_spans p
        WHERE p.span_id IN (
            SELECT q.span_id FROM pending_spans q
            WHERE (q.signal, q.region) IN (SELECT c.signal, c.region FROM changed c)
            FOR UPDATE SKIP LOCKED)
        RETURNING p.signal, p.region, p.first_day, p.last_day, p.noted_at
    ), whole AS (
        SELECT c.*, in_noted_at AS noted_at FROM changed c
        UNION ALL
        SELECT t.* FROM taken t
    ), merged AS (
        SELECT w.signal, w.region, min(w.noted_at) AS noted_at,
               unnest(range_agg(daterange(w.first_day, w.last_day + 1 + gap))) AS days
        FROM whole w
        GROUP BY 1, 2
    )
    INSERT INTO pending_spans (signal, region, first_day, last_day, noted_at)
    SELECT m.signal, m.region, lower(m.days), upper(m.days) - 1 - gap, m.noted_at
    FROM merged m
    ORDER BY m.signal, m.region, lower(m.days);
    GET DIAGNOSTICS stored = ROW_COUNT;
    RETURN stored;
END
$$;
COMMENT ON FUNCTION pend_spans IS 'Has days of series judged after all live changes';

-- What waits already and is older than four weeks is judged as history, too. The table is emptied
-- rather than deleted from: millions of dead rows would stand before the live changes.
LOCK TABLE pending_judgements IN ACCESS EXCLUSIVE MODE;
CREATE TEMPORARY TABLE recent ON COMMIT DROP AS
SELECT signal, region, day, noted_at FROM pending_judgements WHERE day > current_date - 28
ORDER BY pending_id;

SELECT pend_spans(array_agg(i.signal), array_agg(i.region), array_agg(i.first_day),
                  array_agg(i.last_day), min(i.noted_at))
FROM (
    SELECT n.signal, n.region, min(n.day) AS first_day, max(n.day) AS last_day,
           min(n.noted_at) AS noted_at
    FROM (
        SELECT g.*, count(*) FILTER (WHERE g.step > 28 + 1)
                        OVER (PARTITION BY g.signal, g.region ORDER BY g.day) AS island
        FROM (
            SELECT p.*, p.day - lag(p.day) OVER (PARTITION BY p.signal, p.region ORDER BY p.day) AS step
            FROM pending_judgements p
            WHERE p.day <= current_date - 28
        ) g
    ) n
    GROUP BY n.signal, n.region, n.island
) i;

TRUNCATE pending_judgements;
INSERT INTO pending_judgements (signal, region, day, noted_at)
SELECT signal, region, day, noted_at FROM recent;
DROP TABLE recent;

COMMENT ON COLUMN judging_runs.rule IS
    '*: a look at the queue with all its rules; *history: a portion of pending_spans';
