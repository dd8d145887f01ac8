"""Batched quasi-Poisson fits of one level for each part of the year and a common trend.

The model has a log link, log mu_i = log e_i + a_g(i) + beta x_i, where g(i) is the part of the year
of baseline step i, x_i <= 0 its distance from the judged step and e_i an exposure. Each step of
iteratively reweighted least squares eliminates the levels in closed form, so that no matrix
has to be decomposed: for a batch it is two matrix products and a handful of array operations.

Start (mu = y + 0.1), weights, stopping rule (relative change of the deviance below 1e-8, at most
25 steps) and the place where dispersion and leverage are taken are those of R's `glm`, so that
results agree with it to rounding even where it stops early.

Examples
--------
>>> import numpy as np
>>> from detectors._farrington_baseline import Baseline, prepare
>>> baseline = Baseline(np.array([-3.0, -2, -1]), np.zeros(3, dtype=np.intp))
>>> fit = fit_levels(prepare(np.array([[2.0, 4.0, 6.0]])), baseline, np.array([False]))
>>> np.exp(fit.log_level).round(6), fit.dispersion.round(3)
(array([4.]), array([1.]))
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from detectors._farrington_baseline import START

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detectors._farrington_baseline import Baseline, Counts
    from detectors.contract import FloatArray

__all__ = [
    "LevelsFit",
    "fit_levels",
]

_ITERATIONS = 25
_TOLERANCE = 1e-8
# Counts reach 1e100 = exp(230); the sum of a level and a slope keeps exp() finite and above 0.
_BETA_BOUNDS = (-350.0, 300.0)
# Less information on the slope, as a part of all information, is rounding.
_NO_INFORMATION = 1e-10


class LevelsFit(NamedTuple):
    """Fits of a batch of problems; arrays of shape `[problem]` unless stated."""

    log_level: FloatArray
    """log of the mean expected at the judged step (per unit of exposure)."""
    slope: FloatArray
    slope_information: FloatArray
    """1 / (unscaled variance) of the slope; 0 where there is none."""
    variance: FloatArray
    """Unscaled variance of `log_level`."""
    linear: FloatArray
    """Linear predictor of the baseline, shape `[problem, n]`."""
    leverage: FloatArray
    """Shape `[problem, n]`."""
    dispersion: FloatArray
    """Pearson statistic / (n - p), not floored."""
    working_dispersion: FloatArray
    """The same of working residuals, sum w ((y - mu) / mu)^2 / (n - p)."""
    freedom: FloatArray
    """n - p."""
    converged: NDArray[np.bool_]


class _Sums(NamedTuple):
    """Weighted sums per part of the year, shape `[problem, parts]`."""

    s0: FloatArray
    x: FloatArray
    """Sum of x."""
    mean: FloatArray
    """Mean of x."""
    inverse: FloatArray
    """1 / s0, 0 in parts without counts."""
    inverse_slope: FloatArray
    """1 / (information on the slope), shape `[problem]`; 0 where there is none."""


def _sums(weight: FloatArray, baseline: Baseline, with_trend: NDArray[np.bool_]) -> _Sums:
    total = weight @ baseline.moments
    parts = total.shape[1] // 2
    s0, along = total[:, :parts], total[:, parts : 2 * parts]
    present = s0 > 0
    inverse = np.where(present, 1.0 / np.where(present, s0, 1.0), 0.0)
    mean = along * inverse
    spread = total[:, -1] - (along * mean).sum(axis=1)
    sloped = with_trend & (spread > _NO_INFORMATION * s0.sum(axis=1))
    inverse_slope = np.where(sloped, 1.0 / np.where(sloped, spread, 1.0), 0.0)
    return _Sums(s0, along, mean, inverse, inverse_slope)


def _least_squares(sums: _Sums, level: FloatArray, along: FloatArray) -> FloatArray:
    """Levels and slope, shape `[problem, parts + 1]`, of the weighted regression.

    `level` are the sums of weight times response per part, `along` those of it times x.
    """
    slope = (along - (level * sums.mean).sum(axis=1)) * sums.inverse_slope
    levels = level * sums.inverse - slope[:, None] * sums.mean
    return np.concatenate([levels, slope[:, None]], axis=1)


class _Problems(NamedTuple):
    """What stays the same while a batch is iterated."""

    weight: FloatArray
    offset: FloatArray | None
    total: FloatArray
    """sum w y per part, shape `[problem, parts]`."""
    along: FloatArray
    """sum w y x, shape `[problem]`."""
    constant: FloatArray
    """sum w (y log y - y - y log e), shape `[problem]`."""
    with_trend: NDArray[np.bool_]

    def rows(self, chosen: NDArray[np.bool_]) -> _Problems:
        return _Problems(
            self.weight[chosen],
            None if self.offset is None else self.offset[chosen],
            self.total[chosen],
            self.along[chosen],
            self.constant[chosen],
            self.with_trend[chosen],
        )


class _Solution(NamedTuple):
    """Where the iteration ended."""

    beta: FloatArray
    """Levels and slope, shape `[problem, parts + 1]`."""
    mean_weight: FloatArray
    """Working weights w mu of the last step, shape `[problem, n]`."""
    converged: NDArray[np.bool_]


def fit_levels(
    counts: Counts,
    baseline: Baseline,
    with_trend: NDArray[np.bool_],
    weight: FloatArray | None = None,
) -> LevelsFit:
    """Fit log mu = log e + a_g + beta x to every problem.

    Parameters
    ----------
    with_trend
        Which problems have the slope beta; it is 0 in the others.
    weight
        Shape `[problem, n]`, 0 where a count is missing; 1 by default.

    Examples
    --------
    >>> from detectors._farrington_baseline import Baseline, prepare
    >>> line = Baseline(np.array([-2.0, -1.0]), np.zeros(2, dtype=np.intp))
    >>> double = fit_levels(prepare(np.array([[2.0, 4.0]])), line, np.array([True]))
    >>> np.exp(double.log_level).round(4)
    array([8.])
    """
    weight = counts.known if weight is None else weight
    return _conclude(
        counts, baseline, with_trend, weight, _iterate(counts, baseline, with_trend, weight)
    )


def _iterate(
    counts: Counts, baseline: Baseline, with_trend: NDArray[np.bool_], weight: FloatArray
) -> _Solution:
    """Fisher scoring from mu = y + 0.1; a problem stays where it converges."""
    offset = None if counts.exposure is None else np.log(counts.exposure)
    weighted = weight * counts.y
    total = weighted @ baseline.moments
    parts = baseline.levels.shape[1]
    constant = np.einsum("ij,ij->i", weight, counts.log_y) - total[:, :parts].sum(axis=1)
    mean_weight = weighted + START * weight
    response = weight * counts.start
    if offset is not None:
        constant -= np.einsum("ij,ij->i", weighted, offset)
        response -= mean_weight * offset
    first = response @ baseline.moments
    along = total[:, parts : 2 * parts].sum(axis=1)
    todo = _Problems(weight, offset, total[:, :parts], along, constant, with_trend)
    sums = _sums(mean_weight, baseline, with_trend)
    beta = _least_squares(sums, first[:, :parts], first[:, parts : 2 * parts].sum(axis=1))
    problems = weight.shape[0]
    out = _Solution(beta, mean_weight, np.zeros(problems, dtype=np.bool_))
    active, deviance = np.arange(problems), np.full(problems, np.inf)
    for step in range(1, _ITERATIONS + 1):
        fitted = _fitted(todo, beta, baseline)
        sums = _sums(fitted, baseline, todo.with_trend)
        new = _deviance(todo, beta, sums)
        change = np.abs(new - deviance)
        arrived = change < _TOLERANCE * (np.abs(new) + 0.1)
        done = arrived | (step == _ITERATIONS)
        if done.any():
            out.converged[active[arrived]] = True
            ended = active[done]
            out.beta[ended] = beta[done]
            if step > 1:
                out.mean_weight[ended] = mean_weight[done]
            keep = ~done
            active = active[keep]
            if not active.size:
                break
            todo, beta, fitted, new = todo.rows(keep), beta[keep], fitted[keep], new[keep]
            sums = _Sums(*(array[keep] for array in sums))
        # After the first step the response is the working residual, (y - mu) / mu, and adds.
        mean_weight, deviance = fitted, new
        residual = todo.along - sums.x.sum(axis=1)
        beta = beta + _least_squares(sums, todo.total - sums.s0, residual)
    return out


def _fitted(todo: _Problems, beta: FloatArray, baseline: Baseline) -> FloatArray:
    """Working weights w mu."""
    np.clip(beta, *_BETA_BOUNDS, out=beta)
    fitted = _linear(beta, baseline, todo.offset)
    np.exp(fitted, out=fitted)
    fitted *= todo.weight
    return fitted


def _linear(beta: FloatArray, baseline: Baseline, offset: FloatArray | None) -> FloatArray:
    linear: FloatArray = beta @ baseline.design
    if offset is not None:
        linear += offset
        np.clip(linear, -700.0, 700.0, out=linear)
    return linear


def _deviance(todo: _Problems, beta: FloatArray, sums: _Sums) -> FloatArray:
    """2 sum w (y log(y / mu) - (y - mu))."""
    explained = (beta[:, :-1] * todo.total).sum(axis=1) + beta[:, -1] * todo.along
    deviance: FloatArray = 2.0 * (todo.constant - explained + sums.s0.sum(axis=1))
    return deviance


def _conclude(
    counts: Counts,
    baseline: Baseline,
    with_trend: NDArray[np.bool_],
    weight: FloatArray,
    solution: _Solution,
) -> LevelsFit:
    last_weight = solution.mean_weight
    offset = None if counts.exposure is None else np.log(counts.exposure)
    linear = _linear(solution.beta, baseline, offset)
    sums = _sums(last_weight, baseline, with_trend)
    centred = baseline.x - sums.mean @ baseline.levels.T
    leverage = sums.inverse @ baseline.levels.T
    leverage += centred * centred * sums.inverse_slope[:, None]
    leverage *= last_weight
    sloped = sums.inverse_slope > 0
    observed = counts.known.sum(axis=1)
    freedom = observed - (sums.s0 > 0).sum(axis=1) - sloped
    working = counts.y * np.exp(-linear)
    working -= 1.0
    np.multiply(working, working, out=working)
    divisor = np.maximum(freedom, 1.0)
    slope_information = np.where(sloped, 1.0 / np.where(sloped, sums.inverse_slope, 1.0), 0.0)
    return LevelsFit(
        log_level=np.ascontiguousarray(solution.beta[:, 0]),
        slope=solution.beta[:, -1].copy(),
        slope_information=slope_information,
        variance=sums.inverse[:, 0] + sums.mean[:, 0] ** 2 * sums.inverse_slope,
        linear=linear,
        leverage=leverage,
        dispersion=np.einsum("ij,ij->i", last_weight, working) / divisor,
        working_dispersion=np.einsum("ij,ij->i", weight, working) / divisor,
        freedom=freedom,
        converged=solution.converged,
    )
