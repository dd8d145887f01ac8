"""How long an event takes from its Kafka timestamp to the database, at a modest rate."""

from __future__ import annotations

import asyncio
import threading
import time
from bisect import bisect_right
from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import psycopg
from aiokafka import AIOKafkaProducer
from aiokafka.partitioner import DefaultPartitioner

from benchmarks.race import CONTESTANTS, Race, stop
from streams.kafka import create_topics

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Latency", "measure_latency"]

_TICK = 0.02
_WARM_UP = 3.0
_LOOK = 0.01


class Latency(NamedTuple):
    """Milliseconds from the Kafka timestamp."""

    rate: int
    events: int
    #: To `recorded_at`, which the transaction takes at its begin: median and 99th percentile.
    recorded: tuple[float, float]
    #: Until another connection saw the commit, looking every 10 ms.
    visible: tuple[float, float]


class _Sent(NamedTuple):
    partition: int
    offset: int
    records: int
    at: float


def measure_latency(
    race: Race, events: Sequence[tuple[bytes, bytes]], *, rate: int, seconds: float
) -> Latency:
    """Publish at a steady rate while a worker runs, and compare the times."""
    topic = f"{race.topic}-latency-{int(time.time())}"
    create_topics(race.kafka, [topic], plain=["alerts"], partitions=race.partitions, replication=1)
    worker = CONTESTANTS[0]
    with race.server.fresh(race.judging) as database:
        process = race.start(worker, race.environment(database, judges=True, topic=topic))
        looking = _Looking(database, topic)
        looking.start()
        try:
            sent = asyncio.run(_publish(race.kafka, topic, events, rate, seconds))
            total = sum(one.records for one in sent)
            deadline = time.monotonic() + 60
            while looking.total < total and time.monotonic() < deadline:
                time.sleep(0.1)
        finally:
            looking.stop()
            stop(process)
        recorded = _recorded(database)
    begin = min(one.at for one in sent) + _WARM_UP
    kept = [one for one in sent if one.at >= begin]
    return Latency(
        rate,
        sum(one.records for one in kept),
        _percentiles(kept, recorded),
        _percentiles(kept, looking.seen),
    )


class _Looking(threading.Thread):
    """Notes when each offset became visible."""

    def __init__(self, database: str, topic: str) -> None:
        super().__init__(daemon=True)
        self._connection = psycopg.connect(database, autocommit=True)
        self._topic = topic
        self._ended = threading.Event()
        #: Partition to (next offset, time), ascending.
        self.seen: dict[int, list[tuple[int, float]]] = defaultdict(list)

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


async def _publish(
    kafka: str, topic: str, events: Sequence[tuple[bytes, bytes]], rate: int, seconds: float
) -> list[_Sent]:
    """Send what is due every 20 ms, one record batch for each partition."""
    producer: Any = AIOKafkaProducer(bootstrap_servers=kafka, acks="all")
    await producer.start()
    try:
        partitions = sorted(await producer.partitions_for(topic))
        part = {
            key: DefaultPartitioner()(key, partitions, partitions) for key in {k for k, _ in events}
        }
        pending: list[asyncio.Future[_Sent]] = []
        # The worker joins its group meanwhile; those first events are not counted.
        await asyncio.sleep(6)
        begin = time.monotonic()
        done, total = 0, min(len(events), int(rate * (seconds + _WARM_UP)))
        while done < total:
            due = min(int((time.monotonic() - begin + _TICK) * rate), total)
            pending += await _send(producer, topic, events[done:due], part)
            done = due
            await asyncio.sleep(_TICK)
        return list(await asyncio.gather(*pending))
    finally:
        await producer.stop()


async def _send(
    producer: Any, topic: str, events: Sequence[tuple[bytes, bytes]], part: dict[bytes, int]
) -> list[asyncio.Future[_Sent]]:
    at = time.time()
    batches: dict[int, Any] = {}
    for key, value in events:
        partition = part[key]
        batch = batches.get(partition)
        if batch is None:
            batch = batches[partition] = producer.create_batch()
        batch.append(key=key, value=value, timestamp=int(at * 1000))

    async def acknowledged(partition: int, batch: Any) -> _Sent:
        count = batch.record_count()
        metadata = await (await producer.send_batch(batch, topic, partition=partition))
        return _Sent(partition, metadata.offset, count, at)

    return [asyncio.ensure_future(acknowledged(*one)) for one in batches.items()]


def _recorded(database: str) -> dict[int, list[tuple[int, float]]]:
    with psycopg.connect(database) as connection:
        rows = connection.execute(
            "SELECT partition, next_offset, recorded_at FROM batches ORDER BY 1, 2"
        ).fetchall()
    result: dict[int, list[tuple[int, float]]] = defaultdict(list)
    for partition, offset, at in rows:
        result[partition].append((offset, at.timestamp()))
    return result


def _percentiles(
    sent: Sequence[_Sent], steps: dict[int, list[tuple[int, float]]]
) -> tuple[float, float]:
    """Weigh each record batch by its records."""
    milliseconds: list[float] = []
    for one in sent:
        known = steps[one.partition]
        index = bisect_right(known, (one.offset + one.records - 1, float("inf")))
        milliseconds += [(known[index][1] - one.at) * 1000] * one.records
    median, high = np.percentile(milliseconds, [50, 99])
    return float(median), float(high)
