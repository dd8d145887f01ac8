"""Which batches are done: the consumer group's offset follows behind."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from faust.types import TP

    from streams.transport.batch import RecordBatch

__all__ = ["GroupProgress"]


class _Partition:
    """Ends of the batches of one partition since the last seek, in order, until they are done."""

    __slots__ = ("done", "expected", "open", "reached")

    def __init__(self, offset: int) -> None:
        self.reached = offset
        self.expected = offset
        self.open: deque[int] = deque()
        self.done: set[int] = set()


class GroupProgress:
    """Offsets up to which every batch was acknowledged.

    Faust's own bookkeeping works on single offsets and drops messages below the last one that it
    read; a batch that is read again after a seek back would be lost there.
    """

    def __init__(self) -> None:
        self._partitions: dict[TP, _Partition] = {}

    def restart(self, tp: TP, offset: int) -> None:
        """Begin anew at an offset."""
        self._partitions[tp] = _Partition(offset)

    def track(self, batch: RecordBatch) -> None:
        """Take note of a batch that is handed over.

        One that does not continue where the last one ended was fetched before a seek, or records
        in between went astray. Whether it counts is for the application to decide; the group's
        offset stays before it until the next seek.
        """
        partition = self._partitions.get(batch.tp)
        if partition is not None and batch.position == partition.expected:
            partition.open.append(batch.next_offset)
            partition.expected = batch.next_offset

    def acknowledge(self, tp: TP, ends: Iterable[int]) -> int | None:
        """Take note of the ends of batches that are done, in any order.

        Returns
        -------
        int or None
            The offset up to which everything is done; None before the first seek.
        """
        partition = self._partitions.get(tp)
        if partition is None:
            return None
        partition.done.update(end for end in ends if end in partition.open)
        while partition.open and partition.open[0] in partition.done:
            partition.reached = partition.open.popleft()
            partition.done.discard(partition.reached)
        return partition.reached
