"""`fenghuo db rebuild`: the roll-ups again from what they sum up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from streams.cli.common import DatabaseOption, console, settings
from streams.cli.output import open_database
from streams.store.rebuilding import Part

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.progress import TaskID

    from streams.store.rebuilding import Slice

__all__ = ["register"]

_COLUMNS = (
    TextColumn("{task.description}"),
    BarColumn(),
    MofNCompleteColumn(),
    TextColumn("slices, {task.fields[corrected]:,} rows corrected"),
    TimeElapsedColumn(),
)


def register(db: typer.Typer) -> None:
    """Add the command to the group `db`."""
    db.command()(rebuild)


def rebuild(
    parts: Annotated[
        list[Part] | None,
        typer.Argument(help="Daily counts, tables by facility, sums of upper levels; all."),
    ] = None,
    *,
    database: DatabaseOption = None,
) -> None:
    """Rebuild the roll-ups from hourly counts and events; only rows that differ are written.

    Workers may run meanwhile. The command may be stopped and repeated at any time.
    """
    from streams.store.rebuilding import rebuild as run  # noqa: PLC0415 - the name is taken

    with open_database(settings(database=database).database) as connection:
        connection.autocommit = True
        corrected = _show(run(connection, parts or tuple(Part)))
    for part, rows in corrected.items():
        console.print(f"{part}: {rows:,} rows corrected", markup=False, highlight=False)
    if not corrected:
        console.print("There is nothing to rebuild.")


def _show(slices: Iterable[Slice]) -> dict[str, int]:
    """Show progress; return the corrected rows by part."""
    corrected: dict[str, int] = {}
    tasks: dict[str, TaskID] = {}
    with Progress(*_COLUMNS, console=console) as progress:
        for one in slices:
            if one.part not in tasks:
                tasks[one.part] = progress.add_task(one.part, total=one.slices, corrected=0)
            corrected[one.part] = corrected.get(one.part, 0) + one.corrected
            progress.update(tasks[one.part], completed=one.done, corrected=corrected[one.part])
    return corrected
