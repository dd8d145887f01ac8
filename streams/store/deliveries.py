"""Messages to channels: taken in turn, tried until they have arrived.

Every function is one transaction of its own, at a moment that is passed in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID  # noqa: TC003 - class_row makes it

from psycopg.types.json import Jsonb
from pydantic import ValidationError

from streams.errors import storable_line
from streams.notify.limits import allowance
from streams.notify.message import Message
from streams.store.forming import form

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime, timedelta

    from psycopg import AsyncConnection
    from psycopg_pool import AsyncConnectionPool

    from streams.notify.limits import Backoff

__all__ = ["Taken", "keep_message", "mark_failed", "mark_sent", "part", "take"]


class Taken(NamedTuple):
    """A message whose turn it is; nobody else tries it before the lease ends."""

    delivery_id: UUID
    attempts: int
    digest: bool
    message: Message | None


async def take(
    pool: AsyncConnectionPool,
    channel: str,
    now: datetime,
    *,
    rate: int | None,
    lease: timedelta,
) -> Taken | None:
    """Take the next message of a channel, and make messages of what is due where none waits.

    Parameters
    ----------
    rate
        Most attempts in a minute.
    lease
        For how long nobody else tries the message.

    Returns
    -------
    Taken or None
        None: nothing is due, the channel has reached its rate or is paused after a failure, or
        another worker is about to take.
    """
    async with pool.connection() as connection, connection.transaction():
        await connection.execute(
            "INSERT INTO notification_lanes (channel) VALUES (%s) ON CONFLICT DO NOTHING",
            (channel,),
        )
        cursor = await connection.execute(
            "SELECT recent FROM notification_lanes WHERE channel = %s "
            "AND (paused_until IS NULL OR paused_until <= %s) FOR UPDATE SKIP LOCKED",
            (channel, now),
        )
        lane = await cursor.fetchone()
        if lane is None:
            return None
        recent, budget = allowance(lane[0], rate, now)
        if budget == 0:
            return None
        taken = await _lease(connection, channel, now, lease)
        if taken is None and await form(connection, channel, now, budget):
            taken = await _lease(connection, channel, now, lease)
        if taken is not None and rate is not None:
            await connection.execute(
                "UPDATE notification_lanes SET recent = %s WHERE channel = %s",
                ([*recent, now], channel),
            )
        return taken


async def _lease(
    connection: AsyncConnection, channel: str, now: datetime, lease: timedelta
) -> Taken | None:
    cursor = await connection.execute(
        _LEASE, {"channel": channel, "now": now, "until": now + lease}
    )
    row = await cursor.fetchone()
    if row is None:
        return None
    return Taken(row[0], row[1], row[2], _message(row[3]))


def _message(stored: object) -> Message | None:
    """Read a stored message; one that an earlier version wrote otherwise is written again."""
    try:
        return None if stored is None else Message.model_validate(stored)
    except ValidationError:
        return None


async def keep_message(pool: AsyncConnectionPool, taken: Taken, message: Message) -> None:
    """Store what a message says, before the first attempt."""
    async with pool.connection() as connection:
        await connection.execute(
            "UPDATE notification_deliveries SET message = %s WHERE delivery_id = %s",
            (Jsonb(message.model_dump(mode="json")), taken.delivery_id),
        )


async def part(
    pool: AsyncConnectionPool, taken: Taken, kept: Collection[tuple[int, int]], now: datetime
) -> None:
    """Move the events that a message does not tell of into a message of their own.

    Parameters
    ----------
    kept
        Alert and number of the events that stay.
    """
    async with pool.connection() as connection:
        await connection.execute(
            _PART,
            {
                "delivery": taken.delivery_id,
                "alerts": [alert_id for alert_id, _ in kept],
                "seqs": [seq for _, seq in kept],
                "now": now,
            },
        )


async def mark_sent(
    pool: AsyncConnectionPool, channel: str, taken: Taken, now: datetime, *, remark: str | None
) -> None:
    """Note that a message has arrived; what waits in its channel after a failure goes on at once.

    Parameters
    ----------
    remark
        Something to know all the same, such as a recipient that was refused.
    """
    async with pool.connection() as connection, connection.transaction():
        # What systems were sent is in the history of the alerts; what people read is kept.
        await connection.execute(
            "UPDATE notification_deliveries SET state = 'sent', sent_at = %s, leased_until = NULL, "
            "last_error = %s, message = message - 'entries' - 'html' "
            "WHERE delivery_id = %s AND state <> 'sent'",
            (now, None if remark is None else storable_line(remark), taken.delivery_id),
        )
        cursor = await connection.execute(
            "UPDATE notification_lanes SET failures = 0, paused_until = NULL "
            "WHERE channel = %s AND failures > 0",
            (channel,),
        )
        if cursor.rowcount:
            await connection.execute(
                "UPDATE notification_deliveries SET next_attempt_at = %(now)s "
                "WHERE channel = %(channel)s AND state = 'waiting' AND next_attempt_at > %(now)s",
                {"now": now, "channel": channel},
            )


async def mark_failed(
    pool: AsyncConnectionPool,
    channel: str,
    taken: Taken,
    now: datetime,
    *,
    error: str,
    retry: Backoff,
    pause: Backoff | None,
    give_up_after: timedelta,
) -> bool:
    """Note a failed attempt; return whether it was the last one.

    Parameters
    ----------
    retry
        Waits of the message.
    pause
        Waits of the channel, which are the shorter ones: one message that the channel refuses must
        not keep the others waiting, and a channel that is away is not asked all the time. None: the
        fault is the message's, and the channel goes on.
    """
    async with pool.connection() as connection, connection.transaction():
        cursor = await connection.execute(
            _FAIL,
            {
                "delivery": taken.delivery_id,
                "attempts": taken.attempts,
                "error": storable_line(error),
                "next": now + retry.after(taken.attempts),
                "give_up": now - give_up_after,
            },
        )
        row = await cursor.fetchone()
        if pause is not None:
            await _pause(connection, channel, now, pause)
    return row is not None and row[0] == "failed"


async def _pause(connection: AsyncConnection, channel: str, now: datetime, pause: Backoff) -> None:
    cursor = await connection.execute(
        "UPDATE notification_lanes SET failures = failures + 1 WHERE channel = %s "
        "RETURNING failures",
        (channel,),
    )
    lane = await cursor.fetchone()
    if lane:
        await connection.execute(
            "UPDATE notification_lanes SET paused_until = %s WHERE channel = %s",
            (now + pause.after(lane[0]), channel),
        )


_LEASE = """
UPDATE notification_deliveries d
SET leased_until = %(until)s, attempts = d.attempts + 1,
    first_attempt_at = coalesce(d.first_attempt_at, %(now)s)
