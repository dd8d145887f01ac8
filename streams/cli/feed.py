"""Commands that bring data in: publish, import-counts."""

from __future__ import annotations

import logging
from pathlib import Path  # noqa: TC003 - typer needs it at run time
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from schemas.counts import ImportGrain  # noqa: TC001 - typer needs it at run time
from schemas.events import EventKind  # noqa: TC001 - typer needs it at run time
from streams.cli.common import (
    ConfigOption,
    DatabaseOption,
    KafkaOption,
    console,
    read_config,
    say_waiting,
    settings,
)
from streams.cli.output import open_database
from streams.cli.progress import counting_bar
from streams.errors import FenghuoError
from streams.feed.rows import Format  # noqa: TC001 - typer needs it at run time

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from schemas.refusals import Refusal
    from streams.cli.progress import Counting
    from streams.feed.events import Validator
    from streams.store.imports import Imported

__all__ = ["register"]

#: Bad rows that are told in full; a file of the wrong layout has no other.
_TOLD = 20


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(publish)
    app.command("import-counts")(import_counts)


def publish(
    file: Annotated[Path, typer.Argument(help="CSV or NDJSON, one event a row; - is stdin.")],
    *,
    kind: Annotated[EventKind, typer.Option(help="What the rows are.")],
    file_format: Annotated[
        Format | None, typer.Option("--format", help="By default, the extension tells.")
    ] = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Bad rows are told but are no failure.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check only, send nothing.")] = False,
    config: ConfigOption = None,
    kafka: KafkaOption = None,
) -> None:
    """Check the events of a file and publish them to Kafka.

    Rows are checked as ingest will check them; a bad row is told with its line and not sent, the
    others are. In CSV, columns are named like the fields, several ICD-10 codes are separated by
    blanks or |, and an empty cell is an absent field. Exit code 1 if there was a bad row.
    """
    from streams.feed.events import Validator  # noqa: PLC0415 - keeps --help fast
    from streams.feed.publish import publish_records  # noqa: PLC0415
    from streams.feed.rows import format_of, open_feed, read_rows  # noqa: PLC0415

    # What the client has to say is told by our own errors.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    current = settings(config=config, kafka=kafka)
    which = format_of(file, file_format)
    configuration = read_config(current)
    title = "Checking" if dry_run else "Publishing"
    with open_feed(file) as source, counting_bar(title, _size(file)) as bar:
        validator = Validator(configuration, kind, _Teller(file))
        rows = read_rows(_measured(source, bar), which, kind, name=str(file))
        records = validator.valid_records(rows)
        if dry_run:
            for _ in records:
                bar.count(1)
        else:
            publish_records(current.brokers, current.topics[kind], records, bar.count, say_waiting)
    _say_what_was_done(validator, dry_run=dry_run, topic=current.topics[kind])
    if validator.refused and not skip_bad:
        raise typer.Exit(1)


