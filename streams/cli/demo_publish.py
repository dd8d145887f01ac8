"""`fenghuo demo publish`: the demo's data for servers and workers that run already."""

from __future__ import annotations

import logging
from typing import Annotated

import typer

from streams.cli.common import (
    ConfigOption,
    DatabaseOption,
    KafkaOption,
    console,
    read_config,
    say_waiting,
    settings,
)
from streams.cli.progress import counting_bar

__all__ = ["SeedOption", "publish"]

SeedOption = Annotated[int, typer.Option(help="Seed of the expansion into events.")]


def publish(
    seed: SeedOption = 2009,
    config: ConfigOption = None,
    database: DatabaseOption = None,
    kafka: KafkaOption = None,
) -> None:
    """Only import the demo's baseline and publish its events, for workers that run already.

    The configuration is that of `fenghuo init --demo`. Running it again counts nothing twice. Where
    there are no users, it adds the first one and prints a one-time password.
    """
    from streams.demo.events import count_records  # noqa: PLC0415 - keeps --help fast
    from streams.demo.publish import publish_demo  # noqa: PLC0415
    from streams.store.people import first_admin  # noqa: PLC0415
    from streams.store.pool import connect  # noqa: PLC0415

    # What the client has to say is told by our own errors.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    current = settings(config=config, database=database, kafka=kafka)
    configuration = read_config(current)
    with counting_bar("Publishing", count_records(seed)) as bar:

        def on_progress(events: int) -> None:
            bar.advance(events)
            bar.count(events)

        sent = publish_demo(
            current, configuration, seed=seed, on_progress=on_progress, on_wait=say_waiting
        )
        with connect(current.database) as connection:
            admin = first_admin(connection)
    console.print(f"Published {sent:,} events. Next: fenghuo status", highlight=False)
    if admin:
        console.print(
            f"Sign in at {current.page_url} as {admin.name} with the one-time password "
            f"{admin.password}",
            highlight=False,
            soft_wrap=True,
        )
