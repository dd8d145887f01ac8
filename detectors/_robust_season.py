r"""A robust log-linear baseline with season, weekday and trend, for every series and judged step.

Counts of the window before a step are fitted by :math:`\log\mu_i = x_i'\beta` with variance
:math:`\phi\mu_i`, outbreaks of the past left out: a count whose Anscombe residual

.. math:: \tfrac32\,(y^{2/3} - \mu^{2/3}) / (\mu^{1/6}\sqrt\phi)

is above :math:`3 + 0.7\sqrt{\phi/\mu}` has weight 0 in the next fit; the second term allows for
the skewness of small counts. Time is counted back from the judged step, so that
all series and steps share one design, and the normal equations of all of them are one matrix
product.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from detectors.contract import FloatArray

__all__ = ["Baseline", "Terms", "fit_baseline"]

_FIRST_FIT, _REFIT_STEPS = 8, 2
#: Residual above which a past count is taken for an outbreak's.
_OUTLYING = 3.0
#: What is added to it for the skewness of small counts, times the coefficient of variation. Without
#: it their dispersion comes out too low; before the outbreaks are out it would keep them in.
_SKEWED = (0.0, 0.0, 0.7, 0.7)
#: A ridge that keeps columns without any information at 0, in units of one count.
_RIDGE = 1e-6
#: Largest logarithm of a mean: counts reach 1e100.
_ETA = 231.0


class Terms(NamedTuple):
    """Which terms the log-linear model has."""

    period: float
    harmonics: int
    trend: bool
    weekdays: bool

    def design(self, back: FloatArray, length: int) -> FloatArray:
        """Return the design of steps that lie `back` before the judged one, shape [step, term]."""
        columns = [np.ones_like(back)]
        if self.trend:
            columns.append(0.5 - back / length)
        for order in range(1, self.harmonics + 1):
            angle = 2.0 * np.pi * order * back / self.period
            columns += [np.cos(angle), np.sin(angle)]
        if self.weekdays:
            columns += [(back % 7 == day).astype(np.float64) - 1.0 / 7.0 for day in range(1, 7)]
        return np.stack(columns, axis=1)


class Baseline(NamedTuple):
    """Expected counts; arrays of shape `[step, problem]` and `[problem]`."""

    means: FloatArray
    #: phi of a new count, the uncertainty of the mean included.
    dispersion: FloatArray


def fit_baseline(counts: FloatArray, guard: int, predict: int, terms: Terms) -> Baseline:
    """Fit windows and extrapolate to the judged step.

    Parameters
    ----------
    counts
        Counts that end `guard` steps before the judged one, shape `[problem, window]`; NaN =
        missing. Each row has enough counts for the terms.
    guard
        Steps between the window and the judged step, that one not counted.
    predict
        Steps before the judged one whose means are wanted as well.
    terms
        The model.
    """
    window = counts.shape[1]
    length = window + guard
    back = np.arange(length, guard, -1, dtype=np.float64)
    x = terms.design(back, length)
    square = np.einsum("np,nq->npq", x, x).reshape(window, -1)
    known = (~np.isnan(counts)).astype(np.float64)
    y = np.where(known > 0, counts, 0.0)
    average = np.maximum((y * known).sum(axis=1) / known.sum(axis=1), 1e-3)
    beta = np.zeros((counts.shape[0], x.shape[1]))
    beta[:, 0] = np.log(average)
    beta, mean, normal = _fit(beta, x, square, y, known, _FIRST_FIT)
    phi, weight = _dispersion(y, mean, known, x.shape[1]), known
    for skewed in _SKEWED:
        residual = 1.5 * (np.cbrt(y**2) - np.cbrt(mean**2)) / np.sqrt(np.cbrt(mean) * phi[:, None])
        weight = known * (residual <= _OUTLYING + skewed * np.sqrt(phi[:, None] / mean))
        beta, mean, normal = _fit(beta, x, square, y, weight, _REFIT_STEPS)
        phi = _dispersion(y, mean, weight, x.shape[1])
    ahead = terms.design(np.arange(predict, -1, -1, dtype=np.float64), length)
    # Zeros alone do not prove a rate of 0: half a case in the window is what they leave open.
    least = 0.5 / known.sum(axis=1)
    means = np.maximum(np.exp(np.clip(ahead @ beta.T, -_ETA, _ETA)), least)
    now = ahead[-1]
    spread = np.linalg.solve(normal, np.broadcast_to(now[:, None], (*beta.shape, 1)))[..., 0] @ now
    return Baseline(means, phi * (1.0 + means[-1] * np.maximum(spread, 0.0)))


def _fit(  # noqa: PLR0917 - the problem's parts
    beta: FloatArray,
    x: FloatArray,
    square: FloatArray,
    y: FloatArray,
    weight: FloatArray,
    steps: int,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Improve the coefficients by Fisher scoring; returns means and normal equations too."""
    terms = x.shape[1]
    ridge = _RIDGE * np.eye(terms)
    for _ in range(steps):
        mean = _means(beta, x)
        working = weight * mean
        normal = (working @ square).reshape(-1, terms, terms) + ridge
        gradient = (weight * (y - mean)) @ x
        change = np.linalg.solve(normal, gradient[..., None])[..., 0]
        # A step that would change a term by more than e^2 is held back; far off, the curvature
        # misleads.
        beta = beta + np.clip(change, -2.0, 2.0)
    mean = _means(beta, x)
    normal = ((weight * mean) @ square).reshape(-1, terms, terms) + ridge
    return beta, mean, normal


def _means(beta: FloatArray, x: FloatArray) -> FloatArray:
    means: FloatArray = np.exp(np.clip(beta @ x.T, -_ETA, _ETA))
    return means


def _dispersion(y: FloatArray, mean: FloatArray, weight: FloatArray, terms: int) -> FloatArray:
    free = np.maximum(weight.sum(axis=1) - terms, 1.0)
    phi: FloatArray = (weight * (y - mean) ** 2 / mean).sum(axis=1) / free
    return np.maximum(phi, 1.0)
