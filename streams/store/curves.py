"""Courses of counts for people's eyes: curves, sparklines, former years, the most affected."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from streams.judging.periods import epi_week_start, periods_between, step_days
from streams.store.panels import read_extent, read_panel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from psycopg import AsyncConnection

    from schemas.counts import Grain
    from streams.judging.periods import EpiWeek
    from streams.store.panels import Extent

__all__ = [
    "Affected",
    "Point",
    "first_provisional",
    "read_affected",
    "read_counts",
    "read_curve",
    "read_latest_period",
    "read_sparks",
]


class Point(NamedTuple):
    """One period of a curve; what is not known is None."""

    period: date
    observed: float | None
    expected: float | None = None
    upper: float | None = None
    alarm: bool = False
    incomplete: bool = False
    """An exceedance of which days are missing: `observed` is a lower bound."""


class Affected(NamedTuple):
    """How far a region was above what a rule expected, over some periods."""

    region: str
    excess: float
    """Of the periods that were above it."""
    peak: Point
    exceedances: int


async def read_curve(
    connection: AsyncConnection, *, rule: str, region: str, first: date, last: date | None = None
) -> list[Point]:
    """Return what a rule made of a region's counts, the earliest period first."""
    cursor = await connection.execute(
        "SELECT period, observed, expected, upper, alarm, reason = 'incomplete' FROM verdicts "
        "WHERE rule = %s AND region = %s AND period >= %s "
        "AND period <= coalesce(%s, 'infinity'::date) AND observed IS NOT NULL ORDER BY period",
        (rule, region, first, last),
    )
    return [Point(*row) for row in await cursor.fetchall()]


async def read_counts(
    connection: AsyncConnection,
    *,
    signal: str,
    region: str,
    grain: Grain,
    first: date,
    last: date,
    epi_week: EpiWeek,
) -> list[Point]:
    """Return a region's counts; None where neither live nor imported counts reach."""
    if last < first:
        return []
    today = date.today()  # noqa: DTZ011 - without live counts any day after them will do
    extent = await read_extent(connection, signal) or _no_extent(today)
    counts = await read_panel(
        connection,
        signal=signal,
        regions=[region],
        grain=grain,
        first=first,
        last=last,
        extent=extent,
        epi_week=epi_week,
    )
    periods = periods_between(first, last, grain)
    return [
        Point(period, None if np.isnan(value) else float(value))
        for period, value in zip(periods, counts[0], strict=True)
    ]


async def read_latest_period(
    connection: AsyncConnection, *, signal: str, grain: Grain, epi_week: EpiWeek
) -> date | None:
    """Return the period of the latest count of a signal; None without any."""
    extent = await read_extent(connection, signal)
    if extent is not None:
        return epi_week_start(extent.last, epi_week) if grain == "week" else extent.last
    cursor = await connection.execute(
        "SELECT max(period) FROM imported_counts WHERE signal = %s AND grain = %s",
        (signal, "week" if grain == "week" else "day"),
    )
    row = await cursor.fetchone()
    return row[0] if row else None


def first_provisional(latest: date, grain: Grain, *, last_day: date, today: date) -> date | None:
    """Return the first period of which counts are still coming in, up to the latest; None: none.

    Parameters
    ----------
    last_day
        Latest day with live counts.
    today
        The local day of looking: it is not over.

    Examples
    --------
    >>> first_provisional(date(2009, 9, 7), "week", last_day=date(2009, 9, 10),
    ...                   today=date(2009, 9, 10))
    datetime.date(2009, 9, 7)
    >>> first_provisional(date(2009, 9, 7), "week", last_day=date(2009, 9, 13),
    ...                   today=date(2026, 1, 1)) is None
    True
    """
    whole = min(last_day, today - timedelta(days=1))
    reaches = step_days(grain) - 1
    if latest + timedelta(days=reaches) <= whole:
        return None
    over = latest + timedelta(days=reaches) - whole
    steps = -(-over.days // step_days(grain))
    return latest - timedelta(days=step_days(grain) * (steps - 1))


async def read_sparks(
    connection: AsyncConnection, keys: Sequence[tuple[str, str]], *, most: int = 26
) -> list[list[Point]]:
    """Return the latest judged periods of rules in regions, in one statement."""
    found: dict[int, list[Point]] = defaultdict(list)
    if keys:
        cursor = await connection.execute(
            _SPARKS, ([rule for rule, _ in keys], [region for _, region in keys], most)
        )
        for place, *values in await cursor.fetchall():
            found[place - 1].append(Point(*values))
    return [found[place] for place in range(len(keys))]


async def read_affected(
    connection: AsyncConnection, *, rule: str, within: str, first: date, most: int
) -> list[Affected]:
    """Return the regions below one that were furthest above what a rule expected."""
    cursor = await connection.execute(
        _AFFECTED, {"rule": rule, "within": within, "first": first, "most": most}
    )
    return [
        Affected(region, excess, Point(period, observed, expected), exceedances)
        for region, excess, exceedances, period, observed, expected in await cursor.fetchall()
    ]


def _no_extent(today: date) -> Extent:
    from streams.store.panels import Extent  # noqa: PLC0415

    return Extent(today, today, today)


_SPARKS = """
SELECT k.place, v.period, v.observed, v.expected, v.upper, v.alarm
FROM unnest(%s::text[], %s::text[]) WITH ORDINALITY AS k(rule, region, place)
CROSS JOIN LATERAL (
    SELECT x.period, x.observed, x.expected, x.upper, x.alarm FROM verdicts x
    WHERE x.rule = k.rule AND x.region = k.region AND x.observed IS NOT NULL
    ORDER BY x.period DESC LIMIT %s
) v
ORDER BY 1, 2
"""

# The region's own verdicts do not count among those below it.
_AFFECTED = """
WITH judged AS (
    SELECT v.region, v.period, v.observed, v.expected, v.alarm,
           v.observed - v.expected AS excess
    FROM region_ancestors r
    JOIN verdicts v ON v.region = r.region
    WHERE r.ancestor = %(within)s AND r.region <> %(within)s AND v.rule = %(rule)s
      AND v.period >= %(first)s AND v.observed IS NOT NULL AND v.expected IS NOT NULL
), total AS (
    SELECT region, coalesce(sum(excess) FILTER (WHERE excess > 0), 0) AS excess,
           (count(*) FILTER (WHERE alarm))::int AS exceedances
    FROM judged GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT %(most)s
)
SELECT t.region, t.excess, t.exceedances, p.period, p.observed, p.expected
FROM total t
CROSS JOIN LATERAL (
    SELECT j.period, j.observed, j.expected FROM judged j
    WHERE j.region = t.region ORDER BY j.excess DESC, j.period LIMIT 1
) p
ORDER BY t.excess DESC, t.region
"""
