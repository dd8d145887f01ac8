-- A sign-in that was checked against the former password begins no session after the change.

ALTER TABLE users ADD COLUMN access_epoch integer NOT NULL DEFAULT 0;
COMMENT ON COLUMN users.access_epoch IS 'Counts how often sessions and tokens were ended';
