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
>>> baseline = Baseline(np.array([-3.0, -2, -1]), np.zeros(3, dtype=np.intp))
>>> fit = fit_levels(prepare(np.array([[2.0, 4.0, 6.0]])), baseline, np.array([False]))
>>> np.exp(fit.log_level).round(6), fit.dispersion.round(3)
(array([4.]), array([1.]))
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.special import stdtr, xlogy

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detectors.contract import FloatArray, Positions

__all__ = [
    "Baseline",
    "Counts",
    "LevelsFit",
    "anscombe_weights",
    "fit_levels",
    "fit_reweighted",
    "prepare",
    "trend_p_value",
]

_ITERATIONS = 25
_TOLERANCE = 1e-8
_START = 0.1
# Counts reach 1e100 = exp(230); the sum of a level and a slope keeps exp() finite and above 0.
_BETA_BOUNDS = (-350.0, 300.0)
# Less information on the slope, as a part of all information, is rounding.
_NO_INFORMATION = 1e-10
_LEAST_FREE = 1e-10


@dataclass(frozen=True, eq=False)
class Baseline:
    """Design of a baseline, relative to the judged step; many problems share one.

    Parameters
    ----------
    lag
        Distance from the judged step, shape `[n]`, negative, in steps.
    part
        Part of the year, shape `[n]`, from 0 (the season of the judged step).
    """

    lag: FloatArray
    part: Positions

    @cached_property
    def x(self) -> FloatArray:
        """Lags as parts of the longest one, so that slopes do not depend on its length."""
        x: FloatArray = self.lag / np.abs(self.lag).max()
        return x

    @cached_property
    def levels(self) -> FloatArray:
        """Indicator of the parts, shape `[n, parts]`."""
        one_hot: FloatArray = (self.part[:, None] == np.arange(self.part.max() + 1)).astype(
            np.float64
        )
        return one_hot

    @cached_property
    def moments(self) -> FloatArray:
        """Indicators, x times the indicators, and x squared, shape `[n, 2 parts + 1]`."""
        x = self.x[:, None]
        columns = [self.levels, x * self.levels, x * x]
        return np.ascontiguousarray(np.concatenate(columns, axis=1))

    @cached_property
    def design(self) -> FloatArray:
        """Indicators and x, transposed: shape `[parts + 1, n]`."""
        return np.ascontiguousarray(np.concatenate([self.levels, self.x[:, None]], axis=1).T)


class Counts(NamedTuple):
    """Baseline counts and functions of them that every fit needs, shape `[problem, n]`."""

    y: FloatArray
    """0 where missing."""
    known: FloatArray
    """1 where a count is known and 0 elsewhere."""
    power: FloatArray
    """y^(2/3)."""
    log_y: FloatArray
    """y log y."""
    start: FloatArray
    """(y + 0.1) log(y + 0.1) - 0.1: working weight times working response at the start."""
    exposure: FloatArray | None = None

    def rows(self, chosen: NDArray[np.bool_] | tuple[Positions, Positions]) -> Counts:
        """Give the chosen problems, or gather steps from a history of counts.

        Examples
        --------
        >>> prepare(np.array([[1.0], [2.0]])).rows(np.array([True, False])).y
        array([[1.]])
        """
        exposure = None if self.exposure is None else self.exposure[chosen]
        return Counts(
            self.y[chosen],
            self.known[chosen],
            self.power[chosen],
            self.log_y[chosen],
            self.start[chosen],
            exposure,
        )


def prepare(counts: FloatArray, exposure: FloatArray | None = None) -> Counts:
    """Precompute what the fits need; NaN = missing.

    Examples
    --------
    >>> prepare(np.array([[8.0, np.nan]])).power
    array([[4., 0.]])
    """
    known = ~np.isnan(counts)
    if exposure is not None:
        known &= ~np.isnan(exposure)
        exposure = np.where(known, exposure, 1.0)
    y = np.where(known, counts, 0.0)
    first = y + _START
    start = xlogy(first, first) - _START
    return Counts(y, known.astype(np.float64), np.cbrt(y) ** 2, xlogy(y, y), start, exposure)


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
    mean_weight = weighted + _START * weight
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


def anscombe_weights(counts: Counts, fit: LevelsFit, threshold: float) -> FloatArray:
    """Weights that take past outbreaks out of the baseline (Farrington et al. 1996, section 3.5).

    With the standardised Anscombe residual s_i = 3/2 (y_i^(2/3) mu_i^(-1/6) - mu_i^(1/2)) /
    (phi (1 - h_ii))^(1/2) the weight is gamma s_i^(-2) where s_i is above the threshold and gamma
    elsewhere; gamma makes the weights sum to the number of counts.

    Examples
    --------
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
    >>> line = Baseline(np.arange(-8.0, 0), np.zeros(8, dtype=np.intp))
    >>> y = np.array([[1.0, 3, 4, 9, 15, 35, 60, 130]])
    >>> bool(trend_p_value(fit_levels(prepare(y), line, np.array([True])))[0] < 1e-4)
    True
    """
    variance = np.maximum(fit.dispersion, 1e-12) / np.maximum(fit.slope_information, 1e-300)
    statistic = np.abs(fit.slope) / np.sqrt(variance)
    p_value: FloatArray = 2.0 * stdtr(np.maximum(fit.freedom, 1.0), -statistic)
    return np.where(fit.slope_information > 0, p_value, 1.0)
