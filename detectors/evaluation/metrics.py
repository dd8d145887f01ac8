r"""The field's measures of a detector on series whose outbreaks are known.

Every share is a ratio of two sums over series, r = sum a_i / sum b_i. Series are independent, the
steps of one series are not, so its standard error is that of a ratio of totals with series as
units,

.. math:: s^2(r) = \frac{n}{n - 1} \frac{\sum_i (a_i - r b_i)^2}{(\sum_i b_i)^2} .

The 95 % interval of a share is Wilson's with the r (1 - r) / s^2 observations that would have this
error, which keeps it inside [0, 1] and of some width at 0 and 1.

Examples
--------
>>> import numpy as np
>>> from detectors.evaluation import Truth
>>> outbreak = np.array([[0, 0, 1, 1], [0, 1, 1, 0]], dtype=bool)
>>> truth = Truth(outbreak, np.array([2, 1]))
>>> alarm = np.array([[0, 0, 0, 1], [1, 0, 0, 0]], dtype=bool)
>>> found = measure(alarm, truth)
>>> found.pod.value, found.pod_first.value, found.fpr.value, found.sensitivity.value
(0.5, 0.0, 0.25, 0.25)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.stats import binom

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detectors.contract import FloatArray
    from detectors.evaluation.simulation import Truth

__all__ = ["Estimate", "Metrics", "first_alarm", "longest_silence", "measure"]

_Z: Final = 1.959963984540054
_LEVEL: Final = 0.95
_IN_STEPS: Final = frozenset({"delay", "silence"})


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its standard error and 95 % interval; NaN where it is not defined.

    Examples
    --------
    >>> Estimate(0.5, 0.1, 0.31, 0.69)
    Estimate(value=0.5, error=0.1, low=0.31, high=0.69)
    """

    value: float
    error: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Metrics:
    """What :func:`measure` finds. A series counts as positive if its outbreak has a judged case.

    Parameters
    ----------
    pod
        Probability of detection: share of outbreaks with an alarm between start and last case.
    pod_first
        Share of outbreaks with an alarm in the first `first` steps from the start.
    missed
        1 - `pod`.
    fpr, specificity
        Share of steps without cases of the outbreak that have an alarm, and that have none.
    sensitivity
        Share of steps with cases of the outbreak that have an alarm: how much of its course is in
        alarm.
    ppv, npv
        Share of alarms in steps with cases; share of non-alarms in steps without.
    f1
        Harmonic mean of `ppv` and `sensitivity`, 2 TP / (2 TP + FP + FN).
    timeliness
        Scale of Noufaily et al. 2019: steps from the first case to the first alarm in a step with
        cases, over the steps from the first to the last case inclusive; 0 is the first step, 1 is
        missed. Mean over outbreaks.
    delay
        Mean steps from the start to the first alarm, detected outbreaks only.
    median_delay
        Median of the same over all outbreaks, a missed one counting as infinitely late; its
        interval is the exact one of order statistics and `error` is NaN.
    silence
        Mean over detected outbreaks of the longest run of steps without an alarm between the first
        alarm and the last case.
    series
        Number of series.
    """

    pod: Estimate
    pod_first: Estimate
    missed: Estimate
    fpr: Estimate
    specificity: Estimate
    sensitivity: Estimate
    ppv: Estimate
    npv: Estimate
    f1: Estimate
    timeliness: Estimate
    delay: Estimate
    median_delay: Estimate
    silence: Estimate
    series: int


def measure(
    alarm: NDArray[np.bool_],
    truth: Truth,
    *,
    first: int = 1,
    strata: NDArray[np.int64] | None = None,
) -> Metrics:
    """Measure alarms against the truth.

    Parameters
    ----------
    alarm
        Alarms at the judged steps, shape `[series, judged]`.
    truth
        The outbreaks.
    first
        Steps of the "first week": 1 for weekly, 7 for daily series.
    strata
        Group of each series, shape `[series]`. With it every figure but `median_delay` is the
        plain mean over the groups of the groups' figures, as in Noufaily et al. 2019; groups in
        which a figure is not defined are left out.

    Raises
    ------
    ValueError
        If the shapes differ.

    Examples
    --------
    >>> from detectors.evaluation import simulate_weekly
    >>> truth = simulate_weekly(series=50, seed=1).truth
    >>> all_clear = measure(np.zeros(truth.outbreak.shape, dtype=bool), truth)
    >>> all_clear.fpr.value, all_clear.missed.value, all_clear.timeliness.value
    (0.0, 1.0, 1.0)
    """
    outbreak = truth.outbreak
    if alarm.shape != outbreak.shape:
        raise ValueError(f"alarm has the shape {alarm.shape}, the truth {outbreak.shape}")
    group = np.zeros(alarm.shape[0], dtype=np.int64) if strata is None else strata
    ratios = _ratios(alarm, truth, first)
    found = {
        name: _estimate(top, bottom, group, share=name not in _IN_STEPS)
        for name, (top, bottom) in ratios.items()
    }
    late = first_alarm(alarm, truth)[truth.affected]
    return Metrics(**found, median_delay=_median(late), series=alarm.shape[0])


