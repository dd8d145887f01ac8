"""How fast the detectors are, per series and time point, beside statsmodels and R surveillance.

    python -m benchmarks.detectors_speed [--quick]

One process, one thread of the linear algebra library. Ours and statsmodels are measured here, on
the same simulated series; R's figures are constants, measured with R surveillance 1.20.3 (R 4.2.2)
on the machine that the targets were set on (2 shared cores).
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import time
import tracemalloc
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import statsmodels.api as sm
from rich.console import Console
from rich.table import Table

from detectors._farrington import baseline_of
from detectors.contract import Panel
from detectors.ears import Ears
from detectors.farrington import Farrington
from detectors.farrington_flexible import FarringtonFlexible
from detectors.registry import DETECTORS

if TYPE_CHECKING:
    from collections.abc import Callable

    from detectors.contract import Detector, FloatArray

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

# Milliseconds per (series, time point); EARS latest: per call for 1,000 series.
R_MILLISECONDS = {
    "farrington_flexible": 11.4,
    "farrington_flexible muan": 14.4,
    "farrington": 4.9,
    "ears C1": 0.030,
    "ears C2": 0.037,
    "ears C3": 0.047,
    "ears C1, latest only": 31.0,
    "outbreak_p": 4.5,
    "glr_nb": 0.9,
}
# Measured if the registry has them, with parameters that every installation understands.
CHARTS = ("cusum", "glr_poisson", "glr_nb", "outbreak_p")


@dataclass(frozen=True)
class Result:
    name: str
    series: int
    points: int
    seconds: float
    megabytes: float | None = None
    reference: float | None = None

    @property
    def milliseconds(self) -> float:
        return 1e3 * self.seconds / (self.series * self.points)


def weekly(series: int, weeks: int) -> FloatArray:
    rng = np.random.default_rng(2013)
    level = rng.normal(1.5, 1.2, (series, 1))
    season = 0.4 * np.cos(2 * np.pi * np.arange(weeks) / 52)
    return rng.negative_binomial(np.exp(level + season), 0.5).astype(np.float64)


def daily(series: int, days: int) -> FloatArray:
    return np.random.default_rng(2019).poisson(6.0, (series, days)).astype(np.float64)


def timed(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def peak(work: Callable[[], object]) -> float:
    """Peak memory that numpy takes while working, MiB (in a run of its own: tracing is slow)."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1] / 2**20
    finally:
        tracemalloc.stop()


def measure(
    name: str, detector: Detector, panel: Panel, at: slice, reference: float | None
) -> Result:
    points = len(range(*at.indices(panel.counts.shape[1])))

    def work() -> object:
        return detector.judge(panel, at)

    return Result(name, panel.counts.shape[0], points, timed(work), peak(work), reference)


def statsmodels_flexible(panel: Panel, points: int, series: int) -> Result:
    """Farrington flexible, one problem at a time: two GLM fits with the same design."""
    index = np.arange(panel.counts.shape[1] - points, panel.counts.shape[1])
    ((_, baseline),) = baseline_of(panel, index, years=5, half_window=3, periods=10, exclude=26)
    lags = baseline.lag.astype(np.intp)
    design = np.concatenate([baseline.levels, baseline.x[:, None]], axis=1)

    def work() -> None:
        for row in range(series):
            for now in index:
                y = panel.counts[row, now + lags]
                first = sm.GLM(y, design, family=sm.families.Poisson()).fit(scale="X2")
                residual = first.resid_anscombe / np.sqrt(max(first.scale, 1.0))
                weight = np.where(residual > 2.58, residual**-2, 1.0)
                weight *= y.size / weight.sum()
                model = sm.GLM(y, design, family=sm.families.Poisson(), var_weights=weight)
                model.fit(scale="X2")

    return Result("farrington_flexible by statsmodels", series, points, timed(work))


def farrington(*, quick: bool) -> list[Result]:
    series = 300 if quick else 3000
    panel = Panel(weekly(series, 320), grain="week", period=52)
    year = slice(-52, None)
    runs: list[tuple[str, Detector, float]] = [
        ("farrington_flexible", FarringtonFlexible(), R_MILLISECONDS["farrington_flexible"]),
        (
            "farrington_flexible nb_plugin",
            FarringtonFlexible(threshold="nb_plugin"),
            R_MILLISECONDS["farrington_flexible"],
        ),
        (
            "farrington_flexible muan",
            FarringtonFlexible(threshold="muan"),
            R_MILLISECONDS["farrington_flexible muan"],
        ),
        ("farrington", Farrington(), R_MILLISECONDS["farrington"]),
    ]
    results = [measure(name, detector, panel, year, r) for name, detector, r in runs]
    return [*results, statsmodels_flexible(panel, points=4, series=10)]


def ears(*, quick: bool) -> list[Result]:
    panel = Panel(daily(3000 if quick else 30_000, 1095))
    results = []
    for method in ("C1", "C2", "C3"):
        detector = Ears.model_validate({"method": method})
        name = f"ears {method}"
        results.append(measure(name, detector, panel, slice(None), R_MILLISECONDS[name]))
    name = "ears C1, latest only"
    per_series = R_MILLISECONDS[name] / 1000
    return [*results, measure(name, Ears(), panel, slice(-1, None), per_series)]


def charts(*, quick: bool) -> list[Result]:
    panel = Panel(weekly(100 if quick else 1000, 320), grain="week", period=52)
    found = [name for name in CHARTS if name in DETECTORS]
    return [
        measure(name, DETECTORS[name](), panel, slice(-52, None), R_MILLISECONDS.get(name))
        for name in found
    ]


def table(results: list[Result]) -> Table:
    view = Table(title="Detectors, CPU time per (series, time point), one core")
    for column in ("detector", "series", "points", "s", "ms each", "R ms", "R / ours", "peak MiB"):
        view.add_column(column, justify="left" if column == "detector" else "right")
    for result in results:
        r = result.reference
        view.add_row(
            result.name,
            f"{result.series:,}",
            f"{result.points:,}",
            f"{result.seconds:.2f}",
            f"{result.milliseconds:.6f}",
            "" if r is None else f"{r:g}",
            "" if r is None else f"{r / result.milliseconds:,.0f}",
            "" if result.megabytes is None else f"{result.megabytes:,.0f}",
        )
    return view


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="a tenth of the series")
    quick = parser.parse_args().quick
    if any(os.environ.get(name) != "1" for name in THREADS):
        # One core, as R has; the linear algebra library reads this when it is loaded.
        os.environ.update(dict.fromkeys(THREADS, "1"))
        os.execv(
            sys.executable, [sys.executable, "-m", "benchmarks.detectors_speed", *sys.argv[1:]]
        )
    console = Console(width=120)
    console.print(table([*farrington(quick=quick), *ears(quick=quick), *charts(quick=quick)]))
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    mebibytes = resident / 2**20 if sys.platform == "darwin" else resident / 2**10
    console.print(f"Peak resident memory of the process, panels included: {mebibytes:,.0f} MiB")
    console.print("Peak MiB: allocated by the call, verdicts included (tracemalloc).")


if __name__ == "__main__":
    main()
