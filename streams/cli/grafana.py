"""Commands about Grafana."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.common import ConfigOption, DatabaseOption, console, read_config, settings
from streams.cli.output import JsonOption, open_database, print_json, results, table
from streams.errors import FenghuoError

if TYPE_CHECKING:
    import psycopg

    from streams.config import Configuration
    from streams.grafana.sync import Result
    from streams.settings import Settings

__all__ = ["register"]

#: How often a call is tried while Grafana is away: some seconds in all.
_ATTEMPTS = 4


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Grafana: dashboards, data source, annotations of alerts.")
    # Without it, a group of one command would be that command.
    group.callback()(_group)
    group.command()(sync)
    app.add_typer(group, name="grafana", no_args_is_help=True)


def _group() -> None:
    """Grafana: dashboards, data source, annotations of alerts."""


def sync(
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell what would be written.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Also what was changed in Grafana by hand.")
    ] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> None:
    """Bring folder, data source, dashboards and annotations in Grafana in step with what is here.

    What is as it should be is not written. A dashboard that was changed in Grafana by hand stays
    unless --overwrite is given.
    """
    from streams.store.surveyed import note_page  # noqa: PLC0415 - keeps --help fast

    current = settings(config=config, database=database)
    if not current.grafana_api:
        raise FenghuoError("FENGHUO_GRAFANA_URL is not set. Write Grafana's address there.")
    if not current.grafana_token.get_secret_value():
        raise FenghuoError(
            "FENGHUO_GRAFANA_TOKEN is not set. Make a token of a service account in Grafana."
        )
    configuration = read_config(current)
    with open_database(current.database) as connection:
        body = _datasource(connection, current.grafana_database.get_secret_value())
    if not dry_run:
        # Dashboards ask the database where the page is.
        note_page(current.database, current.page_url)
    done = asyncio.run(_sync(current, configuration, body, overwrite=overwrite, dry_run=dry_run))
    if as_json:
        print_json([one._asdict() for one in done])
    else:
        _print(done, dry_run=dry_run)
    refused = [one.remark for one in done if one.action == "refused"]
    if refused:
        raise FenghuoError(
            f"{'; '.join(refused)}. Take the changes into the files of dashboards/ if they are to "
            "stay, or give --overwrite to lose them."
        )


def _datasource(connection: psycopg.Connection, uri: str) -> dict[str, Any] | None:
    """Return the data source to be, None where it is left alone; refuse a role that may write."""
    from streams.grafana.datasource import datasource_body  # noqa: PLC0415 - keeps --help fast

    facts = connection.execute(
        "SELECT current_setting('server_version_num')::int, "
        "EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb'), "
        "to_regclass('grafana_annotations') IS NOT NULL"
    ).fetchone()
    assert facts is not None  # noqa: S101 - the query gives one row
    if not facts[2]:
        raise FenghuoError("The database has no tables for Grafana yet. Run fenghuo db migrate.")
    if not uri:
        return None
    body = datasource_body(uri, server_version=facts[0], timescale=facts[1])
    writes = connection.execute(
        "SELECT has_table_privilege(rolname, 'alerts', 'INSERT, UPDATE, DELETE, TRUNCATE') "
        "FROM pg_roles WHERE rolname = %s",
        (body["user"],),
    ).fetchone()
    if writes is not None and writes[0]:
        raise FenghuoError(
            f"The role {body['user']} of FENGHUO_GRAFANA_DATABASE may change tables, and so could "
            "everybody who edits a dashboard. Name a role that may only SELECT."
        )
    return body


async def _sync(
    current: Settings,
    configuration: Configuration,
    datasource: dict[str, Any] | None,
    *,
    overwrite: bool,
    dry_run: bool,
) -> list[Result]:
    from psycopg_pool import AsyncConnectionPool  # noqa: PLC0415 - keeps --help fast

    from streams.grafana import sync as steps  # noqa: PLC0415
    from streams.grafana.client import open_grafana  # noqa: PLC0415
    from streams.grafana.dashboards import dashboards_folder, load_dashboards  # noqa: PLC0415
    from streams.grafana.pushing import Pusher  # noqa: PLC0415

    web_url = current.page_url
    dashboards = load_dashboards(dashboards_folder())
    token = current.grafana_token.get_secret_value()
    async with (
        open_grafana(current.grafana_api, token, attempts=_ATTEMPTS) as grafana,
        AsyncConnectionPool(
            current.database, min_size=1, max_size=1, open=False, kwargs={"autocommit": True}
        ) as pool,
    ):
        done = [await steps.sync_folder(grafana, overwrite=overwrite, dry_run=dry_run)]
        done.append(
            await steps.sync_datasource(grafana, datasource, overwrite=overwrite, dry_run=dry_run)
        )
        done += [
            await steps.sync_dashboard(grafana, one, overwrite=overwrite, dry_run=dry_run)
            for one in dashboards
        ]
        pusher = Pusher(pool, grafana, configuration, web_url=web_url)
        done += await steps.sync_annotations(
            grafana,
            pool,
            configuration,
            pusher,
            web_url=web_url,
            overwrite=overwrite,
            dry_run=dry_run,
        )
    return done


def _print(done: list[Result], *, dry_run: bool) -> None:
    title = "What a sync would do" if dry_run else "Grafana"
    shown = table(title, "what", "name", "is", "remark", wrap=("name", "remark"))
    for one in done:
        name = one.name
        if one.kind == "annotations":
            name = f"{one.number} {one.name if one.number > 1 else one.name.removesuffix('s')}"
        shown.add_row(one.kind, name, one.action, one.remark)
    results().print(shown, markup=False)
    if not any(one.action in {"created", "updated", "removed"} for one in done):
        console.print("Nothing would be changed." if dry_run else "Nothing was changed.")
