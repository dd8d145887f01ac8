-- Letters are counted by reason without reading their records, and letters that no hand-over
-- took are found without looking at those that wait for the first.
CREATE INDEX dead_letters_counted ON dead_letters (reason)
    INCLUDE (refused_at, published_at, replayed_at);
CREATE INDEX dead_letters_set_aside ON dead_letters (letter_id)
    WHERE published_at IS NULL AND hand_over_failures > 0;
