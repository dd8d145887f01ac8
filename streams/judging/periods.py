"""Periods of a rule's grain: days, rolling weeks and epi weeks. Pure."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from schemas.counts import Grain

__all__ = ["epi_week_start", "period_of", "periods_between", "step_days"]

EpiWeek = Literal["iso", "mmwr"]


def epi_week_start(day: date, system: EpiWeek) -> date:
    """Return the first day of a day's epi week: Monday (iso) or Sunday (mmwr).

    Examples
    --------
    >>> epi_week_start(date(2009, 7, 5), "iso"), epi_week_start(date(2009, 7, 5), "mmwr")
    (datetime.date(2009, 6, 29), datetime.date(2009, 7, 5))
    """
    back = day.weekday() if system == "iso" else (day.weekday() + 1) % 7
    return day - timedelta(days=back)


def step_days(grain: Grain) -> int:
    """Return the days between one period and the next."""
    return 7 if grain == "week" else 1


def period_of(day: date, grain: Grain, system: EpiWeek) -> date:
    """Return the first period that a day's count enters, by the date that identifies it."""
    return epi_week_start(day, system) if grain == "week" else day


def periods_between(first: date, last: date, grain: Grain) -> list[date]:
    """Return the periods from one to another, both included."""
    step = step_days(grain)
    count = (last - first).days // step + 1
    return [first + timedelta(days=step * i) for i in range(max(count, 0))]
