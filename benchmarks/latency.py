"""How long an event takes from its Kafka timestamp to the database, at a modest rate."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.race import CONTESTANTS, Race, stop
from benchmarks.steady import WARM_UP, Looking, percentiles, publish, recorded, seconds_until
from streams.kafka import create_topics

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Latency", "measure_latency"]


class Latency(NamedTuple):
    """Milliseconds from the Kafka timestamp."""

    rate: int
    events: int
    #: To `recorded_at`, which the transaction takes at its begin: median and 99th percentile.
    recorded: tuple[float, ...]
    #: Until another connection saw the commit, looking every 10 ms.
    visible: tuple[float, ...]


def measure_latency(
    race: Race, events: Sequence[tuple[bytes, bytes]], *, rate: int, seconds: float
) -> Latency:
    """Publish at a steady rate while a worker runs, and compare the times."""
    topic = f"{race.topic}-latency-{int(time.time())}"
    create_topics(race.kafka, [topic], plain=["alerts"], partitions=race.partitions, replication=1)
    worker = CONTESTANTS[0]
    with race.server.fresh(race.judging) as database:
        process = race.start(worker, race.environment(database, judges=True, topic=topic))
        looking = Looking(database, topic)
        looking.start()
        try:
            sent, _ = asyncio.run(publish(race.kafka, topic, events, rate=rate, seconds=seconds))
            total = sum(one.records for one in sent)
            deadline = time.monotonic() + 60
            while looking.total < total and time.monotonic() < deadline:
                time.sleep(0.1)
        finally:
            looking.stop()
            stop(process)
        known = recorded(database)
    begin = min(one.at for one in sent) + WARM_UP
    kept = [one for one in sent if one.at >= begin]
    return Latency(
        rate,
        sum(one.records for one in kept),
        percentiles(seconds_until(kept, known), 50, 99),
        percentiles(seconds_until(kept, looking.seen), 50, 99),
    )
