"""Files of aggregated counts: ``period,region,count[,stratum]``."""

from __future__ import annotations

import math
from datetime import date
from typing import TYPE_CHECKING, Final, NamedTuple

from schemas.counts import ALL_STRATA, UNKNOWN_STRATUM, Count, ImportGrain
from schemas.regions import AmbiguousRegionError, UnknownRegionError
from streams.epi_weeks import week_label
from streams.errors import FenghuoError
from streams.feed.rows import FeedError
from streams.judging.periods import epi_week_start, step_days
from streams.tables.columns import find_layout
from streams.tables.forms import form_of
from streams.tables.numbers import read_numbers
from streams.tables.problems import bundled
from streams.tables.text import read_cells
from streams.tables.times import read_times

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from streams.config import Configuration
    from streams.tables.known import Role
    from streams.tables.layout import Layout
    from streams.tables.numbers import Decimal
    from streams.tables.text import Cells
    from streams.tables.times import FileGrain, TimeKind

__all__ = ["read_counts"]

#: What the columns of imports are called elsewhere.
_NAMES: Final = {"period": "time", "stratum": "signal"}
#: No surveillance counts are older; an earlier year is a slip of the pen.
_FIRST_YEAR: Final = 1900


def read_counts(
    lines: Iterable[bytes],
    configuration: Configuration,
    *,
    signal: str,
    grain: ImportGrain,
    name: str,
    today: date,
    columns: Mapping[Role, tuple[str, ...]] | None = None,
    decimal: Decimal | None = None,
    encoding: str | None = None,
) -> list[Count]:
    """Read and check a whole file of counts.

    Parameters
    ----------
    lines
        The file's bytes, in pieces. The header names ``period``, ``region``, ``count`` and, if
        there are age groups, ``stratum``; or has names that :mod:`streams.tables.known` knows.
    signal, grain
        What every row counts.
    name
        What messages call the file.
    today
        The local date. A period that has not ended before it is refused: its import would hide
        the live counts that still come in.
    columns, decimal, encoding
        As in :class:`streams.detect.reading.Reading`.

    Raises
    ------
    FeedError
        With every kind of problem in the file, one a line: ``file:line: problem and remedy``.
    """
    known = configuration.surveillance.signals
    if signal not in known:
        raise FeedError(f"{signal!r} is no signal of the configuration; it has {', '.join(known)}.")
    cells = read_cells(b"".join(lines), name=name, encoding=encoding)
    layout = _layout(cells, columns, name)
    parser = _Parser(configuration, signal, grain, today)
    rows = [(line, _row(row, layout, cells.header)) for line, row in cells.rows]
    parser.know(rows, decimal=decimal, commas=cells.separator == ",")
    for line, row in rows:
        if isinstance(row, str):
            parser.problems.append((line, row))
        else:
            parser.read(line, row)
    parser.check_strata()
    if parser.problems:
        raise FeedError(bundled(parser.problems, name=name, end="Nothing was imported."))
    return parser.counts


class _Row(NamedTuple):
    """The texts of a row."""

    period: str
    region: str
    stratum: str
    value: str


def _layout(cells: Cells, columns: Mapping[Role, tuple[str, ...]] | None, name: str) -> Layout:
    """Find the columns; a file of counts by region has one count a row."""
    header = [_NAMES.get(column.casefold(), column) for column in cells.header]
    try:
        layout = find_layout(
            header if not columns else cells.header, name=name, line=cells.line, columns=columns
        )
    except FenghuoError as error:
        if columns:
            raise
        raise _wrong_header(cells, name) from error
    long = "count" in layout.places and "region" in layout.places
    if not long or layout.adds_up:
        raise _wrong_header(cells, name)
    return layout


def _wrong_header(cells: Cells, name: str) -> FeedError:
    return FeedError(
        f"{name}:{cells.line}: the header must be period,region,count or "
        f"period,region,count,stratum; it is {','.join(cells.header) or 'empty'}. Or say which "
        "columns to take, like --columns period=week,region=county,count=cases."
    )


def _row(cells: Sequence[str], layout: Layout, header: Sequence[str]) -> _Row | str:
    if len(cells) > len(header) and not any(cells[len(header) :]):
        cells = cells[: len(header)]
    if len(cells) != len(header):
        return f"{len(cells)} cells, the header has {len(header)}."
    return _Row(
        period=layout.time(cells),
        region=layout.joined("region", cells),
        stratum=layout.joined("signal", cells),
        value=cells[layout.places["count"][0]],
    )


