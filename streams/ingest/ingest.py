"""The ingest agent's work on one batch: read, commit, mend what a rebalance left behind."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

import psycopg
from psycopg import errors

from schemas.refusals import Refusal, RefusalReason
from streams.health import Waiting
from streams.ingest.intake import Reading, RefusedRecord, utc_now
from streams.store.commit import BatchPosition, StaleOffsetError, commit_batch
from streams.store.series import SeriesNumbers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from datetime import datetime

    from faust.types import TP
    from psycopg_pool import AsyncConnectionPool

    from schemas.events import EventKind
    from streams.ingest.intake import Intake
    from streams.store.commit import Committed
    from streams.transport import RecordBatch, Unreadable

__all__ = ["Ingest"]

log = logging.getLogger(__name__)

#: Seconds between tries while the database cannot be reached.
_RETRY_FIRST, _RETRY_LONGEST = 0.2, 10.0

_TRANSIENT = (
    psycopg.OperationalError,  # connection lost, server restarting, deadlock, serialisation
    psycopg.InterfaceError,
    errors.IdleInTransactionSessionTimeout,  # this worker was frozen
)


class Ingest:
    """Validates and commits record batches of the event topics.

    Parameters
    ----------
    kinds
        Kind of events of each topic.
    reseek
        Called with a partition and an offset when reading has to go on from there.
    committed
        Called after each commit.
    """

    def __init__(
        self,
        pool: AsyncConnectionPool,
        *,
        worker: str,
        kinds: Mapping[str, EventKind],
        intake: Callable[[], Intake],
        reseek: Callable[[TP, int], Awaitable[None]],
        committed: Callable[[Committed], None],
    ) -> None:
        self._pool = pool
        self._worker = worker
        self._kinds = kinds
        self._intake = intake
        self._reseek = reseek
        self._committed = committed
        self._series = SeriesNumbers()
        #: Why commits fail, and since when; None: the last one went well.
        self._failing: tuple[str, float] | None = None
        #: Where the last commit of each log ended, and the leader epoch that is stored there.
        self._epochs: dict[tuple[str, TP], tuple[int, int]] = {}

    def prepare(self, batch: RecordBatch) -> Callable[[], Awaitable[None]]:
        """Validate a batch; the coroutine function that is returned commits it."""
        received_at = utc_now()
        reading = self._read(batch, received_at)

        async def commit() -> None:
            await self._commit(batch, reading, received_at)

        return commit

    def _read(self, batch: RecordBatch, now: datetime) -> Reading:
        reading = self._intake().read(self._kinds[batch.tp.topic], batch.records, now=now)
        reading.refused += map(_set_aside, batch.unreadable)
        return reading

    @property
    def failing(self) -> Waiting | None:
        """For how long commits have failed without one that went well; None: they do not."""
        if self._failing is None:
            return None
        reason, since = self._failing
        return Waiting(f"commits fail ({reason})", time.monotonic() - since)

    def _note_failure(self, error: Exception) -> None:
        since = time.monotonic() if self._failing is None else self._failing[1]
        self._failing = str(error).partition("\n")[0], since

    async def _commit(self, batch: RecordBatch, reading: Reading, received_at: datetime) -> None:
        wait = _RETRY_FIRST
        while True:
            try:
                await self._store(batch, reading, received_at)
            except StaleOffsetError as stale:
                await self._after_stale(batch, stale.stored, received_at)
            except psycopg.DataError as error:
                if not reading.accepted:
                    raise  # nothing is left that could be refused
                await self._divide(batch, error, received_at)
            except errors.ForeignKeyViolation as error:
                # Rows of `series` were deleted or changed by hand.
                log.warning("Series numbers are fetched again, trying again: %s", error)
                self._series.forget()
                await asyncio.sleep(wait)
                wait = min(wait * 2, _RETRY_LONGEST)
                continue
            except _TRANSIENT as error:
                log.warning("Database does not take a batch, trying again: %s", error)
                self._note_failure(error)
                await asyncio.sleep(wait)
                wait = min(wait * 2, _RETRY_LONGEST)
                continue
            return

    async def _store(self, batch: RecordBatch, reading: Reading, received_at: datetime) -> None:
        topic, partition = batch.tp
        at = BatchPosition(batch.log, topic, partition, batch.position, batch.next_offset)
        async with self._pool.connection() as connection:
            done = await commit_batch(
                connection,
                at,
                reading,
                self._series,
                records=len(batch.records) + len(batch.unreadable),
                worker=self._worker,
                received_at=received_at,
                new_epoch=self._new_epoch(batch),
            )
        self._failing = None
        self._epochs[batch.log, batch.tp] = batch.next_offset, batch.epoch
        self._committed(done)

    def _new_epoch(self, batch: RecordBatch) -> int | None:
        """Return the leader epoch to store; None where it follows a commit that stored the same."""
        if batch.epoch < 0 or self._epochs.get((batch.log, batch.tp)) == (
            batch.position,
            batch.epoch,
        ):
            return None
        return batch.epoch

    async def _after_stale(
        self, batch: RecordBatch, stored: int | None, received_at: datetime
    ) -> None:
        """Bring a batch and a moved offset together.

        What lies below the stored offset has been committed, by this worker before a rebalance or
        by another one, and is dropped; the rest can go in. A stored offset before the batch means
        that records in between were not committed: they are read again.
        """
        if stored is not None and stored >= batch.next_offset:
            return
        if stored is not None and stored > batch.position:
            rest = batch.from_offset(stored)
            await self._commit(rest, self._read(rest, received_at), received_at)
            return
        await self._reseek(batch.tp, stored or 0)

    async def _divide(
        self, batch: RecordBatch, error: psycopg.DataError, received_at: datetime
    ) -> None:
        """Find the record that the database cannot hold, and refuse it alone."""
        if len(batch.records) > 1:
            middle = batch.records[len(batch.records) // 2].offset
            for part in (batch.before_offset(middle), batch.from_offset(middle)):
                await self._commit(part, self._read(part, received_at), received_at)
            return
        log.error("%s[%s]: record %s cannot be stored: %s", *batch.tp, batch.position, error)
        reading = Reading(self._kinds[batch.tp.topic])
        for record in batch.records:
            refusal = Refusal(
                RefusalReason.NOT_STORABLE,
                "The database cannot hold a value of this record "
                f"({errors.lookup(error.sqlstate).__name__ if error.sqlstate else 'data error'}).",
            )
            reading.refused.append(
                RefusedRecord(record.offset, record.key, record.value, None, refusal)
            )
        reading.refused += map(_set_aside, batch.unreadable)
        await self._commit(batch, reading, received_at)


def _set_aside(unreadable: Unreadable) -> RefusedRecord:
    """Return one letter for offsets that cannot be decoded; it holds their whole batch."""
    first, following, problem, raw = unreadable
    offsets = f"Offset {first}" if following == first + 1 else f"Offsets {first} to {following - 1}"
    refusal = Refusal(
        RefusalReason.UNREADABLE,
        f"{offsets} cannot be decoded ({problem}). Send the records again, compressed with gzip, "
        "snappy, lz4 or zstd, or not compressed.",
    )
    return RefusedRecord(first, None, raw, None, refusal)
