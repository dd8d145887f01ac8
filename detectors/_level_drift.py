r"""Following a level that drifts, as far as the history shows that levels last.

Epidemics that come early or late, a new laboratory, a slow rise: the counts of the latest steps
then lie above or below a baseline of all years, and so do the next ones. With the excess
:math:`y_s - \mu_s` of the steps s of the window,

.. math:: a_s = \frac{\sum_{j \ge 0} \gamma^j (y_{s-j} - \mu_{s-j})}
                     {\sum_{j \ge 0} \gamma^j \mu_{s-j} + 4\phi}

is the relative excess of the steps up to s, shrunk as by a gamma prior of variance 1/4. How much
of it is left g steps later is seen from the window itself: the regression of :math:`y_s - \mu_s`
on :math:`a_{s-g}\,\mu_s`, with variances :math:`\phi\mu_s`, has the coefficient b and the standard
error e, and the mean is multiplied by :math:`1 + \max(0, \min(1, b - 1.5e))\,a`. Where levels do
not last, b is within its error of 0 and the mean stays as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from detectors.contract import FloatArray

__all__ = ["follow_level"]

#: Expected counts, in units of phi, that weigh as much as the prior of a relative excess of 0.
_PRIOR = 4.0
#: Standard errors that the coefficient is lowered by.
_DOUBT = 1.5
#: Least factor of a mean.
_LEAST = 0.2
_TINY = 1e-300


def follow_level(  # noqa: PLR0917 - the formula's own terms
    y: FloatArray,
    mean: FloatArray,
    weight: FloatArray,
    phi: FloatArray,
    lag: int,
    memory: float,
) -> tuple[FloatArray, FloatArray]:
    """Correct means for the level of the steps before.

    Parameters
    ----------
    y, mean, weight
        Counts, expected counts, and weights (0 or 1), shape `[problem, window]`.
    phi
        Dispersion, shape `[problem]`.
    lag
        Steps g between the latest one that the level is seen in and the corrected one.
    memory
        gamma.

    Returns
    -------
    followed
        `mean`, corrected, shape `[problem, window]`.
    factor
        Factor of the step that lies `lag` steps after the window, shape `[problem]`.

    Examples
    --------
    >>> weeks = np.tile(np.repeat([5.0, 15.0], 26), 4)[None, :]
    >>> flat, ones = np.full(weeks.shape, 10.0), np.ones(weeks.shape)
    >>> followed, factor = follow_level(weeks, flat, ones, np.array([3.0]), 4, 0.7)
    >>> followed[0, [0, 25, 51]].round(1), factor.round(2)
    (array([10. ,  7.2, 12.8]), array([1.28]))
    """
    from scipy.signal import lfilter  # noqa: PLC0415 - a second, in every command

    expected = weight * mean
    excess = weight * (y - mean)
    fading = ([1.0], [1.0, -memory])
    level = lfilter(*fading, excess, axis=1)
    level /= lfilter(*fading, expected, axis=1) + _PRIOR * phi[:, None]
    before = level[:, : max(level.shape[1] - lag, 0)]
    information = (before**2 * expected[:, lag:]).sum(axis=1) + _TINY
    share = (before * excess[:, lag:]).sum(axis=1) / information
    share = np.clip(share - _DOUBT * np.sqrt(phi / information), 0.0, 1.0)
    followed = mean.copy()
    followed[:, lag:] *= np.maximum(1.0 + share[:, None] * before, _LEAST)
    factor: FloatArray = np.maximum(1.0 + share * level[:, -1], _LEAST)
    return followed, factor
