"""Generalised likelihood ratios of negative-binomial charts, for a shift of unknown size and time.

One step of many charts at a time. A run is the steps k .. n of one chart; the steps before its
last restart are in no run.

Examples
--------
>>> import numpy as np
>>> ratio = NegbinRatio(np.ones((1, 2)), np.array([1e-9]))
>>> ratio.push(0, np.array([4.0]))
>>> ratio.statistic(0, sign=1).round(3), ratio.bound(1, 5.0, sign=1)
(array([2.545]), array([4.]))
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from detectors._negbin_runs import FARTHEST, SLACK, Runs, maximise, reach

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from detectors.contract import FloatArray, Positions

__all__ = ["NegbinRatio"]

# Bounds on counts are rounded to whole ones after allowing for their rounding.
_ROUNDING: Final = 1e-9
# Sums are raised by what their rounding may have taken.
_SUM_ROUNDING: Final = 1e-12
# Numbers per array of runs: they should stay in the cache.
_CACHED: Final = 2**15


class NegbinRatio:
    """Ratios of runs, maximised over the shift by batched Newton steps.

    Only runs that may matter are maximised. The ratio of a run is concave in the shift kappa and 0
    for none: it is at most its slope there times the best kappa, which no single log rate ratio of
    the run falls short of. Slopes and rate ratios are kept up step by step for all runs.

    Parameters
    ----------
    mean
        In-control means, shape `[points, steps]`.
    dispersion
        psi of the variance mu + psi mu^2, shape `[points]`, positive.
    """

    def __init__(self, mean: FloatArray, dispersion: FloatArray) -> None:
        self._mean, self._psi = mean, dispersion
        # A step that is missing or yet to come has no count and no mean: it adds 0 to every sum.
        self._count = np.zeros(mean.shape)
        self._odds = np.zeros(mean.shape)
        runs = mean.shape[::-1]
        self._excess = np.zeros(runs)
        self._size = np.zeros(runs)
        self._farthest = {1: np.zeros(runs), -1: np.zeros(runs)}
        self._first: Positions = np.zeros(mean.shape[0], dtype=np.intp)

    def push(self, step: int, count: FloatArray) -> None:
        """Add the counts of a step; NaN = missing."""
        known = ~np.isnan(count)
        self._count[:, step] = np.where(known, count, 0.0)
        self._odds[:, step] = np.where(known, self._psi * self._mean[:, step], 0.0)
        excess, single = self._alone(step, count)
        runs = slice(step + 1)
        self._excess[runs] += np.where(known, excess, 0.0)
        self._size[runs] += np.where(known, np.abs(excess), 0.0)
        for sign, farthest in self._farthest.items():
            np.fmax(farthest[runs], sign * single, out=farthest[runs])

    def restart(self, step: int, points: NDArray[np.bool_]) -> None:
        """Forget the steps up to `step` in some charts."""
        where = np.flatnonzero(points)
        if where.size:
            self._first[where] = step + 1
            self._excess[: step + 1, where] = np.nan

    def statistic(self, step: int, sign: int) -> FloatArray:
        """Return the largest ratio over the runs that end with `step`, shape `[points]`."""
        most = self._most(step, sign)
        largest = np.zeros(most.shape[1])
        point = np.flatnonzero(most.max(axis=0) > 0)
        # The most promising run of each chart first: it rules out nearly all others.
        begin = most[:, point].argmax(axis=0)
        largest[point] = self._largest(point, begin, step, sign, np.zeros(point.size))
        most[begin, point] = 0.0
        begin, point = np.nonzero(most > largest)
        found = self._largest(point, begin, step, sign, largest[point])
        np.maximum.at(largest, point, found)
        return largest

    def reached(self, step: int, sign: int, limit: float) -> NDArray[np.bool_]:
        """Tell in which charts the statistic is at least `limit`, without working it out."""
        most = self._most(step, sign)
        reached = np.zeros(most.shape[1], dtype=np.bool_)
        begin, point = np.nonzero(most >= limit)
        if point.size:
            floor = np.full(point.size, limit)
            found = self._largest(point, begin, step, sign, floor, enough=limit)
            reached[point[found >= limit]] = True
        return reached

    def _alone(self, step: int, count: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Give the slope of one step's ratio at no shift and its own best shift; NaN = missing."""
        mean = self._mean[:, step]
        with np.errstate(divide="ignore"):
            single = np.clip(np.log(count / mean), -FARTHEST, FARTHEST)
        return (count - mean) / (1.0 + self._psi * mean), single

    def _most(self, step: int, sign: int) -> FloatArray:
        """Bound the ratio of each run that ends with `step`, shape `[begin, points]`."""
        runs = slice(step + 1)
        slope = sign * self._excess[runs]
        slope += _SUM_ROUNDING * self._size[runs]
        slope *= self._farthest[sign][runs]
        slope *= SLACK
        return np.fmax(slope, 0.0, out=slope)

    def _largest(  # noqa: PLR0917 - runs, and what is asked of them
        self,
        point: Positions,
        begin: Positions,
        step: int,
        sign: int,
        floor: FloatArray,
        enough: float = np.inf,
    ) -> FloatArray:
        """Maximise the ratio of some runs over the shift.

        What cannot exceed its `floor`, or is at least `enough` already, may come out too small
        (but not below 0).
        """
        value = np.zeros(point.size)
        for part, width in _batches(begin, step):
            where, first = point[part], begin[part]
            runs = self._runs(where, first, step, width)
            farthest = self._farthest[sign][first, where]
            value[part] = maximise(runs, sign, farthest, floor[part], enough)
        return value

    def bound(self, step: int, limit: float, sign: int) -> FloatArray:
        """Return the least count at `step` that reaches `limit` (`sign` 1); not yet pushed.

        For each run, the shift kappa and the count j that it is the maximum-likelihood estimate for
        are tied by the score equation; along that curve the ratio grows with kappa, at the rate
        dj / dkappa times the derivative of the ratio with respect to j. With `sign` -1 the count
        below which the limit is reached, 0 where it never is.
        """
        points = self._mean.shape[0]
        alone = np.flatnonzero(self._first <= step)
        single = np.full(points, np.inf if sign > 0 else -1.0)
        single[alone] = self._reaching(alone, np.full(alone.size, step), step, limit, sign)
        # A longer run matters only if it would reach the limit with the count that a single one
        # needs; for falls with a count of 0 at least, if no single one does.
        trial = np.maximum(np.where(np.isinf(single), 0.0, single), 0.0)
        excess, best = self._alone(step, trial)
        slope = sign * (self._excess[:step] + excess)
        slope += _SUM_ROUNDING * (self._size[:step] + np.abs(excess))
        slope *= np.fmax(self._farthest[sign][:step], sign * best)
        begin, point = np.nonzero(slope >= limit * (1.0 - 1e-6))
        count = self._reaching(point, begin, step, limit, sign)
        return _whole(
            np.concatenate([single, count]),
            np.concatenate([np.arange(points), point]),
            points,
            sign,
        )

    def _reaching(
        self, point: Positions, begin: Positions, step: int, limit: float, sign: int
    ) -> FloatArray:
        """Solve for the count at `step` with which some runs reach the limit; -1 if none does."""
        count = np.zeros(point.size)
        for part, width in _batches(begin, step):
            runs = self._runs(point[part], begin[part], step, width)
            count[part] = reach(runs, self._mean[point[part], step], limit, sign)
        return count

    def _runs(self, point: Positions, begin: Positions, step: int, width: int) -> Runs:
        """Cut out the last `width` steps of some runs; those before a run begins are empty."""
        last = slice(step + 1 - width, step + 1)
        inside = np.arange(last.start, last.stop) >= begin[:, None]
        return Runs(
            inside * self._count[point, last], inside * self._odds[point, last], self._psi[point]
        )


def _whole(count: FloatArray, point: Positions, points: int, sign: int) -> FloatArray:
    """Combine the bounds of all runs of each point into a whole count."""
    slack = _ROUNDING * (1.0 + np.abs(count))
    if sign > 0:
        least = np.full(points, np.inf)
        np.minimum.at(least, point, np.ceil(count - slack))
        return np.asarray(np.maximum(least, 0.0))
    most = np.full(points, -1.0)
    np.maximum.at(most, point, np.floor(count + slack))
    return np.asarray(np.maximum(most + 1.0, 0.0))


def _batches(begin: Positions, step: int) -> Iterator[tuple[Positions, int]]:
    """Divide runs into batches of similar length, and give the width to work on each with.

    The width depends on the run alone: so do the roundings of its sums, whichever others are there.
    """
    length = step + 1 - begin
    width = 1
    while width < 2 * (step + 1):
        some = np.flatnonzero((length > width // 2) & (length <= width))
        rows = max(1, _CACHED // width)
        for at in range(0, some.size, rows):
            yield some[at : at + rows], min(width, step + 1)
        width *= 2
