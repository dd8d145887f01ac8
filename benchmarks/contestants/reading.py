"""Reading the topic with aiokafka alone."""

from __future__ import annotations

from collections import defaultdict
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaConsumer, TopicPartition

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from benchmarks.contestants.common import Place

__all__ = ["open_consumer", "read_everything"]


@asynccontextmanager
async def open_consumer(at: Place) -> AsyncIterator[Any]:
    """Give a consumer of all partitions that stands at offset 0."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=at.settings.kafka,
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=at.settings.fetch_bytes,
        isolation_level="read_committed",
    )
    await consumer.start()
    try:
        partitions = [TopicPartition(at.topic, p) for p in range(at.settings.partitions)]
        consumer.assign(partitions)
        for partition in partitions:
            consumer.seek(partition, 0)
        yield consumer
    finally:
        await consumer.stop()


async def read_everything(at: Place) -> dict[int, list[Any]]:
    """Return all records, by partition."""
    records: dict[int, list[Any]] = defaultdict(list)
    async with open_consumer(at) as consumer:
        while sum(map(len, records.values())) < at.events:
            for partition, fetched in (await consumer.getmany(timeout_ms=1000)).items():
                records[partition.partition] += fetched
    return dict(records)
