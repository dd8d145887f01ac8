-- A series that cannot be judged is set aside: it must not block the others.

-- One row per rule and region whose judgement failed, with the days that changed meanwhile. It is
-- tried again at `retry_at`; a success deletes the row. The rule '*' stands for all rules of the
-- signal: the region is not in the registry, so no rule can be applied to it.
CREATE TABLE judging_quarantine (
    signal    text NOT NULL,
    rule      text NOT NULL,
    region    text NOT NULL,
    first_day date NOT NULL,
    last_day  date NOT NULL,
    reason    text NOT NULL,
    failures  int  NOT NULL,
    since     timestamptz NOT NULL,
    retry_at  timestamptz NOT NULL,
    -- Grows with every change that is added: a judge deletes only what it has seen.
    changes   int  NOT NULL DEFAULT 1,
    PRIMARY KEY (signal, rule, region)
);
COMMENT ON TABLE judging_quarantine IS 'Series whose judgement failed, why, and when it is retried';

-- Health depends on how long the oldest change has been waiting. now() is one value for all rows:
-- the table is not rewritten.
ALTER TABLE pending_judgements ADD COLUMN noted_at timestamptz NOT NULL DEFAULT now();
