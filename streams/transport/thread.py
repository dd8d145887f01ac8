"""The thread in which aiokafka runs: fetching batches, seeking, asking for the logs' bounds."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from aiokafka import TopicPartition
from aiokafka.errors import (
    KafkaError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
    RecordTooLargeError,
)
from aiokafka.protocol.fetch import FetchRequest
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread
from faust.types import TP

from streams.transport.batch import RecordBatch
from streams.transport.by_id import FetchAnswer, fetch_by_id, log_ids, with_topics
from streams.transport.epochs import UNKNOWN_EPOCH, LeaderEpochs
from streams.transport.single_fetches import high_watermarks, read_again
from streams.transport.unreadable import CheckedFetches

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

__all__ = ["BatchConsumerThread"]

log = logging.getLogger(__name__)

#: Longest wait of a fetch that finds nothing. Without any the embedded broker does not answer.
_FETCH_WAIT_MS = 100
#: A fetch that waits for records does not notice that a paused partition may be read again.
_LOOK_AGAIN_SECONDS = 0.1
#: When the thread ends: seconds until a task that goes on is cancelled again, and how often.
_CANCEL_SECONDS = 0.2
_CANCEL_TIMES = 50


class _Fetchable:
    """The partitions that may be fetched now, as aiokafka asks for them.

    Faust changes the set while a fetch waits. aiokafka takes an empty set for all partitions,
    those that are paused included, and their records would be lost: this one is never false.
    """

    def __init__(self, active: Collection[TP], thread: BatchConsumerThread) -> None:
        self._active = active
        self._thread = thread

    def __contains__(self, tp: TP) -> bool:
        return tp in self._active and self._thread.is_positioned(tp)


class BatchConsumerThread(AIOKafkaConsumerThread):
    """Runs aiokafka; here fetch and seek are atomic with respect to each other."""

    #: Topics whose records are delivered in batches.
    batched: frozenset[str] = frozenset()
    #: Where the next batch of each partition begins. Only this thread's loop touches it, in one
    #: step with the seek or fetch that moves it, so that a batch can never claim offsets that
    #: another position brought. Valid for the assignment beside it.
    _positions: dict[TP, int]
    #: Id of the log that each of them lies in; nothing else is fetched of a batched partition.
    _logs: dict[TP, str]
    _assigned: Any = None
    #: Partitions of which a batch could not be decoded.
    _failed: set[TP]
    #: Offsets up to which logs are what was read, of those that turned out to differ.
    _diverged: dict[TP, int]

    def __post_init__(self) -> None:
        super().__post_init__()
        self._positions = {}
        self._logs = {}
        self._failed = set()
        self._epochs = LeaderEpochs()
        self._diverged = {}

    async def on_start(self) -> None:
        """Start aiokafka's consumer."""
        await super().on_start()
        fetcher = self._ensure_consumer()._fetcher  # noqa: SLF001 - has no accessor
        fetcher._records = CheckedFetches(  # noqa: SLF001
            lambda tp: tp.topic in self.batched, lambda tp: self._failed.add(TP(*tp))
        )

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        # Faust reads uncommitted records unless it runs transactions itself; an event that its
        # source rolled back must not be counted. No setting reaches this argument.
        consumer._isolation_level = "read_committed"  # noqa: SLF001
        # A position outside the log must come to the position source's notice; aiokafka would
        # move it silently.
        consumer._auto_offset_reset = "none"  # noqa: SLF001
        # One fetch at a time is under way to a broker. While it waits for news of idle partitions
        # (Faust: for 1.5 s), what comes in for the others waits as well.
        consumer._fetch_max_wait_ms = _FETCH_WAIT_MS  # noqa: SLF001
        client = consumer._client  # noqa: SLF001
        client.send = partial(self._send, client.send)
        return consumer

    async def _gather_remaining_tasks(self) -> None:
        # aiokafka's fetching, while it waits for requests that it has cancelled, takes its own
        # cancellation for theirs and goes on. mode cancels once and waits for ever.
        this = asyncio.current_task()
        for _ in range(_CANCEL_TIMES):
            tasks = asyncio.all_tasks() - {this}
            if not tasks:
                return
            for task in tasks:
                task.cancel()
            done = (await asyncio.wait(tasks, timeout=_CANCEL_SECONDS))[0]
            await asyncio.gather(*done, return_exceptions=True)

    async def _send(self, send: Any, node: int, request: Any, **options: Any) -> Any:
        """Send a request of aiokafka's client; batched partitions are fetched by their logs' ids.

        A batch can then never hold records of another log than the one it is said to come from,
        even if the topic is deleted and made anew at any moment.
        """
        if not isinstance(request, FetchRequest) or self.batched.isdisjoint(dict(request.topics)):
            return await send(node, request, **options)
        logs = dict(self._logs)
        batched = [topic for topic in request.topics if topic[0] in self.batched]
        plain = [topic for topic in request.topics if topic[0] not in self.batched]
        wanted = with_topics(request, batched)
        fetches = [fetch_by_id(send, node, wanted, logs, self._epochs.before)]
        if plain:
            fetches.append(send(node, with_topics(request, plain), **options))
        answers = await asyncio.gather(*fetches)
        self._diverged.update(answers[0].diverged)
        return FetchAnswer(
            (topic, [one for one in found if self._take_answer(TP(topic, one[0]), one, logs)])
            for answer in answers
            for topic, found in answer.topics
        )

    def _take_answer(self, tp: TP, answer: tuple[Any, ...], logs: Mapping[TP, str]) -> bool:
        """Tell whether an answer is for aiokafka, and note the epochs of its records."""
        if tp.topic not in self.batched:
            return True
        # What was asked for before a seek into another log is not of that one.
        if logs.get(tp) != self._logs.get(tp):
            return False
        if answer[-1]:
            self._epochs.note(tp, answer[-1])
        return True

    def is_positioned(self, tp: TP) -> bool:
        """Tell whether the partition may be fetched: a batched one only once it was sought."""
        return tp.topic not in self.batched or tp in self._positions

    async def _fetch_records(
        self,
        consumer: Any,
        active_partitions: Collection[TP],
        timeout: float | None = None,  # noqa: ASYNC109 - Faust's name
        **options: Any,
    ) -> dict[TP, list[Any]]:
        timeout = min(timeout or _LOOK_AGAIN_SECONDS, _LOOK_AGAIN_SECONDS)
        if self._assignment(consumer) is not self._assigned:
            self._positions = {}
        fetchable: Any = _Fetchable(active_partitions, self)
        # What the broker sent for one partition becomes one batch, as far as the limit allows: with
        # several at a time the limit would cut through one after the other.
        waiting = next((tp for tp in consumer._fetcher._records if tp in fetchable), None)  # noqa: SLF001 - has no accessor
        if waiting is not None:
            fetchable, timeout = (waiting,), 0
        try:
            fetched = await super()._fetch_records(consumer, fetchable, timeout=timeout, **options)
        except OffsetOutOfRangeError as error:
            await self._out_of_range(consumer, error.args[0])
            return {}
        except NoOffsetForPartitionError as error:
            await self._out_of_range(consumer, error.args[:1])
            return {}
        except RecordTooLargeError as error:
            fetched = self._too_large(consumer, TP(*error.args[1]), error)
        batches = self._in_batches(consumer, fetched)
        if self._failed:
            await self._read_failed(consumer, batches)
        return batches

    def _in_batches(self, consumer: Any, fetched: dict[TP, list[Any]]) -> dict[TP, list[Any]]:
        assignment = self._assignment(consumer)
        if assignment is not self._assigned:
            return {tp: records for tp, records in fetched.items() if tp.topic not in self.batched}
        result: dict[TP, list[Any]] = {
            tp: records for tp, records in fetched.items() if tp.topic not in self.batched
        }
        for tp, position in self._positions.items():
            next_offset = assignment.state_value(tp).position
            # A position can move without any records: over the markers of transactions, and over
            # records that were rolled back. Then an empty batch carries the progress.
            if next_offset > position:
                records = fetched.get(tp, ())
                epoch = self._epochs.before(tp, next_offset)
                result[tp] = [
                    RecordBatch(tp, self._logs[tp], position, next_offset, records, epoch=epoch)
                ]
                self._positions[tp] = next_offset
        return result

    def _too_large(self, consumer: Any, tp: TP, error: RecordTooLargeError) -> dict[TP, list[Any]]:
        """Handle a fetch that holds no whole batch: the length of the first one is damaged."""
        if tp not in self._positions:
            raise error
        # aiokafka has moved on by one offset, which nobody has taken note of.
        consumer._fetcher.seek_to(tp, self._positions[tp])  # noqa: SLF001 - has no accessor
        self._failed.add(tp)
        return {}

    async def _read_failed(self, consumer: Any, batches: dict[TP, list[Any]]) -> None:
        """Read batches that cannot be decoded one by one, and go on behind them."""
        failed, self._failed = self._failed, set()
        for tp in failed:
            place = self._positions.get(tp), self._logs.get(tp), self._assignment(consumer)
            position, log_id, assignment = place
            if position is None or log_id is None or assignment is not self._assigned:
                continue
            try:
                read = await read_again(
                    consumer._client,  # noqa: SLF001 - has no accessor
                    tp,
                    log_id,
                    position,
                    self.app.conf.consumer_max_fetch_size,
                )
            except KafkaError as error:
                log.warning("%s[%s]: offset %s cannot be fetched: %s", *tp, position, error)
                continue
            # A seek or a rebalance may have come in between.
            now = self._positions.get(tp), self._logs.get(tp), self._assignment(consumer)
            if read is None or now != place:
                continue
            consumer._fetcher.seek_to(tp, read.next_offset)  # noqa: SLF001 - has no accessor
            self._positions[tp] = read.next_offset
            epoch = self._epochs.before(tp, read.next_offset)
            batch = RecordBatch(tp, log_id, position, *read[:3], epoch=epoch)
            batches.setdefault(tp, []).append(batch)
            for one in read.unreadable:
                log.error(
                    "%s[%s]: offsets %s to %s cannot be decoded and are set aside: %s",
                    *tp, one.first, one.next_offset - 1, one.problem,
                )  # fmt: skip

    @staticmethod
    def _assignment(consumer: Any) -> Any:
        subscription = consumer._subscription.subscription  # noqa: SLF001 - has no accessor
        return None if subscription is None else subscription.assignment

    async def seek_logs(
        self, partitions: Mapping[TP, int], logs: Mapping[TP, str], epochs: Mapping[TP, int]
    ) -> None:
        """Seek batched partitions in the logs that are given.

        Parameters
        ----------
        epochs
            Leader epochs of the records before the positions, where they are known.
        """
        await self.call_thread(self._seek_wait, self._ensure_consumer(), partitions, logs, epochs)

    async def _seek_wait(
        self,
        consumer: Any,
        partitions: Mapping[TP, int],
        logs: Mapping[TP, str] = MappingProxyType({}),
        epochs: Mapping[TP, int] = MappingProxyType({}),
    ) -> None:
        assignment = self._assignment(consumer)
        if assignment is not self._assigned:
            self._assigned, self._positions, self._logs = assignment, {}, {}
        # A partition that went to another worker in the meantime is not ours to move.
        assigned = consumer.assignment()
        ours = {TP(*tp): offset for tp, offset in partitions.items() if tp in assigned}
        self._positions.update(
            {tp: offset for tp, offset in ours.items() if tp.topic in self.batched}
        )
        for tp, offset in ours.items():
            self._epochs.restart(tp, offset, epochs.get(tp, UNKNOWN_EPOCH))
        for tp, log_id in logs.items():
            if tp in ours and self._logs.get(tp) != log_id:
                # What waits in aiokafka is of the log before, even if its offset is the same.
                consumer._fetcher._records.pop(tp, None)  # noqa: SLF001 - has no accessor
                self._logs[tp] = log_id
        if ours:
            await super()._seek_wait(consumer, ours)

    def seek(self, partition: TP, offset: int) -> None:
        """Seek, in this thread's own time."""
        seeking = self._seek_wait(self._ensure_consumer(), {partition: offset})
        asyncio.run_coroutine_threadsafe(seeking, self.thread_loop)

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Return the group's offsets, and seek to them but in batched topics."""
        offsets: Mapping[TP, int] = await self.call_thread(self._seek_plain)
        return offsets

    async def _seek_plain(self) -> dict[TP, int]:
        consumer = self._ensure_consumer()
        assigned = consumer.assignment()
        plain = [tp for tp in assigned if tp.topic not in self.batched]
        offsets = dict(await consumer.seek_to_committed(*plain)) if plain else {}
        for tp in assigned.difference(plain):
            offsets[tp] = await consumer.committed(tp)
        return {TP(*tp): offset for tp, offset in offsets.items()}

    async def _out_of_range(self, consumer: Any, partitions: Iterable[Any]) -> None:
        """Handle positions that the broker does not have."""
        lost = [TP(*tp) for tp in partitions]
        plain = [tp for tp in lost if tp.topic not in self.batched]
        batched = [tp for tp in lost if self._positions.pop(tp, None) is not None]
        if plain:
            earliest = self.app.conf.consumer_auto_offset_reset != "latest"
            await (consumer.seek_to_beginning if earliest else consumer.seek_to_end)(
                *(TopicPartition(*tp) for tp in plain)
            )
        if batched:
            log.warning("Reading positions lie outside of the log, or it is gone: %s", batched)
            same_until = {tp: self._diverged.pop(tp, None) for tp in batched}
            asyncio.run_coroutine_threadsafe(
                self.consumer.seek_to_source(batched, same_until), self.consumer.loop
            )

    async def first_offsets(self, partitions: Collection[TP]) -> dict[TP, int]:
        """Ask the brokers where logs begin; partitions without a leader are left out."""
        first: dict[TP, int] = await self.call_thread(self._first_offsets, partitions)
        return first

    async def _first_offsets(self, partitions: Collection[TP]) -> dict[TP, int]:
        consumer = self._ensure_consumer()
        leader = consumer._client.cluster.leader_for_partition  # noqa: SLF001 - has no accessor
        led = [TopicPartition(*tp) for tp in partitions if (leader(tp) or 0) >= 0]
        first = await consumer.beginning_offsets(led) if led else {}
        return {TP(*tp): offset for tp, offset in first.items()}

    async def log_ids(self, topics: Collection[str]) -> dict[str, str]:
        """Ask the brokers for the ids of topics; those that do not exist are left out."""
        if not topics:
            return {}
        ids: dict[str, str] = await self.call_thread(self._log_ids, topics)
        return ids

    async def _log_ids(self, topics: Collection[str]) -> dict[str, str]:
        return await log_ids(self._ensure_consumer()._client, topics)  # noqa: SLF001

    async def log_ends(self, logs: Mapping[TP, str]) -> dict[TP, int]:
        """Ask the brokers where logs end; partitions for which none answers are left out."""
        ends: dict[TP, int] = await self.call_thread(self._log_ends, logs)
        return ends

    async def ends_of_read_logs(self) -> dict[TP, tuple[str, int]]:
        """Ask the brokers where the logs that are being read end: id and end of each."""
        found: dict[TP, tuple[str, int]] = await self.call_thread(self._ends_of_read_logs)
        return found

    async def _ends_of_read_logs(self) -> dict[TP, tuple[str, int]]:
        logs = dict(self._logs)
        if not logs:
            return {}
        return {tp: (logs[tp], end) for tp, end in (await self._log_ends(logs)).items()}

    async def _log_ends(self, logs: Mapping[TP, str]) -> dict[TP, int]:
        consumer = self._ensure_consumer()
        supposed = await consumer.end_offsets(list(logs))
        return await high_watermarks(consumer._client, supposed, logs)  # noqa: SLF001
