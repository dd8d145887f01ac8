"""Where to read on: progress as the database knows it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from faust.types import TP
from psycopg.errors import LockNotAvailable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from psycopg import AsyncCursor
    from psycopg_pool import AsyncConnectionPool

    from streams.transport import LogBounds

__all__ = ["StoredPositions", "note_log_ends"]

log = logging.getLogger(__name__)


class StoredPositions:
    """Position source of the batch transport over `stream_offsets`.

    Progress is kept by the log's id. A topic that was made anew has another log, and it is read
    from its start; that is harmless, since events are known by their ids. A stored offset outside
    the log is moved into it. Both jumps are kept in `offset_jumps`: what was not read before is a
    loss that must be seen.
    """

    def __init__(self, pool: AsyncConnectionPool) -> None:
        self._pool = pool

    async def positions(self, bounds: Mapping[TP, LogBounds]) -> dict[TP, int]:
        """Return the offset to read next for each partition, making its row if need be.

        A partition is left out while another worker's transaction holds its row: that worker may be
        frozen, and the other partitions must not wait for it.
        """
        found = {}
        async with self._pool.connection() as connection:
            for tp, bound in sorted(bounds.items()):
                try:
                    async with connection.transaction(), connection.cursor() as cursor:
                        await cursor.execute(_WAIT_BRIEFLY)
                        found[tp] = await _position(cursor, tp, bound)
                except LockNotAvailable:
                    log.warning("%s[%s]: another worker is still committing, waiting for it", *tp)
        return found

    async def epochs(self, logs: Mapping[TP, str]) -> dict[TP, int]:
        """Return the leader epoch of the last record that was committed of each log."""
        async with self._pool.connection() as connection:
            cursor = await connection.execute(_EPOCHS, (list(set(logs.values())),))
            stored = {(log, TP(topic, at)): epoch async for log, topic, at, epoch in cursor}
        return {tp: stored[of, tp] for tp, of in logs.items() if (of, tp) in stored}


async def note_log_ends(pool: AsyncConnectionPool, ends: Mapping[TP, tuple[str, int]]) -> None:
    """Note how far logs reach, so that the lag can be told without asking the brokers.

    Parameters
    ----------
    ends
        Log and end of each partition.
    """
    if not ends:
        return
    rows = sorted((log_id, *tp, end) for tp, (log_id, end) in ends.items())
    async with pool.connection() as connection:
        await connection.execute(_ENDS, tuple(list(column) for column in zip(*rows, strict=True)))


async def _position(cursor: AsyncCursor, tp: TP, bound: LogBounds) -> int:
    place = (bound.log, *tp)
    await cursor.execute(
        "INSERT INTO stream_offsets (log, topic, partition, next_offset) "
        "VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
        (*place, bound.first),
    )
    if cursor.rowcount:
        await cursor.execute(_BEFORE, (*tp, bound.log))
        before = await cursor.fetchone()
        if before:
            await _jump(cursor, place, (before[0], bound.first), bound, "topic made anew")
        return bound.first
    await cursor.execute(
        "SELECT next_offset FROM stream_offsets "
        "WHERE log = %s AND topic = %s AND partition = %s FOR UPDATE",
        place,
    )
    row = await cursor.fetchone()
    stored = int(row[0]) if row else bound.first
    target = _within(bound, stored)
    if target == stored:
        return stored
    reason = "expired" if stored < bound.first else "log cut short"
    await _jump(cursor, place, (stored, target), bound, reason)
    await cursor.execute(
        "UPDATE stream_offsets SET next_offset = %s, leader_epoch = NULL "
        "WHERE log = %s AND topic = %s AND partition = %s",
        (target, *place),
    )
    return target


def _within(bound: LogBounds, stored: int) -> int:
    """Return the stored offset, or the one in its place if the log there is not what was read."""
    if bound.same_until is not None and stored >= bound.first:
        return min(stored, max(bound.first, bound.same_until))
    return stored if bound.first <= stored <= bound.end else bound.first


async def _jump(
    cursor: AsyncCursor,
    place: tuple[str, str, int],
    jump: tuple[int, int],
    bound: LogBounds,
    reason: str,
) -> None:
    log.error(
        "%s[%s]: stored offset %s does not fit the log %s (%s); reading from %s",
        *place[1:], jump[0], bound.log, reason, jump[1],
    )  # fmt: skip
    await cursor.execute(
        "INSERT INTO offset_jumps (log, topic, partition, from_offset, to_offset, reason) "
        "VALUES (%s, %s, %s, %s, %s, %s)",
        (*place, *jump, reason),
    )


#: For a lock: as long as a commit takes.
_WAIT_BRIEFLY = "SET LOCAL lock_timeout = '300ms'"

#: How far the log was read that the partition had before.
_BEFORE = """
SELECT next_offset FROM stream_offsets
WHERE topic = %s AND partition = %s AND log <> %s AND next_offset > 0
ORDER BY updated_at DESC LIMIT 1
"""

_EPOCHS = """
SELECT log, topic, partition, leader_epoch FROM stream_offsets
WHERE log = ANY(%s) AND leader_epoch IS NOT NULL
"""

_ENDS = """
INSERT INTO log_ends (log, topic, partition, end_offset, seen_at)
SELECT *, clock_timestamp() FROM unnest(%s::text[], %s::text[], %s::int[], %s::bigint[])
ON CONFLICT (log, topic, partition) DO UPDATE SET
    end_offset = EXCLUDED.end_offset, seen_at = EXCLUDED.seen_at
"""
