"""Tails and quantiles of negative binomial distributions, and of mixtures of them.

With mean mu and size r the variance is mu + mu^2 / r; an infinite size is the Poisson distribution.

Examples
--------
>>> import numpy as np
>>> nb_tail(np.array([0.0, 1.0]), np.array([2.0]), np.array([np.inf])).round(4)
array([1.    , 0.8647])
>>> nb_quantile(np.array([2.0]), np.array([np.inf]), 0.05)
array([5.])
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.special import betainc, betaincc, gammainc, gammaincc, gammainccinv, ndtr, ndtri

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detectors.contract import FloatArray, Positions

__all__ = [
    "LEAST_SIZE",
    "mixture_quantile",
    "mixture_tail",
    "nb_lower_tail",
    "nb_quantile",
    "nb_size",
    "nb_tail",
    "normal_score",
]

# Where mean and count are above it the distribution is taken as a continuous one with the same mean
# and variance (gamma, or normal where its shape is large): steps of 1 are lost among such counts.
_CONTINUOUS = 1e8
_NORMAL_SHAPE = 1e8
# A size this many times the mean (and 1) is as good as infinite.
_POISSON = 1e12
#: Smaller sizes put all but the last digits of the probability on 0.
LEAST_SIZE: Final = 1e-15
# Least width of a bracket, as a part of its upper end.
_LEAST_WIDTH = 1e-14
# Mixture components that weigh less are left out of tails.
_NEGLIGIBLE = 1e-9


def nb_size(mean: FloatArray, variance: FloatArray) -> FloatArray:
    """Size r of the distribution with this mean and variance; infinite (Poisson) if not above.

    Examples
    --------
    >>> nb_size(np.array([2.0, 2.0]), np.array([4.0, 1.0]))
    array([ 2., inf])
    """
    extra = variance - mean
    over = extra > 0
    size = np.where(over, mean, 1.0) * (mean / np.where(over, extra, 1.0))
    return np.where(over, np.maximum(size, LEAST_SIZE), np.inf)


def nb_tail(count: FloatArray, mean: FloatArray, size: FloatArray) -> FloatArray:
    """P(X >= count) of a negative binomial X; NaN where an argument is NaN.

    A fraction is met only by the next whole number, so it counts as that number. With
    p = mu / (r + mu) it is the regularised incomplete beta function I_p(count, r).

    Examples
    --------
    >>> nb_tail(np.array([0.0, 2.0]), np.array([1.0]), np.array([1.0]))
    array([1.  , 0.25])
    """
    count, mean, size = np.broadcast_arrays(count, mean, size)
    tail = np.full(count.shape, np.nan)
    known = ~(np.isnan(count) | np.isnan(mean) | np.isnan(size))
    tail[known] = _tail(count[known], mean[known], size[known])
    return tail


def nb_lower_tail(count: FloatArray, mean: FloatArray, size: FloatArray) -> FloatArray:
    """P(X <= count) of a negative binomial X; NaN where an argument is NaN.

    Examples
    --------
    >>> nb_lower_tail(np.array([0.0, 1.0]), np.array([1.0, 1.0]), np.array([1.0, 1.0]))
    array([0.5 , 0.75])
    """
    whole = np.floor(count)
    tail = np.full(count.shape, np.nan)
    known = ~(np.isnan(count) | np.isnan(mean))
    large = known & (mean >= _CONTINUOUS)
    poisson = known & ~large & np.isinf(size)
    mixed = known & ~large & ~poisson
    tail[poisson] = gammaincc(whole[poisson] + 1.0, mean[poisson])
    share = size[mixed] / (size[mixed] + mean[mixed])
    tail[mixed] = betainc(size[mixed], whole[mixed] + 1.0, share)
    tail[large] = 1.0 - nb_tail(whole[large] + 1.0, mean[large], size[large])
    return np.asarray(np.clip(tail, 0.0, 1.0))


def nb_quantile(mean: FloatArray, size: FloatArray, alpha: FloatArray | float) -> FloatArray:
    """Smallest whole number q with P(X > q) <= alpha; NaN where an argument is NaN.

    Examples
    --------
    >>> nb_quantile(np.array([1.0, 1.0]), np.array([1.0, 1.0]), np.array([0.25, 0.24]))
    array([1., 2.])
    """
    mean, size, level = np.broadcast_arrays(mean, size, np.asarray(alpha, dtype=np.float64))
    quantile = np.full(mean.shape, np.nan)
    known = ~(np.isnan(mean) | np.isnan(size) | np.isnan(level))
    quantile[known] = _quantile(mean[known], size[known], level[known])
    return quantile


def mixture_tail(
    count: FloatArray, mean: FloatArray, size: FloatArray, weight: FloatArray
) -> FloatArray:
    """Return P(Y >= count) of mixtures of negative binomials.

    Parameters
    ----------
    count
        Shape `[points]`.
    mean, size, weight
        Shape `[points, components]`; weights sum to 1 over the components.

    Examples
    --------
    >>> one, half = np.ones((1, 2)), np.full((1, 2), 0.5)
    >>> mixture_tail(np.array([2.0]), one, one, half)
    array([0.25])
    """
    tails = np.zeros(weight.shape)
    point, component = np.nonzero(weight > _NEGLIGIBLE)
    tails[point, component] = nb_tail(count[point], mean[point, component], size[point, component])
    total: FloatArray = (tails * weight).sum(axis=-1)
    capped: FloatArray = np.minimum(total, 1.0)
    return capped


def mixture_quantile(
    alpha: float, mean: FloatArray, size: FloatArray, weight: FloatArray
) -> FloatArray:
    """Return the least whole number q with P(Y > q) <= alpha, shape `[points]`.

    A search between brackets, every other step by the slope of the log tail, the rest by halving;
    above 2^53, where not all whole numbers exist, to the precision of a float.

    Examples
    --------
    >>> one = np.ones((1, 1))
    >>> mixture_quantile(0.25, one, one, one), mixture_quantile(0.24, one, one, one)
    (array([1.]), array([2.]))
    """
    centre = (weight * mean).sum(axis=-1)
    spread = np.sqrt((weight * (mean / size + 1.0) * mean).sum(axis=-1))
    low, low_log = np.full(centre.shape, -1.0), np.zeros(centre.shape)
    high: FloatArray = np.ceil(centre + max(0.0, -float(ndtri(alpha))) * spread)
    high_log = np.zeros(centre.shape)
    active = np.arange(centre.size)
    while active.size:  # widen upwards; ends since the tail falls to 0
        tail = mixture_tail(high[active] + 1.0, mean[active], size[active], weight[active])
        high_log[active] = np.log(np.maximum(tail, 1e-300))
        active = active[tail > alpha]
        low[active], low_log[active] = high[active], high_log[active]
        high[active] = 2.0 * high[active] + 1.0
    target, turn = float(np.log(alpha)), 0
    active = np.flatnonzero(high - low > 1.0)
    while active.size:
        bottom, top = low[active], high[active]
        share = np.full(active.size, 0.5)
        if turn % 3:
            slope = high_log[active] - low_log[active]
            share = np.clip((target - low_log[active]) / np.minimum(slope, -1e-9), 0.02, 0.98)
        middle = np.clip(np.rint(bottom + (top - bottom) * share), bottom + 1.0, top - 1.0)
        tail = mixture_tail(middle + 1.0, mean[active], size[active], weight[active])
        logs, above = np.log(np.maximum(tail, 1e-300)), tail > alpha
        low[active[above]], low_log[active[above]] = middle[above], logs[above]
        high[active[~above]], high_log[active[~above]] = middle[~above], logs[~above]
        width = high[active] - low[active]
        active = active[(width > 1.0) & (width > _LEAST_WIDTH * high[active])]
        turn += 1
    return high


def normal_score(p_value: FloatArray) -> FloatArray:
    """Return the normal quantile that a p-value stands for, from -8.2 to 37, always finite.

    Examples
    --------
    >>> normal_score(np.array([0.16, 0.025])).round(2)
    array([0.99, 1.96])
    """
    score: FloatArray = -ndtri(np.clip(p_value, 1e-299, 1.0 - 1e-16))
    return score


def _tail(count: FloatArray, mean: FloatArray, size: FloatArray) -> FloatArray:
    whole = np.maximum(np.ceil(count), 0.0)
    tail = np.ones(count.shape)
    large = (mean >= _CONTINUOUS) & (whole >= _CONTINUOUS)
    clumped = (mean >= _CONTINUOUS) & ~large & np.isfinite(size) & (whole > 0)
    poisson = ~large & (size / _POISSON > np.maximum(mean, 1.0)) & (whole > 0)
    poisson &= ~clumped
    mixed = ~large & ~clumped & ~poisson & (whole > 0)
    tail[poisson] = gammainc(whole[poisson], mean[poisson])
    share = mean[mixed] / (mean[mixed] + size[mixed])
    tail[mixed] = betainc(whole[mixed], size[mixed], share)
    # The share of such a mean would be rounded to 1.
    rest = size[clumped] / (mean[clumped] + size[clumped])
    tail[clumped] = betaincc(size[clumped], whole[clumped], rest)
    tail[large] = _continuous_tail(count[large], mean[large], size[large])
    return tail


def _quantile(mean: FloatArray, size: FloatArray, alpha: FloatArray) -> FloatArray:
    quantile = np.empty(mean.shape)
    large = mean >= _CONTINUOUS
    quantile[large] = _continuous_quantile(mean[large], size[large], alpha[large])
    small = ~large
    small[large] = quantile[large] < _CONTINUOUS
    quantile[small] = _search(mean[small], size[small], alpha[small])
    return quantile


def _search(mean: FloatArray, size: FloatArray, alpha: FloatArray) -> FloatArray:
    """Bracket the quantile from a guess by doubling steps, then halve the bracket."""

    def suffices(at: FloatArray, which: Positions) -> NDArray[np.bool_]:
        met: NDArray[np.bool_] = _tail(at + 1, mean[which], size[which]) <= alpha[which]
        return met

    everyone = np.arange(mean.size)
    guess = _guess(mean, size, alpha)
    met = suffices(guess, everyone)
    # The quantile lies above `low` and is at most `high`; -1 never suffices.
    low, high = np.where(met, -1.0, guess), np.where(met, guess, np.inf)
    active, step = everyone[~met], 1.0
    while active.size:
        at = low[active] + step
        met = suffices(at, active)
        high[active[met]], low[active[~met]] = at[met], at[~met]
        active, step = active[~met], step * 2
    active, step = everyone[high == guess], 1.0
    while active.size:
        at = np.maximum(high[active] - step, -1.0)
        met = suffices(at, active)
        high[active[met]], low[active[~met]] = at[met], at[~met]
        active, step = active[met], step * 2
    active = np.flatnonzero(high - low > 1)
    while active.size:
        at = np.floor((low[active] + high[active]) / 2)
        met = suffices(at, active)
        high[active[met]], low[active[~met]] = at[met], at[~met]
        width = high[active] - low[active]
        # Beyond 2^53 not all whole numbers exist.
        active = active[(width > 1) & (width > _LEAST_WIDTH * high[active])]
    return high


def _guess(mean: FloatArray, size: FloatArray, alpha: FloatArray) -> FloatArray:
    """Approximate the quantile by mean, variance and skewness (Cornish and Fisher)."""
    z = -ndtri(alpha)
    sd = np.sqrt(mean + mean * (mean / size))
    # The standard deviation times the skewness is (2 variance - mean) / mean.
    slant = 1 + 2 * mean / size
    guess: FloatArray = np.floor(np.maximum(mean + z * sd + (z * z - 1) / 6 * slant, 0.0))
    return guess


def _shape(mean: FloatArray, size: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Shape of the gamma distribution of the same mean and variance, and the variance's root."""
    shape = 1.0 / (1.0 / mean + 1.0 / size)
    return shape, mean / np.sqrt(shape)


def _continuous_tail(count: FloatArray, mean: FloatArray, size: FloatArray) -> FloatArray:
    shape, sd = _shape(mean, size)
    bell = shape > _NORMAL_SHAPE
    tail = np.empty(mean.shape)
    tail[bell] = ndtr((mean[bell] - count[bell]) / sd[bell])
    curved = ~bell
    tail[curved] = gammaincc(shape[curved], count[curved] / mean[curved] * shape[curved])
    return tail


def _continuous_quantile(mean: FloatArray, size: FloatArray, alpha: FloatArray) -> FloatArray:
    shape, sd = _shape(mean, size)
    bell = shape > _NORMAL_SHAPE
    quantile = np.empty(mean.shape)
    quantile[bell] = mean[bell] - ndtri(alpha[bell]) * sd[bell]
    curved = ~bell
    standard = gammainccinv(shape[curved], alpha[curved]) / shape[curved]
    quantile[curved] = standard * mean[curved]
    return np.maximum(np.floor(quantile), 0.0)
