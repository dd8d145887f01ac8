"""Generalised likelihood ratios of charts for a shift of unknown size and time.

One step of many charts at a time. `first` is the step of each chart after its last restart; runs
of steps k..n, k >= first, are compared with their in-control means.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.special import lambertw

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detectors.contract import FloatArray, Positions

__all__ = ["NegbinRatio", "PoissonRatio"]

#: Log rate ratios are sought between 0 and this (a ratio of 1e130).
_FARTHEST: Final = 300.0
_ITERATIONS: Final = 200
_TOLERANCE: Final = 1e-10
# Bounds on counts are rounded to whole ones after allowing for their rounding.
_ROUNDING: Final = 1e-9
# Below it, the defining equation of the bound is solved by its series, not by Lambert's W.
_SMALL: Final = 1e-3


class PoissonRatio:
    """Sums over runs, from which the Poisson ratio and its bound follow in closed form.

    Parameters
    ----------
    mean
        In-control means, shape `[points, steps]`.

    Examples
    --------
    >>> ratio = PoissonRatio(np.ones((1, 2)))
    >>> ratio.push(0, np.array([4.0]))
    >>> ratio.statistic(0, sign=1).round(3), ratio.bound(1, 5.0, sign=1)
    (array([2.545]), array([4.]))
    """

    def __init__(self, mean: FloatArray) -> None:
        self._mean = mean
        self._cases = np.zeros(mean.shape)
        self._expected = np.zeros(mean.shape)
        self._alive = np.ones(mean.shape)

    def push(self, step: int, count: FloatArray) -> None:
        """Add the counts of a step, NaN = missing, to the runs that include it."""
        known = ~np.isnan(count)
        alive = self._alive[:, : step + 1]
        self._cases[:, : step + 1] += alive * np.where(known, count, 0.0)[:, None]
        self._expected[:, : step + 1] += alive * np.where(known, self._mean[:, step], 0.0)[:, None]

    def restart(self, step: int, points: NDArray[np.bool_]) -> None:
        """Forget the steps up to `step` in some charts."""
        for array in (self._alive, self._cases, self._expected):
            array[points, : step + 1] = 0.0

    def statistic(self, step: int, sign: int, least: float = 0.0) -> FloatArray:  # noqa: ARG002
        """Return the largest ratio over the runs that end with `step`, shape `[points]`."""
        cases, expected = self._cases[:, : step + 1], self._expected[:, : step + 1]
        # X log(X / M) - X + M, with its limit M where X = 0.
        with np.errstate(divide="ignore", invalid="ignore"):
            excess = cases - expected
            value = cases * np.log(cases / expected) - excess
        value = np.where(cases == 0, expected, value)
        shifted = (sign * excess > 0) & (expected > 0)
        largest: FloatArray = np.where(shifted, value, 0.0).max(axis=1)
        return np.maximum(largest, 0.0)

    def bound(self, step: int, limit: float, sign: int) -> FloatArray:
        """Return the least count at `step` that reaches `limit` (`sign` 1); not yet pushed.

        With `sign` -1 the count below which it is reached, 0 where it never is.
        """
        alive = self._alive[:, : step + 1] > 0
        expected = self._expected[:, : step + 1] + self._mean[:, step, None]
        total = expected * (1.0 + _relative_excess(limit / expected, sign))
        total[np.isnan(total)] = -1.0
        return _whole(total - self._cases[:, : step + 1], alive, total, sign)


class NegbinRatio:
    """The same for negative-binomial counts, by batched Newton steps for each run.

    Parameters
    ----------
    mean
        In-control means, shape `[points, steps]`.
    dispersion
        psi of the variance mu + psi mu^2, shape `[points]`, positive.

    Examples
    --------
    >>> ratio = NegbinRatio(np.ones((1, 2)), np.array([1e-9]))
    >>> ratio.push(0, np.array([4.0]))
    >>> ratio.statistic(0, sign=1).round(3), ratio.bound(1, 5.0, sign=1)
    (array([2.545]), array([4.]))
    """

    def __init__(self, mean: FloatArray, dispersion: FloatArray) -> None:
        self._mean, self._psi = mean, dispersion
        self._count = np.zeros(mean.shape)
        self._weight = np.zeros(mean.shape)
        self._first: Positions = np.zeros(mean.shape[0], dtype=np.intp)

    def push(self, step: int, count: FloatArray) -> None:
        """Add the counts of a step; NaN = missing."""
        known = ~np.isnan(count)
        self._count[:, step] = np.where(known, count, 0.0)
        self._weight[:, step] = known

    def restart(self, step: int, points: NDArray[np.bool_]) -> None:
        """Forget the steps up to `step` in some charts."""
        self._first[points] = step + 1

    def statistic(self, step: int, sign: int, least: float = 0.0) -> FloatArray:
        """Return the largest ratio over the runs that end with `step`, shape `[points]`.

        Values below `least` may come out too small (but not below 0), which is quicker.
        """
        most = self._most(step, sign, self._count[:, step], self._weight[:, step])
        largest = np.zeros(self._mean.shape[0])
        # The most promising run of each chart first: it rules out nearly all others.
        point, begin = np.arange(most.shape[0]), most.argmax(axis=1)
        promising = (most.max(axis=1) >= least) & (most.max(axis=1) > 0)
        point, begin = point[promising], begin[promising]
        largest[point] = self._largest(point, begin, step, sign)
        most[point, begin] = 0.0
        point, begin = np.nonzero(most > np.maximum(largest, least)[:, None])
        np.maximum.at(largest, point, self._largest(point, begin, step, sign))
        return largest

    def _most(self, step: int, sign: int, count: FloatArray, weight: FloatArray) -> FloatArray:
        """Bound the ratio of each run if the last count were `count`, `[points, first step]`.

        The ratio is concave in kappa and 0 for no shift, so that it is at most the slope there
        times the best kappa, which no single log rate ratio of the run falls short of.
        """
        counts, mean = self._count[:, : step + 1].copy(), self._mean[:, : step + 1]
        weights = self._weight[:, : step + 1].copy()
        counts[:, step], weights[:, step] = count, weight
        excess = weights * (counts - mean) / (1.0 + self._psi[:, None] * mean)
        with np.errstate(divide="ignore"):
            single = sign * np.log(counts / mean)
        single = np.where(weights > 0, np.clip(single, 0.0, _FARTHEST), 0.0)
        slope = sign * np.cumsum(excess[:, ::-1], axis=1)[:, ::-1]
        slope += 1e-12 * np.cumsum(np.abs(excess)[:, ::-1], axis=1)[:, ::-1]
        farthest = np.maximum.accumulate(single[:, ::-1], axis=1)[:, ::-1]
        alive = np.arange(step + 1) >= self._first[:, None]
        return np.where(alive & (slope > 0), slope * farthest * (1.0 + 1e-9), 0.0)

    def _largest(self, point: Positions, begin: Positions, step: int, sign: int) -> FloatArray:
        """Maximise the ratio of some runs over the shift."""
        runs = self._runs(point, begin, step)
        kappa, value = np.zeros(point.size), np.zeros(point.size)
        score, slope, _ = self._score(kappa, _Runs(self, point, runs, step))
        active = np.flatnonzero(sign * score > 0)
        # One step of scoring with the weights of no shift, on the log scale of the shift.
        kappa[active] = np.log1p(np.maximum(sign * score[active] / -slope[active], 1e-12))
        low, high = np.zeros(active.size), np.full(active.size, _FARTHEST)
        for _ in range(_ITERATIONS):
            if not active.size:
                break
            part = _Runs(self, point[active], runs[active], step)
            now = kappa[active]
            score, slope, value[active] = self._score(sign * now, part)
            ahead = sign * score > 0
            low, high = np.where(ahead, now, low), np.where(ahead, high, now)
            # The slope is negative: in the direction of `sign`, the score falls.
            proposed = now + sign * score / np.maximum(-slope, 1e-300)
            kappa[active], go_on = _advance(now, proposed, low, high)
            active, low, high = active[go_on], low[go_on], high[go_on]
        return np.maximum(value, 0.0)

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
        most = self._most(step, sign, trial, np.ones(points))
        most[:, step] = 0.0
        point, begin = np.nonzero(most >= limit * (1.0 - 1e-6))
        count = self._reaching(point, begin, step, limit, sign)
        return _whole_by_point(
            np.concatenate([single, count]),
            np.concatenate([np.arange(points), point]),
            points,
            sign,
        )

    def _reaching(
        self, point: Positions, begin: Positions, step: int, limit: float, sign: int
    ) -> FloatArray:
        """Solve for the count at `step` with which some runs reach the limit; -1 if none does."""
        runs = self._runs(point, begin, step)
        runs[:, step] = 0.0
        count, value = np.zeros(point.size), np.zeros(point.size)
        kappa = np.full(point.size, 0.5)
        active = np.arange(point.size)
        low, high = np.zeros(active.size), np.full(active.size, _FARTHEST)
        for _ in range(_ITERATIONS):
            if not active.size:
                break
            part = _Runs(self, point[active], runs[active], step)
            now = kappa[active]
            count[active], growth, value[active] = self._tied(sign * now, part)
            # Below no count at all the curve has no meaning: for falls it ends there.
            below = np.where(count[active] < 0, sign > 0, value[active] < limit)
            low, high = np.where(below, now, low), np.where(below, high, now)
            # Newton for the root of the ratio, which is nearly linear in kappa.
            root = np.sqrt(np.maximum(value[active], 1e-300))
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                proposed = now + sign * 2.0 * root * (np.sqrt(limit) - root) / growth
            kappa[active], go_on = _advance(now, proposed, low, high)
            active, low, high = active[go_on], low[go_on], high[go_on]
        if sign < 0:
            count = np.where(value >= limit * (1 - 1e-6), count, -1.0)
        return count

    def _runs(self, point: Positions, begin: Positions, step: int) -> FloatArray:
        """Give the weights of the steps in some runs that end with `step`, `[runs, steps]`."""
        inside: NDArray[np.bool_] = np.arange(step + 1) >= begin[:, None]
        return np.asarray(inside * self._weight[point, : step + 1])

    def _score(self, kappa: FloatArray, runs: _Runs) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Sum of (x - mu e^kappa) / (1 + psi mu e^kappa), its derivative, and the ratio."""
        shifted = runs.mean * np.exp(kappa)[:, None]
        inverse = 1.0 / (1.0 + runs.psi * shifted)
        weighted = runs.weight * inverse
        value = (weighted * (runs.count - shifted)).sum(axis=1)
        slope = -(weighted * inverse * shifted * (1.0 + runs.psi * runs.count)).sum(axis=1)
        growth = np.log((1.0 + runs.psi * runs.mean) * inverse)
        terms = runs.count * kappa[:, None] + (runs.count + 1.0 / runs.psi) * growth
        return value, slope, (runs.weight * terms).sum(axis=1)

    def _tied(self, kappa: FloatArray, runs: _Runs) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Count that makes kappa the estimate; growth of the ratio with kappa; the ratio."""
        psi, mean = runs.psi[:, 0], runs.mean[:, -1]
        score, slope, ratio = self._score(kappa, runs)
        shifted = mean * np.exp(kappa)
        count = shifted - (1.0 + psi * shifted) * score
        rate = shifted - psi * shifted * score - (1.0 + psi * shifted) * slope
        gain = kappa - np.log((1.0 + psi * shifted) / (1.0 + psi * mean))
        value = ratio + count * gain + (gain - kappa) / psi
        return count, rate * gain, value


class _Runs:
    """Runs of the same charts, arrays of shape `[runs, steps]`."""

    __slots__ = ("count", "mean", "psi", "weight")

    def __init__(self, ratio: NegbinRatio, point: Positions, weight: FloatArray, step: int) -> None:
        self.count = ratio._count[point, : step + 1]  # noqa: SLF001 - a part of the same charts
        self.mean = ratio._mean[point, : step + 1]  # noqa: SLF001
        self.psi = ratio._psi[point][:, None]  # noqa: SLF001
        self.weight = weight


def _advance(
    kappa: FloatArray, proposed: FloatArray, low: FloatArray, high: FloatArray
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Take Newton's proposal if it lies between the brackets, else halve or double."""
    inside = (proposed > low) & (proposed < high)
    halved = np.where(high >= _FARTHEST, np.minimum(2.0 * low + 0.1, _FARTHEST), 0.5 * (low + high))
    after = np.where(inside, proposed, halved)
    return after, np.abs(after - kappa) > _TOLERANCE * np.maximum(1.0, kappa)


