-- What Grafana has been told of alerts.

-- One row for each alert that changed since Grafana was first followed. It is written in the
-- transaction that moves the follower `grafana` past the alert's events, so none is missed; only
-- the newest state of an alert is pushed. The row of an alert that is being pushed holds a lease:
-- when its worker dies the lease runs out and another one goes on. Rows may be deleted at any time:
-- the annotation is then found again by its tag.
CREATE TABLE grafana_annotations (
    alert_id       bigint PRIMARY KEY,
    wanted         int    NOT NULL,
    pushed         int    NOT NULL DEFAULT 0,
    annotation_id  bigint,
    content        text,
    attempts       int    NOT NULL DEFAULT 0,
    doubtful_since timestamptz,
    leased_until   timestamptz NOT NULL DEFAULT '-infinity',
    not_before     timestamptz NOT NULL DEFAULT '-infinity'
);
COMMENT ON TABLE grafana_annotations IS 'What Grafana has been told of alerts, and is still to be told';
COMMENT ON COLUMN grafana_annotations.wanted IS 'Version of the alert that Grafana is to show';
COMMENT ON COLUMN grafana_annotations.pushed IS 'Version that Grafana was last told of';
COMMENT ON COLUMN grafana_annotations.annotation_id IS 'In Grafana; null: none, or not known';
COMMENT ON COLUMN grafana_annotations.content IS 'Fingerprint of what Grafana was last told';
COMMENT ON COLUMN grafana_annotations.attempts IS 'Refusals in a row';
COMMENT ON COLUMN grafana_annotations.doubtful_since IS
    'An annotation was sent and no answer came: it may still appear, beside another one';
CREATE INDEX grafana_annotations_waiting ON grafana_annotations (alert_id)
    WHERE pushed < wanted OR doubtful_since IS NOT NULL;
