"""How wide the steps of a column of dates are: found out from how the dates lie, or as told."""

from __future__ import annotations

import calendar
from datetime import date
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

import numpy as np

from streams.errors import FenghuoError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from streams.tables.times import FileGrain

__all__ = ["WEEK_DAYS", "Dated", "Steps", "Width", "width_of"]

WEEK_DAYS: Final = 7
Width: TypeAlias = Literal["day", "week", "month", "year"]
#: Usual distances of dates, in days, that are a week, a month and a year.
_WEEK, _MONTH, _YEAR = range(6, 9), range(28, 32), range(365, 367)
_LONGER: Final = frozenset({"week", "month"})
#: Dates of one series that tell of its weekday.
_TELLING: Final = 3
#: Weekdays on which weekly dates may fall, where a source has changed its habit.
_HABITS: Final = 3
#: By ordinal of the day, modulo 7: ordinal 1 was a Monday.
_NAMES: Final = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_OF_ONE_WEEKDAY: Final = 0.9
_FEW: Final = 0.1


class Dated(NamedTuple):
    """Dates of series.

    Parameters
    ----------
    series, days
        Number of the series and ordinal of the day, one for each count.
    places
        Text and line of each day, where it first stood.
    names
        Names of the series.
    """

    series: NDArray[np.int64]
    days: NDArray[np.int64]
    places: Mapping[int, tuple[str, int]]
    names: list[str]


class Steps(NamedTuple):
    """What the dates of a file are.

    Parameters
    ----------
    width
        What one date stands for: its day, the week or month that it lies in, its year.
    to_calendar
        Whether dates are put into the epi week or month that they lie in; else a week is seven
        days from the first date.
    adds_up
        Whether several dates of a step are added up.
    """

    width: Width
    to_calendar: bool = False
    adds_up: bool = False


def width_of(dated: Dated, grain: FileGrain | None, *, daily: bool = False) -> Steps:
    """Tell the width of steps.

    Parameters
    ----------
    grain
        What people said; None: it is found out.
    daily
        Whether dates are days, whatever their distances: those of a line list.

    Raises
    ------
    FenghuoError
        The dates do not lie in even steps, or not in such ones; the text names the line.
    """
    if daily:
        return Steps(grain or "day", to_calendar=grain in _LONGER, adds_up=grain in _LONGER)
    days = np.unique(dated.days)
    if days.size < 2:  # noqa: PLR2004 - one distance
        return Steps(grain or "day", to_calendar=grain == "month")
    found = _found(dated, days)
    if grain is None:
        if found == "week":
            _refuse_uneven(dated, days)
        return Steps(found, to_calendar=found == "month")
    if grain == "month" and found == "week":
        raise FenghuoError(
            "--grain month: the dates are weekly, and weeks do not end with months; leave it out."
        )
    if grain != "day" and found in {"month", "year"} and grain != found:
        raise FenghuoError(f"--grain {grain}: the dates are a {found} apart; leave it out.")
    one_weekday = np.unique(days % WEEK_DAYS).size == 1
    to_calendar = grain == "month" or (grain == "week" and not one_weekday)
    several = _gaps(dated, days).min() < (WEEK_DAYS if grain == "week" else _MONTH.start)
    adds_up = to_calendar and found == "day" and bool(several)
    return Steps(grain, to_calendar=to_calendar, adds_up=adds_up)


def _found(dated: Dated, days: NDArray[np.int64]) -> Width:
    firsts = [date.fromordinal(int(day)) for day in days]
    usual = int(np.median(_gaps(dated, days)))
    if usual in _YEAR and days.size >= _TELLING:
        return "year"
    if len({one.day for one in firsts}) == 1 and (firsts[0].day == 1 or days.size >= _TELLING):
        return "month"
    weekdays = np.bincount(days % WEEK_DAYS, minlength=WEEK_DAYS)
    if weekdays.max() == days.size:
        return "week"
    if usual in _MONTH and _once_a_month(firsts):
        return "month"
    habits = int((weekdays > 0).sum())
    if usual in _WEEK and habits <= _HABITS:
        return "week"
    return "week" if _share_of_own_weekday(dated) > 1 / 2 else "day"


def _gaps(dated: Dated, days: NDArray[np.int64]) -> NDArray[np.int64]:
    """List the distances between dates of one series; of all where each has but one date."""
    order = np.lexsort((dated.days, dated.series))
    gaps = np.diff(dated.days[order])[np.diff(dated.series[order]) == 0]
    gaps = gaps[gaps > 0]
    return gaps if gaps.size else np.diff(days)


def _once_a_month(days: list[date]) -> bool:
    """Tell whether dates are ends of months, or one day of each."""
    ends = all(one.day == calendar.monthrange(one.year, one.month)[1] for one in days)
    return ends or len({(one.year, one.month) for one in days}) == len(days)


def _own_weekdays(dated: Dated) -> NDArray[np.int64]:
    """Count each series' dates by weekday, shape `[series, 7]`."""
    series, days = np.unique(np.stack([dated.series, dated.days]), axis=1)
    counted = np.zeros((len(dated.names), WEEK_DAYS), dtype=np.int64)
    np.add.at(counted, (series, days % WEEK_DAYS), 1)
    return counted


def _share_of_own_weekday(dated: Dated) -> float:
    counted = _own_weekdays(dated)
    telling = counted[counted.sum(axis=1) >= _TELLING]
    if not telling.size:
        telling = counted.sum(axis=0, keepdims=True)
    return float(telling.max(axis=1).sum() / telling.sum())


def _refuse_uneven(dated: Dated, days: NDArray[np.int64]) -> None:
    weekdays = np.bincount(days % WEEK_DAYS, minlength=WEEK_DAYS)
    if weekdays.max() == days.size:
        return
    _refuse_regions_apart(dated)
    usual = int(weekdays.argmax())
    odd = [
        (line, text, day) for day, (text, line) in dated.places.items() if day % WEEK_DAYS != usual
    ]
    line, text, day = min(odd)
    if len(odd) <= max(1, _FEW * days.size):
        raise FenghuoError(
            f"line {line}: {text} is not a multiple of 7 days from the other dates, which are "
            "weekly. Correct it, or add --grain week, which puts each date into its epi week."
        )
    raise FenghuoError(
        f"line {line}: {text} is a {_NAMES[day % WEEK_DAYS]}, others are {_NAMES[usual]}s: "
        "the weekday of these weekly dates changes. Add --grain week, which puts each date into "
        "its epi week."
    )


def _refuse_regions_apart(dated: Dated) -> None:
    counted = _own_weekdays(dated)
    total = counted.sum(axis=1)
    steady = (total >= _TELLING) & (counted.max(axis=1) >= _OF_ONE_WEEKDAY * total)
    usual = counted.argmax(axis=1)
    series = np.flatnonzero(steady)
    if np.unique(usual[series]).size < 2:  # noqa: PLR2004 - two weekdays
        return
    shown = []
    for weekday in np.unique(usual[series]).tolist():
        first = int(series[usual[series] == weekday][0])
        shown.append(f"{dated.names[first] or 'one series'} by {_NAMES[weekday]}s")
    line = min(line for _, line in dated.places.values())
    raise FenghuoError(
        f"line {line}: regions are dated by different weekdays: {', '.join(shown)}. Add --grain "
        "week, which puts each date into its epi week (from Monday; from Sunday with --epi-week "
        "mmwr)."
    )
