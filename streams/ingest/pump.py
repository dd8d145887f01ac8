"""Commits in order and in flight: validation overlaps with the database's work.

Batches of one partition are committed in their order; batches of different partitions may be
under way together. One batch is validated at a time, in a thread, so that the event loop serves the
commits meanwhile; a few batches that were validated wait for their turn, so that no commit waits
for validation. `put` waits while as many as are allowed were taken in, which stops the agent, fills
the stream's short buffer and so stops the fetching: memory does not grow with a slow database.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from faust.types import TP

    from streams.transport import RecordBatch

__all__ = ["READ_AHEAD", "CommitPump", "Prepare"]


#: Batches beyond those that are being committed. Two of one partition often come one after the
#: other; the second one must not keep a batch of another partition from its commit.
READ_AHEAD = 2


class Prepare(Protocol):
    """Reads a batch (CPU only, in a thread) and returns the coroutine that commits it."""

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
        Most commits at the same time; `READ_AHEAD` more batches are validated or wait for a commit.
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
        self._room = asyncio.Semaphore(in_flight + READ_AHEAD)
        self._slots = asyncio.Semaphore(in_flight)
        self._reading = asyncio.Lock()
        self._latest: dict[TP, asyncio.Task[None]] = {}
        self._broken: set[TP] = set()
        self._empty = asyncio.Event()
        self._empty.set()

    async def put(self, batch: RecordBatch, done: Callable[[], None]) -> None:
        """Take a batch as soon as there is room; `done` is called when it is committed."""
        await self._room.acquire()
        task = asyncio.create_task(self._run(batch, self._latest.get(batch.tp), done))
        self._latest[batch.tp] = task
        self._empty.clear()
        task.add_done_callback(lambda _: self._forget(batch.tp, task))

    async def quiet(self, seconds: float) -> None:
        """Wait until nothing is in flight, at most `seconds`.

        For work that can wait: while a backlog is read, it leaves the processors to the commits.
        """
        with suppress(TimeoutError):
            await asyncio.wait_for(self._empty.wait(), seconds)

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
            async with self._reading:
                commit = await asyncio.to_thread(self._prepare, batch)
            if before is not None:
                await before
            if batch.tp in self._broken:
                return
            async with self._slots:
                await commit()
        except Exception as error:  # noqa: BLE001 - handed to the owner, who stops the worker
            self._broken.add(batch.tp)
            await self._failed(error)
            return
        finally:
            self._room.release()
        done()

    def _forget(self, tp: TP, task: asyncio.Task[None]) -> None:
        if self._latest.get(tp) is task:
            del self._latest[tp]
        if not self._latest:
            self._empty.set()
