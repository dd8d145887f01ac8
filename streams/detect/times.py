"""The time column of a file: dates, epi weeks, months or whole numbers, made into one axis."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import numpy as np

from streams.epi_weeks import parse_week, week_label
from streams.errors import FenghuoError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from detectors.contract import Grain
    from streams.judging.periods import EpiWeek

__all__ = ["FileGrain", "TimeAxis", "TimeKind", "make_axis", "panel_grain", "parse_time"]

TimeKind: TypeAlias = Literal["date", "week", "month", "integer"]
"""How times are written in a file."""
FileGrain: TypeAlias = Literal["day", "week", "month"]

_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_WEEK: Final = re.compile(r"\d{4}-?W\d{2}", re.ASCII | re.IGNORECASE)
_MONTH: Final = re.compile(r"(\d{4})-(\d{2})", re.ASCII)
_INTEGER: Final = re.compile(r"-?\d{1,12}", re.ASCII)
#: Whole numbers that are years and weeks, years and months, or dates without hyphens.
_PACKED: Final = re.compile(r"(?:19|20)\d\d(0[1-9]|[1-4]\d|5[0-3])(0[1-9]|[12]\d|3[01])?", re.ASCII)
_KINDS: Final[Mapping[TimeKind, str]] = {
    "date": "a date like 2009-08-03",
    "week": "an epi week like 2009-W32",
    "month": "a month like 2009-07",
    "integer": "a whole number",
}
_MONTHS: Final = 12
_WEEK_DAYS: Final = 7
#: More steps than this, nearly all of them empty, are a mistake in the time column.
_MOST_STEPS: Final = 20_000
_LEAST_FILLED: Final = 0.02


@dataclass(frozen=True)
class TimeAxis:
    """Steps without gaps, from the first time in a file to its last.

    Parameters
    ----------
    kind
        How times are written.
    grain
        Width of a step; None for whole numbers, whose width the file does not tell.
    first
        Ordinal of the first step: of a day, of a month since year 0, or the number itself.
    labels
        Name of each step, as the file has it; steps without a row in the same manner.
    epi_week
        System of the epi weeks.
    """

    kind: TimeKind
    grain: FileGrain | None
    first: int
    labels: tuple[str, ...]
    epi_week: EpiWeek

    @property
    def dates(self) -> NDArray[np.datetime64] | None:
        """First days of the steps; None for whole numbers."""
        if self.kind == "integer":
            return None
        return np.array([self._day(i) for i in range(len(self.labels))], dtype="datetime64[D]")

    def positions(self, ordinals: NDArray[np.int64]) -> NDArray[np.int64]:
        """Place ordinals as :func:`parse_time` gives them on the axis."""
        if self.kind == "date" and self.grain == "month":
            ordinals = np.array([_month_of(int(one)) for one in ordinals], dtype=np.int64)
        return (ordinals - self.first) // self._step

    def position_from(self, text: str) -> int:
        """Return the first step that begins at or after a time that somebody wrote.

        A whole number is a value of the time column where that holds whole numbers; elsewhere it
        is the number of a step, counted from 1.

        Raises
        ------
        FenghuoError
            The text is no time of this axis, or lies behind its end.
        """
        position = self._sought(text)
        if position >= len(self.labels):
            raise FenghuoError(
                f"--from {text} is after the last time of the file, {self.labels[-1]}."
            )
        return max(position, 0)

    def _sought(self, text: str) -> int:
        try:
            kind, ordinal = parse_time(text, self.epi_week)
        except ValueError as error:
            raise FenghuoError(f"--from: {error}.") from None
        if self.kind == "integer" and kind != "integer":
            raise FenghuoError(
                f"--from {text}: the times of the file are whole numbers; write one of them."
            )
        if self.kind == "integer":
            return ordinal - self.first
        if kind == "integer":
            if ordinal < 1:
                raise FenghuoError(
                    f"--from {text}: steps are counted from 1; the first is {self.labels[0]}."
                )
            return ordinal - 1
        day = ordinal
        if kind == "month":
            day = date(ordinal // _MONTHS, ordinal % _MONTHS + 1, 1).toordinal()
        starts = [self._day(i).toordinal() for i in range(len(self.labels))]
        return int(np.searchsorted(starts, day))

    @property
    def _step(self) -> int:
        return _WEEK_DAYS if self.grain == "week" else 1

    def _day(self, position: int) -> date:
        ordinal = self.first + position * self._step
        if self.grain == "month":
            return date(ordinal // _MONTHS, ordinal % _MONTHS + 1, 1)
        return date.fromordinal(ordinal)

    def _named(self, position: int) -> str:
        if self.kind == "integer":
            return str(self.first + position)
        day = self._day(position)
        if self.kind == "week":
            return week_label(day, self.epi_week)
        return day.isoformat()[:7] if self.kind == "month" else day.isoformat()


def parse_time(text: str, epi_week: EpiWeek) -> tuple[TimeKind, int]:
    """Read one time; weeks and dates give the ordinal of their first day.

    Raises
    ------
    ValueError
        The text is no time.

    Examples
    --------
    >>> parse_time("2009-W32", "iso"), parse_time("2009-07", "iso"), parse_time("17", "iso")
    (('week', 733622), ('month', 24114), ('integer', 17))
    """
    if _INTEGER.fullmatch(text):
        return "integer", int(text)
    if _WEEK.fullmatch(text):
        return "week", _first_of_week(text, epi_week)
    try:
        if _DATE.fullmatch(text):
            return "date", date.fromisoformat(text).toordinal()
        if found := _MONTH.fullmatch(text):
            first = date(int(found[1]), int(found[2]), 1)
            return "month", first.year * _MONTHS + first.month - 1
    except ValueError:
        raise ValueError(f"time {text} is not in the calendar; correct it") from None
    *some, last = _KINDS.values()
    raise ValueError(f"time {text!r} cannot be read; write {', '.join(some)} or {last}")


def make_axis(
    times: Mapping[int, tuple[str, int]],
    kind: TimeKind,
    *,
    epi_week: EpiWeek,
    grain: FileGrain | None = None,
) -> TimeAxis:
    """Make the axis that holds all times of a file.

    Parameters
    ----------
    times
        For each ordinal, its text and the line where it first stood.
    kind, epi_week
        How times are written.
    grain
        Width of a step, where it shall not be found out from the distances of dates.

    Raises
    ------
    FenghuoError
        The times do not fit on one axis; the text names the line.
    """
    found = _grain_of(kind, grain, times)
    monthly = kind == "date" and found == "month"
    texts = {_month_of(at) if monthly else at: text for at, (text, _) in times.items()}
    if len(texts) < len(times):
        raise FenghuoError("--grain month: several dates lie in the same month; add them up first.")
    first, last = min(texts), max(texts)
    step = _WEEK_DAYS if found == "week" else 1
    length = (last - first) // step + 1
    if length > _MOST_STEPS and len(texts) < _LEAST_FILLED * length:
        raise FenghuoError(
            f"the times reach from {texts[first]} to {texts[last]}, {length:,} steps, but only "
            f"{len(texts):,} of them have rows. Correct the times; write dates as 2009-08-03."
        )
    axis = TimeAxis(kind=kind, grain=found, first=first, labels=("",) * length, epi_week=epi_week)
    labels = (texts.get(first + i * step) or axis._named(i) for i in range(length))  # noqa: SLF001
    return TimeAxis(kind=kind, grain=found, first=first, labels=tuple(labels), epi_week=epi_week)


def panel_grain(axis: TimeAxis, period: int | None) -> Grain:
    """Tell the width of a step; for whole numbers, from the steps in a year.

    Examples
    --------
    >>> axis = make_axis({1: ("1", 2), 2: ("2", 3)}, "integer", epi_week="iso")
    >>> [panel_grain(axis, period) for period in (None, 52, 12, 365)]
    ['week', 'week', 'month', 'day']
    """
    if axis.grain is not None:
        return axis.grain
    if period is None or period in {52, 53}:
        return "week"
    return "month" if period == _MONTHS else "day"


def _first_of_week(text: str, epi_week: EpiWeek) -> int:
    try:
        first = parse_week(text, epi_week)
    except ValueError as error:
        other: EpiWeek = "mmwr" if epi_week == "iso" else "iso"
        remedy = f", or add --epi-week {other}" if _is_week(text, other) else ""
        raise ValueError(f"{error}; correct it{remedy}") from None
    assert first is not None  # noqa: S101 - the text has the form of a week
    return first.toordinal()


def _is_week(text: str, epi_week: EpiWeek) -> bool:
    with suppress(ValueError):
        return parse_week(text, epi_week) is not None
    return False


def _month_of(ordinal: int) -> int:
    day = date.fromordinal(ordinal)
    return day.year * _MONTHS + day.month - 1


def _grain_of(
    kind: TimeKind, grain: FileGrain | None, times: Mapping[int, tuple[str, int]]
) -> FileGrain | None:
    if kind == "date":
        found = _distance(times) if grain is None else grain
        if found == "week":
            _refuse_uneven(times)
        return found
    if kind == "integer":
        _refuse_packed(times)
    own: FileGrain | None = kind if kind in {"week", "month"} else None
    if grain not in {None, own}:
        raise FenghuoError(
            f"--grain is for times that are dates; the file's first time is {_KINDS[kind]}."
        )
    return own


def _distance(times: Mapping[int, tuple[str, int]]) -> FileGrain:
    """Find out the width of a step from how the dates lie.

    Dates are weekly if most of them have one day of the week. Not all, so that one mistyped date
    in a weekly file is told, and does not make a daily file of it whose days are nearly all
    missing.
    """
    ordinals = sorted(times)
    if len(ordinals) < 2:  # noqa: PLR2004 - one distance
        return "day"
    if all(date.fromordinal(one).day == 1 for one in ordinals):
        return "month"
    weekdays = np.bincount(np.array(ordinals) % _WEEK_DAYS)
    return "week" if int(weekdays.max()) > len(ordinals) / 2 else "day"


def _refuse_uneven(times: Mapping[int, tuple[str, int]]) -> None:
    weekdays = np.array(sorted(times)) % _WEEK_DAYS
    usual = int(np.bincount(weekdays).argmax())
    uneven = [(line, text) for at, (text, line) in times.items() if at % _WEEK_DAYS != usual]
    if uneven:
        line, text = min(uneven)
        raise FenghuoError(
            f"line {line}: {text} is not a multiple of 7 days from the other dates, which are "
            "weekly. Correct it, or use --grain day."
        )


def _refuse_packed(times: Mapping[int, tuple[str, int]]) -> None:
    """Refuse 200932: taken as a number, 200952 and 201001 would be 49 steps apart."""
    if all(_PACKED.fullmatch(text) for text, _ in times.values()):
        text, line = min(times.values(), key=lambda time: time[1])
        raise FenghuoError(
            f"line {line}: {text} seems to be a year with a week, a month or a date; write it as "
            "2009-W32, 2009-08 or 2009-08-03. Whole numbers are steps: 1, 2, 3, ..."
        )
