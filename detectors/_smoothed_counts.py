r"""Exponentially smoothed counts that limit what an outlying count leaves behind.

The chart of :class:`detectors.essence_ewma.EssenceEwma` has the equations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.special import stdtrit

from detectors.rolling import RollingBaseline, rolling_baseline, values_at

if TYPE_CHECKING:
    from detectors.contract import FloatArray, Positions

__all__ = ["SmoothedCounts", "standard_error"]

#: Tail beyond which a smoothed count is taken back to the limit, on either side.
_OUTLYING = 0.01
#: Tail of the quantile that NSSP's constants for small counts are divided by.
_SMALL = 0.025


def standard_error(
    base: RollingBaseline, weight: float, guard: int, *, min_sigma: float, small_counts: bool
) -> tuple[FloatArray, FloatArray]:
    """Give the standard error of a smoothed count less its baseline's mean.

    Parameters
    ----------
    base
        Moments of the baselines.
    weight
        w.
    guard
        Steps between the baseline and the smoothed step.
    min_sigma
        Least standard deviation of a count.
    small_counts
        Whether NSSP's constants for small counts are in it.

    Returns
    -------
    error
        v, shape `[series, judged]`; NaN where the baseline has fewer than two counts.
    per_sd
        c: what it would be for a standard deviation of 1 without the constants.

    Examples
    --------
    >>> import numpy as np
    >>> base = RollingBaseline(np.array([[0.0]]), np.array([[0.0]]), np.array([[28.0]]))
    >>> error, _ = standard_error(base, 0.4, 2, min_sigma=0.0, small_counts=True)
    >>> error.round(3)
    array([[0.23]])
    """
    rest, count = 1.0 - weight, np.maximum(base.observed, 1.0)
    shared = 2.0 * rest ** (guard + 1) * (1.0 - rest**count) / count
    per_sd: FloatArray = np.sqrt(weight / (2.0 - weight) + 1.0 / count - shared)
    error: FloatArray = np.maximum(base.sd, min_sigma) * per_sd
    if small_counts:
        unit = weight / -stdtrit(np.maximum(base.observed - 1.0, 1.0), _SMALL)
        error += (0.1289 - (0.2414 - 0.1826 * rest**4) * np.log(0.5)) * unit
        np.maximum(error, (1.0 + 0.5 * rest**2) * unit, out=error)
    return error, per_sd


class SmoothedCounts(NamedTuple):
    """Counts and baselines of the steps before some judged positions."""

    #: Counts at the steps, shape `[series, step]`, NaN = missing.
    counts: FloatArray
    #: Baselines of the steps.
    base: RollingBaseline
    #: Where the steps that lie 1, 2, ... before the judged ones stand, shape `[lag, judged]`.
    column: Positions
    guard: int
    #: Fewest counts of a baseline that limits a smoothed count.
    least: int

    @classmethod
    def before(
        cls, counts: FloatArray, index: Positions, *, length: int, guard: int, least: int
    ) -> SmoothedCounts:
        """Take the `length` + `guard` steps before each judged position."""
        wanted = index[None, :] - np.arange(1, length + guard + 1)[:, None]
        steps, column = np.unique(wanted, return_inverse=True)
        base = rolling_baseline(counts, steps, length=length, lag=guard)
        return cls(values_at(counts, steps), base, column.reshape(wanted.shape), guard, least)

    def smoothed(self, weight: float, min_sigma: float, *, small_counts: bool) -> FloatArray:
        """E of the step before each judged one, shape `[series, judged]`; NaN without a count."""
        error, _ = standard_error(
            self.base, weight, self.guard, min_sigma=min_sigma, small_counts=small_counts
        )
        reach = -stdtrit(np.maximum(self.base.observed - 1.0, 1.0), _OUTLYING) * error
        reach[~(self.base.observed >= self.least)] = np.inf
        low = np.where(reach < np.inf, self.base.mean - reach, -np.inf)
        high = np.where(reach < np.inf, self.base.mean + reach, np.inf)
        found = np.full((self.counts.shape[0], self.column.shape[1]), np.nan)
        for columns in self.column[::-1]:
            count = self.counts[:, columns]
            # As a difference it leaves equal counts exactly as they are.
            moved = np.where(np.isnan(found), count, found + weight * (count - found))
            moved = np.clip(moved, low[:, columns], high[:, columns])
            np.copyto(found, moved, where=~np.isnan(count))
        return found
