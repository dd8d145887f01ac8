-- An open alert whose count becomes a multiple of what was announced is announced again.

ALTER TABLE alerts
    ADD COLUMN worsened_at timestamptz,
    ADD COLUMN announced   jsonb;
COMMENT ON COLUMN alerts.worsened_at IS
    'When its count became a multiple of what was announced, the last time';
COMMENT ON COLUMN alerts.announced IS
    'The figures that were announced last: period, observed, grain, rule; when it worsened lately';

-- Until now alerts were announced when they opened or resumed.
UPDATE alerts a
SET announced = jsonb_build_object(
        'period', e.change -> 'figures' -> 'period',
        'observed', e.change -> 'figures' -> 'observed',
        'grain', coalesce(e.change ->> 'grain', a.grain),
        'rule', coalesce(e.change ->> 'leading_rule', a.rule),
        'worsened', '[]'::jsonb)
FROM alert_events e
WHERE e.alert_id = a.alert_id
  AND e.seq = (SELECT max(l.seq) FROM alert_events l
               WHERE l.alert_id = a.alert_id AND l.kind IN ('opened', 'resumed'));
