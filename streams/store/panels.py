"""Reading panels: series by time, as detectors take them."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Final, LiteralString, NamedTuple

import numpy as np

from streams.judging.periods import epi_week_start, periods_between
from streams.store.reports import read_known

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from psycopg import AsyncConnection

    from schemas.counts import Grain, ImportGrain
    from streams.judging.periods import EpiWeek

__all__ = ["Counts", "Extent", "read_counts", "read_extent", "read_known_periods", "read_panel"]


#: Set of all days of a week, Monday or Sunday first as the weeks begin.
_ALL_DAYS: Final = 127


class Extent(NamedTuple):
    """Days on which live counts of a signal exist."""

    #: First day with a case; corrections may have taken away what was counted before it.
    first: date
    last: date
    #: First day that was ever counted and may have verdicts.
    counted_from: date


class Counts(NamedTuple):
    """Counts of regions over periods, arrays `[regions, periods]`."""

    known: NDArray[np.float64]
    """NaN where nothing is known, or some days are not."""
    at_least: NDArray[np.float64]
    """Where `known` is NaN, the sum of the days that arrived; NaN elsewhere."""


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
    """Read counts as `read_counts` does, without the lower bounds of incomplete ones."""
    counts = await read_counts(
        connection,
        signal=signal,
        regions=regions,
        grain=grain,
        first=first,
        last=last,
        extent=extent,
        epi_week=epi_week,
    )
    return counts.known


async def read_counts(
    connection: AsyncConnection,
    *,
    signal: str,
    regions: Sequence[str],
    grain: Grain,
    first: date,
    last: date,
    extent: Extent,
    epi_week: EpiWeek,
) -> Counts:
    """Read the counts of regions, summed over the regions below them and over strata.

    A period without counts is 0 where the region reports, and NaN elsewhere, unless it was imported
    for that region: before the first live day of the signal, before the region's own first report,
    and in outages (`streams.store.reports`). A week of which a day is neither reported nor imported
    is NaN. The days of such a week that have arrived are a lower bound of its count.

    Parameters
    ----------
    regions
        Codes of one level.
    first, last
        First and last period, by the date that identifies it.
    """
    read_from = first - timedelta(days=6) if grain == "rolling7" else first
    base: Grain = "week" if grain == "week" else "day"
    periods = periods_between(read_from, last, base)
    counts = np.full((len(regions), len(periods)), np.nan)
    reported = await _reported(
        connection,
        signal=signal,
        regions=regions,
        periods=periods,
        base=base,
        extent=extent,
        epi_week=epi_week,
    )
    counts[_all(reported)] = 0.0
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
            # Of a week that begins before, also its days before: imports may have completed it.
            "live_since": read_from if base == "week" else max(read_from, extent.first),
        },
    )
    arrived = np.zeros(counts.shape)
    for region, period, value, imported in await cursor.fetchall():
        place = row[region], column[period]
        arrived[place] = value
        if _all(reported[place] | imported):
            counts[place] = value
    if grain == "rolling7":
        counts, arrived = _windows(counts), _windows(arrived)
    return Counts(counts, np.where(np.isnan(counts), arrived, np.nan))


def _windows(days: NDArray[np.float64]) -> NDArray[np.float64]:
    windows = np.lib.stride_tricks.sliding_window_view(days, 7, axis=1)
    return np.asarray(windows.sum(axis=-1))


async def read_known_periods(
    connection: AsyncConnection,
    *,
    signal: str,
    regions: Sequence[str],
    base: ImportGrain,
    first: date,
    last: date,
    extent: Extent,
    epi_week: EpiWeek,
) -> NDArray[np.bool_]:
    """Return which days or weeks of regions have a value in a panel, shape [regions, periods].

    Parameters
    ----------
    first, last
        First and last period, by the date that identifies it.
    """
    periods = periods_between(first, last, base)
    reported = await _reported(
        connection,
        signal=signal,
        regions=regions,
        periods=periods,
        base=base,
        extent=extent,
        epi_week=epi_week,
    )
    if _all(reported).all():
        return _all(reported)
    column = {period: i for i, period in enumerate(periods)}
    row = {region: i for i, region in enumerate(regions)}
    values = {
        "signal": signal,
        "regions": list(regions),
        "weekly": base == "week",
        "first": first,
        "last": last,
        "last_day": last + timedelta(days=6) if base == "week" else last,
    }
    cursor = await connection.execute(_IMPORTED, values)
    for region, period, imported in await cursor.fetchall():
        reported[row[region], column[period]] |= imported
    return _all(reported)


def _all(days: NDArray[np.int16]) -> NDArray[np.bool_]:
    """Tell which periods are known on all their days."""
    return np.equal(days, _ALL_DAYS)


async def _reported(
    connection: AsyncConnection,
    *,
    signal: str,
    regions: Sequence[str],
    periods: Sequence[date],
    base: Grain,
    extent: Extent,
    epi_week: EpiWeek,
) -> NDArray[np.int16]:
    """Return the days of each period on which a missing count is a zero, as sets of bits.

    Shape [regions, periods]; bit i is the day i days after the period's first, and of a period of
    one day all bits are that day. No day of a period that has not begun is in a set; those days of
    a running one that have not come yet are.
    """
    width = 7 if base == "week" else 1
    whole = np.zeros((len(regions), len(periods), width), dtype=np.bool_)
    live_to = epi_week_start(extent.last, epi_week) if base == "week" else extent.last
    begun = np.array([period <= live_to for period in periods], dtype=np.bool_)
    if begun.any():
        whole[:, begun] = True
        flat = whole.reshape(len(regions), -1)
        last = min(periods[-1] + timedelta(days=width - 1), extent.last)
        found = await read_known(
            connection, signal=signal, regions=regions, first=periods[0], last=last
        )
        flat[:, : found.days.shape[1]] &= found.days
        flat[:, : max((extent.first - periods[0]).days, 0)] = False
    bits = 1 << np.arange(width) if base == "week" else np.array([_ALL_DAYS])
    return np.asarray(whole @ bits, dtype=np.int16)


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

# Of a week the days that were imported, as bits; of a day, and of an imported week, all bits.
_IMPORTED: LiteralString = """
SELECT p.ancestor, CASE WHEN %(weekly)s THEN epi_week(i.period) ELSE i.period END,
       bit_or(CASE WHEN %(weekly)s AND i.grain = 'day' THEN 1 << (i.period - epi_week(i.period))
                   ELSE 127 END)
