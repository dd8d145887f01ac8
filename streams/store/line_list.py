"""The counts that an alert is made of: by facility, day and age group, from the stored events.

Counts, never records: what is read of an event is where, when and by how much it counts.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from psycopg.errors import QueryCanceled

from streams.errors import FenghuoError
from streams.store.facility_names import facility_names

if TYPE_CHECKING:
    from psycopg import AsyncConnection

    from schemas.alerts import Alert

__all__ = ["Cell", "TooManyEventsError", "days_of", "read_cells"]

#: Longest search, in milliseconds: the days of a whole nation may hold millions of events.
_PATIENCE: Final = 8000


class TooManyEventsError(FenghuoError):
    """Reading the events would take too long."""


class Cell(NamedTuple):
    """What one facility counted of one age group on one day."""

    day: date
    region: str
    facility: str
    """Unique among the cells that are read, see `streams.store.facility_names`."""
    stratum: str
    value: float


def days_of(alert: Alert) -> tuple[date, date]:
    """Return the first and last day of an alert's latest period.

    Examples
    --------
    A week is seven days from its first; a rolling week the seven up to its day.
    """
    period = alert.last_period
    if alert.grain == "week":
        return period, period + timedelta(days=6)
    if alert.grain == "rolling7":
        return period - timedelta(days=6), period
    return period, period


async def read_cells(
    connection: AsyncConnection, *, signal: str, region: str, first: date, last: date
) -> list[Cell]:
    """Return what was counted of a signal in a region and below it, from the first to a last day.

    Raises
    ------
    TooManyEventsError
        It takes too long: the region is too large, or the days are too many.

    Notes
    -----
    Only the latest revision of an event counts, and cancelled events do not. Periods that were
    imported have no events, and thus no cells.
    """
    series = {
        number: (place, stratum)
        for number, place, stratum in await (
            await connection.execute(_SERIES, (signal, region))
        ).fetchall()
    }
    if not series:
        return []
    values = {
        "series": list(series),
        "regions": sorted({place for place, _ in series.values()}),
        "first": first,
        "last": last,
    }
    try:
        async with connection.transaction():
            await connection.execute(_LIMIT, (str(_PATIENCE),))
            cursor = await connection.execute(_CELLS, values)
            found = await cursor.fetchall()
    except QueryCanceled:
        raise TooManyEventsError(
            f"{region} has too many events from {first} to {last} to list them. "
            "Look at a region below it."
        ) from None
    names = facility_names((source, facility) for _, source, facility, _, _ in found)
    cells = [
        Cell(day, series[number][0], names[source, facility], series[number][1], value)
        for day, source, facility, number, value in found
    ]
    return sorted(cells)


_LIMIT = "SELECT set_config('statement_timeout', %s, true)"

_SERIES = """
SELECT s.series_id, s.region, s.stratum
FROM region_ancestors a JOIN series s ON s.region = a.region
WHERE s.signal = %s AND a.ancestor = %s
"""

# Moments bound what is looked at, so that the index on occurred_at, or the chunks, are used: a day
# more on either side, for some clocks have a midnight twice, or never. The local day decides; for
# IS NOT TRUE see `streams.store.rebuilding`.
_CELLS = """
WITH zone AS (SELECT value AS name FROM installation WHERE key = 'time_zone')
SELECT (e.occurred_at AT TIME ZONE (SELECT name FROM zone))::date, e.source_id, e.facility_id,
       x.series_id, sum(x.amount)::float8
FROM events e
CROSS JOIN LATERAL unnest(e.series, e.amounts) AS x(series_id, amount)
WHERE e.occurred_at >= (%(first)s::date - 1)::timestamp AT TIME ZONE (SELECT name FROM zone)
  AND e.occurred_at < (%(last)s::date + 2)::timestamp AT TIME ZONE (SELECT name FROM zone)
  AND ((e.occurred_at AT TIME ZONE (SELECT name FROM zone))::date < %(first)s) IS NOT TRUE
  AND ((e.occurred_at AT TIME ZONE (SELECT name FROM zone))::date > %(last)s) IS NOT TRUE
  AND e.region = ANY(%(regions)s) AND NOT e.cancelled
  AND x.series_id = ANY(%(series)s)
  AND EXISTS (
      SELECT FROM event_heads h
      WHERE h.event_key = e.event_key AND h.kind = e.kind AND h.revision = e.revision)
GROUP BY 1, 2, 3, 4
HAVING sum(x.amount) <> 0
"""
