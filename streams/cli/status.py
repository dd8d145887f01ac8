"""The command that shows the state of an installation."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from streams.cli.common import ConfigOption, DatabaseOption, KafkaOption, read_config, settings
from streams.cli.output import (
    JsonOption,
    moment,
    number,
    open_database,
    print_json,
    results,
    table,
)
from streams.store.db_clock import describe

if TYPE_CHECKING:
    import typer
    from rich.table import Table

    from streams.status import Database, Kafka, Status

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(status)


def status(
    *,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
    kafka: KafkaOption = None,
) -> None:
    """Show sources, lag, counts, open alerts, notifications and dead letters."""
    from streams.status import collect_status  # noqa: PLC0415 - keeps --help fast

    # What the client has to say is shown as the state of Kafka.
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    current = settings(config=config, database=database, kafka=kafka)
    configuration = read_config(current)
    with open_database(current.database) as connection:
        found = collect_status(
            connection,
            current.brokers,
            topics=list(current.topics.values()),
            configuration=configuration,
        )
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    for line in _headlines(found):
        results().print(line, markup=False)
    for shown in (
        _lag(found.kafka),
        _sources(found),
        _counts(found),
        _quarantined(found),
        _alerts(found),
        _notifications(found),
        _letters(found),
        _codes(found),
        _set_aside(found),
        _jumps(found),
    ):
        if shown is not None:
            results().print(shown, markup=False)


def _headlines(found: Status) -> list[str]:
    database = found.database
    extension = f"TimescaleDB {database.timescale}" if database.timescale else "no TimescaleDB"
    facts = ", ".join(f"{key} {value}" for key, value in sorted(database.installation.items()))
    lines = [
        f"Database  PostgreSQL {database.postgres}, {extension}, {_megabytes(database)}",
        f"          {facts}",
        f"Config    {database.config_version}" + _judged(found),
    ]
    if told := describe(database.clock_skew):
        lines.append(f"Clock     {told}")
    kafka = found.kafka
    if kafka.problem:
        lines.append(f"Kafka     {kafka.problem}")
    else:
        waiting = sum(partition.lag for partition in kafka.partitions)
        lines.append(f"Kafka     {kafka.bootstrap}, {waiting:,} records wait to be read")
    lines += [
        f"          {topic} does not exist; run fenghuo create-topics"
        for topic in kafka.missing_topics
    ]
    return lines


def _megabytes(database: Database) -> str:
    return f"{database.size_bytes / 1e6:,.0f} MB"


def _judged(found: Status) -> str:
    judged = found.database.judged
    pending = found.database.pending
    since = found.database.pending_since
    oldest = f", the oldest since {moment(since)}" if since else ""
    waiting = f"; {pending:,} changes wait for a judge{oldest}" if pending else ""
    if history := found.database.history:
        since = found.database.history_since
        oldest = f", the oldest since {moment(since)}" if since else ""
        waiting += f"; history of {history:,} series waits behind live changes{oldest}"
    if not judged:
        return f", nothing judged yet{waiting}"
    older = sum(v.verdicts for v in judged if v.version != found.database.config_version)
    text = f", last judged {moment(judged[0].latest)}"
    if older:
        text += f"; {older:,} verdicts are of earlier versions"
    return text + waiting


def _lag(kafka: Kafka) -> Table | None:
    if not kafka.partitions:
        return None
    shown = table(
        "Lag", "topic", "partition", "end", "stored", "lag",
        right=("partition", "end", "stored", "lag"),
    )  # fmt: skip
    for one in kafka.partitions:
        stored = "-" if one.stored is None else f"{one.stored:,}"
        shown.add_row(one.topic, str(one.partition), f"{one.end:,}", stored, f"{one.lag:,}")
    return shown


def _sources(found: Status) -> Table:
    shown = table(
        "Sources",
        "source", "topic", "last event", "last received", "accepted\n24 h", "refused\n24 h",
        right=("accepted\n24 h", "refused\n24 h"),
        wrap=("source",),
    )  # fmt: skip
    for one in found.sources:
        shown.add_row(
            one.source_id,
            one.topic,
            moment(one.last_event),
            moment(one.last_received),
            f"{one.accepted_24h:,}",
            f"{one.refused_24h:,}",
        )
    return _or_none(shown)


def _counts(found: Status) -> Table:
    shown = table(
        "Counts", "signal", "first day", "last day", "total", "imported from", "to",
        right=("total",),
    )  # fmt: skip
    for one in found.counts:
        shown.add_row(
            one.signal,
            str(one.first_day or "-"),
            str(one.last_day or "-"),
            number(one.total),
            str(one.imported_from or "-"),
            str(one.imported_to or "-"),
        )
    return _or_none(shown)


def _quarantined(found: Status) -> Table | None:
    if not found.quarantined:
        return None
    shown = table(
        "Set aside by judging",
        "signal", "rule", "region", "since", "attempts", "next attempt", "reason",
        right=("attempts",),
        wrap=("reason",),
    )  # fmt: skip
    for one in found.quarantined:
        shown.add_row(
            one.signal,
            one.rule,
            one.region,
            moment(one.since),
            f"{one.failures:,}",
            moment(one.retry_at),
            one.reason,
        )
    return shown


def _alerts(found: Status) -> Table:
    shown = table("Open alerts", "severity", "alerts", right=("alerts",))
    for severity, alerts in found.open_alerts.items():
        shown.add_row(severity, f"{alerts:,}")
    return _or_none(shown)


def _notifications(found: Status) -> Table | None:
    if not found.notifications:
        return None
    shown = table(
        "Notifications",
        "channel", "sent\n24 h", "held", "waiting", "failed", "oldest due", "last error",
        right=("sent\n24 h", "held", "waiting", "failed"),
        wrap=("last error",),
    )  # fmt: skip
    for one in found.notifications:
        shown.add_row(
            one.channel,
            f"{one.sent_24h:,}",
            f"{one.held:,}",
            f"{one.waiting:,}",
            f"{one.failed:,}",
            moment(one.oldest),
            one.last_error or "",
        )
    return shown


def _letters(found: Status) -> Table:
    shown = table(
        "Dead letters", "reason", "letters", "replayed", "waiting", "latest",
        right=("letters", "replayed", "waiting"),
    )  # fmt: skip
    for one in found.dead_letters:
        shown.add_row(
            one.reason,
            f"{one.letters:,}",
            f"{one.replayed:,}",
            f"{one.waiting:,}",
            moment(one.latest),
        )
    return _or_none(shown)


def _codes(found: Status) -> Table | None:
    if not found.doubtful_codes:
        return None
    shown = table(
        "Region codes to correct at the source",
        "source", "code", "facilities", "last day", "what to send",
        right=("facilities",),
        wrap=("source", "what to send"),
    )  # fmt: skip
    for one in found.doubtful_codes:
        shown.add_row(
            one.source_id, one.region, f"{one.facilities:,}", str(one.last_day), one.advice
        )
    return shown


def _set_aside(found: Status) -> Table | None:
    if not found.set_aside:
        return None
    shown = table(
        "Set aside", "queue", "rows", "latest", "reason", right=("rows",), wrap=("queue", "reason")
    )
    for one in found.set_aside:
        shown.add_row(
            one.queue, f"{'at least ' if one.at_least else ''}{one.rows:,}", one.example, one.reason
        )
    return shown


def _jumps(found: Status) -> Table | None:
    if not found.offset_jumps:
        return None
    shown = table(
        "Offset jumps", "topic", "partition", "from", "to", "reason", "noticed",
        right=("partition", "from", "to"),
    )  # fmt: skip
    for one in found.offset_jumps:
        shown.add_row(
            one.topic,
            str(one.partition),
            f"{one.from_offset:,}",
            f"{one.to_offset:,}",
            one.reason,
            moment(one.noticed_at),
        )
    return shown


def _or_none(shown: Table) -> Table:
    """Say so where there is nothing."""
    if not shown.row_count:
        shown.add_row("none", *[""] * (len(shown.columns) - 1))
    return shown
