"""What a topic's logs really hold."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import kafka
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from kafka import KafkaConsumer

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["group_offsets", "log_ends", "read_topic"]

_PATIENCE = 120.0


def read_topic(bootstrap: str, topic: str) -> list[Any]:
    """Return all records of a topic, read to the end of each partition however long it takes."""
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    deadline = time.monotonic() + _PATIENCE
    try:
        while not (numbers := consumer.partitions_for_topic(topic)):
            assert time.monotonic() < deadline, f"no partitions of {topic}"
            time.sleep(0.05)
        partitions = [kafka.TopicPartition(topic, number) for number in sorted(numbers)]
        consumer.assign(partitions)
        consumer.seek_to_beginning(*partitions)
        records: list[Any] = []
        # The end is known from the first fetch on.
        while any(
            (end := consumer.highwater(place)) is None or consumer.position(place) < end
            for place in partitions
        ):
            assert time.monotonic() < deadline, f"{topic} was not read to its end"
            for found in consumer.poll(timeout_ms=100).values():
                records += found
        return records
    finally:
        consumer.close()


async def log_ends(bootstrap: str, topics: Iterable[str]) -> dict[tuple[str, int], int]:
    """Return the end of each partition of topics, as fetches tell it.

    The embedded broker, asked for it directly, leaves out all but the first record of the last
    batch.
    """
    return await _log_ends(bootstrap, list(topics))


async def _log_ends(bootstrap: str, topics: list[str]) -> dict[tuple[str, int], int]:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap)
    await consumer.start()
    try:
        client = consumer._client
        await client.set_topics(topics)
        partitions = [
            TopicPartition(topic, partition)
            for topic in topics
            for partition in client.cluster.partitions_for_topic(topic) or ()
        ]
        consumer.assign(partitions)
        for place, end in (await consumer.end_offsets(partitions)).items():
            consumer.seek(place, end)
        while any(consumer.highwater(place) is None for place in partitions):
            await consumer.getmany(timeout_ms=100)
        return {tuple(place): consumer.highwater(place) for place in partitions}
    finally:
        await consumer.stop()


async def group_offsets(
    bootstrap: str, group: str, partitions: Iterable[tuple[str, int]]
) -> dict[tuple[str, int], int]:
    """Return what a consumer group has committed of partitions; -1 for nothing."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        offsets = await admin.list_consumer_group_offsets(
            group, partitions=[TopicPartition(*place) for place in partitions]
        )
        return {tuple(place): stored.offset for place, stored in offsets.items()}
    finally:
        await admin.close()
