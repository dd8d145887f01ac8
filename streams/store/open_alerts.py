"""How many alerts are open, by rule and by region."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from psycopg import AsyncConnection

__all__ = ["count_open_below", "count_open_by_rule"]


async def count_open_by_rule(connection: AsyncConnection, *, scope: str) -> dict[str, int]:
    """Return the number of open alerts of each rule in a region and all below it."""
    cursor = await connection.execute(_BY_RULE, (scope,))
    return dict(await cursor.fetchall())


async def count_open_below(
    connection: AsyncConnection, regions: Sequence[str], *, signal: str
) -> dict[str, int]:
    """Return the number of open alerts of a signal in each region and all below it."""
    cursor = await connection.execute(_BELOW, (list(regions), signal))
    return dict(await cursor.fetchall())


_BY_RULE: Final = """
SELECT a.rule, count(*)
FROM alerts a JOIN region_ancestors r ON r.region = a.region
WHERE r.ancestor = %s AND a.status NOT IN ('discarded', 'closed', 'merged')
GROUP BY 1
"""

_BELOW: Final = """
SELECT r.ancestor, count(*)
FROM region_ancestors r JOIN alerts a ON a.region = r.region
WHERE r.ancestor = ANY(%s) AND a.signal = %s
  AND a.status NOT IN ('discarded', 'closed', 'merged')
GROUP BY 1
"""
