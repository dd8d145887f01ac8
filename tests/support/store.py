"""The store at work in tests: a worker that is handed batches, and what the database then says."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, date
from typing import TYPE_CHECKING, Any, LiteralString, NamedTuple

import psycopg
from faust.types import TP
from psycopg import sql

from streams.ingest.ingest import Ingest
from streams.ingest.intake import Intake
from streams.store.commit import prepare_connection
from streams.store.migration_runner import apply_pending
from streams.store.offsets import StoredPositions
from streams.store.pool import open_pool
from streams.store.schema import packaged
from streams.transport import LogBounds, RecordBatch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from decimal import Decimal

    from psycopg_pool import AsyncConnectionPool

    from streams.config import Configuration
    from streams.store.commit import Committed
    from tests.support.events import Counts, Record

__all__ = [
    "LOG",
    "Rows",
    "Worker",
    "blocked",
    "counts",
    "daily_counts",
    "empty",
    "migrate_below",
    "rows",
    "worker",
]

LOG = "log-1"
KINDS = {"visits": "visits", "sales": "sales"}

Rows = list[tuple[Any, ...]]


class Worker(NamedTuple):
    """An ingest with its pool, and what it called back."""

    pool: AsyncConnectionPool
    ingest: Ingest
    reseeks: list[tuple[TP, int]]
    commits: list[Committed]

    async def position(self, topic: str, partition: int = 0, *, end: int = 1_000_000) -> int:
        """Take a partition over, and return where to read on."""
        tp = TP(topic, partition)
        stored = StoredPositions(self.pool)
        return (await stored.positions({tp: LogBounds(LOG, 0, end)}))[tp]

    async def deliver(self, topic: str, partition: int, records: Sequence[Record]) -> None:
        """Hand over records as one batch, without gaps around them."""
        first, last = records[0].offset, records[-1].offset
        batch = RecordBatch(TP(topic, partition), LOG, first, last + 1, records)
        await self.ingest.prepare(batch)()


@asynccontextmanager
async def worker(
    database: str, configuration: Configuration, *, size: int = 2
) -> AsyncIterator[Worker]:
    """A worker with connections of its own."""
    reseeks: list[tuple[TP, int]] = []
    commits: list[Committed] = []
    intake = Intake(configuration)

    async def reseek(tp: TP, offset: int) -> None:
        reseeks.append((tp, offset))

    async with open_pool(database, size=size, configure=prepare_connection) as pool:
        ingest = Ingest(
            pool,
            worker="test",
            kinds={"visits": "visits", "sales": "sales"},
            intake=lambda: intake,
            reseek=reseek,
            committed=commits.append,
        )
        yield Worker(pool, ingest, reseeks, commits)


def rows(database: str, query: LiteralString, *values: object) -> Rows:
    """Run a query on a connection of its own."""
    with psycopg.connect(database) as connection:
        return connection.execute(query, values or None).fetchall()


def counts(database: str, source: LiteralString = "counts_hourly", *values: object) -> Counts:
    """Hourly counts that are not 0, of a view or of a function such as ``recount(%s)``."""
    found = rows(database, f"SELECT signal, region, stratum, hour, value FROM {source}", *values)
    result = {(s, r, st, hour.astimezone(UTC)): value for s, r, st, hour, value in found if value}
    assert len(result) == sum(1 for row in found if row[4])
    return result


def daily_counts(database: str) -> dict[tuple[str, str, str, date], Decimal]:
    """Daily counts that are not 0."""
    found = rows(database, "SELECT signal, region, stratum, day, value FROM counts_daily")
    return {(s, r, st, day): value for s, r, st, day, value in found if value}


def empty(database: str) -> None:
    """Delete all that came in; series numbers stay. Quicker than TRUNCATE where there is little."""
    tables = (
        "stream_offsets", "batches", "batch_sources", "event_heads", "events", "count_history",
        "hourly_counts", "daily_counts", "dead_letters", "pending_judgements", "pending_spans",
        "verdicts", "alerts", "alert_events", "alert_followers", "held_updates",
        "notifications", "notification_deliveries", "notification_lanes",
        "grafana_annotations", "set_aside",
        "imported_counts", "facility_counts", "facility_days", "pending_facilities",
        "pending_corrections", "pending_roll_ups", "level_counts", "facility_reports", "arrivals",
        "intake_minutes", "intake_hours", "sources", "source_days", "judging_runs", "log_ends",
        "judging_quarantine", "explained_neighbours",
    )  # fmt: skip
    with psycopg.connect(database) as connection:
        for table in tables:
            connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))


def migrate_below(database: str, migration: str) -> None:
    """Apply the migrations whose names sort below a given one."""
    with psycopg.connect(database, autocommit=True) as connection:
        apply_pending(connection, [one for one in packaged() if one.name < migration])


async def blocked(database: str, count: int = 1) -> None:
    """Wait until so many connections wait for a lock of another one."""
    while True:
        query = (
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
            "AND datname = current_database()"
        )
        (found,) = (await asyncio.to_thread(rows, database, query))[0]
        if found >= count:
            return
        await asyncio.sleep(0.01)
