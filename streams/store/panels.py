"""Reading panels: series by time, as detectors take them."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, NamedTuple

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

    first: date
    last: date


async def read_extent(connection: AsyncConnection, signal: str) -> Extent | None:
    """Return the first and last day with live counts of a signal, or None without any."""
    cursor = await connection.execute(
        # The extremes of each series come from the primary key, in place of a scan of all days.
        "SELECT min(x.first), max(x.last) FROM series s, LATERAL ("
        "SELECT min(day) AS first, max(day) AS last FROM daily_counts d "
        "WHERE d.series_id = s.series_id) x WHERE s.signal = %s",
        (signal,),
    )
    row = await cursor.fetchone()
    return Extent(row[0], row[1]) if row and row[0] else None


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
    day, unless it was imported for that region. Weeks that began before the first live day are not
    complete and stay NaN as well.

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
            "last_day": last + timedelta(days=6),
            "live_from": live_from,
        },
    )
    for region, period, value in await cursor.fetchall():
        counts[row[region], column[period]] = value
    if grain == "rolling7":
        windows = np.lib.stride_tricks.sliding_window_view(counts, 7, axis=1)
        return np.asarray(windows.sum(axis=-1))
    return counts


_DAYS = """
SELECT a.ancestor, c.day, sum(c.value)::float8
FROM region_ancestors a
JOIN counts_by_day c ON c.region = a.region
WHERE a.ancestor = ANY(%(regions)s) AND c.signal = %(signal)s
  AND c.day BETWEEN %(first)s AND %(last)s
  AND (c.imported OR c.day >= %(live_from)s)
GROUP BY 1, 2
"""

_WEEKS = """
SELECT region, week, sum(value)::float8
FROM (
    SELECT a.ancestor AS region, i.period AS week, i.value
    FROM region_ancestors a
    JOIN imported_counts i ON i.region = a.region
    WHERE a.ancestor = ANY(%(regions)s) AND i.signal = %(signal)s AND i.grain = 'week'
      AND i.period BETWEEN %(first)s AND %(last)s
    UNION ALL
    SELECT a.ancestor, epi_week(c.day), c.value
    FROM region_ancestors a
    JOIN counts_by_day c ON c.region = a.region
    WHERE a.ancestor = ANY(%(regions)s) AND c.signal = %(signal)s
      AND c.day BETWEEN %(first)s AND %(last_day)s
      AND (c.imported OR c.day >= %(live_from)s)
      AND NOT EXISTS (
          SELECT FROM imported_counts i
          WHERE i.signal = c.signal AND i.region = c.region AND i.grain = 'week'
            AND i.period = epi_week(c.day))
) AS part
GROUP BY 1, 2
"""
