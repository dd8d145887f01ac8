"""Vanilla Faust, `take(1000, within=0.1)`: one transaction for each list that is taken.

A list holds events of all partitions. A transaction for each of its partitions would be many small
ones, so the list is stored in one, which moves all the offsets: the best a user of `take` can do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psycopg import AsyncConnection

from benchmarks.contestants.common import Record, now, place, run_faust
from streams.store.commit import BatchPosition, commit_batch, prepare_connection
from streams.store.series import SeriesNumbers

if TYPE_CHECKING:
    from collections.abc import Sequence

AT = place()

_OFFSET = """
UPDATE stream_offsets SET next_offset = %(next_offset)s, updated_at = clock_timestamp()
WHERE log = %(log)s AND topic = %(topic)s AND partition = %(partition)s
  AND next_offset = %(position)s
"""


def positions(messages: Sequence[Any]) -> list[BatchPosition]:
    """Return what the list answers for, partition by partition."""
    ranges: dict[int, tuple[int, int]] = {}
    for message in messages:
        first, _ = ranges.get(message.partition, (message.offset, 0))
        ranges[message.partition] = (first, message.offset + 1)
    return [BatchPosition(AT.log, AT.topic, tp, *span) for tp, span in sorted(ranges.items())]


async def agent(stream: Any) -> None:
    intake, series = AT.intake(), SeriesNumbers()
    connection = await AsyncConnection.connect(AT.settings.database)
    await prepare_connection(connection)
    async for events in stream.take_events(1000, within=0.1):
        received_at = now()
        messages = [event.message for event in events]
        records = [Record(message.offset, message.key, message.value) for message in messages]
        reading = intake.read("visits", records, now=received_at)
        first, *others = positions(messages)
        await series.know(connection, reading.accepted)
        async with connection.transaction():
            async with connection.cursor() as cursor:
                await cursor.executemany(_OFFSET, [other._asdict() for other in others])
                if others and cursor.rowcount != len(others):
                    raise RuntimeError("an offset is not the next one")
            await commit_batch(
                connection, first, reading, series,
                records=len(records), worker="take", received_at=received_at,
            )  # fmt: skip


if __name__ == "__main__":
    run_faust(AT, agent)
