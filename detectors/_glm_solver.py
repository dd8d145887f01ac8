"""Iteratively reweighted least squares in orthogonal coordinates, for batches of problems.

The work of :func:`detectors.glm.fit_glm`, step by step: `pose` a batch, `iterate` it, and bring
the result `back` to the columns of the design.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import xlogy

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detectors.contract import FloatArray

__all__ = ["Problem", "back", "iterate", "pose"]

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
class Problem:
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


def pose(
    counts: FloatArray, design: FloatArray, weight: FloatArray | None, offset: FloatArray | None
) -> Problem:
    """Orthogonalise the columns of each problem and mark those that are aliased."""
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
    return Problem(np.where(known, counts, 0.0), prior, shift, q, r, order, kept)


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


def iterate(
    problem: Problem, tolerance: float, iterations: int
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


def _take(problem: Problem, rows: NDArray[np.intp]) -> Problem:
    if rows.size == problem.y.shape[0]:
        return problem
    return Problem(
        *(
            getattr(problem, name)[rows]
            for name in ("y", "weight", "offset", "q", "r", "order", "kept")
        )
    )


def _evaluate(problem: Problem, gamma: FloatArray) -> tuple[FloatArray, FloatArray]:
    linear = np.einsum("bnp,bp->bn", problem.q, gamma) + problem.offset
    mean = np.exp(np.clip(linear, *_LINEAR_BOUNDS))
    terms = xlogy(problem.y, np.where(problem.y > 0, problem.y, 1.0) / mean) - (problem.y - mean)
    return mean, 2.0 * (problem.weight * terms).sum(axis=1)


def _information(problem: Problem, mean: FloatArray) -> FloatArray:
    """Q'WQ, with 1 (times its size) for aliased columns and a trace of ridge."""
    scaled = problem.q * (problem.weight * mean)[:, :, None]
    information: FloatArray = np.matmul(np.swapaxes(problem.q, 1, 2), scaled)
    size = np.einsum("bpp->bp", information).max(axis=1, initial=0.0)
    size = np.where(size > 0, size, 1.0)
    present = np.take_along_axis(problem.kept, problem.order, axis=1)
    place = np.arange(present.shape[1])
    information[:, place, place] += np.where(present, _RIDGE, 1.0) * size[:, None]
    return information


def _solve(problem: Problem, mean: FloatArray, response: FloatArray) -> FloatArray:
    right = np.einsum("bnp,bn->bp", problem.q, response)
    solved = np.linalg.solve(_information(problem, mean), right[:, :, None])
    return np.nan_to_num(solved[:, :, 0], posinf=0.0, neginf=0.0)


def back(problem: Problem, gamma: FloatArray, mean: FloatArray) -> tuple[FloatArray, FloatArray]:
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
