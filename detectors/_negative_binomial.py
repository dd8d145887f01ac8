"""Upper tail and quantile of the negative binomial distribution, element by element.

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

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import betainc, gammainc, gammaincc, gammainccinv, ndtr, ndtri

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detectors.contract import FloatArray, Positions

__all__ = ["nb_quantile", "nb_tail"]

# From this mean on the distribution is taken as a continuous one with the same mean and variance
# (gamma, or normal where its shape is large): the steps of 1 are lost among such counts.
_CONTINUOUS = 1e8
_NORMAL_SHAPE = 1e8
# A size this many times the mean is as good as infinite.
_POISSON = 1e12


def nb_tail(count: FloatArray, mean: FloatArray, size: FloatArray) -> FloatArray:
    """P(X >= count) of a negative binomial X; NaN where an argument is NaN.

    A fraction is met only by the next whole number, so it counts as that number.
    """
    count, mean, size = np.broadcast_arrays(count, mean, size)
    tail = np.full(count.shape, np.nan)
    known = ~(np.isnan(count) | np.isnan(mean) | np.isnan(size))
    tail[known] = _tail(count[known], mean[known], size[known])
    return tail


def nb_quantile(mean: FloatArray, size: FloatArray, alpha: FloatArray | float) -> FloatArray:
    """Smallest whole number q with P(X > q) <= alpha; NaN where an argument is NaN."""
    mean, size, level = np.broadcast_arrays(mean, size, np.asarray(alpha, dtype=np.float64))
    quantile = np.full(mean.shape, np.nan)
    known = ~(np.isnan(mean) | np.isnan(size) | np.isnan(level))
    quantile[known] = _quantile(mean[known], size[known], level[known])
    return quantile


def _tail(count: FloatArray, mean: FloatArray, size: FloatArray) -> FloatArray:
    whole = np.maximum(np.ceil(count), 0.0)
    tail = np.ones(count.shape)
    large = mean >= _CONTINUOUS
    poisson = ~large & (size > _POISSON * mean) & (whole > 0)
    mixed = ~large & ~poisson & (whole > 0)
    tail[poisson] = gammainc(whole[poisson], mean[poisson])
    share = mean[mixed] / (mean[mixed] + size[mixed])
    tail[mixed] = betainc(whole[mixed], size[mixed], share)
    tail[large] = _continuous_tail(count[large], mean[large], size[large])
    return tail


def _quantile(mean: FloatArray, size: FloatArray, alpha: FloatArray) -> FloatArray:
    quantile = np.empty(mean.shape)
    large = mean >= _CONTINUOUS
    quantile[large] = _continuous_quantile(mean[large], size[large], alpha[large])
    small = ~large
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
    while (active := np.flatnonzero(high - low > 1)).size:
        at = np.floor((low[active] + high[active]) / 2)
        met = suffices(at, active)
        high[active[met]], low[active[~met]] = at[met], at[~met]
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
