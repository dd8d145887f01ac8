"""Publishing records, each one acknowledged by the brokers.

kafka-python frames and checksums every record in Python: 10,000 records a second on the machine
where this was measured, against 300,000 for aiokafka, whose record batches are written in C. It is
the client that the worker reads with, so it is there anyway; records are appended to one batch per
partition, and a batch is sent when it is full. Kafka's idempotent producer is not used: the
embedded broker does not know it, and a record that is sent twice is one event all the same.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.partitioner import DefaultPartitioner

from streams.brokers import Brokers, as_brokers
from streams.errors import FenghuoError, UnavailableError
from streams.feed.patience import PATIENCE, QUIET, Silence
from streams.kafka import no_answer
from streams.kafka_knock import knock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["DeliveryError", "publish_mixed", "publish_records"]

#: Bytes of one record batch; well below the brokers' usual limit of 1 MiB.
_BATCH_BYTES: Final = 256 * 1024
#: Batches that may wait for their acknowledgement; bounds memory to a few MiB.
_UNACKNOWLEDGED: Final = 32
#: Of one batch and one request: longer than the patience with all of them, which explains itself.
_TIMEOUT_MS: Final = int(PATIENCE * 1000) + 10_000
_LOOK_SECONDS: Final = 0.5
#: For connections to close. What was not acknowledged is not waited for.
_STOP_SECONDS: Final = 2.0


class DeliveryError(FenghuoError):
    """The brokers did not take every record.

    Attributes
    ----------
    delivered
        Records that were acknowledged before publishing was given up.
    """

    def __init__(self, reason: str, *, delivered: int) -> None:
        super().__init__(
            f"{reason} {delivered} records were acknowledged. Publish the whole again: events that "
            "are already there are known by their ids and not counted twice."
        )
        self.delivered = delivered


def publish_records(
    brokers: Brokers | str,
    topic: str,
    records: Iterable[tuple[bytes, bytes]],
    on_progress: Callable[[int], None] | None = None,
    on_wait: Callable[[str], None] | None = None,
) -> int:
    """Publish records to one topic and wait until all are acknowledged by all in-sync replicas.

    Parameters
    ----------
    brokers
        Addresses of brokers, separated by commas, or with what they ask of clients.
    topic
        A topic that exists.
    records
        Pairs of key (the region's code) and value. Taken one by one: any number fits in memory.
        Records of one key keep their order.
    on_progress
        Called with the number of records of each batch that was acknowledged.
    on_wait
        Called with a sentence when the broker has been silent for seconds, and when it answers
        again.

    Returns
    -------
    int
        Records that were acknowledged: all of them.

    Raises
    ------
    UnavailableError
        No broker answers, or the topic does not exist.
    DeliveryError
        A record was not acknowledged, or none was for `PATIENCE` seconds; how many were is said.
    """
    mixed = ((topic, key, value) for key, value in records)
    return publish_mixed(brokers, mixed, on_progress, on_wait)


def publish_mixed(
    brokers: Brokers | str,
    records: Iterable[tuple[str, bytes, bytes]],
    on_progress: Callable[[int], None] | None = None,
    on_wait: Callable[[str], None] | None = None,
) -> int:
    """Publish records of several topics; like `publish_records` with the topic before the key."""
    work = _publish(as_brokers(brokers), records, on_progress or _ignore, on_wait or _ignore)
    return asyncio.run(work)


async def _publish(
    brokers: Brokers,
    records: Iterable[tuple[str, bytes, bytes]],
    on_progress: Callable[[int], None],
    on_wait: Callable[[str], None],
) -> int:
    await asyncio.to_thread(knock, brokers)
    producer = AIOKafkaProducer(
        **brokers.for_aiokafka(),
        client_id="fenghuo-publish",
        acks="all",
        max_batch_size=_BATCH_BYTES,
        request_timeout_ms=_TIMEOUT_MS,
    )
    try:
        await producer.start()
    except (KafkaError, OSError) as error:
        await producer.stop()
        raise no_answer(brokers, error) from None
    silence = Silence(brokers.bootstrap, on_wait, patience=PATIENCE, quiet=QUIET)
    delivery = _Delivery(producer, on_progress, silence)
    try:
        return await _patiently(delivery, records, silence)
    except KafkaError as error:
        reason = f"The broker does not take the records: {str(error).rstrip('.')}."
        raise DeliveryError(reason, delivered=delivery.delivered) from None
    finally:
        delivery.abandon()
        try:
            await asyncio.wait_for(producer.stop(), _STOP_SECONDS)
        except TimeoutError:
            await producer.client.close()


async def _patiently(
    delivery: _Delivery, records: Iterable[tuple[str, bytes, bytes]], silence: Silence
) -> int:
    """Deliver records for as long as the broker answers now and then."""
    work = asyncio.create_task(delivery.run(records))
    try:
        while not (await asyncio.wait({work}, timeout=_LOOK_SECONDS))[0]:
            if silence.look():
                raise DeliveryError(silence.reason, delivered=delivery.delivered)
        return work.result()
    finally:
        work.cancel()


class _Delivery:
    """The batches of one call: those being filled and those under way."""

    def __init__(self, producer: Any, on_progress: Callable[[int], None], silence: Silence) -> None:
        self._producer = producer
        self._on_progress = on_progress
        self._silence = silence
        self._filling: dict[tuple[str, int], Any] = {}
        self._partitions: dict[tuple[str, bytes], tuple[str, int]] = {}
        self._under_way: set[asyncio.Future[Any]] = set()
        self.delivered = 0

    async def run(self, records: Iterable[tuple[str, bytes, bytes]]) -> int:
        for topic, key, value in records:
            place = self._partitions.get((topic, key))
            if place is None:
                place = self._partitions[topic, key] = topic, await self._partition(topic, key)
            batch = self._filling.get(place)
            if batch is None:
                batch = self._filling[place] = self._producer.create_batch()
            if batch.append(key=key, value=value, timestamp=None) is None:
                await self._send(place)
                batch = self._filling[place] = self._producer.create_batch()
                batch.append(key=key, value=value, timestamp=None)
        for place in list(self._filling):
            await self._send(place)
        while self._under_way:
            await self._settle()
        return self.delivered

    def abandon(self) -> None:
        """Leave what is under way to the producer; asyncio would complain of errors unread."""
        for future in self._under_way:
            future.add_done_callback(_read_error)

    async def _partition(self, topic: str, key: bytes) -> int:
        await _topic_is_there(self._producer, topic)
        partitions = sorted(await self._producer.partitions_for(topic))
        return int(DefaultPartitioner()(key, partitions, partitions))

    async def _send(self, place: tuple[str, int]) -> None:
        batch = self._filling.pop(place)
        count = batch.record_count()
        topic, partition = place
        future = await self._producer.send_batch(batch, topic, partition=partition)
        self._under_way.add(future)
        future.add_done_callback(partial(self._note_answer, count))
        while len(self._under_way) >= _UNACKNOWLEDGED:
            await self._settle()
        await asyncio.sleep(0)  # lets the producer write while we go on reading

    async def _settle(self) -> None:
        done, _ = await asyncio.wait(self._under_way, return_when=asyncio.FIRST_COMPLETED)
        for future in done:
            self._under_way.remove(future)
            future.result()

    def _note_answer(self, count: int, future: asyncio.Future[Any]) -> None:
        """Count at once, not only when the batch is waited for: publishing may be given up."""
        if not future.cancelled() and future.exception() is None:
            self.delivered += count
            self._on_progress(count)
            self._silence.broken()


def _ignore(_: object) -> None:
    pass


def _read_error(future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        future.exception()


async def _topic_is_there(producer: Any, topic: str) -> None:
    """Refuse a topic that is missing at once; the producer would ask for it for half a minute."""
    known = producer.client.cluster.topics()
    if topic not in known:
        metadata = await producer.client.fetch_all_metadata()
        known = metadata.topics()
    if topic not in known:
        raise UnavailableError(
            f"Topic {topic} does not exist. Make it with fenghuo create-topics, or check "
            "FENGHUO_VISITS_TOPIC and FENGHUO_SALES_TOPIC."
        )
