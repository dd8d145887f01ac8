"""Baselines of the Farrington methods: which steps, in which part of the year, and their counts.

Examples
--------
>>> import numpy as np
>>> baseline = Baseline(np.array([-3.0, -2, -1]), np.array([0, 0, 1]))
>>> baseline.levels
array([[1., 0.],
       [1., 0.],
       [0., 1.]])
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.special import xlogy

from detectors.seasons import steps_per_year, years_back

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detectors.contract import FloatArray, Panel, Positions

__all__ = ["START", "Baseline", "Counts", "baseline_of", "prepare"]

#: Added to the counts in the start, mu = y + 0.1.
START = 0.1


@dataclass(frozen=True, eq=False)
class Baseline:
    """Design of a baseline, relative to the judged step; many problems share one.

    Parameters
    ----------
    lag
        Distance from the judged step, shape `[n]`, negative, in steps.
    part
        Part of the year, shape `[n]`, from 0 (the season of the judged step).
    """

    lag: FloatArray
    part: Positions

    @cached_property
    def x(self) -> FloatArray:
        """Lags as parts of the longest one, so that slopes do not depend on its length."""
        x: FloatArray = self.lag / np.abs(self.lag).max()
        return x

    @cached_property
    def levels(self) -> FloatArray:
        """Indicator of the parts, shape `[n, parts]`."""
        one_hot: FloatArray = (self.part[:, None] == np.arange(self.part.max() + 1)).astype(
            np.float64
        )
        return one_hot

    @cached_property
    def moments(self) -> FloatArray:
        """Indicators, x times the indicators, and x squared, shape `[n, 2 parts + 1]`."""
        x = self.x[:, None]
        columns = [self.levels, x * self.levels, x * x]
        return np.ascontiguousarray(np.concatenate(columns, axis=1))

    @cached_property
    def design(self) -> FloatArray:
        """Indicators and x, transposed: shape `[parts + 1, n]`."""
        return np.ascontiguousarray(np.concatenate([self.levels, self.x[:, None]], axis=1).T)


class Counts(NamedTuple):
    """Baseline counts and functions of them that every fit needs, shape `[problem, n]`."""

    y: FloatArray
    """0 where missing."""
    known: FloatArray
    """1 where a count is known and 0 elsewhere."""
    power: FloatArray
    """y^(2/3)."""
    log_y: FloatArray
    """y log y."""
    start: FloatArray
    """(y + 0.1) log(y + 0.1) - 0.1: working weight times working response at the start."""
    exposure: FloatArray | None = None

    def rows(self, chosen: NDArray[np.bool_] | tuple[Positions, Positions]) -> Counts:
        """Give the chosen problems, or gather steps from a history of counts.

        Examples
        --------
        >>> prepare(np.array([[1.0], [2.0]])).rows(np.array([True, False])).y
        array([[1.]])
        """
        exposure = None if self.exposure is None else self.exposure[chosen]
        return Counts(
            self.y[chosen],
            self.known[chosen],
            self.power[chosen],
            self.log_y[chosen],
            self.start[chosen],
            exposure,
        )


def prepare(counts: FloatArray) -> Counts:
    """Precompute what the fits need; NaN = missing.

    Examples
    --------
    >>> prepare(np.array([[8.0, np.nan]])).power
    array([[4., 0.]])
    """
    known = ~np.isnan(counts)
    y = np.where(known, counts, 0.0)
    first = y + START
    start = xlogy(first, first) - START
    return Counts(y, known.astype(np.float64), np.cbrt(y) ** 2, xlogy(y, y), start)


def baseline_of(
    panel: Panel, index: Positions, *, years: int, half_window: int, periods: int, exclude: int
) -> list[tuple[Positions, Baseline]]:
    """Baselines of the judged positions, grouped by their design relative to the position.

    With integer time there is one group; in calendar time a year may have a step more or less.

    Parameters
    ----------
    periods
        Parts of the year: the window of 2 `half_window` + 1 steps around the season, and
        `periods` - 1 parts of as equal length as possible (longer ones first) of the rest. With 1
        only the windows are used.
    exclude
        Steps before the judged one that are left out.

    Returns
    -------
    list of (columns, baseline)
        `columns` are positions in `index`.

    Examples
    --------
    >>> from detectors.contract import Panel
    >>> weeks = Panel(np.ones((1, 30)), grain="week", period=10)
    >>> ((columns, one),) = baseline_of(
    ...     weeks, np.array([25]), years=1, half_window=1, periods=3, exclude=3
    ... )
    >>> one.lag.astype(int), one.part
    (array([-11, -10,  -9,  -8,  -7,  -6,  -5,  -4]), array([0, 0, 0, 1, 1, 1, 1, 2]))
    """
    centres = _centres(panel, index, years)
    patterns, inverse = np.unique(centres, axis=0, return_inverse=True)
    inverse = inverse.reshape(-1)
    found = []
    for number, pattern in enumerate(patterns):
        baseline = _pattern(pattern, half_window, periods, exclude)
        found.append((np.flatnonzero(inverse == number).astype(np.intp), baseline))
    return found


def _centres(panel: Panel, index: Positions, years: int) -> Positions:
    """Lags of the same season in earlier years, latest year first, shape `[judged, years]`."""
    back = years_back(panel, index, years).T
    lags = back - index[:, None]
    # What lies before the panel is missing, but a part of the year may begin there.
    year = np.where(back[:, 0] >= 0, -lags[:, 0], steps_per_year(panel))
    for column in range(years):
        gone = back[:, column] < 0
        former = lags[:, column - 1] if column else np.zeros(index.size, dtype=np.intp)
        lags[gone, column] = (former - year)[gone]
    return lags.astype(np.intp)


def _pattern(centres: Positions, half_window: int, periods: int, exclude: int) -> Baseline:
    lags: list[int] = []
    parts: list[int] = []
    joined: dict[int, int] = {}
    ends = [*(int(lag) for lag in centres[::-1]), 0]
    for centre, following in pairwise(ends):
        first = lags[-1] + 1 if lags else centre - half_window
        for lag in range(max(first, centre - half_window), centre + half_window + 1):
            lags.append(lag)
            parts.append(0)
        if periods == 1:
            continue
        gap = range(centre + half_window + 1, following - half_window)
        for place, lag in enumerate(gap):
            lags.append(lag)
            parts.append(1 + _part(place, len(gap), periods - 1))
        if half_window and 0 < len(gap) < periods - 1:
            # As the reference: its last part is the last step and the first of the next window.
            joined |= {gap[-1]: periods - 1, following - half_window: periods - 1}
    if periods > 1 and half_window > exclude:
        for lag in range(max(lags[-1] + 1, -half_window), 0):
            lags.append(lag)
            parts.append(0)
    pairs = [(lag, joined.get(lag, part)) for lag, part in zip(lags, parts, strict=True)]
    pairs = [pair for pair in pairs if pair[0] < -exclude]
    kept = pairs or [(int(centres[-1]) - half_window, 0)]
    used = sorted({part for _, part in kept} | {0})
    number = {part: place for place, part in enumerate(used)}
    return Baseline(
        np.array([lag for lag, _ in kept], dtype=np.float64),
        np.array([number[part] for _, part in kept], dtype=np.intp),
    )


def _part(place: int, length: int, parts: int) -> int:
    """Part of the `place`-th of `length` steps, longer parts first."""
    short, longer = divmod(length, parts)
    boundary = longer * (short + 1)
    return place // (short + 1) if place < boundary else longer + (place - boundary) // short