def first_alarm(alarm: NDArray[np.bool_], truth: Truth) -> FloatArray:
    """Return the steps from the start of each outbreak to its first alarm, shape `[series]`.

    Infinite where there is none up to the last case, or no outbreak.

    Examples
    --------
    >>> from detectors.evaluation import Truth
    >>> truth = Truth(np.array([[False, True, True]]), np.array([1]))
    >>> first_alarm(np.array([[True, False, True]]), truth)
    array([1.])
    """
    hit = alarm & truth.window
    return np.where(hit.any(axis=1), hit.argmax(axis=1) - truth.start, np.inf)


def longest_silence(alarm: NDArray[np.bool_], truth: Truth) -> FloatArray:
    """Return the longest run of steps without an alarm in each outbreak, shape `[series]`.

    Only steps from the first alarm to the last case count; NaN where there is no alarm.

    Examples
    --------
    >>> from detectors.evaluation import Truth
    >>> truth = Truth(np.array([[True] * 6 + [False]]), np.array([0]))
    >>> longest_silence(np.array([[False, True, False, False, True, False, False]]), truth)
    array([2.])
    """
    run, longest = np.zeros(alarm.shape[0]), np.zeros(alarm.shape[0])
    begun = np.zeros(alarm.shape[0], dtype=np.bool_)
    for now, inside in zip(alarm.T, truth.window.T, strict=True):
        begun |= now & inside
        run = np.where(now, 0.0, run + (begun & inside))
        longest = np.maximum(longest, run)
    return np.where(begun, longest, np.nan)


def _ratios(
    alarm: NDArray[np.bool_], truth: Truth, first: int
) -> dict[str, tuple[FloatArray, FloatArray]]:
    """Numerator and denominator of each figure by series."""
    outbreak, positive = truth.outbreak, truth.affected.astype(np.float64)
    tp, fp = _count(alarm & outbreak), _count(alarm & ~outbreak)
    fn, tn = _count(~alarm & outbreak), _count(~alarm & ~outbreak)
    late = first_alarm(alarm, truth)
    detected = np.isfinite(late).astype(np.float64)
    early = (late < first).astype(np.float64)
    return {
        "pod": (detected, positive),
        "pod_first": (early, positive),
        "missed": (positive - detected, positive),
        "fpr": (fp, fp + tn),
        "specificity": (tn, fp + tn),
        "sensitivity": (tp, tp + fn),
        "ppv": (tp, tp + fp),
        "npv": (tn, tn + fn),
        "f1": (2 * tp, 2 * tp + fp + fn),
        "timeliness": (_timeliness(alarm, truth) * positive, positive),
        "delay": (np.where(detected > 0, late, 0.0), detected),
        "silence": (np.nan_to_num(longest_silence(alarm, truth)), detected),
    }


def _timeliness(alarm: NDArray[np.bool_], truth: Truth) -> FloatArray:
    hit = alarm & truth.outbreak
    begun = truth.outbreak.argmax(axis=1)
    span = np.maximum(truth.last - begun + 1, 1)
    late: FloatArray = (hit.argmax(axis=1) - begun) / span
    return np.where(hit.any(axis=1), late, 1.0)


def _count(where: NDArray[np.bool_]) -> FloatArray:
    count: FloatArray = where.sum(axis=1).astype(np.float64)
    return count


def _estimate(
    top: FloatArray, bottom: FloatArray, group: NDArray[np.int64], *, share: bool
) -> Estimate:
    values: list[float] = []
    squares: list[float] = []
    units = 0
    for one in np.unique(group):
        rows = group == one
        if not bottom[rows].sum() > 0:
            continue
        value, square = _ratio(top[rows], bottom[rows])
        values.append(value)
        squares.append(square)
        units += int((bottom[rows] > 0).sum())
    if not values:
        return Estimate(math.nan, math.nan, math.nan, math.nan)
    value = math.fsum(values) / len(values)
    error = math.sqrt(math.fsum(squares)) / len(values)
    low, high = _wilson(value, error, units) if share else (value - _Z * error, value + _Z * error)
    return Estimate(value, error, low, high)


def _ratio(top: FloatArray, bottom: FloatArray) -> tuple[float, float]:
    """Give a ratio of totals and the square of its standard error."""
    total = float(bottom.sum())
    value = float(top.sum()) / total
    n = top.size
    if n == 1:
        return value, math.nan
    residual = top - value * bottom
    return value, n / (n - 1) * float(residual @ residual) / total**2


def _wilson(share: float, error: float, units: int) -> tuple[float, float]:
    if math.isnan(error):
        return math.nan, math.nan
    n = share * (1 - share) / error**2 if error > 0 else float(units)
    spread = _Z**2 / n
    centre = (share + spread / 2) / (1 + spread)
    half = math.sqrt(spread * (share * (1 - share) + spread / 4)) / (1 + spread)
    return max(0.0, centre - half), min(1.0, centre + half)


def _median(delays: FloatArray) -> Estimate:
    """Median with the interval between order statistics that covers it in 95 % of samples."""
    n = delays.size
    if n == 0:
        return Estimate(math.nan, math.nan, math.nan, math.nan)
    ordered = np.sort(delays)
    rank = int(binom.ppf((1 - _LEVEL) / 2, n, 0.5))
    low = ordered[rank - 1] if rank > 0 else 0.0
    high = ordered[n - rank] if rank > 0 else np.inf
    # Of an even number the later of the middle two: infinity minus infinity is no mean.
    return Estimate(float(ordered[n // 2]), math.nan, float(low), float(high))
