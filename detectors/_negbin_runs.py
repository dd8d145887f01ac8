"""The negative-binomial log likelihood ratio of runs of counts, as a function of the shift.

With the counts x and means mu of a run, the shift kappa and psi of the variance mu + psi mu^2 it is
the sum of x kappa - (x + 1 / psi) log((1 + psi mu e^kappa) / (1 + psi mu)).

Examples
--------
>>> import numpy as np
>>> run = Runs(np.array([[4.0]]), np.array([[1e-9]]), np.array([1e-9]))  # a mean of 1
>>> maximise(run, 1, np.array([9.0]), np.zeros(1), np.inf).round(3)
array([2.545])
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from detectors.contract import FloatArray, Positions

__all__ = ["FARTHEST", "SLACK", "Runs", "maximise", "reach"]

#: Log rate ratios are sought between 0 and this (a ratio of 1e130).
FARTHEST: Final = 300.0
#: Bounds on ratios are raised by it, for their rounding.
SLACK: Final = 1.0 + 1e-9
_ITERATIONS: Final = 200
# Newton's steps get squared: after one of this size the estimate is exact to rounding.
_LAST_STEP: Final = 1e-7
# Shifts below it are no shifts.
_LEAST_SHIFT: Final = 1e-6
_TOLERANCE: Final = 1e-10


class Runs:
    """Runs of charts: counts and psi mu, shape `[runs, steps]`; psi, shape `[runs]`, positive.

    A step without a count and a mean is in no sum.
    """

    __slots__ = ("count", "odds", "psi")

    def __init__(self, count: FloatArray, odds: FloatArray, psi: FloatArray) -> None:
        self.count, self.odds, self.psi = count, odds, psi

    def part(self, rows: Positions) -> Runs:
        """Pick some runs."""
        return Runs(self.count[rows], self.odds[rows], self.psi[rows])

    def sums(self, kappa: FloatArray) -> _Sums:
        """Add up what Newton's steps need at the shifts `kappa`, shape `[runs]`."""
        share = self.odds * np.exp(kappa)[:, None]
        inverse = 1.0 / (1.0 + share)
        share *= inverse
        cases = self.count * inverse
        total, expected = cases.sum(axis=1), share.sum(axis=1)
        cases *= share
        share *= share
        return _Sums(total, expected, cases.sum(axis=1), share.sum(axis=1), inverse)

    def ratio(self, kappa: FloatArray, inverse: FloatArray) -> FloatArray:
        """Return the log likelihood ratio of the shifts, 1 / (1 + psi mu e^kappa) being known."""
        inverse_psi = 1.0 / self.psi
        growth = np.log((1.0 + self.odds) * inverse)
        growth *= self.count + inverse_psi[:, None]
        total: FloatArray = self.count.sum(axis=1) * kappa + growth.sum(axis=1)
        return total


class _Sums(NamedTuple):
    """With q = 1 / (1 + psi mu e^kappa) and p = 1 - q: sums over each run, shape `[runs]`."""

    cases: FloatArray
    """x q."""
    expected: FloatArray
    """p = q psi mu e^kappa; the score is the sum of x q - p / psi."""
    cases_slope: FloatArray
    """x q p, minus the derivative of x q."""
    expected_squares: FloatArray
    """p^2; the derivative of p is p - p^2."""
    inverse: FloatArray
    """q itself, shape `[runs, steps]`."""


