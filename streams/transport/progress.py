"""Which batches are done: the consumer group's offset follows behind."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from faust.types import TP

    from streams.transport.batch import RecordBatch

__all__ = ["GroupProgress"]


class _Partition:
    """Batches of one partition since the last seek, in order, until they are acknowledged."""

    __slots__ = ("expected", "open", "reached")

    def __init__(self, offset: int) -> None:
        self.reached = offset
        self.expected = offset
        self.open: deque[RecordBatch] = deque()


class GroupProgress:
    """Offsets up to which every batch was acknowledged.

    Faust's own bookkeeping works on single offsets and drops messages below the last one that it
    read; a batch that is read again after a seek back would be lost there.
    """

    def __init__(self) -> None:
        self._partitions: dict[TP, _Partition] = {}
        self._done: set[int] = set()

    def restart(self, tp: TP, offset: int) -> None:
        """Begin anew at an offset; what is acknowledged of the time before does not count."""
        self._discard(self._partitions.get(tp))
        self._partitions[tp] = _Partition(offset)

    def track(self, batch: RecordBatch) -> None:
        """Take note of a batch that is handed over.

        One that does not continue where the last one ended was fetched before a seek; whether its
        records count is for the application to decide, the group's offset waits for the next seek.
        """
        partition = self._partitions.get(batch.tp)
        if partition is not None and batch.position == partition.expected:
            partition.open.append(batch)
            partition.expected = batch.next_offset

    def acknowledge(self, batch: RecordBatch) -> None:
        """Take note that a batch is done, in any order."""
        partition = self._partitions.get(batch.tp)
        if partition is None or not any(known is batch for known in partition.open):
            return
        self._done.add(id(batch))
        while partition.open and id(partition.open[0]) in self._done:
            first = partition.open.popleft()
            self._done.discard(id(first))
            partition.reached = first.next_offset

    def reached(self, tp: TP) -> int | None:
        """Return the offset up to which everything is done, None before the first seek."""
        partition = self._partitions.get(tp)
        return None if partition is None else partition.reached

    def _discard(self, partition: _Partition | None) -> None:
        for batch in partition.open if partition is not None else ():
            self._done.discard(id(batch))
