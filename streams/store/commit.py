"""The exactly-once commit: one batch of records, one transaction.

Offsets, event versions, counts with their history, dead letters and the series to judge are
written together or not at all. Progress moves by compare-and-set on the stored offset: a worker
that has lost its partition finds the offset elsewhere and writes nothing.

Rows come in by COPY into a temporary table. Whether an event is new is decided by the primary key
of `event_heads` alone: first ``INSERT ... ON CONFLICT DO NOTHING``, which also waits for another
worker's transaction that holds the same event; then, only for events that were there before, a
comparison of revisions under row locks. All statements lock rows in key order, and a deadlock or
serialisation failure repeats the whole transaction.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from streams.errors import StoreError
from streams.ingest.intake import RefusedRecord, revision_conflict

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from psycopg import AsyncConnection, AsyncCursor

    from streams.ingest.intake import AcceptedEvent, Reading
    from streams.store.series import SeriesNumbers

__all__ = ["BatchPosition", "Committed", "StaleOffsetError", "commit_batch"]


class BatchPosition(NamedTuple):
    """Which offsets a batch answers for: from `position` up to, not including, `next_offset`."""

    cluster: str
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
) -> Committed:
    """Store one batch.

    Raises
    ------
    StaleOffsetError
        When the stored offset is not ``at.position``. Nothing was written.
    """
    await series.know(connection, reading.accepted)
    async with connection.transaction(), connection.cursor() as cursor:
        batch_id = await _move_offset(cursor, at)
        await _copy_incoming(cursor, reading.accepted, series)
        inserted, replaced, conflicts = await _merge_heads(cursor, batch_id, len(reading.accepted))
        recorded_at = await _time_of_record(cursor)
        refused = [*reading.refused, *_as_refused(reading.accepted, conflicts)]
        await cursor.execute(
            _STORE_EVENTS, {"batch": batch_id, "at": recorded_at, "kind": reading.kind}
        )
        await cursor.execute(_APPLY_COUNTS, {"batch": batch_id, "at": recorded_at})
        await _insert_dead_letters(cursor, at, refused, recorded_at)
        repeated = records - len(reading.refused) - inserted - replaced - len(conflicts)
        done = Committed(batch_id, inserted, replaced, repeated, len(refused))
        await cursor.execute(
            _INSERT_BATCH,
            (batch_id, *at, records, *done[1:], worker, received_at, recorded_at),
        )
        await _insert_sources(cursor, (batch_id, at.topic, recorded_at), reading.accepted, refused)
    return done


_INCOMING = """
CREATE TEMPORARY TABLE IF NOT EXISTS incoming (
    ord         int         NOT NULL,
    event_key   uuid        NOT NULL,
    revision    smallint    NOT NULL,
    cancelled   boolean     NOT NULL,
    occurred_at timestamptz NOT NULL,
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


async def _move_offset(cursor: AsyncCursor, at: BatchPosition) -> int:
    await cursor.execute(
        "UPDATE stream_offsets SET next_offset = %(next_offset)s, updated_at = clock_timestamp() "
        "WHERE cluster = %(cluster)s AND topic = %(topic)s AND partition = %(partition)s "
        "AND next_offset = %(position)s "
        "RETURNING nextval(pg_get_serial_sequence('batches', 'batch_id'))",
        at._asdict(),
    )
    if row := await cursor.fetchone():
        return int(row[0])
    await cursor.execute(
        "SELECT next_offset FROM stream_offsets "
        "WHERE cluster = %(cluster)s AND topic = %(topic)s AND partition = %(partition)s",
        at._asdict(),
    )
    row = await cursor.fetchone()
    raise StaleOffsetError(at, row[0] if row else None)


async def _time_of_record(cursor: AsyncCursor) -> datetime:
    """Return the database's time, by which all workers' changes are ordered.

    It is asked for when the heads are locked: a revision that replaces another one is then
    recorded later than it, and no count as of any time takes back what was not counted yet.
    """
    await cursor.execute("SELECT clock_timestamp()")
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101 - a query without FROM gives one row
    recorded_at: datetime = row[0]
    return recorded_at


async def _copy_incoming(
    cursor: AsyncCursor, accepted: Sequence[AcceptedEvent], series: SeriesNumbers
) -> None:
    if not accepted:
        return
    async with cursor.copy("COPY incoming FROM STDIN") as copy:
        await copy.write("".join(_copy_lines(accepted, series)))


def _copy_lines(accepted: Iterable[AcceptedEvent], series: SeriesNumbers) -> Iterable[str]:
    """Write COPY's text format by hand: several times as fast as writing row by row.

    Only the payload can hold characters that COPY reads specially; identifiers, signals and strata
    are restricted by their patterns.
    """
    for order, event in enumerate(accepted):
        payload = event.payload.decode()
        if "\\" in payload:
            payload = payload.replace("\\", "\\\\")
        if "\n" in payload or "\t" in payload or "\r" in payload:
            # Outside of strings, where JSON allows them; inside they are escaped.
            payload = payload.replace("\n", " ").replace("\t", " ").replace("\r", " ")
        numbers = series.literal(event.signals, event.region, event.stratum)
        amounts = ",".join(map(repr, event.amounts))
        yield (
            f"{order}\t{event.event_key}\t{event.revision}\t{event.cancelled}\t"
            f"{event.occurred_at.isoformat()}\t{event.source_id}\t{event.facility_id}\t"
            f"{event.region}\t{event.stratum}\t{numbers}\t{{{amounts}}}\t"
            f"{payload}\n"
        )


async def _merge_heads(
    cursor: AsyncCursor, batch_id: int, accepted: int
) -> tuple[int, int, list[int]]:
    """Bring `event_heads` up to date.

    Returns
    -------
    tuple
        Events inserted, events replaced, and the order numbers of those that repeat a stored
        revision with another content.
    """
    await cursor.execute(_INSERT_HEADS, {"batch": batch_id})
    known = [row[0] for row in await cursor.fetchall()]
    inserted = accepted - len(known)
    if not known:
        return inserted, 0, []
    await cursor.execute(_FIND_KNOWN, {"known": known})
    outcomes = await cursor.fetchall()
    conflicts: list[int] = []
    if any(outcome == "conflict" for _, outcome in outcomes):
        await cursor.execute(_CONFLICTS)
        conflicts = [row[0] for row in await cursor.fetchall()]
    if all(outcome != "replace" for _, outcome in outcomes):
        return inserted, 0, conflicts
    await cursor.execute(_REPLACE_HEADS, {"batch": batch_id})
    return inserted, cursor.rowcount, conflicts


# Answers with the order numbers of the events that were there before.
_INSERT_HEADS = """
WITH inserted AS (
    INSERT INTO event_heads (event_key, revision, cancelled, occurred_at, series, amounts, batch_id)
    SELECT event_key, revision, cancelled, occurred_at, series, amounts, %(batch)s
    FROM incoming
    ORDER BY event_key
    ON CONFLICT (event_key) DO NOTHING
    RETURNING event_key
)
SELECT i.ord FROM incoming i
WHERE NOT EXISTS (SELECT FROM inserted n WHERE n.event_key = i.event_key)
"""

# The lateral subquery looks each head up by its key. Joined plainly, the planner, which knows
# nothing of a temporary table's rows, reads the whole of `event_heads` instead.
_FIND_KNOWN = """
INSERT INTO known
SELECT i.ord,
       CASE
           WHEN i.revision > h.revision THEN 'replace'
           WHEN i.revision = h.revision
                AND (i.cancelled, i.occurred_at, i.series, i.amounts)
                    IS DISTINCT FROM (h.cancelled, h.occurred_at, h.series, h.amounts)
               THEN 'conflict'
           ELSE 'repeat'
       END,
       h.cancelled, h.occurred_at, h.series, h.amounts
FROM (SELECT * FROM incoming WHERE ord = ANY(%(known)s) ORDER BY event_key) i
CROSS JOIN LATERAL (
    SELECT revision, cancelled, occurred_at, series, amounts
    FROM event_heads
    WHERE event_key = i.event_key
    FOR UPDATE
) h
RETURNING ord, outcome
"""

_REPLACE_HEADS = """
UPDATE event_heads h
SET revision = i.revision, cancelled = i.cancelled, occurred_at = i.occurred_at,
    series = i.series, amounts = i.amounts, batch_id = %(batch)s
FROM incoming i JOIN known k USING (ord)
WHERE k.outcome = 'replace' AND h.event_key = i.event_key
"""

# The very same record is a repeat, even where the case definitions have changed since.
_CONFLICTS = """
SELECT ord
FROM known k JOIN incoming i USING (ord)
WHERE k.outcome = 'conflict'
  AND i.payload::text IS DISTINCT FROM (
      SELECT e.payload::text FROM events e
      WHERE e.occurred_at = i.occurred_at AND e.event_key = i.event_key
        AND e.revision = i.revision
      LIMIT 1)
ORDER BY ord
"""

_STORE_EVENTS = """
INSERT INTO events (occurred_at, event_key, revision, cancelled, kind, source_id, facility_id,
                    region, stratum, series, amounts, payload, batch_id, recorded_at)
SELECT i.occurred_at, i.event_key, i.revision, i.cancelled, %(kind)s, i.source_id, i.facility_id,
       i.region, i.stratum, i.series, i.amounts, i.payload, %(batch)s, %(at)s
FROM incoming i
WHERE NOT EXISTS (SELECT FROM known k WHERE k.ord = i.ord AND k.outcome <> 'replace')
"""

_APPLY_COUNTS = """
WITH zone AS (
    SELECT value AS name FROM installation WHERE key = 'time_zone'
), counted AS (
    SELECT date_trunc('hour', i.occurred_at, zone.name) AS hour,
           unnest(i.series) AS series_id, unnest(i.amounts) AS amount
    FROM incoming i, zone
    WHERE NOT i.cancelled
      AND NOT EXISTS (SELECT FROM known k WHERE k.ord = i.ord AND k.outcome <> 'replace')
    UNION ALL
    SELECT date_trunc('hour', k.occurred_at, zone.name), unnest(k.series),
           -unnest(k.amounts)
    FROM known k, zone
    WHERE k.outcome = 'replace' AND NOT k.cancelled
), change AS (
    SELECT series_id, hour, sum(amount) AS change
    FROM counted
    GROUP BY 1, 2
    HAVING sum(amount) <> 0
), changed_day AS (
    SELECT c.series_id, (c.hour AT TIME ZONE zone.name)::date AS day, sum(c.change) AS change
    FROM change c, zone
    GROUP BY 1, 2
), history AS (
    INSERT INTO count_history (recorded_at, series_id, batch_id, hour, change)
    SELECT %(at)s, series_id, %(batch)s, hour, change FROM change
), hourly AS (
    INSERT INTO hourly_counts AS c (series_id, hour, value)
    SELECT series_id, hour, change FROM change ORDER BY 1, 2
    ON CONFLICT (series_id, hour) DO UPDATE SET value = c.value + EXCLUDED.value
), daily AS (
    INSERT INTO daily_counts AS c (series_id, day, value)
    SELECT series_id, day, change FROM changed_day ORDER BY 1, 2
    ON CONFLICT (series_id, day) DO UPDATE SET value = c.value + EXCLUDED.value
)
INSERT INTO pending_judgements (signal, region, day)
SELECT DISTINCT s.signal, s.region, c.day FROM changed_day c JOIN series s USING (series_id)
"""

_INSERT_BATCH = """
INSERT INTO batches (batch_id, cluster, topic, partition, from_offset, next_offset, records,
                     inserted, replaced, repeated, refused, worker, received_at, recorded_at)
OVERRIDING SYSTEM VALUE
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""


def _as_refused(
    accepted: Sequence[AcceptedEvent], conflicts: Iterable[int]
) -> Iterable[RefusedRecord]:
    for order in conflicts:
        event = accepted[order]
        refusal = revision_conflict(event.revision)
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
        'INSERT INTO dead_letters (cluster, topic, partition, "offset", reason, sentence, '
        "source_id, key, value, refused_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
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
            )
            for record in refused
        ],
    )


async def _insert_sources(
    cursor: AsyncCursor,
    batch: tuple[int, str, datetime],
    accepted: Sequence[AcceptedEvent],
    refused: Sequence[RefusedRecord],
) -> None:
    batch_id, topic, recorded_at = batch
    counted = Counter(event.source_id for event in accepted)
    lost = Counter(record.source_id or "unknown" for record in refused)
    last: dict[str, datetime] = {}
    for event in accepted:
        seen = last.get(event.source_id)
        if seen is None or event.occurred_at > seen:
            last[event.source_id] = event.occurred_at
    await cursor.executemany(
        "INSERT INTO batch_sources (batch_id, source_id, topic, accepted, refused, "
        "last_occurred_at, recorded_at) VALUES (%s, %s, %s, %s, %s, %s, %s)",
        [
            (batch_id, s, topic, counted[s], lost[s], last.get(s), recorded_at)
            for s in counted.keys() | lost.keys()
        ],
    )
