"""Whether sums by level and by facility are those of the counts; what waits is not in them yet."""

from __future__ import annotations

from typing import Final

from streams.store.checks.statement import Check

__all__ = ["CHECKS"]

# A window begins with a week. Live counts without what still waits for the roll-up; imports in
# place of live counts, days and then weeks.
_LEVELS: Final = """
WITH live AS (
    SELECT s.signal, s.region, s.stratum, d.day, d.value - coalesce(w.change, 0) AS value
    FROM daily_counts d
    JOIN series s USING (series_id)
    LEFT JOIN waiting_changes w ON w.series_id = d.series_id AND w.day = d.day
    WHERE d.day >= %(first)s AND d.day < %(last)s
      AND NOT EXISTS (
          SELECT FROM imported_counts i
          WHERE i.signal = s.signal AND i.region = s.region AND i.grain = 'day'
            AND i.period = d.day)
), by_day AS MATERIALIZED (
    SELECT l.signal, l.region, l.stratum, l.day, l.value FROM live l
    UNION ALL
    SELECT i.signal, i.region, i.stratum, i.period, i.value
    FROM imported_counts i
    WHERE i.grain = 'day' AND i.period >= %(first)s AND i.period < %(last)s
), cell AS (
    SELECT d.signal, d.region, 'day' AS grain, d.day AS period, d.stratum, d.value FROM by_day d
    UNION ALL
    SELECT i.signal, i.region, 'week', i.period, i.stratum, i.value
    FROM imported_counts i
    WHERE i.grain = 'week' AND i.period >= %(first)s AND i.period < %(last)s
    UNION ALL
    SELECT d.signal, d.region, 'week', w.week, d.stratum, d.value
    FROM by_day d, clock k, LATERAL (SELECT d.day - (d.day - k.week_origin) %% 7 AS week) w
    WHERE NOT EXISTS (
        SELECT FROM imported_counts i
        WHERE i.signal = d.signal AND i.region = d.region AND i.grain = 'week'
          AND i.period = w.week)
), summed AS (
    SELECT a.ancestor AS region, c.signal, c.grain, c.period, c.stratum, sum(c.value) AS value
    FROM cell c JOIN region_ancestors a ON a.region = c.region AND a.ancestor <> c.region
    GROUP BY 1, 2, 3, 4, 5
), stored AS (
    SELECT l.region, l.signal, l.grain, l.period, l.stratum, l.value
    FROM level_counts l
    WHERE l.period >= %(first)s AND l.period < %(last)s
)
SELECT CASE WHEN coalesce(l.value, 0) <> coalesce(s.value, 0) THEN
           format('%%s in %%s, %%s of %%s, %%s: %%s stored, what lies below sums to %%s', signal,
                  region, grain, period, stratum, coalesce(l.value, 0), coalesce(s.value, 0))
       END AS problem
FROM stored l FULL JOIN summed s USING (region, signal, grain, period, stratum)
"""

