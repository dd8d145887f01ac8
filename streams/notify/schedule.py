"""Hours, days and turns: pure functions of a moment and the configuration.

Wall-clock times are those of the installation's time zone. A time that the clock skips in spring
is taken as the one an hour later; of a time that comes twice in autumn the first one counts.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import TYPE_CHECKING

from schemas.notify import WEEKDAYS
from streams.epi_weeks import parse_week
from streams.judging.periods import epi_week_start

if TYPE_CHECKING:
    from collections.abc import Sequence
    from zoneinfo import ZoneInfo

    from holidays import HolidayBase

    from schemas.notify import Rota, Window
    from streams.judging.periods import EpiWeek

__all__ = ["end_of_window", "in_window", "next_multiple", "next_of", "on_call"]

_DAY = timedelta(days=1)


def in_window(window: Window, now: datetime, zone: ZoneInfo) -> bool:
    """Tell whether a moment lies in a window."""
    return end_of_window(window, now, zone) is not None


def end_of_window(window: Window, now: datetime, zone: ZoneInfo) -> datetime | None:
    """Return when the window ends that a moment lies in; None outside of it."""
    today = now.astimezone(zone).date()
    for day in (today - _DAY, today):
        if _applies(window, day):
            start, end = _span(window, day, zone)
            if start <= now < end:
                return end
    return None


def next_of(times: Sequence[time], now: datetime, zone: ZoneInfo) -> datetime:
    """Return the first of some times of day that comes after a moment."""
    today = now.astimezone(zone).date()
    coming = (_at(today + _DAY * ahead, at, zone) for ahead in range(3) for at in times)
    return min(moment for moment in coming if moment > now)


def next_multiple(minutes: int, now: datetime, zone: ZoneInfo) -> datetime:
    """Return the first moment after this one that is a multiple of minutes after midnight."""
    local = now.astimezone(zone)
    midnight = _at(local.date(), time(), zone)
    step = timedelta(minutes=minutes)
    after = midnight + ((now - midnight) // step + 1) * step
    return min(after, _at(local.date() + _DAY, time(), zone))


def on_call(rota: Rota, now: datetime, zone: ZoneInfo, system: EpiWeek) -> tuple[str, ...]:
    """Return the channels of those who are on call at a moment.

    Raises
    ------
    ValueError
        ``from_week`` is no week; `streams.notify.checking` has made sure that it is one.
    """
    first = parse_week(rota.from_week, system)
    if first is None:
        raise ValueError(f"{rota.from_week!r} is no epi week")
    week = _week_of_turn(rota, now, zone, system)
    for swapped, channels in rota.swaps.items():
        if parse_week(swapped, system) == week:
            return channels
    return rota.turns[(week - first).days // 7 % len(rota.turns)]


def _week_of_turn(rota: Rota, now: datetime, zone: ZoneInfo, system: EpiWeek) -> date:
    """Return the first day of the week whose turn has begun last."""
    week = epi_week_start(now.astimezone(zone).date(), system)
    offset = (WEEKDAYS.index(rota.handover.day) - week.weekday()) % 7
    begins = _at(week + _DAY * offset, rota.handover.at, zone)
    return week if begins <= now else week - timedelta(days=7)


def _span(window: Window, day: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
    last = day if window.end > window.start else day + _DAY
    return _at(day, window.start, zone), _at(last, window.end, zone)


def _applies(window: Window, day: date) -> bool:
    if window.holidays is None:
        return WEEKDAYS[day.weekday()] in window.days
    calendar = _calendar(window.holidays)
    if day in calendar:
        return False
    return WEEKDAYS[day.weekday()] in window.days or day in calendar.weekend_workdays


@cache
def _calendar(country: str) -> HolidayBase:
    import holidays  # noqa: PLC0415 - half a second

    return holidays.country_holidays(country)


def _at(day: date, at: time, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, at, zone).astimezone(UTC)
