"""Telling other systems of alerts: every event, on a Kafka topic.

A record is the JSON of an `AlertEvent`, its key the alert's id: events of an alert keep their
order. They are sent at least once; `seq` tells a repetition. Small cells of explanations stay in
the database.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from streams.alerts.small_cells import event_to_tell
from streams.errors import describe
from streams.sending import Outgoing, concerns_one_record, send_all
from streams.store.alert_history import (
    begin_following,
    follow,
    followed_to,
    set_event_aside,
)
from streams.store.limits import keep_alive

if TYPE_CHECKING:
    from collections.abc import Sequence

    from psycopg import AsyncConnection
    from psycopg_pool import AsyncConnectionPool

    from streams.store.alert_history import Followed

__all__ = ["FOLLOWER", "publish_events"]

log = logging.getLogger(__name__)

#: Name under which the progress is kept.
FOLLOWER: Final = "kafka"
_AT_ONCE = 1000


async def publish_events(pool: AsyncConnectionPool, producer: Any, topic: str) -> int:
    """Send the events that were not sent yet; return how many.

    An event that Kafka refuses, such as one that is too large, is set aside with the reason.

    Parameters
    ----------
    producer
        Faust's producer.

    Raises
    ------
    KafkaError, OSError
        Kafka takes no records. The events before the first failure are noted as sent.
    """
    sent = 0
    while True:
        async with pool.connection() as connection, connection.transaction():
            await begin_following(connection, FOLLOWER)
            followed = await follow(connection, FOLLOWER, limit=_AT_ONCE)
            if not followed:
                return sent
            records = [
                Outgoing(
                    topic,
                    str(event.alert_id).encode(),
                    event_to_tell(event).model_dump_json().encode(),
                )
                for _, event in followed
            ]
            # A slow broker takes longer than the server lets a transaction be silent.
            outcomes = await keep_alive(connection, send_all(producer, records))
            passed, error = await _pass(connection, followed, outcomes)
        sent += passed
        if error is not None:
            raise error


async def _pass(
    connection: AsyncConnection,
    followed: Sequence[Followed],
    outcomes: Sequence[Exception | None],
) -> tuple[int, Exception | None]:
    """Move on to the first event that has to be sent again; return how many were sent, and why."""
    last, sent = None, 0
    for one, outcome in zip(followed, outcomes, strict=True):
        if outcome is not None:
            if not concerns_one_record(outcome):
                if last is not None:
                    await followed_to(connection, FOLLOWER, last)
                return sent, outcome
            reason = describe(outcome)
            log.error(
                "Event %s of alert %s is not published: %s",
                one.event.seq, one.event.alert_id, reason,
            )  # fmt: skip
            await set_event_aside(connection, FOLLOWER, one, reason)
        else:
            sent += 1
        last = one.event_id
    assert last is not None  # noqa: S101 - there is at least one
    await followed_to(connection, FOLLOWER, last)
    return sent, None
