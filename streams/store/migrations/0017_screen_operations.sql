-- What dashboards ask for about the data and the machinery; see 0016.

CREATE FUNCTION screen_completeness(in_region text, in_kind text, in_from timestamptz,
                                    in_to timestamptz)
    RETURNS TABLE ("time" timestamptz, day date, facilities int, usual double precision,
                   completeness double precision)
    LANGUAGE sql STABLE
AS $$
    WITH span AS MATERIALIZED (
        SELECT k.zone, (in_from AT TIME ZONE k.zone)::date AS first,
               (in_to AT TIME ZONE k.zone)::date AS last
        FROM clock k
    ), known AS MATERIALIZED (
        SELECT r.day, r.facilities
        FROM span s
        JOIN facility_reports r ON r.region = in_region AND r.kind = in_kind
            AND r.day BETWEEN s.first - 56 AND s.last
    ), usual AS (
        SELECT p.day + 7 * n AS day,
               CASE WHEN count(*) >= 4
                   THEN percentile_cont(0.5) WITHIN GROUP (ORDER BY p.facilities) END AS facilities
        FROM known p CROSS JOIN generate_series(1, 8) n
        GROUP BY 1
    )
    SELECT r.day::timestamp AT TIME ZONE s.zone, r.day, r.facilities, u.facilities,
           r.facilities / nullif(u.facilities, 0)
    FROM span s
    JOIN known r ON r.day >= s.first
    LEFT JOIN usual u ON u.day = r.day
    ORDER BY r.day
$$;
COMMENT ON FUNCTION screen_completeness IS
    'Facilities that reported on a day, against the median of the same weekday in the eight weeks before';

CREATE FUNCTION screen_completeness_below(in_region text, in_kind text, in_to timestamptz)
    RETURNS TABLE (region text, name text, level text, day date, facilities int,
                   usual double precision, completeness double precision)
    LANGUAGE sql STABLE
AS $$
    SELECT g.code, g.name_en || ' ' || g.name_zh, g.level, l.day, coalesce(c.facilities, 0), c.usual,
           coalesce(c.facilities, 0) / nullif(c.usual, 0)
    FROM clock k
    CROSS JOIN LATERAL (
        -- Today is still filling up.
        SELECT max(r.day) AS day FROM facility_reports r
        WHERE r.region = in_region AND r.kind = in_kind
          AND r.day < least(k.today, (in_to AT TIME ZONE k.zone)::date + 1)
    ) l
    JOIN regions g ON g.parent = in_region AND g.valid_to IS NULL
    CROSS JOIN LATERAL (
        SELECT max(p.facilities) FILTER (WHERE p.day = l.day) AS facilities,
               percentile_cont(0.5) WITHIN GROUP (ORDER BY p.facilities)
                   FILTER (WHERE p.day < l.day) AS usual
        FROM facility_reports p
        WHERE p.region = g.code AND p.kind = in_kind
          AND p.day IN (l.day, l.day - 7, l.day - 14, l.day - 21, l.day - 28, l.day - 35,
                        l.day - 42, l.day - 49, l.day - 56)
    ) c
    WHERE c.usual IS NOT NULL
$$;
COMMENT ON FUNCTION screen_completeness_below IS 'The same for the regions directly below, on the latest whole day';

CREATE FUNCTION screen_timeliness(in_signals text[], in_from timestamptz, in_to timestamptz)
    RETURNS TABLE ("time" timestamptz, counted double precision, within_1_day double precision,
                   within_3_days double precision, within_7_days double precision)
    LANGUAGE sql STABLE
