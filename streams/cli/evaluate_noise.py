"""The command that counts each method's false alarms on noise."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer needs it at run time
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from streams.cli.common import console
from streams.cli.output import JsonOption, print_json, results, table
from streams.cli.places import check_file
from streams.errors import FenghuoError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streams.evaluation.noise import NoiseRow, Tried

__all__ = ["noise"]


def noise(
    *,
    detectors: Annotated[
        str, typer.Option(help="Types of methods, by commas; all by default.")
    ] = "",
    scale: Annotated[
        float, typer.Option(min=0.001, help="Part of the series of a full run.")
    ] = 1.0,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 2,
    as_json: JsonOption = False,
    out: Annotated[Path | None, typer.Option(help="Markdown file for the tables.")] = None,
) -> None:
    """Count the false alarms of each method's defaults on noise, by series and year.

    Poisson and negative binomial counts without any outbreak, by day, as sums of seven days and by
    week. Levels of different methods are not comparable; their alerts per series-year are.
    """
    from detectors.registry import DETECTORS  # noqa: PLC0415 - keeps --help fast
    from streams.evaluation.noise import noise_page, tried_methods  # noqa: PLC0415

    types = [name.strip() for name in detectors.split(",") if name.strip()]
    for name in types:
        if name not in DETECTORS:
            raise FenghuoError(f"--detectors {name}: there are {', '.join(DETECTORS)}.")
    tried = tried_methods(types, scale)
    if not tried:
        raise FenghuoError(f"--detectors {detectors}: none of these raises alarms on noise.")
    if out is not None:
        check_file(out, "--out")
    rows = _run(tried, workers)
    if out is not None:
        out.write_text(noise_page(rows), encoding="utf-8")
    if as_json:
        print_json(_plain(rows))
        return
    _show(rows)


def _run(tried: Sequence[Tried], workers: int) -> list[NoiseRow]:
    from streams.evaluation.noise import run_noise  # noqa: PLC0415

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("Judging noise", total=len(tried))

        def moved(one: Tried) -> None:
            done = f"Judged {one.detector['type']}, {one.grain}"
            progress.update(task, advance=1, description=done)

        return run_noise(tried, workers=workers, on_done=moved)


def _plain(rows: Sequence[NoiseRow]) -> list[dict[str, object]]:
    from streams.evaluation.noise import interval  # noqa: PLC0415

    return [
        {
            "detector": dict(row.tried.detector),
            "grain": row.tried.grain,
            "noise": name,
            "alerts_per_series_year": found.alerts_a_year,
            "interval": interval(found),
            "share_of_steps_in_alarm": found.share,
            "series_years": found.years,
        }
        for row in rows
        for name, found in row.found.items()
    ]


def _show(rows: Sequence[NoiseRow]) -> None:
    names = tuple(dict.fromkeys(name for row in rows for name in row.found))
    shown = table("Alerts per series-year on noise", "method", "grain", *names, right=names)
    for row in rows:
        given = " ".join(f"{k}={v}" for k, v in row.tried.detector.items() if k != "type")
        cells = (f"{row.found[n].alerts_a_year:.2f}" if n in row.found else "" for n in names)
        shown.add_row(f"{row.tried.detector['type']} {given}".strip(), row.tried.grain, *cells)
    results().print(shown, markup=False)
    console.print("Levels of different methods are not comparable: compare the alerts.")
