"""Reading what explanations are made of: a few statements for all alerts at once.

Every statement gets the alerts and their slots as arrays and answers for all of them. Sums are
asked for in lateral subqueries, so that each is a walk along a primary key, however little the
planner knows of the arrays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, LiteralString, NamedTuple

from schemas.alerts import Neighbour
from streams.alerts.explaining.assembling import Readings, Reports
from streams.alerts.explaining.figures import LEAST_FOR_COMPLETENESS, usual_from
from streams.alerts.explaining.slots import PERIOD

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date

    from psycopg import AsyncConnection

    from schemas.events import EventKind

__all__ = [
    "FacilityQuestion",
    "NeighbourQuestion",
    "read_counts",
    "read_facilities",
    "read_neighbours",
    "read_reports",
    "roll_up",
    "roll_up_some",
]

#: Batches that are rolled up in one statement; bounds its memory.
_BATCHES = 50
#: Above so many regions the facilities are too many to be asked for each.
_MOST_REGIONS = 300
_SILENT_TOLD = 10


class FacilityQuestion(NamedTuple):
    """Which facilities are asked for, and over which slots."""

    alert: int
    signal: str
    kind: EventKind | None
    region: str
    leading: Sequence[str]
    slots: Sequence[int]


class NeighbourQuestion(NamedTuple):
    """Whose verdicts are asked for, the nearest region first."""

    alert: int
    rule: str
    period: date
    regions: Sequence[str]


async def roll_up(connection: AsyncConnection) -> int:
    """Bring the counts by facility up to date with the commits; return how many batches came in."""
    batches = 0
    while taken := await roll_up_some(connection):
        batches += taken
    return batches


async def roll_up_some(connection: AsyncConnection) -> int:
    """Roll a bounded number of waiting batches up; return how many, 0 when none waits."""
    cursor = await connection.execute("SELECT roll_up_facilities(%s)", (_BATCHES,))
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def read_counts(
    connection: AsyncConnection, asked: Sequence[tuple[str, str]], readings: Sequence[Readings]
) -> None:
    """Fill in the counts by stratum and by counted region.

    Parameters
    ----------
    asked
        Signal and region of each alert.
    """
    signals, regions = zip(*asked, strict=True)
    values = {
        "alerts": list(range(len(asked))),
        "signals": list(signals),
        "regions": list(regions),
        **_slot_columns(enumerate(readings)),
    }
    for alert, number, region, stratum, value, imported in await _rows(connection, _COUNTS, values):
        into = readings[alert]
        if imported is not None:
            into.imported[number] = frozenset(imported)
        elif region is not None:
            into.leaves[number][region] = value
        else:
            into.strata[number][stratum] = value


async def read_facilities(
    connection: AsyncConnection, asked: Sequence[FacilityQuestion], readings: Sequence[Readings]
) -> None:
    """Fill in the counts by facility in the leading regions, and which facilities are known."""
    pairs = [(one, region) for one in asked for region in one.leading]
    if not pairs:
        return
    values = {
        "alerts": [one.alert for one, _ in pairs],
        "signals": [one.signal for one, _ in pairs],
        "kinds": [one.kind for one, _ in pairs],
        "regions": [region for _, region in pairs],
        **_slot_columns(
            ((one.alert, readings[one.alert]) for one in asked if one.leading),
            {one.alert: {PERIOD, *one.slots} for one in asked},
        ),
    }
    for alert, number, facility, value in await _rows(connection, _FACILITIES, values):
        of_slot = readings[alert].facilities[number]
        of_slot[facility] = of_slot.get(facility, 0.0) + value
    for alert, facility in await _rows(connection, _KNOWN, values):
        readings[alert].known.add(facility)


async def read_reports(
    connection: AsyncConnection, asked: Sequence[FacilityQuestion], readings: Sequence[Readings]
) -> None:
    """Fill in who usually reports and who did."""
    enough = [one for one in asked if one.kind and len(one.slots) >= LEAST_FOR_COMPLETENESS]
    if not enough:
        return
    values = {
        "alerts": [one.alert for one in enough],
        "kinds": [one.kind for one in enough],
        "regions": [one.region for one in enough],
        "usual": [usual_from(len(one.slots)) for one in enough],
        "most": _MOST_REGIONS,
        "told": _SILENT_TOLD,
        **_slot_columns(
            ((one.alert, readings[one.alert]) for one in enough),
            {one.alert: {PERIOD, *one.slots} for one in enough},
        ),
    }
    for alert, expected, received, facilities, silent, names in await _rows(
        connection, _REPORTS, values
    ):
        readings[alert].reports = Reports(
            expected, received, facilities, silent, tuple(names or ())
        )


async def read_neighbours(
    connection: AsyncConnection, asked: Sequence[NeighbourQuestion], readings: Sequence[Readings]
) -> None:
    """Fill in the latest verdicts of neighbouring regions in the same period."""
    wanted = [(one, rank, region) for one in asked for rank, region in enumerate(one.regions)]
    if not wanted:
        return
    values = {
        "alerts": [one.alert for one, _, _ in wanted],
        "rules": [one.rule for one, _, _ in wanted],
        "periods": [one.period for one, _, _ in wanted],
        "ranks": [rank for _, rank, _ in wanted],
        "regions": [region for _, _, region in wanted],
    }
    for alert, region, observed, expected, upper, alarm in await _rows(
        connection, _NEIGHBOURS, values
    ):
        readings[alert].neighbours.append(
            Neighbour(region=region, observed=observed, expected=expected, upper=upper, alarm=alarm)
        )


async def _rows(
    connection: AsyncConnection, query: LiteralString, values: dict[str, Any]
) -> list[tuple[Any, ...]]:
    cursor = await connection.execute(query, values)
    return await cursor.fetchall()


def _slot_columns(
    readings: Iterable[tuple[int, Readings]], only: dict[int, set[int]] | None = None
) -> dict[str, list[Any]]:
    """Write slots as columns, those of `only` where it is given."""
    slots = [
        (alert, slot)
        for alert, reading in readings
        for slot in reading.slots.values()
        if only is None or slot.number in only[alert]
    ]
    return {
        "slot_alerts": [alert for alert, _ in slots],
        "numbers": [slot.number for _, slot in slots],
        "firsts": [slot.first for _, slot in slots],
        "lasts": [slot.last for _, slot in slots],
        "weekly": [slot.weekly for _, slot in slots],
    }


# For each region and slot first what was imported, since that takes the place of live counts.
_COUNTS = """
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

