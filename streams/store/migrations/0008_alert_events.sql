-- Alerts as the sum of their events.

-- Append-only. `event_id` follows the order of commits: every writer holds an advisory lock (see
-- streams.store.locks) from before it draws the number until it commits. A reader that has read up
-- to an event_id will therefore never find a smaller one that it has not seen.
CREATE TABLE alert_events (
    event_id bigint GENERATED ALWAYS AS IDENTITY,
    alert_id bigint NOT NULL,
    seq      int    NOT NULL CHECK (seq >= 1),
    at       timestamptz NOT NULL,
    actor    text   NOT NULL,
    kind     text   NOT NULL,
    change   jsonb  NOT NULL,
    PRIMARY KEY (alert_id, seq)
);
CREATE UNIQUE INDEX alert_events_in_order ON alert_events (event_id);
COMMENT ON TABLE alert_events IS 'The history of alerts; the table alerts is made from it';

-- How far each reader of the events has come.
CREATE TABLE alert_followers (
    follower text PRIMARY KEY,
    event_id bigint NOT NULL
);

ALTER TABLE alerts
    DROP CONSTRAINT alerts_status_check,
    ADD CONSTRAINT alerts_status_check CHECK (status IN ('new', 'verifying', 'monitoring',
        'discarded', 'assessing', 'confirmed', 'closed', 'merged')),
    ALTER COLUMN status DROP DEFAULT,
    ALTER COLUMN opened_at DROP DEFAULT,
    ALTER COLUMN updated_at DROP DEFAULT,
    ADD COLUMN version         int NOT NULL DEFAULT 1,
    ADD COLUMN decided_version int NOT NULL DEFAULT 1,
    ADD COLUMN revised         jsonb,
    ADD COLUMN quiet_since     date,
    ADD COLUMN suppressed      int NOT NULL DEFAULT 0,
    ADD COLUMN explanation     jsonb,
    ADD COLUMN assigned_to     text,
    ADD COLUMN acknowledged_at timestamptz,
    ADD COLUMN acknowledged_by text,
    ADD COLUMN escalated_at    timestamptz,
    ADD COLUMN likelihood      text,
    ADD COLUMN consequence     text,
    ADD COLUMN risk            text,
    ADD COLUMN outcome         text,
    ADD COLUMN merged_into     bigint,
    ADD COLUMN closed_at       timestamptz,
    ADD COLUMN judged_to       date;
ALTER TABLE alerts
    ALTER COLUMN version DROP DEFAULT,
    ALTER COLUMN decided_version DROP DEFAULT,
    ALTER COLUMN suppressed DROP DEFAULT;

DROP INDEX alerts_one_open;
CREATE UNIQUE INDEX alerts_one_open ON alerts (signal, region, rule)
    WHERE status NOT IN ('discarded', 'closed', 'merged');
CREATE INDEX alerts_by_series ON alerts (signal, region);
CREATE INDEX alerts_merged_into ON alerts (merged_into) WHERE merged_into IS NOT NULL;
CREATE INDEX alerts_unread ON alerts (opened_at) WHERE status = 'new';
CREATE INDEX verdicts_in_exceedance ON verdicts (rule, region, period) WHERE alarm;

-- Alerts from before had no history: they are opened with the numbers that they have now.
INSERT INTO alert_events (alert_id, seq, at, actor, kind, change)
SELECT alert_id, 1, opened_at, 'system', 'opened', jsonb_build_object(
    'kind', 'opened', 'severity', severity, 'signal', signal, 'region', region, 'rule', rule,
    'grain', grain, 'first_period', first_period, 'exceedances', greatest(exceedances, 1),
    'peak', peak, 'detector', detector, 'config_version', config_version, 'as_of', as_of,
    'figures', jsonb_build_object('period', last_period, 'observed', observed,
        'expected', expected, 'upper', upper, 'score', score, 'p_value', p_value))
FROM alerts ORDER BY alert_id;
UPDATE alerts SET updated_at = opened_at;

-- Corrections had taken all exceedances of these back.
INSERT INTO alert_events (alert_id, seq, at, actor, kind, change)
SELECT a.alert_id, 2, a.opened_at, 'system', 'revised', jsonb_build_object(
    'kind', 'revised', 'as_of', a.as_of,
    'before', jsonb_build_object('period', a.last_period, 'observed', a.observed,
        'expected', a.expected, 'upper', a.upper, 'score', a.score, 'p_value', a.p_value),
    'now', CASE WHEN v.observed IS NOT NULL THEN jsonb_build_object(
        'period', v.period, 'observed', v.observed, 'expected', v.expected, 'upper', v.upper,
        'score', v.score, 'p_value', v.p_value) END)
FROM alerts a
LEFT JOIN verdicts v ON v.rule = a.rule AND v.region = a.region AND v.period = a.last_period
WHERE a.exceedances = 0 ORDER BY a.alert_id;
UPDATE alerts a SET version = 2, revised = CASE jsonb_typeof(e.change -> 'now')
    WHEN 'object' THEN e.change -> 'now' END
FROM alert_events e WHERE e.alert_id = a.alert_id AND e.kind = 'revised';
