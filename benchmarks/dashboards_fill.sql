-- Three years of a country, made up; parameters: none. What no query of a dashboard reads is left
-- empty, and of facilities only what the breakdown reaches back.

INSERT INTO series (signal, region, stratum)
SELECT s.signal, r.code, t.stratum
FROM signals s
JOIN regions r ON r.level = 'county' AND r.valid_to IS NULL
JOIN (VALUES ('ili', ARRAY['0-4', '5-14', '15-24', '25-59', '60+', 'unknown'])) a(signal, strata)
    ON true
CROSS JOIN LATERAL unnest(CASE WHEN s.signal = a.signal THEN a.strata ELSE ARRAY['all'] END) t(stratum);

ALTER TABLE daily_counts DROP CONSTRAINT daily_counts_pkey;
INSERT INTO daily_counts (series_id, day, value)
SELECT s.series_id, current_date - n,
       20 + (s.series_id * 7 + n * 13) % 31 + round(15 * cos(n / 58.1))
FROM generate_series(0, 1094) n, series s;
ALTER TABLE daily_counts ADD PRIMARY KEY (series_id, day);

INSERT INTO level_counts (region, signal, grain, period, stratum, value)
SELECT g.region, x.signal, 'day', current_date - n, x.stratum,
       g.below * (20 + n % 31 + round(15 * cos(n / 58.1)))
FROM (SELECT ancestor AS region, count(*) AS below FROM region_ancestors
      WHERE ancestor <> region GROUP BY 1) g,
     (SELECT DISTINCT signal, stratum FROM series) x,
     generate_series(0, 1094) n;
INSERT INTO level_counts (region, signal, grain, period, stratum, value)
SELECT region, signal, 'week', epi.week, stratum, sum(value)
FROM level_counts l
JOIN (SELECT d::date AS day, epi_week(d::date) AS week
      FROM generate_series(current_date - 1094, current_date, interval '1 day') d) epi
    ON epi.day = l.period
WHERE grain = 'day'
GROUP BY 1, 2, 4, 5;

-- Baselines of the years before, imported by week for one signal.
INSERT INTO imported_counts (signal, region, stratum, grain, period, value)
SELECT 'ili', r.code, 'all', 'week', epi_week(current_date - 1094) - 7 * n, 200 + n % 40
FROM regions r, generate_series(1, 104) n
WHERE r.level = 'county' AND r.valid_to IS NULL;

INSERT INTO verdicts (rule, region, period, observed, expected, upper, score, p_value, alarm,
                      reason, as_of, config_version)
SELECT u.rule, r.code, d.period, 300, 250, 320, 1.2, 0.1, abs(hashint8(d.n * 7919 + r.no)) % 50 = 0,
       'ok', now(), 'bench'
FROM rules u
JOIN (SELECT code, level, row_number() OVER () AS no FROM regions WHERE valid_to IS NULL) r
    ON r.level = u.level
CROSS JOIN LATERAL (
    SELECT n, CASE u.grain WHEN 'week' THEN epi_week(current_date) - 7 * n ELSE current_date - n END
               AS period
    FROM generate_series(0, CASE u.grain WHEN 'week' THEN 155 ELSE 1094 END) n
) d;

-- One in ten series has an open alert; three years have left twenty times as many closed ones.
INSERT INTO alerts (status, severity, signal, region, rule, grain, first_period, last_period,
                    exceedances, observed, expected, upper, score, p_value, peak, detector,
                    config_version, as_of, opened_at, updated_at, version, decided_version,
                    suppressed, acknowledged_at, escalated_at, outcome, closed_at, explanation)
SELECT CASE WHEN x.n = 0 THEN (ARRAY['new', 'verifying', 'assessing'])[1 + r.no % 3] ELSE 'closed' END,
       u.severity, u.signal, r.code, u.rule, u.grain, epi_week(current_date) - 50 * x.n - 14,
       epi_week(current_date) - 50 * x.n, 3, 300 + r.no % 700, 250, 280, 3, 0.001 / (1 + r.no % 97),
       400, '{}', 'bench', now(), now() - make_interval(days => 50 * x.n::int, hours => r.no::int % 60),
       now(), 3, 1, 0, CASE WHEN r.no % 3 > 0 OR x.n > 0 THEN now() END,
       CASE WHEN r.no % 11 = 0 THEN now() END,
       CASE WHEN x.n > 0 THEN (ARRAY['outbreak', 'explained', 'false_alarm'])[1 + r.no % 3] END,
       CASE WHEN x.n > 0 THEN now() END, '{"completeness": 0.97, "doubling_days": 6}'