_FACILITIES = """
SELECT q.alert, t.number, f.facility_id, f.value
FROM unnest(%(alerts)s::int[], %(signals)s::text[], %(regions)s::text[])
    AS q(alert, signal, region)
JOIN unnest(%(slot_alerts)s::int[], %(numbers)s::int[], %(firsts)s::date[], %(lasts)s::date[])
    AS t(alert, number, first, last) USING (alert)
CROSS JOIN LATERAL (
    SELECT c.facility_id, sum(c.value)::float8 AS value FROM facility_counts c
    WHERE c.region = q.region AND c.signal = q.signal AND c.day BETWEEN t.first AND t.last
    GROUP BY 1
    HAVING sum(c.value) <> 0
) f
"""

_KNOWN = """
SELECT DISTINCT q.alert, f.facility_id
FROM unnest(%(alerts)s::int[], %(kinds)s::text[], %(regions)s::text[])
    AS q(alert, kind, region)
JOIN unnest(%(slot_alerts)s::int[], %(numbers)s::int[], %(firsts)s::date[], %(lasts)s::date[])
    AS t(alert, number, first, last) USING (alert)
CROSS JOIN LATERAL (
    SELECT DISTINCT d.facility_id FROM facility_days d
    WHERE d.region = q.region AND d.kind = q.kind AND d.day BETWEEN t.first AND t.last
) f
WHERE t.number > 0
"""

# A day of the period and the same weekday before have the same distance from their slots' first.
_REPORTS = """
WITH asked AS (
    SELECT q.alert, q.kind, q.region, q.usual
    FROM unnest(%(alerts)s::int[], %(kinds)s::text[], %(regions)s::text[], %(usual)s::int[])
        AS q(alert, kind, region, usual)
    WHERE (SELECT count(*) FROM region_ancestors r WHERE r.ancestor = q.region) <= %(most)s
), place AS (
    SELECT q.alert, q.usual, f.facility_id, f.day - t.first AS day,
           count(DISTINCT t.number) FILTER (WHERE t.number > 0) AS weeks,
           bool_or(t.number = 0) AS reported
    FROM asked q
    JOIN unnest(%(slot_alerts)s::int[], %(numbers)s::int[], %(firsts)s::date[], %(lasts)s::date[])
        AS t(alert, number, first, last) USING (alert)
    JOIN region_ancestors r ON r.ancestor = q.region
    CROSS JOIN LATERAL (
        SELECT d.facility_id, d.day FROM facility_days d
        WHERE d.region = r.region AND d.kind = q.kind AND d.day BETWEEN t.first AND t.last
        OFFSET 0
    ) f
    GROUP BY 1, 2, 3, 4
), facility AS (
    SELECT p.alert, p.facility_id, count(*) FILTER (WHERE p.weeks >= p.usual) AS expected,
           count(*) FILTER (WHERE p.weeks >= p.usual AND p.reported) AS received,
           bool_or(p.reported) AS reported
    FROM place p
    GROUP BY 1, 2
    HAVING count(*) FILTER (WHERE p.weeks >= p.usual) > 0
)
SELECT f.alert, sum(f.expected)::int, sum(f.received)::int, count(*)::int,
       (count(*) FILTER (WHERE NOT f.reported))::int,
       (array_agg(f.facility_id ORDER BY f.expected DESC, f.facility_id)
           FILTER (WHERE NOT f.reported))[:%(told)s]
FROM facility f
GROUP BY 1
"""

_NEIGHBOURS = """
SELECT n.alert, n.region, v.observed, v.expected, v.upper, v.alarm
FROM unnest(%(alerts)s::int[], %(rules)s::text[], %(periods)s::date[], %(ranks)s::int[],
            %(regions)s::text[]) AS n(alert, rule, period, rank, region)
JOIN verdicts v ON v.rule = n.rule AND v.region = n.region AND v.period = n.period
WHERE v.observed IS NOT NULL
ORDER BY n.alert, n.rank
"""
