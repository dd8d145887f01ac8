"""`fenghuo db check`: whether the tables of a live database agree with each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from streams.cli.common import ConfigOption, DatabaseOption, console, settings
from streams.cli.output import JsonOption, open_database, print_json, results

if TYPE_CHECKING:
    from streams.store.checks import Checked

__all__ = ["check"]


def check(
    *,
    as_json: JsonOption = False,
    database: DatabaseOption = None,
    config: ConfigOption = None,
) -> None:
    """Prove that counts, sums and alerts are what the stored events come to.

    Reads one snapshot, writes nothing, and may run beside workers. Exit code 1 if something is
    wrong.
    """
    from streams.config import load_configuration  # noqa: PLC0415 - keeps --help fast
    from streams.store.checks import run_checks  # noqa: PLC0415
    from streams.store.head_states import check_heads  # noqa: PLC0415

    given = settings(database=database, config=config)
    configuration = load_configuration(given.config)

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with (
        open_database(given.database) as connection,
        Progress(*columns, console=console, transient=True) as progress,
    ):
        task = progress.add_task("Checking", total=None)

        def show(name: str, window: int, windows: int) -> None:
            progress.update(task, description=name, completed=window, total=windows)

        done = run_checks(connection, show)
        show("heads of alerts", 0, 1)
        done.append(check_heads(given.database, configuration))
    wrong = [checked for checked in done if checked.wrong]
    if as_json:
        print_json({"ok": not wrong, "checks": [checked._asdict() for checked in done]})
    else:
        for checked in done:
            results().print(describe(checked), markup=False, soft_wrap=True)
    if wrong:
        raise typer.Exit(1)


def describe(checked: Checked) -> str:
    """Say in one line what a check found."""
    verdict = f"WRONG: {checked.wrong:,} of " if checked.wrong else "ok: "
    line = f"{checked.name}: {checked.statement}. {verdict}{checked.examined:,} {checked.unit}"
    return f"{line}; for example, {checked.example}" if checked.wrong else line
