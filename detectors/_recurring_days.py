r"""Dates that come every year with a count of their own: bank holidays, the turn of the year.

A season of a few harmonics has no room for them. Let :math:`r_k` be the Anscombe residual of the
count at the same date k years before, for the K years in which it is known. The date has a count of
its own where :math:`K \ge 2`, all residuals lie beyond 1 on the same side, and so does the evidence
without the year of the largest residual,

.. math:: \bigl(\sum_k |r_k| - \max_k |r_k|\bigr) / \sqrt{K - 1} \ge 2.33 .

One year alone, whatever its count, therefore never makes a date: an outbreak of one January must be
found again in another year, which happens to about one date in a hundred by chance. The mean is
then multiplied by the ratio :math:`(y_k + \phi) / (\mu_k + \phi)` that is nearest to 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from detectors.seasons import years_back

if TYPE_CHECKING:
    from detectors.contract import FloatArray, Panel, Positions

__all__ = ["recurring_factors", "same_dates"]

#: Former years that are compared.
_YEARS = 5
_LEAST_YEARS = 2
#: Least residual of each year.
_EACH = 1.0
#: Least standardised sum of the residuals without the largest: the upper 1 % of a normal law.
_OTHERS = 2.33


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
    size = np.where(there, np.abs(residual), 0.0)
    others = (size.sum(axis=1) - size.max(axis=1)) / np.sqrt(np.maximum(years - 1, 1))
    ratio = (count + phi) / (expected + phi)
    high = np.where(there, residual, np.inf).min(axis=1) > _EACH
    low = np.where(there, residual, -np.inf).max(axis=1) < -_EACH
    enough = (years >= _LEAST_YEARS) & (others >= _OTHERS)
    least = np.where(there, ratio, np.inf).min(axis=1, initial=np.inf)
    most = np.where(there, ratio, 0.0).max(axis=1, initial=0.0)
    factor = np.where(enough & high, least, 1.0)
    lowered: FloatArray = np.where(enough & low, most, factor)
    return lowered