_FACILITIES: Final = """
WITH cell AS (
    SELECT e.occurred_at::date AS day, e.facility_id, e.source_id,
           unnest(e.series) AS series_id, unnest(e.amounts) AS amount
    FROM events e
    WHERE e.occurred_at >= (%(first)s::date - 1)::timestamptz
      AND e.occurred_at < (%(last)s::date + 1)::timestamptz
      AND (e.occurred_at::date < %(first)s) IS NOT TRUE
      AND (e.occurred_at::date >= %(last)s) IS NOT TRUE
      AND NOT e.cancelled
      AND NOT EXISTS (
          SELECT FROM events n
          WHERE n.event_key = e.event_key AND n.kind = e.kind AND n.revision > e.revision
            AND n.revision > 1)
      -- A newer version may be deleted before this one; its event's head tells of it.
      AND NOT EXISTS (
          SELECT FROM event_heads h
          WHERE h.event_key = e.event_key AND h.kind = e.kind AND h.revision > e.revision
            AND h.revision > 1 AND h.occurred_at < (%(since)s::date + 1)::timestamptz
            AND h.occurred_at::date < %(since)s)
    UNION ALL
    SELECT e.occurred_at::date, e.facility_id, e.source_id, unnest(e.series), -unnest(e.amounts)
    FROM events e
    WHERE e.occurred_at >= (%(first)s::date - 1)::timestamptz
      AND e.occurred_at < (%(last)s::date + 1)::timestamptz
      AND (e.occurred_at::date < %(first)s) IS NOT TRUE
      AND (e.occurred_at::date >= %(last)s) IS NOT TRUE
      AND NOT e.cancelled
      AND e.batch_id IN (SELECT p.batch_id FROM pending_facilities p)
    UNION ALL
    SELECT p.occurred_at::date, p.facility_id, p.source_id, unnest(p.series), unnest(p.amounts)
    FROM pending_corrections p
    WHERE p.occurred_at >= (%(first)s::date - 1)::timestamptz
      AND p.occurred_at < (%(last)s::date + 1)::timestamptz
      AND (p.occurred_at::date < %(first)s) IS NOT TRUE
      AND (p.occurred_at::date >= %(last)s) IS NOT TRUE
), summed AS (
    SELECT s.region, s.signal, c.day, c.facility_id, c.source_id, sum(c.amount) AS value
    FROM cell c JOIN series s USING (series_id)
    GROUP BY 1, 2, 3, 4, 5
), stored AS (
    SELECT f.region, f.signal, f.day, f.facility_id, f.source_id, f.value
    FROM facility_counts f
    WHERE f.day >= %(first)s AND f.day < %(last)s
)
SELECT CASE WHEN coalesce(f.value, 0) <> coalesce(s.value, 0) THEN
           format('%%s in %%s on %%s, facility %%s of source %%s: %%s stored, '
                  'the events come to %%s', signal, region, day, facility_id, source_id,
                  coalesce(f.value, 0), coalesce(s.value, 0))
       END AS problem
FROM stored f FULL JOIN summed s USING (region, signal, day, facility_id, source_id)
"""

_REPORTED: Final = """
WITH sent AS (
    SELECT DISTINCT e.region, e.kind, e.occurred_at::date AS day, e.facility_id,
           e.source_id
    FROM events e
    WHERE e.occurred_at >= (%(first)s::date - 1)::timestamptz
      AND e.occurred_at < (%(last)s::date + 1)::timestamptz
      AND (e.occurred_at::date < %(first)s) IS NOT TRUE
      AND (e.occurred_at::date >= %(last)s) IS NOT TRUE
      AND e.batch_id NOT IN (SELECT p.batch_id FROM pending_facilities p)
), stored AS (
    SELECT f.region, f.kind, f.day, f.facility_id, f.source_id, true AS stored
    FROM facility_days f
    WHERE f.day >= %(first)s AND f.day < %(last)s
)
SELECT CASE WHEN f.stored IS NULL THEN
           format('facility %%s of source %%s in %%s sent %%s of %%s and is not noted', facility_id,
                  source_id, region, kind, day) END AS problem
FROM stored f FULL JOIN sent s USING (region, kind, day, facility_id, source_id)
"""

_REPORTS: Final = """
WITH summed AS (
    SELECT a.ancestor AS region, d.kind, d.day, count(*)::int AS facilities
    FROM facility_days d JOIN region_ancestors a ON a.region = d.region
    WHERE d.day >= %(first)s AND d.day < %(last)s
    GROUP BY 1, 2, 3
), stored AS (
    SELECT r.region, r.kind, r.day, r.facilities
    FROM facility_reports r
    WHERE r.day >= %(first)s AND r.day < %(last)s
)
SELECT CASE WHEN coalesce(r.facilities, 0) <> coalesce(s.facilities, 0) THEN
           format('%%s of %%s on %%s: %%s facilities stored, %%s reported', kind, region, day,
                  coalesce(r.facilities, 0), coalesce(s.facilities, 0)) END AS problem
FROM stored r FULL JOIN summed s USING (region, kind, day)
"""

CHECKS: Final = (
    Check("levels", "sums of upper levels equal what lies below", "sums", _LEVELS),
    Check("facilities", "counts by facility equal the stored events", "counts", _FACILITIES),
    Check("reported", "facilities that sent events are noted", "facility days", _REPORTED),
    Check("reports", "numbers of reporting facilities add up", "sums", _REPORTS),
)
