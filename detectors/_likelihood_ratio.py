"""Generalised likelihood ratios of Poisson charts, for a shift of unknown size and time.

One step of many charts at a time. A run is the steps k .. n of one chart; the steps before its
last restart are in no run.

Examples
--------
>>> import numpy as np
>>> ratio = PoissonRatio(np.ones((1, 2)))
>>> ratio.push(0, np.array([4.0]))
>>> ratio.statistic(0, sign=1).round(3), ratio.bound(1, 5.0, sign=1)
(array([2.545]), array([4.]))
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.special import lambertw

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detectors.contract import FloatArray

__all__ = ["PoissonRatio"]

# Bounds on counts are rounded to whole ones after allowing for their rounding.
_ROUNDING: Final = 1e-9
# Allows for the rounding of a comparison that only leaves runs out.
_LOOSE: Final = 1.0 - 1e-6
# Below it, the defining equation of the bound is solved by its series, not by Lambert's W.
_SMALL: Final = 1e-3


class PoissonRatio:
    """Sums over runs, from which the Poisson ratio and its bound follow in closed form.

    Parameters
    ----------
    mean
        In-control means, shape `[points, steps]`.
    """

    def __init__(self, mean: FloatArray) -> None:
        self._mean = np.ascontiguousarray(mean.T)
        # Shape [begin, points]: what is done for all runs at once lies together.
        self._cases = np.zeros(self._mean.shape)
        self._expected = np.zeros(self._mean.shape)

    def push(self, step: int, count: FloatArray) -> None:
        """Add the counts of a step, NaN = missing, to the runs that include it."""
        known = ~np.isnan(count)
        self._cases[: step + 1] += np.where(known, count, 0.0)
        self._expected[: step + 1] += np.where(known, self._mean[step], 0.0)

    def restart(self, step: int, points: NDArray[np.bool_]) -> None:
        """Forget the steps up to `step` in some charts."""
        where = np.flatnonzero(points)
        if where.size:
            self._cases[: step + 1, where] = np.nan

    def statistic(self, step: int, sign: int) -> FloatArray:
        """Return the largest ratio over the runs that end with `step`, shape `[points]`."""
        cases, expected = self._cases[: step + 1], self._expected[: step + 1]
        value = _ratio(cases, expected)
        # Comparisons with NaN, the runs that were forgotten, are False.
        shifted = (cases > expected) if sign > 0 else (cases < expected)
        value = np.where(shifted & (expected > 0), value, 0.0)
        return np.asarray(np.maximum(value.max(axis=0), 0.0))

    def reached(self, step: int, sign: int, limit: float) -> NDArray[np.bool_]:
        """Tell in which charts the statistic is at least `limit`, without working it out."""
        cases, expected = self._cases[: step + 1], self._expected[: step + 1]
        excess = cases - expected
        if sign < 0:
            excess = -excess
        # X log(X / M) - X + M is at most (X - M)^2 / M, since log(1 + d) is at most d.
        begin, point = np.nonzero((excess > 0) & (excess * excess >= _LOOSE * limit * expected))
        reached = np.zeros(cases.shape[1], dtype=np.bool_)
        run = _ratio(cases[begin, point], expected[begin, point])
        reached[point[(run >= limit) & (expected[begin, point] > 0)]] = True
        return reached

    def bound(self, step: int, limit: float, sign: int) -> FloatArray:
        """Return the least count at `step` that reaches `limit` (`sign` 1); not yet pushed.

        With `sign` -1 the count below which it is reached, 0 where it never is.
        """
        cases = self._cases[: step + 1]
        expected = self._expected[: step + 1] + self._mean[step]
        total = expected * (1.0 + _relative_excess(limit / expected, sign))
        total[np.isnan(total)] = -1.0
        return _whole(total - cases, ~np.isnan(cases), total, sign)


def _ratio(cases: FloatArray, expected: FloatArray) -> FloatArray:
    """X log(X / M) - X + M, with its limit M where X = 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        value = cases * np.log(cases / expected) - (cases - expected)
    return np.where(cases == 0, expected, value)


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
        least = np.where(alive, np.ceil(count - slack), np.inf).min(axis=0)
        return np.asarray(np.maximum(least, 0.0))
    most = np.where(alive, np.floor(count + slack), -1.0).max(axis=0)
    return np.asarray(np.maximum(most + 1.0, 0.0))
