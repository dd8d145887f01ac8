"""What the original and the flexible Farrington detector share: baselines, driver and tails.

Examples
--------
>>> import numpy as np
>>> power_bound(np.array([4.0]), np.array([1.0]), np.array([0.0]), 2 / 3, 1.96).upper.round(2)
array([8.5])
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import numpy as np
from scipy.special import ndtr

from detectors._farrington_baseline import Baseline, Counts, baseline_of, prepare
from detectors._farrington_reweighting import fit_reweighted, trend_p_value
from detectors._judging import baseline_reasons, conclude, judge_in_blocks
from detectors._negative_binomial import LEAST_SIZE
from detectors._population import CarriedPopulation
from detectors.rolling import values_at
from detectors.seasons import longest_year, steps_per_year

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detectors._farrington_fit import LevelsFit
    from detectors.contract import FloatArray, Grain, Panel, Positions, Verdicts

__all__ = [
    "POWERS",
    "Bound",
    "Design",
    "Prediction",
    "judge_farrington",
    "power_bound",
    "size_of",
]

#: Exponents of the power transformations.
POWERS: Final = {"two_thirds": 2 / 3, "sqrt": 1 / 2, "none": 1.0}
# Problems worked on at a time: their arrays [problem, baseline] then stay in the cache.
_CHUNK = 128
# Years that a trend must be seen in, and most trend significance that is always a trend.
_TREND_YEARS = 3
_LEAST_FREEDOM = 2
# Dispersions less than this above 1 cannot be told from it.
_NEAR_POISSON = 1e-10


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

    def lookback(self, grain: Grain) -> int:
        """Say how many steps before a judged one the verdict may depend on.

        Examples
        --------
        >>> Design(2, 3, 1, 0, None, None, False, 5, 4).lookback("week")
        109
        """
        return max(self.years * longest_year(grain) + self.half_window, self.min_periods - 1)


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


def size_of(mean: FloatArray, dispersion: FloatArray) -> FloatArray:
    """Size of the negative binomial with variance `dispersion` times the mean; infinite at 1.

    Examples
    --------
    >>> size_of(np.array([3.0, 3.0]), np.array([1.0, 2.5]))
    array([inf,  2.])
    """
    excess = dispersion - 1.0
    poisson = excess < _NEAR_POISSON
    size = np.maximum(mean / np.where(poisson, 1.0, excess), LEAST_SIZE)
    return np.where(poisson, np.inf, size)


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
        people = None
        if design.population and panel.population is not None:
            people = CarriedPopulation(panel.population[block])
        first = index - design.lookback(panel.grain)
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
            work = _Work(counts, people, first, index, observed, judgeable, zero, out)
            _judge_group(work, columns, baseline, design, rule)
        _few_cases(counts, index, observed, out, design)
        reason = baseline_reasons(zero=zero)
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
    people: CarriedPopulation | None
    first: Positions
    """Steps at which the history of each judged one begins."""
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
    history = prepare(_columns(work.counts, first, last))
    series = np.arange(work.counts.shape[0])
    problems = np.stack(np.meshgrid(series, np.arange(columns.size), indexing="ij"), -1)
    problems = problems.reshape(-1, 2)
    for start in range(0, problems.shape[0], _CHUNK):
        row, column = problems[start : start + _CHUNK].T
        take = (row[:, None], steps[column] - first)
        where = (row, columns[column])
        data = history.rows(take)
        now = np.ones(row.size)
        if work.people is not None:
            begin, judged = work.first[columns[column]], work.at[columns[column]]
            now = work.people.at(row, judged, begin, judged)
            seen_in = (row[:, None], steps[column], begin[:, None], judged[:, None])
            data = data._replace(exposure=work.people.at(*seen_in))
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
