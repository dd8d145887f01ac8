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
from scipy.special import xlogy

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detectors.contract import FloatArray

__all__ = ["GlmFit", "fit_glm", "negbin_dispersion"]

# A column whose part outside the columns before it is smaller than this is aliased.
_ALIASED = 1e-10
_LINEAR_BOUNDS = (-600.0, 300.0)
_START = 0.1
_HALVINGS = 8
# Means below it at counts of 0 are on their way to 0, which no coefficient reaches.
_VANISHING = 1e-9
# Information below this part of the largest is no information (a mean that goes to 0).
_RIDGE = 1e-14


@dataclass(frozen=True, slots=True, eq=False)
class GlmFit:
    """Fits of a batch of problems; first axis `[problem]` throughout."""

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
    problem = _problem(counts, design, weight, offset)
    gamma, mean, deviance, converged = _iterate(problem, tolerance, iterations)
    coefficients, covariance = _back(problem, gamma, mean)
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


@dataclass(frozen=True, slots=True, eq=False)
class _Problem:
    """A batch in orthogonal coordinates."""

    y: FloatArray
    weight: FloatArray
    offset: FloatArray
    q: FloatArray
    """Q, shape `[problem, n, p]`; 0 in aliased columns. For all rows, also missing ones."""
    r: FloatArray
    """R with 1 on the diagonal of aliased columns, shape `[problem, p, p]`."""
    order: NDArray[np.intp]
    """Column of X that each column of Q stands for; aliased ones are last."""
    kept: NDArray[np.bool_]


def _problem(
    counts: FloatArray, design: FloatArray, weight: FloatArray | None, offset: FloatArray | None
) -> _Problem:
    known = ~np.isnan(counts)
    prior = np.broadcast_to(1.0 if weight is None else weight, counts.shape)
    prior = np.where(known, prior, 0.0)
    x = np.broadcast_to(design, (counts.shape[0], *design.shape[-2:]))
    masked = x * (prior > 0)[:, :, None]
    kept = _kept_columns(masked)
    order = np.argsort(~kept, axis=1, kind="stable")
    sorted_x = np.take_along_axis(masked, order[:, None, :], axis=2)
    present = np.take_along_axis(kept, order, axis=1)
    _, r = np.linalg.qr(sorted_x * present[:, None, :], mode="reduced")
    p = x.shape[2]
    if r.shape[1] < p:  # fewer rows than columns
        r = np.concatenate([r, np.zeros((r.shape[0], p - r.shape[1], p))], axis=1)
    r[~present] = 0.0
    r[:, np.arange(p), np.arange(p)] += ~present
    # Q = X R^-1 also gives the rows that are missing, for their means.
    full = np.take_along_axis(x, order[:, None, :], axis=2) * present[:, None, :]
    q = np.swapaxes(np.linalg.solve(np.swapaxes(r, 1, 2), np.swapaxes(full, 1, 2)), 1, 2)
    shift = np.broadcast_to(0.0 if offset is None else offset, counts.shape)
    return _Problem(np.where(known, counts, 0.0), prior, shift, q, r, order, kept)


def _kept_columns(x: FloatArray) -> NDArray[np.bool_]:
    """Drop columns that depend on those before them, one round of Gram-Schmidt per column."""
    size = np.sqrt(np.einsum("bnp,bnp->bp", x, x))
    rest = x / np.where(size > 0, size, 1.0)[:, None, :]
    kept = np.zeros(size.shape, dtype=np.bool_)
    for column in range(x.shape[2]):
        direction = rest[:, :, column]
        length = np.sqrt(np.einsum("bn,bn->b", direction, direction))
        kept[:, column] = length > _ALIASED
        safe = np.where(kept[:, column], length, 1.0)
        direction = direction * (kept[:, column] / safe)[:, None]
        for _ in range(2):  # twice is enough (Kahan)
            along = np.einsum("bn,bnp->bp", direction, rest[:, :, column + 1 :])
            rest[:, :, column + 1 :] -= direction[:, :, None] * along[:, None, :]
    return kept


