-- What was found: work for the detectors, their verdicts, the alerts.

-- Series to judge again, written with the counts that changed. Append-only, so that ingest never
-- waits for a judge; judges take rows with SKIP LOCKED and delete them with their verdicts.
CREATE TABLE pending_judgements (
    pending_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    signal     text NOT NULL,
    region     text NOT NULL,
    day        date NOT NULL
);

CREATE TABLE verdicts (
    rule     text    NOT NULL,
    region   text    NOT NULL,
    period   date    NOT NULL,
    observed double precision,
    expected double precision,
    upper    double precision,
    score    double precision,
    p_value  double precision,
    alarm    boolean NOT NULL,
    reason   text    NOT NULL,
    as_of    timestamptz NOT NULL,
    config_version text NOT NULL,
    PRIMARY KEY (rule, region, period)
);
COMMENT ON TABLE verdicts IS 'The latest judgement of each period; as_of tells which data it saw';

CREATE TABLE alerts (
    alert_id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    status         text   NOT NULL DEFAULT 'new' CHECK (status IN
        ('new', 'verifying', 'monitoring', 'discarded', 'assessing', 'confirmed', 'closed')),
    severity       text   NOT NULL,
    signal         text   NOT NULL,
    region         text   NOT NULL REFERENCES regions,
    rule           text   NOT NULL,
    grain          text   NOT NULL,
    first_period   date   NOT NULL,
    last_period    date   NOT NULL,
    exceedances    int    NOT NULL,
    observed       double precision NOT NULL,
    expected       double precision,
    upper          double precision,
    score          double precision,
    p_value        double precision,
    peak           double precision NOT NULL,
    detector       jsonb  NOT NULL,
    config_version text   NOT NULL,
    as_of          timestamptz NOT NULL,
    opened_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at     timestamptz NOT NULL DEFAULT clock_timestamp()
);
-- One open alert for a signal, region and rule, whatever two workers do at the same time.
CREATE UNIQUE INDEX alerts_one_open ON alerts (signal, region, rule)
    WHERE status NOT IN ('discarded', 'closed');
CREATE INDEX alerts_opened_at ON alerts (opened_at DESC);