AS $$
    SELECT d.day::timestamp AT TIME ZONE k.zone, sum(d.value)::float8,
           coalesce(sum(d.value) FILTER (WHERE d.within BETWEEN 1 AND 24), 0)::float8,
           coalesce(sum(d.value) FILTER (WHERE d.within BETWEEN 1 AND 72), 0)::float8,
           coalesce(sum(d.value) FILTER (WHERE d.within BETWEEN 1 AND 168), 0)::float8
    FROM clock k
    CROSS JOIN LATERAL (
        SELECT a.day, a.within, sum(a.value) AS value
        FROM arrivals a
        WHERE a.day BETWEEN (in_from AT TIME ZONE k.zone)::date AND (in_to AT TIME ZONE k.zone)::date
          AND a.signal = ANY(in_signals)
        GROUP BY 1, 2
    ) d
    GROUP BY d.day, k.zone
    ORDER BY d.day
$$;
COMMENT ON FUNCTION screen_timeliness IS 'What came in on a day, and how much of it was so fresh';

CREATE FUNCTION screen_arrivals(in_signals text[], in_from timestamptz, in_to timestamptz)
    RETURNS TABLE (place int, delay text, counted double precision)
    LANGUAGE sql STABLE
AS $$
    SELECT d.place, d.delay, a.value::float8
    FROM (
        SELECT x.within, sum(x.value) AS value
        FROM clock k
        JOIN arrivals x ON x.day BETWEEN (in_from AT TIME ZONE k.zone)::date
                                     AND (in_to AT TIME ZONE k.zone)::date
        WHERE x.signal = ANY(in_signals)
        GROUP BY 1
    ) a
    JOIN (VALUES (1, 1, '≤ 1 h'), (3, 2, '≤ 3 h'), (6, 3, '≤ 6 h'), (12, 4, '≤ 12 h'),
                 (24, 5, '≤ 1 d'), (48, 6, '≤ 2 d'), (72, 7, '≤ 3 d'), (168, 8, '≤ 7 d'),
                 (336, 9, '≤ 14 d'), (720, 10, '≤ 30 d'), (0, 11, '> 30 d'))
        AS d(within, place, delay) USING (within)
    ORDER BY d.place
$$;
COMMENT ON FUNCTION screen_arrivals IS 'How long counts took from the event to the database';

-- A source is silent when it is out by its own habits: a day for one that sends daily, two gaps for
-- one that sends seldom. One that was heard on fewer than five days has no habits yet, and one that
-- has been gone for sixty is no source any more.
CREATE VIEW screen_sources AS
    SELECT source_id, topic, s.first_received, s.last_received, s.last_event, s.days,
           h.hours AS hours_silent,
           s.days >= 5 AND h.hours > 24 * greatest(1, 2 * g.gap - 1) AND h.hours < 24 * 60 AS silent,
           t.accepted AS accepted_2_days, t.refused AS refused_2_days
    FROM sources s
    CROSS JOIN clock k
    CROSS JOIN LATERAL (
        SELECT extract(epoch FROM now() - s.last_received)::float8 / 3600 AS hours
    ) h
    CROSS JOIN LATERAL (
        SELECT ((s.last_received AT TIME ZONE k.zone)::date
                - (s.first_received AT TIME ZONE k.zone)::date + 1)::float8
               / greatest(s.days, 1) AS gap
    ) g
    LEFT JOIN (
        SELECT d.source_id, d.topic, sum(d.accepted)::bigint AS accepted,
               sum(d.refused)::bigint AS refused
        FROM source_days d
        WHERE d.day >= (SELECT n.today - 1 FROM clock n)
        GROUP BY 1, 2
    ) t USING (source_id, topic)
    WHERE source_id <> 'unknown';

-- Neither the record nor the sentence, which may quote it.
CREATE VIEW screen_refusals AS
    SELECT d.refused_at AS "time", d.topic, d.reason, d.source_id, d.published_at, d.replayed_at
    FROM dead_letters d;

-- Floating point: whole numbers are added up as numeric, which takes three times as long.
CREATE VIEW screen_intake AS
    SELECT m.minute AS "time", m.topic, m.batches, m.records::float8, m.inserted::float8,
           m.replaced::float8, m.repeated::float8, m.refused::float8, m.seconds, m.slowest
    FROM intake_minutes m;
