"""What the speed of detectors is measured on: panels, detectors, and one case a process.

    python -m benchmarks.detector_cases NAME SCALE

prints one case's measurement as JSON. A process of its own, so that the peak memory is the case's.
"""

from __future__ import annotations

import json
import resource
import statistics
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import statsmodels.api as sm

from detectors._farrington_baseline import baseline_of
from detectors.contract import FloatArray, Panel
from detectors.farrington_flexible import FarringtonFlexible
from detectors.registry import parse_detector

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["CASES", "Case", "Measurement", "daily", "weekly"]

_WEEKS: Final = 320
_DAYS: Final = 1095
#: The judged weeks: with a `start`, one chart begins with them.
_YEAR: Final = 52
# A case is repeated until it has taken so long, at least once and at most so often.
_ENOUGH_SECONDS: Final = 3.0
_MOST_REPEATS: Final = 15
_PIECE: Final = 250


@dataclass(frozen=True)
class Case:
    """One detector on one panel."""

    name: str
    detector: Mapping[str, Any]
    series: int
    points: int
    """Latest steps that are judged."""
    grain: str = "week"
    whole: int | None = None
    """Series of the full size, if this case has a part of them."""
    alike: str | None = None
    """Case of R surveillance that does the same work for each point."""
    lean: bool = False
    """Whether the panel is made anew for each call, of the steps in the look-back only."""


@dataclass(frozen=True)
class Measurement:
    """Median CPU seconds of a call, and what it took."""

    seconds: float
    least: float
    most: float
    repeats: int
    series: int
    points: int
    mebibytes: float | None = None
    """By how much the resident set's peak rose above what it was before the call."""
    notes: list[str] = field(default_factory=list)

    @property
    def milliseconds(self) -> float:
        return 1e3 * self.seconds / (self.series * self.points)


def _ears(method: str, series: int, points: int, **more: Any) -> Case:
    kind = {"type": "ears", "method": method}
    what = f"ears {method}" + (f", latest day of {series:,}" if points == 1 else "")
    what += ", panel made anew" if more.get("lean") else ""
    alike = "ears C1, latest day" if points == 1 else f"ears {method}"
    if series == 1:  # what a call costs at least: R's has no counterpart
        return Case(what, kind, series, points, "day")
    return Case(what, kind, series, points, "day", alike=alike, **more)


def _flexible(threshold: str, alike: str) -> Case:
    kind = {"type": "farrington_flexible", "threshold": threshold}
    return Case(f"farrington_flexible {threshold}", kind, 3000, _YEAR, alike=alike)


_START: Final = _WEEKS - _YEAR
_LIST: Final = (
    _flexible("delta", "farrington_flexible"),
    _flexible("nb_plugin", "farrington_flexible"),
    _flexible("muan", "farrington_flexible muan"),
    Case("farrington", {"type": "farrington"}, 3000, _YEAR, alike="farrington"),
    *(_ears(method, 30_000, _DAYS) for method in ("C1", "C2", "C3")),
    *(_ears(method, 30_000, 1) for method in ("C1", "C2", "C3")),
    *(_ears(method, 3000, 1) for method in ("C1", "C2", "C3")),
    _ears("C1", 3000, 1, lean=True),
    _ears("C1", 1000, 1),
    _ears("C1", 1, 1),
    Case("cusum", {"type": "cusum"}, 3000, _YEAR),
    Case("cusum, one chart a series", {"type": "cusum", "start": _START}, 3000, _YEAR),
    Case("glr_poisson", {"type": "glr_poisson"}, 1000, _YEAR, whole=3000),
    Case("glr_poisson, one chart a series", {"type": "glr_poisson", "start": _START}, 3000, _YEAR),
    Case("glr_nb", {"type": "glr_nb"}, 300, _YEAR, whole=3000, alike="glr_nb"),
    Case(
        "glr_nb, one chart a series",
        {"type": "glr_nb", "start": _START},
        3000,
        _YEAR,
        alike="glr_nb",
    ),
    Case("outbreak_p", {"type": "outbreak_p"}, 3000, _YEAR, alike="outbreak_p"),
    Case("auto", {"type": "auto"}, 300, _YEAR, whole=3000),
)
#: By name; `statsmodels` is apart, since it is no detector of ours.
CASES: Final = {case.name: case for case in _LIST}


def weekly(series: int) -> FloatArray:
    """Overdispersed weekly counts of six years with a season, [series, week]."""
    rng = np.random.default_rng(2013)
    season = 0.4 * np.cos(2 * np.pi * np.arange(_WEEKS) / 52)
    counts = np.empty((series, _WEEKS))
    for first in range(0, series, _PIECE):  # in pieces: the peak of memory shall be the detector's
        piece = counts[first : first + _PIECE]
        level = rng.normal(1.5, 1.2, (piece.shape[0], 1))
        piece[:] = rng.negative_binomial(np.exp(level + season), 0.5)
    return counts


