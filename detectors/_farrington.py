"""What the original and the flexible Farrington detector share: baselines, driver and tails.

Examples
--------
>>> import numpy as np
>>> power_bound(np.array([4.0]), np.array([1.0]), np.array([0.0]), 2 / 3, 1.96).upper.round(2)
array([8.5])
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import numpy as np
from scipy.special import betainc, gammainc, ndtr, ndtri

from detectors._judging import conclude, judge_in_blocks
from detectors._levels import Baseline, Counts, LevelsFit, fit_reweighted, prepare, trend_p_value
from detectors.contract import Reason
from detectors.rolling import values_at
from detectors.seasons import steps_per_year, years_back

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detectors.contract import FloatArray, Panel, Positions, Verdicts

__all__ = [
    "POWERS",
    "Bound",
    "Design",
    "Prediction",
    "baseline_of",
    "count_quantile",
    "count_tail",
    "judge_farrington",
    "power_bound",
]

#: Exponents of the power transformations.
POWERS: Final = {"two_thirds": 2 / 3, "sqrt": 1 / 2, "none": 1.0}
# Problems worked on at a time: their arrays [problem, baseline] then stay in the cache.
_CHUNK = 128
# Years that a trend must be seen in, and most trend significance that is always a trend.
_TREND_YEARS = 3
_LEAST_FREEDOM = 2


class Design(NamedTuple):
    """Baseline and model, in the parameters of the detectors."""

    years: int
    half_window: int
    periods: int
    exclude: int
    trend_alpha: float | None
    """Level at which a trend is kept; None for a model without one."""
    reweight_threshold: float | None
    population: bool
    min_cases: float
    min_periods: int


class Prediction(NamedTuple):
    """What is expected at judged steps, arrays of shape `[problem]`."""

    mean: FloatArray
    dispersion: FloatArray
    """At least 1."""
    variance: FloatArray
    """Unscaled variance of log mean, (X'WX)^-1 at the judged step."""
    raw_dispersion: FloatArray
    working_dispersion: FloatArray


class Bound(NamedTuple):
    """Threshold and what the count means relative to it, arrays of shape `[problem]`."""

    upper: FloatArray
    score: FloatArray
    p_value: FloatArray


Rule: TypeAlias = Callable[[Prediction, "FloatArray"], Bound]
"""Gives the bound from the prediction and the observed counts."""


def power_bound(  # noqa: PLR0917 - the symbols of one equation
    mean: FloatArray,
    dispersion: FloatArray,
    variance: FloatArray,
    power: float,
    z: float,
    observed: FloatArray | float = 0.0,
) -> Bound:
    """Upper bound (mu^p + z p mu^(p - 1/2) tau^(1/2))^(1/p), tau = phi + mu var(log mu).

    By the delta method p mu^(p - 1/2) tau^(1/2) is the standard deviation of Y^p - mu^p. `score`
    is (y - mu) / (U - mu), `p_value` the normal upper tail on the transformed scale.

    Examples
    --------
    >>> bound = power_bound(np.array([4.0]), np.array([1.0]), np.array([0.0]), 1.0, 2.0, 6.0)
    >>> bound.upper, bound.score, bound.p_value.round(4)
    (array([8.]), array([0.5]), array([0.1587]))
    """
    tau = dispersion + variance * mean
    deviation = power * mean ** (power - 0.5) * np.sqrt(tau)
    transformed = mean**power
    upper = (transformed + z * deviation) ** (1.0 / power)
    score = (observed - mean) / (upper - mean)
    return Bound(upper, score, ndtr((transformed - observed**power) / deviation))


def judge_farrington(
    panel: Panel, at: Positions | slice | None, design: Design, rule: Rule
) -> Verdicts:
    """Judge a panel: fit the baseline of every point and apply the rule of the method.

    Examples
    --------
    >>> from detectors.contract import Panel
    >>> design = Design(2, 1, 1, 0, None, None, False, 5, 4)
    >>> rule = lambda p, y: power_bound(p.mean, p.dispersion, 0 * y, 1.0, 2.0, y)
    >>> judge_farrington(
    ...     Panel(np.full((1, 30), 9.0), period=10), slice(-1, None), design, rule
    ... ).upper.round(6)
    array([[15.]])
    """
    length = design.years * (steps_per_year(panel) + 1) + 2 * design.half_window + 1

    def judge_block(panel: Panel, index: Positions, out: Verdicts, block: slice) -> None:
        counts = panel.counts[block]
        population = None
        if design.population and panel.population is not None:
            population = panel.population[block]
        groups = baseline_of(
            panel,
            index,
            years=design.years,
            half_window=design.half_window,
            periods=design.periods,
            exclude=design.exclude,
        )
        observed = values_at(counts, index)
        judgeable = np.zeros(observed.shape, dtype=np.bool_)
        zero = np.zeros(observed.shape, dtype=np.bool_)
        for columns, baseline in groups:
            work = _Work(counts, population, index, observed, judgeable, zero, out)
            _judge_group(work, columns, baseline, design, rule)
        _few_cases(counts, index, observed, out, design)
        reason = np.where(zero, Reason.all_zero, Reason.ok).astype(np.uint8)
        conclude(out, observed=observed, judgeable=judgeable, reason=reason)

    # Three copies of the series and ten numbers for each judged point.
    return judge_in_blocks(
        panel,
        at,
        judge_block,
        floats_per_series=lambda judged: 3 * (length + judged) + 10 * judged,
    )


class _Work(NamedTuple):
    """One block of series at work: inputs, and arrays [series, judged] to be filled in."""

    counts: FloatArray
    population: FloatArray | None
    at: Positions
    observed: FloatArray
    judgeable: NDArray[np.bool_]
    zero: NDArray[np.bool_]
    out: Verdicts


def _judge_group(
    work: _Work, columns: Positions, baseline: Baseline, design: Design, rule: Rule
) -> None:
    """Judge the positions that share a design, chunk by chunk of problems (point by point)."""
    steps = work.at[columns][:, None] + baseline.lag.astype(np.intp)
    first, last = int(steps.min()), int(work.at[columns].max())
    people = None
    if work.population is not None:
        people = _columns(work.population, first, last)
    history = prepare(_columns(work.counts, first, last), people)
    series = np.arange(work.counts.shape[0])
    problems = np.stack(np.meshgrid(series, np.arange(columns.size), indexing="ij"), -1)
    problems = problems.reshape(-1, 2)
    for start in range(0, problems.shape[0], _CHUNK):
        row, column = problems[start : start + _CHUNK].T
        take = (row[:, None], steps[column] - first)
        where = (row, columns[column])
        data = history.rows(take)
        now = np.ones(row.size)
        if work.population is not None and data.exposure is not None:
            now = work.population[row, work.at[columns[column]]]
            seen = np.maximum(data.known.sum(axis=1), 1.0)
            average = (data.exposure * data.known).sum(axis=1) / seen
            now = np.where(np.isnan(now), np.maximum(average, 1e-300), now)
        prediction, work.judgeable[where], work.zero[where] = _predict(data, now, baseline, design)
        seen = np.where(np.isnan(work.observed[where]), 0.0, work.observed[where])
        with np.errstate(all="ignore"):
            bound = rule(prediction, seen)
        work.out.expected[where] = prediction.mean
        work.out.upper[where] = np.minimum(bound.upper, 1e300)
        work.out.score[where] = np.nan_to_num(bound.score, posinf=1e300, neginf=-1e300)
        work.out.p_value[where] = np.nan_to_num(bound.p_value, nan=0.5)


def _columns(values: FloatArray, first: int, last: int) -> FloatArray:
    """Copy the columns from first to last; NaN before the panel."""
    block = np.full((values.shape[0], last - first + 1), np.nan)
    block[:, max(0, -first) :] = values[:, max(0, first) : last + 1]
    return block


def _predict(
    data: Counts, now: FloatArray, baseline: Baseline, design: Design
) -> tuple[Prediction, NDArray[np.bool_], NDArray[np.bool_]]:
    """Fit with a trend where it is wanted and sensible, and without it elsewhere."""

    def fit(rows: Counts, trend: NDArray[np.bool_]) -> LevelsFit:
        return fit_reweighted(rows, baseline, trend, design.reweight_threshold)

    season = baseline.part == 0
    wanted = _years_seen(data.known, baseline) >= _TREND_YEARS
    wanted &= design.trend_alpha is not None and design.years >= _TREND_YEARS
    found = fit(data, wanted)
    mean = np.exp(np.minimum(found.log_level, 300.0)) * now
    if wanted.any():
        rates = data.y if data.exposure is None else data.y / data.exposure * now[:, None]
        drop = wanted & (mean > rates.max(axis=1))
        if design.trend_alpha is not None and design.trend_alpha < 1:
            drop |= wanted & (trend_p_value(found) >= design.trend_alpha)
        if drop.any():
            plain = fit(data.rows(drop), np.zeros(int(drop.sum()), dtype=np.bool_))
            for new, old in zip(plain, found, strict=True):
                old[drop] = new
            mean[drop] = np.exp(np.minimum(plain.log_level, 300.0)) * now[drop]
    sufficient: NDArray[np.bool_] = data.known[:, season].sum(axis=1) >= design.half_window + 1
    sufficient &= found.freedom >= _LEAST_FREEDOM
    zero = data.y.sum(axis=1) <= 0
    prediction = Prediction(
        np.where(np.isfinite(mean), mean, 1e-300),
        np.maximum(found.dispersion, 1.0),
        found.variance,
        found.dispersion,
        found.working_dispersion,
    )
    return prediction, sufficient, zero


def _years_seen(known: FloatArray, baseline: Baseline) -> NDArray[np.intp]:
    """Count the windows of the season that hold a known count."""
    season = np.flatnonzero(baseline.part == 0)
    starts = np.flatnonzero(np.diff(baseline.lag[season], prepend=-np.inf) > 1)
    seen = np.add.reduceat(known[:, season], starts, axis=1) > 0
    years: NDArray[np.intp] = seen.sum(axis=1)
    return years


def _few_cases(
    counts: FloatArray, index: Positions, observed: FloatArray, out: Verdicts, design: Design
) -> None:
    """Raise the threshold above the count where there are too few cases in recent steps."""
    if design.min_cases <= 0:
        return
    former = np.zeros(observed.shape)
    for lag in range(1, design.min_periods):
        former += np.nan_to_num(values_at(counts, index - lag))
    needed = design.min_cases - former
    few = observed < needed
    out.upper[few] = np.maximum(out.upper, needed)[few]


def baseline_of(
    panel: Panel, index: Positions, *, years: int, half_window: int, periods: int, exclude: int
) -> list[tuple[Positions, Baseline]]:
    """Baselines of the judged positions, grouped by their design relative to the position.

    With integer time there is one group; in calendar time a year may have a step more or less.

    Parameters
    ----------
    periods
        Parts of the year: the window of 2 `half_window` + 1 steps around the season, and
        `periods` - 1 parts of as equal length as possible (longer ones first) of the rest. With 1
        only the windows are used.
    exclude
        Steps before the judged one that are left out.

    Returns
    -------
    list of (columns, baseline)
        `columns` are positions in `index`.

    Examples
    --------
    >>> from detectors.contract import Panel
    >>> weeks = Panel(np.ones((1, 30)), grain="week", period=10)
    >>> ((columns, one),) = baseline_of(
    ...     weeks, np.array([25]), years=1, half_window=1, periods=3, exclude=3
    ... )
    >>> one.lag.astype(int), one.part
    (array([-11, -10,  -9,  -8,  -7,  -6,  -5,  -4]), array([0, 0, 0, 1, 1, 1, 1, 2]))
    """
    centres = _centres(panel, index, years)
    patterns, inverse = np.unique(centres, axis=0, return_inverse=True)
    inverse = inverse.reshape(-1)
    found = []
    for number, pattern in enumerate(patterns):
        baseline = _pattern(pattern, half_window, periods, exclude)
        found.append((np.flatnonzero(inverse == number).astype(np.intp), baseline))
    return found


def _centres(panel: Panel, index: Positions, years: int) -> Positions:
    """Lags of the same season in earlier years, latest year first, shape `[judged, years]`."""
    back = years_back(panel, index, years).T
    lags = back - index[:, None]
    # What lies before the panel is missing, but a part of the year may begin there.
    year = np.where(back[:, 0] >= 0, -lags[:, 0], steps_per_year(panel))
    for column in range(years):
        gone = back[:, column] < 0
        former = lags[:, column - 1] if column else np.zeros(index.size, dtype=np.intp)
        lags[gone, column] = (former - year)[gone]
    return lags.astype(np.intp)


def _pattern(centres: Positions, half_window: int, periods: int, exclude: int) -> Baseline:
    lags: list[int] = []
    parts: list[int] = []
    joined: dict[int, int] = {}
    ends = [*(int(lag) for lag in centres[::-1]), 0]
    for centre, following in pairwise(ends):
        first = lags[-1] + 1 if lags else centre - half_window
        for lag in range(max(first, centre - half_window), centre + half_window + 1):
            lags.append(lag)
            parts.append(0)
        if periods == 1:
            continue
        gap = range(centre + half_window + 1, following - half_window)
        for place, lag in enumerate(gap):
            lags.append(lag)
            parts.append(1 + _part(place, len(gap), periods - 1))
        if half_window and 0 < len(gap) < periods - 1:
            # As the reference: its last part is the last step and the first of the next window.
            joined |= {gap[-1]: periods - 1, following - half_window: periods - 1}
    if periods > 1 and half_window > exclude:
        for lag in range(max(lags[-1] + 1, -half_window), 0):
            lags.append(lag)
            parts.append(0)
    pairs = [(lag, joined.get(lag, part)) for lag, part in zip(lags, parts, strict=True)]
    pairs = [pair for pair in pairs if pair[0] < -exclude]
    kept = pairs or [(int(centres[-1]) - half_window, 0)]
    used = sorted({part for _, part in kept} | {0})
    number = {part: place for place, part in enumerate(used)}
    return Baseline(
        np.array([lag for lag, _ in kept], dtype=np.float64),
        np.array([number[part] for _, part in kept], dtype=np.intp),
    )


def _part(place: int, length: int, parts: int) -> int:
    """Part of the `place`-th of `length` steps, longer parts first."""
    short, longer = divmod(length, parts)
    boundary = longer * (short + 1)
    return place // (short + 1) if place < boundary else longer + (place - boundary) // short


def count_tail(count: FloatArray, mean: FloatArray, dispersion: FloatArray) -> FloatArray:
    """P(Y >= count) for variance `dispersion` times the mean: negative binomial, Poisson at 1.

    Examples
    --------
    >>> count_tail(np.array([1.0, 1.0]), np.array([1.0, 1.0]), np.array([1.0, 2.0])).round(4)
    array([0.6321, 0.5   ])
    """
    least, mean, dispersion = np.broadcast_arrays(np.ceil(count), mean, dispersion)
    excess = dispersion - 1.0
    poisson = excess < 1e-10  # noqa: PLR2004 - nearer to 1 the two cannot be told apart
    safe = np.maximum(least, 1.0)
    size = mean / np.where(poisson, 1.0, excess)
    with np.errstate(all="ignore"):
        tail = np.where(
            poisson, gammainc(safe, mean), betainc(safe, size, excess / np.maximum(dispersion, 1.0))
        )
    huge = ~np.isfinite(tail)
    tail = np.where(huge, (least <= mean).astype(np.float64), tail)
    return np.where(least <= 0, 1.0, tail)


def count_quantile(alpha: float, mean: FloatArray, dispersion: FloatArray) -> FloatArray:
    """Least whole number q with P(Y > q) <= alpha, by bracketing and halving.

    Examples
    --------
    >>> count_quantile(0.05, np.array([1.0, 4.0]), np.array([1.0, 2.0]))
    array([3., 9.])
    """
    z = max(0.0, -float(ndtri(alpha)))
    spread = np.sqrt(dispersion * mean)
    # Normal approximation on the 2/3 scale.
    guess = (mean ** (2 / 3) + z * 2 / 3 * mean ** (1 / 6) * np.sqrt(dispersion)) ** 1.5
    guess = np.floor(np.minimum(guess, mean + 50 * spread + 50))
    width = np.maximum(1.0, np.ceil(0.05 * spread))
    low, high = np.full(mean.shape, -1.0), guess.copy()
    grow = np.arange(mean.size)
    while grow.size:  # ends since the tail falls to 0
        above = count_tail(high[grow] + 1.0, mean[grow], dispersion[grow]) > alpha
        grow = grow[above]
        low[grow] = high[grow]
        high[grow] += width[grow]
        width[grow] *= 2.0
    width = np.maximum(1.0, np.ceil(0.05 * spread))
    sink = np.flatnonzero(low < 0)
    while sink.size:
        probe = np.maximum(high[sink] - width[sink], -1.0)
        fits = (probe >= 0) & (
            count_tail(np.maximum(probe, 0.0) + 1.0, mean[sink], dispersion[sink]) <= alpha
        )
        low[sink[~fits]] = probe[~fits]
        sink, probe = sink[fits], probe[fits]
        high[sink] = probe
        width[sink] *= 2.0
    return _halve(alpha, mean, dispersion, low, high)


def _halve(
    alpha: float, mean: FloatArray, dispersion: FloatArray, low: FloatArray, high: FloatArray
) -> FloatArray:
    active = np.flatnonzero(high - low > 1.0)
    while active.size:
        middle = np.floor(0.5 * (low[active] + high[active]))
        above = count_tail(middle + 1.0, mean[active], dispersion[active]) > alpha
        low[active[above]] = middle[above]
        high[active[~above]] = middle[~above]
        width = high[active] - low[active]
        # Beyond 2^53 not all whole numbers exist.
        active = active[(width > 1.0) & (width > 1e-14 * high[active])]
    return high
