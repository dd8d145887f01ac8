"""Batched log-linear models: Poisson and quasi-Poisson regressions of many problems at once.

Examples
--------
>>> import numpy as np
>>> counts = np.array([[2.0, 4.0, 8.0], [5.0, 5.0, 5.0]])
>>> design = np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]])
>>> fit_glm(counts, design).coefficients.round(6) + 0.0
array([[0.693147, 0.693147],
       [1.609438, 0.      ]])
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from detectors._glm_solver import back, iterate, pose

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detectors.contract import FloatArray

__all__ = ["GlmFit", "fit_glm", "negbin_dispersion"]


@dataclass(frozen=True, slots=True, eq=False)
class GlmFit:
    """Fits of a batch of problems; first axis `[problem]` throughout.

    Examples
    --------
    >>> fit = fit_glm(np.array([[2.0, 4.0, 6.0]]), np.ones((3, 1)))
    >>> fit.mean.round(6), fit.freedom, fit.converged
    (array([[4., 4., 4.]]), array([2.]), array([ True]))
    """

    coefficients: FloatArray
    """beta, shape `[problem, p]`; 0 for aliased columns."""
    kept: NDArray[np.bool_]
    """Which columns are not aliased, shape `[problem, p]`."""
    unscaled_covariance: FloatArray
    """(X'WX)^-1, shape `[problem, p, p]`; 0 for aliased columns."""
    mean: FloatArray
    """mu, shape `[problem, n]`."""
    deviance: FloatArray
    freedom: FloatArray
    """n - p of the rows with weight and the columns kept."""
    pearson: FloatArray
    """sum w (y - mu)^2 / mu."""
    converged: NDArray[np.bool_]
    """False where the deviance did not settle, or a mean runs off to 0: estimates are then the last
    ones, finite but not to be trusted."""

    def dispersion(self, floor: float = 0.0) -> FloatArray:
        """Pearson statistic / (n - p), at least `floor`; `floor` (or 1) where n = p.

        Examples
        --------
        >>> fit_glm(np.array([[1.0, 9.0]]), np.ones((2, 1))).dispersion()
        array([6.4])
        """
        free = self.freedom > 0
        value = np.where(free, self.pearson / np.where(free, self.freedom, 1.0), floor or 1.0)
        return np.maximum(value, floor)

    def standard_errors(self, dispersion: FloatArray | float = 1.0) -> FloatArray:
        """Return standard errors of the coefficients, shape `[problem, p]`.

        Examples
        --------
        >>> fit_glm(np.array([[2.0, 2.0]]), np.ones((2, 1))).standard_errors()
        array([[0.5]])
        """
        variance = np.diagonal(self.unscaled_covariance, axis1=1, axis2=2)
        scale = np.asarray(dispersion, dtype=np.float64).reshape(-1, 1)
        return np.sqrt(np.maximum(variance, 0.0) * scale)

    def predict(
        self,
        rows: FloatArray,
        offset: FloatArray | float = 0.0,
        dispersion: FloatArray | float = 1.0,
    ) -> tuple[FloatArray, FloatArray]:
        """Linear predictor of one new row per problem (or a shared one) and its standard error.

        Examples
        --------
        >>> linear, error = fit_glm(np.array([[2.0, 2.0]]), np.ones((2, 1))).predict(np.ones(1))
        >>> np.exp(linear).round(6), error
        (array([2.]), array([0.5]))
        """
        rows = np.broadcast_to(rows, self.coefficients.shape)
        linear = np.einsum("bp,bp->b", rows, self.coefficients) + offset
        variance = np.einsum("bp,bpq,bq->b", rows, self.unscaled_covariance, rows)
        return linear, np.sqrt(np.maximum(variance, 0.0) * dispersion)


def fit_glm(
    counts: FloatArray,
    design: FloatArray,
    *,
    weight: FloatArray | None = None,
    offset: FloatArray | None = None,
    tolerance: float = 1e-10,
    iterations: int = 50,
) -> GlmFit:
    """Fit log mu = offset + X beta with var y = phi mu / w by iteratively reweighted least squares.

    Parameters
    ----------
    counts
        Shape `[problem, n]`; NaN = missing, which is the same as weight 0.
    design
        X, shape `[n, p]` (shared) or `[problem, n, p]`, finite.
    weight
        Prior weights w, shape `[problem, n]` or `[n]`; 1 by default.
    offset
        Shape `[problem, n]` or `[n]`; 0 by default.
    tolerance
        Relative change of the deviance, |D - D'| / (|D| + 0.1), that ends the iteration; one more
        step is then taken, which squares the error that is left.
    iterations
        Most steps.

    Notes
    -----
    As in R's `glm` the start is mu = y + 0.1, and a step is halved while it raises the deviance.
    The columns are orthogonalised once for each problem, X = QR, and the normal equations are
    solved for Q, so that the condition number of X is not squared. A column that depends linearly
    on
    those before it is aliased: it is dropped, as in R, and its coefficient is 0. No
    input raises for numerical reasons; see `GlmFit.converged`.

    Memory: about 6 arrays of `[problem, n]` and 2 of `[problem, n, p]`. Call it in blocks.

    References
    ----------
    McCullagh P, Nelder JA (1989). Generalized Linear Models, 2nd ed. Chapman and Hall.

    Examples
    --------
    >>> twice = np.array([[1.0, 1.0], [1.0, 1.0], [1.0, 1.0]])
    >>> fit = fit_glm(np.array([[2.0, np.nan, 4.0]]), twice)
    >>> fit.kept, fit.mean.round(6)
    (array([[ True, False]]), array([[3., 3., 3.]]))
    """
    problem = pose(counts, design, weight, offset)
    gamma, mean, deviance, converged = iterate(problem, tolerance, iterations)
    coefficients, covariance = back(problem, gamma, mean)
    residual = problem.y - mean
    return GlmFit(
        coefficients=coefficients,
        kept=problem.kept,
        unscaled_covariance=covariance,
        mean=mean,
        deviance=deviance,
        freedom=((problem.weight > 0).sum(axis=1) - problem.kept.sum(axis=1)).astype(np.float64),
        pearson=(problem.weight * residual * (residual / mean)).sum(axis=1),
        converged=converged,
    )


def negbin_dispersion(
    counts: FloatArray,
    mean: FloatArray,
    freedom: FloatArray,
    weight: FloatArray | None = None,
) -> FloatArray:
    """Moment estimate of psi in var y = mu + psi mu^2, at least 0, shape `[problem]`.

    Solves sum w (y - mu)^2 / (mu + psi mu^2) = n - p (Breslow 1984) by bisection on log psi;
    0 where the counts are not overdispersed.

    Parameters
    ----------
    counts, mean, weight
        Shape `[problem, n]`; NaN counts are left out.
    freedom
        n - p, shape `[problem]`.

    References
    ----------
    Breslow NE (1984). Extra-Poisson variation in log-linear models. Applied Statistics 33, 38-44.

    Examples
    --------
    >>> counts = np.array([[0.0, 4.0, 0.0, 12.0], [4.0, 4.0, 4.0, 4.0]])
    >>> negbin_dispersion(counts, np.full((2, 4), 4.0), np.array([3.0, 3.0])).round(4)
    array([1.75, 0.  ])
    """
    known = ~np.isnan(counts)
    prior = np.where(known, 1.0 if weight is None else weight, 0.0)
    squares = prior * np.where(known, counts - mean, 0.0) ** 2 / mean
    low, high = np.full(mean.shape[0], -20.0), np.full(mean.shape[0], 10.0)
    for _ in range(60):
        middle = 0.5 * (low + high)
        statistic = (squares / (1.0 + np.exp(middle)[:, None] * mean)).sum(axis=1)
        above = statistic > freedom
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    psi: FloatArray = np.exp(0.5 * (low + high))
    return np.where(squares.sum(axis=1) > freedom, psi, 0.0)
