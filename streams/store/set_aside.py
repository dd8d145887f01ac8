"""What the queues have set aside: rows that could not be dealt with, and why."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - pydantic needs it at run time
from typing import TYPE_CHECKING, Final

from psycopg.rows import class_row
from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    import psycopg

__all__ = ["COUNTED", "SetAside", "list_set_aside"]

#: Rows of one table that are counted; an outage of the brokers sets millions aside.
COUNTED: Final = 10_000


class SetAside(BaseModel):
    """Rows of one queue with the same reason."""

    model_config = ConfigDict(frozen=True)

    queue: str
    reason: str
    rows: int
    at_least: bool = Field(default=False, description="Not all were counted: there are more rows")
    example: str = Field(description="The latest of them")
    at: datetime | None = Field(description="When the latest was set aside, where it is known")


def list_set_aside(connection: psycopg.Connection, *, limit: int = 20) -> list[SetAside]:
    """Return what is set aside by queue and reason, the most frequent first.

    Of each table, the latest `COUNTED` rows are looked at; `at_least` says where there are more.
    """
    values = {"most": COUNTED, "limit": limit}
    with connection.cursor(row_factory=class_row(SetAside)) as cursor:
        return cursor.execute(_SET_ASIDE, values).fetchall()


_SET_ASIDE: Final = """
WITH letters AS (
    SELECT 'dead letters of ' || topic AS queue, hand_over_note AS reason, letter_id AS number,
           'letter ' || letter_id AS item, nullif(hand_over_after, '-infinity') AS at
    FROM dead_letters WHERE published_at IS NULL AND hand_over_failures > 0
    ORDER BY letter_id DESC LIMIT %(most)s
), events AS (
    SELECT CASE follower WHEN 'kafka' THEN 'events of alerts' WHEN 'notify' THEN 'notifications'
               WHEN 'explaining' THEN 'explanations' WHEN 'grafana' THEN 'annotations'
               ELSE follower END,
           reason, event_id, 'alert ' || alert_id || ', event ' || seq, at
    FROM set_aside ORDER BY event_id DESC LIMIT %(most)s
), annotations AS (
    SELECT 'annotations', last_error, alert_id, 'alert ' || alert_id, NULL::timestamptz
    FROM grafana_annotations WHERE last_error IS NOT NULL ORDER BY alert_id DESC LIMIT %(most)s
), found AS (
    SELECT *, count(*) OVER () >= %(most)s AS at_least FROM letters
    UNION ALL
    SELECT *, count(*) OVER () >= %(most)s FROM events
    UNION ALL
    SELECT *, count(*) OVER () >= %(most)s FROM annotations
)
SELECT queue, coalesce(reason, '') AS reason, count(*) AS rows, bool_or(at_least) AS at_least,
       (array_agg(item ORDER BY number DESC))[1] AS example, max(at) AS at
FROM found GROUP BY 1, 2 ORDER BY rows DESC, queue, reason LIMIT %(limit)s
"""
