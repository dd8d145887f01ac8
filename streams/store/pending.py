"""What waits for a judge: live changes, and behind them history as spans of days.

`pending_judgements` has a row for each series and day of a commit. `pending_spans` has a row for
each series and span of days of an import or a repair; regions above have rows of their own, so that
a row is judged under the rules of its region's level alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date, datetime

    from psycopg import AsyncConnection

__all__ = ["ChangedDay", "ChangedSpan", "pend_days", "take_changes", "take_spans"]


class ChangedDay(NamedTuple):
    """A day of a series that changed."""

    signal: str
    region: str
    day: date
    rows: int
    noted_at: datetime
    """When the first of the rows was written."""


class ChangedSpan(NamedTuple):
    """Days of a series that changed."""

    signal: str
    region: str
    first_day: date
    last_day: date


async def take_changes(connection: AsyncConnection, most: int) -> list[ChangedDay]:
    """Delete the oldest live changes that no other judge has taken, and return them.

    Parameters
    ----------
    most
        Number of rows; several may be of one day.
    """
    cursor = await connection.execute(_TAKE_CHANGES, (most,))
    return [ChangedDay(*row) for row in await cursor.fetchall()]


async def take_spans(connection: AsyncConnection, most: int, *, skip: int) -> list[ChangedSpan]:
    """Delete the spans that end latest, and return them.

    Of a series only the latest, and only if no other judge has it: what lies between two spans did
    not change, and two judges would read the same counts.

    Parameters
    ----------
    skip
        Number of spans to leave where they are.
    """
    cursor = await connection.execute(_TAKE_SPANS, (most, skip))
    return [ChangedSpan(*row) for row in await cursor.fetchall()]


async def pend_days(connection: AsyncConnection, days: Iterable[ChangedDay]) -> None:
    """Have days judged as history, with all regions above."""
    rows = list(days)
    if rows:
        changed = [row.day for row in rows]
        await connection.execute(
            "SELECT pend_spans(%s::text[], %s::text[], %s::date[], %s::date[], %s)",
            (
                [row.signal for row in rows],
                [row.region for row in rows],
                changed,
                changed,
                min(row.noted_at for row in rows),
            ),
        )


_TAKE_CHANGES: Final = """
WITH taken AS (
    DELETE FROM pending_judgements WHERE pending_id IN (
        SELECT pending_id FROM pending_judgements ORDER BY pending_id LIMIT %s
        FOR UPDATE SKIP LOCKED)
    RETURNING signal, region, day, noted_at
)
SELECT signal, region, day, count(*), min(noted_at) FROM taken GROUP BY 1, 2, 3
"""

_TAKE_SPANS: Final = """
WITH taken AS (
    DELETE FROM pending_spans WHERE span_id IN (
        SELECT p.span_id FROM pending_spans p
        WHERE NOT EXISTS (
            SELECT FROM pending_spans q
            WHERE q.signal = p.signal AND q.region = p.region
              AND (q.last_day > p.last_day OR q.last_day = p.last_day AND q.span_id < p.span_id))
        ORDER BY p.last_day DESC, p.span_id LIMIT %s OFFSET %s
        FOR UPDATE SKIP LOCKED)
    RETURNING span_id, signal, region, first_day, last_day
)
SELECT signal, region, first_day, last_day FROM taken ORDER BY span_id
"""
