"""A slow agent stops the fetching; memory does not grow with what waits in the topic."""

from __future__ import annotations

import asyncio
from collections import Counter
from math import ceil
from typing import TYPE_CHECKING

from streams.transport.thread import BatchConsumerThread
from tests.support.batch_app import create_topic, make_app, publish, running, until
from tests.support.batches import assert_tiled, collect, values

if TYPE_CHECKING:
    from pathlib import Path

    import faust

    from streams.transport import RecordBatch

WAITING = 500_000
PARTITIONS = 8
BATCH = 1_000
FETCH_BYTES = 64 * 1024
#: A fetch goes over its limit by the batch that crosses it, as the producer wrote it.
RESPONSE_BYTES = FETCH_BYTES + 2 * 256 * 1024
#: In the agent, two in the stream's buffer, one on the way into it for each partition that one
#: fetch can bring.
BOUND = BATCH * (1 + 2 + PARTITIONS)


def fetched(app: faust.App) -> int:
    """Count the records that left aiokafka."""
    return sum(app.consumer._thread._positions.values())


def prefetched_bytes(app: faust.App) -> int:
    """Count the bytes of fetch responses that wait in aiokafka."""
    waiting = app.consumer._thread._consumer._fetcher._records.values()
    return sum(result._partition_records._records.size_in_bytes() for result in waiting)


async def test_fetching_stops_while_the_agent_is_blocked(
    broker: str, fresh_name: str, tmp_path: Path
) -> None:
    create_topic(broker, fresh_name, partitions=PARTITIONS)
    await publish(broker, fresh_name, range(WAITING), keys=200)
    app = make_app(
        broker,
        fresh_name,
        tmp_path,
        broker_max_poll_records=BATCH,
        consumer_max_fetch_size=FETCH_BYTES,
    )
    gate = asyncio.Event()

    async def wait(_: RecordBatch) -> None:
        await gate.wait()

    batches = collect(app, fresh_name, wait)
    async with running(app):
        await until(lambda: fetched(app), "the first fetch")
        for _ in range(150):
            await asyncio.sleep(0.02)
            assert not batches
            assert fetched(app) <= BOUND
            assert prefetched_bytes(app) <= PARTITIONS * RESPONSE_BYTES
        gate.set()
        await until(lambda: sum(len(b.records) for b in batches) >= WAITING, "all records")

    assert sorted(values(batches)) == list(range(WAITING))
    assert_tiled(batches)
    assert max(len(batch.records) for batch in batches) <= BATCH


async def test_what_a_fetch_brings_of_a_partition_is_one_batch(
    broker: str, fresh_name: str, tmp_path: Path
) -> None:
    create_topic(broker, fresh_name, partitions=PARTITIONS)
    published = PARTITIONS * 600  # two partitions' records are more than the limit
    await publish(broker, fresh_name, range(published), keys=8 * PARTITIONS)
    app = make_app(broker, fresh_name, tmp_path, broker_max_poll_records=BATCH)
    batches = collect(app, fresh_name)
    async with running(app):
        await until(lambda: len(values(batches)) >= published, "all records")

    assert_tiled(batches)
    # What comes while nothing waits may be cut once.
    held = Counter(batch.tp for batch in batches for _ in batch.records)
    assert len(batches) <= 1 + sum(ceil(records / BATCH) for records in held.values())


async def test_a_task_that_takes_its_cancellation_for_another_ones_is_cancelled_again() -> None:
    cancelled = 0

    async def stubborn() -> None:
        nonlocal cancelled
        while True:
            try:
                await asyncio.sleep(3600.0)
            except asyncio.CancelledError:
                cancelled += 1
                if cancelled == 3:
                    raise

    task = asyncio.create_task(stubborn())
    await asyncio.sleep(0)
    async with asyncio.timeout(120):
        await BatchConsumerThread._gather_remaining_tasks(
            BatchConsumerThread.__new__(BatchConsumerThread)
        )
    assert task.cancelled()
    assert cancelled == 3


async def test_an_application_stops_though_its_consumer_answers_no_more(
    broker: str, fresh_name: str, tmp_path: Path
) -> None:
    create_topic(broker, fresh_name)
    await publish(broker, fresh_name, range(1_000))
    # There is something to commit at the stop.
    app = make_app(broker, fresh_name, tmp_path, broker_commit_interval=1_000.0)
    batches = collect(app, fresh_name)
    async with running(app):
        await until(lambda: len(values(batches)) >= 1_000, "all records")
        # Of a crash the consumer's thread learns at once, and ends the queue of what it is asked.
        thread = app.consumer._thread
        end = asyncio.run_coroutine_threadsafe(thread.method_queue.stop(), thread.thread_loop)
        await asyncio.wrap_future(end)
        await asyncio.wait_for(app.stop(), 120.0)
    assert not thread._thread.is_alive()
