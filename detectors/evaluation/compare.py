"""Our detectors beside R's, on the same simulators.

Examples
--------
>>> rows = compare("weekly", series=210, seed=1, detectors=["EARS_C2"])
>>> rows[0].method, rows[0].figures["fpr"].reference
('EARS_C2', 0.0762)
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import numpy as np

from detectors.contract import Reason
from detectors.evaluation.curves import matched_fpr
from detectors.evaluation.metrics import measure
from detectors.evaluation.oracle import oracle
from detectors.evaluation.reference_methods import (
    DAILY_METHODS,
    WEEKLY_METHODS,
    ReferenceMethod,
)
from detectors.evaluation.simulate_daily import DAILY_SIZES, rolling_week, simulate_daily
from detectors.evaluation.simulate_weekly import simulate_weekly
from detectors.evaluation.simulation import Truth
from detectors.evaluation.tables import table
from detectors.registry import parse_detector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from detectors.contract import Detector
    from detectors.evaluation.metrics import Estimate
    from detectors.evaluation.simulation import Simulation

__all__ = [
    "DIFFERENT",
    "FIGURES",
    "Compared",
    "Comparison",
    "Simulator",
    "compare",
    "markdown",
    "plan",
]

Simulator: TypeAlias = Literal["weekly", "daily"]

FIGURES: Final[Mapping[Simulator, Mapping[str, str]]] = {
    "weekly": {
        "fpr": "FPR",
        "pod": "POD",
        "pod_first": "POD1week",
        "sensitivity": "sens",
        "ppv": "PPV",
        "npv": "NPV",
        "f1": "F1",
        "pod_k1": "POD_k1",
        "pod_k2": "POD_k2",
        "pod_k3": "POD_k3",
        "pod_k5": "POD_k5",
        "pod_k7": "POD_k7",
        "pod_k10": "POD_k10",
    },
    "daily": {
        "fpr": "fpr",
        "pod": "pod",
        "sensitivity": "sens",
        "ppv": "ppv",
        "timeliness": "timeliness",
    },
}
"""Figures that are compared, and the columns of R's tables that hold them.

