"""Where to read on: progress as the database knows it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faust.types import TP
    from psycopg_pool import AsyncConnectionPool

    from streams.transport import LogBounds

__all__ = ["StoredPositions"]

log = logging.getLogger(__name__)


class StoredPositions:
    """Position source of the batch transport over `stream_offsets`.

    A stored offset outside the broker's log is moved into it, and the jump is kept in
    `offset_jumps`: records that expired unread are a loss that must be seen, and a topic that was
    made anew is read from its start, which is harmless since events are known by their ids.
    """

    def __init__(self, pool: AsyncConnectionPool, cluster: str) -> None:
        self._pool = pool
        self._cluster = cluster

    async def positions(self, bounds: Mapping[TP, LogBounds]) -> dict[TP, int]:
        """Return the offset to read next for each partition, making its row if need be."""
        result: dict[TP, int] = {}
        async with self._pool.connection() as connection, connection.cursor() as cursor:
            for tp, bound in sorted(bounds.items()):
                await cursor.execute(
                    "INSERT INTO stream_offsets (cluster, topic, partition, next_offset) "
                    "VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
                    (self._cluster, *tp, bound.first),
                )
                await cursor.execute(
                    "SELECT next_offset FROM stream_offsets "
                    "WHERE cluster = %s AND topic = %s AND partition = %s FOR UPDATE",
                    (self._cluster, *tp),
                )
                row = await cursor.fetchone()
                stored = int(row[0]) if row else bound.first
                if bound.first <= stored <= bound.end:
                    result[tp] = stored
                    continue
                reason = "expired" if stored < bound.first else "topic made anew"
                log.error(
                    "%s[%s]: stored offset %s lies outside the log %s-%s (%s); reading from %s",
                    *tp, stored, bound.first, bound.end, reason, bound.first,
                )  # fmt: skip
                await cursor.execute(
                    "INSERT INTO offset_jumps (cluster, topic, partition, from_offset, to_offset, "
                    "reason) VALUES (%s, %s, %s, %s, %s, %s)",
                    (self._cluster, *tp, stored, bound.first, reason),
                )
                await cursor.execute(
                    "UPDATE stream_offsets SET next_offset = %s "
                    "WHERE cluster = %s AND topic = %s AND partition = %s",
                    (bound.first, self._cluster, *tp),
                )
                result[tp] = bound.first
        return result
