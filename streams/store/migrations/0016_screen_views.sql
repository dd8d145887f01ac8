-- What dashboards ask for, so that the SQL in them stays short. All names begin with screen_. The
-- role that `fenghuo db reader` makes reads these and little else: views read with their owner's
-- rights, functions with the reader's, save for the one that hides small cells.

CREATE VIEW screen_levels AS
    SELECT n.level, n.place, n.title
    FROM (VALUES ('nation', 1, 'Nation 全国'), ('province', 2, 'Province 省级'),
                 ('prefecture', 3, 'Prefecture 地市级'), ('county', 4, 'County 区县级'))
        AS n(level, place, title)
    WHERE EXISTS (SELECT FROM regions r WHERE r.level = n.level);

-- Names are not unique, labels have to be.
CREATE VIEW screen_regions AS
    SELECT r.code AS region, r.level, r.parent, r.lat, r.lon, r.population,
           r.name_en || ' ' || r.name_zh AS name,
           r.name_en || ' ' || r.name_zh || ' ' || r.code AS label
    FROM regions r
    WHERE r.valid_to IS NULL;

CREATE VIEW screen_signals AS
    SELECT s.signal, s.place, s.title_en || ' ' || s.title_zh AS title, s.kind,
           CASE WHEN s.kind = 'visits' THEN 'visits 人次'
               WHEN s.measure = 'quantity' THEN 'packs 盒' ELSE 'sales 笔' END AS unit
    FROM signals s;

CREATE VIEW screen_alerts AS
    SELECT a.alert_id, a.status NOT IN ('discarded', 'closed', 'merged') AS open,
           a.status, a.severity,
           array_position(ARRAY['info', 'warning', 'critical'], a.severity) AS severity_place,
           a.status = 'new' AND a.acknowledged_at IS NULL AS unread,
           a.escalated_at IS NOT NULL AND a.acknowledged_at IS NULL AS escalated,
           a.signal, coalesce(s.title_en || ' ' || s.title_zh, a.signal) AS signal_title,
           a.region, g.name_en || ' ' || g.name_zh AS region_name, g.level, g.lat, g.lon,
           a.rule, a.grain, a.first_period, a.last_period,
           CASE a.grain WHEN 'week' THEN a.last_period + 6 ELSE a.last_period END AS last_day,
           a.observed, a.expected, a.upper, a.observed - coalesce(a.expected, 0) AS excess,
           a.observed / nullif(a.expected, 0) AS ratio, a.score, a.p_value, a.exceedances, a.peak,
           (a.explanation ->> 'completeness')::float8 AS completeness,
           (a.explanation ->> 'doubling_days')::float8 AS doubling_days,
           a.opened_at, a.updated_at, a.acknowledged_at, a.escalated_at, a.closed_at,
           a.quiet_since, a.assigned_to, a.risk, a.outcome
    FROM alerts a
    JOIN regions g ON g.code = a.region
    LEFT JOIN signals s ON s.signal = a.signal;

CREATE VIEW screen_inbox AS
    SELECT r.rank, r.q_value, a.* FROM alert_ranks r JOIN screen_alerts a USING (alert_id);
COMMENT ON VIEW screen_inbox IS 'Open alerts in the order of the triage page';

CREATE VIEW screen_rules AS
    SELECT r.rule, r.place, r.signal, r.level, r.grain, r.severity, r.detector,
           r.rule || ' · ' || CASE r.grain WHEN 'week' THEN 'week 周'
               WHEN 'rolling7' THEN '7 days 7天' ELSE 'day 日' END AS label
    FROM rules r;

CREATE VIEW screen_age_groups AS
    SELECT DISTINCT s.signal, s.stratum AS age,
           CASE s.stratum WHEN 'unknown' THEN 'unknown 不详' WHEN 'all' THEN 'no age 无年龄'
               ELSE s.stratum END AS title
    FROM series s;

CREATE VIEW screen_links AS SELECT l.name, l.url FROM links l;

-- -- counts ---------------------------------------------------------------------------------------

CREATE FUNCTION screen_days(in_signal text, in_region text, in_first date, in_last date)
    RETURNS TABLE (day date, stratum text, value numeric)
    LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT l.period, l.stratum, l.value
    FROM level_counts l
    WHERE l.region = in_region AND l.signal = in_signal AND l.grain = 'day'
      AND l.period BETWEEN in_first AND in_last
    UNION ALL
    SELECT c.day, c.stratum, c.value
    FROM counts_by_day c
    WHERE c.region = in_region AND c.signal = in_signal AND c.day BETWEEN in_first AND in_last
