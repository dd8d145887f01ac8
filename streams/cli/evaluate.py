"""The commands that put our detectors beside the reference software and beside each other."""

from __future__ import annotations

from dataclasses import asdict
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from streams.cli.common import console
from streams.cli.evaluate_compare import compare_methods
from streams.cli.evaluate_noise import noise
from streams.cli.output import JsonOption, print_json, results, table
from streams.cli.places import check_file
from streams.errors import FenghuoError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from detectors.evaluation.compare import Compared, Comparison

__all__ = ["register"]

OutOption = Annotated[Path | None, typer.Option(help="Markdown file for the table.")]

#: Figures that a terminal has no room for.
_NARROW = "pod_k"


class Simulators(StrEnum):
    """Values of --simulator."""

    WEEKLY = "weekly"
    DAILY = "daily"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(invoke_without_command=True)
    group.callback()(evaluate)
    group.command(name="compare")(compare_methods)
    group.command()(noise)
    app.add_typer(group, name="evaluate")


def evaluate(
    context: typer.Context,
    *,
    simulator: Annotated[
        Simulators, typer.Option(help="Noufaily 2013 (weekly) or 2019 (daily).")
    ] = Simulators.WEEKLY,
    series: Annotated[
        int, typer.Option(min=1, help="Series to simulate; daily: for each outbreak size.")
    ] = 2100,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same series.")] = 1,
    detectors: Annotated[
        str, typer.Option(help="Detectors or R's names of methods, by commas; all by default.")
    ] = "",
    as_json: JsonOption = False,
    out: OutOption = None,
) -> None:
    """Run detectors on simulated outbreaks; figures with 95 % intervals, beside those of R.

    R's figures were computed with R surveillance 1.20.3 on simulations of the same design. A
    figure is marked with * where the two differ by more than 3 standard errors.
    """
    from detectors.evaluation.compare import markdown  # noqa: PLC0415 - keeps --help fast

    if context.invoked_subcommand is not None:
        return
    names = [name.strip() for name in detectors.split(",") if name.strip()]
    if out is not None:
        check_file(out, "--out")
    rows = _run(simulator, series, seed, _known(simulator, names))
    if out is not None:
        out.write_text(f"{markdown(rows)}\n", encoding="utf-8")
    if as_json:
        print_json([asdict(row) for row in rows])
        return
    _show(rows)


def _known(simulator: Simulators, names: Sequence[str]) -> Sequence[str]:
    """Refuse names that are neither detectors nor R's methods, before anything is simulated."""
    from detectors.evaluation.compare import plan  # noqa: PLC0415
    from detectors.registry import DETECTORS  # noqa: PLC0415

    known = {*DETECTORS, *(method.name for method in plan(simulator.value))}
    known |= {str(method.detector["type"]) for method in plan(simulator.value)}
    for name in names:
        if name not in known:
            close = get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]}? " if close else ""
            raise FenghuoError(
                f"--detectors {name}: no such detector or method; {hint}There are "
                f"{', '.join(DETECTORS)}."
            )
    return names


def _run(simulator: Simulators, series: int, seed: int, names: Sequence[str]) -> list[Comparison]:
    from detectors.evaluation.compare import compare, plan  # noqa: PLC0415
    from detectors.evaluation.simulate_daily import DAILY_SIZES  # noqa: PLC0415

    sizes = len(DAILY_SIZES) if simulator is Simulators.DAILY else 1
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        total = sizes * len(plan(simulator.value, names))
        task = progress.add_task("Simulating", total=total)

        def moved(row: Comparison) -> None:
            progress.update(task, advance=1, description=f"Judged {row.method}")

        return compare(simulator.value, series=series, seed=seed, detectors=names, on_done=moved)


def _show(rows: Sequence[Comparison]) -> None:
    done = [row for row in rows if row.skipped is None]
    if done:
        figures = tuple(name for name in done[0].figures if not name.startswith(_NARROW))
        shown = table(
            "Ours, 95 % interval, R surveillance 1.20.3", "method", "k", *figures, right=figures
        )
        for row in done:
            size = "1-10" if row.size is None else f"{row.size:g}"
            shown.add_row(row.method, size, *(_cell(row.figures[name]) for name in figures))
        results().print(shown, markup=False)
    for text in dict.fromkeys(f"{row.method}: {row.note}" for row in done if row.note):
        results().print(text, markup=False, soft_wrap=True)
    for text in dict.fromkeys(f"{row.method}: {row.skipped}" for row in rows if row.skipped):
        console.print(f"Not run: {text}", markup=False, highlight=False, soft_wrap=True)


def _cell(figure: Compared) -> str:
    from detectors.evaluation.compare import DIFFERENT  # noqa: PLC0415 - keeps --help fast

    ours = figure.ours
    text = f"{ours.value:.3f}\n{ours.low:.3f}-{ours.high:.3f}"
    if figure.reference is None:
        return text
    mark = "*" if figure.deviation is not None and abs(figure.deviation) > DIFFERENT else ""
    return f"{text}\nR {figure.reference:.3f}{mark}"
