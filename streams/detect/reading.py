"""Files of counts, long (one count a row) or wide (one series or one time a column)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING

import numpy as np

from streams.detect.adding import add_up, carry_population, differences
from streams.detect.gathering import Gathered, Series, gather
from streams.detect.steps import Dated
from streams.detect.times import make_axis, time_apart
from streams.errors import FenghuoError
from streams.tables.columns import find_layout
from streams.tables.numbers import read_numbers
from streams.tables.problems import bundled
from streams.tables.text import read_cells
from streams.tables.times import read_times

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import date

    from numpy.typing import NDArray

    from detectors.contract import FloatArray
    from streams.detect.times import TimeAxis
    from streams.judging.periods import EpiWeek
    from streams.tables.known import Role
    from streams.tables.layout import Layout
    from streams.tables.numbers import Decimal
    from streams.tables.times import FileGrain, ReadTimes

__all__ = ["CountTable", "Reading", "Series", "read_table"]

#: Rows that tell names from counts.
_SAMPLE = 50
#: Counts may be of the week that ends some days from now.
_AHEAD_DAYS = 6


@dataclass(frozen=True)
class Reading:
    """How a file is to be read, where it does not tell itself.

    Parameters
    ----------
    epi_week
        System of epi weeks; None: the publisher's, or from Monday.
    grain
        Width of a step, where times are dates and their distances shall not decide; tells weeks
        from months, too.
    columns
        Columns by what they hold; see :func:`streams.tables.layout.read_mapping`.
    decimal
        What stands before decimals.
    encoding
        The file's encoding.
    cumulative
        Whether counts are totals since the beginning, to be turned into new cases.
    steps
        Whether whole numbers are steps, never dates or years.
    today
        Later times are mistakes; None: no time is.
    """

    epi_week: EpiWeek | None = None
    grain: FileGrain | None = None
    columns: Mapping[Role, tuple[str, ...]] | None = None
    decimal: Decimal | None = None
    encoding: str | None = None
    cumulative: bool = False
    steps: bool = False
    today: date | None = None


@dataclass(frozen=True, eq=False)
class CountTable:
    """All series of a file on one time axis.

    Parameters
    ----------
    axis
        The steps.
    series
        Names, in the order of the file.
    counts, population
        Shape `[series, time]`; NaN = missing. `population` is None if the file gives none.
    notes
        What was assumed in reading, one sentence each.
    """

    axis: TimeAxis
    series: tuple[Series, ...]
    counts: FloatArray
    population: FloatArray | None
    notes: tuple[str, ...] = ()


def read_table(lines: Iterable[bytes], *, name: str, reading: Reading | None = None) -> CountTable:
    r"""Read and check a whole file of counts.

    Parameters
    ----------
    lines
        The file's bytes, in pieces. The header is ``time,region,signal,count`` with or without
        ``population``, ``region`` and ``signal``, in any order; or ``time`` and then one column
        for each series; or names that :mod:`streams.tables.known` knows.
    name
        What messages call the file.
    reading
        What people said about the file.

    Raises
    ------
    FenghuoError
        With every problem of the file, one a line: ``file:line: problem and remedy``.

    Examples
    --------
    >>> table = read_table([b"time,count\n", b"2009-W34,7\n", b"2009-W32,5\n"], name="f")
    >>> table.counts, table.axis.labels
    (array([[ 5., nan,  7.]]), ('2009-W32', '2009-W33', '2009-W34'))
    """
    reading = reading or Reading()
    cells = read_cells(b"".join(lines), name=name, encoding=reading.encoding)
    sample = list(islice(cells.rows, _SAMPLE))
    layout = find_layout(
        cells.header,
        name=name,
        line=cells.line,
        columns=reading.columns,
        sample=[row for _, row in sample],
    )
    gathered = gather(cells._replace(rows=chain(sample, cells.rows)), layout)
    table = _Table(name, cells.header, layout, gathered, reading)
    notes = [*cells.notes, *layout.notes]
    return table.made(notes, commas=cells.separator == ",")


class _Table:
    """Makes a table of what was gathered."""

    def __init__(
        self, name: str, header: Sequence[str], layout: Layout, rows: Gathered, reading: Reading
    ) -> None:
        self._name, self._header, self._layout = name, header, layout
        self._rows, self._reading = rows, reading
        self._epi_week: EpiWeek = reading.epi_week or layout.epi_week or "iso"
        self._problems = list(rows.problems)

    def made(self, notes: list[str], *, commas: bool) -> CountTable:
        rows, reading = self._rows, self._reading
        notes += self._taken_back()
        if not rows.times:
            self._refuse_problems()
            raise FenghuoError(
                f"{self._name}: there is no row of counts below the header; add some."
            )
        times = read_times(
            [*rows.times], epi_week=self._epi_week, grain=reading.grain, steps=reading.steps
        )
        for place, text in times.problems.items():
            self._problem(text, rows.time == place)
        counts = self._numbers("count", notes, commas=commas)
        population = self._numbers("population", notes, commas=commas)
        ordinals = np.array(times.ordinals, dtype=np.int64)
        at = ordinals[rows.time]
        if reading.today is not None:
            self._note_future(times, ordinals, reading.today)
        if not self._layout.adds_up and not self._problems:
            self._note_repeated(at)
        self._refuse_problems()
        return self._table(times, at, counts, population, [*notes, *times.notes])

    def _table(
        self,
        times: ReadTimes,
        at: NDArray[np.int64],
        counts: FloatArray,
        population: FloatArray,
        notes: list[str],
    ) -> CountTable:
        rows = self._rows
        places = {
            int(at[row]): (text, int(rows.line[row]))
            for text, row in zip(rows.times, _first_rows(rows.time), strict=True)
        }
        dated = Dated(rows.series, at, places, [one.region or one.signal for one in rows.names])
        try:
            axis = make_axis(
                dated,
                times.kind,
                epi_week=self._epi_week,
                grain=self._reading.grain,
                daily=self._layout.adds_up,
            )
        except FenghuoError as error:
            text = str(error)
            place = text.removeprefix("line ") if text.startswith("line ") else f" {text}"
            raise FenghuoError(f"{self._name}:{place}") from None
        if (apart := time_apart(dated, times.kind)) is not None:
            notes.append(apart)
        spread, some = add_up(
            axis,
            dated,
            counts,
            sums=self._layout.adds_up,
            cases=self._layout.cases or self._layout.sparse,
        )
        notes += some
        if self._reading.cumulative or self._layout.cumulative:
            spread, some = differences(axis, spread)
            notes += some
        people = None
        if not np.isnan(population).all():
            people, some = carry_population(axis, dated, population)
            notes += some
        return CountTable(axis, tuple(rows.names), spread, people, tuple(notes))

    def _numbers(self, what: str, notes: list[str], *, commas: bool) -> FloatArray:
        """Read the different texts of counts or populations, and give each row its number."""
        rows = self._rows
        texts, of_row = (
            (rows.counts, rows.count) if what == "count" else (rows.people, rows.population)
        )
        found = read_numbers(texts, what=what, decimal=self._reading.decimal, commas=commas)
        same: dict[str, list[int]] = {}
        for place, problem in found.problems.items():
            same.setdefault(problem.same, []).append(place)
        for places in same.values():
            wrong = np.isin(of_row, places)
            first = int(np.flatnonzero(wrong)[0])
            column = rows.columns[first] if rows.columns else ""
            self._problem(found.problems[int(of_row[first])].told(what, column), wrong)
        notes += found.notes
        return np.array(found.values)[of_row]

    def _taken_back(self) -> Iterator[str]:
        if self._layout.only is None:
            return
        place, only = self._layout.only
        for value, rows in self._rows.taken_back.items():
            named = f"{self._header[place]} = {value}"
            yield f"{rows:,} row{'s' * (rows > 1)} with {named} count 0: {only.why}."

    def _problem(self, text: str, rows: NDArray[np.bool_]) -> None:
        lines = np.unique(self._rows.line[rows]).tolist()
        self._problems += [(line, f"{text}.") for line in lines]

    def _note_future(self, times: ReadTimes, ordinals: NDArray[np.int64], today: date) -> None:
        latest = {
            "date": today.toordinal() + _AHEAD_DAYS, "week": today.toordinal(),
            "month": today.year * 12 + today.month - 1, "year": today.year,
        }.get(times.kind)  # fmt: skip
        if latest is None:
            return
        texts = [*self._rows.times]
        for place in np.flatnonzero(ordinals > latest).tolist():
            if place not in times.problems:
                text = f"time {texts[place]} lies in the future (today is {today}); correct it"
                self._problem(text, self._rows.time == place)

    def _note_repeated(self, at: NDArray[np.int64]) -> None:
        """Note rows that give the same series at the same time again."""
        rows = self._rows
        order = np.lexsort((rows.line, at, rows.series))
        again = (np.diff(rows.series[order]) == 0) & (np.diff(at[order]) == 0)
        for place in np.flatnonzero(again).tolist():
            before, line = int(rows.line[order[place]]), int(rows.line[order[place + 1]])
            where = f"line {before}" if before != line else "another cell of the line"
            text = f"the same series and time as {where}; keep one of them, or add them up."
            self._problems.append((line, text))

    def _refuse_problems(self) -> None:
        if not self._problems:
            return
        raise FenghuoError(bundled(self._problems, name=self._name, end="Nothing was judged."))


def _first_rows(numbers: NDArray[np.int64]) -> list[int]:
    """Return for each number the first row that has it."""
    _, first = np.unique(numbers, return_index=True)
    return first.tolist()  # type: ignore[no-any-return]
