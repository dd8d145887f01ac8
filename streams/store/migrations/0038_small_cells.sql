-- Small cells on dashboards by the rule of streams/alerts/small_cells.py: counts by facility or by age
-- group only over whole weeks, in steps of five, none below five, and none of a region and week whose
-- exact total would determine one that is left out. The role that dashboards read with reaches counts
-- by age through these functions only, so they run with their owner's rights; their search path is
-- fixed by streams/store/hardening.py.

CREATE FUNCTION told_step(value double precision) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT floor(value / 5) * 5
$$;
COMMENT ON FUNCTION told_step IS 'The multiple of five at or below a count';

CREATE FUNCTION small_cells_determined(total double precision, told double precision, large bigint,
                                       small bigint)
    RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT small > 0 AND least(4, total - told - (small - 1))
                         - greatest(1, total - told - 4 * large - 4 * (small - 1)) < 1
$$;
COMMENT ON FUNCTION small_cells_determined IS
    'Whether the exact total and the steps of all parts from five on leave a part below five one value only';

CREATE FUNCTION screen_age_weeks(in_signal text, in_region text, in_from timestamptz,
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
    ), whole AS (
        SELECT a.week, small_cells_determined(
            sum(a.value), sum(told_step(a.value)), count(*) FILTER (WHERE a.value >= 5),
            count(*) FILTER (WHERE a.value > 0 AND a.value < 5)) AS determined
        FROM age a
        GROUP BY 1
    )
    SELECT a.week, a.stratum,
           CASE WHEN a.value >= 5 AND NOT w.determined THEN told_step(a.value) END
    FROM age a JOIN whole w USING (week)
$$;
COMMENT ON FUNCTION screen_age_weeks IS 'Weekly counts by age group as they may be told; null: not told';

CREATE OR REPLACE FUNCTION screen_age_curves(in_signal text, in_region text, in_from timestamptz,
                                             in_to timestamptz)
    RETURNS TABLE ("time" timestamptz, metric text, value double precision)
    LANGUAGE sql STABLE SECURITY DEFINER
AS $$
    SELECT a.week::timestamp AT TIME ZONE k.zone,
           CASE a.stratum WHEN 'unknown' THEN 'unknown 不详' WHEN 'all' THEN 'all 全部'
               ELSE a.stratum END,
           a.value
    FROM clock k CROSS JOIN screen_age_weeks(in_signal, in_region, in_from, in_to) a
    ORDER BY 1, 2
$$;

-- One age group is told by week, whatever grain is asked for: days and weeks of the same cases would
-- be subtracted from each other.
CREATE OR REPLACE FUNCTION screen_series(in_signal text, in_region text, in_grain text, in_age text,
                              in_from timestamptz, in_to timestamptz)
    RETURNS TABLE ("time" timestamptz, period date, value double precision)
    LANGUAGE sql STABLE SECURITY DEFINER
AS $$
    WITH span AS MATERIALIZED (
        SELECT k.zone, f.day AS from_day, t.day AS to_day, e.first AS live_from,
               CASE in_grain WHEN 'week' THEN f.day - (f.day - k.week_origin) % 7 ELSE f.day END
                   AS first,
               CASE in_grain WHEN 'week' THEN e.first - (e.first - k.week_origin) % 7
                   WHEN 'rolling7' THEN e.first + 6 ELSE e.first END AS zero_from,
               least(e.last, t.day) AS zero_to
        FROM clock k
        CROSS JOIN LATERAL (SELECT (in_from AT TIME ZONE k.zone)::date AS day) f
        CROSS JOIN LATERAL (SELECT (in_to AT TIME ZONE k.zone)::date AS day) t
        CROSS JOIN screen_extent(in_signal, in_region) e
    ), cell AS (
        SELECT c.week AS period, c.value
        FROM span s CROSS JOIN LATERAL screen_weeks(in_signal, in_region, s.first, s.to_day) c
        WHERE in_grain = 'week' AND in_age = '*'
        UNION ALL
        SELECT c.day, c.value
        FROM span s CROSS JOIN LATERAL screen_days(in_signal, in_region, s.first, s.to_day) c
        WHERE in_grain = 'day' AND in_age = '*'
        UNION ALL
        SELECT c.day + n, c.value
        FROM span s
        CROSS JOIN LATERAL screen_days(in_signal, in_region, s.first - 6, s.to_day) c
        CROSS JOIN generate_series(0, 6) n
        WHERE in_grain = 'rolling7' AND in_age = '*'
          AND c.day + n BETWEEN s.first AND s.zero_to AND c.day + n >= s.zero_from
        UNION ALL
        SELECT d::date, 0
        FROM span s
        CROSS JOIN LATERAL generate_series(
            s.first::timestamp, s.zero_to::timestamp,
            CASE in_grain WHEN 'week' THEN interval '7 days' ELSE interval '1 day' END) d
        WHERE d::date >= s.zero_from AND in_age = '*'
    )
    SELECT c.period::timestamp AT TIME ZONE s.zone, c.period, sum(c.value)::float8
    FROM cell c, span s
    GROUP BY c.period, s.zone
    UNION ALL
    SELECT a.week::timestamp AT TIME ZONE k.zone, a.week, a.value
    FROM clock k CROSS JOIN screen_age_weeks(in_signal, in_region, in_from, in_to) a
    WHERE in_age <> '*' AND a.stratum = in_age AND a.value IS NOT NULL
    ORDER BY 2
