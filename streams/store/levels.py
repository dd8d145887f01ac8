"""Sums of upper levels, kept beside the counts: `level_counts`.

Batches are added by `roll_up_batches`, a function of the database, soon after their commit. An
import takes the place of live counts and of earlier imports, so it tells by how much the sums
change: what its periods came to before and after it, without what still waits for the roll-up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.store.locks import LEVELS, TAKE

if TYPE_CHECKING:
    import psycopg
    from psycopg import AsyncConnection

__all__ = ["add_to_levels", "hold_levels", "roll_up_batches", "subtract_from_levels"]

#: Batches that are rolled up in one statement; bounds its memory.
_BATCHES = 50


async def roll_up_batches(connection: AsyncConnection) -> int:
    """Add a bounded number of waiting batches to the sums; return how many, 0 when none waits."""
    cursor = await connection.execute("SELECT roll_up_batches(%s)", (_BATCHES,))
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


def hold_levels(cursor: psycopg.Cursor) -> None:
    """Keep the roll-up away until the transaction ends, with as little waiting as can be."""
    cursor.execute(TAKE, (LEVELS,))
    while (row := cursor.execute("SELECT roll_up_batches(%s)", (_BATCHES,)).fetchone()) and row[0]:
        pass
    cursor.execute(_CONTRIBUTED)


def subtract_from_levels(cursor: psycopg.Cursor) -> None:
    """Take note of what the periods in the table `importing` come to before they are imported."""
    cursor.execute(_NOTE, {"sign": -1})


def add_to_levels(cursor: psycopg.Cursor) -> None:
    """Change the sums by what the periods in the table `importing` come to now."""
    cursor.execute(_NOTE, {"sign": 1})
    cursor.execute(_ADD)
    cursor.execute("DROP TABLE contributed")


_CONTRIBUTED = """
CREATE TEMPORARY TABLE contributed (
    signal  text    NOT NULL,
    region  text    NOT NULL,
    grain   text    NOT NULL,
    period  date    NOT NULL,
    stratum text    NOT NULL,
    change  numeric NOT NULL
) ON COMMIT DROP
"""

# A day's import changes its week too. Live days are looked for only where there are any.
_NOTE = """
WITH day_key AS MATERIALIZED (
    SELECT DISTINCT i.signal, i.region, i.period AS day,
           i.period - (i.period - k.week_origin) %% 7 AS week
    FROM importing i, clock k
    WHERE i.grain = 'day'
), week_key AS MATERIALIZED (
    SELECT DISTINCT i.signal, i.region, i.period AS week FROM importing i WHERE i.grain = 'week'
    UNION
    SELECT d.signal, d.region, d.week FROM day_key d
), counted AS MATERIALIZED (
    SELECT s.signal, s.region, s.stratum, s.series_id, x.first, x.last
    FROM series s
    CROSS JOIN LATERAL (
        SELECT (SELECT min(d.day) FROM daily_counts d WHERE d.series_id = s.series_id) AS first,
               (SELECT max(d.day) FROM daily_counts d WHERE d.series_id = s.series_id) AS last
    ) x
    WHERE (s.signal, s.region) IN (SELECT w.signal, w.region FROM week_key w)
      AND x.first IS NOT NULL
), live AS (
    SELECT c.signal, c.region, c.stratum, w.week, d.day, d.value - coalesce(t.change, 0) AS value
    FROM week_key w
    JOIN counted c ON c.signal = w.signal AND c.region = w.region
        AND w.week <= c.last AND w.week + 6 >= c.first
    JOIN daily_counts d ON d.series_id = c.series_id AND d.day BETWEEN w.week AND w.week + 6
    LEFT JOIN waiting_changes t ON t.series_id = d.series_id AND t.day = d.day
    WHERE NOT EXISTS (
        SELECT FROM imported_counts i
        WHERE i.signal = c.signal AND i.region = c.region AND i.grain = 'day' AND i.period = d.day)
), by_day AS MATERIALIZED (
    SELECT l.signal, l.region, l.stratum, l.week, l.day, l.value FROM live l
    UNION ALL
    SELECT w.signal, w.region, i.stratum, w.week, i.period, i.value
    FROM week_key w
    JOIN imported_counts i ON i.signal = w.signal AND i.region = w.region AND i.grain = 'day'
        AND i.period BETWEEN w.week AND w.week + 6
)
INSERT INTO contributed (signal, region, grain, period, stratum, change)
SELECT b.signal, b.region, 'day', b.day, b.stratum, %(sign)s * b.value
FROM by_day b JOIN day_key d USING (signal, region, day)
UNION ALL
SELECT w.signal, w.region, 'week', w.week, i.stratum, %(sign)s * i.value
FROM week_key w
JOIN imported_counts i ON i.signal = w.signal AND i.region = w.region AND i.grain = 'week'
    AND i.period = w.week
UNION ALL
SELECT b.signal, b.region, 'week', b.week, b.stratum, %(sign)s * sum(b.value)
FROM by_day b
WHERE NOT EXISTS (
    SELECT FROM imported_counts i
    WHERE i.signal = b.signal AND i.region = b.region AND i.grain = 'week' AND i.period = b.week)
GROUP BY 1, 2, 4, 5
"""

_ADD = """
INSERT INTO level_counts AS l (region, signal, grain, period, stratum, value)
SELECT a.ancestor, c.signal, c.grain, c.period, c.stratum, sum(c.change)
FROM contributed c JOIN region_ancestors a ON a.region = c.region AND a.ancestor <> c.region
GROUP BY 1, 2, 3, 4, 5
HAVING sum(c.change) <> 0
ORDER BY 1, 2, 3, 4, 5
ON CONFLICT (region, signal, grain, period, stratum) DO UPDATE SET value = l.value + EXCLUDED.value
"""
