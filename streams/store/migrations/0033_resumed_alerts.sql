-- An alert shows the numbers of the highest of all that were merged into it, and tells when an
-- exceedance begins again.

ALTER TABLE alerts
    ADD COLUMN leading_rule     text,
    ADD COLUMN own_first_period date,
    ADD COLUMN own_last_period  date,
    ADD COLUMN resumed_at       timestamptz;
-- Until now the numbers were those of the alert's own rule.
UPDATE alerts SET own_first_period = first_period, own_last_period = last_period;
ALTER TABLE alerts
    ALTER COLUMN own_first_period SET NOT NULL,
    ALTER COLUMN own_last_period SET NOT NULL;
COMMENT ON COLUMN alerts.leading_rule IS
    'Rule of the numbers where it is that of a merged alert; NULL: the alert''s own';

-- Alerts that are open are judged again: what was merged into them is part of their state now.
INSERT INTO pending_judgements (signal, region, day)
SELECT a.signal, a.region, a.last_period
FROM alerts a
WHERE a.status NOT IN ('discarded', 'closed', 'merged');

-- Escalation looks for alerts that nobody has read since they opened or resumed.
DROP INDEX alerts_unread;
CREATE INDEX alerts_unread ON alerts (opened_at)
    WHERE acknowledged_at IS NULL AND status NOT IN ('discarded', 'closed', 'merged');

-- An alert that resumed is unread again, whatever people had made of it before.
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
           a.resumed_at, a.leading_rule
    FROM alerts a
    JOIN regions g ON g.code = a.region
    LEFT JOIN signals s ON s.signal = a.signal;
