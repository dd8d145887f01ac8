"""Mean and standard deviation of a rolling baseline that ends before the judged step.

Examples
--------
>>> import numpy as np
>>> counts = np.array([[2.0, 4.0, 6.0, 100.0]])
>>> window = rolling_baseline(counts, np.array([3]), length=3, lag=0)
>>> window.mean, window.sd, window.observed
(array([[4.]]), array([[2.]]), array([[3.]]))
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detectors.contract import FloatArray, Positions

__all__ = ["RollingBaseline", "judged_and_baseline", "rolling_baseline", "values_at"]

# The mean of equal fractions can differ from them by rounding, which would pass for variation.
# Real counts whose spread is a millionth of a millionth of their mean do not exist.
_ROUNDING = 1e-12

# Judged positions for which it pays to lay out the work by step, not by series.
_FEW = 8

# Picks from an array [series, step] the columns that lie k steps before the judged ones.
_Before: TypeAlias = Callable[[int], "slice | Positions"]


class RollingBaseline(NamedTuple):
    """Moments of the baseline of each judged position, arrays of shape `[series, judged]`."""

    mean: FloatArray
    """Mean of the observed counts; NaN if there are none."""
    sd: FloatArray
    """Standard deviation with divisor n - 1, exactly 0 if constant; NaN for fewer than two."""
    observed: FloatArray
    """Number n of observed (not missing) counts."""


def rolling_baseline(
    counts: FloatArray, positions: Positions, *, length: int, lag: int
) -> RollingBaseline:
    """Moments of the `length` counts that end `lag` + 1 steps before each position.

    For position t these are the counts at t - lag - length, ..., t - lag - 1. Missing counts, and
    steps before the array begins, are left out.

    Parameters
    ----------
    counts
        Shape `[series, time]`, NaN = missing.
    positions
        Positions to compute for, shape `[judged]`, not empty; negative ones are before the array.
    length, lag
        In time steps.

    Notes
    -----
    Two passes (mean first, then deviations from it), since the running sums of squares that
    would make one pass enough cancel catastrophically for large counts. The mean of the deviations
    corrects the mean, so that the mean of equal fractions is exactly that fraction. The terms are
    added in a fixed order: a result does not depend on which other positions are asked for. Only
    the columns from the first baseline to the last position are read; about four arrays of
    that width and seven of the size `[series, judged]` are alive at a time.

    Examples
    --------
    >>> counts = np.array([[1.0, np.nan, 3.0, 9.0, 9.0]])
    >>> rolling_baseline(counts, np.array([4, 0]), length=3, lag=1)[0]
    array([[ 2., nan]])
    """
    return judged_and_baseline(counts, positions, length=length, lag=lag)[1]


def judged_and_baseline(
    counts: FloatArray, positions: Positions, *, length: int, lag: int
) -> tuple[FloatArray, RollingBaseline]:
    """Do as `values_at` and `rolling_baseline` do, but fetch the counts only once.

    Examples
    --------
    >>> counts = np.array([[2.0, 4.0, 6.0, 100.0]])
    >>> judged_and_baseline(counts, np.array([3]), length=3, lag=0)[0]
    array([[100.]])
    """
    block, before = _history(counts, positions, depth=lag + length)
    lags = range(lag + 1, lag + length + 1)
    known: NDArray[np.bool_] = ~np.isnan(block)
    complete = bool(known.all())
    judged = block[:, before(0)]
    if not complete:
        judged = judged.copy(order="K")
        block[~known] = 0.0
    shape, order = (counts.shape[0], positions.size), _order(positions)
    total, remainder, squares, deviation = (np.zeros(shape, order=order) for _ in range(4))
    observed = np.full(shape, float(length) if complete else 0.0, order=order)
    for k in lags:
        total += block[:, before(k)]
        if not complete:
            observed += known[:, before(k)]
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.divide(total, observed, out=total)
        for k in lags:
            np.subtract(block[:, before(k)], mean, out=deviation)
            if not complete:
                deviation *= known[:, before(k)]
            remainder += deviation
            deviation *= deviation
            squares += deviation
        remainder /= observed
        mean += remainder
        # No count leaves 0 / -1 and a single one 0 / 0: neither has a spread.
        squares /= length - 1 if complete else np.where(observed > 1, observed - 1, np.nan)
        sd = np.sqrt(squares, out=squares)
    np.copyto(sd, 0.0, where=sd <= _ROUNDING * mean)
    return judged, RollingBaseline(mean, sd, observed)


def values_at(counts: FloatArray, positions: Positions) -> FloatArray:
    """Take the counts at the positions, shape `[series, judged]`; NaN before the array begins.

    Examples
    --------
    >>> values_at(np.array([[5.0, 6.0]]), np.array([1, -1]))
    array([[ 6., nan]])
    """
    block, before = _history(counts, positions, depth=0)
    return block[:, before(0)]


def _history(counts: FloatArray, positions: Positions, *, depth: int) -> tuple[FloatArray, _Before]:
    """Copy the columns that matter, with NaN before time 0, and tell how to reach them."""
    first, last = int(positions.min()) - depth, int(positions.max())
    taken = counts[:, max(0, first) : max(0, last + 1)]
    if first < 0:
        block = np.full((counts.shape[0], last - first + 1), np.nan)
        block[:, block.shape[1] - taken.shape[1] :] = taken
    else:
        # By series first, as they lie in memory: each of them costs a cache miss, and only one.
        block = taken.copy(order="C")
    block = np.asarray(block, order=_order(positions))
    columns = positions - first
    if columns.size == 1 or bool((np.diff(columns) == 1).all()):
        # Consecutive positions are the common case, and a slice spares a copy per lag.
        start, stop = int(columns[0]), int(columns[-1]) + 1
        return block, lambda k: slice(start - k, stop - k)
    return block, lambda k: columns - k


def _order(positions: Positions) -> Literal["C", "F"]:
    """Put the series of a step side by side where few steps are judged: numpy then runs along."""
    return "F" if positions.size <= _FEW else "C"
