-- Counts as of a time without the history before it.
--
-- Retention drops changes by the time at which they were recorded, and counts by their hour. The sum
-- of the changes that are left is not a count; today's counts less all changes since the time are.

CREATE FUNCTION as_of_is_known(known_at timestamptz) RETURNS boolean
    LANGUAGE plpgsql STABLE STRICT
AS $$
BEGIN
    IF known_at < kept_since() THEN
        RAISE EXCEPTION 'Counts as of % are not known any more', known_at
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = format('Changes of counts are kept since %s (event_time.keep_years).', kept_since());
    END IF;
    RETURN true;
END
$$;
COMMENT ON FUNCTION as_of_is_known IS 'Raises for a time before the changes that are kept';

CREATE OR REPLACE FUNCTION counts_as_of(known_at timestamptz)
    RETURNS TABLE (signal text, region text, stratum text, hour timestamptz, value numeric)
    LANGUAGE sql STABLE
AS $$
    WITH later AS (
        SELECT c.series_id, c.hour, sum(c.change) AS change
        FROM count_history c
        WHERE c.recorded_at > known_at
        GROUP BY 1, 2
    )
    SELECT s.signal, s.region, s.stratum, h.hour, h.value - coalesce(l.change, 0)
    FROM hourly_counts h
    JOIN series s USING (series_id)
    LEFT JOIN later l ON l.series_id = h.series_id AND l.hour = h.hour
    WHERE h.value <> coalesce(l.change, 0) AND as_of_is_known(known_at)
$$;
COMMENT ON FUNCTION counts_as_of IS 'Hourly counts as they were known at a time: of every hour whose counts are kept, less all later changes';
