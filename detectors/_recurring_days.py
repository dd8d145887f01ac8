r"""Days that come every year with a count of their own: bank holidays, the turn of the year.

A season of a few harmonics has no room for them. Let :math:`r_k` be the Anscombe residual of the
count at the same date k years before. The date is taken to have a count of its own where at least
two such counts are known, all residuals lie beyond 1 on the same side, and
:math:`|\sum_k r_k| / \sqrt K \ge 3`, as it happens to about one date in a thousand by chance. The
mean is then multiplied by the ratio :math:`(y_k + \phi) / (\mu_k + \phi)` that is nearest to 1: a
single outbreak of the past does not make a date.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from detectors.seasons import years_back

if TYPE_CHECKING:
    from detectors.contract import FloatArray, Panel, Positions

__all__ = ["recurring_factors", "same_dates"]

#: Years that are looked at.
_YEARS = 5
_LEAST_YEARS = 2
#: Least residual of each year, and of all years together.
_EACH, _TOGETHER = 1.0, 3.0


def same_dates(panel: Panel, index: Positions, predict: int) -> Positions:
    """Say how far back lie the dates of the judged step and of `predict` steps before it.

    Returns
    -------
    ndarray
        Steps before the judged one, shape `[step, year, judged]`; 0 where there is no such date.

    Examples
    --------
    >>> import numpy as np
    >>> from detectors.contract import Panel
    >>> weeks = Panel(np.ones((1, 120)), grain="week", period=52)
    >>> same_dates(weeks, np.array([110]), 1)[:, :, 0]
    array([[ 53, 105,   0,   0,   0],
           [ 52, 104,   0,   0,   0]])
    """
    steps = [np.maximum(index - back, 0) for back in range(predict, -1, -1)]
    found = np.stack([years_back(panel, step, _YEARS) for step in steps])
    return np.where(found < 0, 0, index - found).astype(np.intp)


def recurring_factors(
    y: FloatArray, mean: FloatArray, known: FloatArray, phi: FloatArray, back: Positions
) -> FloatArray:
    """Give the factors of the means, 1 where the date has no count of its own.

    Parameters
    ----------
    y, mean, known
        Counts, their expected values and 1 where known, shape `[problem, window]`.
    phi
        Dispersion, shape `[problem]`.
    back
        Columns of the dates, counted back from the end of the window (its last one is 1), shape
        `[step, year, problem]`; others are no dates.

    Returns
    -------
    ndarray
        Shape `[step, problem]`.
    """
    window = y.shape[1]
    inside = (back >= 1) & (back <= window)
    column = np.where(inside, window - back, 0)
    problem = np.arange(y.shape[0])
    count, expected = y[problem, column], mean[problem, column]
    there = inside & (known[problem, column] > 0)
    spread = np.sqrt(phi * np.cbrt(expected))
    residual = 1.5 * (np.cbrt(count) ** 2 - np.cbrt(expected) ** 2) / spread
    years = there.sum(axis=1)
    together = np.where(there, residual, 0.0).sum(axis=1) / np.sqrt(np.maximum(years, 1))
    ratio = (count + phi) / (expected + phi)
    high = np.where(there, residual, np.inf).min(axis=1) > _EACH
    low = np.where(there, residual, -np.inf).max(axis=1) < -_EACH
    enough = years >= _LEAST_YEARS
    least = np.where(there, ratio, np.inf).min(axis=1, initial=np.inf)
    most = np.where(there, ratio, 0.0).max(axis=1, initial=0.0)
    factor = np.where(enough & high & (together >= _TOGETHER), least, 1.0)
    lowered: FloatArray = np.where(enough & low & (together <= -_TOGETHER), most, factor)
    return lowered
