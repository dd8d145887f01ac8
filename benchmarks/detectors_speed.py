"""How fast the detectors are, per series and time point, beside statsmodels and R surveillance.

    python -m benchmarks.detectors_speed [--quick] [--only WORD] [--save]

Every case runs in a process of its own, on one core. R is measured too where `Rscript` finds the
package surveillance; beside it stand its figures on the machine that the targets were set on.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from rich.console import Console
from rich.table import Table

from benchmarks.detector_cases import CASES, Measurement

if TYPE_CHECKING:
    from collections.abc import Sequence

_HERE: Final = Path(__file__).parent
_THREADS: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_STATSMODELS: Final = "farrington_flexible by statsmodels"
_LATEST: Final = "ears C1, latest day"
# Milliseconds per (series, time point), R surveillance 1.20.3; the latest day is a whole call.
_R_BEFORE: Final = {
    "farrington_flexible": 11.4,
    "farrington_flexible muan": 14.4,
    "farrington": 4.9,
    "ears C1": 0.030,
    "ears C2": 0.037,
    "ears C3": 0.047,
    _LATEST: 31.0,
    "outbreak_p": 4.5,
    "glr_nb": 0.9,
}
_SOURCE: Final = (
    "R before: R surveillance 1.20.3 on R 4.2.2, measured with the reference data on the machine "
    "of the targets (2 shared cores), not in this run."
)
_LATEST_NOTE: Final = (
    "R's 31 ms is the time of one call of earsC for the latest day. Its record does not say how "
    "many series that call had. If 1,000, as in bulk, it is 31 us for each series (the column R "
    "before); if one, 31 ms. Both ratios are below."
)
_START_NOTE: Final = (
    "One chart a series: `start` is set, as R does it; the baseline is fitted once. Without it "
    "(as in rules) every point has a training and a chart of its own, 52 steps long."
)
_MEMORY_NOTE: Final = (
    "Peak MiB: growth of the peak resident set of the case's process in the first call, verdicts "
    "included, the panel not. CPU time: median, least and most of as many calls as in brackets."
)
_HEADINGS: Final = (
    "detector", "series", "points", "ms a call", "least-most", "us each", "R now us",
    "R before us", "R / ours", "peak MiB",
)  # fmt: skip


class Row(NamedTuple):
    name: str
    found: Measurement
    r_before: float | None
    """Milliseconds."""
    r_now: float | None

    @property
    def ratio(self) -> float | None:
        reference = self.r_now or self.r_before
        return None if reference is None else reference / self.found.milliseconds


def run(name: str, scale: float) -> Measurement | None:
    """Measure a case in a process of its own, on one core as R has."""
    command = [sys.executable, "-m", "benchmarks.detector_cases", name, str(scale)]
    environment = os.environ | dict.fromkeys(_THREADS, "1")
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    if done.returncode:
        print(f"{name} failed:\n{done.stderr}", file=sys.stderr)
        return None
    return Measurement(**json.loads(done.stdout))


def run_r(console: Console) -> dict[str, float]:
    """Measure R surveillance, if it is there; milliseconds per (series, time point)."""
    rscript = shutil.which("Rscript")
    if rscript is None:
        console.print("Rscript is not installed: R's former figures only.")
        return {}
    done = subprocess.run(
        [rscript, str(_HERE / "detectors_speed.R")],
        env=os.environ | dict.fromkeys(_THREADS, "1"),
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    if done.returncode:
        console.print(f"R surveillance cannot be measured: {done.stderr.strip()[-400:]}")
    lines = (line.split("\t") for line in done.stdout.splitlines() if "\t" in line)
    return {name: float(value) for name, value in lines if value != "NA"}


def rows(found: dict[str, Measurement], r_now: dict[str, float]) -> list[Row]:
    result = []
    for name, measurement in found.items():
        alike = CASES[name].alike if name in CASES else None
        before, now = (figures.get(alike or "") for figures in (_R_BEFORE, r_now))
        if alike == _LATEST and before is not None:
            before /= 1000  # for each of 1,000 series; see the note
        result.append(Row(name, measurement, before, now))
    return result


def texts(row: Row) -> tuple[str, ...]:
    found = row.found
    case = CASES.get(row.name)
    whole = (case.whole or case.series) if case else found.series
    least, most = (_figure(1e3 * seconds) for seconds in (found.least, found.most))
    return (
        row.name,
        f"{found.series:,}" + (f" of {whole:,}" if found.series < whole else ""),
        f"{found.points:,}",
        _figure(1e3 * found.seconds),
        f"{least}-{most} ({found.repeats})",
        _figure(1e3 * found.milliseconds),
        "" if row.r_now is None else _figure(1e3 * row.r_now),
        "" if row.r_before is None else _figure(1e3 * row.r_before),
        "" if row.ratio is None else f"{row.ratio:,.0f}",
        _memory(found.mebibytes),
    )


def _memory(mebibytes: float | None) -> str:
    if mebibytes is None:
        return ""
    # What was free already in the process is not seen.
    return "< 2" if mebibytes < 2 else f"{mebibytes:,.0f}"


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def targets(found: dict[str, Measurement], r_now: dict[str, float]) -> list[str]:
    """Say which targets are met, per (series, time point), against R now or else before."""
    by_name = {row.name: row for row in rows(found, r_now)}
    lines = []

    def judge(text: str, ratio: float, least: float) -> None:
        word = "met    " if ratio >= least else "NOT MET"
        lines.append(f"{word}  {text}: {ratio:,.0f} times (target {least:,.0f})")

    wanted = ("farrington_flexible delta", "ears C1", "ears C2", "ears C3")
    for name in wanted:
        if name in by_name:
            judge(f"{name} against R", by_name[name].ratio or 0.0, 100)
    for row in by_name.values():
        if row.name.startswith(_LATEST) and row.ratio is not None:
            ours = row.found.milliseconds
            judge(f"{row.name}, R's call being for one series", _R_BEFORE[_LATEST] / ours, 10_000)
            judge(f"{row.name}, R's call being for 1,000", _R_BEFORE[_LATEST] / 1000 / ours, 10_000)
    if _STATSMODELS in found and "farrington_flexible delta" in found:
        theirs = found[_STATSMODELS]
        times = theirs.milliseconds / found["farrington_flexible delta"].milliseconds
        lines.append(
            f"farrington_flexible against statsmodels in this run: {times:,.0f} times "
            f"({theirs.milliseconds:.2f} ms each; {theirs.notes[0]})"
        )
    return lines


def notes(found: dict[str, Measurement], r_now: dict[str, float]) -> list[str]:
    return [
        *targets(found, r_now), _SOURCE, _LATEST_NOTE, _START_NOTE, _MEMORY_NOTE,
        f"machine: {os.cpu_count()} cores, {_processor()}; load at the end "
        + " ".join(f"{load:.1f}" for load in os.getloadavg()),
        f"system: {platform.system()} {platform.release()}, Python {platform.python_version()}, "
        + ", ".join(f"{name} {version(name)}" for name in ("numpy", "scipy", "statsmodels")),
    ]  # fmt: skip


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def page(found: dict[str, Measurement], r_now: dict[str, float], command: str) -> str:
    lines = ["# Speed of the detectors", "", f"`{command}`", ""]
    lines += ["| " + " | ".join(_HEADINGS) + " |", "|---" * len(_HEADINGS) + "|"]
    lines += ["| " + " | ".join(texts(row)) + " |" for row in rows(found, r_now)]
    lines += ["", *(f"- {note}" for note in notes(found, r_now))]
    return "\n".join(lines) + "\n"


def view(found: dict[str, Measurement], r_now: dict[str, float]) -> Table:
    table = Table(title="Detectors, CPU time per (series, time point) on one core")
    for heading in _HEADINGS:
        left = heading == "detector"
        table.add_column(heading, justify="left" if left else "right", no_wrap=left)
    for row in rows(found, r_now):
        table.add_row(*texts(row))
    return table


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.detectors_speed")
    parser.add_argument("--quick", action="store_true", help="a tenth of the series")
    parser.add_argument("--only", default="", help="only cases that have this in their name")
    parser.add_argument("--save", action="store_true", help="write results/detectors-DATE.md too")
    options = parser.parse_args(arguments)
    console = Console(width=180)
    found: dict[str, Measurement] = {}
    for name in ("statsmodels", *CASES):
        title = _STATSMODELS if name == "statsmodels" else name
        if options.only not in title:
            continue
        console.print(f"{title} ...", highlight=False)
        measured = run(name, 0.1 if options.quick else 1.0)
        if measured is not None:
            found[title] = measured
    r_now = run_r(console)
    console.print(view(found, r_now))
    for note in notes(found, r_now):
        console.print(note, highlight=False)
    if options.save:
        given = " ".join(sys.argv[1:] if arguments is None else arguments)
        path = _HERE / "results" / f"detectors-{datetime.now(UTC).date():%Y-%m-%d}.md"
        path.write_text(page(found, r_now, f"python -m benchmarks.detectors_speed {given}".strip()))


if __name__ == "__main__":
    main()
