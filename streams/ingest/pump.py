"""Commits in order and in flight: validation overlaps with the database's work.

Batches of one partition are committed in their order; batches of different partitions may be
under way together. `put` waits while the allowed number is in flight, which stops the agent, fills
the stream's short buffer and so stops the fetching: memory does not grow with a slow database.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from faust.types import TP

    from streams.transport import RecordBatch

__all__ = ["CommitPump", "Prepare"]


class Prepare(Protocol):
    """Reads a batch (CPU only) and returns the coroutine that commits it."""

    def __call__(self, batch: RecordBatch) -> Callable[[], Awaitable[None]]:
        """Validate the batch; called in the order of the partition."""
        ...


class CommitPump:
    """Runs the commits of record batches.

    Parameters
    ----------
    prepare
        See `Prepare`.
    failed
        Called with the error when a commit fails for good. No later batch of that partition is
        committed then.
    in_flight
        Most batches under way at the same time.
    """

    def __init__(
        self,
        prepare: Prepare,
        *,
        failed: Callable[[BaseException], Awaitable[None]],
        in_flight: int,
    ) -> None:
        self._prepare = prepare
        self._failed = failed
        self._slots = asyncio.Semaphore(in_flight)
        self._latest: dict[TP, asyncio.Task[None]] = {}
        self._broken: set[TP] = set()

    async def put(self, batch: RecordBatch, done: Callable[[], None]) -> None:
        """Take a batch as soon as a slot is free; `done` is called when it is committed."""
        await self._slots.acquire()
        task = asyncio.create_task(self._run(batch, self._latest.get(batch.tp), done))
        self._latest[batch.tp] = task
        task.add_done_callback(lambda _: self._forget(batch.tp, task))

    async def drain(self) -> None:
        """Wait until nothing is in flight."""
        while self._latest:
            await asyncio.wait(self._latest.values())
            await asyncio.sleep(0)

    async def _run(
        self,
        batch: RecordBatch,
        before: asyncio.Task[None] | None,
        done: Callable[[], None],
    ) -> None:
        try:
            commit = self._prepare(batch)
            if before is not None:
                await before
            if batch.tp in self._broken:
                return
            await commit()
        except Exception as error:  # noqa: BLE001 - handed to the owner, who stops the worker
            self._broken.add(batch.tp)
            await self._failed(error)
            return
        finally:
            self._slots.release()
        done()

    def _forget(self, tp: TP, task: asyncio.Task[None]) -> None:
        if self._latest.get(tp) is task:
            del self._latest[tp]
