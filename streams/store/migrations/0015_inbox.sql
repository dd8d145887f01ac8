-- In which order open alerts are looked at: the few that matter first.

-- q_value is Benjamini's and Hochberg's adjusted p-value (1995, J. R. Statist. Soc. B 57, 289-300):
-- among the alerts with a q-value up to q, the expected share of false ones is at most q. The family
-- is every series that rules judge, not only those that raised an alert, since alerts are what is
-- left after looking for small p-values. Series without an open alert count with p = 1, which is
-- more than theirs: so the q-value errs to the safe side.
CREATE VIEW alert_ranks AS
WITH family AS (
    SELECT coalesce(sum((
        SELECT count(*) FROM regions g WHERE g.level = r.level AND g.valid_to IS NULL
    )), 0) AS tests
    FROM rules r
), standing AS (
    SELECT a.*, a.exceedances = 0 OR a.quiet_since IS NOT NULL AS over,
           CASE WHEN a.exceedances > 0 THEN a.p_value END AS p
    FROM alerts a
    WHERE a.status NOT IN ('discarded', 'closed', 'merged')
), ordered AS (
    SELECT s.alert_id, s.p, row_number() OVER (ORDER BY s.p, s.alert_id) AS place,
           greatest(f.tests, count(*) OVER ()) AS tests
    FROM standing s, family f
    WHERE s.p IS NOT NULL
), adjusted AS (
    SELECT o.alert_id,
           least(1.0, min(o.p * o.tests::float8 / o.place) OVER (ORDER BY o.place DESC)) AS q_value
    FROM ordered o
)
SELECT s.alert_id, q.q_value,
       row_number() OVER (ORDER BY
           s.over,
           array_position(ARRAY['critical', 'warning', 'info'], s.severity),
           CASE s.risk WHEN 'very_high' THEN 0 WHEN 'high' THEN 1 WHEN 'moderate' THEN 3
               WHEN 'low' THEN 4 ELSE 2 END,
           coalesce(q.q_value <= 0.05, false) DESC,
           CASE WHEN s.acknowledged_at IS NOT NULL THEN 2 WHEN s.escalated_at IS NULL THEN 1
               ELSE 0 END,
           q.q_value NULLS LAST,
           s.p NULLS LAST,
           s.score DESC NULLS LAST,
           s.observed - coalesce(s.expected, 0) DESC,
           s.last_period DESC,
           s.alert_id DESC
       ) AS rank
FROM standing s LEFT JOIN adjusted q USING (alert_id);
COMMENT ON VIEW alert_ranks IS
    'Open alerts: what is over comes last; then by severity, risk (not assessed: between moderate and high), false-discovery rate up to 5 %, unread and escalated, q-value, score, excess, recency';
