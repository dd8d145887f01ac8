"""The times of a file: dates, epi weeks, months, years and whole numbers in many forms.

All different texts of a column are read together: only together do they show whether 2020-30 is a
week, which of 01/02/2024 is the month, and whether 45292 is a number or a day of Excel.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

from streams.epi_weeks import parse_week
from streams.tables.day_numbers import day_number_fault
from streams.tables.forms import Form, form_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from streams.judging.periods import EpiWeek

__all__ = ["MONTHS", "FileGrain", "ReadTimes", "TimeKind", "read_times"]

TimeKind: TypeAlias = Literal["date", "week", "month", "year", "integer"]
"""How times are written in a file."""
FileGrain: TypeAlias = Literal["day", "week", "month"]

MONTHS: Final = 12
_WEEKS: Final = 53
_WANTED: Final = (
    "write a date like 2009-08-03, an epi week like 2009-W32, a month like 2009-07 or a whole "
    "number"
)
_KINDS: Final[Mapping[str, TimeKind]] = {
    "date": "date", "slashed": "date", "packed_date": "date", "week": "week", "day_week": "date",
    "month": "month", "year": "year",
}  # fmt: skip


class _TimeError(ValueError):
    """A time is wrong in a way that its text says."""


class ReadTimes(NamedTuple):
    """Times of the texts.

    Parameters
    ----------
    kind
        How they are written.
    ordinals
        For each text its day, the first day of its week, its month since year 0, its year or
        number; 0 where it is wrong.
    problems
        By number of the text.
    notes
        What was assumed, one sentence each.
    """

    kind: TimeKind
    ordinals: list[int]
    problems: dict[int, str]
    notes: list[str]


def read_times(
    texts: Sequence[str],
    *,
    epi_week: EpiWeek,
    grain: FileGrain | None = None,
    steps: bool = False,
) -> ReadTimes:
    """Read the different texts of a column of times.

    Parameters
    ----------
    epi_week
        System of epi weeks.
    grain
        What people said that a time is: tells weeks from months.
    steps
        Whether people said that whole numbers are steps.

    Examples
    --------
    >>> read_times(["2020W1", "2020W53"], epi_week="iso").ordinals
    [737423, 737787]
    >>> read_times(["2020-40", "2020-41"], epi_week="iso").kind
    'week'
    >>> read_times(["2018-01"], epi_week="iso", grain="week").kind
    'week'
    """
    forms = [form_of(text) for text in texts]
    reading = _Reading(texts, forms, epi_week)
    names = {form.name for form in forms}
    if names <= {"integer", "packed", "packed_date", "year", "decimal"}:
        reading.numbers(grain, steps=steps)
    else:
        reading.written(grain)
    return ReadTimes(reading.kind, reading.ordinals, reading.problems, reading.notes)


class _Reading:
    """Decides what the texts are, and collects ordinals, problems and notes."""

    def __init__(self, texts: Sequence[str], forms: Sequence[Form], epi_week: EpiWeek) -> None:
        self._texts, self._forms, self._epi_week = texts, forms, epi_week
        self.kind: TimeKind = "integer"
        self.ordinals = [0] * len(texts)
        self.problems: dict[int, str] = {}
        self.notes: list[str] = []

    def numbers(self, grain: FileGrain | None, *, steps: bool) -> None:
        """Read digits: packed dates, weeks and months, years, steps; refuse day numbers."""
        names = [form.name for form in self._forms]
        most = max(names, key=names.count)
        if most == "packed_date" or (most in {"packed", "year"} and not steps):
            self._mark_others(most)
        if most == "packed_date":
            self._each("date", _day)
        elif most == "packed" and not steps:
            self._pairs(grain)
        elif most == "year" and not steps:
            self._each("year", lambda form: form.parts[0])
        elif not steps and (
            text := day_number_fault(self._texts, [f.parts[0] for f in self._forms])
        ):
            self.problems[0] = text
        else:
            self._each("integer", _whole)

    def _mark_others(self, usual: str) -> None:
        names = [form.name for form in self._forms]
        for place, name in enumerate(names):
            if name != usual:
                self.problems[place] = self._otherwise(place, names.index(usual))

    def _otherwise(self, place: int, usual: int) -> str:
        return (
            f"time {self._texts[place]} is written otherwise than {self._texts[usual]}; write all "
            "times in one way"
        )

    def written(self, grain: FileGrain | None) -> None:
        """Read dates, weeks and months; what is written otherwise than most is a problem."""
        kinds = [self._kind_of(form) for form in self._forms]
        known = [kind for kind in kinds if kind is not None]
        if known:
            self.kind = max(known, key=known.count)
        for place, (text, form, kind) in enumerate(
            zip(self._texts, self._forms, kinds, strict=True)
        ):
            if kind is None:
                self.problems[place] = form.fault or f"time {text!r} cannot be read; {_WANTED}"
            elif kind != self.kind:
                self.problems[place] = self._otherwise(place, kinds.index(self.kind))
        if self.kind == "month" and any(form.name == "pair" for form in self._forms):
            self._pairs(grain)
        elif any(form.name == "slashed" for form in self._forms):
            self._slashed()
        else:
            self._each(self.kind, self._ordinal)

    def _kind_of(self, form: Form) -> TimeKind | None:
        if form.name == "pair":
            return "month"
        if form.name in {"integer", "packed", "decimal"}:
            return "integer"
        return _KINDS.get(form.name)

    def _each(self, kind: TimeKind, ordinal: Callable[[Form], int]) -> None:
        self.kind = kind
        for place, form in enumerate(self._forms):
            if place in self.problems:
                continue
            try:
                self.ordinals[place] = ordinal(form)
            except _TimeError as error:
                self.problems[place] = str(error)
            except ValueError:
                self.problems[place] = (
                    f"time {self._texts[place]} is not in the calendar; correct it"
                )

    def _ordinal(self, form: Form) -> int:
        if self.kind == "integer":
            return _whole(form)
        if form.name == "week":
            return self._week(form)
        if form.name == "day_week":
            return _day_week(form)
        if form.name in {"month", "pair", "packed"}:
            first = date(form.parts[0], form.parts[1], 1)
            return first.year * MONTHS + first.month - 1
        return form.parts[0] if form.name == "year" else _day(form)

    def _week(self, form: Form) -> int:
        label = f"{form.parts[0]:04d}-W{form.parts[1]:02d}"
        try:
            first = parse_week(label, self._epi_week)
        except ValueError as error:
            other: EpiWeek = "mmwr" if self._epi_week == "iso" else "iso"
            remedy = f", or add --epi-week {other}" if _is_week(label, other) else ""
            raise _TimeError(f"{error}; correct it{remedy}") from None
        assert first is not None  # noqa: S101 - the label has the form of a week
        return first.toordinal()

    def _pairs(self, grain: FileGrain | None) -> None:
        """Tell weeks (2020-40, 202040) from months (2020-11, 202011)."""
        pairs = [
            place
            for place, form in enumerate(self._forms)
            if form.name in {"pair", "packed"} and place not in self.problems
        ]
        shown = self._texts[pairs[0]]
        late = [place for place in pairs if self._forms[place].parts[1] > MONTHS]
        if grain == "week" or (grain is None and 2 * len(late) > len(pairs)):
            if grain is None:
                self.notes.append(f"Times like {shown} are taken as year and epi week.")
            self._each("week", self._week)
            return
        if grain is None:
            self.notes.append(
                f"Times like {shown} are taken as year and month; if they are epi weeks, add "
                "--grain week."
            )
        for place in late:
            year, number = self._forms[place].parts
            self.problems[place] = (
                f"time {self._texts[place]} is no month; a week is written {year}-W{number:02d}, "
                "or add --grain week if all times are weeks"
                if number <= _WEEKS
                else f"time {self._texts[place]} is not in the calendar; correct it"
            )
        self._each("month", self._ordinal)

    def _slashed(self) -> None:
        """Tell days from months in 31/12/2024 and 12/31/2024 by those above 12."""
        these = [
            form.parts
            for place, form in enumerate(self._forms)
            if form.name == "slashed" and place not in self.problems
        ]
        day_first = any(first > MONTHS for first, _, _ in these)
        month_first = any(second > MONTHS for _, second, _ in these)

        def ordinal(form: Form) -> int:
            if form.name != "slashed":
                return self._ordinal(form)
            first, second, year = form.parts
            day, month = (first, second) if day_first else (second, first)
            return date(year, month, day).toordinal()

        if day_first == month_first:
            why = "may be" if not day_first else "is written like the others, which have"
            for place, form in enumerate(self._forms):
                if form.name == "slashed":
                    self.problems[place] = (
                        f"time {self._texts[place]} {why} day or month first; write it as "
                        f"{form.parts[2]}-MM-DD (year, month, day)"
                    )
        self._each("date", ordinal)


def _is_week(label: str, epi_week: EpiWeek) -> bool:
    try:
        return parse_week(label, epi_week) is not None
    except ValueError:
        return False


def _day(form: Form) -> int:
    return date(*form.parts).toordinal()


def _whole(form: Form) -> int:
    if form.name == "decimal":
        raise _TimeError(f"time {form.parts[0]} has decimals; write a whole number, or a date")
    return form.whole


def _day_week(form: Form) -> int:
    """Return the first day of a week of DHIS2 that begins on another day, such as 2020WedW5.

    Week 1 holds 4 January, in all systems of DHIS2.
    """
    year, number, weekday = form.parts
    if not 1 <= number <= _WEEKS:
        raise ValueError("no such week")
    fourth = date(year, 1, 4)
    first = fourth - timedelta(days=(fourth.weekday() - weekday) % 7)
    return (first + timedelta(days=7 * (number - 1))).toordinal()
