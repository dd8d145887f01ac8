-- Where one facility or age group has all cases of a region's week, its count of a day is the
-- region's, which is exact: nothing of that week is told if a day has 1 to 4. See docs/adr/0018.

CREATE FUNCTION has_small_day(in_signal text, in_region text, in_week date) RETURNS boolean
    LANGUAGE sql STABLE
AS $$
    SELECT EXISTS (
        SELECT FROM screen_days(in_signal, in_region, in_week, in_week + 6) c
        GROUP BY c.day
        HAVING sum(c.value) > 0 AND sum(c.value) < 5)
$$;
COMMENT ON FUNCTION has_small_day IS 'Whether a day of the week has from 1 to 4 cases in the region';

CREATE FUNCTION pg_temp.replace_in(in_function text, in_old text, in_new text) RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    statement text := pg_get_functiondef(in_function::regproc);
BEGIN
    IF strpos(statement, in_old) = 0 THEN
        RAISE EXCEPTION '% lacks the text: %', in_function, in_old;
    END IF;
    EXECUTE replace(statement, in_old, in_new);
END
$$;

SELECT pg_temp.replace_in('screen_facilities',
    ') AS determined
        FROM facility f
',
    ') OR CASE WHEN count(*) FILTER (WHERE f.observed > 0) OVER (PARTITION BY f.region) = 1
                     THEN has_small_day(in_signal, f.region, l.week) ELSE false END AS determined
        FROM facility f CROSS JOIN latest l
');
DROP FUNCTION pg_temp.replace_in;

-- Tens tell that there is a case: where they are the least that adds up to the exact total, they
-- determine all age groups.
CREATE OR REPLACE FUNCTION screen_age_weeks(in_signal text, in_region text, in_from timestamptz,
                                 in_to timestamptz)
    RETURNS TABLE (week date, stratum text, value double precision)
    LANGUAGE sql STABLE
AS $$
    WITH age AS (
        SELECT c.week, c.stratum, sum(c.value)::float8 AS value
        FROM clock k
        CROSS JOIN LATERAL (
            SELECT f.day - (f.day - k.week_origin) % 7 AS first,
                   (in_to AT TIME ZONE k.zone)::date AS last
            FROM (SELECT (in_from AT TIME ZONE k.zone)::date AS day) f
        ) d
        CROSS JOIN LATERAL screen_weeks(in_signal, in_region, d.first, d.last) c
        GROUP BY 1, 2
    ), part AS MATERIALIZED (
        SELECT a.week, a.stratum, a.value, p.upper,
               CASE WHEN p.upper
                    THEN told_tens(a.value, concat_ws('|', in_signal, in_region, a.week, a.stratum))
                    WHEN a.value >= 5 THEN told_step(a.value) END AS told
        FROM age a
        CROSS JOIN (SELECT EXISTS (SELECT FROM regions r WHERE r.parent = in_region) AS upper) p
    ), whole AS (
        SELECT a.week,
               CASE
               -- Neither says anything of somebody's age.
               WHEN NOT bool_or(a.value > 0 AND a.stratum NOT IN ('all', 'unknown')) THEN false
               WHEN bool_or(a.upper)
               THEN sum(a.value) - coalesce(sum(a.told - 9) FILTER (WHERE a.told > 0), 0) < 1
               WHEN count(*) FILTER (WHERE a.value > 0) = 1
               THEN has_small_day(in_signal, in_region, a.week)
               ELSE small_cells_determined(
                   sum(a.value), sum(told_step(a.value)), count(*) FILTER (WHERE a.value >= 5),
                   count(*) FILTER (WHERE a.value > 0 AND a.value < 5)) END AS determined
        FROM part a
        GROUP BY 1
    )
    SELECT a.week, a.stratum, a.told
    FROM part a JOIN whole w USING (week)
    WHERE a.told IS NOT NULL AND NOT w.determined
$$;