$$;
COMMENT ON FUNCTION screen_days IS 'Daily counts of a region of any level; rows of a day and stratum add up';

CREATE FUNCTION screen_weeks(in_signal text, in_region text, in_first date, in_last date)
    RETURNS TABLE (week date, stratum text, value numeric)
    LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT l.period, l.stratum, l.value
    FROM level_counts l
    WHERE l.region = in_region AND l.signal = in_signal AND l.grain = 'week'
      AND l.period BETWEEN in_first AND in_last
    UNION ALL
    SELECT i.period, i.stratum, i.value
    FROM imported_counts i
    WHERE i.region = in_region AND i.signal = in_signal AND i.grain = 'week'
      AND i.period BETWEEN in_first AND in_last
    UNION ALL
    SELECT c.day - (c.day - k.week_origin) % 7, c.stratum, c.value
    FROM clock k, counts_by_day c
    WHERE c.region = in_region AND c.signal = in_signal AND c.day BETWEEN in_first AND in_last + 6
      AND NOT EXISTS (
          SELECT FROM imported_counts i
          WHERE i.signal = in_signal AND i.region = in_region AND i.grain = 'week'
            AND i.period = c.day - (c.day - k.week_origin) % 7)
$$;
COMMENT ON FUNCTION screen_weeks IS 'The same by epi week';

-- From one end to the other of what is live, no row means no case.
CREATE FUNCTION screen_extent(in_signal text, in_region text)
    RETURNS TABLE (first date, last date)
    LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    WITH own AS (
        SELECT min(x.first) AS first, max(x.last) AS last
        FROM series s
        CROSS JOIN LATERAL (
            SELECT (SELECT min(d.day) FROM daily_counts d WHERE d.series_id = s.series_id) AS first,
                   (SELECT max(d.day) FROM daily_counts d WHERE d.series_id = s.series_id) AS last
        ) x
        WHERE s.signal = in_signal AND s.region = in_region
    ), below AS (
        SELECT min(l.period) AS first FROM level_counts l
        WHERE l.region = in_region AND l.signal = in_signal AND l.grain = 'day'
    ), all_of_it AS (
        SELECT max(l.period) AS last FROM level_counts l
        WHERE l.region = (SELECT r.code FROM regions r WHERE r.parent IS NULL LIMIT 1)
          AND l.signal = in_signal AND l.grain = 'day'
    )
    SELECT least(own.first, below.first), greatest(own.last, all_of_it.last)
    FROM own, below, all_of_it
$$;
COMMENT ON FUNCTION screen_extent IS
    'First live day of a signal in a region, and the last one anywhere; null where there is none';

-- `in_age` '*' means all. A week stands at its first day, seven days at their last one.
CREATE FUNCTION screen_series(in_signal text, in_region text, in_grain text, in_age text,
                              in_from timestamptz, in_to timestamptz)
    RETURNS TABLE ("time" timestamptz, period date, value double precision)
    LANGUAGE sql STABLE
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
        WHERE in_grain = 'week' AND in_age IN ('*', c.stratum)
        UNION ALL
        SELECT c.day, c.value
        FROM span s CROSS JOIN LATERAL screen_days(in_signal, in_region, s.first, s.to_day) c
        WHERE in_grain = 'day' AND in_age IN ('*', c.stratum)
        UNION ALL
        SELECT c.day + n, c.value
        FROM span s
        CROSS JOIN LATERAL screen_days(in_signal, in_region, s.first - 6, s.to_day) c
        CROSS JOIN generate_series(0, 6) n
        WHERE in_grain = 'rolling7' AND in_age IN ('*', c.stratum)
          AND c.day + n BETWEEN s.first AND s.zero_to AND c.day + n >= s.zero_from
        UNION ALL
        SELECT d::date, 0
        FROM span s
        CROSS JOIN LATERAL generate_series(
            s.first::timestamp, s.zero_to::timestamp,
            CASE in_grain WHEN 'week' THEN interval '7 days' ELSE interval '1 day' END) d
        WHERE d::date >= s.zero_from
    )
    SELECT c.period::timestamp AT TIME ZONE s.zone, c.period, sum(c.value)::float8
    FROM cell c, span s
    GROUP BY c.period, s.zone
    ORDER BY c.period
$$;
COMMENT ON FUNCTION screen_series IS
    'Counts of a signal in a region of any level, by day, rolling7 or week; 0 where live counts have no case';

-- -- verdicts -------------------------------------------------------------------------------------

