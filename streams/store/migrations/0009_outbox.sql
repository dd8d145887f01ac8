-- Who is to be told of what, and the messages by which they are.

-- What is to be told: one row for an event of an alert and a channel. It is written in the
-- transaction that moves the follower `notify` past the event, so none is missed and none comes
-- twice. Without a delivery it waits for its time, or for its channel.
CREATE TABLE notifications (
    notification_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    alert_id    bigint NOT NULL,
    seq         int    NOT NULL,
    channel     text   NOT NULL,
    route       text   NOT NULL,
    digest      boolean NOT NULL,
    due_at      timestamptz NOT NULL,
    created_at  timestamptz NOT NULL,
    delivery_id uuid,
    UNIQUE (alert_id, seq, channel)
);
COMMENT ON COLUMN notifications.digest IS 'Goes out together with others, at due_at';
CREATE INDEX notifications_waiting ON notifications (channel, due_at) WHERE delivery_id IS NULL;
CREATE INDEX notifications_delivered ON notifications (delivery_id) WHERE delivery_id IS NOT NULL;

-- One message. Its id is the idempotency key that receivers see at each attempt. An attempt holds
-- a lease; when its worker dies the lease runs out and another one tries again.
CREATE TABLE notification_deliveries (
    delivery_id     uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    formed_no       bigint GENERATED ALWAYS AS IDENTITY,
    channel         text NOT NULL,
    rank            int  NOT NULL,
    digest          boolean NOT NULL,
    state           text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'sent', 'failed')),
    formed_at       timestamptz NOT NULL,
    next_attempt_at timestamptz NOT NULL,
    leased_until    timestamptz,
    attempts        int  NOT NULL DEFAULT 0,
    first_attempt_at timestamptz,
    sent_at         timestamptz,
    last_error      text,
    message         jsonb
);
COMMENT ON COLUMN notification_deliveries.rank IS 'The lower the more urgent';
COMMENT ON COLUMN notification_deliveries.message IS
    'Written before the first attempt, so that each attempt says the same';
CREATE INDEX notification_deliveries_waiting ON notification_deliveries (channel, next_attempt_at)
    WHERE state = 'waiting';
CREATE INDEX notification_deliveries_failed ON notification_deliveries (channel)
    WHERE state = 'failed';
CREATE INDEX notification_deliveries_sent ON notification_deliveries (sent_at)
    WHERE state = 'sent';

-- One row for a channel; its lock is held while a worker decides what the channel sends next.
CREATE TABLE notification_lanes (
    channel      text PRIMARY KEY,
    failures     int NOT NULL DEFAULT 0,
    paused_until timestamptz,
    recent       timestamptz[] NOT NULL DEFAULT '{}'
);
COMMENT ON COLUMN notification_lanes.failures IS 'In a row, until an attempt succeeds';
COMMENT ON COLUMN notification_lanes.recent IS 'Attempts of the latest minute, for the rate limit';

-- Nobody is told of what happened before there were notifications.
INSERT INTO alert_followers (follower, event_id)
SELECT 'notify', coalesce(max(event_id), 0) FROM alert_events;