def _iterate(
    problem: _Problem, tolerance: float, iterations: int
) -> tuple[FloatArray, FloatArray, FloatArray, NDArray[np.bool_]]:
    """Give coefficients of Q, means, deviances and who converged."""
    y, weight = problem.y, problem.weight
    batch, p = problem.kept.shape
    mean = y + _START
    working = np.log(mean) - problem.offset + (y - mean) / mean
    gamma = _solve(problem, mean, weight * mean * working)
    mean, deviance = _evaluate(problem, gamma)
    left = np.full(batch, iterations)
    converged = np.zeros(batch, dtype=np.bool_)
    active = np.arange(batch)
    while active.size and p:
        part = _take(problem, active)
        step = _solve(part, mean[active], part.weight * (part.y - mean[active]))
        old = deviance[active]
        trial = gamma[active] + step
        new_mean, new = _evaluate(part, trial)
        for _ in range(_HALVINGS):
            worse = ~(new <= old + 1e-9 * (np.abs(old) + 0.1))
            if not worse.any():
                break
            step[worse] *= 0.5
            trial[worse] = gamma[active][worse] + step[worse]
            new_mean[worse], new[worse] = _evaluate(
                _take(part, np.flatnonzero(worse)), trial[worse]
            )
        gamma[active], mean[active], deviance[active] = trial, new_mean, new
        left[active] -= 1
        small = np.abs(new - old) <= tolerance * (np.abs(new) + 0.1)
        again = small & ~converged[active]
        finished = (small & converged[active]) | (left[active] <= 0)
        converged[active] = small
        converged[active[again]] = True
        active = active[~finished]
    # A mean that runs off to 0 makes the deviance settle, but not the coefficients.
    seen = weight > 0
    vanishing = (seen & (mean < _VANISHING) & (y <= 0)).any(axis=1)
    return gamma, mean, deviance, converged & ~vanishing


def _take(problem: _Problem, rows: NDArray[np.intp]) -> _Problem:
    if rows.size == problem.y.shape[0]:
        return problem
    return _Problem(
        *(
            getattr(problem, name)[rows]
            for name in ("y", "weight", "offset", "q", "r", "order", "kept")
        )
    )


def _evaluate(problem: _Problem, gamma: FloatArray) -> tuple[FloatArray, FloatArray]:
    linear = np.einsum("bnp,bp->bn", problem.q, gamma) + problem.offset
    mean = np.exp(np.clip(linear, *_LINEAR_BOUNDS))
    terms = xlogy(problem.y, np.where(problem.y > 0, problem.y, 1.0) / mean) - (problem.y - mean)
    return mean, 2.0 * (problem.weight * terms).sum(axis=1)


def _information(problem: _Problem, mean: FloatArray) -> FloatArray:
    """Q'WQ, with 1 (times its size) for aliased columns and a trace of ridge."""
    scaled = problem.q * (problem.weight * mean)[:, :, None]
    information: FloatArray = np.matmul(np.swapaxes(problem.q, 1, 2), scaled)
    size = np.einsum("bpp->bp", information).max(axis=1, initial=0.0)
    size = np.where(size > 0, size, 1.0)
    present = np.take_along_axis(problem.kept, problem.order, axis=1)
    place = np.arange(present.shape[1])
    information[:, place, place] += np.where(present, _RIDGE, 1.0) * size[:, None]
    return information


def _solve(problem: _Problem, mean: FloatArray, response: FloatArray) -> FloatArray:
    right = np.einsum("bnp,bn->bp", problem.q, response)
    solved = np.linalg.solve(_information(problem, mean), right[:, :, None])
    return np.nan_to_num(solved[:, :, 0], posinf=0.0, neginf=0.0)


def _back(problem: _Problem, gamma: FloatArray, mean: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Coefficients and covariance of X from those of Q."""
    batch, p = gamma.shape
    present = np.take_along_axis(problem.kept, problem.order, axis=1)
    inverse = np.linalg.inv(problem.r)
    beta = np.einsum("bpq,bq->bp", inverse, gamma) * present
    # V = R^-1 L^-T with Q'WQ = L L': symmetric and never negative.
    spread = np.matmul(inverse, np.linalg.inv(_information(problem, mean)))
    variance = np.matmul(spread, np.swapaxes(inverse, 1, 2))
    variance *= present[:, :, None] & present[:, None, :]
    where = np.arange(batch)[:, None]
    coefficients, covariance = np.zeros((batch, p)), np.zeros((batch, p, p))
    coefficients[where, problem.order] = beta
    covariance[where[:, :, None], problem.order[:, :, None], problem.order[:, None, :]] = variance
    return coefficients, covariance


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
