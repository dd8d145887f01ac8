"""Charts that accumulate, and the in-control mean that they are compared with.

A chart begins either at one `start` for the whole series, or, for each judged position, some steps
before it. What lies before a chart is its training: a mean, or a Poisson or negative-binomial
regression with trend and season, is fitted to it and carried on through the chart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from detectors._negbin_regression import LOG_MEAN_BOUNDS, fit_negbin, linear
from detectors._seasonal_terms import harmonic_waves
from detectors._windows import history
from detectors.seasons import year_length

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from detectors.contract import FloatArray, Panel, Positions

__all__ = [
    "Charts",
    "InControl",
    "Season",
    "chart_floats",
    "cut_charts",
    "fit_incontrol",
    "season_of",
]

_ITERATIONS = 50
_TOLERANCE = 1e-9
# Largest change of a linear predictor in one Newton step.
_MAX_STEP = 3.0
# A season is not told from less than this part of it.
_LEAST_SEASON = 0.75
_LEAST_COUNTS = 3
# The coefficients have no prior; the batched fit wants one.
_FLAT = 1e6


class Charts(NamedTuple):
    """Charts and their training; point `i` is a series, or a series at a judged position."""

    training: FloatArray
    """Counts before the chart, shape `[points, training]`, NaN = missing."""
    counts: FloatArray
    """Counts of the chart, shape `[points, steps]`, NaN = missing."""
    recorded: Positions
    """For each judged position its step of the chart; -1 where it lies before the chart."""
    most: int
    """Steps that the training is meant to have; 0 where any length will do."""


class Season(NamedTuple):
    """Terms of the in-control regression."""

    trend: bool
    harmonics: int
    year: float
    """Steps in a season."""

    def design(self, training: int, steps: int) -> tuple[FloatArray, FloatArray]:
        """Write the design of the training and of the chart, relative to the chart's first step."""
        ago = np.arange(-training, steps, dtype=np.float64)
        columns = [np.ones(ago.size)]
        if self.trend:
            columns.append(ago / max(1, training))
        columns.extend(harmonic_waves(ago, year=self.year, harmonics=self.harmonics))
        table = np.stack(columns, axis=1)
        return table[:training], table[training:]


class InControl(NamedTuple):
    """What is expected in the charts without an outbreak."""

    mean: FloatArray
    """Shape `[points, steps]`, positive."""
    dispersion: FloatArray
    """psi of the variance mu + psi mu^2, shape `[points]`; 0 for Poisson."""
    sufficient: NDArray[np.bool_]
    """Whether the training suffices, shape `[points]`."""
    zero: NDArray[np.bool_]
    """Whether it holds no case, shape `[points]`."""


def cut_charts(
    panel: Panel,
    index: Positions,
    rows: slice,
    *,
    start: int | None,
    window: int,
    training: int,
) -> Charts:
    """Cut the charts of some series out of a panel.

    With `start` there is one chart a series, trained on everything before `start`; without, each
    judged position has a chart of `window` steps that ends with it, trained on the `training`
    steps before. Points are ordered by series, then by position.
    """
    counts = panel.counts[rows]
    if start is None:
        steps = np.full(index.size, window - 1, dtype=np.intp)
        before = history(counts, index, training, window)
        return Charts(before, history(counts, index, window, 0), steps, training)
    end = max(start, int(index.max()) + 1)
    chart = np.ascontiguousarray(counts[:, start:end])
    recorded = np.where(index >= start, index - start, -1)
    return Charts(np.ascontiguousarray(counts[:, :start]), chart, recorded, 0)


def chart_floats(
    panel: Panel, *, start: int | None, window: int, training: int
) -> Callable[[int], int]:
    """Say how many numbers the charts of one series keep alive, given how many are judged.

    Examples
    --------
    >>> from detectors.contract import Panel
    >>> chart_floats(Panel(np.ones((1, 99))), start=None, window=3, training=7)(2)
    176
    """
    if start is None:
        return lambda judged: 8 * (window + training + 1) * judged
    return lambda judged: 8 * (panel.counts.shape[1] + judged)


