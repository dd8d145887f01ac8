"""Telling other systems of alerts: every event, on a Kafka topic.

A record is the JSON of an `AlertEvent`, its key the alert's id: events of an alert keep their
order. They are sent at least once; `seq` tells a repetition. Small cells of explanations stay in
the database.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from streams.alerts.small_cells import event_to_tell
from streams.store.alert_history import begin_following, follow, followed_to

if TYPE_CHECKING:
    from psycopg_pool import AsyncConnectionPool

__all__ = ["FOLLOWER", "publish_events"]

#: Name under which the progress is kept.
FOLLOWER: Final = "kafka"
_AT_ONCE = 1000


async def publish_events(pool: AsyncConnectionPool, producer: Any, topic: str) -> int:
    """Send the events that were not sent yet; return how many.

    Parameters
    ----------
    producer
        Faust's producer.
    """
    sent = 0
    while True:
        async with pool.connection() as connection, connection.transaction():
            await begin_following(connection, FOLLOWER)
            followed = await follow(connection, FOLLOWER, limit=_AT_ONCE)
            if not followed:
                return sent
            acknowledged = [
                await producer.send(
                    topic,
                    str(event.alert_id).encode(),
                    event_to_tell(event).model_dump_json().encode(),
                    None,
                    None,
                    None,
                )
                for _, event in followed
            ]
            await asyncio.gather(*acknowledged)
            await followed_to(connection, FOLLOWER, followed[-1].event_id)
        sent += len(followed)
