"""Commands about the documents of the interface."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streams.cli.common import console, settings
from streams.cli.output import event_topics
from streams.cli.places import check_folder

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Schemas of what travels.")
    group.callback()(_group)
    group.command()(export)
    app.add_typer(group, name="schema", no_args_is_help=True)


def _group() -> None:
    """Keep `export` a command of its own although it is the only one."""


def export(
    out: Annotated[Path, typer.Option(help="Folder to write to.")] = Path("schemas/exported"),
) -> None:
    """Write JSON Schemas of events, counts, alerts and configuration, and the AsyncAPI document."""
    from streams.documents import write_documents  # noqa: PLC0415 - keeps --help fast

    current = settings()
    check_folder(out, "--out")
    written = write_documents(out, event_topics(current), alerts=current.alerts_topic)
    console.print(f"Wrote {len(written)} documents to {out}.", markup=False, highlight=False)
