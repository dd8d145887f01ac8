"""Least squares on the recent baseline of each judged position, for all series at once.

The design is written relative to the judged step (k steps ago, same day of the week as k mod 7
steps ago, phase of the year k steps ago). It is then the same for every position and series whose
baseline is complete and holds no holiday, and is decomposed once; it also does not change when
the panel is cut. Distinct patterns of missing counts and holidays are decomposed once each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from detectors._judging import BLOCK_FLOATS
from detectors._seasonal_terms import harmonic_waves
from detectors.rolling import RollingBaseline, rolling_baseline

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detectors.contract import FloatArray, Positions

__all__ = ["BaselineDesign", "BaselineFit", "fit_baseline", "relative_design"]

# Singular values below this part of the largest are taken for 0.
_RANK = 1e-9
# A judged row may lie outside the row space of its baseline by rounding only.
_OUTSIDE = 1e-8
# A residual sum of squares below this part of the total is rounding.
_PERFECT = 1e-12
# Fewer degrees of freedom leave the scale unknown: their t quantiles run into the dozens.
_LEAST_DF = 3
_WEEK = 7


class BaselineDesign(NamedTuple):
    """Design of a baseline, relative to the judged step."""

    rows: FloatArray
    """Shape `[baseline, terms]`; row i lies guard + 1 + i steps before the judged one."""
    judged: FloatArray
    """Row of the judged step itself, shape `[terms]`."""
    guard: int


class BaselineFit(NamedTuple):
    """Predictions for the judged steps, arrays of shape `[series, judged]`."""

    expected: FloatArray
    sigma: FloatArray
    """Residual standard deviation s, exactly 0 for a perfect fit."""
    leverage: FloatArray
    """x (X'X)^-1 x' of the judged row: the prediction has the variance s^2 (1 + leverage)."""
    df: FloatArray
    """Observed counts less the rank of the design."""
    adjusted_r2: FloatArray
    """1 - (RSS / df) / (TSS / (n - 1)); 0 for a baseline that does not vary."""
    sufficient: NDArray[np.bool_]
    mean: FloatArray
    sd: FloatArray


class _Basis(NamedTuple):
    """Orthonormal columns of some designs, with 0 in the place of what has no rank."""

    q: FloatArray
    at: FloatArray
    leverage: FloatArray
    rank: FloatArray
    estimable: NDArray[np.bool_]


def relative_design(
    *, baseline: int, guard: int, trend: bool, week: bool, harmonics: int, year: float
) -> BaselineDesign:
    """Write intercept, trend, days of the week and yearly harmonics relative to the judged step.

    Parameters
    ----------
    baseline, guard
        In steps.
    trend
        Whether there is a linear trend.
    week
        Whether there are indicators of the day of the week (the judged step's own is the
        reference).
    harmonics
        Number of sine and cosine pairs.
    year
        Steps in a year.

    Examples
    --------
    >>> relative_design(
    ...     baseline=3, guard=0, trend=True, week=False, harmonics=0, year=365.25
    ... ).rows.round(2)
    array([[ 1.  , -0.33],
           [ 1.  , -0.67],
           [ 1.  , -1.  ]])
    """
    ago = np.concatenate([[0], np.arange(guard + 1, guard + baseline + 1)])
    columns = [np.ones(ago.size)]
    if trend:
        columns.append(-ago / (guard + baseline))
    if week:
        columns.extend((ago % _WEEK == day).astype(np.float64) for day in range(1, _WEEK))
    columns.extend(harmonic_waves(ago, year=year, harmonics=harmonics))
    table = np.stack(columns, axis=1)
    return BaselineDesign(rows=table[1:], judged=table[0], guard=guard)


def fit_baseline(
    counts: FloatArray,
    index: Positions,
    design: BaselineDesign,
    holidays: NDArray[np.bool_] | None = None,
) -> BaselineFit:
    """Fit each baseline and predict the judged step.

    Parameters
    ----------
    counts
        Shape `[series, time]`, NaN = missing. Steps before the array count as missing.
    index
        Judged positions, not empty.
    design
        From :func:`relative_design`.
    holidays
        Shape `[judged, 1 + baseline]`: whether the judged step and those of `design.rows` are
        holidays, which adds an indicator. None for no such term.

    Notes
    -----
    Q'y is summed lag by lag in a fixed order and not by a matrix product, whose rounding depends
    on how many positions are asked for. Alive at a time are about (terms + 12) numbers per judged
    point, and some (3 baseline + 4 terms) for each one with an incomplete baseline.
    """
    length = design.rows.shape[0]
    base = rolling_baseline(counts, index, length=length, lag=design.guard)
    job = _Job(
        counts=counts,
        judged=index,
        guard=design.guard,
        centre=np.where(base.observed > 0, base.mean, 0.0),
        designs=_with_holidays(design, holidays, index.size),
    )
    enough = base.observed >= max(_LEAST_DF, length // 2 + 1)
    gaps = base.observed < length
    # Whether a point is in one or the other part must not hang on its neighbours.
    found = _fit_complete(job) if not gaps.all() else _Found.blank(gaps.shape)
    cells = np.flatnonzero(gaps & enough)
    step = max(1, BLOCK_FLOATS // (8 * job.designs.rows.shape[1] * job.designs.rows.shape[2]))
    for start in range(0, cells.size, step):
        row, column = np.unravel_index(cells[start : start + step], gaps.shape)
        for whole, part in zip(found, _fit_gaps(job, row, column), strict=True):
            whole[row, column] = part
    return _summary(job, base, found, enough)


class _Designs(NamedTuple):
    """Designs of all patterns of holidays, and which of them each judged position has."""

    rows: FloatArray
    judged: FloatArray
    kind: Positions


class _Job(NamedTuple):
    counts: FloatArray
    judged: Positions
    guard: int
    centre: FloatArray
    designs: _Designs


class _Found(NamedTuple):
    """What the least squares gave, arrays of one shape."""

    effect: FloatArray
    """Prediction less the mean of the baseline."""
    explained: FloatArray
    """Sum of squares that the design explains."""
    leverage: FloatArray
    rank: FloatArray
    estimable: NDArray[np.bool_]

    @classmethod
    def blank(cls, shape: tuple[int, ...]) -> _Found:
        zero = np.zeros(shape)
        known = np.zeros(shape, dtype=np.bool_)
        return cls(zero.copy(), zero.copy(), zero.copy(), zero.copy(), known)


def _summary(
    job: _Job, base: RollingBaseline, found: _Found, enough: NDArray[np.bool_]
) -> BaselineFit:
    df = base.observed - found.rank
    sufficient = found.estimable & enough & (df >= _LEAST_DF)
    total = base.sd**2 * np.maximum(base.observed - 1, 0)
    rss = total - found.explained
    with np.errstate(divide="ignore", invalid="ignore"):
        rss = np.where(rss <= _PERFECT * total, 0.0, rss)
        variance = np.where(sufficient, rss / df, np.nan)
        adjusted = np.where(total > 0, 1 - variance / (total / (base.observed - 1)), 0.0)
    return BaselineFit(
        expected=job.centre + found.effect,
        sigma=np.sqrt(variance),
        leverage=found.leverage,
        df=df,
        adjusted_r2=adjusted,
        sufficient=sufficient,
        mean=job.centre,
        sd=base.sd,
    )


def _with_holidays(
    design: BaselineDesign, holidays: NDArray[np.bool_] | None, judged: int
) -> _Designs:
    if holidays is None:
        kind = np.zeros(judged, dtype=np.intp)
        return _Designs(design.rows[None], design.judged[None], kind)
    patterns, which = np.unique(holidays, axis=0, return_inverse=True)
    indicator = patterns.astype(np.float64)
    rows = np.broadcast_to(design.rows, (patterns.shape[0], *design.rows.shape))
    row = np.broadcast_to(design.judged, (patterns.shape[0], design.judged.size))
    return _Designs(
        rows=np.concatenate([rows, indicator[:, 1:, None]], axis=2),
        judged=np.concatenate([row, indicator[:, :1]], axis=1),
        kind=which.reshape(-1),
    )


def _basis(rows: FloatArray, judged: FloatArray, known: FloatArray) -> _Basis:
    """Decompose designs `[designs, baseline, terms]` on the rows that are `known`."""
    left, values, right = np.linalg.svd(rows * known[:, :, None], full_matrices=False)
    keep = values > _RANK * values[:, :1]
    turned = np.where(keep, (right * judged[:, None, :]).sum(axis=2), 0.0)
    at = turned / np.where(keep, values, 1.0)
    outside = (judged**2).sum(axis=1) - (turned**2).sum(axis=1)
    return _Basis(
        q=left * keep[:, None, :],
        at=at,
        leverage=(at**2).sum(axis=1),
        rank=keep.sum(axis=1).astype(np.float64),
        estimable=outside <= _OUTSIDE * (judged**2).sum(axis=1),
    )


def _fit_complete(job: _Job) -> _Found:
    """Fit all points, with the designs shared by the series, as if no count were missing."""
    designs, shape = job.designs, job.centre.shape
    basis = _basis(designs.rows, designs.judged, np.ones(designs.rows.shape[:2]))
    kinds, length, terms = basis.q.shape
    weights = basis.q[designs.kind] if kinds > 1 else basis.q
    loads = np.zeros((terms, *shape))
    for row in range(length):
        positions = job.judged - (job.guard + 1 + row)
        value: FloatArray = job.counts[:, np.maximum(positions, 0)] - job.centre
        # Points with missing counts are overwritten; here they only must not spread warnings.
        value[np.isnan(value)] = 0.0
        for term in range(terms):
            loads[term] += weights[:, row, term] * value
    effect, explained = np.zeros(shape), np.zeros(shape)
    for term in range(terms):
        effect += basis.at[designs.kind, term] * loads[term]
        explained += loads[term] ** 2
    kind = np.broadcast_to(designs.kind, shape)
    return _Found(effect, explained, basis.leverage[kind], basis.rank[kind], basis.estimable[kind])


def _fit_gaps(job: _Job, row: Positions, column: Positions) -> _Found:
    """Fit single points whose baselines lack counts; arrays of shape `[points]`."""
    length, designs = job.designs.rows.shape[1], job.designs
    back = job.judged[column][:, None] - np.arange(job.guard + 1, job.guard + length + 1)
    values = job.counts[row[:, None], np.maximum(back, 0)]
    values[back < 0] = np.nan
    known, kind = ~np.isnan(values), designs.kind[column]
    keys = np.concatenate([np.packbits(known, axis=1), _bytes(kind)], axis=1)
    _, first, which = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    which = which.reshape(-1)
    basis = _basis(
        designs.rows[kind[first]], designs.judged[kind[first]], known[first].astype(np.float64)
    )
    deviation = np.where(known, values - job.centre[row, column][:, None], 0.0)
    loads = np.zeros((row.size, basis.q.shape[2]))
    for lag in range(length):
        loads += basis.q[which, lag] * deviation[:, lag, None]
    effect, explained = np.zeros(row.size), np.zeros(row.size)
    for term in range(loads.shape[1]):
        effect += basis.at[which, term] * loads[:, term]
        explained += loads[:, term] ** 2
    return _Found(
        effect, explained, basis.leverage[which], basis.rank[which], basis.estimable[which]
    )


def _bytes(kind: Positions) -> NDArray[np.uint8]:
    return np.ascontiguousarray(kind.astype(np.int64)).view(np.uint8).reshape(kind.size, 8)
