"""A Kafka transport for Faust that delivers whole record batches.

Faust spends about 140 µs on each message; this transport makes one message of all records that a
fetch brought for a partition. Everything else (group membership, flow control, commit of acked
offsets) stays with Faust's aiokafka driver: a batch's message carries the offset of its last
record, and Faust itself registers the offsets before it as a gap when it sees the jump.

Memory is bounded: per partition one fetch response (``consumer_max_fetch_size`` bytes) waits in
aiokafka; beyond that at most ``stream_buffer_maxsize`` messages of at most
``broker_max_poll_records`` records are under way. When an agent is slow the buffer fills, Faust
stops draining and nothing more is fetched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from faust.transport.drivers import aiokafka as driver
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread
from faust.types import TP, ConsumerMessage

from streams.transport.batch import LogBounds, PositionSource, RecordBatch, is_batched

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["BatchConsumer", "BatchTransport"]


class _ConsumerThread(AIOKafkaConsumerThread):
    """Runs aiokafka; here fetch and seek are atomic with respect to each other."""

    #: Topics whose records are delivered in batches.
    batched: frozenset[str] = frozenset()
    #: Where the next batch of each partition begins. Only this thread's loop touches it, in one
    #: step with the seek or fetch that moves it, so that a batch can never claim offsets that
    #: another position brought.
    _positions: dict[TP, int]

    def __post_init__(self) -> None:
        super().__post_init__()
        self._positions = {}

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        # Faust reads uncommitted records unless it runs transactions itself; an event that its
        # source rolled back must not be counted. No setting reaches this argument.
        consumer._isolation_level = "read_committed"  # noqa: SLF001
        return consumer

    async def _seek_wait(self, consumer: Any, partitions: Mapping[TP, int]) -> None:
        self._positions.update(partitions)
        await super()._seek_wait(consumer, partitions)

    async def _fetch_records(
        self, consumer: Any, active_partitions: set[TP], **options: Any
    ) -> dict[TP, list[Any]]:
        fetched: dict[TP, list[Any]] = await super()._fetch_records(
            consumer, active_partitions, **options
        )
        # No await between the fetch and this: a seek would come in between.
        batches = {
            tp: self._batch(tp, records, _position_after(consumer, tp, records))
            for tp, records in fetched.items()
            if tp.topic in self.batched
        }
        for tp, batch in batches.items():
            fetched[tp] = [await self._without_expired(consumer, batch)]
        return fetched

    def _batch(self, tp: TP, records: list[Any], next_offset: int) -> RecordBatch:
        tp = TP(tp.topic, tp.partition)
        position = self._positions.get(tp, records[0].offset)
        self._positions[tp] = next_offset
        return RecordBatch(tp, position, next_offset, records)

    async def _without_expired(self, consumer: Any, batch: RecordBatch) -> RecordBatch:
        """Do not answer for records that the broker deleted before they were read.

        aiokafka then goes on at the log's start by itself. Claiming the offsets in between would
        hide the loss; not claiming them makes the commit notice that they are missing.
        """
        if batch.records[0].offset == batch.position:
            return batch
        first = (await consumer.beginning_offsets([batch.tp]))[batch.tp]
        return batch._replace(position=max(batch.position, first))


class BatchConsumer(driver.Consumer):
    """Consumer whose batched topics yield `RecordBatch` messages."""

    transport: BatchTransport
    _thread: _ConsumerThread

    def _new_consumer_thread(self) -> _ConsumerThread:
        return _ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def subscribe(self, topics: Iterable[str]) -> None:
        """Subscribe, and note which of the topics are batched."""
        topics = list(topics)
        self._thread.batched = frozenset(t for t in topics if is_batched(self.app, t))
        await super().subscribe(topics)

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Seek to Kafka's committed offsets, and batched topics to the application's own."""
        offsets = dict(await super().seek_to_committed())
        batched = [tp for tp in self.assignment() if tp.topic in self._thread.batched]
        if not batched:
            return offsets
        first = await self.earliest_offsets(*batched)
        end = await self.highwaters(*batched)
        bounds = {tp: LogBounds(first[tp], end[tp]) for tp in batched}
        source = self.transport.position_source
        if source is None:
            positions = {tp: _committed_or_first(offsets.get(tp), bounds[tp]) for tp in batched}
        else:
            positions = dict(await source.positions(bounds))
        await self.seek_wait(positions)
        return offsets | positions

    def _to_message(self, tp: TP, record: Any) -> ConsumerMessage:
        if not isinstance(record, RecordBatch):
            return super()._to_message(tp, record)
        last = record.records[-1]
        return ConsumerMessage(
            topic=tp.topic,
            partition=tp.partition,
            offset=last.offset,
            timestamp=(last.timestamp or 0) / 1000.0,
            timestamp_type=last.timestamp_type,
            headers=None,  # headers and keys belong to the records
            key=None,
            value=record,
            checksum=None,
            tp=tp,
            generation_id=self.app.consumer_generation_id,
        )


def _position_after(consumer: Any, tp: TP, records: list[Any]) -> int:
    """Return where aiokafka reads on: beyond compacted records and transaction markers too."""
    subscription = consumer._subscription.subscription  # noqa: SLF001 - has no accessor
    state = subscription and subscription.assignment.state_value(tp)
    return int(state.position) if state else records[-1].offset + 1


def _committed_or_first(committed: int | None, bounds: LogBounds) -> int:
    if committed is None or not bounds.first <= committed <= bounds.end:
        return bounds.first
    return committed


class BatchTransport(driver.Transport):
    """Faust transport ``kafkabatch://``; see the module's text."""

    Consumer = BatchConsumer

    #: Set by applications that keep their progress themselves.
    position_source: PositionSource | None = None
