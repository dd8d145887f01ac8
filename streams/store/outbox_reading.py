"""Looking the outbox up, and having what failed tried again."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - pydantic needs it at run time
from typing import TYPE_CHECKING, Literal
from uuid import UUID  # noqa: TC003 - pydantic needs it at run time

from psycopg.rows import class_row
from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    import psycopg

__all__ = ["ChannelState", "OutboxRow", "State", "channel_states", "list_outbox", "retry"]

State = Literal["waiting", "sent", "failed"]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True)


class ChannelState(_Model):
    """How a channel is doing."""

    channel: str
    held: int = Field(description="To be told later: digests, quiet hours")
    waiting: int = Field(description="Due, and not sent yet")
    failed: int = Field(description="Given up")
    sent_24h: int
    oldest: datetime | None = Field(description="Since when the oldest is due")
    failures: int = Field(description="Failed attempts in a row")
    last_error: str | None = Field(description="While attempts fail")


class OutboxRow(_Model):
    """An event that a channel is told of, and how far that is."""

    notification_id: int
    alert_id: int
    kind: str
    channel: str
    route: str
    state: State
    digest: bool
    due_at: datetime = Field(description="Not before then; once tried, the next attempt")
    attempts: int
    sent_at: datetime | None
    delivery_id: UUID | None = Field(description="The message; several events may share one")
    last_error: str | None
    subject: str | None


def channel_states(connection: psycopg.Connection) -> list[ChannelState]:
    """Return all channels that ever had something to send, by name."""
    with connection.cursor(row_factory=class_row(ChannelState)) as cursor:
        return cursor.execute(_CHANNELS).fetchall()


def list_outbox(
    connection: psycopg.Connection,
    *,
    state: State | None = None,
    channel: str | None = None,
    limit: int = 100,
) -> list[OutboxRow]:
    """Return what is told, the newest first."""
    with connection.cursor(row_factory=class_row(OutboxRow)) as cursor:
        return cursor.execute(
            _OUTBOX, {"state": state, "channel": channel, "limit": limit}
        ).fetchall()


def retry(connection: psycopg.Connection, *, channel: str | None = None) -> int:
    """Have messages tried again now that failed or wait for another attempt; return how many.

    Those that failed are written anew: what they said may not hold any more.

    Parameters
    ----------
    channel
        None: of all channels.
    """
    only = {"channel": channel}
    with connection.transaction():
        connection.execute(
            "UPDATE notification_lanes SET failures = 0, paused_until = NULL "
            "WHERE %(channel)s::text IS NULL OR channel = %(channel)s",
            only,
        )
        failed = connection.execute(
            "DELETE FROM notification_deliveries WHERE state = 'failed' "
            "AND (%(channel)s::text IS NULL OR channel = %(channel)s) RETURNING delivery_id",
            only,
        ).fetchall()
        connection.execute(
            "UPDATE notifications SET delivery_id = NULL WHERE delivery_id = ANY(%s)",
            ([delivery for (delivery,) in failed],),
        )
        waiting = connection.execute(
            "UPDATE notification_deliveries SET next_attempt_at = clock_timestamp() "
            "WHERE state = 'waiting' AND attempts > 0 AND leased_until IS NULL "
            "AND (%(channel)s::text IS NULL OR channel = %(channel)s)",
            only,
        )
        return len(failed) + waiting.rowcount


_CHANNELS = """
WITH told AS (
    SELECT n.channel,
           count(*) FILTER (WHERE n.delivery_id IS NULL AND n.due_at > now()) AS held,
           count(*) FILTER (WHERE n.delivery_id IS NULL AND n.due_at <= now()
                            OR d.state = 'waiting') AS waiting,
           count(*) FILTER (WHERE d.state = 'failed') AS failed,
           count(*) FILTER (WHERE d.state = 'sent' AND d.sent_at > now() - interval '24 hours')
               AS sent_24h,
           min(n.due_at) FILTER (WHERE (n.delivery_id IS NULL OR d.state = 'waiting')
                                 AND n.due_at <= now()) AS oldest
    FROM notifications n LEFT JOIN notification_deliveries d USING (delivery_id)
    GROUP BY 1
)
SELECT t.channel, t.held, t.waiting, t.failed, t.sent_24h, t.oldest,
       coalesce(l.failures, 0) AS failures, e.last_error
FROM told t
LEFT JOIN notification_lanes l USING (channel)
LEFT JOIN LATERAL (
    SELECT d.last_error FROM notification_deliveries d
    WHERE d.channel = t.channel AND d.state <> 'sent' AND d.last_error IS NOT NULL
    ORDER BY d.formed_at DESC
    LIMIT 1
) e ON true
ORDER BY t.channel
"""

_OUTBOX = """
SELECT n.notification_id, n.alert_id, e.kind, n.channel, n.route,
       coalesce(d.state, 'waiting') AS state, coalesce(d.digest, n.digest) AS digest,
       CASE WHEN d.state = 'waiting' THEN d.next_attempt_at ELSE n.due_at END AS due_at,
       coalesce(d.attempts, 0) AS attempts, d.sent_at, d.delivery_id, d.last_error,
       d.message ->> 'subject' AS subject
FROM notifications n
JOIN alert_events e USING (alert_id, seq)
LEFT JOIN notification_deliveries d USING (delivery_id)
WHERE (%(channel)s::text IS NULL OR n.channel = %(channel)s)
  AND (%(state)s::text IS NULL OR coalesce(d.state, 'waiting') = %(state)s)
ORDER BY n.notification_id DESC
LIMIT %(limit)s
"""