class _Parser:
    """Counts and problems so far."""

    def __init__(
        self, configuration: Configuration, signal: str, grain: ImportGrain, today: date
    ) -> None:
        self._regions = configuration.regions
        self._system = configuration.surveillance.epi_week
        self._strata = {
            ALL_STRATA,
            UNKNOWN_STRATUM,
            *configuration.surveillance.age_groups,
        }
        self._signal = signal
        self._grain: ImportGrain = grain
        self._today = today
        self._lines: dict[tuple[str, date, str], int] = {}
        self._codes: dict[str, str] = {}
        self._times: dict[str, tuple[TimeKind, int]] = {}
        self._values: dict[str, float] = {}
        self._faults: dict[str, str] = {}
        self._count_faults: dict[str, str] = {}
        self.counts: list[Count] = []
        self.problems: list[tuple[int, str]] = []

    def know(
        self, rows: Sequence[tuple[int, _Row | str]], *, decimal: Decimal | None, commas: bool
    ) -> None:
        """Read the different texts of periods and counts, which tell their form together."""
        whole = [row for _, row in rows if isinstance(row, _Row)]
        periods = list(dict.fromkeys(row.period for row in whole))
        grain: FileGrain | None = "week" if self._grain == "week" else None
        # Weeks and dates may stand in one file: each kind tells its form by itself.
        for weeks in (True, False):
            these = [text for text in periods if (form_of(text).name == "week") == weeks]
            if not these:
                continue
            times = read_times(these, epi_week=self._system, grain=grain)
            for place, text in enumerate(these):
                self._times[text] = times.kind, times.ordinals[place]
                if place in times.problems:
                    fault = times.problems[place].replace("time ", "period ", 1)
                    self._faults[text] = fault.partition("; for steps")[0]
        texts = list(dict.fromkeys(row.value for row in whole))
        numbers = read_numbers(texts, decimal=decimal, commas=commas)
        self._values = dict(zip(texts, numbers.values, strict=True))
        self._count_faults = {
            texts[place]: problem.told("count") for place, problem in numbers.problems.items()
        }

    def read(self, line: int, row: _Row) -> None:
        try:
            count = Count(
                signal=self._signal,
                region=self._region(row.region),
                stratum=self._stratum(row.stratum or ALL_STRATA),
                grain=self._grain,
                period=self._period(row.period),
                value=self._value(row.value),
            )
        except ValueError as error:
            self.problems.append((line, f"{str(error).rstrip('.?')}."))
            return
        key = count.region, count.period, count.stratum
        if (before := self._lines.setdefault(key, line)) != line:
            self.problems.append((line, f"the same region and period as line {before}."))
            return
        self.counts.append(count)

    def check_strata(self) -> None:
        """Refuse a total beside its parts: cases would be counted twice."""
        for (region, period, stratum), line in self._lines.items():
            total = self._lines.get((region, period, ALL_STRATA))
            if stratum != ALL_STRATA and total is not None:
                text = (
                    f"line {total} has the total of this region and period without an age "
                    "group; keep either the total or the age groups."
                )
                self.problems.append((line, text))

    def _region(self, text: str) -> str:
        if (known := self._codes.get(text)) is not None:
            return known
        try:
            code = self._regions.find(text).code
        except (UnknownRegionError, AmbiguousRegionError) as error:
            raise ValueError(str(error)) from None
        self._codes[text] = code
        return code

    def _stratum(self, text: str) -> str:
        if text not in self._strata:
            raise ValueError(
                f"stratum {text!r} is none of the configuration; use "
                f"{', '.join(sorted(self._strata))}"
            )
        return text

    def _period(self, text: str) -> date:
        kind, ordinal = self._times[text]
        fault = self._faults.get(text)
        unreadable = fault is not None and "cannot be read" in fault
        if unreadable or (fault is None and kind not in {"week", "date"}):
            raise ValueError(
                f"period {text!r} is neither a date like 2009-08-03 nor an epi week like 2009-W32"
            )
        if fault is not None:
            raise ValueError(fault)
        day = date.fromordinal(ordinal)
        if kind == "week" and self._grain == "day":
            raise ValueError(f"period {text} is a week; write a date, or use --grain week")
        self._check_when(text, day)
        if kind == "week":
            return day
        first = epi_week_start(day, self._system)
        if self._grain == "week" and day != first:
            raise ValueError(
                f"period {text} is not the first day of an epi week; write {first} or "
                f"{week_label(first, self._system)}, or use --grain day"
            )
        return day

    def _check_when(self, text: str, day: date) -> None:
        """Refuse a period that has not ended, and a year that cannot be meant."""
        if day.year < _FIRST_YEAR:
            raise ValueError(f"period {text} is before {_FIRST_YEAR}; correct the year")
        # By ordinals: the last week of year 9999 ends after the calendar does.
        if day.toordinal() + step_days(self._grain) > self._today.toordinal():
            raise ValueError(
                f"period {text} has not ended, today is {self._today}, and its import would hide "
                f"the live counts; leave out this row until the {self._grain} is over, or correct "
                "the date"
            )

    def _value(self, text: str) -> float:
        if (fault := self._count_faults.get(text)) is not None:
            raise ValueError(fault)
        value = self._values[text]
        if math.isnan(value):
            raise ValueError(f"count {text!r} is missing; write a number, or leave out the row")
        return value
