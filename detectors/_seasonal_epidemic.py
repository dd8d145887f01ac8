"""Seasons as rows of weeks, and the epidemic period in each (for the moving epidemic method).

Examples
--------
>>> import numpy as np
>>> season = np.array([[1.0, 1, 2, 20, 40, 25, 3, 1, 1, 1]])
>>> epidemic_period(season, delta=4.0)  # weeks 4 to 6: one more would add only 3 of 95
(array([3]), array([3]))
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from detectors._moments import moments
from detectors.seasons import steps_per_year

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detectors.contract import FloatArray, Panel, Positions

__all__ = [
    "PooledMoments",
    "epidemic_period",
    "highest",
    "pooled_moments",
    "season_matrix",
    "season_numbers",
]

# Share of a season's steps that must be known.
_SHARE = 0.75
_WEEK = 7
# Weeks that every year has: a later start would leave years in which no season begins.
_WEEKS = 52
# The fourth day of a week decides the year that the week belongs to.
_MIDDLE = 3


class PooledMoments(NamedTuple):
    """Moments of the values of past seasons, arrays of shape `[series]` or `[series, judged]`."""

    mean: FloatArray
    """NaN if there is no value."""
    sd: FloatArray
    """Divisor n - 1, exactly 0 if constant; NaN for fewer than two values."""
    values: FloatArray
    """Number of values."""
    seasons: FloatArray
    """Number of seasons used."""


def season_numbers(panel: Panel, first: int, stop: int, season_start: int) -> Positions:
    """Give each step from `first` up to `stop` the number of its season.

    Examples
    --------
    >>> from detectors.contract import Panel
    >>> days = np.arange("2025-09-22", "2025-10-13", 7, dtype="datetime64[D]")
    >>> weeks = Panel(np.ones((1, 3)), dates=days, grain="week")
    >>> season_numbers(weeks, 0, 3, season_start=40)  # week 40 begins on 29 September
    array([2024, 2025, 2025])
    """
    steps = np.arange(first, stop)
    if panel.dates is None:
        length = steps_per_year(panel)
        begin = (min(season_start, _WEEKS) - 1) * length // _WEEKS
        numbers: Positions = np.floor_divide(steps - begin, length)
        return numbers
    middle = panel.dates[first:stop]
    if panel.grain == "week":
        middle = middle + _MIDDLE
    year = middle.astype("datetime64[Y]")
    week = (middle - year.astype("datetime64[D]")).astype(np.intp) // _WEEK + 1
    begun = week >= min(season_start, _WEEKS)
    return year.astype(np.intp) + 1970 - np.where(begun, 0, 1)


def season_matrix(
    counts: FloatArray, steps: Positions, length: int
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Take the steps of one season, `[series, steps]`, and say which series have enough of them."""
    if steps.size == 0:
        return np.full((counts.shape[0], 1), np.nan), np.zeros(counts.shape[0], dtype=np.bool_)
    year = counts[:, int(steps[0]) : int(steps[-1]) + 1]
    known = ~np.isnan(year)
    usable = (known.sum(axis=1) >= _SHARE * length) & (np.where(known, year, 0.0) > 0).any(axis=1)
    return year, usable


def epidemic_period(year: FloatArray, delta: float) -> tuple[Positions, Positions]:
    """Find the epidemic of each row by the slope of its MAP curve: first week, number of weeks.

    Missing weeks add nothing. A row without cases has an epidemic of no meaning in its first week.
    """
    rows, weeks = year.shape
    sums = np.concatenate([np.zeros((rows, 1)), np.cumsum(np.nan_to_num(year), axis=1)], axis=1)
    total = np.where(sums[:, -1] > 0, sums[:, -1], 1.0)
    start, duration = np.zeros(rows, dtype=np.intp), np.full(rows, weeks, dtype=np.intp)
    open_rows = np.ones(rows, dtype=np.bool_)
    runs = sums[:, 1:] - sums[:, :-1]
    for r in range(1, weeks + 1):
        longer = sums[:, r + 1 :] - sums[:, : -r - 1] if r < weeks else runs
        gain = 100 * (longer.max(axis=1) - runs.max(axis=1)) / total
        done = open_rows & ((gain < delta) | (r == weeks))
        start[done], duration[done] = runs[done].argmax(axis=1), r
        open_rows &= ~done
        if not open_rows.any():
            break
        runs = longer
    return start, duration


def highest(values: FloatArray, number: int) -> FloatArray:
    """Sort the values of each row, largest first, and keep `number` of them; NaN where fewer.

    Examples
    --------
    >>> highest(np.array([[3.0, np.nan, 5.0, 4.0]]), 2)
    array([[5., 4.]])
    """
    descending = -np.sort(-values, axis=1)  # NaN last
    kept = descending[:, :number]
    missing = np.full((values.shape[0], number - kept.shape[1]), np.nan)
    return np.concatenate([kept, missing], axis=1)


def pooled_moments(past: list[FloatArray], each: FloatArray, seasons: FloatArray) -> PooledMoments:
    """Moments of the first `each` values of every season."""
    columns = [
        np.where(place < each, season[:, place], np.nan)
        for season in past
        for place in range(season.shape[1])
    ]
    _, mean, sd, values = moments(lambda: columns, each.shape)
    return PooledMoments(mean, sd, values, seasons)
