"""Offsets without records: transactions and compaction. A real Apache Kafka only."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from aiokafka import AIOKafkaProducer

from tests.support.batch_app import create_topic, make_app, running, until, until_committed
from tests.support.batches import assert_tiled, collect, values
from tests.support.logs import log_ends

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.kafka


async def write_transactions(broker: str, topic: str, count: int) -> list[int]:
    """Write transactions of ten records, each third one rolled back; return what is to be seen."""
    producer = AIOKafkaProducer(bootstrap_servers=broker, transactional_id=f"writer-{topic}")
    seen: list[int] = []
    async with producer:
        for number in range(count):
            written = range(number * 10, number * 10 + 10)
            await producer.begin_transaction()
            for value in written:
                await producer.send(topic, b"%d" % value, partition=value % 2)
            if number % 3 == 2:
                await producer.abort_transaction()
            else:
                await producer.commit_transaction()
                seen += written
    return seen


async def test_what_was_rolled_back_is_never_seen_and_the_end_is_reached(
    apache_kafka: str, fresh_name: str, tmp_path: Path
) -> None:
    create_topic(apache_kafka, fresh_name, partitions=2)
    seen = await write_transactions(apache_kafka, fresh_name, 60)
    app = make_app(apache_kafka, fresh_name, tmp_path)
    batches = collect(app, fresh_name)

    async with running(app):
        await until(lambda: len(values(batches)) >= len(seen), "the committed records")
        # The last transaction was rolled back: only markers and unseen records are at the end.
        await until_committed(apache_kafka, fresh_name, [fresh_name])

    assert sorted(values(batches)) == seen
    assert {(fresh_name, p): end for p, end in assert_tiled(batches).items()} == (
        await log_ends(apache_kafka, [fresh_name])
    )
    assert sum(batch.next_offset - batch.position for batch in batches) > 600


async def test_an_open_transaction_holds_back_what_comes_after_it(
    apache_kafka: str, fresh_name: str, tmp_path: Path
) -> None:
    create_topic(apache_kafka, fresh_name)
    app = make_app(apache_kafka, fresh_name, tmp_path)
    batches = collect(app, fresh_name)
    writer = AIOKafkaProducer(
        bootstrap_servers=apache_kafka, transactional_id=f"writer-{fresh_name}"
    )
    other = AIOKafkaProducer(bootstrap_servers=apache_kafka)
    async with running(app), writer, other:
        await other.send_and_wait(fresh_name, b"0")
        await writer.begin_transaction()
        await writer.send_and_wait(fresh_name, b"1")
        await other.send_and_wait(fresh_name, b"2")
        await until(lambda: values(batches), "the record before")
        assert values(batches) == [0]
        await writer.commit_transaction()
        await until(lambda: len(values(batches)) >= 3, "the rest")

    assert values(batches) == [0, 1, 2]
    assert_tiled(batches)


async def test_a_compacted_topic_is_covered_without_holes(
    apache_kafka: str, fresh_name: str, tmp_path: Path
) -> None:
    create_topic(
        apache_kafka,
        fresh_name,
        cleanup_policy="compact",
        segment_bytes=str(2**20),
        min_cleanable_dirty_ratio="0.01",
    )
    async with AIOKafkaProducer(bootstrap_servers=apache_kafka) as producer:
        for number in range(60):
            padding = b" " * 100_000
            await producer.send_and_wait(fresh_name, padding + b"%d" % number, key=b"same")
    before = 60
    for attempt in range(120):
        app = make_app(apache_kafka, f"{fresh_name}-{attempt}", tmp_path)
        batches = collect(app, fresh_name)
        async with running(app):
            await until(lambda: values(batches)[-1:] == [59], "the last record")  # noqa: B023
            await until_committed(apache_kafka, f"{fresh_name}-{attempt}", [fresh_name])
        before = len(values(batches))
        if before < 60:
            break
        await asyncio.sleep(0.5)

    assert before < 60
    assert assert_tiled(batches) == {0: 60}