def daily(series: int) -> FloatArray:
    """Poisson counts of three years, [series, day]."""
    rng = np.random.default_rng(2019)
    counts = np.empty((series, _DAYS))
    for first in range(0, series, _PIECE):
        piece = counts[first : first + _PIECE]
        piece[:] = rng.poisson(6.0, piece.shape)
    return counts


def _panel(case: Case, series: int) -> Panel:
    if case.grain == "day":
        return Panel(daily(series))
    return Panel(weekly(series), grain="week", period=52)


def measure(case: Case, scale: float) -> Measurement:
    """Judge the case's panel, or a part of its series, until the median can be trusted."""
    series = max(1, min(case.series, round(case.series * scale)))
    panel = _panel(case, series)
    detector = parse_detector(dict(case.detector))
    at = slice(-case.points, None)
    # Imports and caches of the first call are nobody's cost per point.
    detector.judge(Panel(panel.counts[:8], grain=panel.grain, period=panel.period), slice(-1, None))
    _forget_peak()
    before = _memory("VmRSS")
    latest = panel.counts[:, -detector.lookback(panel.grain) - 1 :]

    def work() -> None:
        detector.judge(Panel(latest) if case.lean else panel, at)

    first = _timed(work)
    peak = _memory("VmHWM")
    # Short calls are timed many at a time: the clock of CPU time is coarse.
    calls = max(1, round(0.02 / max(first, 1e-5)))
    taken = [first] if calls == 1 else []
    while sum(taken) * calls < _ENOUGH_SECONDS and len(taken) < _MOST_REPEATS:
        taken.append(_timed(work, calls))
    return Measurement(
        statistics.median(taken), min(taken), max(taken), len(taken), series, case.points,
        peak - before,
    )  # fmt: skip


def statsmodels_flexible(series: int, weeks: int) -> Measurement:
    """Farrington flexible's two fits, one problem at a time; the thresholds are not in it.

    The same design and the same reweighting: the means must agree, or the comparison is void. (Ours
    leaves out the trend where it would carry the mean above all counts; there they may differ.)
    """
    panel = Panel(weekly(series), grain="week", period=52)
    index = np.arange(_WEEKS - weeks, _WEEKS)
    ((_, baseline),) = baseline_of(panel, index, years=5, half_window=3, periods=10, exclude=26)
    lags = baseline.lag.astype(np.intp)
    design = np.concatenate([baseline.levels, baseline.x[:, None]], axis=1)
    fits = []

    def work() -> None:
        for row in range(series):
            for now in index:
                y = panel.counts[row, now + lags]
                first = sm.GLM(y, design, family=sm.families.Poisson()).fit(scale="X2")
                leverage = first.get_hat_matrix_diag(observed=False)
                spread = np.sqrt(max(first.scale, 1.0) * (1.0 - leverage))
                mu = first.fittedvalues
                residual = 1.5 * (np.cbrt(y) ** 2 - np.cbrt(mu) ** 2) / mu ** (1 / 6) / spread
                weight = np.where(residual > 2.58, residual**-2, 1.0)
                weight *= y.size / weight.sum()
                model = sm.GLM(y, design, family=sm.families.Poisson(), var_weights=weight)
                fits.append(model.fit(scale="X2").params)

    seconds = _timed(work)
    ours = FarringtonFlexible().judge(panel, index).expected.ravel()
    # At the judged step the season's level is 1 and the trend's distance 0.
    now = np.zeros(design.shape[1])
    now[0] = 1.0
    theirs = np.exp(np.array(fits) @ now)
    near = np.isclose(ours, theirs, rtol=1e-6)
    note = f"the means of both agree to 1e-6 at {near.mean():.0%} of the points"
    return Measurement(seconds, seconds, seconds, 1, series, weeks, notes=[note])


def _timed(work: Callable[[], None], calls: int = 1) -> float:
    start = time.process_time()
    for _ in range(calls):
        work()
    return (time.process_time() - start) / calls


def _memory(name: str) -> float:
    """Read VmRSS, the resident set, or VmHWM, its peak; MiB."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:  # not Linux: the peak of the process's whole life
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / 2**20 if sys.platform == "darwin" else peak / 2**10
    line = next(line for line in status.splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) / 2**10


def _forget_peak() -> None:
    """Let the peak begin anew: checking a panel takes memory, too."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def main() -> None:
    name, scale = sys.argv[1], float(sys.argv[2])
    if name == "statsmodels":
        found = statsmodels_flexible(series=max(2, round(20 * scale)), weeks=4)
    else:
        found = measure(CASES[name], scale)
    print(json.dumps(asdict(found)))


if __name__ == "__main__":
    main()
