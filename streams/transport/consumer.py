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
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from faust.transport.drivers import aiokafka as driver
from faust.types import ConsumerMessage

from streams.transport.batch import LogBounds, PositionSource, RecordBatch, is_batched
from streams.transport.epochs import UNKNOWN_EPOCH
from streams.transport.progress import GroupProgress
from streams.transport.thread import BatchConsumerThread

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from faust.types import TP

__all__ = ["BatchConsumer", "BatchTransport"]

log = logging.getLogger(__name__)

_RETRY_SECONDS = 1.0
#: Longest wait for the last commit of offsets when stopping.
_LAST_COMMIT_SECONDS = 5.0
#: The largest offset that Kafka and PostgreSQL can hold.
_NO_END = 2**63 - 1


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
            self._acked[tp].clear()
            self._acked_index[tp].clear()

    async def on_stop(self) -> None:
        """Commit the group's offsets if that is still possible."""
        # When the application crashes, aiokafka's thread may be gone before this: what is asked
        # of it then is never answered, and the process would not end.
        try:
            await asyncio.wait_for(super().on_stop(), _LAST_COMMIT_SECONDS)
        except TimeoutError:
            log.warning("Stopping without a last commit of the group's offsets")

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Seek to the group's committed offsets, and batched topics to the application's own."""
        offsets = dict(await super().seek_to_committed())
        self._group_offsets = {
            tp: offsets.get(tp) for tp in self.assignment() if self._is_batched(tp)
        }
        try:
            found = await self._positions(self._group_offsets)
            await self._seek_logs(found)
        except Exception as error:  # noqa: BLE001 - a source raises what it likes
            # Whatever is unavailable comes back: the rebalance ends without positions, and nothing
            # is read until they are known.
            log.warning("No positions are known, asking again: %s", _described(error))
            found = {}
        if lost := self._group_offsets.keys() - found.keys():
            self.add_future(self.seek_to_source(lost))
        return offsets | {tp: position.offset for tp, position in found.items()}

    async def seek_to_source(
        self,
        partitions: Collection[TP],
        same_until: Mapping[TP, int | None] = MappingProxyType({}),
    ) -> None:
        """Ask the position source again where to read, and read on from there.

        For positions that turned out to lie outside of the log, for logs that are gone, and for
        applications that find records missing before a batch. Partitions that went to another
        worker are left alone.

        Parameters
        ----------
        same_until
            Partitions whose position the broker refused, with the offset up to which its log is the
            one that was read, if it told.
        """
        waiting = set(partitions)
        while not self.should_stop:
            waiting &= self.assignment()
            found: Mapping[TP, _Position] = {}
            problem = "their topic is missing, has no leader, or another worker commits"
            try:
                found = await self._positions(dict.fromkeys(waiting), same_until)
                await self._seek_logs(found)
            except Exception as error:  # noqa: BLE001 - a source raises what it likes
                problem = _described(error)
            waiting -= found.keys()
            if not waiting:
                return
            log.warning("No position is known of %s, asking again: %s", _listed(waiting), problem)
            await asyncio.sleep(_RETRY_SECONDS)

    async def _positions(
        self,
        committed: Mapping[TP, int | None],
        same_until: Mapping[TP, int | None] = MappingProxyType({}),
    ) -> dict[TP, _Position]:
        """Return where to read on, without the partitions of which that is not known now."""
        # The ids come first. Should a topic be made anew after this, nothing comes of the id that
        # is known here: fetches by it find nothing, and all is asked for again.
        ids = await self._thread.log_ids({tp.topic for tp in committed})
        partitions = [tp for tp in committed if tp.topic in ids]
        if not partitions:
            return {}
        logs = {tp: ids[tp.topic] for tp in partitions}
        first = await self._thread.first_offsets(partitions)
        source = self.transport.position_source
        if source is None:
            source = _CommittedPositions(committed)
        # The ends are asked for after the positions: until its commits are done, the worker that
        # had a partition before may store offsets beyond any end that was read earlier.
        open_ended = {
            tp: LogBounds(logs[tp], start, _NO_END, same_until.get(tp))
            for tp, start in first.items()
        }
        positions = dict(await source.positions(open_ended))
        known = {tp: logs[tp] for tp in positions}
        # An epoch that the broker refused is of no use. With others, it will tell where its log
        # differs; otherwise only a position beyond the end shows that it does.
        epochs = await source.epochs({tp: of for tp, of in known.items() if tp not in same_until})
        ends = await self._thread.log_ends(known)
        beyond = {
            tp: LogBounds(logs[tp], first[tp], end)
            for tp, end in ends.items()
            if positions[tp] > end and tp not in epochs
        }
        if beyond:
            bounded = await source.positions(beyond)
            positions = {tp: at for tp, at in positions.items() if tp not in beyond} | {**bounded}
        return {
            tp: _Position(logs[tp], at, epochs.get(tp, UNKNOWN_EPOCH))
            for tp, at in positions.items()
        }

    async def log_ends(self) -> dict[TP, tuple[str, int]]:
        """Return the id and the end of each log that this worker reads, as the brokers tell."""
        return await self._thread.ends_of_read_logs()

    async def seek_wait(self, partitions: Mapping[TP, int]) -> None:
        """Seek; a batched partition is read from there on, also if that was read before."""
        await super().seek_wait(partitions)
        self._restart(partitions)

    async def _seek_logs(self, found: Mapping[TP, _Position]) -> None:
        partitions = {tp: position.offset for tp, position in found.items()}
        await self._thread.seek_logs(
            partitions,
            {tp: position.log for tp, position in found.items()},
            {tp: position.epoch for tp, position in found.items()},
        )
        self._restart(partitions)

    def _restart(self, partitions: Mapping[TP, int]) -> None:
        for tp, offset in partitions.items():
            if self._is_batched(tp):
                self._progress.restart(tp, offset)

    def _new_offset(self, tp: TP) -> int | None:
        if not self._is_batched(tp):
            offset: int | None = super()._new_offset(tp)
            return offset
        # Faust's streams note the offset of an acknowledged message here: a batch's last one.
        acknowledged = [offset + 1 for offset in self._acked[tp]]
        self._acked[tp].clear()
        self._acked_index[tp].clear()
        return self._progress.acknowledge(tp, acknowledged)

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


def _described(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".strip().rstrip(":")


def _listed(partitions: Iterable[TP]) -> str:
    return ", ".join(f"{topic}[{partition}]" for topic, partition in sorted(partitions))


class _Position(NamedTuple):
    """Where to read on: in which log, from which offset, after a record of which epoch."""

    log: str
    offset: int
    epoch: int


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


class _CommittedPositions:
    """Positions of applications that keep their progress in Kafka."""

    def __init__(self, committed: Mapping[TP, int | None]) -> None:
        self._committed = committed

    async def positions(self, bounds: Mapping[TP, LogBounds]) -> dict[TP, int]:
        result = {}
        for tp, bound in bounds.items():
            committed = self._committed[tp]
            within = committed is not None and bound.first <= committed <= bound.end
            result[tp] = committed if committed is not None and within else bound.first
        return result

    async def epochs(self, _: Mapping[TP, str]) -> dict[TP, int]:
        return {}


class BatchTransport(driver.Transport):
    """Faust transport ``kafkabatch://``; see the module's text."""

    Consumer = BatchConsumer

    #: Set by applications that keep their progress themselves.
    position_source: PositionSource | None = None
