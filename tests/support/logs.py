"""What a topic's logs really hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["group_offsets", "log_ends"]


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
