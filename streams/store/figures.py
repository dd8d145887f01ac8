"""Figures for monitoring that all workers share: one query each, bounded in rows and in cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from psycopg import AsyncConnection

__all__ = ["QUERIES", "read_figures"]

Rows = list[tuple[Any, ...]]


async def read_figures(connection: AsyncConnection) -> dict[str, Rows]:
    """Return the rows of all queries by their names."""
    return {
        name: await (await connection.execute(query)).fetchall() for name, query in QUERIES.items()
    }


#: Labels come from topics, channels, severities and reasons: a few dozen series. Nothing personal,
#: no source, facility or region.
QUERIES: Final = {
    "records": """
        SELECT topic, sum(inserted), sum(replaced), sum(repeated), sum(refused), sum(batches),
               sum(seconds)
        FROM intake_hours GROUP BY 1
    """,
    "letters": "SELECT reason, count(*) FROM dead_letters GROUP BY 1",
    "letters_waiting": """
        SELECT count(*) FROM (
            SELECT FROM dead_letters WHERE published_at IS NULL LIMIT 100000) waiting
    """,
    "lag": """
        SELECT e.topic, e.partition, greatest(e.end_offset - coalesce(o.next_offset, 0), 0)
        FROM log_ends e LEFT JOIN stream_offsets o USING (log, topic, partition)
        WHERE e.seen_at > now() - interval '1 hour'
    """,
    "received": """
        SELECT topic, extract(epoch FROM max(last_received))::float8 FROM sources GROUP BY 1
    """,
    "pending": """
        SELECT (SELECT count(*) FROM (SELECT FROM pending_judgements LIMIT 100000) p),
               coalesce(extract(epoch FROM clock_timestamp() - (
                   SELECT noted_at FROM pending_judgements ORDER BY pending_id LIMIT 1))::float8, 0)
    """,
    "history": """
        SELECT count(*),
               coalesce(extract(epoch FROM clock_timestamp() - min(noted_at))::float8, 0)
        FROM pending_spans
    """,
    "roll_ups": """
        SELECT count(*) FROM (SELECT FROM pending_roll_ups LIMIT 100000) p
    """,
    "quarantined": "SELECT count(*) FROM judging_quarantine",
    "set_aside": "SELECT follower, count(*) FROM set_aside GROUP BY 1",
    "alerts": """
        SELECT severity, count(*) FROM alerts
        WHERE status NOT IN ('discarded', 'closed', 'merged') GROUP BY 1
    """,
    "notifications": """
        SELECT channel, count(*) FROM (
            SELECT channel FROM notifications WHERE delivery_id IS NULL AND due_at <= now()
            UNION ALL
            SELECT channel FROM notification_deliveries WHERE state = 'waiting') waiting
        GROUP BY 1
    """,
    "notifications_failed": """
        SELECT channel, count(*) FROM notification_deliveries WHERE state = 'failed' GROUP BY 1
    """,
    "schema": "SELECT max(migration_id) FROM _yoyo_migration",
}
