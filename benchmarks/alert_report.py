"""What the runs with alerts showed: tables for people, Markdown for the repository."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from rich.table import Table

from benchmarks.alert_runs import SCENARIOS
from benchmarks.steady import percentiles

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

    from benchmarks.alert_runs import Run

__all__ = ["markdown", "print_report", "summary"]

_TARGET_SECONDS = 5.0
_WATCHED = {
    "row": "alert visible",
    "topic": "on Kafka",
    "hook": "webhook received",
    "explained": "explained",
}


class _Table(NamedTuple):
    title: str
    headings: tuple[str, ...]
    rows: list[tuple[str, ...]]


def summary(run: Run) -> str:
    """Tell of one run in a line."""
    parts = [
        f"{title} {_seconds(getattr(run, name), 50, 99)}"
        for name, title in _WATCHED.items()
        if getattr(run, name)
    ]
    return (
        f"{run.scenario}: stream {_milliseconds(run.visible)} ms; {', '.join(parts)} s "
        f"(p50 / p99; load {run.load:.1f})"
    )


def print_report(
    console: Console, runs: Sequence[Run], rate: int, about: Mapping[str, str]
) -> None:
    """Print everything."""
    for found in _tables(runs, rate):
        table = Table(*found.headings, title=found.title, title_justify="left")
        for column in table.columns[1:]:
            column.justify = "right"
        for row in found.rows:
            table.add_row(*row)
        console.print(table)
    for line in _notes(runs):
        console.print(line, highlight=False)
    for name, text in about.items():
        console.print(f"{name}: {text}", highlight=False)


def markdown(runs: Sequence[Run], rate: int, about: Mapping[str, str], command: str) -> str:
    """Write the result as a page."""
    lines = ["# Alerts", "", f"`{command}`", ""]
    for table in _tables(runs, rate):
        lines += [f"## {table.title}", ""]
        lines += ["| " + " | ".join(table.headings) + " |", "|---" * len(table.headings) + "|"]
        lines += ["| " + " | ".join(row) + " |" for row in table.rows]
        lines += [""]
    lines += [*(f"- {note}" for note in _notes(runs)), ""]
    lines += [f"- {name}: {text}" for name, text in about.items()]
    return "\n".join(lines) + "\n"


def _tables(runs: Sequence[Run], rate: int) -> list[_Table]:
    grouped = {
        one.title: mine
        for one in SCENARIOS
        if (mine := [r for r in runs if r.scenario == one.name])
    }
    return [
        _Table(
            f"From the completing event to the alert at {rate:,} events/s, seconds: "
            "p50 / p95 / p99 / max",
            ("channels", "outbreaks", *_WATCHED.values()),
            [(title, *_alert_cells(mine)) for title, mine in grouped.items()],
        ),
        _Table(
            "The stream beside it, milliseconds: p50 / p99",
            ("channels", "events", "to recorded_at", "until visible", "by round", "load",
             "worker CPU s", "database CPU s"),
            [(title, *_stream_cells(mine)) for title, mine in grouped.items()],
        ),
        _Table(
            "Events of alerts: all / most of one alert",
            ("channels", "seconds", "alerts", "opened", "updated", "explained", "other"),
            [(title, *_volume_cells(mine)) for title, mine in grouped.items()],
        ),
    ]  # fmt: skip


def _alert_cells(runs: Sequence[Run]) -> tuple[str, ...]:
    count = sum(run.outbreaks for run in runs)
    cells = [f"{count:,}"]
    for name in _WATCHED:
        seconds = list(chain.from_iterable(getattr(run, name) for run in runs))
        missing = count - len(seconds)
        note = f" ({missing} missing)" if missing else ""
        cells.append(_seconds(seconds, 50, 95, 99, 100) + note if seconds else "")
    return tuple(cells)


def _stream_cells(runs: Sequence[Run]) -> tuple[str, ...]:
    return (
        f"{sum(run.events for run in runs):,}",
        _milliseconds([s for run in runs for s in run.recorded]),
        _milliseconds([s for run in runs for s in run.visible]),
        ", ".join(_milliseconds(run.visible) for run in runs),
        " ".join(f"{run.load:.1f}" for run in runs),
        " ".join(f"{run.worker_cpu:.0f}" for run in runs if run.worker_cpu),
        " ".join(f"{run.database_cpu:.0f}" for run in runs if run.database_cpu),
    )


def _volume_cells(runs: Sequence[Run]) -> tuple[str, ...]:
    named = ("opened", "updated", "explained")
    other = sum(n for run in runs for kind, n in run.kinds.items() if kind not in named)
    return (
        f"{sum(run.seconds for run in runs):.0f}",
        f"{sum(run.alerts for run in runs):,}",
        *(
            f"{sum(run.kinds.get(kind, 0) for run in runs):,} / "
            f"{max(run.most.get(kind, 0) for run in runs):,}"
            for kind in named
        ),
        f"{other:,}",
    )


def _notes(runs: Sequence[Run]) -> list[str]:
    notes = []
    for name in ("row", "hook"):
        seconds = list(chain.from_iterable(getattr(run, name) for run in runs))
        if not seconds:
            continue
        p99 = percentiles(seconds, 99)[0] / 1000
        met = "met    " if p99 < _TARGET_SECONDS else "NOT MET"
        notes.append(
            f"{met}  {_WATCHED[name]} within {_TARGET_SECONDS:g} s of the event: p99 {p99:.2f} s "
            f"of {len(seconds):,}"
        )
    notes.append(f"webhook called twice for the same: {sum(run.doubled for run in runs)}")
    return notes


def _seconds(seconds: Sequence[float], *wanted: float) -> str:
    return " / ".join(f"{value / 1000:.2f}" for value in percentiles(seconds, *wanted))


def _milliseconds(seconds: Sequence[float]) -> str:
    return " / ".join(f"{value:.0f}" for value in percentiles(seconds, 50, 99))
