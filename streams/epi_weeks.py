"""Epi weeks by name: 2009-W32, in the ISO system (from Monday) or the MMWR system (from Sunday)."""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING, Final

from epiweeks import Week

if TYPE_CHECKING:
    from streams.judging.periods import EpiWeek

__all__ = ["parse_week", "week_label"]

_LABEL: Final = re.compile(r"(\d{4})-?W(\d{2})", re.ASCII | re.IGNORECASE)
#: What epiweeks calls the systems.
_SYSTEMS: Final[dict[EpiWeek, str]] = {"iso": "iso", "mmwr": "cdc"}


def week_label(day: date, system: EpiWeek) -> str:
    """Return the name of the epi week that a day lies in.

    Examples
    --------
    >>> week_label(date(2009, 8, 3), "iso"), week_label(date(2009, 8, 2), "mmwr")
    ('2009-W32', '2009-W31')
    """
    week = Week.fromdate(day, system=_SYSTEMS[system])
    return f"{week.year}-W{week.week:02d}"


def parse_week(label: str, system: EpiWeek) -> date | None:
    """Return the first day of the epi week with this name; None if the text names no week.

    Raises
    ------
    ValueError
        The year has no such week.

    Examples
    --------
    >>> parse_week("2009-W32", "iso"), parse_week("2009-08-03", "iso")
    (datetime.date(2009, 8, 3), None)
    """
    found = _LABEL.fullmatch(label)
    if found is None:
        return None
    year, number = int(found[1]), int(found[2])
    try:
        first = Week(year, number, system=_SYSTEMS[system]).startdate()
    except ValueError:
        raise ValueError(f"{year} has no week {number} in the {system} system") from None
    return date(first.year, first.month, first.day)
