"""The counts that make up an alert's latest period: by facility, age group, region and hour."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from streams.judging.periods import epi_week_start
from streams.store.facility_names import facility_names

if TYPE_CHECKING:
    from psycopg import AsyncConnection

    from schemas.alerts import Alert
    from streams.config import Configuration

__all__ = ["Cell", "FacilityCell", "HourCell", "Lines", "days_of", "read_lines", "week_of"]


class Cell(NamedTuple):
    """Count of an age group or a region on a day."""

    name: str
    day: date
    value: float


class FacilityCell(NamedTuple):
    """Count of a facility on a day."""

    facility: str
    """Unique among the cells that are read, see `streams.store.facility_names`."""
    region: str
    day: date
    value: float


class HourCell(NamedTuple):
    """Count of an hour, all facilities and age groups together."""

    hour: datetime
    value: float


class Lines(NamedTuple):
    """What makes up the count of a period; exact, see `streams.people.small_cells`."""

    first: date
    last: date
    facilities: list[FacilityCell]
    more_facilities: int
    """Facilities that were left out, having fewer than those given."""
    ages: list[Cell]
    regions: list[Cell]
    """Regions directly below; empty for the lowest level."""
    hours: list[HourCell]
    with_small_day: frozenset[str]
    """Facilities' regions in which a day has 1 to 4 cases."""


def days_of(period: date, grain: str) -> tuple[date, date]:
    """Return the first and last day of a period.

    Examples
    --------
    >>> [str(day) for day in days_of(date(2009, 8, 9), "rolling7")]
    ['2009-08-03', '2009-08-09']
    """
    if grain == "week":
        return period, period + timedelta(days=6)
    return (period - timedelta(days=6) if grain == "rolling7" else period), period


def week_of(alert: Alert, configuration: Configuration) -> date:
    """Return the first day of the epi week that an alert's latest period ends in."""
    _, last = days_of(alert.last_period, alert.grain)
    return epi_week_start(last, configuration.surveillance.epi_week)


async def read_lines(
    connection: AsyncConnection,
    alert: Alert,
    configuration: Configuration,
    *,
    most: int = 200,
    week: bool = False,
) -> Lines:
    """Return the live counts of an alert's latest period in exceedance.

    What was imported has neither facilities nor hours, and is left out.

    Parameters
    ----------
    most
        Facilities that are given, the largest first.
    week
        Of the whole epi week that the period ends in.
    """
    first, last = days_of(alert.last_period, alert.grain)
    if week:
        first, last = days_of(week_of(alert, configuration), "week")
    values = {
        "signal": alert.signal,
        "region": alert.region,
        "first": first,
        "last": last,
        "most": most,
        "zone": configuration.surveillance.time_zone,
    }
    facilities, known = await _facilities(connection, values)
    ages = await (await connection.execute(_AGES, values)).fetchall()
    regions = await (await connection.execute(_REGIONS, values)).fetchall()
    hours = await (await connection.execute(_HOURS, values)).fetchall()
    places = {"signal": alert.signal, "first": first, "regions": [*{f.region for f in facilities}]}
    small = await (await connection.execute(_SMALL_DAYS, places)).fetchall()
    return Lines(
        first,
        last,
        facilities,
        max(0, known - most),
        [Cell(*row) for row in ages],
        [Cell(*row) for row in regions],
        [HourCell(*row) for row in hours],
        frozenset(region for (region,) in small),
    )


async def _facilities(
    connection: AsyncConnection, values: dict[str, object]
) -> tuple[list[FacilityCell], int]:
    rows = await (await connection.execute(_FACILITIES, values)).fetchall()
    names = facility_names((source, facility) for source, facility, *_ in rows)
    cells = [
        FacilityCell(names[source, facility], region, day, value)
        for source, facility, region, day, value, _ in rows
    ]
    return cells, rows[0][-1] if rows else 0


_FACILITIES: Final = """
WITH cell AS (
    SELECT f.source_id, f.facility_id, f.region, f.day, f.value
    FROM region_ancestors r
    CROSS JOIN LATERAL (
        SELECT c.source_id, c.facility_id, c.region, c.day, c.value FROM facility_counts c
        WHERE c.region = r.region AND c.signal = %(signal)s
          AND c.day BETWEEN %(first)s AND %(last)s AND c.value <> 0
    ) f
    WHERE r.ancestor = %(region)s
), largest AS (
    SELECT source_id, facility_id, region, sum(value) AS total, count(*) OVER () AS known
    FROM cell GROUP BY 1, 2, 3
    ORDER BY total DESC, facility_id, region, source_id
    LIMIT %(most)s
)
SELECT c.source_id, c.facility_id, c.region, c.day, c.value::float8, l.known
FROM cell c JOIN largest l USING (source_id, facility_id, region)
ORDER BY l.total DESC, c.facility_id, c.region, c.source_id, c.day
"""

_AGES: Final = """
SELECT s.stratum, d.day, sum(d.value)::float8
FROM region_ancestors r
JOIN series s ON s.region = r.region AND s.signal = %(signal)s
JOIN daily_counts d ON d.series_id = s.series_id AND d.day BETWEEN %(first)s AND %(last)s
WHERE r.ancestor = %(region)s
GROUP BY 1, 2 HAVING sum(d.value) <> 0
ORDER BY 1, 2
"""

_SMALL_DAYS: Final = """
SELECT r.region FROM unnest(%(regions)s::text[]) AS r(region)
WHERE has_small_day(%(signal)s, r.region, %(first)s)
"""

_REGIONS: Final = """
SELECT b.code, d.day, sum(d.value)::float8
FROM regions b
JOIN region_ancestors r ON r.ancestor = b.code
JOIN series s ON s.region = r.region AND s.signal = %(signal)s
JOIN daily_counts d ON d.series_id = s.series_id AND d.day BETWEEN %(first)s AND %(last)s
WHERE b.parent = %(region)s
GROUP BY 1, 2 HAVING sum(d.value) <> 0
ORDER BY sum(sum(d.value)) OVER (PARTITION BY b.code) DESC, 1, 2
"""

# An hour is of the period by its local day; see `streams.store.rebuilding`.
_HOURS: Final = """
SELECT h.hour, sum(h.value)::float8
FROM region_ancestors r
JOIN series s ON s.region = r.region AND s.signal = %(signal)s
JOIN hourly_counts h ON h.series_id = s.series_id
    AND h.hour >= (%(first)s::date - 1)::timestamp AT TIME ZONE %(zone)s
    AND h.hour < (%(last)s::date + 2)::timestamp AT TIME ZONE %(zone)s
    AND ((h.hour AT TIME ZONE %(zone)s)::date < %(first)s) IS NOT TRUE
    AND ((h.hour AT TIME ZONE %(zone)s)::date > %(last)s) IS NOT TRUE
WHERE r.ancestor = %(region)s
GROUP BY 1 HAVING sum(h.value) <> 0
ORDER BY 1
"""
