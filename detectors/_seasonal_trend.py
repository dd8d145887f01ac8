"""A robust seasonal-trend decomposition by loess, of many windows of counts at once.

Examples
--------
>>> import numpy as np
>>> days = np.arange(42)
>>> parts = decompose(100 + days + np.resize([3.0, 0, -3], 42), season=3, span=9)
>>> parts.trend[[0, 20]].round(6), parts.season.round(6)
(array([100., 120.]), array([ 3.,  0., -3.]))
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from detectors._moments import median, sum_in_order

if TYPE_CHECKING:
    from detectors.contract import FloatArray

__all__ = ["LEAST_MEAN", "Decomposition", "decompose", "spent_by_trend"]

_OUTER, _INNER = 3, 2
# The median absolute deviation of the standard normal distribution is 1 / 1.4826, and the paper's
# robustness weights reach 0 at six of it.
_TO_SIGMA = 1.4826
_REACH = 6 / _TO_SIGMA
# Below this part of S0 S2 a local line is not told from a local constant.
_COLLINEAR = 1e-9
#: Least mean whose Poisson spread is a floor for residuals.
LEAST_MEAN = 0.25


class Decomposition(NamedTuple):
    """Parts of windows of counts, each of the windows' shape `[time, ...]`."""

    trend: FloatArray
    season: FloatArray
    """One cycle, shape `[season, ...]`; step i of the window has phase i mod season."""
    weights: FloatArray
    """Robustness weights, in [0, 1]; 0 for missing counts."""
    scale: FloatArray
    """1.4826 times the median absolute residual, shape `[...]`."""


def decompose(
    window: FloatArray, *, season: int, span: int, poisson_floor: bool = True
) -> Decomposition:
    """Take windows of counts apart into trend, season and the rest.

    Parameters
    ----------
    window
        Shape `[time, ...]`, NaN = missing; every other axis is for other windows.
    season, span
        As in :class:`detectors.stl.Stl`.
    poisson_floor
        Whether residuals of Poisson size keep their weight however small the MAD is.

    Notes
    -----
    Some 16 numbers are alive for each count.

    Examples
    --------
    >>> counts = np.resize([4.0, 4, 1], 30)
    >>> counts[9] = 90
    >>> decompose(counts, season=3, span=9).weights[8:11].round(2)
    array([1., 0., 1.])
    """
    known = ~np.isnan(window)
    centre = _middle(window)
    value = np.where(known, window - centre, 0.0)
    weights = known.astype(np.float64)
    trend = np.zeros(window.shape)
    cycle, scale = np.zeros((season, *window.shape[1:])), np.zeros(window.shape[1:])
    phases = np.arange(window.shape[0]) % season
    for _ in range(_OUTER):
        for _ in range(_INNER):
            cycle = _cycle(value - trend, weights, season)
            trend = _loess(value - cycle[phases], weights, span)
        fitted = trend + cycle[phases]
        distance = np.abs(value - fitted)
        scale = _TO_SIGMA * _middle(np.where(known, distance, np.nan))
        unit = np.broadcast_to(scale, window.shape)
        if poisson_floor:
            unit = np.maximum(unit, np.sqrt(np.maximum(centre + fitted, LEAST_MEAN)))
        # Divided before squaring, so that huge distances do not overflow.
        far = np.minimum(distance / np.where(unit > 0, _REACH * unit, np.inf), 1.0)
        weights = known * (1 - far**2) ** 2
    return Decomposition(trend + centre, cycle, weights, scale)


def _cycle(rest: FloatArray, weights: FloatArray, season: int) -> FloatArray:
    """Weighted means of each phase, centred; 0 where a phase has no weight."""
    if season == 1:
        return np.zeros((1, *rest.shape[1:]))
    cycle = np.stack(
        [
            _ratio(
                sum_in_order((rest * weights)[phase::season]), sum_in_order(weights[phase::season])
            )
            for phase in range(season)
        ]
    )
    return np.asarray(cycle - sum_in_order(cycle) / season)


def _loess(value: FloatArray, weights: FloatArray, span: int) -> FloatArray:
    """Local lines at every step: tricube weights times robustness weights."""
    length = value.shape[0]
    s0, s1, s2, t0, t1 = (np.zeros(value.shape) for _ in range(5))
    weighted = value * weights
    for offset in range(-min(span, length - 1), min(span, length - 1) + 1):
        near = (1 - (abs(offset) / (span + 1)) ** 3) ** 3
        here = slice(max(0, -offset), length - max(0, offset))
        there = slice(max(0, offset), length - max(0, -offset))
        kernel = near * weights[there]
        pull = near * weighted[there]
        s0[here] += kernel
        s1[here] += kernel * offset
        s2[here] += kernel * offset**2
        t0[here] += pull
        t1[here] += pull * offset
    spread = s0 * s2 - s1**2
    line = spread > _COLLINEAR * s0 * s2
    return np.where(line, (s2 * t0 - s1 * t1) / np.where(line, spread, 1.0), _ratio(t0, s0))


@lru_cache(maxsize=64)
def spent_by_trend(length: int, span: int) -> tuple[float, float]:
    """Trace of the smoother on complete windows, and the variance of its last value.

    Examples
    --------
    >>> trace, end = spent_by_trend(30, 10)
    >>> round(trace, 1), round(end, 2)
    (3.8, 0.38)
    """
    hat = _loess(np.eye(length), np.ones((length, length)), span)
    return float(np.trace(hat)), float((hat[-1] ** 2).sum())


def _ratio(top: FloatArray, bottom: FloatArray) -> FloatArray:
    return np.where(bottom > 0, top / np.where(bottom > 0, bottom, 1.0), 0.0)


def _middle(values: FloatArray) -> FloatArray:
    """Median of the known values over the first axis; 0 if there are none."""
    return np.nan_to_num(median(values), nan=0.0)
