"""The time axis of a file: steps without gaps, from its first time to its last."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date
from typing import TYPE_CHECKING, Final

import numpy as np

from streams.detect.steps import WEEK_DAYS, Dated, Steps, width_of
from streams.epi_weeks import week_label
from streams.errors import FenghuoError
from streams.judging.periods import epi_week_start
from streams.tables.times import MONTHS, read_times

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from detectors.contract import Grain
    from streams.judging.periods import EpiWeek
    from streams.tables.times import FileGrain, TimeKind

__all__ = ["TimeAxis", "make_axis", "panel_grain", "time_apart"]

_KINDS: Final[Mapping[TimeKind, str]] = {
    "date": "a date", "week": "an epi week", "month": "a month", "year": "a year",
    "integer": "a whole number",
}  # fmt: skip
#: More steps than this, nearly all of them empty, are a mistake in the time column.
_MOST_STEPS: Final = 20_000
_LEAST_FILLED: Final = 0.02
_YEAR_DAYS: Final = 365
#: Part of all times, at most, that lies apart from all others.
_APART: Final = 0.02
#: Times of which one can be said to lie apart.
_SEVERAL: Final = 10


@dataclass(frozen=True)
class TimeAxis:
    """Steps without gaps, from the first time in a file to its last.

    Parameters
    ----------
    kind
        How times are written.
    grain
        Width of a step; None for years and whole numbers, whose width the file does not tell.
    first
        Ordinal of the first step: of a day, of a month since year 0, or the number itself.
    labels
        Name of each step, as the file has it; steps without a row in the same manner.
    epi_week
        System of the epi weeks.
    written
        How times are written in the file, if not in the manner of the labels.
    adds_up
        Whether a step is the sum of several days.
    """

    kind: TimeKind
    grain: FileGrain | None
    first: int
    labels: tuple[str, ...]
    epi_week: EpiWeek
    written: TimeKind = field(default="date", repr=False)
    adds_up: bool = False

    @property
    def dates(self) -> NDArray[np.datetime64] | None:
        """First days of the steps; None for years and whole numbers."""
        if self.is_integer:
            return None
        return np.array([self._day(i) for i in range(len(self.labels))], dtype="datetime64[D]")

    @property
    def is_integer(self) -> bool:
        """Whether a step is one more than the one before, without a calendar."""
        return self.kind in {"integer", "year"}

    def positions(self, ordinals: NDArray[np.int64]) -> NDArray[np.int64]:
        """Place ordinals as :func:`streams.tables.times.read_times` gives them on the axis."""
        if self.written == "date":
            distinct, inverse = np.unique(ordinals, return_inverse=True)
            placed = [self._placed(int(one)) for one in distinct]
            ordinals = np.array(placed, dtype=np.int64)[inverse.reshape(-1)]
        return (ordinals - self.first) // self._step

    def _placed(self, day: int) -> int:
        """Return the ordinal of the step that a day lies in."""
        if self.kind == "year":
            return date.fromordinal(day).year
        if self.grain == "month":
            return _month_of(day)
        if self.kind == "week":
            return epi_week_start(date.fromordinal(day), self.epi_week).toordinal()
        return day

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
        found = read_times([text], epi_week=self.epi_week, steps=self.kind != "year")
        if found.problems:
            raise FenghuoError(f"--from: {found.problems[0]}.")
        kind, ordinal = found.kind, found.ordinals[0]
        if self.kind == "integer" and kind != "integer":
            raise FenghuoError(
                f"--from {text}: the times of the file are whole numbers; write one of them."
            )
        if self.kind == "year":
            day = date.fromordinal(ordinal).year if kind in {"date", "week"} else ordinal
            ordinal = ordinal // MONTHS if kind == "month" else day
        if self.is_integer:
            return ordinal - self.first
        if kind == "integer":
            if ordinal < 1:
                raise FenghuoError(
                    f"--from {text}: steps are counted from 1; the first is {self.labels[0]}."
                )
            return ordinal - 1
        day = ordinal
        if kind == "month":
            day = date(ordinal // MONTHS, ordinal % MONTHS + 1, 1).toordinal()
        starts = [self._day(i).toordinal() for i in range(len(self.labels))]
        return int(np.searchsorted(starts, day))

    @property
    def _step(self) -> int:
        return WEEK_DAYS if self.grain == "week" else 1

    def _day(self, position: int) -> date:
        ordinal = self.first + position * self._step
        if self.grain == "month":
            return date(ordinal // MONTHS, ordinal % MONTHS + 1, 1)
        return date.fromordinal(ordinal)

    def _named(self, position: int) -> str:
        if self.is_integer:
            return str(self.first + position)
        day = self._day(position)
        if self.kind == "week":
            return week_label(day, self.epi_week)
        return day.isoformat()[:7] if self.kind == "month" else day.isoformat()


def make_axis(
    dated: Dated,
    kind: TimeKind,
    *,
    epi_week: EpiWeek,
    grain: FileGrain | None = None,
    daily: bool = False,
) -> TimeAxis:
    """Make the axis that holds all times of a file.

    Parameters
    ----------
    dated
        The times, as :func:`streams.tables.times.read_times` gives them.
    kind, epi_week
        How times are written.
    grain
        Width of a step, where it shall not be found out from the distances of dates. Days are
        added up by epi week or month.
    daily
        Whether dates are days, whatever their distances.

    Raises
    ------
    FenghuoError
        The times do not fit on one axis; the text names the line.
    """
    if kind != "date":
        _refuse_grain(kind, grain)
    steps = width_of(dated, grain, daily=daily) if kind == "date" else Steps("day")
    own: TimeKind = kind
    if kind == "date" and (steps.adds_up or (steps.width == "week" and steps.to_calendar)):
        own = "week" if steps.width == "week" else "month"
    width: FileGrain | None = kind if kind in {"week", "month"} else None
    if kind == "date" and steps.width != "year":
        width = steps.width
    if steps.width == "year":
        own = "year"
    axis = TimeAxis(
        kind=own, grain=width, first=0, labels=(), epi_week=epi_week, written=kind,
        adds_up=steps.adds_up,
    )  # fmt: skip
    return _filled(axis, dated, as_written=own == kind)


def _filled(axis: TimeAxis, dated: Dated, *, as_written: bool) -> TimeAxis:
    """Lay the steps of an axis from the first time to the last, and name them."""
    texts: dict[int, tuple[str, int]] = {}
    for ordinal, (text, line) in dated.places.items():
        at = axis._placed(ordinal) if axis.written == "date" else ordinal  # noqa: SLF001
        texts.setdefault(at, (text, line))
    if axis.written == "date" and not axis.adds_up:
        _refuse_same_step(axis, dated)
    first, last = min(texts), max(texts)
    step = axis._step  # noqa: SLF001
    length = (last - first) // step + 1
    if length > _MOST_STEPS and len(texts) < _LEAST_FILLED * length:
        raise FenghuoError(
            f"the times reach from {texts[first][0]} to {texts[last][0]}, {length:,} steps, but "
            f"only {len(texts):,} of them have rows. Correct the times; write dates as 2009-08-03."
        )
    axis = replace(axis, first=first, labels=("",) * length)
    labels = tuple(
        texts[first + i * step][0] if as_written and first + i * step in texts else axis._named(i)  # noqa: SLF001
        for i in range(length)
    )
    return replace(axis, labels=labels)


def _refuse_same_step(axis: TimeAxis, dated: Dated) -> None:
    """Refuse two dates of one series in one week or month, where dates are not added up."""
    step = axis.positions(dated.days)
    order = np.lexsort((dated.days, step, dated.series))
    series, step, days = dated.series[order], step[order], dated.days[order]
    same = (np.diff(series) == 0) & (np.diff(step) == 0) & (np.diff(days) != 0)
    if not same.any():
        return
    place = int(np.flatnonzero(same)[0])
    (one, line), (two, later) = sorted(
        (dated.places[int(days[place])], dated.places[int(days[place + 1])]),
        key=lambda where: where[1],
    )
    name = dated.names[int(series[place])]
    raise FenghuoError(
        f"line {later}: {two} lies in the same {axis.grain or axis.kind} as {one} (line {line}), "
        f"though {name or 'the series'} has one date for each; correct one of them."
    )


def _refuse_grain(kind: TimeKind, grain: FileGrain | None) -> None:
    if grain not in {None, kind}:
        raise FenghuoError(
            f"--grain {grain}: the file's first time is {_KINDS[kind]}; --grain is for times that "
            "are dates."
        )


def time_apart(dated: Dated, kind: TimeKind) -> str | None:
    """Describe a time that lies years from all others, as a mistyped year does."""
    if kind == "integer" or len(dated.places) < _SEVERAL:
        return None
    ordinals = np.array(sorted(dated.places), dtype=np.int64)
    gaps = np.diff(ordinals)
    place = int(gaps.argmax())
    year = {"month": MONTHS, "year": 1}.get(kind, _YEAR_DAYS)
    before, after = place + 1, ordinals.size - place - 1
    if gaps[place] < 2 * year or min(before, after) > max(1, int(_APART * ordinals.size)):
        return None
    odd, near = place, place + 1
    if after < before:
        odd, near = near, odd
    text, line = dated.places[int(ordinals[odd])]
    return (
        f"{text} (line {line}) lies {int(gaps[place]) // year} years from all other times, of "
        f"which {dated.places[int(ordinals[near])][0]} is the nearest: is the year right?"
    )


def panel_grain(axis: TimeAxis, period: int | None) -> Grain:
    """Tell the width of a step; for whole numbers, from the steps in a year.

    Years are handled as months are: by methods that know no weekdays.
    """
    if axis.grain is not None:
        return axis.grain
    if axis.kind == "year":
        return "month"
    if period is None or period in {52, 53}:
        return "week"
    return "month" if period <= MONTHS and MONTHS % period == 0 else "day"


def _month_of(ordinal: int) -> int:
    day = date.fromordinal(ordinal)
    return day.year * MONTHS + day.month - 1
