-- Explanations that are made again when neighbours have been judged, and how old an alert was when it
-- began.

-- What an explanation knew of the neighbours of its alert. Written with the explanation, compared with
-- their verdicts every few seconds, deleted when the alert is decided or after two weeks.
CREATE TABLE explained_neighbours (
    alert_id   bigint PRIMARY KEY,
    rule       text        NOT NULL,
    period     date        NOT NULL,
    regions    text[]      NOT NULL,
    known      jsonb       NOT NULL,
    renewals   int         NOT NULL DEFAULT 0,
    look_after timestamptz NOT NULL,
    look_until timestamptz NOT NULL
);
COMMENT ON TABLE explained_neighbours IS 'Neighbours of explained alerts, and what the explanation knew of them';
COMMENT ON COLUMN explained_neighbours.known IS 'What the explanation says of them, see streams/alerts/explaining/neighbours.py';
COMMENT ON COLUMN explained_neighbours.renewals IS
    'Explanations of this period that were made for the neighbours'' sake: the pause grows with them';

ALTER TABLE alerts ADD COLUMN begun_to date;
COMMENT ON COLUMN alerts.begun_to IS
    'Last day of the latest exceedance when the alert opened, or resumed the last time';
UPDATE alerts a
SET begun_to = (e.change -> 'figures' ->> 'period')::date
               + CASE coalesce(e.change ->> 'grain', a.grain) WHEN 'week' THEN 6 ELSE 0 END
FROM alert_events e
WHERE e.alert_id = a.alert_id
  AND e.seq = (SELECT max(l.seq) FROM alert_events l
               WHERE l.alert_id = a.alert_id AND l.kind IN ('opened', 'resumed'));
