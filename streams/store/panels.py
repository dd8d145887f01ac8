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
    SELECT a.ancestor AS region, i.period AS week, i.value, true AS imported
    FROM region_ancestors a
    JOIN imported_counts i ON i.region = a.region
    WHERE a.ancestor = ANY(%(regions)s) AND i.signal = %(signal)s AND i.grain = 'week'
      AND i.period BETWEEN %(first)s AND %(last)s
    UNION ALL
    SELECT a.ancestor, epi_week(c.day), c.value, c.imported
    FROM region_ancestors a
    JOIN counts_by_day c ON c.region = a.region
    WHERE a.ancestor = ANY(%(regions)s) AND c.signal = %(signal)s
      AND c.day BETWEEN %(first)s AND %(last_day)s
      AND NOT EXISTS (
          SELECT FROM imported_counts i
          WHERE i.signal = c.signal AND i.region = c.region AND i.grain = 'week'
            AND i.period = epi_week(c.day))
) AS part
GROUP BY 1, 2
HAVING bool_or(imported) OR week >= %(live_from)s
"""
