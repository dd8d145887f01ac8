-- Small changes of alerts' numbers are told now and then, not with every judgement.

-- Written in the transaction that stores the verdicts from which an alert's numbers differ. When the
-- time has come the row becomes one of pending_judgements, and the judge tells what there is by then:
-- the last numbers are always told.
CREATE TABLE held_updates (
    alert_id bigint PRIMARY KEY,
    due_at   timestamptz NOT NULL
);
COMMENT ON TABLE held_updates IS 'Alerts whose latest numbers have not been told yet';