CREATE FUNCTION screen_observed(in_signal text, in_rule text, in_region text, in_age text,
                                in_from timestamptz, in_to timestamptz)
    RETURNS TABLE ("time" timestamptz, period date, observed double precision,
                   expected double precision, upper double precision, exceedance double precision)
    LANGUAGE sql STABLE
AS $$
    SELECT s."time", s.period, s.value, v.expected, v.upper, CASE WHEN v.alarm THEN s.value END
    FROM (
        SELECT coalesce(max(r.grain), 'week') AS grain FROM rules r WHERE r.rule = in_rule
    ) g
    CROSS JOIN LATERAL
        screen_series(in_signal, in_region, g.grain, in_age, in_from, in_to) s
    LEFT JOIN verdicts v ON v.rule = in_rule AND v.region = in_region AND v.period = s.period
        AND in_age = '*'
    ORDER BY 1
$$;
COMMENT ON FUNCTION screen_observed IS
    'Counts beside the verdicts of a rule, in its grain; by week without a rule, without verdicts for one age group';

-- The nation, judged by its own rule where there is one.
CREATE FUNCTION screen_nation(in_signal text, in_from timestamptz, in_to timestamptz)
    RETURNS TABLE ("time" timestamptz, period date, observed double precision,
                   expected double precision, upper double precision, exceedance double precision)
    LANGUAGE sql STABLE
AS $$
    SELECT o.*
    FROM (SELECT n.code, n.level FROM regions n WHERE n.parent IS NULL ORDER BY n.code LIMIT 1) n
    CROSS JOIN LATERAL (
        SELECT (SELECT r.rule FROM rules r WHERE r.signal = in_signal AND r.level = n.level
                ORDER BY r.place LIMIT 1) AS rule
    ) r
    CROSS JOIN LATERAL
        screen_observed(in_signal, coalesce(r.rule, ''), n.code, '*', in_from, in_to) o
$$;

CREATE FUNCTION screen_judged(in_region text, in_to timestamptz)
    RETURNS TABLE (rule text, signal text, signal_title text, level text, grain text,
                   "time" timestamptz, period date, observed double precision,
                   expected double precision, upper double precision, ratio double precision,
                   score double precision, p_value double precision, alarm boolean, reason text,
                   detector text, as_of timestamptz)
    LANGUAGE sql STABLE
AS $$
    SELECT r.rule, r.signal, s.title_en || ' ' || s.title_zh, r.level, r.grain,
           v.period::timestamp AT TIME ZONE k.zone, v.period, v.observed, v.expected, v.upper,
           v.observed / nullif(v.expected, 0), v.score, v.p_value, v.alarm, v.reason, r.detector,
           v.as_of
    FROM regions g
    JOIN rules r ON r.level = g.level
    JOIN signals s ON s.signal = r.signal
    CROSS JOIN clock k
    CROSS JOIN LATERAL (
        SELECT * FROM verdicts w
        WHERE w.rule = r.rule AND w.region = g.code
          AND w.period <= (in_to AT TIME ZONE k.zone)::date
        ORDER BY w.period DESC LIMIT 1
    ) v
    WHERE g.code = in_region
    ORDER BY r.place
$$;
COMMENT ON FUNCTION screen_judged IS 'The latest verdict of each rule on a region';

CREATE FUNCTION screen_below(in_signal text, in_region text, in_to timestamptz)
    RETURNS TABLE (region text, name text, level text, lat double precision, lon double precision,
                   rule text, period date, observed double precision, expected double precision,
                   upper double precision, excess double precision, ratio double precision,
                   alarm boolean)
    LANGUAGE sql STABLE
AS $$
    SELECT g.code, g.name_en || ' ' || g.name_zh, g.level, g.lat, g.lon, r.rule, v.period,
           v.observed, v.expected, v.upper, v.observed - coalesce(v.expected, 0),
           v.observed / nullif(v.expected, 0), v.alarm
    FROM regions g
    CROSS JOIN clock k
    CROSS JOIN LATERAL (
        SELECT u.rule FROM rules u WHERE u.signal = in_signal AND u.level = g.level
        ORDER BY u.place LIMIT 1
    ) r
    CROSS JOIN LATERAL (
        SELECT * FROM verdicts w
        WHERE w.rule = r.rule AND w.region = g.code AND w.observed IS NOT NULL
          AND w.period <= (in_to AT TIME ZONE k.zone)::date
        ORDER BY w.period DESC LIMIT 1
    ) v
    WHERE g.parent = in_region AND g.valid_to IS NULL
