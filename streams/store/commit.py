"""The exactly-once commit: one batch of records, one transaction.

Offsets, event versions, counts with their history, dead letters and the series to judge are
written together or not at all. Progress moves by compare-and-set on the stored offset: a worker
that has lost its partition finds the offset elsewhere and writes nothing.

Rows come in by COPY into a temporary table; the database's function `take_in` does the rest, in one
round trip. Whether an event is new is decided by the primary key of `event_heads` alone: first
``INSERT ... ON CONFLICT DO NOTHING``, which also waits for another worker's transaction that holds
the same event; then, only for events that were there before, a comparison of revisions under row
locks. All statements lock rows in key order, and a deadlock or serialisation failure repeats the
whole transaction.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from psycopg.rows import class_row

from streams.errors import StoreError
from streams.ingest.intake import BEYOND_RETENTION, RefusedRecord, revision_conflict
from streams.store.limits import HOLDING
from streams.store.schema import hold_schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from psycopg import AsyncConnection, AsyncCursor

    from streams.ingest.intake import AcceptedEvent, Place, Reading
    from streams.store.series import SeriesNumbers

__all__ = ["BatchPosition", "Committed", "StaleOffsetError", "commit_batch"]


class BatchPosition(NamedTuple):
    """Which offsets a batch answers for: from `position` up to, not including, `next_offset`."""

    #: Id of the topic: offsets are those of its log.
    log: str
    topic: str
    partition: int
    position: int
    next_offset: int


class Committed(NamedTuple):
    """What a commit did, in records."""

    batch_id: int
    inserted: int
    replaced: int
    repeated: int
    refused: int


class StaleOffsetError(StoreError):
    """The stored offset is not the batch's position; nothing was written."""

    def __init__(self, at: BatchPosition, stored: int | None) -> None:
        super().__init__(
            f"{at.topic}[{at.partition}]: a batch begins at offset {at.position}, but the database "
            f"stands at {stored}."
        )
        self.stored = stored


async def commit_batch(
    connection: AsyncConnection,
    at: BatchPosition,
    reading: Reading,
    series: SeriesNumbers,
    *,
    records: int,
    worker: str,
    received_at: datetime,
    new_epoch: int | None = None,
) -> Committed:
    """Store one batch.

    Parameters
    ----------
    new_epoch
        Leader epoch of the batch's last record, unless it is stored already.

    Raises
    ------
    StaleOffsetError
        When the stored offset is not ``at.position``. Nothing was written.
    SchemaMisfitError
        When the database was migrated for another program meanwhile. Nothing was written.
    psycopg.errors.ForeignKeyViolation
        When `series` remembers numbers that the database does not have: rows of the table `series`
        were deleted or changed by hand. Nothing was written; forget them and try again.
    """
    literals = await series.know(connection, reading.accepted)
    # In a thread, so that the event loop serves the commits that are under way.
    lines = await asyncio.to_thread(_copy_text, reading.accepted, literals)
    async with connection.transaction(), connection.cursor(row_factory=class_row(_Taken)) as cursor:
        await hold_schema(connection)
        if lines:
            async with cursor.copy(_COPY) as copy:
                await copy.write(lines)
        refused_by = [record.source_id or "unknown" for record in reading.refused]
        await cursor.execute(
            _TAKE_IN, (HOLDING, *at, reading.kind, records, refused_by, worker, received_at)
        )
        done = await cursor.fetchone()
        assert done is not None  # noqa: S101 - a function gives one row
        if done.batch is None:
            raise StaleOffsetError(at, done.stored_offset)
        if new_epoch is not None:
            await cursor.execute(_NOTE_EPOCH, (new_epoch, *at[:3]))
        refused = [*reading.refused, *_as_refused(reading.accepted, done)]
        await _insert_dead_letters(cursor, at, refused, done.recorded)
    return Committed(done.batch, done.inserted, done.replaced, done.repeated, len(refused))


class _Taken(NamedTuple):
    """What the database's function answers; `batch` is None where the offset stands elsewhere."""

    stored_offset: int | None
    batch: int | None
    recorded: datetime
    inserted: int
    replaced: int
    repeated: int
    conflicts: list[int]
    unkept: list[int]


# The offset's row stays locked until the end: a worker that freezes then must not keep it.
_TAKE_IN = """
SELECT t.* FROM set_config('idle_in_transaction_session_timeout', %s, true),
                take_in(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) AS t
"""

