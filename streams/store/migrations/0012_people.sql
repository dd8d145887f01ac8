-- Who uses the triage page and the API: accounts, sessions, tokens, sign-ins that failed.

CREATE TABLE users (
    user_id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name          text COLLATE "C" NOT NULL UNIQUE,
    display_name  text NOT NULL,
    role          text NOT NULL CHECK (role IN ('viewer', 'officer', 'epidemiologist', 'admin')),
    region        text NOT NULL REFERENCES regions,
    locale        text NOT NULL CHECK (locale IN ('zh', 'en')),
    password_hash text,
    must_change_password boolean NOT NULL DEFAULT false,
    oidc_subject  text UNIQUE,
    disabled      boolean NOT NULL DEFAULT false,
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_sign_in_at timestamptz
);
COMMENT ON COLUMN users.name IS 'NFKC, case folded; the actor of alert events';
COMMENT ON COLUMN users.region IS 'What lies in this region, with all below it, is theirs to see';
COMMENT ON COLUMN users.password_hash IS 'Argon2id; null: signs in by OpenID Connect, or has tokens only';
COMMENT ON COLUMN users.oidc_subject IS 'Issuer, a blank, and subject; noted at the first sign-in';

-- Whoever reads this table gets no session: only digests of the cookies are kept.
CREATE TABLE web_sessions (
    session_hash bytea PRIMARY KEY,
    user_id      bigint NOT NULL REFERENCES users ON DELETE CASCADE,
    csrf_token   text NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    seen_at      timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON COLUMN web_sessions.session_hash IS 'SHA-256 of the cookie';
CREATE INDEX web_sessions_user ON web_sessions (user_id);
CREATE INDEX web_sessions_seen_at ON web_sessions (seen_at);

CREATE TABLE api_tokens (
    token_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    token_hash bytea  NOT NULL UNIQUE,
    user_id    bigint NOT NULL REFERENCES users ON DELETE CASCADE,
    label      text   NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz,
    used_at    timestamptz
);
COMMENT ON COLUMN api_tokens.token_hash IS 'SHA-256 of the token';
COMMENT ON COLUMN api_tokens.used_at IS 'To the hour';
CREATE INDEX api_tokens_user ON api_tokens (user_id);

-- Shared by all processes that serve the page. What was typed is not kept: people type passwords
-- into the field for the name.
CREATE TABLE sign_in_failures (
    key      bytea PRIMARY KEY,
    failures int NOT NULL,
    last_at  timestamptz NOT NULL
);
COMMENT ON COLUMN sign_in_failures.key IS 'SHA-256 of a name, an address, or both';
CREATE INDEX sign_in_failures_last_at ON sign_in_failures (last_at);
