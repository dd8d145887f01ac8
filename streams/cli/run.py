"""Commands that run the system: worker, db, topics."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from streams.cli.common import (
    ConfigOption,
    DatabaseOption,
    KafkaOption,
    console,
    read_config,
    settings,
)

if TYPE_CHECKING:
    from streams.store.migrate import Migrated

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(worker)
    app.command("create-topics")(create_topics)
    db = typer.Typer(help="The database.", no_args_is_help=True)
    db.command()(migrate)
    app.add_typer(db, name="db")


def worker(
    config: ConfigOption = None, database: DatabaseOption = None, kafka: KafkaOption = None
) -> None:
    """Run a worker until it is stopped: ingest, judge, tell of alerts, hand over dead letters."""
    from streams.preflight import check_ready  # noqa: PLC0415 - keeps --help fast
    from streams.worker import create_app, run_worker  # noqa: PLC0415 - Faust is slow to import

    current = settings(config=config, database=database, kafka=kafka)
    configuration = read_config(current)
    check_ready(current, configuration)
    run_worker(create_app(current, configuration))


def create_topics(kafka: KafkaOption = None) -> None:
    """Create the topics of events, dead letters and alerts where they are missing."""
    from streams.kafka import create_topics as create  # noqa: PLC0415

    current = settings(kafka=kafka)
    created = create(
        current.kafka,
        current.topics.values(),
        plain=[current.alerts_topic],
        partitions=current.partitions,
        replication=current.replication,
    )
    console.print("Created " + ", ".join(created) if created else "All topics are there.")


def migrate(config: ConfigOption = None, database: DatabaseOption = None) -> None:
    """Bring the database up to date: tables, regions, TimescaleDB policies."""
    from streams.store.migrate import migrate as run  # noqa: PLC0415

    current = settings(config=config, database=database)
    console.print(describe(run(current.database, read_config(current))))


def describe(done: Migrated) -> str:
    """Say in one line what a migration did."""
    steps = ", ".join(done.applied) if done.applied else "nothing new"
    extension = f"TimescaleDB {done.timescale}" if done.timescale else "plain PostgreSQL"
    return f"Migrations: {steps}. Regions: {done.regions}. {extension}."
