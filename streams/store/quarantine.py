"""Series whose judgement failed: set aside with the reason, and retried later."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from psycopg.rows import class_row
from pydantic import BaseModel, ConfigDict, Field

from streams.errors import storable_line

if TYPE_CHECKING:
    from collections.abc import Iterable

    import psycopg
    from psycopg import AsyncConnection

__all__ = [
    "EVERY_RULE",
    "Deferred",
    "Failure",
    "JudgingState",
    "Quarantined",
    "defer",
    "delay_after",
    "list_quarantined",
    "quarantine",
    "read_judging_state",
    "read_quarantined",
    "release",
    "retry_all",
]

#: In place of a rule: the region is unknown, so that no rule can be applied.
EVERY_RULE: Final = "*"
_LONGEST_DELAY: Final = timedelta(hours=1)


class Quarantined(BaseModel):
    """A rule in a region whose judgement failed."""

    model_config = ConfigDict(frozen=True)

    signal: str
    rule: str = Field(description="*: every rule of the signal")
    region: str
    first_day: date = Field(description="First day that changed and is not judged")
    last_day: date
    reason: str
    failures: int
    since: datetime
    retry_at: datetime
    changes: int


class Failure(NamedTuple):
    """A judgement that failed, and the days that it was about."""

    signal: str
    rule: str
    region: str
    first_day: date
    last_day: date
    reason: str


class Deferred(NamedTuple):
    """Days that changed in a series that is not to be retried yet."""

    signal: str
    rule: str
    region: str
    first_day: date
    last_day: date


class JudgingState(NamedTuple):
    """How judging gets on, by the database's clock."""

    now: datetime
    oldest: datetime | None
    """Since when the oldest live change has been waiting; history waits elsewhere."""
    quarantined: datetime | None
    """Since when the first of the failing series has been set aside."""
    judged: datetime | None
    """When live changes were judged for the last time."""
    judged_history: datetime | None = None
    """When a portion of history was judged for the last time."""


def delay_after(failures: int) -> timedelta:
    """Return the time until the next attempt: it doubles from one minute up to one hour.

    Examples
    --------
    >>> [delay_after(failures).total_seconds() for failures in (1, 2, 3, 50)]
    [60.0, 120.0, 240.0, 3600.0]
    """
    doublings = min(failures - 1, 10)
    return min(timedelta(minutes=1 << doublings), _LONGEST_DELAY)


async def read_quarantined(connection: AsyncConnection) -> list[Quarantined]:
    """Return everything that is set aside."""
    async with connection.cursor(row_factory=class_row(Quarantined)) as cursor:
        await cursor.execute(_LIST)
        return await cursor.fetchall()


def list_quarantined(connection: psycopg.Connection) -> list[Quarantined]:
    """Do the same as `read_quarantined`."""
    with connection.cursor(row_factory=class_row(Quarantined)) as cursor:
        return cursor.execute(_LIST).fetchall()


async def quarantine(connection: AsyncConnection, failures: Iterable[Failure]) -> None:
    """Set series aside, or once more; the caller holds the lock `JUDGING`."""
    async with connection.cursor() as cursor:
        for failure in failures:
            values = failure._replace(reason=storable_line(failure.reason))._asdict()
            await cursor.execute(_FAILED, {**values, "delay": delay_after(1)})
            row = await cursor.fetchone()
            assert row is not None  # noqa: S101 - the statement returns one row
            await cursor.execute(_RETRY_AFTER, {**values, "delay": delay_after(row[0])})


async def defer(connection: AsyncConnection, changed: Iterable[Deferred]) -> None:
    """Add changed days to series that wait; one that was released meanwhile is due at once."""
    rows = list(changed)
    if rows:
        async with connection.cursor() as cursor:
            await cursor.executemany(_DEFER, [row._asdict() for row in rows])


async def release(connection: AsyncConnection, judged: Iterable[Quarantined]) -> None:
    """Forget series that were judged, unless a change was added since they were read."""
    rows = list(judged)
    if rows:
        async with connection.cursor() as cursor:
            await cursor.executemany(_RELEASE, [row.model_dump() for row in rows])


async def retry_all(connection: AsyncConnection) -> None:
    """Make everything due: after a start, configuration or code may be mended."""
    await connection.execute("UPDATE judging_quarantine SET retry_at = clock_timestamp()")


async def read_judging_state(connection: AsyncConnection) -> JudgingState:
    """Return since when judgements have been waiting, and when one was made last."""
    cursor = await connection.execute(_STATE)
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101 - a query without FROM gives one row
    return JudgingState(*row)


_LIST = "SELECT * FROM judging_quarantine ORDER BY since, signal, rule, region"

_FAILED = """
INSERT INTO judging_quarantine AS q
    (signal, rule, region, first_day, last_day, reason, failures, since, retry_at)
VALUES (%(signal)s, %(rule)s, %(region)s, %(first_day)s, %(last_day)s, %(reason)s, 1,
        clock_timestamp(), clock_timestamp() + %(delay)s)
ON CONFLICT (signal, rule, region) DO UPDATE SET
    first_day = least(q.first_day, EXCLUDED.first_day),
    last_day = greatest(q.last_day, EXCLUDED.last_day),
    reason = EXCLUDED.reason, failures = q.failures + 1, changes = q.changes + 1
RETURNING failures
"""

_RETRY_AFTER = """
UPDATE judging_quarantine SET retry_at = clock_timestamp() + %(delay)s
WHERE (signal, rule, region) = (%(signal)s, %(rule)s, %(region)s)
"""

_DEFER = """
INSERT INTO judging_quarantine AS q
    (signal, rule, region, first_day, last_day, reason, failures, since, retry_at)
VALUES (%(signal)s, %(rule)s, %(region)s, %(first_day)s, %(last_day)s, 'released meanwhile', 0,
        clock_timestamp(), clock_timestamp())
ON CONFLICT (signal, rule, region) DO UPDATE SET
    first_day = least(q.first_day, EXCLUDED.first_day),
    last_day = greatest(q.last_day, EXCLUDED.last_day), changes = q.changes + 1
"""

_RELEASE = """
DELETE FROM judging_quarantine
WHERE (signal, rule, region, changes) = (%(signal)s, %(rule)s, %(region)s, %(changes)s)
"""

_STATE = """
SELECT clock_timestamp(),
       (SELECT noted_at FROM pending_judgements ORDER BY pending_id LIMIT 1),
       (SELECT min(since) FROM judging_quarantine),
       (SELECT max(last_at) FROM judging_runs WHERE rule = '*'),
       (SELECT max(last_at) FROM judging_runs WHERE rule = '*history')
"""