def maximise(
    runs: Runs, sign: int, farthest: FloatArray, floor: FloatArray, enough: float
) -> FloatArray:
    """Maximise the ratio of each run over the shift.

    `sign` 1 looks for shifts upwards, -1 downwards, none of them larger than `farthest`. A ratio
    that cannot exceed `floor`, or is at least `enough`, may come out too small (but not below 0).

    At the maximum kappa = log(sum x q) - log(sum mu q). The right-hand side hardly changes with
    kappa, not at all if mu is constant: its value at 0 is a good begin, and Newton's method on the
    difference of both sides needs two or three steps.
    """
    value = np.zeros(farthest.size)
    _, gap, _ = _gap(runs, value, sign)
    active = np.flatnonzero(gap > 0)
    kappa = np.minimum(gap[active], farthest[active])
    low, high = np.zeros(active.size), farthest[active]
    for turn in range(_ITERATIONS):
        if not active.size:
            break
        part = runs if active.size == floor.size else runs.part(active)
        sums, gap, slope = _gap(part, kappa, sign)
        low, high = np.where(gap > 0, kappa, low), np.where(gap > 0, high, kappa)
        after = kappa - gap / slope
        after = np.where((after >= low) & (after <= high), after, 0.5 * (low + high))
        last = np.abs(after - kappa) <= _LAST_STEP * np.maximum(kappa, _LEAST_SHIFT)
        if turn == 0:
            value[active] = np.maximum(part.ratio(sign * kappa, sums.inverse), 0.0)
            # A concave function lies below its tangent.
            score = sign * (sums.cases - sums.expected / part.psi)
            most = value[active] + np.maximum(score * (farthest[active] - kappa), -score * kappa)
            last |= (most * SLACK < floor[active]) | (value[active] >= enough)
        else:
            done = np.flatnonzero(last)
            value[active[done]] = part.part(done).ratio(sign * kappa[done], sums.inverse[done])
        active, kappa, low, high = active[~last], after[~last], low[~last], high[~last]
    return np.maximum(value, 0.0)


def _gap(runs: Runs, kappa: FloatArray, sign: int) -> tuple[_Sums, FloatArray, FloatArray]:
    """Give sign log(sum x q / sum mu e^kappa q) at the shift sign kappa, and its slope (< 0)."""
    sums = runs.sums(sign * kappa)
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = sign * np.log(sums.cases * runs.psi / sums.expected)
        slope = sums.expected_squares / sums.expected - 1.0
        slope -= np.where(sums.cases > 0, sums.cases_slope / sums.cases, 0.0)
    # Nothing but missing counts: no shift is better than another.
    gap = np.where(np.isnan(gap), 0.0, gap)
    return sums, gap, np.minimum(slope, -1e-12)


def reach(runs: Runs, mean: FloatArray, limit: float, sign: int) -> FloatArray:
    """Solve for the last count (of mean `mean`) that takes runs to the limit; -1 if none does."""
    count, value = np.zeros(mean.size), np.zeros(mean.size)
    active = np.arange(mean.size)
    kappa, low, high = np.full(mean.size, 0.5), np.zeros(mean.size), np.full(mean.size, FARTHEST)
    for _ in range(_ITERATIONS):
        if not active.size:
            break
        part = runs if active.size == mean.size else runs.part(active)
        count[active], growth, value[active] = _tied(part, mean[active], sign * kappa)
        # Below no count at all the curve has no meaning: for falls it ends there.
        below = np.where(count[active] < 0, sign > 0, value[active] < limit)
        low, high = np.where(below, kappa, low), np.where(below, high, kappa)
        # Newton for the root of the ratio, which is nearly linear in kappa.
        root = np.sqrt(np.maximum(value[active], 1e-300))
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            proposed = kappa + sign * 2.0 * root * (np.sqrt(limit) - root) / growth
        doubled = np.minimum(2.0 * low + 0.1, FARTHEST)
        halved = np.where(high >= FARTHEST, doubled, 0.5 * (low + high))
        after = np.where((proposed >= low) & (proposed <= high), proposed, halved)
        go_on = np.abs(after - kappa) > _TOLERANCE * np.maximum(1.0, kappa)
        active, kappa, low, high = active[go_on], after[go_on], low[go_on], high[go_on]
    if sign < 0:
        count = np.where(value >= limit * (1 - 1e-6), count, -1.0)
    return count


def _tied(
    runs: Runs, mean: FloatArray, kappa: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Count that makes kappa the estimate; growth of the ratio with kappa; the ratio."""
    psi, sums = runs.psi, runs.sums(kappa)
    score = sums.cases - sums.expected / psi
    slope = -sums.cases_slope - (sums.expected - sums.expected_squares) / psi
    shifted = mean * np.exp(kappa)
    count = shifted - (1.0 + psi * shifted) * score
    rate = shifted - psi * shifted * score - (1.0 + psi * shifted) * slope
    gain = kappa - np.log((1.0 + psi * shifted) / (1.0 + psi * mean))
    value = runs.ratio(kappa, sums.inverse) + count * gain + (gain - kappa) / psi
    return count, rate * gain, value
