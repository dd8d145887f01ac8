"""The commit of a single event: the worker's statements as one writes them without batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.contestants.common import now

if TYPE_CHECKING:
    from psycopg import AsyncConnection, AsyncCursor

    from streams.ingest.intake import AcceptedEvent, Reading
    from streams.store.series import SeriesNumbers

__all__ = ["commit_event"]

_OFFSET = """
UPDATE stream_offsets SET next_offset = %(offset)s + 1, updated_at = clock_timestamp()
WHERE log = %(log)s AND topic = %(topic)s AND partition = %(partition)s
  AND next_offset = %(offset)s
"""

_HEAD = """
SELECT revision, cancelled, occurred_at, series, amounts
FROM event_heads WHERE event_key = %(key)s AND kind = 'visits' FOR UPDATE
"""

_STORE_HEAD = """
INSERT INTO event_heads (event_key, kind, revision, cancelled, occurred_at, facility_id, series,
                         amounts, batch_id)
VALUES (%(key)s, 'visits', %(revision)s, %(cancelled)s, %(occurred_at)s, %(facility_id)s,
        %(series)s::int[], %(amounts)s::numeric[], 0)
ON CONFLICT (event_key, kind) DO UPDATE
SET revision = EXCLUDED.revision, cancelled = EXCLUDED.cancelled,
    occurred_at = EXCLUDED.occurred_at, facility_id = EXCLUDED.facility_id,
    series = EXCLUDED.series, amounts = EXCLUDED.amounts
"""

_STORE_EVENT = """
INSERT INTO events (occurred_at, event_key, revision, cancelled, kind, source_id, facility_id,
                    region, stratum, series, amounts, payload, batch_id, recorded_at)
VALUES (%(occurred_at)s, %(key)s, %(revision)s, %(cancelled)s, 'visits', %(source_id)s,
        %(facility_id)s, %(region)s, %(stratum)s, %(series)s::int[], %(amounts)s::numeric[],
        %(payload)s::json, 0, %(at)s)
"""

_COUNT = """
WITH zone AS (
    SELECT value AS name FROM installation WHERE key = 'time_zone'
), change AS (
    SELECT c.series_id, date_trunc('hour', %(occurred_at)s::timestamptz, zone.name) AS hour,
           %(sign)s * c.amount AS change
    FROM zone, unnest(%(series)s::int[], %(amounts)s::numeric[]) AS c(series_id, amount)
), changed_day AS (
    SELECT c.series_id, (c.hour AT TIME ZONE zone.name)::date AS day, c.change
    FROM change c, zone
), history AS (
    INSERT INTO count_history (recorded_at, series_id, batch_id, hour, change)
    SELECT %(at)s, series_id, 0, hour, change FROM change
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


async def commit_event(
    connection: AsyncConnection,
    partition: tuple[str, str, int],
    offset: int,
    reading: Reading,
    series: SeriesNumbers,
) -> None:
    """Store one event, or nothing but the offset when it is known already, in one transaction."""
    literals = await series.know(connection, reading.accepted)
    place = dict(zip(("log", "topic", "partition"), partition, strict=True))
    async with connection.transaction(), connection.cursor() as cursor:
        await cursor.execute(_OFFSET, {**place, "offset": offset})
        if cursor.rowcount != 1:
            raise RuntimeError(f"{partition}: offset {offset} is not the next one")
        for event in reading.accepted:
            await _store(cursor, event, literals[event.place])


async def _store(cursor: AsyncCursor, event: AcceptedEvent, numbers: str) -> None:
    new: dict[str, Any] = {
        **event._asdict(),
        **event.place._asdict(),
        "occurred_at": event.occurred_at,
        "key": event.event_key,
        "series": numbers,
        "amounts": list(event.amounts),
        "payload": event.payload.decode(),
        "at": now(),
        "sign": 1,
    }
    await cursor.execute(_HEAD, new)
    known = await cursor.fetchone()
    if known is not None and known[0] >= event.revision:
        return
    await cursor.execute(_STORE_HEAD, new)
    await cursor.execute(_STORE_EVENT, new)
    if known is not None and not known[1]:
        names = ("occurred_at", "series", "amounts")
        await cursor.execute(
            _COUNT, {**new, **dict(zip(names, known[2:], strict=True)), "sign": -1}
        )
    if not event.cancelled:
        await cursor.execute(_COUNT, new)
