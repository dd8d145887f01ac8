"""A steady stream of events while a worker runs, and when each one got into the database."""

from __future__ import annotations

import asyncio
import threading
import time
from bisect import bisect_left, bisect_right
from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import psycopg
from aiokafka import AIOKafkaProducer
from aiokafka.partitioner import DefaultPartitioner

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "WARM_UP",
    "Extra",
    "Looking",
    "Sent",
    "percentiles",
    "publish",
    "recorded",
    "seconds_until",
]

#: Seconds at the start that are not counted.
WARM_UP = 3.0
_TICK = 0.02
_LOOK = 0.01
#: More than becomes due for a partition while the machine is busy with something else.
_BATCH_BYTES = 900_000

#: Partition to (next offset, time), ascending.
Steps = dict[int, list[tuple[int, float]]]


class Extra(NamedTuple):
    """A record that is sent beside the steady ones, at a second of its own."""

    second: float
    key: bytes
    value: bytes


class Sent(NamedTuple):
    """A record batch, with the time that its records carry."""

    partition: int
    offset: int
    records: int
    at: float


class Looking(threading.Thread):
    """Notes when another connection saw each offset, looking every 10 ms."""

    def __init__(self, database: str, topic: str) -> None:
        super().__init__(daemon=True)
        self._connection = psycopg.connect(database, autocommit=True)
        self._topic = topic
        self._ended = threading.Event()
        self.seen: Steps = defaultdict(list)

    @property
    def total(self) -> int:
        return sum(steps[-1][0] for steps in list(self.seen.values()))

    def run(self) -> None:
        while not self._ended.wait(_LOOK):
            rows = self._connection.execute(
                "SELECT partition, next_offset FROM stream_offsets WHERE topic = %s", (self._topic,)
            ).fetchall()
            at = time.time()
            for partition, offset in rows:
                steps = self.seen[partition]
                if offset and (not steps or steps[-1][0] < offset):
                    steps.append((offset, at))
                elif not steps:
                    del self.seen[partition]

    def stop(self) -> None:
        self._ended.set()
        self.join()
        self._connection.close()


async def publish(
    kafka: str,
    topic: str,
    events: Sequence[tuple[bytes, bytes]],
    *,
    rate: int,
    seconds: float,
    extras: Sequence[Extra] = (),
) -> tuple[list[Sent], list[float]]:
    """Send what is due every 20 ms, one record batch for each partition.

    Parameters
    ----------
    extras
        Ascending by their seconds, which count from the start.

    Returns
    -------
    tuple
        The record batches, and the time that each of the extras carries.
    """
    producer: Any = AIOKafkaProducer(
        bootstrap_servers=kafka, acks="all", max_batch_size=_BATCH_BYTES
    )
    await producer.start()
    try:
        partitions = sorted(await producer.partitions_for(topic))
        keys = {key for key, _ in events} | {extra.key for extra in extras}
        part = {key: DefaultPartitioner()(key, partitions, partitions) for key in keys}
        pending: list[asyncio.Future[Sent]] = []
        times: list[float] = []
        # The worker joins its group meanwhile; those first events are not counted.
        await asyncio.sleep(6)
        begin = time.monotonic()
        done, total = 0, min(len(events), int(rate * (seconds + WARM_UP)))
        while done < total or len(times) < len(extras):
            now = time.monotonic() - begin + _TICK
            due = min(int(now * rate), total)
            besides = extras[len(times) : bisect_left(extras, now, key=lambda one: one.second)]
            at = int(time.time() * 1000)
            records = [*events[done:due], *((extra.key, extra.value) for extra in besides)]
            pending += await _send(producer, topic, records, part, at)
            times += [at / 1000] * len(besides)
            done = due
            await asyncio.sleep(_TICK)
        return list(await asyncio.gather(*pending)), times
    finally:
        await producer.stop()


async def _send(
    producer: Any,
    topic: str,
    records: Sequence[tuple[bytes, bytes]],
    part: dict[bytes, int],
    at: int,
) -> list[asyncio.Future[Sent]]:
    batches: dict[int, Any] = {}
    for key, value in records:
        partition = part[key]
        batch = batches.get(partition)
        if batch is None:
            batch = batches[partition] = producer.create_batch()
        if batch.append(key=key, value=value, timestamp=at) is None:
            raise RuntimeError("A record does not fit into its batch: the machine is far behind.")

    async def acknowledged(partition: int, batch: Any) -> Sent:
        count = batch.record_count()
        metadata = await (await producer.send_batch(batch, topic, partition=partition))
        return Sent(partition, metadata.offset, count, at / 1000)

    return [asyncio.ensure_future(acknowledged(*one)) for one in batches.items()]


def recorded(database: str) -> Steps:
    """Return when each offset was recorded: the time that its transaction took at its begin."""
    with psycopg.connect(database) as connection:
        rows = connection.execute(
            "SELECT partition, next_offset, recorded_at FROM batches ORDER BY 1, 2"
        ).fetchall()
    result: Steps = defaultdict(list)
    for partition, offset, at in rows:
        result[partition].append((offset, at.timestamp()))
    return result


def seconds_until(sent: Sequence[Sent], steps: Steps) -> list[float]:
    """Return for each record how long it took to a step."""
    seconds: list[float] = []
    for one in sent:
        known = steps[one.partition]
        index = bisect_right(known, (one.offset + one.records - 1, float("inf")))
        seconds += [known[index][1] - one.at] * one.records
    return seconds


def percentiles(seconds: Sequence[float], *wanted: float) -> tuple[float, ...]:
    """Return percentiles in milliseconds."""
    return tuple(float(value) * 1000 for value in np.percentile(seconds, wanted))