FROM rules u
JOIN (SELECT code, level, row_number() OVER () AS no FROM regions WHERE valid_to IS NULL) r
    ON r.level = u.level AND (r.no + hashtext(u.rule)) % 10 = 0
CROSS JOIN generate_series(0, 20) x(n)
WHERE u.grain = 'week';
INSERT INTO alert_events (alert_id, seq, at, actor, kind, change)
SELECT alert_id, n, now(), 'system', 'updated', '{}' FROM alerts, generate_series(1, 3) n;
UPDATE alert_followers SET event_id = (SELECT max(event_id) FROM alert_events);

INSERT INTO facility_counts (region, signal, day, facility_id, source_id, value)
SELECT r.code, s.signal, current_date - n, r.code || '-F' || f, 'his-1', (n * f) % 23
FROM regions r, (VALUES ('ili'), ('antipyretic')) s(signal), generate_series(0, 89) n,
     generate_series(1, 6) f
WHERE r.level = 'county' AND r.valid_to IS NULL;
INSERT INTO facility_reports (region, kind, day, facilities)
SELECT g.region, k.kind, current_date - n, 6 * g.below - n % 2
FROM (SELECT ancestor AS region, count(*) AS below FROM region_ancestors GROUP BY 1) g,
     (VALUES ('visits'), ('sales')) k(kind), generate_series(0, 1094) n;

INSERT INTO arrivals (day, signal, within, value)
SELECT current_date - n, s.signal, w.within, 1000000 / (1 + w.within)
FROM generate_series(0, 1094) n, signals s,
     (VALUES (1), (3), (6), (12), (24), (48), (72), (168), (336), (720), (0)) w(within);
INSERT INTO intake_minutes
SELECT date_trunc('minute', now()) - make_interval(mins => n), t.topic, 20, 4000, 3800, 50, 100, 50,
       4, 0.6
FROM generate_series(0, 30 * 1440) n, (VALUES ('visits'), ('sales')) t(topic);
INSERT INTO intake_hours
SELECT date_trunc('hour', now()) - make_interval(hours => n), t.topic, 1200, 240000, 228000, 3000,
       6000, 3000, 240, 0.6
FROM generate_series(0, 1095 * 24) n, (VALUES ('visits'), ('sales')) t(topic);
INSERT INTO batches (log, topic, partition, from_offset, next_offset, records, inserted, replaced,
                     repeated, refused, worker, received_at, recorded_at)
SELECT 'log', 'visits', n % 8, n, n + 1, 4000, 3800, 50, 100, 50, 'w', now() - make_interval(secs => n),
       now() - make_interval(secs => n)
FROM generate_series(0, 1000000) n;
INSERT INTO sources
SELECT 'his-' || n, 'visits', now() - interval '3 years', now() - make_interval(hours => n % 40),
       now(), 1090
FROM generate_series(1, 3000) n;
INSERT INTO source_days
SELECT current_date - d, 'his-' || n, 'visits', 1000, 3
FROM generate_series(1, 3000) n, generate_series(0, 89) d;
INSERT INTO judging_runs
SELECT date_bin('10 minutes', now(), '2000-01-01Z') - make_interval(mins => 10 * n), r.rule, 120,
       30000, 11, 0.4, now()
FROM generate_series(0, 90 * 144) n, (SELECT rule FROM rules UNION ALL SELECT '*') r;
INSERT INTO dead_letters (log, topic, partition, "offset", reason, sentence, source_id, refused_at,
                          published_at)
SELECT 'log', 'visits', n % 8, n, (ARRAY['bad_json', 'unknown_region', 'too_old'])[1 + n % 3], '',
       'his-' || n % 3000, now() - make_interval(secs => n * 78), now()
FROM generate_series(1, 100000) n;
INSERT INTO stream_offsets (log, topic, partition, next_offset)
SELECT 'log', 'visits', n, 1000000 FROM generate_series(0, 15) n;
INSERT INTO log_ends SELECT log, topic, partition, next_offset + 100, now() FROM stream_offsets;
INSERT INTO notification_lanes (channel) SELECT 'channel-' || n FROM generate_series(1, 5) n;
INSERT INTO notification_deliveries (channel, rank, digest, state, formed_at, next_attempt_at,
                                     sent_at)
SELECT 'channel-' || 1 + n % 5, 1, false, 'sent', now(), now(), now() - make_interval(mins => n)
FROM generate_series(1, 200000) n;
