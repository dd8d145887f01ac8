"""Where reading goes on: after rebalances, seeks back, holes and logs that changed."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

import psycopg
import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from faust.types import TP

from streams.store.offsets import StoredPositions
from streams.store.pool import open_pool
from tests.support.batch_app import create_topic, make_app, publish, running, until
from tests.support.batches import Ledger, assert_tiled, collect, values
from tests.support.logs import log_ends

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from streams.transport import LogBounds, RecordBatch


async def test_a_rebalance_in_the_middle_of_slow_work_covers_everything_once(
    broker: str, fresh_name: str, tmp_path: Path
) -> None:
    create_topic(broker, fresh_name, partitions=4)
    await publish(broker, fresh_name, range(6_000))
    ledger = Ledger()
    workers = [make_app(broker, fresh_name, tmp_path) for _ in range(2)]
    taken: list[set[int]] = [set(), set()]

    async def slow(worker: int, batch: RecordBatch) -> None:
        # The first worker must not be done before the second one has joined the group.
        await asyncio.sleep(0.05 if taken[1] else 0.4)
        taken[worker].add(batch.tp.partition)
        await ledger.commit(batch, workers[worker])

    for number, app in enumerate(workers):
        app.transport.position_source = ledger
        collect(app, fresh_name, partial(slow, number))

    async with running(workers[0]):
        await until(lambda: len(ledger.committed) >= 5, "work in progress")
        async with running(workers[1]):
            await until(lambda: taken[1], "the second worker's part")
            await publish(broker, fresh_name, range(6_000, 8_000))
            taken[0].clear()
            await until(lambda: len(values(ledger.committed)) >= 8_000, "all records")

    assert sorted(values(ledger.committed)) == list(range(8_000))
    assert {(fresh_name, p): end for p, end in assert_tiled(ledger.committed).items()} == (
        await log_ends(broker, [fresh_name])
    )
    assert taken[0] | taken[1] == {0, 1, 2, 3}
    assert not taken[0] & taken[1]


async def test_the_survivor_takes_over_what_a_stopped_worker_had(
    broker: str, fresh_name: str, tmp_path: Path
) -> None:
    create_topic(broker, fresh_name, partitions=4)
    ledger = Ledger()
    workers = [make_app(broker, fresh_name, tmp_path) for _ in range(2)]
    for app in workers:
        app.transport.position_source = ledger
        collect(app, fresh_name, lambda batch, app=app: ledger.commit(batch, app))  # type: ignore[misc]

    async with running(workers[0]):
        async with running(workers[1]):
            await until(
                lambda: [len(app.consumer.assignment()) for app in workers] == [2, 2], "halves"
            )
            await publish(broker, fresh_name, range(1_000))
            await until(lambda: len(values(ledger.committed)) >= 1_000, "the first part")
        await publish(broker, fresh_name, range(1_000, 2_000))
        await until(lambda: len(values(ledger.committed)) >= 2_000, "the second part")

    assert sorted(values(ledger.committed)) == list(range(2_000))
    assert_tiled(ledger.committed)


async def test_seeking_back_reads_everything_again(
    broker: str, fresh_name: str, tmp_path: Path
) -> None:
    create_topic(broker, fresh_name)
    await publish(broker, fresh_name, range(1_000))
    app = make_app(broker, fresh_name, tmp_path)
    batches = collect(app, fresh_name)

    async with running(app):
        await until(lambda: len(values(batches)) >= 1_000, "the first reading")
        batches.clear()
        await app.consumer.seek_wait({TP(fresh_name, 0): 250})
        await until(lambda: len(values(batches)) >= 750, "the second reading")

    assert values(batches) == list(range(250, 1_000))
    assert batches[0].position == 250


async def test_seeking_back_while_the_buffer_is_full_reads_everything_again(
    broker: str, fresh_name: str, tmp_path: Path
) -> None:
    create_topic(broker, fresh_name, partitions=4)
    await publish(broker, fresh_name, range(2_000))
    ends = {TP(*place): end for place, end in (await log_ends(broker, [fresh_name])).items()}
    ledger = Ledger()
    ledger.stored = {tp: end - 100 for tp, end in ends.items()}
    app = make_app(broker, fresh_name, tmp_path)
    app.transport.position_source = ledger
    gate = asyncio.Event()

    async def wait(_: RecordBatch) -> None:
        await gate.wait()

    batches = collect(app, fresh_name, wait)
    async with running(app):
        # One batch is in the agent, two are in the buffer, and Faust waits to put the fourth
        # there: it takes that one's offset for the last one read only after the seek.
        await until(lambda: app.consumer._thread._positions == ends, "a full buffer")
        await app.consumer.seek_wait(dict.fromkeys(ends, 0))
        gate.set()
        await until(lambda: len(values(batches[4:])) >= 2_000, "all records")

    assert sorted(values(batches[4:])) == list(range(2_000))
    assert_tiled(batches[4:])


async def test_records_that_went_astray_are_read_again(
    broker: str, fresh_name: str, tmp_path: Path
) -> None:
    create_topic(broker, fresh_name, partitions=2)
    await publish(broker, fresh_name, range(4_000))
    ledger = Ledger()
    app = make_app(broker, fresh_name, tmp_path)
    app.transport.position_source = ledger
    chance = iter([True, True, False, True] * 1_000)

    async def forgetful(batch: RecordBatch) -> None:
        if next(chance) or ledger.holes > 30:
            await ledger.commit(batch, app)

    collect(app, fresh_name, forgetful)
    async with running(app):
        await until(lambda: len(values(ledger.committed)) >= 4_000, "all records")

    assert ledger.holes
    assert sorted(values(ledger.committed)) == list(range(4_000))
    assert_tiled(ledger.committed)


async def test_the_source_is_asked_before_the_end_is_measured(
    broker: str, fresh_name: str, tmp_path: Path
) -> None:
    create_topic(broker, fresh_name, partitions=2)
    await publish(broker, fresh_name, range(100))
    ends = await log_ends(broker, [fresh_name])
    ledger = Ledger()
    ledger.stored = {TP(fresh_name, 0): ends[fresh_name, 0], TP(fresh_name, 1): 5_000}
    app = make_app(broker, fresh_name, tmp_path)
    app.transport.position_source = ledger
    batches = collect(app, fresh_name)

    async with running(app):
        await until(lambda: len(values(batches)) >= ends[fresh_name, 1], "what is left")

    open_ended, bounded = ledger.questions
    assert {bound.end for bound in open_ended.values()} == {2**63 - 1}
    assert {tp: bound[1:3] for tp, bound in bounded.items()} == {
        TP(fresh_name, 1): (0, ends[fresh_name, 1])
    }
    assert {batch.tp.partition for batch in batches} == {1}
    assert batches[0].position == 0


async def test_a_source_that_is_unavailable_or_lacks_a_partition_stops_nothing_else(
    broker: str, fresh_name: str, tmp_path: Path
) -> None:
    create_topic(broker, fresh_name, partitions=2)
    await publish(broker, fresh_name, range(500))
    ends = await log_ends(broker, [fresh_name])
    locked = TP(fresh_name, 0)
    ledger = Ledger()
    answers = 0
    released = asyncio.Event()

    class Unavailable:
        async def positions(self, bounds: Mapping[TP, LogBounds]) -> Mapping[TP, int]:
            nonlocal answers
            answers += 1
            if answers <= 2:
                raise ConnectionError("the database is away")
            free = {tp: one for tp, one in bounds.items() if tp != locked or released.is_set()}
            return await ledger.positions(free)

        async def epochs(self, _: Mapping[TP, str]) -> Mapping[TP, int]:
            return {}

    app = make_app(broker, fresh_name, tmp_path)
    app.transport.position_source = Unavailable()
    collect(app, fresh_name, lambda batch: ledger.commit(batch, app))
    async with running(app):
        await until(
            lambda: len(values(ledger.committed)) >= ends[fresh_name, 1], "the free partition"
        )
        assert {batch.tp.partition for batch in ledger.committed} == {1}
        released.set()
        await until(lambda: len(values(ledger.committed)) >= 500, "all records")

    assert sorted(values(ledger.committed)) == list(range(500))
    assert_tiled(ledger.committed)


async def delete_records(broker: str, topic: str, before: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=broker)
    await admin.start()
    try:
        await admin.delete_records({TopicPartition(topic, 0): RecordsToDelete(before)})
    finally:
        await admin.close()


async def remake_topic(broker: str, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=broker)
    await admin.start()
    try:
        await admin.delete_topics([topic])
        while topic in await admin.list_topics():  # noqa: ASYNC110 - the broker tells nobody
            await asyncio.sleep(0.05)
    finally:
        await admin.close()
    create_topic(broker, topic)


@pytest.mark.kafka
async def test_records_that_expire_before_they_are_read_are_noticed_at_work(
    apache_kafka: str, fresh_name: str, tmp_path: Path
) -> None:
    create_topic(apache_kafka, fresh_name)
    await publish(apache_kafka, fresh_name, range(20_000))
    ledger = Ledger()
    app = make_app(apache_kafka, fresh_name, tmp_path, consumer_max_fetch_size=4_096)
    app.transport.position_source = ledger
    gate = asyncio.Event()

    async def wait(batch: RecordBatch) -> None:
        await gate.wait()
        await ledger.commit(batch, app)

    collect(app, fresh_name, wait)
    async with running(app):
        await until(lambda: app.consumer._thread._positions.get(TP(fresh_name, 0)), "a fetch")
        await delete_records(apache_kafka, fresh_name, 19_000)
        gate.set()
        await until(lambda: ledger.stored[TP(fresh_name, 0)] == 20_000, "the end")

    read = values(ledger.committed)
    kept = [number for number in read if number < 19_000]
    assert read == [*range(len(kept)), *range(19_000, 20_000)]
    assert len(kept) < 19_000
    assert any(question[TP(fresh_name, 0)].first == 19_000 for question in ledger.questions)


async def test_a_topic_made_anew_is_read_from_its_start_and_the_jump_is_kept(
    broker: str, fresh_name: str, tmp_path: Path, database_url: str
) -> None:
    create_topic(broker, fresh_name)
    await publish(broker, fresh_name, range(500))
    async with open_pool(database_url, size=2) as pool:
        read = []
        for numbers in (range(500), range(500, 1_200)):
            app = make_app(broker, fresh_name, tmp_path)
            app.transport.position_source = StoredPositions(pool)
            batches = collect(app, fresh_name)
            async with running(app):
                await until(lambda: len(values(batches)) >= len(numbers), "records")  # noqa: B023
            read.append(values(batches))
            async with pool.connection() as connection:
                await connection.execute(
                    "UPDATE stream_offsets SET next_offset = %s", (batches[-1].next_offset,)
                )
            if len(read) == 1:
                await remake_topic(broker, fresh_name)
                await publish(broker, fresh_name, range(500, 1_200))

    assert read == [list(range(500)), list(range(500, 1_200))]
    with psycopg.connect(database_url) as connection:
        jumps = connection.execute(
            "SELECT topic, from_offset, to_offset, reason FROM offset_jumps"
        ).fetchall()
    assert jumps == [(fresh_name, 500, 0, "topic made anew")]


async def test_a_topic_made_anew_at_work_is_read_from_its_start(
    broker: str, fresh_name: str, tmp_path: Path, database_url: str
) -> None:
    create_topic(broker, fresh_name)
    await publish(broker, fresh_name, range(500))
    async with open_pool(database_url, size=2) as pool:
        app = make_app(broker, fresh_name, tmp_path)
        app.transport.position_source = StoredPositions(pool)
        batches = collect(app, fresh_name)
        async with running(app):
            await until(lambda: len(values(batches)) >= 500, "the first log")
            await remake_topic(broker, fresh_name)
            # The position of the old log lies inside the new one.
            await publish(broker, fresh_name, range(500, 1_200))
            await until(lambda: len(values(batches)) >= 1_200, "the second log")

    assert values(batches) == list(range(1_200))
    logs = list(dict.fromkeys(batch.log for batch in batches))
    assert len(logs) == 2
    for log in logs:
        assert_tiled(batch for batch in batches if batch.log == log)


async def test_what_waits_of_the_log_before_is_not_taken_for_the_new_one(
    broker: str, fresh_name: str, tmp_path: Path, database_url: str
) -> None:
    create_topic(broker, fresh_name)
    await publish(broker, fresh_name, range(1_000))
    gate = asyncio.Event()

    async def wait(_: RecordBatch) -> None:
        await gate.wait()

    async with open_pool(database_url, size=2) as pool:
        app = make_app(broker, fresh_name, tmp_path)
        app.transport.position_source = StoredPositions(pool)
        batches = collect(app, fresh_name, wait)
        thread = None
        async with running(app):
            thread = app.consumer._thread
            # Three batches fill the agent and the stream's buffer; the rest waits in aiokafka.
            at = 300
            await until(lambda: thread._positions.get(TP(fresh_name, 0)) == at, "a full buffer")
            await remake_topic(broker, fresh_name)
            await publish(broker, fresh_name, range(5_000, 6_000))
            (log,) = (await thread.log_ids([fresh_name])).values()
            # The offset in the new log is the very one at which the old one's records wait.
            async with pool.connection() as connection:
                await connection.execute(
                    "INSERT INTO stream_offsets (log, topic, partition, next_offset) "
                    "VALUES (%s, %s, 0, %s)",
                    (log, fresh_name, at),
                )
            await app.consumer.seek_to_source([TP(fresh_name, 0)])
            gate.set()
            await until(lambda: values(batches)[-1:] == [5_999], "the second log")

    assert values([b for b in batches if b.log == log]) == list(range(5_000 + at, 6_000))
    assert values([b for b in batches if b.log != log]) == list(range(at))
