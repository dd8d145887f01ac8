"""What Grafana is to be told of alerts, and what it was told.

Every function is one transaction of its own; none waits for Grafana. Moments are the database's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, LiteralString, NamedTuple

from psycopg.rows import class_row
from pydantic import ValidationError

from schemas.alerts import Alert
from streams.store.alert_history import begin_following, follow, followed_to

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection
    from datetime import datetime, timedelta

    from psycopg_pool import AsyncConnectionPool

    from streams.notify.limits import Backoff

__all__ = [
    "FOLLOWER",
    "Turn",
    "every_alert",
    "finish",
    "give_back",
    "note_changes",
    "postpone",
    "push_again",
    "take",
]

#: Its place among `alert_followers`.
FOLLOWER: Final = "grafana"
_AT_ONCE: Final = 1000


class Turn(NamedTuple):
    """An alert whose turn it is; nobody else pushes it before the lease ends."""

    alert_id: int
    wanted: int
    annotation_id: int | None
    content: str | None
    attempts: int
    doubtful_since: datetime | None
    leased_until: datetime


async def note_changes(pool: AsyncConnectionPool) -> bool:
    """Note alerts that have changed since the last time; tell whether there were any events.

    Begins with the first event that there ever was.
    """
    async with pool.connection() as connection, connection.transaction():
        await begin_following(connection, FOLLOWER)
        followed = await follow(connection, FOLLOWER, limit=_AT_ONCE)
        if not followed:
            return False
        await connection.execute(
            _NOTE, ([e.alert_id for _, e in followed], [e.seq for _, e in followed])
        )
        await followed_to(connection, FOLLOWER, followed[-1].event_id)
    return True


async def take(
    pool: AsyncConnectionPool, lease: timedelta, unreadable: Backoff
) -> tuple[Turn, Alert | None] | None:
    """Take the turn of an alert, the newest first, with the alert as it is now.

    Parameters
    ----------
    lease
        For how long nobody else takes it.
    unreadable
        Waits of an alert whose row is not valid; it is postponed.

    Returns
    -------
    tuple or None
        None when nothing is to be done now.
    """
    while True:
        async with pool.connection() as connection, connection.transaction():
            async with connection.cursor(row_factory=class_row(Turn)) as cursor:
                await cursor.execute(_TAKE, (lease,))
                turn = await cursor.fetchone()
            if turn is None:
                return None
            async with connection.cursor(row_factory=class_row(Alert)) as alerts:
                await alerts.execute("SELECT * FROM alerts WHERE alert_id = %s", (turn.alert_id,))
                try:
                    return turn, await alerts.fetchone()
                except ValidationError as error:
                    problem = f"the row of the alert cannot be read: {error.errors()[0]['msg']}"
            await connection.execute(_POSTPONE, _postponed(turn, unreadable, problem))


async def finish(
    pool: AsyncConnectionPool,
    turn: Turn,
    *,
    version: int,
    annotation_id: int | None,
    content: str | None,
    settle: timedelta,
) -> None:
    """Note what Grafana shows now.

    Parameters
    ----------
    version
        Of the alert that was pushed.
    settle
        So long after a doubt the annotation is looked for once more.
    """
    await _execute(
        pool,
        _FINISH,
        {
            "alert_id": turn.alert_id,
            "lease": turn.leased_until,
            "version": version,
            "annotation_id": annotation_id,
            "content": content,
            "settle": settle,
        },
    )


async def give_back(pool: AsyncConnectionPool, turn: Turn, *, doubtful: bool) -> None:
    """End a turn in which Grafana was away.

    Parameters
    ----------
    doubtful
        An annotation was sent, and may have been added all the same.
    """
    await _execute(
        pool,
        _GIVE_BACK,
        {"alert_id": turn.alert_id, "lease": turn.leased_until, "doubtful": doubtful},
    )


async def postpone(pool: AsyncConnectionPool, turn: Turn, retry: Backoff, reason: str) -> None:
    """End a turn whose annotation was refused or not made: try later, or when the alert changes."""
    await _execute(pool, _POSTPONE, _postponed(turn, retry, reason))


def _postponed(turn: Turn, retry: Backoff, reason: str) -> dict[str, object]:
    return {
        "alert_id": turn.alert_id,
        "lease": turn.leased_until,
        "wait": retry.after(turn.attempts + 1),
        "reason": reason,
    }


async def push_again(pool: AsyncConnectionPool, versions: Collection[tuple[int, int]]) -> None:
    """Have alerts pushed again, whatever Grafana was told.

    Parameters
    ----------
    versions
        Ids and versions of alerts.
    """
    ids, wanted = [one for one, _ in versions], [version for _, version in versions]
    await _execute(pool, _PUSH_AGAIN, {"ids": ids, "wanted": wanted})


async def every_alert(pool: AsyncConnectionPool) -> AsyncIterator[Alert]:
    """Yield all alerts."""
    async with (
        pool.connection() as connection,
        connection.transaction(),
        connection.cursor("every_alert", row_factory=class_row(Alert)) as cursor,
    ):
        await cursor.execute("SELECT * FROM alerts ORDER BY alert_id")
        async for alert in cursor:
            yield alert


async def _execute(
    pool: AsyncConnectionPool, query: LiteralString, values: dict[str, object]
) -> None:
    async with pool.connection() as connection:
        await connection.execute(query, values)


_NOTE: Final[LiteralString] = """
INSERT INTO grafana_annotations AS g (alert_id, wanted)
SELECT e.alert_id, max(e.seq) FROM unnest(%s::bigint[], %s::int[]) AS e(alert_id, seq)
GROUP BY 1 ORDER BY 1
ON CONFLICT (alert_id) DO UPDATE SET wanted = EXCLUDED.wanted, not_before = '-infinity'
WHERE g.wanted < EXCLUDED.wanted
"""

_TAKE: Final[LiteralString] = """
UPDATE grafana_annotations g SET leased_until = clock_timestamp() + %s
WHERE g.alert_id = (
    SELECT w.alert_id FROM grafana_annotations w
    WHERE (w.pushed < w.wanted OR w.doubtful_since IS NOT NULL)
      AND w.leased_until <= clock_timestamp() AND w.not_before <= clock_timestamp()
    ORDER BY w.alert_id DESC LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING g.alert_id, g.wanted, g.annotation_id, g.content, g.attempts, g.doubtful_since,
    g.leased_until
"""

# A lease that ran out has gone to somebody else: what follows it then changes nothing.
_FINISH: Final[LiteralString] = """
UPDATE grafana_annotations SET
    pushed = %(version)s, annotation_id = %(annotation_id)s, content = %(content)s, attempts = 0,
    last_error = NULL, leased_until = '-infinity',
    doubtful_since = CASE WHEN doubtful_since + %(settle)s > clock_timestamp()
        THEN doubtful_since END,
    not_before = CASE WHEN doubtful_since + %(settle)s > clock_timestamp()
        THEN doubtful_since + %(settle)s ELSE '-infinity' END
WHERE alert_id = %(alert_id)s AND leased_until = %(lease)s
"""

_GIVE_BACK: Final[LiteralString] = """
UPDATE grafana_annotations SET leased_until = '-infinity',
    doubtful_since = CASE WHEN %(doubtful)s THEN clock_timestamp() ELSE doubtful_since END
WHERE alert_id = %(alert_id)s AND leased_until = %(lease)s
"""

_POSTPONE: Final[LiteralString] = """
UPDATE grafana_annotations SET leased_until = '-infinity', attempts = attempts + 1,
    not_before = clock_timestamp() + %(wait)s, last_error = %(reason)s
WHERE alert_id = %(alert_id)s AND leased_until = %(lease)s
"""

_PUSH_AGAIN: Final[LiteralString] = """
INSERT INTO grafana_annotations (alert_id, wanted)
SELECT a.alert_id, a.version FROM unnest(%(ids)s::bigint[], %(wanted)s::int[])
    AS a(alert_id, version)
ORDER BY 1
ON CONFLICT (alert_id) DO UPDATE SET pushed = 0, annotation_id = NULL, content = NULL,
    attempts = 0, not_before = '-infinity'
"""