COMMENT ON VIEW screen_intake IS 'By minute, of the latest 30 days';

CREATE VIEW screen_intake_hours AS
    SELECT h.hour AS "time", h.topic, h.batches, h.records::float8, h.inserted::float8,
           h.replaced::float8, h.repeated::float8, h.refused::float8, h.seconds, h.slowest
    FROM intake_hours h;

CREATE VIEW screen_judging AS
    SELECT r.since AS "time", r.* FROM judging_runs r;

CREATE VIEW screen_lag AS
    SELECT o.topic, o.partition, o.next_offset, e.end_offset,
           greatest(0, e.end_offset - o.next_offset) AS lag, o.updated_at, e.seen_at
    FROM stream_offsets o
    JOIN log_ends e USING (log, topic, partition)
    WHERE e.seen_at > now() - interval '1 day';
COMMENT ON VIEW screen_lag IS 'Records that are not in the database yet, as a worker last saw the logs';

-- One row. What waits is counted no further than there is something to tell.
CREATE VIEW screen_pipeline AS
    SELECT (SELECT max(b.recorded_at) FROM batches b) AS last_commit,
           extract(epoch FROM now() - (SELECT max(b.recorded_at) FROM batches b))::float8
               AS seconds_since_commit,
           (SELECT sum(l.lag) FROM screen_lag l)::float8 AS lag,
           (SELECT count(*) FROM (SELECT FROM pending_judgements LIMIT 100000) p) AS to_judge,
           CASE WHEN EXISTS (SELECT FROM pending_judgements)
               THEN extract(epoch FROM now() - (
                   SELECT max(m.last_at) FROM judging_runs m WHERE m.rule = '*'))
               ELSE 0 END::float8 AS seconds_without_judging,
           (SELECT count(*) FROM pending_roll_ups) AS to_roll_up,
           (SELECT count(*) FROM dead_letters d WHERE d.published_at IS NULL) AS letters_waiting,
           (SELECT coalesce(max(e.event_id), 0) FROM alert_events e)
               - (SELECT coalesce(min(f.event_id), 0) FROM alert_followers f) AS events_waiting,
           (SELECT count(*) FROM notification_deliveries d WHERE d.state = 'failed') AS failed,
           (SELECT count(*) FROM notification_deliveries d
            WHERE d.state = 'waiting' AND d.attempts > 0) AS retrying,
           (SELECT count(*) FROM grafana_annotations g
            WHERE g.pushed < g.wanted OR g.doubtful_since IS NOT NULL) AS annotations_waiting;

CREATE VIEW screen_followers AS
    SELECT f.follower, greatest(0, m.last - f.event_id) AS behind
    FROM alert_followers f
    CROSS JOIN (SELECT coalesce(max(e.event_id), 0) AS last FROM alert_events e) m;

CREATE VIEW screen_channels AS
    SELECT l.channel, l.failures, l.paused_until,
           (SELECT count(*) FROM notifications n
            WHERE n.channel = l.channel AND n.delivery_id IS NULL AND n.due_at > now()) AS held,
           (SELECT count(*) FROM notifications n
            WHERE n.channel = l.channel AND n.delivery_id IS NULL AND n.due_at <= now())
               + (SELECT count(*) FROM notification_deliveries d
                  WHERE d.channel = l.channel AND d.state = 'waiting') AS waiting,
           (SELECT count(*) FROM notification_deliveries d
            WHERE d.channel = l.channel AND d.state = 'failed') AS failed,
           (SELECT count(*) FROM notification_deliveries d
            WHERE d.channel = l.channel AND d.state = 'sent'
              AND d.sent_at > now() - interval '24 hours') AS sent_24h
    FROM notification_lanes l;
COMMENT ON VIEW screen_channels IS 'Without messages and errors, which may hold addresses';

CREATE VIEW screen_jumps AS
    SELECT j.noticed_at AS "time", j.topic, j.partition, j.from_offset, j.to_offset, j.reason
    FROM offset_jumps j;
