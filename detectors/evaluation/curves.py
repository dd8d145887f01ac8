"""Detectors at equal false-positive rates: thresholds, ROC and AMOC curves from p-values.

A detector's own alarms fix one point only, and its nominal level seldom is its false-positive
rate. Here its p-values (or scores with the sign turned) are ranked, and it is judged at any rate.

Examples
--------
>>> import numpy as np
>>> from detectors.evaluation import Truth
>>> truth = Truth(np.array([[False, False, False, False, True, True]]), np.array([4]))
>>> p = np.array([[0.9, 0.5, 0.04, 0.2, 0.1, 0.001]])
>>> curve = roc(p, truth, rates=[0.0, 0.25])
>>> curve.fpr, curve.sensitivity, curve.pod, curve.mean_delay
(array([0.  , 0.25]), array([0.5, 1. ]), array([1., 1.]), array([1., 0.]))
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from detectors.evaluation.metrics import first_alarm

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from detectors.contract import FloatArray
    from detectors.evaluation.simulation import Truth

__all__ = ["Curve", "Matched", "matched_fpr", "roc"]


@dataclass(frozen=True, slots=True, eq=False)
class Matched:
    """Alarms at a wanted false-positive rate.

    Parameters
    ----------
    threshold
        Alarm where the p-value is below this.
    fpr
        False-positive rate reached: the largest that is not above the wanted one. It stays below
        where p-values are tied.
    alarm
        The alarms, shape `[series, judged]`.
    """

    threshold: float
    fpr: float
    alarm: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """ROC (`sensitivity` or `pod` over `fpr`) and AMOC (`mean_delay` over `fpr`) curves.

    Parameters
    ----------
    fpr
        False-positive rate of the steps, shape `[points]`.
    threshold
        Alarm where the p-value is below this, shape `[points]`.
    sensitivity
        Share of the steps with cases that have an alarm.
    pod
        Share of the outbreaks with an alarm between start and last case.
    mean_delay
        Steps from the start to the first alarm; a missed outbreak counts with its whole length
        from start to last case. Mean over all outbreaks, so that it cannot be lowered by missing
        the slow ones.
    """

    fpr: FloatArray
    threshold: FloatArray
    sensitivity: FloatArray
    pod: FloatArray
    mean_delay: FloatArray


def matched_fpr(p_values: FloatArray, truth: Truth, target: float) -> Matched:
    """Threshold p-values so that the false-positive rate is `target`, or just below.

    Parameters
    ----------
    p_values
        Small where unusual, shape `[series, judged]`; NaN where not judged, which is no alarm.
        For scores give `-score`.
    truth
        The outbreaks; steps without cases decide the threshold, of all series together.
    target
        Wanted share of them with an alarm.

    Raises
    ------
    ValueError
        If the shapes differ or `target` is not in [0, 1].

    Examples
    --------
    >>> from detectors.evaluation import Truth
    >>> truth = Truth(np.array([[False] * 4 + [True]]), np.array([4]))
    >>> matched = matched_fpr(np.array([[0.3, 0.1, 0.7, np.nan, 0.1]]), truth, 0.3)
    >>> matched.threshold, matched.fpr, matched.alarm
    (0.3, 0.25, array([[False,  True, False, False,  True]]))
    """
    if not 0 <= target <= 1:
        raise ValueError(f"target must lie in [0, 1], got {target}")
    p, calm = _ranked(p_values, truth)
    threshold = _threshold(calm, target)
    alarm = p < threshold
    fpr = float(np.searchsorted(calm, threshold, side="left") / calm.size) if calm.size else 0.0
    return Matched(threshold, fpr, alarm)


def roc(p_values: FloatArray, truth: Truth, rates: Sequence[float] | FloatArray) -> Curve:
    """Trace what a detector finds, and when, over false-positive rates.

    Parameters
    ----------
    p_values, truth
        As for :func:`matched_fpr`.
    rates
        Wanted false-positive rates, shape `[points]`.

    Examples
    --------
    >>> from detectors.evaluation import oracle, simulate_weekly
    >>> made = simulate_weekly(series=420, seed=1)
    >>> curve = roc(oracle(made), made.truth, np.linspace(0.01, 0.2, 5))
    >>> bool((np.diff(curve.pod) >= 0).all()), bool((np.diff(curve.mean_delay) <= 0).all())
    (True, True)
    """
    p, calm = _ranked(p_values, truth)
    sick = np.sort(p[truth.outbreak])
    affected = truth.affected
    length = (truth.last - truth.start + 1)[affected]
    points = len(rates)
    columns = {name: np.full(points, np.nan) for name in ("fpr", "sensitivity", "pod", "delay")}
    thresholds = np.array([_threshold(calm, rate) for rate in rates], dtype=np.float64)
    for i, threshold in enumerate(thresholds):
        late = first_alarm(p < threshold, truth)[affected]
        if calm.size:
            columns["fpr"][i] = np.searchsorted(calm, threshold, side="left") / calm.size
        if late.size:
            columns["sensitivity"][i] = np.searchsorted(sick, threshold, side="left") / sick.size
            columns["pod"][i] = np.isfinite(late).mean()
            columns["delay"][i] = np.where(np.isfinite(late), late, length).mean()
    return Curve(
        fpr=columns["fpr"],
        threshold=thresholds,
        sensitivity=columns["sensitivity"],
        pod=columns["pod"],
        mean_delay=columns["delay"],
    )


def _ranked(p_values: FloatArray, truth: Truth) -> tuple[FloatArray, FloatArray]:
    """P-values with infinity for what was not judged, and the sorted ones without outbreak."""
    if p_values.shape != truth.outbreak.shape:
        raise ValueError(
            f"p_values have the shape {p_values.shape}, the truth {truth.outbreak.shape}"
        )
    p = np.where(np.isnan(p_values), np.inf, p_values)
    return p, np.sort(p[~truth.outbreak])


def _threshold(calm: FloatArray, target: float) -> float:
    """Value below which at most a share `target` of the sorted `calm` lies, as large as can be."""
    # 0.07 * 100 is a little more than 7, and other products a little less.
    allowed = int(np.floor(target * calm.size + 1e-9))
    return float(calm[allowed]) if allowed < calm.size else math.inf
