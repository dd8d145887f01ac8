"""Raw limit: the worker's commit of rows that were read and validated beforehand.

Batches are as large as the worker's may be, and as many transactions run at the same time. With
``FENGHUO_BENCH_STATEMENTS`` set, batches go one after the other over one connection and the time of
each statement is told: without neighbours the times are the statements' own.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import time
from collections import defaultdict
from contextlib import asynccontextmanager
from itertools import chain, zip_longest
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from psycopg import AsyncConnection, AsyncCursor

from benchmarks.contestants.common import now, place
from benchmarks.contestants.reading import read_everything
from streams.store.commit import BatchPosition, commit_batch, prepare_connection
from streams.store.pool import open_pool
from streams.store.series import SeriesNumbers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from benchmarks.contestants.common import Place
    from streams.ingest.intake import Reading

STATEMENTS = bool(os.environ.get("FENGHUO_BENCH_STATEMENTS"))


class Batch(NamedTuple):
    position: BatchPosition
    reading: Reading
    records: int


async def read_batches(at: Place) -> list[list[Batch]]:
    """Return each partition's batches."""
    intake, size, result = at.intake(), at.settings.batch_records, []
    for partition, records in sorted((await read_everything(at)).items()):
        batches = []
        for start in range(0, len(records), size):
            part = records[start : start + size]
            position = BatchPosition(
                at.log, at.topic, partition, part[0].offset, part[-1].offset + 1
            )
            batches.append(Batch(position, intake.read("visits", part, now=now()), len(part)))
        result.append(batches)
    return result


async def commit_all(at: Place, partitions: list[list[Batch]]) -> float:
    """Commit as the worker does: in order within a partition, some partitions at once."""
    series = SeriesNumbers()
    slots = 1 if STATEMENTS else at.settings.commits_in_flight
    free = asyncio.Semaphore(slots)
    locks: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
    async with open_pool(at.settings.database, size=slots, configure=configure) as pool:

        async def commit(batch: Batch) -> None:
            async with locks[batch.position.partition], pool.connection() as connection:
                await commit_batch(
                    connection, batch.position, batch.reading, series,
                    records=batch.records, worker="raw", received_at=now(),
                )  # fmt: skip
            free.release()

        begin = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for batch in chain.from_iterable(zip_longest(*partitions)):
                if batch is not None:
                    await free.acquire()
                    group.create_task(commit(batch))
        return time.perf_counter() - begin


async def configure(connection: AsyncConnection) -> None:
    """Prepare a connection, with a clock on its cursors when statements are timed."""
    await prepare_connection(connection)
    if STATEMENTS:
        connection.cursor_factory = TimedCursor


#: Statements whose first words do not say what they do.
_NAMES = {"SELECT * FROM": "take_in: all that follows COPY"}


class TimedCursor(AsyncCursor[Any]):
    """Adds up the time of each statement, under its first words."""

    times: ClassVar[defaultdict[str, list[float]]] = defaultdict(list)

    async def execute(self, query: Any, *args: Any, **options: Any) -> Any:
        begin = time.perf_counter()
        try:
            return await super().execute(query, *args, **options)
        finally:
            self._note(query, begin)

    async def executemany(self, query: Any, *args: Any, **options: Any) -> None:
        begin = time.perf_counter()
        await super().executemany(query, *args, **options)
        self._note(query, begin)

    def copy(self, statement: Any, *args: Any, **options: Any) -> Any:
        return self._timed(statement, super().copy(statement, *args, **options))

    def _timed(self, statement: Any, copying: Any) -> Any:
        @asynccontextmanager
        async def run() -> AsyncIterator[Any]:
            begin = time.perf_counter()
            async with copying as copy:
                yield copy
            self._note(statement, begin)

        return run()

    def _note(self, query: Any, begin: float) -> None:
        words = " ".join(str(query).split()[:3])
        words = _NAMES.get(words, words)
        self.times[words].append(time.perf_counter() - begin)


async def main() -> None:
    at = place()
    partitions = await read_batches(at)
    gc.collect()
    gc.freeze()
    seconds = await commit_all(at, partitions)
    events = sum(batch.records for batches in partitions for batch in batches)
    print(json.dumps({"events": events, "seconds": seconds, "statements": TimedCursor.times}))


if __name__ == "__main__":
    asyncio.run(main())
