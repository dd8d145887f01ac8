"""Batched negative-binomial regression with Gaussian priors, by Newton steps.

A count Y has the mean mu and the variance mu + mu^2 / r; r is called its *size*, psi = 1 / r its
*dispersion*. All sums run along the last axis of contiguous arrays and every point is iterated on
its own, so that a result does not depend on which other points are in the batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.special import digamma

if TYPE_CHECKING:
    from detectors.contract import FloatArray

__all__ = ["LOG_MEAN_BOUNDS", "NegbinFit", "fit_negbin", "linear"]

#: Linear predictors are kept here: counts reach 1e100, and 1e-13 is as good as no case at all.
LOG_MEAN_BOUNDS = (-30.0, 240.0)
#: Dispersions are kept here: 1e-5 cannot be told from Poisson, and 20 is nearly all zeros.
_LOG_DISPERSION_BOUNDS = (float(np.log(1e-5)), float(np.log(20.0)))
# Largest change of a linear predictor in one Newton step.
_MAX_STEP = 3.0
_MAX_DISPERSION_STEP = 1.5
_SLOPE_WIDTH = 0.05
_ITERATIONS = 40
_TOLERANCE = 1e-7


class NegbinFit(NamedTuple):
    """Posterior modes of a batch of log-linear models, and their Laplace spread."""

    beta: FloatArray
    """Coefficients, shape `[points, columns]`."""
    covariance: FloatArray
    """Inverse of the negative Hessian at the mode, shape `[points, columns, columns]`."""
    log_dispersion: FloatArray
    """log psi, shape `[points]`."""
    dispersion_sd: FloatArray
    """Its Laplace standard deviation, shape `[points]`."""


def fit_negbin(
    counts: FloatArray,
    weight: FloatArray,
    design: FloatArray,
    *,
    prior_mean: FloatArray,
    prior_sd: FloatArray,
    dispersion_prior: tuple[float, float],
    iterations: int = _ITERATIONS,
    start: tuple[FloatArray, FloatArray] | None = None,
) -> NegbinFit:
    """Find the posterior mode of log mu = design . beta with Gaussian priors, batched.

    Alternates a Newton step in beta (the negative Hessian X' W X + prior, with W = w mu r (r + y)
    / (mu + r)^2, is positive definite everywhere, so that a limited step goes uphill) with one in
    log psi (slope by a difference of the score), until both move by less than 1e-7 or
    `iterations` are over. beta and psi are orthogonal in the expected information, which is why
    their spreads are computed apart.

    Parameters
    ----------
    counts, weight
        Shape `[points, steps]`; a weight of 0 leaves a step out (its count may be anything finite).
    design
        Shape `[steps, columns]`, the same for all points.
    prior_mean, prior_sd
        Of the coefficients; shapes `[points, columns]` and `[columns]`.
    dispersion_prior
        Mean and standard deviation of log psi.
    start
        Coefficients and log psi to begin with, instead of the prior means.

    Examples
    --------
    >>> fit = fit_negbin(
    ...     np.array([[3.0, 5.0, 4.0]]),
    ...     np.ones((1, 3)),
    ...     np.ones((3, 1)),
    ...     prior_mean=np.zeros((1, 1)),
    ...     prior_sd=np.array([1e6]),
    ...     dispersion_prior=(-3.0, 1.0),
    ... )
    >>> np.exp(fit.beta).round(6)
    array([[4.]])
    """
    points, columns = prior_mean.shape
    precision = 1.0 / prior_sd**2
    beta, log_psi = (
        (prior_mean.copy(), np.full(points, dispersion_prior[0]))
        if start is None
        else (start[0].copy(), start[1].copy())
    )
    hessian = np.broadcast_to(np.diag(precision), (points, columns, columns)).copy()
    curvature = np.full(points, dispersion_prior[1] ** -2)
    active = np.arange(points)
    for _ in range(iterations):
        if not active.size:
            break
        y, w = counts[active], weight[active]
        step, hessian[active], mean = _newton(
            y, w, design, beta[active], np.exp(-log_psi[active]), prior_mean[active], precision
        )
        beta[active] += step
        move, curvature[active] = _dispersion_step(y, w, mean, log_psi[active], dispersion_prior)
        log_psi[active] += move
        active = active[(np.abs(step).max(axis=-1) > _TOLERANCE) | (np.abs(move) > _TOLERANCE)]
    covariance = np.linalg.inv(hessian).astype(np.float64, copy=False)
    return NegbinFit(beta, covariance, log_psi, 1.0 / np.sqrt(curvature))


def _newton(  # noqa: PLR0917 - the state of one iteration
    counts: FloatArray,
    weight: FloatArray,
    design: FloatArray,
    beta: FloatArray,
    size: FloatArray,
    prior_mean: FloatArray,
    precision: FloatArray,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the limited Newton step, the negative Hessian and the means before the step."""
    mean = np.exp(np.clip(linear(design, beta), *LOG_MEAN_BOUNDS))
    r = size[:, None]
    share = r / (mean + r)
    slope = weight * (counts - mean) * share
    bend = weight * mean * share * ((counts + r) / (mean + r))
    columns = range(design.shape[1])
    gradient = np.stack([(slope * design[:, i]).sum(axis=-1) for i in columns], axis=-1)
    gradient -= precision * (beta - prior_mean)
    hessian = np.empty((*beta.shape, beta.shape[1]))
    for i in columns:
        scaled = bend * design[:, i]
        for j in range(i + 1):
            hessian[:, i, j] = hessian[:, j, i] = (scaled * design[:, j]).sum(axis=-1)
        hessian[:, i, i] += precision[i]
    step = np.linalg.solve(hessian, gradient[..., None])[..., 0]
    reach = np.abs(linear(design, step)).max(axis=-1)
    step *= np.minimum(1.0, _MAX_STEP / np.maximum(reach, 1e-300))[:, None]
    return step, hessian, mean


def linear(design: FloatArray, beta: FloatArray) -> FloatArray:
    """Return the linear predictors, shape `[points, steps]`, added up in a fixed order.

    Examples
    --------
    >>> linear(np.array([[1.0, 2.0]]), np.array([[10.0, 100.0]]))
    array([[210.]])
    """
    total = beta[:, :1] * design[:, 0]
    for i in range(1, design.shape[1]):
        total += beta[:, i, None] * design[:, i]
    return total


def _dispersion_step(
    counts: FloatArray,
    weight: FloatArray,
    mean: FloatArray,
    log_psi: FloatArray,
    prior: tuple[float, float],
) -> tuple[FloatArray, FloatArray]:
    """Return a limited Newton step in log psi and the negative curvature there (at least prior)."""

    def score(at: FloatArray) -> FloatArray:
        r = np.exp(-at)[:, None]
        # d log f / d log psi = -r d log f / dr
        terms = digamma(counts + r) - digamma(r) - np.log1p(mean / r) + 1.0
        terms -= (counts + r) / (mean + r)
        total: FloatArray = -(r * weight * terms).sum(axis=-1) - (at - prior[0]) / prior[1] ** 2
        return total

    here = score(log_psi)
    slope = (score(log_psi + _SLOPE_WIDTH) - here) / _SLOPE_WIDTH
    curvature = np.maximum(-slope, prior[1] ** -2)
    move = np.clip(here / curvature, -_MAX_DISPERSION_STEP, _MAX_DISPERSION_STEP)
    return np.clip(log_psi + move, *_LOG_DISPERSION_BOUNDS) - log_psi, curvature
