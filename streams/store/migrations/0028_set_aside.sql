-- One row that cannot be handed over blocks no queue: it is set aside with its reason.

ALTER TABLE dead_letters
    ADD COLUMN hand_over_failures int         NOT NULL DEFAULT 0,
    ADD COLUMN hand_over_after    timestamptz NOT NULL DEFAULT '-infinity',
    ADD COLUMN hand_over_note     text;
COMMENT ON COLUMN dead_letters.hand_over_after IS
    'Not handed over before; later than the present for a letter that was set aside';
COMMENT ON COLUMN dead_letters.hand_over_note IS
    'Why the letter waits, or what of it was left out';
DROP INDEX dead_letters_unpublished;
CREATE INDEX dead_letters_waiting ON dead_letters (hand_over_after, letter_id)
    WHERE published_at IS NULL;

-- Events of alerts that a follower could not deal with; the follower has passed them.
CREATE TABLE set_aside (
    follower text        NOT NULL,
    event_id bigint      NOT NULL,
    alert_id bigint      NOT NULL,
    seq      int         NOT NULL,
    reason   text        NOT NULL,
    at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (follower, event_id)
);
COMMENT ON TABLE set_aside IS 'Events of alerts that a follower could not deal with, and why';

ALTER TABLE grafana_annotations ADD COLUMN last_error text;
COMMENT ON COLUMN grafana_annotations.last_error IS 'Why the alert is not shown as it is';
