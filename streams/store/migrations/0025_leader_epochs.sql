-- A log that lost its end and has grown past it again holds other records at the same offsets. The
-- epoch of the leader that wrote the last record which was read tells it (Kafka's KIP-320).

ALTER TABLE stream_offsets ADD COLUMN leader_epoch int;
COMMENT ON COLUMN stream_offsets.leader_epoch IS
    'Epoch of the leader that wrote the record before next_offset; NULL: not known';
