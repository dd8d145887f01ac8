"""`fenghuo db repair`: series numbers that lost their names get them back."""

from __future__ import annotations

from typing import Annotated

import typer

from streams.cli.common import ConfigOption, DatabaseOption, read_config, settings
from streams.cli.output import JsonOption, open_database, print_json, results

__all__ = ["repair"]


def repair(
    *,
    apply: Annotated[
        bool, typer.Option("--apply", help="Write the names; without it they are only shown.")
    ] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> None:
    """Name series numbers whose series are missing, from the stored events.

    Their counts are visible again, their days are judged again, and sums by level and facility are
    rebuilt. Exit code 1 if a number cannot be named.
    """
    from streams.store.rebuilding import Part, rebuild  # noqa: PLC0415 - keeps --help fast
    from streams.store.repair import name_series  # noqa: PLC0415

    current = settings(config=config, database=database)
    configuration = read_config(current)
    with open_database(current.database) as connection:
        connection.autocommit = True
        found = name_series(connection, configuration, apply=apply)
        named = [orphan for orphan in found if orphan.name]
        if apply and named:
            for _ in rebuild(connection, [Part.FACILITIES, Part.LEVELS]):
                pass
    if as_json:
        print_json({"applied": apply, "series": [orphan._asdict() for orphan in found]})
    else:
        for orphan in found:
            text = "is " + ", ".join(orphan.name) if orphan.name else f"not named: {orphan.problem}"
            results().print(f"Series {orphan.number} {text}.", markup=False, soft_wrap=True)
        done = "named" if apply else "can be named; give --apply to do so"
        results().print(f"{len(named)} of {len(found)} unknown series {done}.")
    if len(named) < len(found):
        raise typer.Exit(1)
