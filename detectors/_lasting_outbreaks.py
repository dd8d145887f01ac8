r"""Outbreaks of weeks and months that a history holds, however large a part of it they are.

A fit that begins with all counts and leaves the outlying ones out does not find them: high counts
side by side raise mean and dispersion until none of them is outlying (masking). Here whole spans
are tested, as level shifts of count series are (Fokianos and Fried 2010). Counts are added up in
blocks of some steps. With the log-linear model fitted to the blocks, :math:`\mu` its means, W =
diag(:math:`\mu`) and s the indicator of a span, the score test of a level of its own is

.. math:: T_s = \frac{s'(y - \mu)}{\sqrt{\phi\,(s'Ws - s'WX N^{-1} X'Ws)}}, \qquad
          T_s' = T_s / \sqrt{1 - T_s^2 / n},

where the second form has the dispersion that is left when the span has its own level. The span with
the largest :math:`T_s'` is left out where it is above 7, the model is fitted again and the next one
is looked for, three at most.

*Runs.* Around each span, blocks whose Anscombe residual is above 1 belong to the same run, and one
in between that is not. The threshold of evidence comes from the other counts alone: a run counts
where its cases are at least 1.5 times the expected ones, and an eighth of a year at its rate lies
more than 6 standard deviations of the other sums over an eighth of a year above them. Where levels
wander, these vary more than single counts say. One of less than half a year is the season and no
outbreak where the median of the other years was as high, or where it has ended and lies at the
season's height: an epidemic of the season may be a strong one. What becomes of the others:

- more than a year has been high since the first of some runs, and two thirds of the time at least,
  so that each season has been seen at this level: a new level. What was before is no part of the
  history any more, and outbreaks are looked for again in what is left. A source that joins after
  years of zeros, whose quiet season looks like the zeros, is such a level, too.
- any other run, over or going on: an outbreak.

Counts of outbreaks have no weight. A year of other counts and half of the history must be left,
else nothing is left out here: what is high might be the season. `detectors._first_year` decides on
what begins in the first year.

References
----------
Fokianos K, Fried R (2010). Interventions in INGARCH processes. Journal of Time Series Analysis 31,
210-225 (score tests of spans with a level of their own, one after the other).

Rousseeuw PJ, Leroy AM (1987). Robust regression and outlier detection. Wiley (masking).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from detectors._log_linear import Problems, dispersion_of
from detectors._moments import median
from detectors._outbreak_runs import outbreak_runs, run_of, total_between

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detectors._log_linear import Terms
    from detectors.contract import FloatArray

__all__ = ["counts_to_keep"]

_FIRST_FIT, _REFIT, _SPANS = 6, 2, 3
#: T' of a span that has its own level.
_FOUND = 7.0
#: Blocks of the shortest span; each longer one is about a third longer.
_LEAST, _LONGER = 3, 1.4
_SHOULDER = 1.0
_RATIO, _EVIDENCE = 1.5, 6.0
#: Ratio in the median of the other years above which a run is the season's.
_SEASON = 1.25
#: Part of the time since a new level began that must be high.
_MOST = 2 / 3
#: Levels that may follow one another in a window.
_LEVELS = 3
#: Largest part of a window that a span may be.
_SHARE = 0.6
_TINY = 1e-300


def counts_to_keep(job: Problems, guard: int, terms: Terms) -> NDArray[np.bool_]:
    """Say which counts are neither of a lasting outbreak nor of a level that is past.

    Parameters
    ----------
    job
        Counts of the windows.
    guard
        Steps between them and the judged one.
    terms
        The model; its `block` is the number of steps that are added up.

    Returns
    -------
    ndarray
        Shape `[problem, step]`.
    """
    window, block = job.y.shape[1], terms.block
    kept = np.ones(job.y.shape, dtype=np.bool_)
    year, first = terms.period / block, window % block
    rows = np.flatnonzero(job.known.sum(axis=1) >= terms.period + _LEAST * block)
    if window < terms.period + _LEAST * block:
        return kept
    for _ in range(_LEVELS):
        if not rows.size:
            break
        coarse = _blocks(job._replace(known=job.known * kept), guard, terms, rows)
        out, beta = _spans(coarse)
        hit = np.flatnonzero(out.any(axis=1))
        if not hit.size:
            break
        rows, coarse = rows[hit], coarse.rows(hit)
        runs = _runs_around(coarse, out[hit], beta[hit], year)
        begins = _new_level(runs, coarse.known, year)
        restart = np.flatnonzero(begins >= 0)
        left = coarse.known * np.where(
            (begins >= 0)[:, None], np.arange(runs.shape[1]) >= begins[:, None], ~runs
        )
        total, before = left.sum(axis=1), coarse.known.sum(axis=1)
        enough = (total >= year) & ((total >= 0.5 * before) | (begins >= 0))
        found = np.where(enough[:, None], left > 0, True)
        kept[rows, first:] &= np.repeat(found, block, axis=1)
        kept[rows[restart], :first] = False
        # Within a new level there may be outbreaks again.
        rows = rows[restart]
    return kept


def _blocks(job: Problems, guard: int, terms: Terms, rows: NDArray[np.intp]) -> Problems:
    """Add up the steps of each block; the oldest steps that fill none are left out."""
    window, block = job.y.shape[1], terms.block
    blocks = window // block
    first = window - blocks * block

    def added(values: FloatArray) -> FloatArray:
        total: FloatArray = values[rows, first:].reshape(rows.size, blocks, block).sum(axis=2)
        return total

    risk = added(job.exposure)
    known = added(job.known) >= 0.5 * block
    back = guard + 0.5 * (block + 1) + block * np.arange(blocks - 1, -1, -1, dtype=np.float64)
    return Problems.make(
        np.where(known, added(job.y), 0.0),
        known,
        np.log(np.where(known, risk, 1.0)),
        back,
        terms._replace(weekdays=False),
    )


def _spans(job: Problems) -> tuple[NDArray[np.bool_], FloatArray]:
    """Find the spans with a level of their own; shape `[problem, block]`, and coefficients."""
    out = np.zeros(job.y.shape, dtype=np.bool_)
    beta = np.zeros((job.y.shape[0], job.x.shape[1]))
    risk = job.exposure.sum(axis=1)
    beta[:, 0] = np.log(np.maximum(job.y.sum(axis=1) / risk, 1e-3))
    going = np.arange(job.y.shape[0])
    for turn in range(_SPANS):
        now = job.rows(going)
        weight = now.known * ~out[going]
        free = np.maximum(weight.sum(axis=1) - now.x.shape[1], 1.0)
        phi = dispersion_of(now, np.exp(now.log_means(beta[going])), weight, free)
        for step in range(2):
            part = now.improve(beta[going], weight, phi, _REFIT if turn or step else _FIRST_FIT)
            beta[going] = part
            mean = np.exp(now.log_means(part))
            phi = dispersion_of(now, mean, weight, free)
        best, first, last = _best_span(now, mean, weight, phi, free)
        place = np.arange(job.y.shape[1])
        span = (place >= first[:, None]) & (place <= last[:, None])
        # What is left must determine the model.
        good = (best > _FOUND) & ((weight * ~span).sum(axis=1) > 2 * now.x.shape[1])
        going = going[good]
        if not going.size:
            break
        out[going] |= span[good]
    return out, beta


def _best_span(
    job: Problems, mean: FloatArray, weight: FloatArray, phi: FloatArray, free: FloatArray
) -> tuple[FloatArray, NDArray[np.intp], NDArray[np.intp]]:
    """Find the span of the largest T', its first and last block."""
    problems, blocks = mean.shape
    working = weight * mean
    # With N = L L', the part of a span that the terms take is the squared length of L^-1 X'Ws.
    root = np.linalg.inv(np.linalg.cholesky(job.normal(working, phi)))
    taken = np.matmul(root, job.x.T) * working[:, None, :]
    sums = [
        np.concatenate([np.zeros((*each.shape[:-1], 1)), np.cumsum(each, axis=-1)], axis=-1)
        for each in (weight * (job.y - mean), working, taken)
    ]
    best = np.full(problems, -np.inf)
    first, last = np.zeros(problems, dtype=np.intp), np.zeros(problems, dtype=np.intp)
    length = _LEAST
    while length <= min(_SHARE * blocks, blocks - _LEAST):
        excess, own, shared = (each[..., length:] - each[..., :-length] for each in sums)
        variance = np.maximum(own - np.square(shared, out=shared).sum(axis=1), 1e-9 * own + _TINY)
        score = np.maximum(excess, 0.0) / np.sqrt(phi[:, None] * variance)
        score /= np.sqrt(np.maximum(1.0 - score**2 / free[:, None], 1e-3))
        place = score.argmax(axis=1)
        value = score[np.arange(problems), place]
        better = value > best
        best = np.where(better, value, best)
        first = np.where(better, place, first)
        last = np.where(better, place + length - 1, last)
        length = max(length + 1, int(_LONGER * length))
    return best, first, last


