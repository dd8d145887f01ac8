"""Options and output that commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from streams.settings import Settings
from streams.whole_numbers import whole_number

if TYPE_CHECKING:
    from collections.abc import Iterable

    from streams.config import Configuration

__all__ = [
    "ConfigOption",
    "DatabaseOption",
    "KafkaOption",
    "console",
    "read_config",
    "record_number",
    "say_waiting",
    "settings",
    "warn",
]

#: Characters of a wrong text that a message repeats.
_SHOWN = 30
#: People read standard error; standard output is for results.
console = Console(stderr=True)

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", help="Surveillance configuration.", show_default="FENGHUO_CONFIG"
    ),
]
DatabaseOption = Annotated[
    str | None, typer.Option(help="PostgreSQL URI.", show_default="FENGHUO_DATABASE")
]
KafkaOption = Annotated[
    str | None, typer.Option(help="Kafka bootstrap servers.", show_default="FENGHUO_KAFKA")
]


def settings(
    *,
    config: Path | None = None,
    database: str | None = None,
    kafka: str | None = None,
    page_host: str | None = None,
    page_port: int | None = None,
) -> Settings:
    """Read settings from the environment, with the options that were given on top."""
    given = {
        "config": config,
        "database": database,
        "kafka": kafka,
        "page_host": page_host,
        "page_port": page_port,
    }
    return Settings(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]


def record_number(text: str) -> int:
    """Read the number of an alert, a letter or a token.

    Raises
    ------
    typer.BadParameter
        It is none.
    """
    number = whole_number(text)
    if number is None:
        shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
        raise typer.BadParameter(f"{shown!r} is not the number of a record; write digits only.")
    return number


def read_config(current: Settings) -> Configuration:
    """Load the configuration that the settings name."""
    from streams.config import load_configuration  # noqa: PLC0415 - keeps --help fast

    return load_configuration(current.config)


def warn(doubts: Iterable[str]) -> None:
    """Warn of what is allowed but can hardly be meant, a line each."""
    for doubt in doubts:
        console.print(
            f"Warning: {doubt}.", style="yellow", markup=False, highlight=False, soft_wrap=True
        )


def say_waiting(sentence: str) -> None:
    """Tell that a broker is waited for, or answers again."""
    console.print(sentence, style="yellow", markup=False, highlight=False, soft_wrap=True)
