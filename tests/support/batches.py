"""Collecting record batches, and progress that is kept by compare-and-set."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from streams.transport import BatchSchema, RecordBatch

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    import faust
    from faust.types import TP

    from streams.transport import LogBounds

__all__ = ["Ledger", "assert_tiled", "collect", "values"]


def collect(
    app: faust.App,
    topic: str,
    take: Callable[[RecordBatch], Awaitable[None]] | None = None,
) -> list[RecordBatch]:
    """Give an application an agent that keeps every batch, after `take` is done with it."""
    batches: list[RecordBatch] = []

    @app.agent(app.topic(topic, schema=BatchSchema()), name="batches")  # type: ignore[untyped-decorator]
    async def agent(stream: Any) -> None:
        async for batch in stream:
            if take is not None:
                await take(batch)
            batches.append(batch)

    return batches


def values(batches: Iterable[RecordBatch]) -> list[int]:
    """Return the numbers that were published, in the order of their arrival."""
    return [int(record.value) for batch in batches for record in batch.records]


def assert_tiled(batches: Iterable[RecordBatch]) -> dict[int, int]:
    """Check that batches follow each other without hole or overlap; return where they end."""
    reached: defaultdict[int, int] = defaultdict(int)
    for batch in batches:
        assert batch.position == reached[batch.tp.partition]
        assert batch.next_offset > batch.position
        offsets = [record.offset for record in batch.records]
        assert offsets == sorted(set(offsets))
        assert all(batch.position <= offset < batch.next_offset for offset in offsets)
        reached[batch.tp.partition] = batch.next_offset
    return dict(reached)


class Ledger:
    """Progress and results in one place, moved by compare-and-set: a database's part, in memory.

    Several applications may share one. It is their position source too.
    """

    def __init__(self) -> None:
        self.stored: dict[TP, int] = {}
        self.stored_epochs: dict[TP, int] = {}
        self.committed: list[RecordBatch] = []
        self.questions: list[dict[TP, LogBounds]] = []
        self.stale = 0
        self.holes = 0

    async def positions(self, bounds: Mapping[TP, LogBounds]) -> Mapping[TP, int]:
        self.questions.append(dict(bounds))
        for tp, bound in bounds.items():
            stored = self.stored.get(tp, bound.first)
            if bound.same_until is not None and stored > bound.same_until:
                self.stored[tp] = max(bound.first, bound.same_until)
            elif not bound.first <= stored <= bound.end:
                self.stored[tp] = bound.first
        return {tp: self.stored.setdefault(tp, bound.first) for tp, bound in bounds.items()}

    async def epochs(self, logs: Mapping[TP, str]) -> Mapping[TP, int]:
        return {tp: self.stored_epochs[tp] for tp in logs if tp in self.stored_epochs}

    async def commit(self, batch: RecordBatch, app: faust.App) -> None:
        """Commit a batch, or what is new of it; have read again what is missing before it."""
        stored = self.stored[batch.tp]
        if stored > batch.position:
            self.stale += 1
            if stored >= batch.next_offset:
                return
            batch = batch.from_offset(stored)
        elif stored < batch.position:
            self.holes += 1
            await app.consumer.seek_to_source([batch.tp])
            return
        self.stored[batch.tp] = batch.next_offset
        if batch.epoch >= 0:
            self.stored_epochs[batch.tp] = batch.epoch
        self.committed.append(batch)