FROM region_ancestors p
JOIN imported_counts i ON i.region = p.region AND i.signal = %(signal)s
    AND i.period BETWEEN %(first)s AND %(last_day)s AND (%(weekly)s OR i.grain = 'day')
WHERE p.ancestor = ANY(%(regions)s) AND (i.grain = 'day' OR i.period <= %(last)s)
GROUP BY 1, 2
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
SELECT ancestor, day, sum(value)::float8, bit_or(imported)
FROM (
    SELECT ancestor, day, value, 0 AS imported FROM live
    UNION ALL
    SELECT p.ancestor, i.day, i.value, 127 FROM imported i JOIN part p USING (region)
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
    SELECT ancestor, region, epi_week(day) AS week, value, 0 AS imported FROM live
    UNION ALL
    SELECT p.ancestor, p.region, epi_week(i.day), i.value, 1 << (i.day - epi_week(i.day))
    FROM imported i JOIN part p USING (region)
)
SELECT ancestor, week, sum(value)::float8, bit_or(imported)
FROM (
    SELECT p.ancestor, w.week, w.value, 127 AS imported FROM by_week w JOIN part p USING (region)
    UNION ALL
    SELECT ancestor, week, value, imported FROM by_day
    WHERE (region, week) NOT IN (SELECT w.region, w.week FROM by_week w)
) AS counted
GROUP BY 1, 2
"""
)
