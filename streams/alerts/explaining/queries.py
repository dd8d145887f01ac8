"""The statements that read what explanations are made of.

Each gets the alerts and their slots as arrays and answers for all of them. Sums are asked for in
lateral subqueries, so that each is a walk along a primary key, however little the planner knows of
the arrays.
"""

from __future__ import annotations

from typing import Final, LiteralString

__all__ = ["COUNTS", "FACILITIES", "KNOWN", "NEIGHBOURS", "REPORTS", "SMALL_DAYS"]

# For each region and slot first what was imported, since that takes the place of live counts.
COUNTS: Final[LiteralString] = """
WITH asked AS (
    SELECT * FROM unnest(%(alerts)s::int[], %(signals)s::text[], %(regions)s::text[])
        AS q(alert, signal, region)
), slot AS (
    SELECT * FROM unnest(%(slot_alerts)s::int[], %(numbers)s::int[], %(firsts)s::date[],
                         %(lasts)s::date[], %(weekly)s::boolean[])
        AS t(alert, number, first, last, weekly)
), part AS MATERIALIZED (
    SELECT q.alert, q.signal, r.region, t.number, t.first, t.last, i.whole, i.days
    FROM asked q
    JOIN slot t USING (alert)
    JOIN region_ancestors r ON r.ancestor = q.region
    CROSS JOIN LATERAL (
        SELECT coalesce(bool_or(i.grain = 'week'), false) AS whole,
               coalesce(array_agg(DISTINCT i.period) FILTER (WHERE i.grain = 'day'), '{}') AS days
        FROM imported_counts i
        WHERE i.signal = q.signal AND i.region = r.region
          AND i.period BETWEEN t.first AND t.last
          AND (i.grain = 'day' OR t.weekly AND i.period = t.first)
    ) i
), cell AS (
    SELECT p.alert, p.number, p.region, s.stratum, d.value
    FROM part p
    JOIN series s ON s.signal = p.signal AND s.region = p.region
    CROSS JOIN LATERAL (
        SELECT sum(c.value) AS value FROM daily_counts c
        WHERE c.series_id = s.series_id AND c.day BETWEEN p.first AND p.last
          AND c.day <> ALL(p.days)
    ) d
    WHERE NOT p.whole AND d.value <> 0
    UNION ALL
    SELECT p.alert, p.number, p.region, i.stratum, i.value
    FROM part p
    JOIN imported_counts i ON i.signal = p.signal AND i.region = p.region
        AND i.period BETWEEN p.first AND p.last
        AND i.grain = CASE WHEN p.whole THEN 'week' ELSE 'day' END
    WHERE p.whole OR p.days <> '{}'
)
SELECT c.alert, c.number, c.region, c.stratum, sum(c.value)::float8, NULL::date[]
FROM cell c
GROUP BY GROUPING SETS ((c.alert, c.number, c.region), (c.alert, c.number, c.stratum))
UNION ALL
SELECT p.alert, p.number, NULL, NULL, NULL, array_agg(DISTINCT i.day)
FROM part p
CROSS JOIN LATERAL unnest(CASE WHEN p.whole THEN ARRAY[p.first] ELSE p.days END) AS i(day)
GROUP BY 1, 2
"""

FACILITIES: Final[LiteralString] = """
SELECT q.alert, t.number, q.region, f.source_id, f.facility_id, f.value
FROM unnest(%(alerts)s::int[], %(signals)s::text[], %(regions)s::text[])
    AS q(alert, signal, region)
JOIN unnest(%(slot_alerts)s::int[], %(numbers)s::int[], %(firsts)s::date[], %(lasts)s::date[])
    AS t(alert, number, first, last) USING (alert)
CROSS JOIN LATERAL (
    SELECT c.source_id, c.facility_id, sum(c.value)::float8 AS value FROM facility_counts c
    WHERE c.region = q.region AND c.signal = q.signal AND c.day BETWEEN t.first AND t.last
    GROUP BY 1, 2
    HAVING sum(c.value) <> 0
) f
"""