def import_counts(
    file: Annotated[
        Path | None, typer.Argument(help="CSV: period,region,count[,stratum]; - is stdin.")
    ] = None,
    *,
    signal: Annotated[str, typer.Option(help="Which signal of the configuration is counted.")],
    grain: Annotated[ImportGrain, typer.Option(help="What a period is.")] = "week",
    columns: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ROLE=COLUMN,...", help="Which columns to take: period, region, count, stratum."
        ),
    ] = None,
    decimal: Annotated[
        Literal[".", ","] | None,
        typer.Option(help="What stands before decimals, if 1.006 may be 1006."),
    ] = None,
    encoding: Annotated[
        str | None, typer.Option(help="Encoding of the file.", show_default="found out")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Imported counts take the place of live ones.")
    ] = False,
    remove: Annotated[
        bool, typer.Option("--remove", help="Take imported counts back; tells, and asks for --yes.")
    ] = False,
    regions: Annotated[
        list[str] | None, typer.Option("--region", help="With --remove: only these regions.")
    ] = None,
    first: Annotated[
        str | None, typer.Option("--from", help="With --remove: only from this period on.")
    ] = None,
    last: Annotated[
        str | None, typer.Option("--to", help="With --remove: only up to this period.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="With --remove: do it.")] = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> None:
    """Import aggregated counts of the past, as a baseline for the detectors.

    A period is a date, or an epi week such as 2009-W32; a region is a code or an exact name in
    Chinese or English. A period that has not ended is refused. Nothing is imported if anything
    in the file is wrong.

    --remove takes back what was imported for --signal and --grain, and live counts show again.
    """
    from streams.feed.counts import read_counts  # noqa: PLC0415
    from streams.feed.import_doubts import import_doubts  # noqa: PLC0415
    from streams.feed.rows import open_feed  # noqa: PLC0415
    from streams.store.db_clock import local_day  # noqa: PLC0415
    from streams.store.imports import import_counts as store  # noqa: PLC0415
    from streams.tables.layout import read_mapping  # noqa: PLC0415

    current = settings(config=config, database=database)
    configuration = read_config(current)
    if remove:
        from streams.cli.import_removal import choose, take_back  # noqa: PLC0415

        if file or replace:
            raise FenghuoError("--remove takes neither a file nor --replace; leave them out.")
        chosen = choose(
            configuration,
            signal=signal,
            grain=grain,
            regions=regions or (),
            first=first,
            last=last,
        )
        take_back(current.database, chosen, yes=yes)
        return
    if regions or first or last or yes:
        raise FenghuoError("--region, --from, --to and --yes go with --remove only.")
    if file is None:
        raise FenghuoError("Say which file to import (- is stdin), or give --remove.")
    with open_database(current.database) as connection:
        today = local_day(connection, configuration.surveillance.time_zone)
    with open_feed(file) as source:
        counts = read_counts(
            source,
            configuration,
            signal=signal,
            grain=grain,
            name=str(file),
            today=today,
            columns=read_mapping(columns) if columns else None,
            decimal=decimal,
            encoding=encoding,
        )
    for doubt in import_doubts(counts, configuration):
        console.print(doubt, style="yellow", markup=False, highlight=False, soft_wrap=True)
    with open_database(current.database) as connection:
        done = store(connection, counts, replace=replace)
    if not done.counts:
        console.print(f"{file} holds no counts.", highlight=False, markup=False)
        return
    for sentence in _import_told(done, signal, grain):
        console.print(sentence, highlight=False, markup=False, soft_wrap=True)


def _import_told(done: Imported, signal: str, grain: ImportGrain) -> Iterator[str]:
    yield (
        f"Imported counts of {signal}: {done.counts} ({done.added} new, {done.changed} changed), "
        f"regions: {done.regions}, {grain}s from {done.first} to {done.last}."
    )
    if done.replaced:
        yield (
            f"They replace {done.replaced} imported counts of the same regions and {grain}s in "
            f"other age groups, or in all (sum {done.replaced_value:g})."
        )
    if done.hidden:
        yield (
            f"They hide live counts of the same regions and {grain}s (sum {done.hidden:g}), which "
            "show again after import-counts --remove."
        )


class _Teller:
    """Tells the first bad rows."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._told = 0

    def __call__(self, line: int, refusal: Refusal) -> None:
        self._told += 1
        if self._told <= _TOLD:
            text = f"{self._file}:{line}: {refusal.reason}: {refusal.sentence}"
            console.print(text, style="yellow", markup=False, highlight=False, soft_wrap=True)
        elif self._told == _TOLD + 1:
            console.print("More bad rows follow; they are counted below.", style="yellow")


def _say_what_was_done(validator: Validator, *, dry_run: bool, topic: str) -> None:
    verb = "could be sent" if dry_run else "sent"
    console.print(f"{validator.accepted} events {verb} to {topic}.", highlight=False)
    for doubt, events in validator.doubts.most_common(_TOLD):
        of = f"{events:,} event{'s' * (events > 1)}"
        console.print(f"{of}: {doubt}", style="yellow", markup=False, highlight=False)
    if len(validator.doubts) > _TOLD:
        console.print(f"So do {len(validator.doubts) - _TOLD} more codes.", style="yellow")
    if validator.refused:
        reasons = ", ".join(f"{n} {reason}" for reason, n in validator.refused.most_common())
        total = validator.refused.total()
        console.print(f"{total} bad rows not sent: {reasons}.", style="red", highlight=False)


def _size(file: Path) -> int | None:
    return file.stat().st_size if file.is_file() else None


def _measured(lines: Iterable[bytes], bar: Counting) -> Iterator[bytes]:
    for line in lines:
        bar.advance(len(line))
        yield line
