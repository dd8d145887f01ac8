"""Record batches: what a batched topic delivers instead of single messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import faust
from faust.exceptions import ImproperlyConfigured

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from faust.types import TP

__all__ = [
    "BatchSchema",
    "LogBounds",
    "PositionSource",
    "RecordBatch",
    "Unreadable",
    "is_batched",
]


class Unreadable(NamedTuple):
    """Offsets whose records cannot be decoded, from `first` up to, not including, `next_offset`."""

    first: int
    next_offset: int
    #: Why: the codec, and the error that decoding ended with.
    problem: str
    #: The batch as the broker sent it.
    raw: bytes


class RecordBatch(NamedTuple):
    """Consecutive records of one partition, as one Faust message value.

    The batch answers for every offset from `position` up to, not including, `next_offset`. Offsets
    in between may be absent (compaction, transaction markers), so neither bound can be derived from
    the records.
    """

    tp: TP
    #: Id of the topic whose log the records came from; see `LogBounds`.
    log: str
    position: int
    next_offset: int
    #: aiokafka's ConsumerRecord: key, value, headers, offset, timestamp.
    records: Sequence[Any]
    #: What cannot be decoded; the application has to take note of it, nobody else does.
    unreadable: Sequence[Unreadable] = ()
    #: Leader epoch of the last record; -1 if it is not known. See `PositionSource.epochs`.
    epoch: int = -1

    def from_offset(self, offset: int) -> RecordBatch:
        """Return the part of the batch at and above an offset inside it."""
        return self._replace(
            position=offset,
            records=[record for record in self.records if record.offset >= offset],
            unreadable=[
                one._replace(first=max(one.first, offset))
                for one in self.unreadable
                if one.next_offset > offset
            ],
        )

    def before_offset(self, offset: int) -> RecordBatch:
        """Return the part of the batch below an offset inside it."""
        return self._replace(
            next_offset=offset,
            records=[record for record in self.records if record.offset < offset],
            unreadable=[
                one._replace(next_offset=min(one.next_offset, offset))
                for one in self.unreadable
                if one.first < offset
            ],
        )


class LogBounds(NamedTuple):
    """First offset that the broker still holds of a partition, and the one after its last.

    Offsets mean something only together with `log`, the id that Kafka gave the topic when it was
    made: a topic that is deleted and made anew has the same name and another log.
    """

    log: str
    first: int
    end: int
    #: Where known: the offset from which on the log holds other records than those that were read.
    #: A position above it has to go back there.
    same_until: int | None = None


class PositionSource(Protocol):
    """Where a worker starts to read.

    An application that keeps its progress elsewhere than in Kafka sets one as
    ``transport.position_source``. It is asked on every assignment and whenever a position turns out
    to lie outside of the log or the log is gone, and must return positions within the bounds. A
    partition that it leaves out is asked for again a second later; the others are read meanwhile.
    The same goes for all of them when it raises an error. Progress has to be kept by the id of the
    log; what the source makes of a stored position outside the bounds (records expired) is its own
    affair. The first question leaves the end open, since a worker that is still committing may be
    ahead of any end known before; if the answer lies beyond the end then, it is asked again.
    """

    async def positions(self, bounds: Mapping[TP, LogBounds]) -> Mapping[TP, int]:
        """Return the offset to read next, for each partition."""
        ...

    async def epochs(self, logs: Mapping[TP, str]) -> Mapping[TP, int]:
        """Return the leader epoch of the last record that was read of each log, where it is known.

        It comes from `RecordBatch.epoch`, and lets the broker tell whether its log still is the one
        that was read.
        """
        ...


class BatchSchema(faust.Schema):
    """Marks a topic as batched: ``app.topic(name, schema=BatchSchema())``.

    The value of each event is the `RecordBatch` itself; decoding is the agent's job.
    """

    def compile(self, app: Any, **_: Any) -> Callable[..., Awaitable[Any]]:
        """Return the decoder that Faust calls for each message of the topic."""

        async def decode(message: Any, **_: Any) -> Any:
            return app.create_event(message.key, message.value, message.headers, message)

        return decode


def is_batched(app: Any, topic: str) -> bool:
    """Tell whether the topic's channels take record batches.

    Raises
    ------
    ImproperlyConfigured
        When batched and plain channels share the topic; one fetch cannot serve both.
    """
    batched = {
        isinstance(channel.schema, BatchSchema) for channel in app.topics if topic in channel.topics
    }
    if len(batched) > 1:
        raise ImproperlyConfigured(
            f"Topic {topic!r} is read both in batches and by message. Give every agent that reads "
            "it schema=BatchSchema()."
        )
    return True in batched
