"""Fits of the Farrington methods in which past outbreaks lose weight, and the test of their trend.

Examples
--------
>>> import numpy as np
>>> from detectors._farrington_baseline import Baseline, prepare
>>> line = Baseline(np.arange(-5.0, 0), np.zeros(5, dtype=np.intp))
>>> y = prepare(np.array([[2.0, 2, 2, 90, 2]]))
>>> fits = [fit_reweighted(y, line, np.array([False]), threshold=limit) for limit in (None, 1.0)]
>>> [np.exp(fit.log_level[0]).round(1).item() for fit in fits]
[19.6, 11.1]
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import stdtr

from detectors._farrington_fit import LevelsFit, fit_levels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detectors._farrington_baseline import Baseline, Counts
    from detectors.contract import FloatArray

__all__ = ["anscombe_weights", "fit_reweighted", "trend_p_value"]

_LEAST_FREE = 1e-10


def anscombe_weights(counts: Counts, fit: LevelsFit, threshold: float) -> FloatArray:
    """Weights that take past outbreaks out of the baseline (Farrington et al. 1996, section 3.5).

    With the standardised Anscombe residual s_i = 3/2 (y_i^(2/3) mu_i^(-1/6) - mu_i^(1/2)) /
    (phi (1 - h_ii))^(1/2) the weight is gamma s_i^(-2) where s_i is above the threshold and gamma
    elsewhere; gamma makes the weights sum to the number of counts.

    Examples
    --------
    >>> from detectors._farrington_baseline import Baseline, prepare
    >>> line = Baseline(np.arange(-9.0, 0), np.zeros(9, dtype=np.intp))
    >>> y = prepare(np.array([[2.0, 3, 2, 3, 90, 3, 2, 2, 3]]))
    >>> fit = fit_levels(y, line, np.array([False]))
    >>> bool(anscombe_weights(y, fit, 1.0)[0, 4] < 0.5)
    True
    """
    root = np.exp(fit.linear / 6.0)
    residual = counts.power / root
    residual -= root * root * root
    free = np.maximum(1.0 - fit.leverage, _LEAST_FREE)
    free *= (np.maximum(fit.dispersion, 1.0) / 2.25)[:, None]
    residual /= np.sqrt(free)
    high = residual > threshold
    weight = counts.known.copy()
    # A threshold of 0 must not give the weight of infinity to a residual of nearly 0.
    weight[high] /= np.maximum(residual[high], 1e-6) ** 2
    total = weight.sum(axis=1)
    weight *= (counts.known.sum(axis=1) / np.where(total > 0, total, 1.0))[:, None]
    return weight


def fit_reweighted(
    counts: Counts,
    baseline: Baseline,
    with_trend: NDArray[np.bool_],
    threshold: float | None,
) -> LevelsFit:
    """Fit, and fit again with Anscombe weights unless `threshold` is None.

    Examples
    --------
    >>> from detectors._farrington_baseline import Baseline, prepare
    >>> line = Baseline(np.arange(-5.0, 0), np.zeros(5, dtype=np.intp))
    >>> y = prepare(np.array([[2.0, 2, 2, 90, 2]]))
    >>> fit = fit_reweighted(y, line, np.array([False]), threshold=1.0)
    >>> bool(np.exp(fit.log_level)[0] < 19)
    True
    """
    fit = fit_levels(counts, baseline, with_trend)
    if threshold is None:
        return fit
    return fit_levels(counts, baseline, with_trend, anscombe_weights(counts, fit, threshold))


def trend_p_value(fit: LevelsFit) -> FloatArray:
    """Two-sided p-value of the slope, Student's t with n - p degrees of freedom.

    Examples
    --------
    >>> from detectors._farrington_baseline import Baseline, prepare
    >>> line = Baseline(np.arange(-8.0, 0), np.zeros(8, dtype=np.intp))
    >>> y = np.array([[1.0, 3, 4, 9, 15, 35, 60, 130]])
    >>> bool(trend_p_value(fit_levels(prepare(y), line, np.array([True])))[0] < 1e-4)
    True
    """
    variance = np.maximum(fit.dispersion, 1e-12) / np.maximum(fit.slope_information, 1e-300)
    statistic = np.abs(fit.slope) / np.sqrt(variance)
    p_value: FloatArray = 2.0 * stdtr(np.maximum(fit.freedom, 1.0), -statistic)
    return np.where(fit.slope_information > 0, p_value, 1.0)
