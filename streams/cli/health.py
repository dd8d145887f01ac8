"""Commands that tell by their exit code whether a process on this machine works."""

from __future__ import annotations

from typing import Final

import typer

from streams.cli.common import settings
from streams.errors import FenghuoError

__all__ = ["register"]

#: Page of the triage page that asks its database.
_PAGE_PATH: Final = "/readyz"
_ALL_ADDRESSES: Final = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 - compared, not bound


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        help="Whether a worker or the page on this machine works; for health checks.",
        no_args_is_help=True,
    )
    group.command()(worker)
    group.command()(web)
    app.add_typer(group, name="health")


def worker() -> None:
    """Ask the worker whose status page is on FENGHUO_WEB_PORT; exit code 1 if it is stuck."""
    from streams.health import WORKER_PATH, ask  # noqa: PLC0415 - keeps --help fast

    port = settings().web_port
    if not port:
        raise FenghuoError(
            "The worker has no status page to ask. Set FENGHUO_WEB_PORT where it runs, and here."
        )
    typer.echo(ask(port, WORKER_PATH))


def web() -> None:
    """Ask the triage page on FENGHUO_PAGE_PORT; exit code 1 if it or its database is away."""
    from streams.health import LOOPBACK, ask  # noqa: PLC0415 - keeps --help fast

    current = settings()
    host = LOOPBACK if current.page_host in _ALL_ADDRESSES else current.page_host
    typer.echo(ask(current.page_port, _PAGE_PATH, host=host))
