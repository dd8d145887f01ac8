-- Judges' looks are ordered by number. By the database's clock, a verdict that was judged before the
-- clock was set back stood for ever: later ones were older.
CREATE SEQUENCE judging_looks;
COMMENT ON SEQUENCE judging_looks IS 'Orders the looks of all judges at the counts';
ALTER TABLE verdicts ADD COLUMN look bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN verdicts.look IS 'Number of the look that judged it; a later look replaces it';