$$;
COMMENT ON FUNCTION screen_below IS
    'The regions directly below, each with the latest verdict of the first rule of its level';

-- -- breakdowns -----------------------------------------------------------------------------------

CREATE FUNCTION screen_last_week(in_signal text, in_to timestamptz) RETURNS date
    LANGUAGE sql STABLE
AS $$
    SELECT d.day - 6 - (d.day - 6 - k.week_origin) % 7
    FROM clock k
    CROSS JOIN LATERAL (
        SELECT least((in_to AT TIME ZONE k.zone)::date,
                     (SELECT max(e.last) FROM screen_extent(
                         in_signal, (SELECT r.code FROM regions r WHERE r.parent IS NULL LIMIT 1)
                     ) e)) AS day
    ) d
$$;
COMMENT ON FUNCTION screen_last_week IS 'First day of the latest week that is over and wholly live';

CREATE FUNCTION screen_ages(in_signal text, in_region text, in_to timestamptz)
    RETURNS TABLE (age text, observed double precision, usual double precision)
    LANGUAGE sql STABLE
AS $$
    WITH latest AS MATERIALIZED (
        SELECT screen_last_week(in_signal, in_to) AS week
    ), cell AS MATERIALIZED (
        SELECT c.stratum, c.value, c.week, c.week = l.week AS now
        FROM latest l
        CROSS JOIN LATERAL screen_weeks(in_signal, in_region, l.week - 56, l.week) c
    ), before AS (
        SELECT nullif(count(DISTINCT c.week), 0) AS weeks FROM cell c WHERE NOT c.now
    )
    SELECT CASE c.stratum WHEN 'unknown' THEN 'unknown 不详' WHEN 'all' THEN 'all 全部'
               ELSE c.stratum END,
           coalesce(sum(c.value) FILTER (WHERE c.now), 0)::float8,
           (sum(c.value) FILTER (WHERE NOT c.now) / b.weeks)::float8
    FROM cell c, before b
    GROUP BY c.stratum, b.weeks
    ORDER BY c.stratum = 'unknown', lpad(split_part(replace(c.stratum, '+', '-'), '-', 1), 3, '0')
$$;
COMMENT ON FUNCTION screen_ages IS
    'Age groups in the latest whole week, and their mean over up to eight weeks before';

CREATE FUNCTION screen_age_curves(in_signal text, in_region text, in_from timestamptz,
                                  in_to timestamptz)
    RETURNS TABLE ("time" timestamptz, metric text, value double precision)
    LANGUAGE sql STABLE
AS $$
    SELECT c.week::timestamp AT TIME ZONE k.zone,
           CASE c.stratum WHEN 'unknown' THEN 'unknown 不详' WHEN 'all' THEN 'all 全部'
               ELSE c.stratum END,
           sum(c.value)::float8
    FROM clock k
    CROSS JOIN LATERAL (
        SELECT f.day - (f.day - k.week_origin) % 7 AS first, (in_to AT TIME ZONE k.zone)::date AS last
        FROM (SELECT (in_from AT TIME ZONE k.zone)::date AS day) f
    ) d
    CROSS JOIN LATERAL screen_weeks(in_signal, in_region, d.first, d.last) c
    GROUP BY c.week, c.stratum, k.zone
    ORDER BY 1, 2
$$;
COMMENT ON FUNCTION screen_age_curves IS 'Weekly counts by age group';

-- Cells of 1 to 4 are null, and only whole weeks are told: days or chosen ranges could be
-- subtracted from each other until single patients are left.
CREATE FUNCTION screen_facilities(in_signal text, in_region text, in_to timestamptz)
    RETURNS TABLE (region text, region_name text, facility text, observed double precision,
                   usual double precision, small boolean)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path FROM CURRENT
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
    )
    SELECT f.region, g.name_en || ' ' || g.name_zh, f.facility_id,
           CASE WHEN f.observed BETWEEN 0.001 AND 4.999 THEN NULL ELSE f.observed END,
           CASE WHEN f.usual BETWEEN 0.001 AND 4.999 THEN NULL ELSE f.usual END,
           f.observed BETWEEN 0.001 AND 4.999
    FROM facility f JOIN regions g ON g.code = f.region
    ORDER BY f.observed DESC, f.facility_id
    LIMIT 200
$$;
COMMENT ON FUNCTION screen_facilities IS
    'Facilities in the latest whole week, small cells hidden; nothing where more than 60 regions lie below';