$$;

CREATE OR REPLACE FUNCTION screen_ages(in_signal text, in_region text, in_to timestamptz)
    RETURNS TABLE (age text, observed double precision, usual double precision)
    LANGUAGE sql STABLE SECURITY DEFINER
AS $$
    WITH latest AS MATERIALIZED (
        SELECT screen_last_week(in_signal, in_to) AS week
    ), cell AS MATERIALIZED (
        SELECT c.stratum, c.value, c.week, c.week = l.week AS now
        FROM latest l
        CROSS JOIN LATERAL screen_weeks(in_signal, in_region, l.week - 56, l.week) c
    ), before AS (
        SELECT nullif(count(DISTINCT c.week), 0) AS weeks FROM cell c WHERE NOT c.now
    ), age AS (
        SELECT c.stratum, coalesce(sum(c.value) FILTER (WHERE c.now), 0)::float8 AS observed,
               (sum(c.value) FILTER (WHERE NOT c.now) / b.weeks)::float8 AS usual
        FROM cell c, before b
        GROUP BY c.stratum, b.weeks
    ), whole AS (
        SELECT small_cells_determined(
            sum(a.observed), sum(told_step(a.observed)), count(*) FILTER (WHERE a.observed >= 5),
            count(*) FILTER (WHERE a.observed > 0 AND a.observed < 5)) AS determined
        FROM age a
    )
    SELECT CASE a.stratum WHEN 'unknown' THEN 'unknown 不详' WHEN 'all' THEN 'all 全部'
               ELSE a.stratum END,
           CASE WHEN a.observed >= 5 AND NOT w.determined THEN told_step(a.observed) END,
           5 * round(a.usual / 5)
    FROM age a, whole w
    ORDER BY a.stratum = 'unknown', lpad(split_part(replace(a.stratum, '+', '-'), '-', 1), 3, '0')
$$;

CREATE OR REPLACE FUNCTION screen_facilities(in_signal text, in_region text, in_to timestamptz)
    RETURNS TABLE (region text, region_name text, facility text, observed double precision,
                   usual double precision, small boolean)
    LANGUAGE sql STABLE SECURITY DEFINER
AS $$
    WITH latest AS MATERIALIZED (
        SELECT screen_last_week(in_signal, in_to) AS week, e.first AS live_from
        FROM screen_extent(in_signal, in_region) e
    ), place AS MATERIALIZED (
        SELECT a.region FROM region_ancestors a
        WHERE a.ancestor = in_region
          AND (SELECT count(*) FROM region_ancestors n WHERE n.ancestor = in_region) <= 60
    ), facility AS (
        SELECT f.region, f.facility_id,
               coalesce(sum(f.value) FILTER (WHERE f.day >= l.week), 0)::float8 AS observed,
               round(sum(f.value) FILTER (WHERE f.day < l.week)
                     / nullif(least(8, (l.week - l.live_from) / 7), 0))::float8 AS usual
        FROM latest l
        CROSS JOIN place p
        JOIN facility_counts f ON f.region = p.region AND f.signal = in_signal
            AND f.day BETWEEN l.week - 56 AND l.week + 6
        GROUP BY f.region, f.facility_id, l.week, l.live_from
    ), known AS (
        SELECT f.*, small_cells_determined(
            sum(f.observed) OVER (PARTITION BY f.region),
            sum(told_step(f.observed)) OVER (PARTITION BY f.region),
            count(*) FILTER (WHERE f.observed >= 5) OVER (PARTITION BY f.region),
            count(*) FILTER (WHERE f.observed > 0 AND f.observed < 5) OVER (PARTITION BY f.region)
        ) AS determined
        FROM facility f
    )
    SELECT f.region, g.name_en || ' ' || g.name_zh, f.facility_id,
           CASE WHEN f.observed > 0 AND f.observed < 5 THEN NULL ELSE told_step(f.observed) END,
           5 * round(f.usual / 5),
           f.observed > 0 AND f.observed < 5
    FROM known f JOIN regions g ON g.code = f.region
    WHERE NOT f.determined
    ORDER BY told_step(f.observed) DESC, f.facility_id
    LIMIT 200
$$;

-- Days only.
ALTER FUNCTION screen_extent SECURITY DEFINER;
