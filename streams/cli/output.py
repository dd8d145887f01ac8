"""Results on standard output: tables for people, JSON for programs."""

from __future__ import annotations

import json
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from streams.store.pool import connect
from streams.store.schema import check_schema

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    import psycopg

    from schemas.events import EventKind
    from streams.settings import Settings

__all__ = [
    "JsonOption",
    "event_topics",
    "moment",
    "number",
    "open_database",
    "print_json",
    "results",
    "table",
]

#: Columns of a table that goes into a file or another program, which have no width of their own.
_WIDE = 160


JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def results() -> Console:
    """Return standard output; errors, progress and remarks go to `streams.cli.common.console`."""
    narrow = sys.stdout.isatty() or "COLUMNS" in os.environ
    return Console(highlight=False, width=None if narrow else _WIDE)


@contextmanager
def open_database(database: str) -> Iterator[psycopg.Connection]:
    """Connect to a database whose schema is this program's.

    Raises
    ------
    SchemaMisfitError
        Its schema is older or newer.
    UnavailableError
        It cannot be reached.
    """
    with connect(database) as connection:
        check_schema(connection)
        yield connection


def event_topics(current: Settings) -> dict[EventKind, str]:
    """Return the topic of each kind of events."""
    return {"visits": current.visits_topic, "sales": current.sales_topic}


def print_json(value: Any) -> None:
    """Print one JSON document."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2, default=str))


def table(
    title: str, *columns: str, right: tuple[str, ...] = (), wrap: tuple[str, ...] = ()
) -> Table:
    """Make a table.

    Parameters
    ----------
    right
        Columns that hold numbers.
    wrap
        Columns of text that give way where the terminal is narrow; the others stay whole.
    """
    made = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for column in columns:
        justify: Literal["left", "right"] = "right" if column in right else "left"
        made.add_column(column, justify=justify, overflow="fold", no_wrap=column not in wrap)
    return made


def moment(at: datetime | None, *, separator: str = " ") -> str:
    """Write a time for people, in the machine's time zone."""
    return at.astimezone().strftime(f"%Y-%m-%d{separator}%H:%M:%S") if at else "-"


def number(value: float | None) -> str:
    """Write a number for people: whole ones without decimals."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.2f}"