`pod_k1` to `pod_k10` are PODs of current outbreaks of one size; R has 210 of each.
"""
DIFFERENT: Final = 3.0
"""Standard errors beyond which figures are marked as different."""

#: POD of a judge who knows mean and dispersion, by false-positive rate (weekly simulator).
_CEILING: Final = {0.0105: 0.56, 0.026: 0.68, 0.07: 0.83}
_SIZED: Final = "pod_k"
_FIRST: Final[Mapping[Simulator, int]] = {"weekly": 1, "daily": 7}


@dataclass(frozen=True, slots=True)
class Compared:
    """One figure, ours and R's.

    Parameters
    ----------
    ours
        Our estimate.
    reference
        R's figure; None where there is none.
    deviation
        Their difference in standard errors of the difference, R's error being taken to be as large
        as ours for as many series; None where there is none. Beyond 2 or so the two differ.
    """

    ours: Estimate
    reference: float | None
    deviation: float | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """One method on one simulator.

    Parameters
    ----------
    method
        Name in R's table, or of the detector.
    size
        Size k of the outbreaks; None where they are mixed.
    figures
        By name as in :class:`~detectors.evaluation.metrics.Metrics`; empty where it was not run.
    skipped
        Why it was not run.
    note
        Why R's figures differ, where that is known.
    """

    method: str
    size: float | None
    figures: Mapping[str, Compared]
    skipped: str | None = None
    note: str | None = None


def plan(simulator: Simulator, detectors: Sequence[str] = ()) -> list[ReferenceMethod]:
    """Choose the methods to run.

    Parameters
    ----------
    detectors
        Names of R's methods or of our detectors; a detector stands for all methods of R that it
        covers, or for itself with its defaults. All methods of R, and the oracle, if empty.

    Examples
    --------
    >>> [method.name for method in plan("daily", ["ears", "auto"])]
    ['C1', 'C2', 'C3', 'auto']
    """
    known = DAILY_METHODS if simulator == "daily" else WEEKLY_METHODS
    if not detectors:
        ceiling = [
            ReferenceMethod(f"oracle at {rate}", {"type": "oracle", "fpr": rate})
            for rate in _CEILING
        ]
        return [*known, *(ceiling if simulator == "weekly" else ())]
    chosen: list[ReferenceMethod] = []
    for name in detectors:
        found = [method for method in known if name in {method.name, method.detector["type"]}]
        chosen += found or [ReferenceMethod(name, {"type": name})]
    return chosen


def compare(
    simulator: Simulator,
    *,
    series: int,
    seed: int,
    detectors: Sequence[str] = (),
    sizes: Sequence[float] = DAILY_SIZES,
    make: Callable[[Mapping[str, object]], Detector] = parse_detector,
    on_done: Callable[[Comparison], None] = lambda _: None,
) -> list[Comparison]:
    """Run detectors on a simulator and put their figures beside R's.

    Parameters
    ----------
    series
        Series to simulate; for the daily simulator as many for each size.
    seed
        Seed of the simulator.
    detectors
        As for :func:`plan`.
    sizes
        Sizes k of the outbreaks of the daily simulator; the weekly one mixes 1 to 10.
    make
        Makes a detector from its parameters. A method whose detector cannot be made is skipped.
    on_done
        Called with each method when it is done.

    Examples
    --------
    >>> rows = compare("daily", series=16, seed=1, detectors=["C1", "eras"], sizes=[2])
    >>> [(row.method, row.skipped is None) for row in rows]
    [('C1', True), ('eras', False)]
    """
    methods = plan(simulator, detectors)
    rows: list[Comparison] = []
    for size, simulation in _simulations(simulator, series, seed, sizes):
        for method in methods:
            row = _run(simulator, method, size, simulation, make)
            on_done(row)
            rows.append(row)
    return rows


def markdown(rows: Sequence[Comparison]) -> str:
    """Write comparisons as a Markdown table: ours with its 95 % interval, then R's.

    Examples
    --------
    >>> print(markdown(compare("weekly", series=42, seed=1, detectors=["eras"])))
    | method | k |
    |---|---|
    <BLANKLINE>
    Not run: eras (unknown detector type 'eras': did you mean 'ears'? ...
    """
    done = [row for row in rows if row.skipped is None]
    names = list(dict.fromkeys(name for row in done for name in row.figures))
    main = [name for name in names if not name.startswith(_SIZED)]
    lines = _table(done, main)
    if len(main) < len(names):
        lines += ["", "By the size k of the outbreak:", ""]
        lines += _table(done, [name for name in names if name.startswith(_SIZED)], sized=False)
    skipped = dict.fromkeys(f"{row.method} ({row.skipped})" for row in rows if row.skipped)
    about: dict[str, list[str]] = {}
    for method, note in dict.fromkeys((row.method, row.note) for row in done if row.note):
        about.setdefault(note, []).append(method)
    for note, methods_told in about.items():
        lines += ["", f"{', '.join(methods_told)}: {note}."]
    if skipped:
        lines += ["", f"Not run: {'; '.join(skipped)}"]
    return "\n".join(lines)


def _table(rows: Sequence[Comparison], names: Sequence[str], *, sized: bool = True) -> list[str]:
    head = ["method", *(["k"] if sized else []), *names]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in rows:
        size = ["1-10" if row.size is None else f"{row.size:g}"] if sized else []
        cells = [_cell(row.figures.get(name)) for name in names]
        lines.append("| " + " | ".join([row.method, *size, *cells]) + " |")
    return lines


def _cell(figure: Compared | None) -> str:
    if figure is None:
        return ""
    ours = figure.ours
    text = f"{ours.value:.3f} ({ours.low:.3f}-{ours.high:.3f})"
    if figure.reference is None:
        return text
    apart = figure.deviation is not None and abs(figure.deviation) > DIFFERENT
    return f"{text}; R {figure.reference:.3f}{' *' if apart else ''}"


def _simulations(
    simulator: Simulator, series: int, seed: int, sizes: Sequence[float]
) -> Iterator[tuple[float | None, Simulation]]:
    if simulator == "weekly":
        yield None, simulate_weekly(series=series, seed=seed)
        return
    for size in sizes:
        yield size, rolling_week(simulate_daily(series=series, seed=seed, size=size))


def _run(
    simulator: Simulator,
    method: ReferenceMethod,
    size: float | None,
    simulation: Simulation,
    make: Callable[[Mapping[str, object]], Detector],
) -> Comparison:
    truth = simulation.truth
    try:
        alarm = _alarms(method, simulation, make)
    except ValueError as error:
        # Unknown detectors and, as pydantic has it, unknown parameters are ValueErrors.
        return Comparison(method.name, size, {}, skipped=str(error).partition("\n")[0])
    found = measure(
        alarm,
        truth,
        first=_FIRST[simulator],
        strata=simulation.scenario if simulator == "daily" else None,
    )
    reference = _reference(simulator, method, size)
    sized = _by_size(alarm, simulation) if simulator == "weekly" else {}
    figures = {
        name: _compared(
            sized[name] if name in sized else getattr(found, name),
            reference.get(name),
            found.series,
            method.series,
        )
        for name in FIGURES[simulator]
    }
    return Comparison(method.name, size, figures, note=method.note)


def _by_size(alarm: NDArray[np.bool_], simulation: Simulation) -> dict[str, Estimate]:
    truth, found = simulation.truth, {}
    for name in FIGURES["weekly"]:
        size = name.removeprefix(_SIZED)
        if size != name:
            rows = simulation.size == float(size)
            only = Truth(truth.outbreak[rows], truth.start[rows])
            found[name] = measure(alarm[rows], only).pod
    return found


def _alarms(
    method: ReferenceMethod,
    simulation: Simulation,
    make: Callable[[Mapping[str, object]], Detector],
) -> NDArray[np.bool_]:
    if method.detector["type"] == "oracle":
        rate = method.detector["fpr"]
        assert isinstance(rate, float)  # noqa: S101 - made in plan()
        return matched_fpr(oracle(simulation), simulation.truth, rate).alarm
    panel = simulation.panel
    if method.period is not None:
        panel = replace(panel, period=method.period)
    verdicts = make(method.detector).judge(panel, simulation.judged)
    if not method.silent_if_flat:
        return verdicts.alarm
    alarm: NDArray[np.bool_] = verdicts.alarm & (verdicts.reason == Reason.ok)
    return alarm


def _reference(
    simulator: Simulator, method: ReferenceMethod, size: float | None
) -> dict[str, float]:
    if method.detector["type"] == "oracle":
        rate = method.detector["fpr"]
        assert isinstance(rate, float)  # noqa: S101 - made in plan()
        return {"fpr": rate, "pod": _CEILING[rate]}
    rows = table("repro_noufaily2019_R_mean" if simulator == "daily" else "repro_bedubourg_R")
    here = rows["method"] == method.name
    if size is not None:
        here &= rows["k"] == size
    found = np.flatnonzero(here)
    if not found.size:
        return {}
    return {name: float(rows[column][found[0]]) for name, column in FIGURES[simulator].items()}


def _compared(
    ours: Estimate, reference: float | None, series: int, reference_series: int
) -> Compared:
    if reference is None:
        return Compared(ours, None, None)
    error = ours.error * math.sqrt(1 + series / reference_series)
    return Compared(ours, reference, (ours.value - reference) / error if error > 0 else None)
