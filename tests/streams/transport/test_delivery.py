"""What arrives: every record, once, in order, in batches that tile the log."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pytest
from faust.exceptions import ImproperlyConfigured

from streams.transport import BatchSchema
from tests.support.batch_app import (
    close_thread,
    create_topic,
    make_app,
    publish,
    running,
    until,
    until_committed,
)
from tests.support.batches import assert_tiled, collect, values
from tests.support.logs import log_ends

if TYPE_CHECKING:
    from pathlib import Path


async def test_batches_tile_every_partition_in_order(
    broker: str, fresh_name: str, tmp_path: Path
) -> None:
    create_topic(broker, fresh_name, partitions=4)
    await publish(broker, fresh_name, range(3_000))
    app = make_app(broker, fresh_name, tmp_path)
    batches = collect(app, fresh_name)

    async with running(app):
        await until(lambda: len(values(batches)) >= 3_000, "the backlog")
        await publish(broker, fresh_name, range(3_000, 5_000))
        await until(lambda: len(values(batches)) >= 5_000, "the rest")

    assert sorted(values(batches)) == list(range(5_000))
    assert len(batches) >= 50
    reached = assert_tiled(batches)
    assert {(fresh_name, p): end for p, end in reached.items()} == await log_ends(
        broker, [fresh_name]
    )
    by_key: defaultdict[int, list[int]] = defaultdict(list)
    for number in values(batches):
        by_key[number % 20].append(number)
    assert all(numbers == sorted(numbers) for numbers in by_key.values())


async def test_the_groups_offset_reaches_the_end_and_a_restart_reads_on(
    broker: str, fresh_name: str, tmp_path: Path
) -> None:
    create_topic(broker, fresh_name, partitions=2)
    await publish(broker, fresh_name, range(1_000))
    first = make_app(broker, fresh_name, tmp_path)
    before = collect(first, fresh_name)
    async with running(first):
        await until(lambda: len(values(before)) >= 1_000, "the backlog")
        await until_committed(broker, fresh_name, [fresh_name])
        assert not any(first.consumer._acked.values()), "bookkeeping grows"
        assert not any(first.consumer._acked_index.values()), "bookkeeping grows"

    await publish(broker, fresh_name, range(1_000, 1_500))
    second = make_app(broker, fresh_name, tmp_path)
    after = collect(second, fresh_name)
    async with running(second):
        await until(lambda: len(values(after)) >= 500, "the rest")

    assert sorted(values(before)) == list(range(1_000))
    assert sorted(values(after)) == list(range(1_000, 1_500))


async def test_messages_of_other_topics_arrive_one_by_one_and_decoded(
    broker: str, fresh_name: str, tmp_path: Path
) -> None:
    plain_topic = f"{fresh_name}-plain"
    create_topic(broker, fresh_name)
    create_topic(broker, plain_topic)
    app = make_app(broker, fresh_name, tmp_path)
    batches = collect(app, fresh_name)
    messages: list[Any] = []

    @app.agent(app.topic(plain_topic, value_type=int), name="plain")
    async def take(stream: Any) -> None:
        async for message in stream:
            messages.append(message)  # noqa: PERF401 - seen while the stream goes on

    async with running(app):
        await publish(broker, fresh_name, range(300))
        await publish(broker, plain_topic, range(300))
        await until(lambda: len(messages) >= 300, "the messages")
        await until(lambda: len(values(batches)) >= 300, "the batches")
        await until_committed(broker, fresh_name, [fresh_name, plain_topic])

    assert messages == list(range(300))
    assert values(batches) == list(range(300))

    again = make_app(broker, fresh_name, tmp_path)
    rest: list[Any] = []

    @again.agent(again.topic(plain_topic, value_type=int), name="plain")
    async def take_again(stream: Any) -> None:
        async for message in stream:
            rest.append(message)  # noqa: PERF401 - seen while the stream goes on

    async with running(again):
        await publish(broker, plain_topic, range(300, 310))
        await until(lambda: rest[-1:] == [309], "the rest")
    assert rest == list(range(300, 310))


async def test_a_topic_cannot_be_read_both_ways(
    kafka: str, fresh_name: str, tmp_path: Path
) -> None:
    create_topic(kafka, fresh_name)
    app = make_app(kafka, fresh_name, tmp_path)
    app.topics.add(app.topic(fresh_name, schema=BatchSchema()))
    app.topics.add(app.topic(fresh_name, value_type=int))
    app.finalize()

    with pytest.raises(ImproperlyConfigured, match=rf"{fresh_name}.*schema=BatchSchema\(\)"):
        await app.consumer.subscribe([fresh_name])
    close_thread(app)
