-- Where: the region registry as loaded by `fenghuo db migrate`, and what this installation is.

CREATE TABLE installation (
    key   text PRIMARY KEY,
    value text NOT NULL
);
COMMENT ON TABLE installation IS 'Settings that stored counts depend on: time_zone, epi_week, regions';

CREATE TABLE regions (
    code       text PRIMARY KEY,
    level      text NOT NULL,
    parent     text REFERENCES regions,
    name_zh    text NOT NULL,
    name_en    text NOT NULL,
    lat        double precision,
    lon        double precision,
    population bigint,
    valid_from date,
    valid_to   date
);

CREATE TABLE region_ancestors (
    region   text NOT NULL REFERENCES regions ON DELETE CASCADE,
    ancestor text NOT NULL REFERENCES regions ON DELETE CASCADE,
    level    text NOT NULL,
    PRIMARY KEY (region, ancestor)
);
COMMENT ON TABLE region_ancestors IS 'Each region with itself and every region above it; level is the ancestor''s';
CREATE INDEX region_ancestors_ancestor ON region_ancestors (ancestor, region);

CREATE FUNCTION local_day(at timestamptz) RETURNS date
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN (at AT TIME ZONE (SELECT value FROM installation WHERE key = 'time_zone'))::date;

CREATE FUNCTION epi_week(day date) RETURNS date
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN CASE (SELECT value FROM installation WHERE key = 'epi_week')
        WHEN 'mmwr' THEN date_trunc('week', (day + 1)::timestamp)::date - 1
        ELSE date_trunc('week', day::timestamp)::date
    END;
COMMENT ON FUNCTION epi_week IS 'First day of the epidemiological week of a day';
