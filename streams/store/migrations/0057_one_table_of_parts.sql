-- Every way by which parts of a count are told gives the same cells: those of an epi week. Ages of a
-- region with regions below are rounded at random to tens: exact sums of the regions below would be
-- solved for the parts that are hidden there. See docs/adr/0018.

CREATE TABLE telling_key (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    key      uuid NOT NULL DEFAULT gen_random_uuid()
);
INSERT INTO telling_key DEFAULT VALUES;
COMMENT ON TABLE telling_key IS 'Secret by which counts are rounded: a cell is always rounded the same way';

CREATE FUNCTION told_tens(value double precision, cell text) RETURNS double precision
    LANGUAGE sql STABLE
AS $$
    SELECT nullif(10 * floor(
        (value + ('x' || substr(md5(k.key || cell), 1, 7))::bit(28)::int % 10) / 10), 0)
    FROM telling_key k
$$;
COMMENT ON FUNCTION told_tens IS
    'A multiple of ten less than ten away from the value, right on average; null for 0';

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
    ), whole AS (
        SELECT a.week, small_cells_determined(
            sum(a.value), sum(told_step(a.value)), count(*) FILTER (WHERE a.value >= 5),
            count(*) FILTER (WHERE a.value > 0 AND a.value < 5)) AS determined
        FROM age a
        GROUP BY 1
    )
    SELECT a.week, a.stratum, t.value
    FROM age a
    JOIN whole w USING (week)
    CROSS JOIN (SELECT EXISTS (SELECT FROM regions r WHERE r.parent = in_region) AS upper) p
    CROSS JOIN LATERAL (
        SELECT CASE
            WHEN p.upper THEN told_tens(a.value, concat_ws('|', in_signal, in_region, a.week, a.stratum))
            WHEN a.value >= 5 AND NOT w.determined THEN told_step(a.value) END AS value
    ) t
    WHERE t.value IS NOT NULL
$$;
COMMENT ON FUNCTION screen_age_weeks IS
    'Weekly counts by age group as they may be told: in steps of five, of upper regions rounded to tens';

CREATE OR REPLACE FUNCTION screen_ages(in_signal text, in_region text, in_to timestamptz)
    RETURNS TABLE (age text, observed double precision, usual double precision)
    LANGUAGE sql STABLE SECURITY DEFINER
AS $$
    WITH latest AS MATERIALIZED (
        SELECT l.week, l.week::timestamp AT TIME ZONE k.zone AS since
        FROM clock k CROSS JOIN (SELECT screen_last_week(in_signal, in_to) AS week) l
    ), cell AS MATERIALIZED (
        SELECT c.stratum, c.value, c.week, c.week = l.week AS now
        FROM latest l
        CROSS JOIN LATERAL screen_weeks(in_signal, in_region, l.week - 56, l.week) c
    ), before AS (
        SELECT nullif(count(DISTINCT c.week), 0) AS weeks FROM cell c WHERE NOT c.now
    ), age AS (
        SELECT c.stratum, (sum(c.value) FILTER (WHERE NOT c.now) / b.weeks)::float8 AS usual
        FROM cell c, before b
        GROUP BY c.stratum, b.weeks
    ), told AS (
        SELECT a.stratum, a.value
        FROM latest l CROSS JOIN LATERAL screen_age_weeks(in_signal, in_region, l.since, l.since) a
        WHERE a.week = l.week
    )
    SELECT CASE a.stratum WHEN 'unknown' THEN 'unknown 不详' WHEN 'all' THEN 'all 全部'
               ELSE a.stratum END,
           t.value, 5 * round(a.usual / 5)
    FROM age a LEFT JOIN told t USING (stratum)
    ORDER BY a.stratum = 'unknown', lpad(split_part(replace(a.stratum, '+', '-'), '-', 1), 3, '0')
$$;
