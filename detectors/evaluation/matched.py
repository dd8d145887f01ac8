r"""Two detectors on the same series at the same false-positive rate, with paired intervals.

A detector gives each judged step a *rank*, small where unusual. At a false-positive rate the
threshold is the rank below which that share of the steps without an outbreak lies. Intervals are
percentiles of a bootstrap: series are drawn with replacement, and in every draw the thresholds of
both detectors are set anew and their figures subtracted, so that what the series have in common
(easy and hard outbreaks) cancels out of the difference.

Examples
--------
>>> import numpy as np
>>> from detectors.evaluation.simulation import Truth
>>> truth = Truth(np.array([[False, False, True], [False, False, True]]), np.array([2, 2]))
>>> sharp = ranks(np.array([[0.5, 0.9, 0.1], [0.6, 0.7, 0.2]]))
>>> blunt = ranks(np.array([[0.5, 0.9, 0.1], [0.1, 0.7, 0.6]]))
>>> draws = resamples(2, draws=50, seed=1)
>>> found = at_rates(prepare(sharp, truth), draws, [0.25])
>>> other = at_rates(prepare(blunt, truth), draws, [0.25])
>>> interval(found["pod"])[0], interval(other["pod"])[0]
(Interval(value=1.0, low=1.0, high=1.0), Interval(value=0.5, low=0.0, high=1.0))
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

import numpy as np

from detectors.evaluation.metrics import longest_silence
from detectors.evaluation.simulation import Truth

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from detectors.contract import FloatArray

__all__ = [
    "BETTER",
    "SAMPLE",
    "Interval",
    "Prepared",
    "Verdict",
    "at_alarms",
    "at_rates",
    "difference",
    "interval",
    "prepare",
    "ranks",
    "resamples",
    "verdict",
]

Verdict: TypeAlias = Literal["won", "open", "lost"]
"""Whether the interval of a difference lies on the good side of 0, holds 0, or on the bad side."""

#: Sign of a good difference of each figure that is compared.
BETTER: Final[Mapping[str, int]] = {
    "pod": 1,
    "pod_first": 1,
    "pod_early": 1,
    "in_alarm": 1,
    "f1": 1,
    "ppv": 1,
    "half_time": -1,
    "mean_delay": -1,
}
#: Figures of the sample alone, without intervals.
SAMPLE: Final = ("silence",)
_LOW, _HIGH = 0.025, 0.975


class Interval(NamedTuple):
    """A figure and the 2.5 and 97.5 percentiles of its bootstrap draws."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A detector's ranks in the order in which thresholds are looked up.

    Parameters
    ----------
    calm, calm_series
        Sorted ranks of the steps without cases of an outbreak, and the series of each.
    sick, sick_series
        The same of the steps with cases.
    least
        Least rank from the start of the outbreak up to each of its steps, and the last one from
        there on, shape `[affected, longest]`.
    course
        Rank of each step of the outbreak; infinite after the last one. Same shape.
    affected
        Series with an outbreak.
    length
        Steps of their outbreaks from the start to the last case.
    """

    calm: FloatArray
    calm_series: NDArray[np.intp]
    sick: FloatArray
    sick_series: NDArray[np.intp]
    least: FloatArray
    course: FloatArray
    affected: NDArray[np.intp]
    length: NDArray[np.intp]


def ranks(p_value: FloatArray, score: FloatArray | None = None, *, seed: int = 0) -> FloatArray:
    """Rank verdicts from the most unusual: by p-value, ties by score, what is left at random.

    A detector whose p-values or scores are few would otherwise stay below the wanted
    false-positive rate. What was not judged (NaN) gets infinity.

    Examples
    --------
    >>> ranks(np.array([[0.2, 0.0, 0.0, np.nan]]), np.array([[1.0, 7.0, 9.0, np.nan]]))
    array([[ 2.,  1.,  0., inf]])
    """
    p = p_value.ravel()
    lots = np.random.default_rng(seed).random(p.size)
    keys = (lots, p) if score is None else (lots, -score.ravel(), p)
    rank = np.empty(p.size)
    rank[np.lexsort(keys)] = np.arange(p.size, dtype=np.float64)
    return np.where(np.isnan(p), np.inf, rank).reshape(p_value.shape)


def resamples(series: int, *, draws: int, seed: int) -> FloatArray:
    """How often each series is drawn, shape `[1 + draws, series]`; the first row is the sample.

    Examples
    --------
    >>> resamples(3, draws=1, seed=1)
    array([[1., 1., 1.],
           [1., 2., 0.]])
    """
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(series, np.full(series, 1 / series), size=draws)
    return np.concatenate([np.ones((1, series)), drawn.astype(np.float64)])


def prepare(rank: FloatArray, truth: Truth) -> Prepared:
    """Sort the ranks of a detector, shape `[series, judged]`.

    Examples
    --------
    >>> from detectors.evaluation.simulation import Truth
    >>> truth = Truth(np.array([[False, True, True, False]]), np.array([1]))
    >>> prepare(np.array([[3.0, 9.0, 1.0, 5.0]]), truth).calm
    array([3., 5.])
    """
    if rank.shape != truth.outbreak.shape:
        raise ValueError(f"rank has the shape {rank.shape}, the truth {truth.outbreak.shape}")
    calm, calm_series = _sorted(rank, ~truth.outbreak)
    sick, sick_series = _sorted(rank, truth.outbreak)
    affected = np.flatnonzero(truth.affected)
    start, last = truth.start[affected], truth.last[affected]
    length = last - start + 1
    longest = int(length.max(initial=0))
    columns = np.minimum(start[:, None] + np.arange(longest), last[:, None])
    course = rank[affected[:, None], columns]
    least = np.minimum.accumulate(course, axis=1)
    course = np.where(np.arange(longest) < length[:, None], course, np.inf)
    return Prepared(calm, calm_series, sick, sick_series, least, course, affected, length)


def at_rates(
    one: Prepared,
    draws: FloatArray,
    rates: Sequence[float] | FloatArray,
    *,
    first: int = 1,
    early: int = 1,
) -> dict[str, FloatArray]:
    """Figures at false-positive rates, in each draw.

    Parameters
    ----------
    draws
        From :func:`resamples`.
    rates
        Shape `[rates]`, or `[draws, rates]` where each draw has its own.
    first, early
        Steps from the start that count for `pod_first` and `pod_early`.

    Returns
    -------
    dict
        Arrays of shape `[draws, rates]`:

        - `fpr`: the rate that was reached;
        - `pod`, `pod_first`, `pod_early`: share of outbreaks found up to the last case, within the
          first `first` steps, within the first `early` steps;
        - `in_alarm`: share of the steps with cases that have an alarm;
        - `silence`: mean over the outbreaks found of the longest run of steps without an alarm
          between the first alarm and the last case; only in the first draw, NaN in the others;
        - `f1`, `ppv`: of steps, as in :class:`~detectors.evaluation.metrics.Metrics`;
        - `half_time`: time from the start of the outbreak until half of all outbreaks are found,
          in steps; an alarm in the first step is one between 0 and 1. It is the median of
          interval-censored times, finds being spread evenly over their step. A missed outbreak is
          found later than any other; infinite where fewer than half are found;
        - `mean_delay`: mean steps from the start to the first alarm, a missed outbreak counting
          with its whole length.

    Examples
    --------
    >>> from detectors.evaluation.simulation import Truth
    >>> truth = Truth(np.array([[False, True, True, False]]), np.array([1]))
    >>> one = prepare(np.array([[3.0, 9.0, 1.0, 5.0]]), truth)
    >>> at_rates(one, np.ones((1, 1)), [0.5])["pod"]
    array([[1.]])
    """
    wanted = np.broadcast_to(np.asarray(rates, dtype=np.float64), (len(draws), np.shape(rates)[-1]))
    out = _blank(wanted.shape)
    for number, weight in enumerate(draws):
        calm = np.cumsum(weight[one.calm_series])
        total = calm[-1] if calm.size else 0.0
        # 0.07 * 100 is a little more than 7, and other products a little less.
        allowed = np.searchsorted(calm, wanted[number] * total + 1e-9, side="right")
        beyond = np.append(one.calm, np.inf)
        found = _figures(one, weight, beyond[allowed], calm, (first, early))
        if not number:
            found["silence"] = _silence(one, beyond[allowed])
        for name, values in found.items():
            out[name][number] = values
    return out


def at_alarms(
    alarm: NDArray[np.bool_], truth: Truth, draws: FloatArray, *, first: int = 1, early: int = 1
) -> dict[str, FloatArray]:
    """Figures of alarms as they are, in each draw; arrays of shape `[draws, 1]`.

    Examples
    --------
    >>> from detectors.evaluation.simulation import Truth
    >>> truth = Truth(np.array([[False, True, True, False]]), np.array([1]))
    >>> alarm = np.array([[False, False, True, False]])
    >>> found = at_alarms(alarm, truth, np.ones((1, 1)))
    >>> found["pod"], found["fpr"]
    (array([[1.]]), array([[0.]]))
    """
    one = prepare(np.where(alarm, 0.0, np.inf), truth)
    out = _blank((len(draws), 1))
    for number, weight in enumerate(draws):
        calm = np.cumsum(weight[one.calm_series])
        threshold = np.array([0.5])
        found = _figures(one, weight, threshold, calm, (first, early))
        if not number:
            found["silence"] = _silence(one, threshold)
        for name, values in found.items():
            out[name][number] = values
    return out


def interval(values: FloatArray) -> list[Interval]:
    """Figure of the sample with percentiles of its draws, for each column.

    Examples
    --------
    >>> interval(np.array([[0.5], [0.4], [np.inf]]))
    [Interval(value=0.5, low=0.4, high=inf)]
    """
    found: list[Interval] = []
    for column in values.T:
        drawn = np.sort(column[1:][~np.isnan(column[1:])])
        if not drawn.size or math.isnan(column[0]):
            found.append(Interval(float(column[0]), math.nan, math.nan))
            continue
        # Order statistics, because infinite times cannot be interpolated.
        low = drawn[max(math.ceil(_LOW * drawn.size) - 1, 0)]
        high = drawn[max(math.ceil(_HIGH * drawn.size) - 1, 0)]
        found.append(Interval(float(column[0]), float(low), float(high)))
    return found


def difference(ours: FloatArray, theirs: FloatArray) -> FloatArray:
    """Subtract draw by draw; two infinite times do not differ.

    Examples
    --------
    >>> difference(np.array([np.inf, 1.0]), np.array([np.inf, np.inf]))
    array([  0., -inf])
    """
    with np.errstate(invalid="ignore"):
        return np.where(np.isinf(ours) & (ours == theirs), 0.0, ours - theirs)


def verdict(found: Interval, figure: str) -> Verdict:
    """Decide about a difference, ours minus theirs.

    Examples
    --------
    >>> verdict(Interval(-0.3, -0.4, -0.1), "half_time"), verdict(Interval(0.1, 0.0, 0.2), "pod")
    ('won', 'open')
    """
    sign = BETTER[figure]
    low, high = sorted((sign * found.low, sign * found.high))
    if low > 0:
        return "won"
    return "lost" if high < 0 else "open"


def _sorted(rank: FloatArray, where: NDArray[np.bool_]) -> tuple[FloatArray, NDArray[np.intp]]:
    values, series = rank[where], where.nonzero()[0]
    order = np.argsort(values, kind="stable")
    return values[order], series[order]


def _blank(shape: tuple[int, ...]) -> dict[str, FloatArray]:
    return {name: np.full(shape, np.nan) for name in ("fpr", *BETTER, *SAMPLE)}


def _figures(
    one: Prepared,
    weight: FloatArray,
    threshold: FloatArray,
    calm: FloatArray,
    steps: tuple[int, int],
) -> dict[str, FloatArray]:
    """Figures of one draw at some thresholds; `calm` holds the weights added up by rank."""
    sick = np.cumsum(weight[one.sick_series])
    fp = _up_to(calm, np.searchsorted(one.calm, threshold, side="left"))
    tp = _up_to(sick, np.searchsorted(one.sick, threshold, side="left"))
    all_calm, all_sick = _up_to(calm, np.array([calm.size])), _up_to(sick, np.array([sick.size]))
    of = weight[one.affected]
    with np.errstate(invalid="ignore", divide="ignore"):
        out = {
            "fpr": fp / all_calm,
            "ppv": tp / (tp + fp),
            "f1": 2 * tp / (tp + fp + all_sick),
            "in_alarm": tp / all_sick,
        }
        timed = [_timed(one, of, level, steps) for level in threshold]
    for name in ("pod", "pod_first", "pod_early", "half_time", "mean_delay"):
        out[name] = np.array([each[name] for each in timed])
    return out


def _up_to(totals: FloatArray, count: NDArray[np.intp]) -> FloatArray:
    return np.concatenate([[0.0], totals])[count]


def _timed(
    one: Prepared, of: FloatArray, threshold: float, steps: tuple[int, int]
) -> dict[str, float]:
    """When outbreaks are found; `of` weighs them."""
    longest, total = one.least.shape[1], float(of.sum())
    if not total > 0:
        return dict.fromkeys(("pod", "pod_first", "pod_early", "half_time", "mean_delay"), math.nan)
    late = (one.least >= threshold).sum(axis=1)
    by_step = np.bincount(late, weights=of, minlength=longest + 1)[:longest]
    found = np.cumsum(by_step) / total
    return {
        "pod": float(found[-1]),
        "pod_first": float(found[min(steps[0], longest) - 1]),
        "pod_early": float(found[min(steps[1], longest) - 1]),
        "half_time": _half_time(found),
        "mean_delay": float(np.minimum(late, one.length) @ of) / total,
    }


def _silence(one: Prepared, threshold: FloatArray) -> FloatArray:
    """Mean of the longest silences of the outbreaks found at some thresholds."""
    window = np.arange(one.course.shape[1]) < one.length[:, None]
    truth = Truth(window, np.zeros(one.length.size, dtype=np.intp))
    mean = np.full(threshold.size, np.nan)
    for place, level in enumerate(threshold):
        found = longest_silence(one.course < level, truth)
        if not np.isnan(found).all():
            mean[place] = np.nanmean(found)
    return mean


def _half_time(found: FloatArray) -> float:
    """Time at which the share found reaches one half, between the ends of two steps."""
    half = 0.5
    if found[-1] < half:
        return math.inf
    step = int(np.searchsorted(found, half, side="left"))
    before = float(found[step - 1]) if step else 0.0
    return step + (half - before) / (float(found[step]) - before)
