-- Screens say where a count is a lower bound, and tell less than one step of a facility's usual
-- count (0) from no history (null).
CREATE OR REPLACE VIEW screen_alerts AS
    SELECT a.alert_id, a.status NOT IN ('discarded', 'closed', 'merged') AS open,
           a.status, a.severity,
           array_position(ARRAY['info', 'warning', 'critical'], a.severity) AS severity_place,
           a.status NOT IN ('discarded', 'closed', 'merged') AND a.acknowledged_at IS NULL
               AS unread,
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
           a.quiet_since, a.assigned_to, a.risk, a.outcome,
           a.resumed_at, a.leading_rule,
           CASE WHEN a.incomplete THEN 'at least 至少' ELSE '' END AS bound
    FROM alerts a
    JOIN regions g ON g.code = a.region
    LEFT JOIN signals s ON s.signal = a.signal;
COMMENT ON COLUMN screen_alerts.bound IS 'What stands before observed, excess and ratio';

CREATE OR REPLACE VIEW screen_inbox AS
    SELECT r.rank, r.q_value, a.* FROM alert_ranks r JOIN screen_alerts a USING (alert_id);

DROP FUNCTION screen_below;
CREATE FUNCTION screen_below(in_signal text, in_region text, in_to timestamptz)
    RETURNS TABLE (region text, name text, level text, lat double precision, lon double precision,
                   rule text, period date, observed double precision, expected double precision,
                   upper double precision, excess double precision, ratio double precision,
                   alarm boolean, bound text)
    LANGUAGE sql STABLE
AS $$
    SELECT g.code, g.name_en || ' ' || g.name_zh, g.level, g.lat, g.lon, r.rule, v.period,
           v.observed, v.expected, v.upper, v.observed - coalesce(v.expected, 0),
           v.observed / nullif(v.expected, 0), v.alarm,
           CASE WHEN v.reason = 'incomplete' THEN 'at least 至少' ELSE '' END
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

DROP FUNCTION screen_judged;
CREATE FUNCTION screen_judged(in_region text, in_to timestamptz)
    RETURNS TABLE (rule text, signal text, signal_title text, level text, grain text,
                   "time" timestamptz, period date, observed double precision,
                   expected double precision, upper double precision, ratio double precision,
                   score double precision, p_value double precision, alarm boolean, reason text,
                   detector text, as_of timestamptz, bound text)
    LANGUAGE sql STABLE
AS $$
    SELECT r.rule, r.signal, s.title_en || ' ' || s.title_zh, r.level, r.grain,
           v.period::timestamp AT TIME ZONE k.zone, v.period, v.observed, v.expected, v.upper,
           v.observed / nullif(v.expected, 0), v.score, v.p_value, v.alarm, v.reason, r.detector,
           v.as_of, CASE WHEN v.reason = 'incomplete' THEN 'at least 至少' ELSE '' END
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

DO $$
DECLARE
    statement text := pg_get_functiondef('screen_facilities'::regproc);
BEGIN
    IF strpos(statement, 'nullif(told_step(f.usual), 0)') = 0 THEN
        RAISE EXCEPTION 'screen_facilities lacks its usual count';
    END IF;
    EXECUTE replace(statement, 'nullif(told_step(f.usual), 0)', 'told_step(f.usual)');
END
$$;
