"""The command that compares `auto` with every single method."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer needs it at run time
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from streams.cli.common import console
from streams.cli.output import results, table
from streams.cli.places import check_folder
from streams.errors import FenghuoError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from detectors.evaluation.compare import Comparison
    from streams.evaluation.running import Plan, SetResult

__all__ = ["compare_methods"]

_QUICK_SCALE, _QUICK_DRAWS = 0.1, 100
_FIGURES = ("pod", "pod_first", "half_time", "mean_delay")


def compare_methods(
    *,
    out: Annotated[
        Path | None, typer.Option(help="Folder for pages, pictures and numbers.")
    ] = None,
    sets: Annotated[str, typer.Option(help="Data sets, by commas; all by default.")] = "",
    detectors: Annotated[
        str, typer.Option(help="Types of methods, by commas; all by default.")
    ] = "",
    quick: Annotated[bool, typer.Option("--quick", help="A tenth of the series.")] = False,
    scale: Annotated[
        float, typer.Option(min=0.001, help="Part of the series of a full run.")
    ] = 1.0,
    draws: Annotated[int, typer.Option(min=20, help="Bootstrap draws.")] = 500,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 2,
    beside: Annotated[
        bool, typer.Option("--beside-r/--no-beside-r", help="With --out: pages beside R too.")
    ] = True,
    redraw: Annotated[
        bool, typer.Option("--redraw", help="Make the pages from the numbers in the folder.")
    ] = False,
) -> None:
    """Compare auto with every single method at matched false-positive rates.

    On simulated series whose seeds no method was tuned on: POD, POD in the first week, time to
    detection, F1 and PPV with 95 % intervals, and paired differences. With --out it writes
    Markdown pages, curves as pictures, and the numbers.
    """
    from streams.evaluation.running import Plan  # noqa: PLC0415 - keeps --help fast

    if redraw and out is None:
        raise FenghuoError("--redraw needs --out, the folder with the numbers.")
    plan = Plan(
        sets=_known(sets),
        detectors=_split(detectors),
        scale=scale * (_QUICK_SCALE if quick else 1.0),
        draws=min(draws, _QUICK_DRAWS) if quick else draws,
        workers=workers,
    )
    if out is not None:
        check_folder(out, "--out")
    try:
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
        if not redraw:
            found = _run(plan, out, beside=beside and out is not None)
            _show(found)
        if out is not None:
            _write(out)
    except OSError as error:
        raise FenghuoError(f"{out}: {error.strerror}.") from None


def _split(names: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in names.split(",") if name.strip())


def _known(names: str) -> tuple[str, ...]:
    from detectors.evaluation.data_sets import DATA_SETS  # noqa: PLC0415

    chosen = _split(names)
    for name in chosen:
        if name not in DATA_SETS:
            raise FenghuoError(f"No data set {name!r}: there are {', '.join(DATA_SETS)}.")
    return chosen or tuple(DATA_SETS)


def _run(plan: Plan, out: Path | None, *, beside: bool) -> list[SetResult]:
    from streams.evaluation.running import BESIDE_R, compare_sets  # noqa: PLC0415
    from streams.evaluation.storing import store_beside_r, store_set  # noqa: PLC0415

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        total = sum(1 + len(plan.chosen(name)) for name in plan.sets)
        task = progress.add_task("Simulating", total=total + len(BESIDE_R) * beside)

        def moved(name: str) -> None:
            progress.update(task, advance=1, description=name)

        def store(one: SetResult) -> None:
            if out is not None:
                store_set(one, out)

        def store_rows(simulator: str, rows: list[Comparison]) -> None:
            if out is not None:
                store_beside_r(simulator, rows, out)

        return compare_sets(
            plan, on_done=moved, on_set=store, on_beside=store_rows if beside else None
        )


def _write(out: Path) -> None:
    from streams.evaluation.writing import write_pages  # noqa: PLC0415

    written = write_pages(out)
    size = sum(path.stat().st_size for path in written)
    console.print(f"Wrote {len(written)} files, {size / 1e6:.1f} MB, in {out}.", highlight=False)


def _show(found: Sequence[SetResult]) -> None:
    from streams.evaluation.ranking import tally  # noqa: PLC0415

    shown = table(
        "auto against single methods: won / open / lost", "data set", "methods", *_FIGURES
    )
    for one in found:
        counts = tally(one)
        cells = (
            " / ".join(str(counts[name][each]) for each in ("won", "open", "lost"))
            for name in _FIGURES
        )
        shown.add_row(one.name, str(len(one.others)), *cells)
    results().print(shown, markup=False)
    for one in found:
        for name, why in one.failed.items():
            console.print(
                f"Not run on {one.name}: {name}: {why}",
                markup=False,
                highlight=False,
                soft_wrap=True,
            )
