"""`fenghuo web`: the triage page and its API."""

from __future__ import annotations

from typing import Annotated

import typer

from streams.cli.common import ConfigOption, DatabaseOption, console, read_config, settings

__all__ = ["register"]

HostOption = Annotated[
    str | None, typer.Option(help="Address to listen on.", show_default="FENGHUO_PAGE_HOST")
]
PortOption = Annotated[
    int | None,
    typer.Option(min=1, max=65535, help="Port to listen on.", show_default="FENGHUO_PAGE_PORT"),
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(web)


def web(
    *,
    host: HostOption = None,
    port: PortOption = None,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> None:
    """Serve the triage page and the REST API until stopped."""
    from streams.preflight import check_page  # noqa: PLC0415 - keeps --help fast
    from streams.web.serving import serve  # noqa: PLC0415

    current = settings(config=config, database=database, page_host=host, page_port=port)
    configuration = read_config(current)
    check_page(current, configuration)
    serve(
        current,
        configuration,
        started=lambda: console.print(
            f"The page is at {current.page_url}. Stop with Ctrl-C.", highlight=False
        ),
    )