WHERE d.delivery_id = (
    SELECT w.delivery_id FROM notification_deliveries w
    WHERE w.channel = %(channel)s AND w.state = 'waiting' AND w.next_attempt_at <= %(now)s
      AND (w.leased_until IS NULL OR w.leased_until <= %(now)s)
    ORDER BY w.rank, w.next_attempt_at, w.formed_no
    LIMIT 1
    FOR UPDATE SKIP LOCKED)
RETURNING d.delivery_id, d.attempts, d.digest, d.message
"""

_PART = """
WITH made AS (
    INSERT INTO notification_deliveries (channel, rank, digest, formed_at, next_attempt_at)
    SELECT channel, rank, digest, %(now)s, %(now)s FROM notification_deliveries
    WHERE delivery_id = %(delivery)s
    RETURNING delivery_id
)
UPDATE notifications SET delivery_id = made.delivery_id FROM made
WHERE notifications.delivery_id = %(delivery)s
  AND (alert_id, seq) NOT IN (SELECT * FROM unnest(%(alerts)s::bigint[], %(seqs)s::int[]))
"""

# A worker whose lease has run out must not undo what another one has done since.
_FAIL = """
UPDATE notification_deliveries
SET last_error = %(error)s, leased_until = NULL, next_attempt_at = %(next)s,
    state = CASE WHEN first_attempt_at <= %(give_up)s THEN 'failed' ELSE 'waiting' END
WHERE delivery_id = %(delivery)s AND attempts = %(attempts)s AND state = 'waiting'
RETURNING state
"""
