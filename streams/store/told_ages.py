"""Age groups of a week as everybody may be told: the same numbers as dashboards show."""

from __future__ import annotations

from datetime import datetime, time
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from datetime import date
    from zoneinfo import ZoneInfo

    from psycopg import AsyncConnection

__all__ = ["ToldAges", "read_told_ages"]


class ToldAges(NamedTuple):
    """What is told of the age groups of a region."""

    values: dict[str, float]
    rounded: bool
    """Rounded to tens, for the region has regions below; else steps of five."""


async def read_told_ages(
    connection: AsyncConnection, *, signal: str, region: str, week: date, zone: ZoneInfo
) -> ToldAges:
    """Return the age groups of an epi week that may be told.

    Parameters
    ----------
    week
        Its first day.
    """
    noon = datetime.combine(week, time(12), zone)
    values = {"signal": signal, "region": region, "noon": noon, "week": week}
    rows = await (await connection.execute(_AGES, values)).fetchall()
    below = await (await connection.execute(_BELOW, values)).fetchone()
    return ToldAges(dict(rows), below is not None)


_AGES: Final = """
SELECT stratum, value FROM screen_age_weeks(%(signal)s, %(region)s, %(noon)s, %(noon)s)
WHERE week = %(week)s
"""
_BELOW: Final = "SELECT 1 FROM regions WHERE parent = %(region)s LIMIT 1"
