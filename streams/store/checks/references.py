"""Whether what rows refer to exists."""

from __future__ import annotations

from typing import Final

from streams.store.checks.statement import Check

__all__ = ["CHECKS"]

_SERIES: Final = """
WITH used AS (
    SELECT 'hourly_counts' AS place, series_id, count(*) AS rows FROM hourly_counts GROUP BY 2
    UNION ALL
    SELECT 'daily_counts', series_id, count(*) FROM daily_counts GROUP BY 2
    UNION ALL
    SELECT 'count_history', series_id, count(*) FROM count_history GROUP BY 2
    UNION ALL
    SELECT 'event_heads', s, count(*) FROM event_heads h, unnest(h.series) AS s GROUP BY 2
    UNION ALL
    SELECT 'pending_roll_ups', s, count(*) FROM pending_roll_ups p, unnest(p.series) AS s GROUP BY 2
    UNION ALL
    SELECT 'pending_corrections', s, count(*)
    FROM pending_corrections p, unnest(p.series) AS s GROUP BY 2
)
SELECT CASE WHEN s.series_id IS NULL THEN
           format('%%s rows of %%s are of series %%s, which does not exist', u.rows, u.place,
                  u.series_id) END AS problem
FROM used u LEFT JOIN series s USING (series_id)
"""

_EVENTS: Final = """
WITH used AS (
    SELECT s.series_id, e.region, e.stratum, count(*) AS rows
    FROM events e, unnest(e.series) AS s(series_id)
    WHERE e.occurred_at >= (%(first)s::date - 1)::timestamptz
      AND e.occurred_at < (%(last)s::date + 1)::timestamptz
      AND (e.occurred_at::date < %(first)s) IS NOT TRUE
      AND (e.occurred_at::date >= %(last)s) IS NOT TRUE
    GROUP BY 1, 2, 3
)
SELECT CASE WHEN s.series_id IS NULL THEN
           format('%%s events of %%s, %%s are of series %%s, which does not exist', u.rows,
                  u.region, u.stratum, u.series_id)
       WHEN (s.region, s.stratum) <> (u.region, u.stratum) THEN
           format('%%s events of %%s, %%s are of series %%s, which is of %%s, %%s', u.rows,
                  u.region, u.stratum, u.series_id, s.region, s.stratum) END AS problem
FROM used u LEFT JOIN series s USING (series_id)
"""

_PENDING: Final = """
SELECT CASE WHEN r.code IS NULL THEN
           format('a judgement of region %%s waits, which the registry lacks', p.region)
       END AS problem
FROM (SELECT region FROM pending_judgements UNION ALL SELECT region FROM pending_spans) p
LEFT JOIN regions r ON r.code = p.region
UNION ALL
SELECT CASE WHEN b.batch_id IS NULL THEN
           format('batch %%s waits in pending_roll_ups and does not exist', p.batch_id) END
FROM pending_roll_ups p LEFT JOIN batches b USING (batch_id)
UNION ALL
SELECT CASE WHEN b.batch_id IS NULL THEN
           format('batch %%s waits in pending_facilities and does not exist', p.batch_id) END
FROM pending_facilities p LEFT JOIN batches b USING (batch_id)
UNION ALL
SELECT CASE WHEN p.batch_id IS NULL THEN
           format('a correction of batch %%s waits and its batch does not', c.batch_id) END
FROM pending_corrections c LEFT JOIN pending_facilities p USING (batch_id)
UNION ALL
SELECT CASE WHEN a.alert_id IS NULL THEN
           format('an update of alert %%s waits, which does not exist', u.alert_id) END
FROM held_updates u LEFT JOIN alerts a USING (alert_id)
UNION ALL
SELECT CASE WHEN a.alert_id IS NULL THEN
           format('an annotation of alert %%s waits, which does not exist', g.alert_id) END
FROM grafana_annotations g LEFT JOIN alerts a USING (alert_id)
UNION ALL
SELECT CASE WHEN e.alert_id IS NULL THEN
           format('a notification of event %%s of alert %%s waits, which does not exist', n.seq,
                  n.alert_id) END
FROM notifications n LEFT JOIN alert_events e USING (alert_id, seq)
WHERE n.delivery_id IS NULL
UNION ALL
SELECT CASE WHEN f.event_id > e.latest THEN
           format('follower %%s stands at event %%s, the latest is %%s', f.follower, f.event_id,
                  e.latest) END
FROM alert_followers f,
     (SELECT coalesce(max(e.event_id), 0) AS latest FROM alert_events e) e
"""

CHECKS: Final = (
    Check("series", "no count is of an unknown series", "series of tables", _SERIES, False),
    Check("events", "no event is of an unknown or another region's series", "series", _EVENTS),
    Check("pending", "nothing that waits refers to nothing", "waiting rows", _PENDING, False),
)