def fit_incontrol(charts: Charts, season: Season | None, *, negbin: bool = False) -> InControl:
    """Fit the training of each chart and predict the chart's steps.

    Parameters
    ----------
    charts
        From :func:`cut_charts`.
    season
        Terms of a log-linear regression; None for the mean of the training.
    negbin
        Whether to fit a negative binomial by maximum likelihood, not a Poisson model.

    Notes
    -----
    More than half of the steps of the training (of those it is meant to have) must be observed, at
    least 3 and twice the number of terms, and three quarters of a season if there is one. A
    training without a case is taken to hold one case, since a mean of 0 excludes any.
    """
    known = ~np.isnan(charts.training)
    filled = np.where(known, charts.training, 0.0)
    observed = known.sum(axis=1)
    steps = charts.counts.shape[1]
    least = max(_LEAST_COUNTS, charts.most // 2 + 1 if charts.most else 0)
    if season is not None:
        least = max(least, 2 * (1 + season.trend + 2 * season.harmonics))
        if season.harmonics:
            least = max(least, int(np.ceil(_LEAST_SEASON * season.year)))
    sufficient = observed >= least
    total = filled.sum(axis=1)
    zero = sufficient & (total == 0)
    level = np.where(total > 0, total, 1.0) / np.maximum(observed, 1)
    mean = np.repeat(level[:, None], steps, axis=1)
    dispersion = np.zeros(level.size)
    fitted = np.flatnonzero(sufficient & ~zero)
    if season is not None and fitted.size:
        design, ahead = season.design(charts.training.shape[1], steps)
        weight = known[fitted].astype(np.float64)
        beta = _fit_poisson(filled[fitted], weight, design, level[fitted])
        if negbin:
            beta, dispersion[fitted] = _fit_negbin(filled[fitted], weight, design, beta)
        mean[fitted] = np.exp(np.clip(linear(ahead, beta), *LOG_MEAN_BOUNDS))
    return InControl(mean, dispersion, sufficient, zero)


def season_of(panel: Panel, *, trend: bool, harmonics: int) -> Season:
    """Give the regression's terms on a panel's time axis."""
    return Season(trend=trend, harmonics=harmonics, year=year_length(panel))


def _fit_negbin(
    counts: FloatArray, weight: FloatArray, design: FloatArray, beta: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Fit mean and dispersion by maximum likelihood (priors too wide to matter)."""
    fit = fit_negbin(
        counts,
        weight,
        design,
        prior_mean=beta,
        prior_sd=np.full(design.shape[1], _FLAT),
        dispersion_prior=(-1.0, _FLAT),
        start=(beta, np.full(beta.shape[0], -1.0)),
        iterations=100,
    )
    return fit.beta, np.exp(fit.log_dispersion)


def _fit_poisson(
    counts: FloatArray, weight: FloatArray, design: FloatArray, level: FloatArray
) -> FloatArray:
    """Fit log mu = design . beta by Newton steps, each point on its own, from a constant.

    Steps move no linear predictor by more than 3, and are halved where the likelihood falls.
    A ridge far below the rounding of the fit makes singular designs solvable. The coefficients are
    those of :func:`detectors.glm.fit_glm` to 1e-12, in half the time and without an array of
    `[points, steps, columns]`: charts need no standard errors, but a fit for each judged point.
    """
    points, columns = counts.shape[0], design.shape[1]
    beta = np.zeros((points, columns))
    beta[:, 0] = np.log(np.maximum(level, np.exp(LOG_MEAN_BOUNDS[0])))
    # In units of the level, so that counts of 1e100 and of 1e-10 are the same problem.
    scale = np.exp(beta[:, 0])
    active = np.arange(points)
    shrink = np.ones(points)
    best = np.full(points, -np.inf)
    kept = beta.copy()
    for _ in range(_ITERATIONS):
        if not active.size:
            break
        y, w, unit = counts[active], weight[active], scale[active]
        eta = np.clip(linear(design, beta[active]), *LOG_MEAN_BOUNDS)
        mean = np.exp(eta)
        value = (w * (y * (eta - np.log(unit)[:, None]) - mean)).sum(axis=1) / unit
        worse = value < best[active] - 1e-12 * np.abs(best[active])
        shrink[active] = np.where(worse, shrink[active] / 2, 1.0)
        back = active[worse]
        beta[back] = kept[back] + (beta[back] - kept[back]) / 2
        good = ~worse
        better = active[good]
        kept[better], best[better] = beta[better], value[good]
        step = _newton(y[good] - mean[good], w[good], mean[good], design, unit[good])
        beta[better] += step
        moving = np.abs(linear(design, step)).max(axis=1, initial=0.0) > _TOLERANCE
        stuck = shrink[back] < _TOLERANCE
        active = np.sort(np.concatenate([better[moving], back[~stuck]]))
    return beta


def _newton(
    residual: FloatArray,
    weight: FloatArray,
    mean: FloatArray,
    design: FloatArray,
    unit: FloatArray,
) -> FloatArray:
    """Return limited Newton steps, added up in a fixed order."""
    columns = design.shape[1]
    slope, bend = weight * residual / unit[:, None], weight * mean / unit[:, None]
    gradient = np.empty((slope.shape[0], columns))
    hessian = np.empty((slope.shape[0], columns, columns))
    for i in range(columns):
        gradient[:, i] = (slope * design[:, i]).sum(axis=1)
        scaled = bend * design[:, i]
        for j in range(i + 1):
            hessian[:, i, j] = hessian[:, j, i] = (scaled * design[:, j]).sum(axis=1)
    size = np.trace(hessian, axis1=1, axis2=2)
    for i in range(columns):
        hessian[:, i, i] += 1e-12 * size + 1e-200
    step = np.asarray(np.linalg.solve(hessian, gradient[..., None])[..., 0], dtype=np.float64)
    step[~np.isfinite(step)] = 0.0
    reach = np.abs(linear(design, step)).max(axis=1, initial=0.0)
    step *= np.minimum(1.0, _MAX_STEP / np.maximum(reach, 1e-300))[:, None]
    return step