REVOKE ALL ON FUNCTION screen_facilities FROM PUBLIC;

-- Shifted by whole weeks, so that weekdays and weeks fall together.
CREATE FUNCTION screen_former_years(in_signal text, in_region text, in_age text,
                                    in_from timestamptz, in_to timestamptz)
    RETURNS TABLE ("time" timestamptz, metric text, value double precision)
    LANGUAGE sql STABLE
AS $$
    SELECT (s.period + b.days)::timestamp AT TIME ZONE k.zone,
           CASE n WHEN 0 THEN 'this time 本期' WHEN 1 THEN '1 year before 1年前'
               ELSE format('%s years before %s年前', n, n) END,
           s.value
    FROM clock k
    CROSS JOIN generate_series(0, 4) n
    CROSS JOIN LATERAL (SELECT 7 * round(n * 52.1775)::int AS days) b
    CROSS JOIN LATERAL screen_series(
        in_signal, in_region, 'week', in_age, in_from - make_interval(days => b.days),
        in_to - make_interval(days => b.days)) s
    ORDER BY 1, n
$$;

-- -- marks on curves ------------------------------------------------------------------------------

CREATE FUNCTION screen_marks(in_signal text, in_region text, in_from timestamptz,
                             in_to timestamptz, in_page text)
    RETURNS TABLE ("time" timestamptz, timeend timestamptz, text text, tags text)
    LANGUAGE sql STABLE
AS $$
    SELECT a.first_period::timestamp AT TIME ZONE k.zone,
           (a.last_day + 1)::timestamp AT TIME ZONE k.zone,
           format('<b>%s</b> %s<br>%s: %s observed 观察, %s expected 预期<br>'
                  '<a href="%s/alerts/%s">Alert 预警 %s</a>',
                  a.severity, a.signal_title, a.rule, round(a.observed::numeric),
                  coalesce(round(a.expected::numeric)::text, '–'), in_page, a.alert_id, a.alert_id),
           concat_ws(',', a.severity, a.status, 'alert:' || a.alert_id)
    FROM screen_alerts a, clock k
    WHERE a.signal = in_signal AND a.region = in_region AND a.status <> 'merged'
      AND a.first_period <= (in_to AT TIME ZONE k.zone)::date
      AND a.last_day >= (in_from AT TIME ZONE k.zone)::date
    ORDER BY 1
$$;
COMMENT ON FUNCTION screen_marks IS 'Alerts as annotations; what was merged is part of another one';

-- Counts settle when 95 % are in: as arrivals of the latest 60 days tell, backfills of more than 30
-- days apart; two days where they tell nothing, never more than fourteen.
CREATE FUNCTION screen_settled_after(in_signal text) RETURNS int
    LANGUAGE sql STABLE
AS $$
    SELECT least(14, coalesce((
        SELECT ceil(min(a.within) / 24.0)::int
        FROM (
            SELECT d.within,
                   sum(sum(d.value)) OVER (ORDER BY d.within) / sum(sum(d.value)) OVER () AS share
            FROM arrivals d, clock k
            WHERE d.signal = in_signal AND d.within > 0 AND d.day > k.today - 60
            GROUP BY 1
        ) a
        WHERE a.share >= 0.95
    ), 2))
$$;
COMMENT ON FUNCTION screen_settled_after IS 'Days after which a day''s counts are nearly all in';

CREATE FUNCTION screen_provisional(in_signal text, in_from timestamptz, in_to timestamptz)
    RETURNS TABLE ("time" timestamptz, timeend timestamptz, text text, tags text)
    LANGUAGE sql STABLE
AS $$
    SELECT (e.last + 1 - n.days)::timestamp AT TIME ZONE k.zone,
           (e.last + 1)::timestamp AT TIME ZONE k.zone,
           format('Provisional 暂定: counts of the latest %s days are still coming in '
                  '最近%s天的数据仍在上报', n.days, n.days),
           'provisional'
    FROM clock k
    CROSS JOIN LATERAL (
        SELECT x.last FROM screen_extent(
            in_signal, (SELECT r.code FROM regions r WHERE r.parent IS NULL LIMIT 1)) x
    ) e
    CROSS JOIN LATERAL (SELECT screen_settled_after(in_signal) AS days) n
    WHERE (e.last + 1)::timestamp AT TIME ZONE k.zone >= in_from
      AND (e.last + 1 - n.days)::timestamp AT TIME ZONE k.zone <= in_to
$$;
COMMENT ON FUNCTION screen_provisional IS 'The latest days, whose counts are still coming in, as an annotation';
