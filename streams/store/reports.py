"""Which regions reported anything, and since when: what is missing is not zero."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from streams.judging.outages import DAYS_BEFORE, outage_days

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from psycopg import AsyncConnection

__all__ = ["Known", "read_known"]

#: Days that are looked at before the first one that is asked for: a silence may begin before it.
_BEFORE: Final = DAYS_BEFORE + 28
#: Roll-ups may lag behind the commits: recent days are looked up in the counts of all signals.
_NOT_ROLLED_UP: Final = 8


class Known(NamedTuple):
    """What is known of regions on days."""

    days: NDArray[np.bool_]
    """A missing count is a zero, shape `[regions, days]`; else nothing is known."""
    starts: NDArray[np.datetime64]
    """First day with a report, shape `[regions]`; NaT: none."""


async def read_known(
    connection: AsyncConnection,
    *,
    signal: str,
    regions: Sequence[str],
    first: date,
    last: date,
) -> Known:
    """Read on which days a count of 0 is one.

    A region is known from its first report of the signal's kind of events on, whatever signal
    counted it, and on all days but those of an outage (`streams.judging.outages.outage_days`).

    Parameters
    ----------
    regions
        Codes of any level; one below that reports is enough.
    first, last
        Days; after `last` nothing has come in from anywhere.
    """
    since = first - timedelta(days=_BEFORE)
    days = max((last - since).days + 1, 0)
    reported = np.zeros((len(regions), days), dtype=np.bool_)
    row = {region: i for i, region in enumerate(regions)}
    values = {"signal": signal, "regions": list(regions), "since": since, "last": last}
    cursor = await connection.execute(_STARTS, values)
    starts = np.full(len(regions), np.datetime64("NaT", "D"))
    for region, start in await cursor.fetchall():
        if start is not None:
            starts[row[region]] = np.datetime64(start, "D")
    silences = await _silences(connection, values)
    reported[:] = True
    for region, begin, end in silences:
        reported[row[region], (begin - since).days : (end - since).days + 1] = False
    if silences:
        asked = {
            "signal": signal,
            "asked": [region for region, _, _ in silences],
            "firsts": [begin for _, begin, _ in silences],
            "lasts": [end for _, _, end in silences],
            "recent": last - timedelta(days=_NOT_ROLLED_UP),
        }
        cursor = await connection.execute(_COUNTED, asked)
        for region, day in await cursor.fetchall():
            reported[row[region], (day - since).days] = True
    calendar = np.datetime64(since, "D") + np.arange(days)
    begun = calendar[None] >= starts[:, None]  # never for NaT
    known = begun & ~outage_days(reported & begun)
    return Known(known[:, _BEFORE:], starts)


async def _silences(
    connection: AsyncConnection, values: dict[str, object]
) -> list[tuple[str, date, date]]:
    """Return the spans without any report that is rolled up, by region."""
    cursor = await connection.execute(_SILENCES, values)
    return [(region, begin, end) for region, begin, end in await cursor.fetchall()]


_STARTS = """
SELECT r.region, least(
    (SELECT min(f.day) FROM facility_reports f
     WHERE f.region = r.region
       AND f.kind = (SELECT k.kind FROM signals k WHERE k.signal = %(signal)s)),
    (SELECT min(x.day)
     FROM region_ancestors p
     JOIN series s ON s.region = p.region AND s.signal = %(signal)s
     CROSS JOIN LATERAL (
         SELECT min(c.day) AS day FROM daily_counts c
         WHERE c.series_id = s.series_id AND c.value <> 0
     ) x
     WHERE p.ancestor = r.region))
FROM unnest(%(regions)s::text[]) AS r(region)
"""

# From each report to the next one; a row before the span stands for its beginning.
_SILENCES = """
SELECT x.region, x.day + 1, x.next - 1
FROM (
    SELECT d.region, d.day, lead(d.day, 1, %(last)s::date + 1)
               OVER (PARTITION BY d.region ORDER BY d.day) AS next
    FROM (
        SELECT r.region, %(since)s::date - 1 AS day FROM unnest(%(regions)s::text[]) AS r(region)
        UNION ALL
        SELECT f.region, f.day
        FROM facility_reports f
        WHERE f.region = ANY(%(regions)s) AND f.day BETWEEN %(since)s AND %(last)s
          AND f.kind = (SELECT k.kind FROM signals k WHERE k.signal = %(signal)s)
    ) d
) x
WHERE x.next > x.day + 1
"""

# A count that was taken back to 0 is a report as well.
_COUNTED = """
SELECT DISTINCT a.region, c.day
FROM unnest(%(asked)s::text[], %(firsts)s::date[], %(lasts)s::date[]) AS a(region, first, last)
JOIN region_ancestors p ON p.ancestor = a.region
JOIN series s ON s.region = p.region
JOIN daily_counts c ON c.series_id = s.series_id AND c.day BETWEEN a.first AND a.last
WHERE s.signal = %(signal)s
   OR c.day >= %(recent)s AND s.signal IN (
       SELECT o.signal FROM signals k JOIN signals o USING (kind) WHERE k.signal = %(signal)s)
"""
