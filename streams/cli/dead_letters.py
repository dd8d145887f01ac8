"""Commands about refused records."""

from __future__ import annotations

import base64
import sys
from pathlib import Path  # noqa: TC003 - typer needs it at run time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from schemas.privacy import privacy_of, text_looks_personal
from schemas.refusals import RefusalReason
from streams.cli.common import (
    ConfigOption,
    DatabaseOption,
    KafkaOption,
    console,
    read_config,
    record_number,
    say_waiting,
    settings,
)
from streams.cli.output import (
    JsonOption,
    event_topics,
    moment,
    open_database,
    print_json,
    results,
    table,
)
from streams.errors import FenghuoError

if TYPE_CHECKING:
    from streams.store.letters import Letter

__all__ = ["register"]

ReasonOption = Annotated[RefusalReason | None, typer.Option(help="Only letters of this reason.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Refused records: why, from whom, and sending them again.")
    group.command("list")(list_letters)
    group.command()(show)
    group.command()(replay)
    group.command()(redact)
    app.add_typer(group, name="dead-letters", no_args_is_help=True)


def list_letters(
    *,
    source: Annotated[str | None, typer.Option(help="Only letters of this source.")] = None,
    reason: ReasonOption = None,
    topic: Annotated[str | None, typer.Option(help="Only letters of this topic.")] = None,
    as_json: JsonOption = False,
    database: DatabaseOption = None,
) -> None:
    """Show by source and reason how many records were refused, with the latest example."""
    from streams.store.letters import group_letters  # noqa: PLC0415 - keeps --help fast

    with open_database(settings(database=database).database) as connection:
        groups = group_letters(connection, source=source, reason=reason, topic=topic)
    if as_json:
        print_json([group.model_dump(mode="json") for group in groups])
        return
    if not groups:
        console.print("No record was refused.")
        return
    shown = table(
        "Dead letters",
        "source\ntopic", "reason", "letters", "replayed", "latest", "id", "example",
        right=("letters", "replayed", "id"),
        wrap=("source\ntopic", "example"),
    )  # fmt: skip
    for group in groups:
        shown.add_row(
            f"{group.source_id or 'unknown'}\n{group.topic}",
            group.reason,
            str(group.letters),
            str(group.replayed),
            moment(group.latest, separator="\n"),
            str(group.latest_id),
            group.sentence,
        )
    results().print(shown, markup=False)


def show(
    letter_id: Annotated[int, typer.Argument(metavar="ID", parser=record_number)],
    *,
    value: Annotated[
        bool,
        typer.Option(
            "--value", help="Also the record as it came, on standard output. It may be personal."
        ),
    ] = False,
    as_json: JsonOption = False,
    database: DatabaseOption = None,
) -> None:
    """Show one refused record: why, where it was, and what the dead-letter topic says of it."""
    from streams.store.letters import find_letters  # noqa: PLC0415

    with open_database(settings(database=database).database) as connection:
        letters = find_letters(connection, ids=[letter_id])
    if not letters:
        raise _no_letter([letter_id])
    letter = letters[0]
    if as_json:
        print_json(_as_json(letter, with_value=value))
        return
    # With --value only the bytes are the result, so that they can be edited in a file.
    to = console if value else results()
    for name, text in _facts(letter):
        to.print(f"{name + ':':<14}{text}", markup=False, highlight=False, soft_wrap=True)
    if value and letter.value is not None:
        sys.stdout.flush()
        sys.stdout.buffer.write(letter.value + b"\n")
        sys.stdout.buffer.flush()


def replay(
    ids: Annotated[list[int] | None, typer.Argument(metavar="ID...", parser=record_number)] = None,
    *,
    reason: ReasonOption = None,
    file: Annotated[
        Path | None, typer.Option(help="The corrected record of the one ID; - is stdin.")
    ] = None,
    config: ConfigOption = None,
    database: DatabaseOption = None,
    kafka: KafkaOption = None,
) -> None:
    """Check refused records again and publish the good ones to their topic.

    Useful after the configuration was mended (a region added, say) or with a corrected record. Exit
    code 1 if any was not replayed.
    """
    from streams.feed.rows import open_feed  # noqa: PLC0415
    from streams.ingest.intake import Intake  # noqa: PLC0415
    from streams.replay import replay_letters  # noqa: PLC0415
    from streams.store.letters import find_letters  # noqa: PLC0415

    ids = ids or []
    if bool(ids) == (reason is not None):
        raise FenghuoError("Name letters by their ids, or give --reason; not both.")
    edited = None
    if file is not None:
        if len(ids) != 1:
            raise FenghuoError("--file corrects one record: give exactly one id with it.")
        with open_feed(file) as source:
            edited = source.read().strip()
    current = settings(config=config, database=database, kafka=kafka)
    intake = Intake(read_config(current))
    with open_database(current.database) as connection:
        letters = find_letters(connection, ids=ids, reason=reason)
        if missing := sorted(set(ids) - {letter.letter_id for letter in letters}):
            raise _no_letter(missing)
        done = replay_letters(
            connection,
            letters,
            brokers=current.brokers,
            intake=intake,
            kinds={topic: kind for kind, topic in event_topics(current).items()},
            edited=edited,
            on_wait=say_waiting,
        )
    for letter_id, text in done.hindered:
        console.print(
            f"{letter_id}: {text}", style="yellow", markup=False, highlight=False, soft_wrap=True
        )
    console.print(f"{len(done.replayed)} replayed, {len(done.hindered)} not.", highlight=False)
    if done.hindered:
        raise typer.Exit(1)


def redact(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count, and change nothing.")] = (
        False
    ),
    as_json: JsonOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> None:
    """Remove personal data from stored letters, by the patterns of the registry's country.

    Copies that Kafka, backups or WAL archives have cannot be redacted; the command says of how many
    letters the dead-letter topics have copies.
    """
    from streams.ingest.redaction import redact_letters  # noqa: PLC0415
    from streams.kafka import dead_letter_topic  # noqa: PLC0415

    current = settings(config=config, database=database)
    privacy = privacy_of(*read_config(current).regions.countries)
    with open_database(current.database) as connection:
        done = redact_letters(connection, privacy, dry_run=dry_run)
    if as_json:
        copies = [
            {**one._asdict(), "topic": dead_letter_topic(one.topic), "latest": str(one.latest)}
            for one in done.copied
        ]
        print_json({"examined": done.examined, "redacted": done.redacted, "copies": copies})
        return
    verb = "would be redacted" if dry_run else "redacted"
    console.print(f"{done.redacted} of {done.examined} letters {verb}.", highlight=False)
    for one in done.copied:
        console.print(
            f"{dead_letter_topic(one.topic)} holds copies of {one.letters} redacted letters as "
            f"they came, the latest of {moment(one.latest)}. They cannot be redacted: delete them "
            "with kafka-delete-records, or wait for the topic's retention. The event topic, "
            "backups and WAL archives hold the records as well.",
            style="yellow", markup=False, highlight=False, soft_wrap=True,
        )  # fmt: skip


def _no_letter(ids: list[int]) -> FenghuoError:
    listed = ", ".join(map(str, ids))
    return FenghuoError(f"There is no dead letter {listed}. See fenghuo dead-letters list.")


def _facts(letter: Letter) -> list[tuple[str, str]]:
    size = "no value" if letter.value is None else f"{len(letter.value)} bytes"
    return [
        ("letter", str(letter.letter_id)),
        ("reason", letter.reason),
        ("sentence", letter.sentence),
        ("source", letter.source_id or "unknown"),
        ("topic", letter.topic),
        ("partition", str(letter.partition)),
        ("offset", str(letter.offset)),
        ("log", letter.log),
        ("key", _key(letter) or "none"),
        (
            "value",
            f"redacted {moment(letter.redacted_at)}"
            if letter.redacted_at
            else f"{size} (show with --value; it may be personal)",
        ),
        ("refused", moment(letter.refused_at)),
        ("handed over", moment(letter.published_at)),
        ("replayed", moment(letter.replayed_at)),
    ]


def _as_json(letter: Letter, *, with_value: bool) -> dict[str, Any]:
    document = letter.model_dump(mode="json", exclude={"key", "value"})
    document["key"] = _key(letter)
    if with_value:
        value = letter.value
        document["value_base64"] = base64.b64encode(value).decode() if value is not None else None
    return document


def _key(letter: Letter) -> str | None:
    if letter.key is None:
        return None
    key = letter.key.decode("utf-8", "replace")
    return f"(hidden: looks like a {what})" if (what := text_looks_personal(key)) else key