def _runs_around(
    job: Problems, out: NDArray[np.bool_], beta: FloatArray, year: float
) -> NDArray[np.bool_]:
    """Extend spans to runs and drop those that say too little."""
    known = job.known > 0
    runs = out
    for _ in range(2):
        weight = job.known * ~runs
        free = np.maximum(weight.sum(axis=1) - job.x.shape[1], 1.0)
        mean = np.exp(job.log_means(beta))
        phi = dispersion_of(job, mean, weight, free)
        beta = job.improve(beta, weight, phi, 2 * _REFIT)
        mean = np.exp(job.log_means(beta))
        phi = dispersion_of(job, mean, weight, free)
        residual = 1.5 * (np.cbrt(job.y) ** 2 - np.cbrt(mean) ** 2) * mean ** (-1 / 6)
        high = known & (residual > _SHOULDER * np.sqrt(phi)[:, None])
        core = out & high
        bridged = high.copy()
        bridged[:, 1:-1] |= high[:, :-2] & high[:, 2:]
        runs = outbreak_runs(core, bridged, known, np.inf)
        first, last = run_of(runs)
        cases, expected, length = (
            total_between(each, first, last) for each in (job.y * known, mean * known, job.known)
        )
        wander, size = _wander(job, mean, ~runs, phi, year)
        part = size / np.maximum(length, 1.0)
        runs &= (
            (cases >= _RATIO * expected)
            & ((cases - expected) * part > _EVIDENCE * np.sqrt(wander * expected * part))
            & (length >= _LEAST)
        )
        short = length <= 0.5 * year
        runs &= ~(short & _every_year(job, mean, first, last, year))
        usual = total_between(job.exposure, first, last) * _usual(job, mean)
        ended = last < job.y.shape[1] - 2
        runs &= ~(short & ended & (expected > _SEASON * usual))
    return runs


