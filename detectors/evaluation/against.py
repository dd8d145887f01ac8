"""`auto` against every single method at matched false-positive rates.

Examples
--------
>>> from detectors.evaluation.contenders import Contender
>>> from detectors.evaluation.data_sets import DATA_SETS
>>> data = DATA_SETS["weekly"]
>>> ours = run(AUTO, data, series=42)
>>> theirs = run(Contender("ears C1", {"type": "ears"}), data, series=42)
>>> found = against(ours, theirs, data, draws=20)
>>> found.name, len(found.matched)
('ears C1', 3)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

from detectors.evaluation.contenders import AUTO, Contender
from detectors.evaluation.matched import (
    BETTER,
    Interval,
    Prepared,
    at_alarms,
    at_rates,
    difference,
    interval,
    prepare,
    ranks,
    resamples,
    verdict,
)
from detectors.evaluation.oracle import oracle
from detectors.evaluation.simulate_daily import rolling_week
from detectors.evaluation.simulation import Truth, take

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from detectors.contract import FloatArray, Positions
    from detectors.evaluation.data_sets import DataSet
    from detectors.evaluation.matched import Verdict
    from detectors.evaluation.simulation import Simulation

__all__ = ["CURVE", "Against", "Operating", "Run", "against", "ceiling", "run"]

#: False-positive rates of the curves.
CURVE: Final = tuple(float(rate) for rate in np.geomspace(0.001, 0.2, 25))
_SEED: Final = 20261122


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """What a method makes of a data set.

    Parameters
    ----------
    contender
        The method.
    rows
        Series of the data set that it was run on.
    truth
        The outbreaks in these series.
    p_value, score, alarm
        Its verdicts, shape `[series, judged]`.
    """

    contender: Contender
    rows: Positions
    truth: Truth
    p_value: FloatArray
    score: FloatArray
    alarm: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Operating:
    """A method at one false-positive rate, and `auto` minus the method on the same series.

    Parameters
    ----------
    rate
        Wanted rate; for a method's own alarms the one that they have.
    figures
        By name as :func:`~detectors.evaluation.matched.at_rates` has them.
    differences
        The same of `auto` minus method.
    verdicts
        Whether `auto` is better (won), worse (lost), or neither is shown (open).
    """

    rate: float
    figures: Mapping[str, Interval]
    differences: Mapping[str, Interval]
    verdicts: Mapping[str, Verdict]


@dataclass(frozen=True, slots=True)
class Against:
    """A method on a data set.

    Parameters
    ----------
    name, detector, sums
        As in :class:`~detectors.evaluation.contenders.Contender`.
    series
        How many series it was run on.
    ranked_by
        "p_value", or "score" where that finds more.
    matched
        At each of the data set's rates.
    nominal
        Its own alarms, against `auto` at the same rate; None for a method that never or always
        gives an alarm.
    curve
        Columns `fpr`, `pod`, `pod_first`, `half_time`, `mean_delay` at the rates :data:`CURVE`.
    """

    name: str
    detector: Mapping[str, object]
    sums: bool
    series: int
    ranked_by: str
    matched: tuple[Operating, ...]
    nominal: Operating | None
    curve: Mapping[str, tuple[float, ...]]


def run(contender: Contender, data: DataSet, *, series: int | None = None) -> Run:
    """Judge a data set.

    Parameters
    ----------
    series
        Size of the data set; by default that of a full run.

    Examples
    --------
    >>> from detectors.evaluation.data_sets import DATA_SETS
    >>> ears = Contender("ears C1", {"type": "ears"})
    >>> run(ears, DATA_SETS["weekly"], series=42).alarm.shape
    (42, 49)
    """
    made = _made(data, series or data.series)
    total = made.start.size
    rows = np.arange(total, dtype=np.intp)
    if contender.share < 1:
        least = min(total, 16)
        kept = max(round(contender.share * total), least)
        rows = np.sort(np.random.default_rng(_SEED).permutation(total)[:kept]).astype(np.intp)
    chosen = take(made, rows)
    seen = rolling_week(chosen) if contender.sums else chosen
    verdicts = contender.make(int(made.judged[0])).judge(seen.panel, seen.judged)
    return Run(contender, rows, chosen.truth, verdicts.p_value, verdicts.score, verdicts.alarm)


def against(auto: Run, other: Run, data: DataSet, *, draws: int = 500) -> Against:
    """Compare a method with `auto` on the method's series.

    A method is ranked by its p-values (ties by score), or by its scores alone if it finds more
    outbreaks so, on average over the rates of `data`: this favours the method. `auto` is always
    ranked by its p-values.

    Examples
    --------
    >>> from detectors.evaluation.data_sets import DATA_SETS
    >>> data = DATA_SETS["weekly"]
    >>> ears = run(Contender("ears C1", {"type": "ears"}), data, series=42)
    >>> against(ears, ears, data, draws=5).matched[0].differences["pod"].value
    0.0
    """
    ours = prepare(ranks(auto.p_value[other.rows], auto.score[other.rows]), other.truth)
    weights = resamples(other.rows.size, draws=draws, seed=_SEED)
    steps = {"first": data.first, "early": data.early}
    ranked_by, theirs = _best(other, data)
    found = at_rates(theirs, weights, data.rates, **steps)
    base = at_rates(ours, weights, data.rates, **steps)
    matched = _operating(data.rates, found, base)
    nominal = None
    if other.alarm[~other.truth.outbreak].any() and not other.alarm.all():
        own = at_alarms(other.alarm, other.truth, weights, **steps)
        same = at_rates(ours, weights, own["fpr"], **steps)
        nominal = _operating((float(own["fpr"][0, 0]),), own, same)[0]
    return Against(
        name=other.contender.name,
        detector=other.contender.detector,
        sums=other.contender.sums,
        series=other.rows.size,
        ranked_by=ranked_by,
        matched=tuple(matched),
        nominal=nominal,
        curve=_curve(theirs, other.rows.size, data),
    )


def ceiling(data: DataSet, *, series: int | None = None) -> dict[str, tuple[float, ...]]:
    """Give the curve of a judge of single steps who knows the true mean and dispersion.

    Empty for real series, of which nobody knows them.

    Examples
    --------
    >>> from detectors.evaluation.data_sets import DATA_SETS
    >>> len(ceiling(DATA_SETS["weekly"], series=42)["pod"]) == len(CURVE)
    True
    """
    made = _made(data, series or data.series)
    if np.isnan(made.mean).all():
        return {}
    return _curve(prepare(ranks(oracle(made)), made.truth), made.start.size, data)


@lru_cache(maxsize=2)
def _made(data: DataSet, series: int) -> Simulation:
    return data.make(series)


def _best(other: Run, data: DataSet) -> tuple[str, Prepared]:
    sample = np.ones((1, other.rows.size))
    by_p = prepare(ranks(other.p_value, other.score), other.truth)
    if other.contender.name == AUTO.name:
        return "p_value", by_p
    by_score = prepare(ranks(-other.score), other.truth)
    pods = [at_rates(each, sample, data.rates)["pod"].mean() for each in (by_p, by_score)]
    return ("score", by_score) if pods[1] > pods[0] else ("p_value", by_p)


def _curve(one: Prepared, series: int, data: DataSet) -> dict[str, tuple[float, ...]]:
    found = at_rates(one, np.ones((1, series)), CURVE, first=data.first, early=data.early)
    names = ("fpr", "pod", "pod_first", "half_time", "mean_delay")
    return {name: tuple(found[name][0].tolist()) for name in names}


def _operating(
    rates: tuple[float, ...], theirs: Mapping[str, FloatArray], ours: Mapping[str, FloatArray]
) -> list[Operating]:
    figures = {name: interval(values) for name, values in theirs.items()}
    apart = {name: interval(_apart(ours[name], theirs[name])) for name in BETTER}
    return [
        Operating(
            rate=rate,
            figures={name: values[column] for name, values in figures.items()},
            differences={name: values[column] for name, values in apart.items()},
            verdicts={name: verdict(values[column], name) for name, values in apart.items()},
        )
        for column, rate in enumerate(rates)
    ]


def _apart(ours: FloatArray, theirs: FloatArray) -> FloatArray:
    """Differences; none where neither method finds half of the outbreaks."""
    neither = np.isinf(ours[0]) & np.isinf(theirs[0])
    return np.where(neither, np.nan, difference(ours, theirs))
