"""Commands that run the system: worker, db, topics."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli import db_rebuild, db_roles
from streams.cli.common import (
    ConfigOption,
    DatabaseOption,
    KafkaOption,
    console,
    read_config,
    settings,
    warn,
)
from streams.cli.db_backup import backup
from streams.cli.db_check import check
from streams.cli.db_repair import repair
from streams.cli.output import open_database

if TYPE_CHECKING:
    from streams.store.migrate import Migrated

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(worker)
    app.command("create-topics")(create_topics)
    db = typer.Typer(help="The database.", no_args_is_help=True)
    db.command()(migrate)
    db.command()(reader)
    db.command()(check)
    db.command()(backup)
    db.command()(repair)
    db_rebuild.register(db)
    db_roles.register(db)
    app.add_typer(db, name="db")


def worker(
    config: ConfigOption = None, database: DatabaseOption = None, kafka: KafkaOption = None
) -> None:
    """Run a worker until it is stopped: ingest, judge, tell of alerts, hand over dead letters."""
    from streams.preflight import check_ready  # noqa: PLC0415 - keeps --help fast
    from streams.worker import create_app, run_worker  # noqa: PLC0415 - Faust is slow to import

    current = settings(config=config, database=database, kafka=kafka)
    configuration = read_config(current)
    warn(configuration.doubts)
    check_ready(current, configuration)
    run_worker(create_app(current, configuration))


def create_topics(kafka: KafkaOption = None) -> None:
    """Create the topics of events, dead letters and alerts where they are missing."""
    from streams.kafka import create_topics as create  # noqa: PLC0415

    current = settings(kafka=kafka)
    created = create(
        current.brokers,
        current.topics.values(),
        plain=[current.alerts_topic],
        partitions=current.partitions,
        replication=current.replication,
    )
    console.print("Created " + ", ".join(created) if created else "All topics are there.")


def migrate(config: ConfigOption = None, database: DatabaseOption = None) -> None:
    """Bring the database up to date: tables, regions, TimescaleDB policies."""
    from streams.store.migrate import migrate as run  # noqa: PLC0415
    from streams.store.surveyed import note_page  # noqa: PLC0415

    current = settings(config=config, database=database)
    done = run(current.database, read_config(current), notice=_notice)
    console.print(describe(done))
    note_page(current.database, current.page_url)


def reader(
    name: Annotated[str, typer.Argument(help="Name of the role.")] = "fenghuo_reader",
    *,
    password_stdin: Annotated[
        bool, typer.Option(help="Read the password from standard input, not from the environment.")
    ] = False,
    database: DatabaseOption = None,
) -> None:
    """Make the role that dashboards read with, or bring it up to date.

    The password is that in FENGHUO_READER_PASSWORD, or the first line of standard input. Repeat it
    after each upgrade.
    """
    from streams.store.reader import grant_reader  # noqa: PLC0415

    current = settings(database=database)
    password = current.reader_password.get_secret_value()
    if password_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    with open_database(current.database) as connection:
        done = grant_reader(connection, name, password or None)
    became = "was made" if done.created else "is up to date"
    without = "" if password else " No password was given: it keeps the one that it has, if any."
    console.print(
        f"Role {done.name} {became}; it reads {done.tables} tables and views.{without}",
        highlight=False,
    )
    if not done.safe:
        console.print(
            "Warning: it can take locks and fill the disk of the whole server. Run this command as "
            "a superuser, who can forbid it.",
            style="yellow",
        )
    if done.elsewhere:
        console.print(
            f"Warning: it may also connect to {', '.join(done.elsewhere)}, where nothing is "
            f"forbidden to it. Let it into this database only: a line in pg_hba.conf, or "
            "REVOKE CONNECT ON DATABASE ... FROM PUBLIC.",
            style="yellow",
            highlight=False,
        )


def _notice(sentence: str) -> None:
    console.print(sentence, markup=False, highlight=False, soft_wrap=True)


def describe(done: Migrated) -> str:
    """Say in one line what a migration did."""
    steps = ", ".join(done.applied) if done.applied else "nothing new"
    extension = f"TimescaleDB {done.timescale}" if done.timescale else "plain PostgreSQL"
    return f"Migrations: {steps}. Regions: {done.regions}. {extension}."
