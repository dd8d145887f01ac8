"""Commands about notifications."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from streams.cli.common import (
    ConfigOption,
    DatabaseOption,
    KafkaOption,
    console,
    read_config,
    settings,
)
from streams.cli.output import JsonOption, moment, open_database, print_json, results, table
from streams.errors import FenghuoError

if TYPE_CHECKING:
    from streams.config import Configuration
    from streams.settings import Settings
    from streams.store.outbox_reading import OutboxRow

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Notifications: try a channel, see what is sent and what is not.")
    group.command("test")(try_)
    group.command()(outbox)
    group.command("retry")(retry_)
    app.add_typer(group, name="notify", no_args_is_help=True)


def try_(
    channel: Annotated[str, typer.Argument(help="A channel of the configuration.")],
    *,
    config: ConfigOption = None,
    kafka: KafkaOption = None,
) -> None:
    """Send a message that says it is a trial, and tell what became of it."""
    current = settings(config=config, kafka=kafka)
    configuration = read_config(current)
    channels = configuration.surveillance.notify.channels
    if channel not in channels:
        known = f"defined are {', '.join(channels)}" if channels else "none is defined"
        raise FenghuoError(f"{channel!r} is no channel; {known}. See notify.channels.")
    remark = asyncio.run(_send_sample(channel, current, configuration))
    console.print(f"{channel} has taken the message.", highlight=False)
    if remark:
        console.print(f"But: {remark}", style="yellow", markup=False, highlight=False)


async def _send_sample(name: str, current: Settings, configuration: Configuration) -> str | None:
    from datetime import UTC, datetime  # noqa: PLC0415 - keeps --help fast
    from uuid import uuid4  # noqa: PLC0415

    from streams.notify.channels import LazySender, SendError  # noqa: PLC0415
    from streams.notify.entries import make_entry  # noqa: PLC0415
    from streams.notify.rendering import Templates  # noqa: PLC0415
    from streams.notify.sample import as_trial, sample  # noqa: PLC0415

    notify, now = configuration.surveillance.notify, datetime.now(UTC)
    channel = notify.channels[name]
    folder = None if notify.templates is None else current.config.parent / notify.templates
    entry = make_entry(
        *sample(configuration, now), configuration, channel=name, secret=None, now=now
    )
    message = Templates(folder).write(
        str(uuid4()),
        name,
        channel.language or notify.language,
        [entry],
        configuration,
        digest=False,
    )
    sender = LazySender(channel, kafka=current.brokers)
    try:
        return await sender.send(as_trial(message))
    except SendError as error:
        raise FenghuoError(
            f"{name} has not taken the message: {error}. "
            "Check the URL of the channel and its environment variables."
        ) from None
    finally:
        await sender.close()


def outbox(
    *,
    state: Annotated[
        Literal["waiting", "sent", "failed"] | None, typer.Option(help="Only in this state.")
    ] = None,
    channel: Annotated[str | None, typer.Option(help="Only of this channel.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, help="Most lines shown.")] = 50,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> None:
    """Show what is sent, waits or has failed, the newest first."""
    from streams.store.outbox_reading import list_outbox  # noqa: PLC0415

    current = settings(config=config, database=database)
    with open_database(current.database) as connection:
        found = list_outbox(connection, state=state, channel=channel, limit=limit)
    if as_json:
        print_json([row.model_dump(mode="json") for row in found])
        return
    if not found:
        console.print("There is nothing in the outbox.")
        return
    shown = table(
        "Notifications, newest first",
        "alert", "event", "channel\nroute", "state", "due\nsent", "tries", "subject\nerror",
        right=("alert", "tries"),
        wrap=("subject\nerror",),
    )  # fmt: skip
    for row in found:
        shown.add_row(
            f"{row.alert_id}",
            row.kind,
            f"{row.channel}\n{row.route}",
            _told(row),
            f"{moment(row.due_at)}\n{moment(row.sent_at)}",
            str(row.attempts),
            "\n".join(filter(None, (row.subject, row.last_error))),
        )
    results().print(shown, markup=False)


def retry_(
    channel: Annotated[
        str | None, typer.Argument(help="Only of this channel; omitted: of all.")
    ] = None,
    *,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> None:
    """Have messages that failed, or wait for another attempt, tried again at once."""
    from streams.store.outbox_reading import retry  # noqa: PLC0415

    current = settings(config=config, database=database)
    with open_database(current.database) as connection:
        count = retry(connection, channel=channel)
    console.print(f"{count} messages are tried again.", highlight=False)


def _told(row: OutboxRow) -> str:
    return f"{row.state}\ndigest" if row.digest else row.state