KNOWN: Final[LiteralString] = """
SELECT DISTINCT q.alert, f.source_id, f.facility_id
FROM unnest(%(alerts)s::int[], %(kinds)s::text[], %(regions)s::text[])
    AS q(alert, kind, region)
JOIN unnest(%(slot_alerts)s::int[], %(numbers)s::int[], %(firsts)s::date[], %(lasts)s::date[])
    AS t(alert, number, first, last) USING (alert)
CROSS JOIN LATERAL (
    SELECT DISTINCT d.source_id, d.facility_id FROM facility_days d
    WHERE d.region = q.region AND d.kind = q.kind AND d.day BETWEEN t.first AND t.last
) f
WHERE t.number > 0
"""

# A day of the period and the same weekday before have the same distance from their slots' first.
REPORTS: Final[LiteralString] = """
WITH asked AS (
    SELECT q.alert, q.kind, q.region, q.usual
    FROM unnest(%(alerts)s::int[], %(kinds)s::text[], %(regions)s::text[], %(usual)s::int[])
        AS q(alert, kind, region, usual)
    WHERE (SELECT count(*) FROM region_ancestors r WHERE r.ancestor = q.region) <= %(most)s
), place AS (
    SELECT q.alert, f.source_id, f.facility_id, f.day - t.first AS day, q.usual,
           count(DISTINCT t.number) FILTER (WHERE t.number > 0) AS weeks,
           bool_or(t.number = 0) AS reported
    FROM asked q
    JOIN unnest(%(slot_alerts)s::int[], %(numbers)s::int[], %(firsts)s::date[], %(lasts)s::date[])
        AS t(alert, number, first, last) USING (alert)
    JOIN region_ancestors r ON r.ancestor = q.region
    CROSS JOIN LATERAL (
        SELECT d.source_id, d.facility_id, d.day FROM facility_days d
        WHERE d.region = r.region AND d.kind = q.kind AND d.day BETWEEN t.first AND t.last
        OFFSET 0
    ) f
    GROUP BY 1, 2, 3, 4, 5
), facility AS (
    SELECT p.alert, p.source_id, p.facility_id,
           count(*) FILTER (WHERE p.weeks >= p.usual) AS expected,
           count(*) FILTER (WHERE p.weeks >= p.usual AND p.reported) AS received,
           bool_or(p.reported) AS reported
    FROM place p
    GROUP BY 1, 2, 3
    HAVING count(*) FILTER (WHERE p.weeks >= p.usual) > 0
), named AS (
    SELECT f.*,
           CASE WHEN f.source_id <> ''
                    AND min(f.source_id) OVER same <> max(f.source_id) OVER same
               THEN f.source_id || '/' || f.facility_id ELSE f.facility_id END AS name
    FROM facility f
    WINDOW same AS (PARTITION BY f.alert, f.facility_id)
)
SELECT f.alert, sum(f.expected)::int, sum(f.received)::int, count(*)::int,
       (count(*) FILTER (WHERE NOT f.reported))::int,
       (array_agg(f.name ORDER BY f.expected DESC, f.facility_id, f.source_id)
           FILTER (WHERE NOT f.reported))[:%(told)s]
FROM named f
GROUP BY 1
"""

SMALL_DAYS: Final[LiteralString] = """
SELECT q.alert, q.region
FROM unnest(%(alerts)s::int[], %(signals)s::text[], %(regions)s::text[], %(weeks)s::date[])
    AS q(alert, signal, region, week)
WHERE has_small_day(q.signal, q.region, q.week)
"""

NEIGHBOURS: Final[LiteralString] = """
SELECT n.alert, n.region, v.observed, v.expected, v.upper, v.alarm,
       v.reason = 'incomplete',
       v.observed IS NOT NULL AND (v.alarm OR v.expected IS NOT NULL OR v.upper IS NOT NULL)
FROM unnest(%(alerts)s::int[], %(rules)s::text[], %(periods)s::date[], %(ranks)s::int[],
            %(regions)s::text[]) AS n(alert, rule, period, rank, region)
JOIN verdicts v ON v.rule = n.rule AND v.region = n.region AND v.period = n.period
ORDER BY n.alert, n.rank
"""