_NOTE_EPOCH = (
    "UPDATE stream_offsets SET leader_epoch = %s WHERE log = %s AND topic = %s AND partition = %s"
)

_COPY = """
COPY incoming (ord, event_key, revision, cancelled, occurred, source_id, facility_id, region,
               stratum, series, amounts, payload) FROM STDIN
"""

_INCOMING = """
CREATE TEMPORARY TABLE IF NOT EXISTS incoming (
    ord         int         NOT NULL,
    event_key   uuid        NOT NULL,
    revision    smallint    NOT NULL,
    cancelled   boolean     NOT NULL,
    occurred    float8      NOT NULL,
    occurred_at timestamptz NOT NULL GENERATED ALWAYS AS (to_timestamp(occurred)) STORED,
    source_id   text        NOT NULL,
    facility_id text        NOT NULL,
    region      text        NOT NULL,
    stratum     text        NOT NULL,
    series      int[]       NOT NULL,
    amounts     numeric[]   NOT NULL,
    payload     json        NOT NULL
) ON COMMIT DELETE ROWS;
-- Events of the batch that were stored before, as they stood, with what becomes of the new version.
CREATE TEMPORARY TABLE IF NOT EXISTS known (
    ord         int       NOT NULL,
    outcome     text      NOT NULL,
    cancelled   boolean   NOT NULL,
    occurred_at timestamptz NOT NULL,
    facility_id text      NOT NULL,
    series      int[]     NOT NULL,
    amounts     numeric[] NOT NULL
) ON COMMIT DELETE ROWS
"""


async def prepare_connection(connection: AsyncConnection) -> None:
    """Make the temporary tables of a connection; for the pool's `configure`."""
    async with connection.cursor() as cursor:
        for statement in _INCOMING.split(";"):
            await cursor.execute(statement)
    await connection.commit()


def _copy_text(accepted: Iterable[AcceptedEvent], literals: Mapping[Place, str]) -> bytes:
    """Write COPY's text format by hand: several times as fast as writing row by row.

    Only the payload can hold characters that COPY reads specially; identifiers, signals and strata
    are restricted by their patterns.
    """
    amounts: dict[tuple[float, ...], str] = {}
    lines = []
    for order, event in enumerate(accepted):
        payload = event.payload.decode()
        if "\\" in payload:
            payload = payload.replace("\\", "\\\\")
        if "\n" in payload or "\t" in payload or "\r" in payload:
            # Outside of strings, where JSON allows them; inside they are escaped.
            payload = payload.translate(_WHITE_SPACE)
        amount = amounts.get(event.amounts)
        if amount is None:
            amount = amounts[event.amounts] = ",".join(map(repr, event.amounts))
        _, key, revision, cancelled, occurred, source, facility, place, _, _ = event
        lines.append(
            f"{order}\t{key}\t{revision}\t{cancelled}\t{occurred!r}\t{source}\t{facility}\t"
            f"{place.region}\t{place.stratum}\t{literals[place]}\t{{{amount}}}\t{payload}\n"
        )
    return "".join(lines).encode()


_WHITE_SPACE = str.maketrans("\n\t\r", "   ")


def _as_refused(accepted: Sequence[AcceptedEvent], done: _Taken) -> Iterable[RefusedRecord]:
    refusals = {order: revision_conflict(accepted[order].revision) for order in done.conflicts}
    refusals |= dict.fromkeys(done.unkept, BEYOND_RETENTION)
    for order, refusal in refusals.items():
        event = accepted[order]
        yield RefusedRecord(event.offset, None, event.payload, event.source_id, refusal)


async def _insert_dead_letters(
    cursor: AsyncCursor,
    at: BatchPosition,
    refused: Sequence[RefusedRecord],
    recorded_at: datetime,
) -> None:
    if not refused:
        return
    await cursor.executemany(
        'INSERT INTO dead_letters (log, topic, partition, "offset", reason, sentence, '
        "source_id, key, value, refused_at, redacted_at) "
        "VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        [
            (
                *at[:3],
                record.offset,
                record.refusal.reason.value,
                record.refusal.sentence,
                record.source_id,
                record.key,
                record.value,
                recorded_at,
                recorded_at if record.redacted else None,
            )
            for record in refused
        ],
    )
