"""A Kafka transport for Faust that delivers whole record batches.

Faust spends about 140 µs on each message; this transport makes one message of all records that a
fetch brought for a partition. Group membership and flow control stay with Faust's aiokafka driver;
the offsets of batched partitions are kept here, since Faust's own bookkeeping drops what is read
again after a seek back.

Memory is bounded: per partition one fetch response (``consumer_max_fetch_size`` bytes) waits in
aiokafka; beyond that at most ``stream_buffer_maxsize`` messages of at most
``broker_max_poll_records`` records are under way. When an agent is slow the buffer fills, Faust
stops draining and nothing more is fetched.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from faust.transport.drivers import aiokafka as driver
from faust.types import ConsumerMessage
from faust.types.tuples import ack_lock
from mode.utils.futures import notify

from streams.transport.batch import LogBounds, PositionSource, RecordBatch, is_batched
from streams.transport.progress import GroupProgress
from streams.transport.thread import BatchConsumerThread

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from faust.types import TP

__all__ = ["BatchConsumer", "BatchTransport"]

log = logging.getLogger(__name__)

_RETRY_SECONDS = 1.0


class BatchConsumer(driver.Consumer):
    """Consumer whose batched topics yield `RecordBatch` messages."""

    transport: BatchTransport
    _thread: BatchConsumerThread

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._progress = GroupProgress()
        self._group_offsets: dict[TP, int | None] = {}
        self._read_offset = _ReadOffsets(self._is_batched)

    def _new_consumer_thread(self) -> BatchConsumerThread:
        return BatchConsumerThread(self, loop=self.loop, beacon=self.beacon)

    def _is_batched(self, tp: TP) -> bool:
        return tp.topic in self._thread.batched

    async def subscribe(self, topics: Iterable[str]) -> None:
        """Subscribe, and note which of the topics are batched."""
        topics = list(topics)
        self._thread.batched = frozenset(t for t in topics if is_batched(self.app, t))
        await super().subscribe(topics)

    async def perform_seek(self) -> None:
        """Seek all partitions to where reading goes on."""
        await super().perform_seek()
        # What the group has committed may lie behind the position: a commit that a crash cut off
        # is made up for.
        for tp, offset in self._group_offsets.items():
            self._committed_offset[tp] = offset
            self._acked[tp] = []

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Seek to the group's committed offsets, and batched topics to the application's own."""
        offsets = dict(await super().seek_to_committed())
        self._group_offsets = {
            tp: offsets.get(tp) for tp in self.assignment() if self._is_batched(tp)
        }
        positions = await self._positions(self._group_offsets)
        await self.seek_wait(positions)
        return offsets | positions

    async def seek_to_source(self, partitions: Collection[TP]) -> None:
        """Ask again where to read, for positions that turned out to lie outside of the log."""
        while not self.should_stop:
            ours = self.assignment().intersection(partitions)
            try:
                await self.seek_wait(await self._positions(dict.fromkeys(ours)))
            except Exception:
                log.exception("No position is known for %s, trying again", ours)
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                return

    async def _positions(self, committed: Mapping[TP, int | None]) -> dict[TP, int]:
        if not committed:
            return {}
        bounds = await self._thread.log_bounds(list(committed))
        source = self.transport.position_source
        if source is None:
            return {tp: _committed_or_first(committed[tp], bounds[tp]) for tp in bounds}
        return dict(await source.positions(bounds))

    async def seek_wait(self, partitions: Mapping[TP, int]) -> None:
        """Seek; a batched partition is read from there on, also if that was read before."""
        await super().seek_wait(partitions)
        for tp, offset in partitions.items():
            if self._is_batched(tp):
                self._progress.restart(tp, offset)

    def ack(self, message: Any) -> bool:
        """Take note that a message is done with."""
        if not isinstance(message.value, RecordBatch):
            return bool(super().ack(message))
        with ack_lock:
            if message.acked:
                return False
            message.acked = True
            self._unacked_messages.discard(message)
            self._progress.acknowledge(message.value)
            self._acked.setdefault(message.tp, [])  # has Faust look for an offset to commit
            self._n_acked += 1
            notify(self._waiting_for_ack)
            return True

    def _new_offset(self, tp: TP) -> int | None:
        if not self._is_batched(tp):
            offset: int | None = super()._new_offset(tp)
            return offset
        return self._progress.reached(tp)

    def _to_message(self, tp: TP, record: Any) -> ConsumerMessage:
        if not isinstance(record, RecordBatch):
            return super()._to_message(tp, record)
        self._progress.track(record)
        last = record.records[-1] if record.records else None
        return ConsumerMessage(
            topic=tp.topic,
            partition=tp.partition,
            offset=record.next_offset - 1,
            timestamp=last.timestamp / 1000.0 if last is not None and last.timestamp else 0.0,
            timestamp_type=last.timestamp_type if last is not None else 0,
            headers=None,  # headers and keys belong to the records
            key=None,
            value=record,
            checksum=None,
            tp=tp,
            generation_id=self.app.consumer_generation_id,
        )


class _ReadOffsets(defaultdict[Any, Any]):
    """Faust's last read offsets, but of batched partitions: there nothing is to be dropped."""

    def __init__(self, is_batched: Any) -> None:
        super().__init__(lambda: None)
        self._is_batched = is_batched

    def __setitem__(self, tp: TP, offset: int | None) -> None:
        super().__setitem__(tp, None if self._is_batched(tp) else offset)

    def update(self, offsets: Mapping[TP, int | None]) -> None:  # type: ignore[override]
        for tp, offset in offsets.items():
            self[tp] = offset


def _committed_or_first(committed: int | None, bounds: LogBounds) -> int:
    if committed is None or not bounds.first <= committed <= bounds.end:
        return bounds.first
    return committed


class BatchTransport(driver.Transport):
    """Faust transport ``kafkabatch://``; see the module's text."""

    Consumer = BatchConsumer

    #: Set by applications that keep their progress themselves.
    position_source: PositionSource | None = None
