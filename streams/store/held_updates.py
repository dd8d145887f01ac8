"""Small changes of alerts' numbers that are told later, together with those that follow."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from psycopg import AsyncConnection

__all__ = ["hold_updates", "release_updates"]


async def hold_updates(connection: AsyncConnection, due: Mapping[int, datetime]) -> None:
    """Note alerts whose numbers have changed a little, in the transaction with their verdicts.

    Parameters
    ----------
    due
        When each of them is to be looked at again; an earlier time that is noted already holds.
    """
    if due:
        await connection.execute(
            "INSERT INTO held_updates (alert_id, due_at) "
            "SELECT * FROM unnest(%s::bigint[], %s::timestamptz[]) ORDER BY 1 "
            "ON CONFLICT DO NOTHING",
            (list(due), list(due.values())),
        )


async def release_updates(connection: AsyncConnection) -> int:
    """Have those judged again that are due; return how many.

    It needs a short transaction of its own: who holds updates waits for whoever releases them.
    """
    cursor = await connection.execute(_RELEASE)
    return cursor.rowcount


# Judging again finds out whether there still is anything to tell. What is decided needs nothing.
_RELEASE = """
WITH due AS (
    DELETE FROM held_updates WHERE due_at <= clock_timestamp() RETURNING alert_id
)
INSERT INTO pending_judgements (signal, region, day)
SELECT a.signal, a.region, a.last_period
FROM due JOIN alerts a USING (alert_id)
WHERE a.status NOT IN ('discarded', 'closed', 'merged')
"""
