"""Command groups put together; errors become one line."""

from __future__ import annotations

import logging
import sys

import typer
from pydantic import ValidationError

from streams.cli import (
    alerts,
    config,
    dead_letters,
    demo,
    detect,
    detectors,
    evaluate,
    feed,
    grafana,
    health,
    notify,
    run,
    schema,
    simulate,
    status,
    users,
    web,
)
from streams.cli.common import console
from streams.cli.places import Commands
from streams.errors import FenghuoError
from streams.settings import Settings

__all__ = ["app", "main"]

app = typer.Typer(
    name="fenghuo",
    cls=Commands,
    help="Real-time public-health surveillance: events in, explained early warnings out.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for group in (
    demo,
    run,
    config,
    feed,
    simulate,
    status,
    health,
    alerts,
    notify,
    grafana,
    dead_letters,
    detect,
    detectors,
    evaluate,
    schema,
    users,
    web,
):
    group.register(app)


def main() -> None:
    """Run the command line; exit code 1 and one line on an error that people can mend."""
    logging.getLogger("kafka").setLevel(logging.ERROR)
    try:
        app()
    except FenghuoError as error:
        console.print(
            f"fenghuo: {error}", style="red", markup=False, highlight=False, soft_wrap=True
        )
        sys.exit(1)
    except ValidationError as error:
        from streams.configuration.plain import plain_problems  # noqa: PLC0415 - seldom needed

        place, text = plain_problems(error, Settings)[0]
        name = f"FENGHUO_{'.'.join(map(str, place)).upper()}"
        console.print(f"fenghuo: {name}: {text}", style="red", markup=False, soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
