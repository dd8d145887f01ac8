"""The outbox of notifications: what is to be told, and to whom.

Every function is one transaction of its own. Moments are passed in, so that schedules can be tested
without waiting; the clocks of workers have to agree to within seconds. The messages by which people
are told are in `streams.store.deliveries`.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from psycopg.rows import scalar_row
from pydantic import ValidationError

from schemas.alerts import AlertEvent
from streams.errors import describe
from streams.notify.routing import FOR_EXPLANATION
from streams.store.alert_history import begin_following, follow, followed_to, set_event_aside
from streams.store.alerts import read_alerts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime, timedelta
    from uuid import UUID

    from psycopg import AsyncConnection
    from psycopg_pool import AsyncConnectionPool

    from schemas.alerts import Alert
    from streams.notify.routing import Planned
    from streams.store.alert_history import Followed

__all__ = ["FOLLOWER", "busy_channels", "contents", "forget_sent", "route_events"]

log = logging.getLogger(__name__)

#: Its place among `alert_followers`.
FOLLOWER: Final = "notify"
_AT_ONCE: Final = 500


async def route_events(
    pool: AsyncConnectionPool,
    plan: Callable[[AlertEvent, Alert], Iterable[Planned]],
    now: datetime,
) -> int:
    """Read on in the history of alerts and note who is to be told; return how many events.

    One worker at a time does so; the others return 0 meanwhile.
    """
    async with pool.connection() as connection, connection.transaction():
        await begin_following(connection, FOLLOWER)
        followed = await follow(connection, FOLLOWER, limit=_AT_ONCE)
        if followed:
            await _note(connection, followed, plan, now)
            await followed_to(connection, FOLLOWER, followed[-1].event_id)
        return len(followed)


async def _note(
    connection: AsyncConnection,
    followed: Sequence[Followed],
    plan: Callable[[AlertEvent, Alert], Iterable[Planned]],
    now: datetime,
) -> None:
    events = [one.event for one in followed]
    alerts = {
        alert.alert_id: alert
        for alert in await read_alerts(connection, {event.alert_id for event in events})
    }
    planned: list[tuple[object, ...]] = []
    for one in followed:
        event = one.event
        if event.alert_id not in alerts:
            continue
        try:
            planned += [
                (event.alert_id, event.seq, p.channel, p.route, p.digest, p.due, now)
                for p in plan(event, alerts[event.alert_id])
            ]
        except Exception as error:
            # One that cannot be planned must not keep all later ones from being told.
            log.exception("Nobody is told of event %s of alert %s.", event.seq, event.alert_id)
            await set_event_aside(connection, FOLLOWER, one, describe(error))
    if planned:
        async with connection.cursor() as cursor:
            await cursor.executemany(
                "INSERT INTO notifications "
                "(alert_id, seq, channel, route, digest, due_at, created_at) "
                "VALUES (%s, %s, %s, %s, %s, %s, %s) "
                "ON CONFLICT (alert_id, seq, channel) DO NOTHING",
                planned,
            )
    if explained := [event.alert_id for event in events if event.change.kind == "explained"]:
        await connection.execute(
            "UPDATE notifications SET due_at = %(now)s WHERE alert_id = ANY(%(alerts)s) "
            "AND delivery_id IS NULL AND NOT digest "
            "AND due_at > %(now)s AND due_at <= created_at + %(waited)s",
            {"now": now, "alerts": explained, "waited": FOR_EXPLANATION},
        )


async def busy_channels(pool: AsyncConnectionPool, now: datetime) -> set[str]:
    """Return the channels that have something to send."""
    async with pool.connection() as connection, connection.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(
            "SELECT channel FROM notifications WHERE delivery_id IS NULL AND due_at <= %(now)s "
            "UNION SELECT channel FROM notification_deliveries "
            "WHERE state = 'waiting' AND next_attempt_at <= %(now)s "
            "AND (leased_until IS NULL OR leased_until <= %(now)s)",
            {"now": now},
        )
        return set(await cursor.fetchall())


async def contents(pool: AsyncConnectionPool, delivery_id: UUID) -> list[tuple[AlertEvent, Alert]]:
    """Return the events that a message tells of, oldest first, with their alerts as they are.

    What its channel was told of the same alerts since is told again after them: the last word of a
    message that comes late is as new as that of those before it.
    """
    async with pool.connection() as connection:
        cursor = await connection.execute(_CONTENTS, (delivery_id,))
        events = [event for row in await cursor.fetchall() if (event := _event(*row))]
        alerts = {
            alert.alert_id: alert
            for alert in await read_alerts(connection, {event.alert_id for event in events})
        }
    return [(event, alerts[event.alert_id]) for event in events if event.alert_id in alerts]


async def forget_sent(pool: AsyncConnectionPool, keep: timedelta) -> int:
    """Delete some of the messages that were sent long ago; return how many.

    What waits or has failed stays, however old it is. Nothing is told again: the follower `notify`
    has passed those events long since.
    """
    async with pool.connection() as connection:
        cursor = await connection.execute(_FORGET, {"keep": keep, "limit": _AT_ONCE})
        return cursor.rowcount


def _event(alert_id: int, seq: int, at: datetime, actor: str, change: object) -> AlertEvent | None:
    try:
        return AlertEvent.model_validate(
            {"alert_id": alert_id, "seq": seq, "at": at, "actor": actor, "change": change}
        )
    except ValidationError:
        log.exception("Event %s of alert %s cannot be read.", seq, alert_id)
        return None


_CONTENTS = """
WITH own AS (
    SELECT alert_id, channel, min(seq) AS seq FROM notifications WHERE delivery_id = %s
    GROUP BY 1, 2
)
SELECT e.alert_id, e.seq, e.at, e.actor, e.change
FROM own
JOIN notifications n USING (alert_id, channel)
JOIN alert_events e ON e.alert_id = n.alert_id AND e.seq = n.seq
WHERE n.seq >= own.seq AND n.delivery_id IS NOT NULL
ORDER BY e.event_id
"""

# A few at a time, so that nobody waits for it; it is called again soon.
_FORGET = """
WITH old AS (
    SELECT delivery_id FROM notification_deliveries
    WHERE state = 'sent' AND sent_at < clock_timestamp() - %(keep)s
    ORDER BY sent_at LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
), told AS (
    DELETE FROM notifications n USING old WHERE n.delivery_id = old.delivery_id
)
DELETE FROM notification_deliveries d USING old WHERE d.delivery_id = old.delivery_id
"""
