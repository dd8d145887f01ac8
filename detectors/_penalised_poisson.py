"""Quasi-Poisson regression with normal effects (a ridge penalty), of many series on one design."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from detectors.contract import FloatArray

__all__ = ["PenalisedFit", "fit_penalised"]

_ITERATIONS = 30
_TOLERANCE = 1e-10
# Longest step of the linear predictor in one iteration, and its bounds.
_STEP, _BOUND = 2.0, 60.0
# The penalty of series with larger means does not shrink further, lest the design be singular.
_LARGEST_UNIT = 1e6


class PenalisedFit(NamedTuple):
    """Fits of some series for one judged step, arrays of shape `[series]`."""

    mean: FloatArray
    log_variance: FloatArray
    phi: FloatArray
    fitted: FloatArray
    """Of shape `[series, window]`."""
    least: FloatArray


def fit_penalised(
    values: FloatArray, rows: FloatArray, judged: FloatArray, precision: FloatArray
) -> PenalisedFit:
    """Fit penalised quasi-Poisson regressions of all series on one design.

    The counts are divided by their mean first: huge and tiny ones then behave like others, and
    the penalty is divided by it, too.

    Parameters
    ----------
    values
        Counts, shape `[series, window]`; NaN = missing.
    rows, judged
        Design of the window, shape `[window, terms]`, and row of the judged step.
    precision
        1 / variance of the coefficients about 0, shape `[terms]`; the first is that of the level
        about the mean of the counts.

    Examples
    --------
    >>> fit = fit_penalised(np.full((1, 9), 4.0), np.ones((9, 1)), np.ones(1), np.ones(1))
    >>> fit.mean.round(6), fit.phi
    (array([4.]), array([1.]))
    """
    known = (~np.isnan(values)).astype(np.float64)
    number = np.maximum(known.sum(axis=1), 1.0)
    count = np.where(known > 0, values, 0.0)
    unit = np.maximum(count.sum(axis=1) / number, 0.5 / number)
    count = count / unit[:, None]
    penalty = np.diag(precision)[None] / np.minimum(unit, _LARGEST_UNIT)[:, None, None]
    terms = rows.shape[1]
    products = (rows[:, :, None] * rows[:, None, :]).reshape(rows.shape[0], -1)
    beta = np.zeros((values.shape[0], terms))
    eta = np.zeros(values.shape)
    for _ in range(_ITERATIONS):
        mu = np.exp(eta) * known
        information = (mu @ products).reshape(-1, terms, terms) + penalty
        slope = (count - mu) @ rows - (penalty @ beta[:, :, None])[:, :, 0]
        change = np.linalg.solve(information, slope[:, :, None])[:, :, 0]
        step = change @ rows.T
        longest = np.abs(step).max(axis=1, initial=0.0)
        beta += change * np.minimum(1.0, _STEP / np.maximum(longest, _STEP))[:, None]
        eta = np.clip(beta @ rows.T, -_BOUND, _BOUND)
        if (longest < _TOLERANCE).all():
            break
    mu = np.exp(eta)
    information = ((mu * known) @ products).reshape(-1, terms, terms) + penalty
    inverse = np.linalg.inv(information)
    leverage = np.einsum("i,sij,j->s", judged, inverse, judged)
    spent = np.trace(inverse @ (information - penalty), axis1=1, axis2=2)
    pearson = (known * (count - mu) ** 2 / mu).sum(axis=1) * unit
    phi = np.maximum(pearson / np.maximum(number - spent, 1.0), 1.0)
    mean = np.exp(np.clip(beta @ judged, -_BOUND, _BOUND)) * unit
    return PenalisedFit(mean, phi * leverage / unit, phi, mu * unit[:, None], 0.5 / number)