def _wander(
    job: Problems, mean: FloatArray, kept: NDArray[np.bool_], phi: FloatArray, year: float
) -> tuple[FloatArray, int]:
    """Dispersion of sums over an eighth of a year, which is larger where levels last."""
    size = max(_LEAST, round(year / 8))
    weight = job.known * kept
    excess, expected, full = (
        np.concatenate([np.zeros((mean.shape[0], 1)), np.cumsum(each, axis=1)], axis=1)
        for each in (weight * (job.y - mean), weight * mean, weight)
    )
    excess, expected, full = (e[:, size:] - e[:, :-size] for e in (excess, expected, full))
    whole = (full == size) & (expected > 0)
    squares = np.where(whole, excess**2 / np.where(whole, expected, 1.0), 0.0).sum(axis=1)
    return np.maximum(squares / np.maximum(whole.sum(axis=1), 1), phi)[:, None], size


def _usual(job: Problems, mean: FloatArray) -> FloatArray:
    """Average expected cases of a unit of exposure."""
    risk = job.exposure.sum(axis=1)
    usual: FloatArray = (job.known * mean).sum(axis=1) / np.maximum(risk, _TINY)
    return usual[:, None]


def _every_year(
    job: Problems, mean: FloatArray, first: NDArray[np.intp], last: NDArray[np.intp], year: float
) -> NDArray[np.bool_]:
    """Tell which runs are as high in the median of the other years."""
    blocks = mean.shape[1]
    ratios = []
    for years in range(1, int(blocks / year) + 1):
        shift = round(years * year)
        for step in (-shift, shift):
            inside = (first + step >= 0) & (last + step < blocks)
            one, two = np.clip(first + step, 0, blocks - 1), np.clip(last + step, 0, blocks - 1)
            cases = total_between(job.y * job.known, one, two)
            expected = total_between(mean * job.known, one, two)
            with np.errstate(invalid="ignore", divide="ignore"):
                ratio = cases / expected
            ratios.append(np.where(inside & (expected > 0), ratio, np.nan))
    if not ratios:
        return np.zeros(mean.shape, dtype=np.bool_)
    found: NDArray[np.bool_] = median(np.stack(ratios)) > _SEASON
    return found


def _new_level(runs: NDArray[np.bool_], known: FloatArray, year: float) -> NDArray[np.intp]:
    """Give the block from which on a level is new, else -1.

    It is the first of a run since which more than a year has been high, and most of the time.
    """
    since = np.cumsum(known[:, ::-1], axis=1)[:, ::-1]
    high = np.cumsum((known * runs)[:, ::-1], axis=1)[:, ::-1]
    begins = runs.copy()
    begins[:, 1:] &= ~runs[:, :-1]
    level = begins & (high > year) & (high > _MOST * since)
    return np.where(level.any(axis=1), level.argmax(axis=1), -1)
