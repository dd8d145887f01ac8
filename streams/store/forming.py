"""Making messages of what is due, so that each alert is told of in the order of its events.

An alert is in one waiting message of a channel at most:

- What is due of it goes into one message, and so does what is held of its earlier events: for the
  end of the night, or for a digest.
- While a message with it is in flight, or its new alert waits for the explanation, what follows
  waits as well.
- A message with it that was refused is made again with what follows. That is another message with
  another key, since a receiver that had accepted the first one would pass over the second.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Final, NamedTuple
from uuid import UUID  # noqa: TC003 - class_row makes it

from psycopg.rows import class_row, scalar_row

from streams.notify.limits import SEVERITIES, Due, group
from streams.notify.routing import FOR_EXPLANATION

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from psycopg import AsyncConnection

    from schemas.alerts import Severity

__all__ = ["form"]

#: Most alerts that are made into messages at once.
_AT_ONCE: Final = 500


class _Pending(NamedTuple):
    """An event that is in no message yet."""

    notification_id: int
    alert_id: int
    severity: Severity
    digest: bool
    due: bool
    #: Not due for a moment, because the explanation is about to come.
    awaits_explanation: bool


class _Waiting(NamedTuple):
    """A message that has not arrived, and an alert that it tells of."""

    delivery_id: UUID
    alert_id: int
    last_error: str | None


async def form(
    connection: AsyncConnection, channel: str, now: datetime, budget: int | None
) -> bool:
    """Make messages of what is due, under the lock of the channel's lane.

    Returns
    -------
    bool
        Whether any was made.
    """
    alerts = await _due_alerts(connection, channel, now)
    if not alerts:
        return False
    waiting = await _waiting(connection, channel, alerts)
    refused = await _dissolve(connection, {one.delivery_id for one in waiting}, now)
    in_flight = {one.alert_id for one in waiting if one.delivery_id not in refused}
    errors = {one.alert_id: one.last_error for one in waiting if one.delivery_id in refused}
    if refused:
        # The others of a refused digest are due again as well.
        alerts = await _due_alerts(connection, channel, now)
    pending = await _pending(connection, channel, [a for a in alerts if a not in in_flight], now)
    messages = group(_together(pending), budget)
    alert_of = {one.notification_id: one.alert_id for one in pending}
    for message in messages:
        told = {alert_of[number] for due in message for number in due.notification_ids}
        error = next((errors[alert] for alert in errors if alert in told), None)
        await _make(connection, channel, message, error, now)
    return bool(messages)


def _together(pending: Sequence[_Pending]) -> list[Due]:
    """Put together what is to be told of each alert now.

    Parameters
    ----------
    pending
        By alert, in the order of its events.
    """
    found = []
    for _, group_of in groupby(pending, key=lambda one: one.alert_id):
        events = list(group_of)
        last = max((place for place, one in enumerate(events) if one.due), default=-1)
        told = events[: last + 1]
        if not told or any(one.awaits_explanation for one in told):
            continue
        found.append(
            Due(
                tuple(one.notification_id for one in told),
                told[0].severity,
                digest=all(one.digest for one in told if one.due),
            )
        )
    return found


async def _due_alerts(connection: AsyncConnection, channel: str, now: datetime) -> list[int]:
    """Return the alerts that a channel is to be told of, the most severe first."""
    async with connection.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(
            _DUE_ALERTS,
            {"channel": channel, "now": now, "severities": list(SEVERITIES), "limit": _AT_ONCE},
        )
        return await cursor.fetchall()


async def _waiting(
    connection: AsyncConnection, channel: str, alerts: Sequence[int]
) -> list[_Waiting]:
    async with connection.cursor(row_factory=class_row(_Waiting)) as cursor:
        await cursor.execute(
            "SELECT n.delivery_id, n.alert_id, d.last_error "
            "FROM notifications n JOIN notification_deliveries d USING (delivery_id) "
            "WHERE n.alert_id = ANY(%s) AND n.channel = %s AND d.state = 'waiting'",
            (alerts, channel),
        )
        return await cursor.fetchall()


async def _dissolve(
    connection: AsyncConnection, deliveries: Collection[UUID], now: datetime
) -> set[UUID]:
    """Have the events of messages told in others; return which are in flight with nobody.

    Whoever notes what became of an attempt locks the message first and the lane after it: a
    message that is locked is in flight and is not waited for.
    """
    async with connection.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(
            "SELECT delivery_id FROM notification_deliveries WHERE delivery_id = ANY(%s) "
            "AND state = 'waiting' AND (leased_until IS NULL OR leased_until <= %s) "
            "FOR UPDATE SKIP LOCKED",
            (list(deliveries), now),
        )
        free = await cursor.fetchall()
    if free:
        await connection.execute(
            "UPDATE notifications SET delivery_id = NULL WHERE delivery_id = ANY(%s)", (free,)
        )
        await connection.execute(
            "DELETE FROM notification_deliveries WHERE delivery_id = ANY(%s)", (free,)
        )
    return set(free)


async def _pending(
    connection: AsyncConnection, channel: str, alerts: Sequence[int], now: datetime
) -> list[_Pending]:
    """Return what is in no message yet: the alerts in the given order, each one's events in its."""
    async with connection.cursor(row_factory=class_row(_Pending)) as cursor:
        await cursor.execute(
            _PENDING,
            {"channel": channel, "now": now, "alerts": alerts, "waited": FOR_EXPLANATION},
        )
        return await cursor.fetchall()


async def _make(
    connection: AsyncConnection,
    channel: str,
    message: Sequence[Due],
    error: str | None,
    now: datetime,
) -> None:
    """Make one message.

    Parameters
    ----------
    error
        Why an earlier message with one of its alerts was refused.
    """
    await connection.execute(
        "WITH made AS (INSERT INTO notification_deliveries "
        "(channel, rank, digest, formed_at, next_attempt_at, last_error) "
        "VALUES (%(channel)s, %(rank)s, %(digest)s, %(now)s, %(now)s, %(error)s) "
        "RETURNING delivery_id) "
        "UPDATE notifications SET delivery_id = made.delivery_id FROM made "
        "WHERE notification_id = ANY(%(ids)s)",
        {
            "channel": channel,
            "rank": min(SEVERITIES.index(due.severity) for due in message),
            "digest": len(message) > 1 or message[0].digest,
            "now": now,
            "error": error,
            "ids": [number for due in message for number in due.notification_ids],
        },
    )


_DUE_ALERTS = """
SELECT n.alert_id
FROM notifications n JOIN alerts a USING (alert_id)
WHERE n.channel = %(channel)s AND n.delivery_id IS NULL AND n.due_at <= %(now)s
GROUP BY n.alert_id, a.severity
ORDER BY array_position(%(severities)s, a.severity), min(n.due_at), min(n.notification_id)
LIMIT %(limit)s
"""

_PENDING = """
SELECT n.notification_id, n.alert_id, a.severity, n.digest, n.due_at <= %(now)s AS due,
       NOT n.digest AND n.due_at > %(now)s AND n.due_at <= n.created_at + %(waited)s
           AS awaits_explanation
FROM notifications n JOIN alerts a USING (alert_id)
WHERE n.alert_id = ANY(%(alerts)s) AND n.channel = %(channel)s AND n.delivery_id IS NULL
ORDER BY array_position(%(alerts)s, n.alert_id), n.seq
FOR UPDATE OF n
"""
