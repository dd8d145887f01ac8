"""Reading panels: series by time, as detectors take them."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, LiteralString, NamedTuple

import numpy as np

from streams.judging.periods import epi_week_start, periods_between

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from psycopg import AsyncConnection

    from schemas.counts import Grain
    from streams.judging.periods import EpiWeek

__all__ = ["Extent", "read_extent", "read_panel"]


class Extent(NamedTuple):
    """Days on which live counts of a signal exist."""

    #: First day with a case; corrections may have taken away what was counted before it.
    first: date
    last: date
    #: First day that was ever counted and may have verdicts.
    counted_from: date


async def read_extent(connection: AsyncConnection, signal: str) -> Extent | None:
    """Return the first and last day with live counts of a signal, or None without any."""
    cursor = await connection.execute(_EXTENT, (signal,))
    row = await cursor.fetchone()
    if row is None or row[1] is None:
        return None
    first, last, counted_from = row
    return Extent(first or last + timedelta(days=1), last, counted_from)


async def read_panel(
    connection: AsyncConnection,
    *,
    signal: str,
    regions: Sequence[str],
    grain: Grain,
    first: date,
    last: date,
    extent: Extent,
    epi_week: EpiWeek,
) -> NDArray[np.float64]:
    """Read the counts of regions, summed over the regions below them and over strata.

    A period without counts is 0 where live counts flow and NaN elsewhere: before the first live
    day, unless it was imported for that region. The week in which the first live day lies is
    complete only where its days before were imported, and stays NaN elsewhere.

    Parameters
    ----------
    regions
        Codes of one level.
    first, last
        First and last period, by the date that identifies it.

    Returns
    -------
    ndarray
        Shape [regions, periods].
    """
    read_from = first - timedelta(days=6) if grain == "rolling7" else first
    base: Grain = "week" if grain == "week" else "day"
    periods = periods_between(read_from, last, base)
    counts = np.full((len(regions), len(periods)), np.nan)
    live_from = extent.first
    if base == "week" and epi_week_start(live_from, epi_week) != live_from:
        live_from = epi_week_start(live_from, epi_week) + timedelta(days=7)
    live_to = epi_week_start(extent.last, epi_week) if base == "week" else extent.last
    live = [live_from <= period <= live_to for period in periods]
    counts[:, live] = 0.0
    column = {period: i for i, period in enumerate(periods)}
    row = {region: i for i, region in enumerate(regions)}
    cursor = await connection.execute(
        _WEEKS if base == "week" else _DAYS,
        {
            "signal": signal,
            "regions": list(regions),
            "first": read_from,
            "last": last,
            "last_day": last + timedelta(days=6) if base == "week" else last,
            "live_from": live_from,
            # Of a week that begins before, also its days before: imports may have completed it.
            "live_since": read_from if base == "week" else max(read_from, live_from),
        },
    )
    for region, period, value in await cursor.fetchall():
        counts[row[region], column[period]] = value
    if grain == "rolling7":
        windows = np.lib.stride_tricks.sliding_window_view(counts, 7, axis=1)
        return np.asarray(windows.sum(axis=-1))
    return counts


# The extremes of each series come from the primary key, in place of a scan of all days.
_EXTENT = """
SELECT min(x.first), max(x.last), min(x.counted_from)
FROM series s, LATERAL (
    SELECT (SELECT min(day) FROM daily_counts d WHERE d.series_id = s.series_id AND d.value <> 0)
               AS first,
           (SELECT max(day) FROM daily_counts d WHERE d.series_id = s.series_id) AS last,
           (SELECT min(day) FROM daily_counts d WHERE d.series_id = s.series_id) AS counted_from
) x
WHERE s.signal = %s
"""

# NOT IN looks in a hash. With NOT EXISTS a planner that knows nothing of the tables yet would go
# through all that was imported for a day, once for each count.
_COUNTED: LiteralString = """
WITH part AS MATERIALIZED (
    SELECT ancestor, region FROM region_ancestors WHERE ancestor = ANY(%(regions)s)
), imported AS MATERIALIZED (
    SELECT region, period AS day, sum(value) AS value
    FROM imported_counts
    WHERE signal = %(signal)s AND grain = 'day' AND period BETWEEN %(first)s AND %(last_day)s
    GROUP BY 1, 2
), live AS (
    SELECT p.ancestor, p.region, c.day, c.value
    FROM part p
    JOIN series s ON s.region = p.region AND s.signal = %(signal)s
    JOIN daily_counts c USING (series_id)
    WHERE c.day BETWEEN %(live_since)s AND %(last_day)s
      AND (p.region, c.day) NOT IN (SELECT i.region, i.day FROM imported i)
)
"""

_DAYS: LiteralString = (
    _COUNTED  # noqa: S608 - constants
    + """
SELECT ancestor, day, sum(value)::float8
FROM (
    SELECT ancestor, day, value FROM live
    UNION ALL
    SELECT p.ancestor, i.day, i.value FROM imported i JOIN part p USING (region)
) AS counted
GROUP BY 1, 2
"""
)

_WEEKS: LiteralString = (
    _COUNTED  # noqa: S608 - constants
    + """
, by_week AS MATERIALIZED (
    SELECT region, period AS week, sum(value) AS value
    FROM imported_counts
    WHERE signal = %(signal)s AND grain = 'week' AND period BETWEEN %(first)s AND %(last)s
    GROUP BY 1, 2
), by_day AS (
    SELECT ancestor, region, epi_week(day) AS week, value, false AS imported FROM live
    UNION ALL
    SELECT p.ancestor, p.region, epi_week(i.day), i.value, true
    FROM imported i JOIN part p USING (region)
)
SELECT ancestor, week, sum(value)::float8
FROM (
    SELECT p.ancestor, w.week, w.value, true AS imported FROM by_week w JOIN part p USING (region)
    UNION ALL
    SELECT ancestor, week, value, imported FROM by_day
    WHERE (region, week) NOT IN (SELECT w.region, w.week FROM by_week w)
) AS counted
GROUP BY 1, 2
HAVING bool_or(imported) OR week >= %(live_from)s
"""
)
