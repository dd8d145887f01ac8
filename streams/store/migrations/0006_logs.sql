-- Offsets belong to a log: the id that Kafka gives a topic when it is made takes the place of the
-- cluster's. A topic that is deleted and made anew has its name again, but is another log.

ALTER TABLE stream_offsets RENAME COLUMN cluster TO log;
ALTER TABLE offset_jumps RENAME COLUMN cluster TO log;
ALTER TABLE batches RENAME COLUMN cluster TO log;
ALTER TABLE dead_letters RENAME COLUMN cluster TO log;

COMMENT ON COLUMN stream_offsets.log IS 'Id of the topic; in rows older than this column''s name, the id of the cluster';
