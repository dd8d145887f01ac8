-- What came in, exactly once: offsets, batches, event versions, counts with their history.

CREATE TABLE stream_offsets (
    cluster     text   NOT NULL,
    topic       text   NOT NULL,
    partition   int    NOT NULL,
    next_offset bigint NOT NULL,
    updated_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (cluster, topic, partition)
);
COMMENT ON TABLE stream_offsets IS 'The truth about progress. A commit moves next_offset by compare-and-set, which fences stale workers';

CREATE TABLE offset_jumps (
    cluster     text   NOT NULL,
    topic       text   NOT NULL,
    partition   int    NOT NULL,
    from_offset bigint NOT NULL,
    to_offset   bigint NOT NULL,
    reason      text   NOT NULL,
    noticed_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE offset_jumps IS 'Progress that had to leave the log: records expired unread, or a topic made anew';

CREATE TABLE batches (
    batch_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    cluster      text   NOT NULL,
    topic        text   NOT NULL,
    partition    int    NOT NULL,
    from_offset  bigint NOT NULL,
    next_offset  bigint NOT NULL,
    records      int    NOT NULL,
    inserted     int    NOT NULL,
    replaced     int    NOT NULL,
    repeated     int    NOT NULL,
    refused      int    NOT NULL,
    worker       text   NOT NULL,
    received_at  timestamptz NOT NULL,
    recorded_at  timestamptz NOT NULL
);
COMMENT ON COLUMN batches.repeated IS 'Repeats of a stored revision, and revisions older than the stored one';
CREATE INDEX batches_recorded_at ON batches (recorded_at);

CREATE TABLE batch_sources (
    batch_id         bigint NOT NULL,
    source_id        text   NOT NULL,
    topic            text   NOT NULL,
    accepted         int    NOT NULL,
    refused          int    NOT NULL,
    last_occurred_at timestamptz,
    recorded_at      timestamptz NOT NULL
);
COMMENT ON TABLE batch_sources IS 'Per batch and source, append-only: no two workers contend for one row';
CREATE INDEX batch_sources_source ON batch_sources (source_id, topic, recorded_at);

-- What is counted: a signal in a region for a stratum. Counts carry its number instead of three texts.
CREATE TABLE series (
    series_id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    signal    text COLLATE "C" NOT NULL,
    region    text COLLATE "C" NOT NULL,
    stratum   text COLLATE "C" NOT NULL,
    UNIQUE (signal, region, stratum)
);

-- The latest revision of each event, narrow, for deduplication and for taking back old counts.
CREATE TABLE event_heads (
    event_key   uuid        PRIMARY KEY,
    revision    smallint    NOT NULL,
    cancelled   boolean     NOT NULL,
    occurred_at timestamptz NOT NULL,
    series      int[]       NOT NULL,
    amounts     numeric[]   NOT NULL,
    batch_id    bigint      NOT NULL
) WITH (fillfactor = 95);
COMMENT ON COLUMN event_heads.event_key IS 'MD5 of source_id, a line feed, and event_id';
COMMENT ON COLUMN event_heads.series IS 'The series that count the event, with the amounts they count';

-- Every accepted version of every event, append-only. A recount reads this and nothing else.
CREATE TABLE events (
    occurred_at timestamptz NOT NULL,
    event_key   uuid        NOT NULL,
    revision    smallint    NOT NULL,
    cancelled   boolean     NOT NULL,
    kind        text        NOT NULL,
    source_id   text        NOT NULL,
    facility_id text        NOT NULL,
    region      text        NOT NULL,
    stratum     text        NOT NULL,
    series      int[]       NOT NULL,
    amounts     numeric[]   NOT NULL,
    payload     json        NOT NULL,
    batch_id    bigint      NOT NULL,
    recorded_at timestamptz NOT NULL
);
CREATE INDEX events_occurred_at ON events (occurred_at DESC);

-- Each change of an hourly count, append-only: the sum up to T is what was known at T.
CREATE TABLE count_history (
    recorded_at timestamptz NOT NULL,
    series_id   int         NOT NULL,
    batch_id    bigint      NOT NULL,
    hour        timestamptz NOT NULL,
    change      numeric     NOT NULL
);
CREATE INDEX count_history_recorded_at ON count_history USING brin (recorded_at);

-- Room is left in the pages, so that a count grows in place.
CREATE TABLE hourly_counts (
    series_id int         NOT NULL,
    hour      timestamptz NOT NULL,
    value     numeric     NOT NULL,
    PRIMARY KEY (series_id, hour)
) WITH (fillfactor = 70);

CREATE TABLE daily_counts (
    series_id int     NOT NULL,
    day       date    NOT NULL,
    value     numeric NOT NULL,
    PRIMARY KEY (series_id, day)
) WITH (fillfactor = 70);
COMMENT ON TABLE daily_counts IS 'Roll-up of hourly_counts by local day, kept in the same transaction';

CREATE VIEW counts_hourly AS
    SELECT s.signal, s.region, s.stratum, c.hour, c.value
    FROM hourly_counts c JOIN series s USING (series_id);

CREATE VIEW counts_daily AS
    SELECT s.signal, s.region, s.stratum, c.day, c.value
    FROM daily_counts c JOIN series s USING (series_id);

-- Aggregated counts of the time before events flowed. For its periods an import takes the place of live counts.
CREATE TABLE imported_counts (
    signal      text    NOT NULL,
    region      text    NOT NULL REFERENCES regions,
    stratum     text    NOT NULL,
    grain       text    NOT NULL CHECK (grain IN ('day', 'week')),
    period      date    NOT NULL,
    value       numeric NOT NULL CHECK (value >= 0),
    imported_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (signal, region, stratum, grain, period)
);
CREATE INDEX imported_counts_extent ON imported_counts (signal, grain, period);

CREATE TABLE dead_letters (
    letter_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    cluster      text   NOT NULL,
    topic        text   NOT NULL,
    partition    int    NOT NULL,
    "offset"     bigint NOT NULL,
    reason       text   NOT NULL,
    sentence     text   NOT NULL,
    source_id    text,
    key          bytea,
    value        bytea,
    refused_at   timestamptz NOT NULL,
    published_at timestamptz,
    replayed_at  timestamptz
);
COMMENT ON COLUMN dead_letters."offset" IS 'Not unique: offsets begin again when a topic is made anew';
COMMENT ON COLUMN dead_letters.published_at IS 'When it was handed to the dead-letter topic; null: still to be handed over';
CREATE INDEX dead_letters_unpublished ON dead_letters (letter_id) WHERE published_at IS NULL;
CREATE INDEX dead_letters_source ON dead_letters (source_id, reason);
