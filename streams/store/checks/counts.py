"""Whether counts are what the stored events come to."""

from __future__ import annotations

from typing import Final

from streams.store.checks.statement import Check

__all__ = ["CHECKS"]

_HOURLY: Final = """
WITH counted AS (
    SELECT c.series_id, date_trunc('hour', e.occurred_at) AS hour, sum(c.amount) AS value
    FROM events e, unnest(e.series, e.amounts) AS c(series_id, amount)
    WHERE e.occurred_at >= (%(first)s::date - 1)::timestamptz
      AND e.occurred_at < (%(last)s::date + 1)::timestamptz
      AND (date_trunc('hour', e.occurred_at)::date < %(first)s) IS NOT TRUE
      AND (date_trunc('hour', e.occurred_at)::date >= %(last)s) IS NOT TRUE
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
    GROUP BY 1, 2
), stored AS (
    SELECT h.series_id, h.hour, h.value
    FROM hourly_counts h
    WHERE h.hour >= (%(first)s::date - 1)::timestamptz
      AND h.hour < (%(last)s::date + 1)::timestamptz
      AND (h.hour::date < %(first)s) IS NOT TRUE
      AND (h.hour::date >= %(last)s) IS NOT TRUE
)
SELECT CASE WHEN coalesce(s.value, 0) <> coalesce(c.value, 0) THEN
           format('series %%s at %%s: %%s counted, the events come to %%s', series_id, hour,
                  coalesce(s.value, 0), coalesce(c.value, 0)) END AS problem
FROM stored s FULL JOIN counted c USING (series_id, hour)
"""

_DAILY: Final = """
WITH summed AS (
    SELECT h.series_id, h.hour::date AS day, sum(h.value) AS value
    FROM hourly_counts h
    WHERE h.hour >= (%(first)s::date - 1)::timestamptz
      AND h.hour < (%(last)s::date + 1)::timestamptz
      AND (h.hour::date < %(first)s) IS NOT TRUE
      AND (h.hour::date >= %(last)s) IS NOT TRUE
    GROUP BY 1, 2
), stored AS (
    SELECT d.series_id, d.day, d.value
    FROM daily_counts d
    WHERE d.day >= %(first)s AND d.day < %(last)s
)
SELECT CASE WHEN coalesce(d.value, 0) <> coalesce(h.value, 0) THEN
           format('series %%s on %%s: %%s by day, %%s by hour', series_id, day,
                  coalesce(d.value, 0), coalesce(h.value, 0)) END AS problem
FROM stored d FULL JOIN summed h USING (series_id, day)
"""

_HISTORY: Final = """
WITH history AS (
    SELECT c.series_id, c.hour, sum(c.change) AS value
    FROM count_history c
    WHERE c.hour >= (%(since)s::date - 1)::timestamptz
      AND (c.hour::date < %(since)s) IS NOT TRUE
    GROUP BY 1, 2
), stored AS (
    SELECT h.series_id, h.hour, h.value
    FROM hourly_counts h
    WHERE h.hour >= (%(since)s::date - 1)::timestamptz
      AND (h.hour::date < %(since)s) IS NOT TRUE
)
SELECT CASE WHEN coalesce(s.value, 0) <> coalesce(c.value, 0) THEN
           format('series %%s at %%s: %%s counted, the history comes to %%s', series_id, hour,
                  coalesce(s.value, 0), coalesce(c.value, 0)) END AS problem
FROM stored s FULL JOIN history c USING (series_id, hour)
"""

_NEGATIVE: Final = """
SELECT CASE WHEN h.value < 0 THEN format('series %%s at %%s: %%s', h.series_id, h.hour, h.value)
       END AS problem
FROM hourly_counts h
UNION ALL
SELECT CASE WHEN d.value < 0 THEN format('series %%s on %%s: %%s', d.series_id, d.day, d.value) END
FROM daily_counts d
"""

_HEADS: Final = """
WITH latest AS (
    SELECT e.event_key, e.kind, e.revision, e.cancelled, e.occurred_at, e.series, e.amounts
    FROM events e
    WHERE e.occurred_at >= (%(first)s::date - 1)::timestamptz
      AND e.occurred_at < (%(last)s::date + 1)::timestamptz
      AND (e.occurred_at::date < %(first)s) IS NOT TRUE
      AND (e.occurred_at::date >= %(last)s) IS NOT TRUE
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
), head AS (
    SELECT h.event_key, h.kind, h.revision, h.cancelled, h.occurred_at, h.series, h.amounts
    FROM event_heads h
    WHERE h.occurred_at >= (%(first)s::date - 1)::timestamptz
      AND h.occurred_at < (%(last)s::date + 1)::timestamptz
      AND (h.occurred_at::date < %(first)s) IS NOT TRUE
      AND (h.occurred_at::date >= %(last)s) IS NOT TRUE
)
SELECT CASE WHEN (h.revision, h.cancelled, h.occurred_at, h.series, h.amounts)
                IS DISTINCT FROM (l.revision, l.cancelled, l.occurred_at, l.series, l.amounts) THEN
           format('event %%s: revision %%s at its head, %%s stored', event_key,
                  coalesce(h.revision::text, 'none'), coalesce(l.revision::text, 'none'))
       END AS problem
FROM head h FULL JOIN latest l USING (event_key, kind)
"""

# An import hides live counts, so one made before its period's end hides what came after it.
_IMPORTS: Final = """
WITH import AS (
    SELECT i.signal, i.region, i.grain, i.period, max(i.imported_at)::date AS imported,
           i.period + CASE i.grain WHEN 'week' THEN 6 ELSE 0 END AS last
    FROM imported_counts i
    GROUP BY 1, 2, 3, 4
)
SELECT CASE WHEN imported <= last THEN
           format('%%s in %%s, %%s of %%s was imported on %%s, before its end, and hides live '
                  'counts; take it back with fenghuo import-counts --remove --signal %%s --grain '
                  '%%s --region %%s --from %%s --to %%s', signal, region, grain, period, imported,
                  signal, grain, region, period, period) END AS problem
FROM import
"""

CHECKS: Final = (
    Check("imports", "imported periods had ended", "periods", _IMPORTS, windowed=False),
    Check("recount", "counts equal a recount of the stored events", "hourly counts", _HOURLY),
    Check("history", "counts equal the sum of their changes", "hourly counts", _HISTORY, False),
    Check("daily", "daily counts equal the sum of their hours", "daily counts", _DAILY),
    Check("negative", "no count is negative", "counts", _NEGATIVE, False),
    Check("heads", "events are counted by their latest stored revision", "events", _HEADS),
)