def _relative_excess(part: FloatArray, sign: int) -> FloatArray:
    """Solve (1 + d) log(1 + d) - d = part for d > 0 (`sign` 1) or d < 0; NaN if there is none."""
    small = part < _SMALL
    root = np.sqrt(2.0 * part)
    series = sign * root + part / 3.0 - sign * root * part / 18.0
    branch = 0 if sign > 0 else -1
    possible = (part <= 1.0) | (sign > 0)
    argument = (np.where(small | ~possible, 0.5, part) - 1.0) / np.e
    exact = np.expm1(1.0 + lambertw(argument, branch).real)
    excess = np.where(small, series, exact)
    return np.where(possible, excess, np.nan)


def _whole(count: FloatArray, alive: NDArray[np.bool_], scale: FloatArray, sign: int) -> FloatArray:
    """Combine the bounds of all runs into a whole count."""
    slack = _ROUNDING * (1.0 + np.abs(scale))
    if sign > 0:
        least = np.where(alive, np.ceil(count - slack), np.inf).min(axis=1)
        return np.asarray(np.maximum(least, 0.0))
    most = np.where(alive, np.floor(count + slack), -1.0).max(axis=1)
    return np.asarray(np.maximum(most + 1.0, 0.0))


def _whole_by_point(count: FloatArray, point: Positions, points: int, sign: int) -> FloatArray:
    """Do as `_whole` does, for runs listed with their points."""
    slack = _ROUNDING * (1.0 + np.abs(count))
    if sign > 0:
        least = np.full(points, np.inf)
        np.minimum.at(least, point, np.ceil(count - slack))
        return np.asarray(np.maximum(least, 0.0))
    most = np.full(points, -1.0)
    np.maximum.at(most, point, np.floor(count + slack))
    return np.asarray(np.maximum(most + 1.0, 0.0))
