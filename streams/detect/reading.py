"""Files of counts, long (one count a row) or wide (one series a column)."""

from __future__ import annotations

import csv
import math
import re
from array import array
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from streams.detect.times import make_axis, parse_time
from streams.errors import FenghuoError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from detectors.contract import FloatArray
    from streams.detect.times import FileGrain, TimeAxis, TimeKind
    from streams.judging.periods import EpiWeek

__all__ = ["CountTable", "Series", "read_table"]

_COLUMNS: Final = ("time", "region", "signal", "count", "population")
#: What R, pandas and databases write for a missing number; an empty cell is missing too.
_MISSING: Final = frozenset({"", "NA", "N/A", "NaN", "nan", "NULL", "null", "None"})
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_LARGEST: Final = 1e100
#: Problems that are told; the rest is counted.
_TOLD: Final = 50


class Series(NamedTuple):
    """What a series counts, and where; empty where the file does not say."""

    region: str
    signal: str


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
    """

    axis: TimeAxis
    series: tuple[Series, ...]
    counts: FloatArray
    population: FloatArray | None


def read_table(
    lines: Iterable[bytes],
    *,
    name: str,
    epi_week: EpiWeek = "iso",
    grain: FileGrain | None = None,
) -> CountTable:
    r"""Read and check a whole file of counts.

    Parameters
    ----------
    lines
        The file's lines. The header is ``time,region,signal,count`` with or without
        ``population``, ``region`` and ``signal``, in any order; or ``time`` and then one column
        for each series.
    name
        What messages call the file.
    epi_week
        System of epi weeks.
    grain
        Width of a step, where times are dates and their distances shall not decide.

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
    reader = csv.reader(_decoded(lines, name), strict=True)
    rows = _Rows(epi_week)
    try:
        header = [cell.strip().removeprefix("\ufeff") for cell in next(reader, [])]
        layout = _layout(header, name)
        for cells in reader:
            if any(cell.strip() for cell in cells):
                rows.read(reader.line_num, [cell.strip() for cell in cells], layout)
    except csv.Error as error:
        raise FenghuoError(f"{name}:{reader.line_num}: this is not CSV: {error}.") from None
    rows.check_repeated()
    if rows.problems:
        told = [f"{name}:{line}: {text}" for line, text in sorted(rows.problems)[:_TOLD]]
        if more := len(rows.problems) - len(told):
            told.append(f"and {more} more problems.")
        raise FenghuoError("\n".join([*told, "Nothing was judged."]))
    if not rows.times or rows.kind is None:
        raise FenghuoError(f"{name}: there is no row of counts below the header; add some.")
    try:
        return rows.table(make_axis(rows.times, rows.kind, epi_week=epi_week, grain=grain))
    except FenghuoError as error:
        text = str(error)
        place = text.removeprefix("line ") if text.startswith("line ") else f" {text}"
        raise FenghuoError(f"{name}:{place}") from None


class _Layout(NamedTuple):
    """Where the cells of a row belong."""

    header: Sequence[str]
    wide: bool
    place: dict[str, int]


class _Rows:
    """Cells and problems so far."""

    def __init__(self, epi_week: EpiWeek) -> None:
        self._epi_week: EpiWeek = epi_week
        self._known: dict[str, int] = {}
        self._series: dict[Series, int] = {}
        self._row, self._at, self._line = array("q"), array("q"), array("q")
        self._count, self._population = array("d"), array("d")
        self.kind: TimeKind | None = None
        self.times: dict[int, tuple[str, int]] = {}
        self.problems: list[tuple[int, str]] = []

    def read(self, line: int, cells: Sequence[str], layout: _Layout) -> None:
        if len(cells) != len(layout.header):
            text = f"{len(cells)} cells, but the header has {len(layout.header)}; make them equal."
            self.problems.append((line, text))
            return
        try:
            at = self._time(cells[layout.place["time"]], line)
            if layout.wide:
                for column in range(1, len(cells)):
                    count = _number("count", cells[column], layout.header[column])
                    self._add(Series(layout.header[column], ""), at, line, count)
                return
            given = {column: cells[place] for column, place in layout.place.items()}
            self._add(
                Series(given.get("region", ""), given.get("signal", "")),
                at,
                line,
                _number("count", given["count"]),
                _number("population", given.get("population", "")),
            )
        except ValueError as error:
            self.problems.append((line, f"{error}."))

    def check_repeated(self) -> None:
        """Note rows that give the same series at the same time again."""
        row, at = np.array(self._row), np.array(self._at)
        order = np.lexsort((np.array(self._line), at, row))
        again = (np.diff(row[order]) == 0) & (np.diff(at[order]) == 0)
        for place in np.flatnonzero(again).tolist():
            before, line = self._line[order[place]], self._line[order[place + 1]]
            text = f"the same series and time as line {before}; keep one of them, or add them up."
            self.problems.append((line, text))

    def table(self, axis: TimeAxis) -> CountTable:
        shape = (len(self._series), len(axis.labels))
        at = axis.positions(np.array(self._at, dtype=np.int64))
        population = np.array(self._population)
        return CountTable(
            axis=axis,
            series=tuple(self._series),
            counts=self._spread(np.array(self._count), at, shape),
            population=None if np.isnan(population).all() else self._spread(population, at, shape),
        )

    def _spread(
        self, values: FloatArray, at: NDArray[np.int64], shape: tuple[int, int]
    ) -> FloatArray:
        spread = np.full(shape, np.nan)
        spread[np.array(self._row), at] = values
        return spread

    def _add(
        self, series: Series, at: int, line: int, count: float, population: float = math.nan
    ) -> None:
        self._row.append(self._series.setdefault(series, len(self._series)))
        self._at.append(at)
        self._line.append(line)
        self._count.append(count)
        self._population.append(population)

    def _time(self, text: str, line: int) -> int:
        if (known := self._known.get(text)) is not None:
            return known
        kind, ordinal = parse_time(text, self._epi_week)
        if self.kind is None:
            self.kind = kind
        if kind != self.kind:
            first = min(self.times.values(), key=lambda time: time[1])
            raise ValueError(
                f"time {text} is written otherwise than {first[0]} in line {first[1]}; write all "
                "times in one way"
            )
        self.times.setdefault(ordinal, (text, line))
        self._known[text] = ordinal
        return ordinal


def _layout(header: Sequence[str], name: str) -> _Layout:
    """Tell which layout a header belongs to, or refuse it."""
    lower = [column.lower() for column in header]
    expected = (
        "it must be time,region,signal,count[,population], or time and then one column for each "
        "series"
    )
    if not any(header):
        raise FenghuoError(f"{name}:1: the file begins without a header; {expected}.")
    found = f"{name}:1: the header is {','.join(header)!r}; {expected}"
    if len(header) == 1 and (sign := re.search(r"[;\t|]", header[0])):
        raise FenghuoError(f"{found}. Separate cells by commas, not by {sign[0]!r}.")
    if repeated := sorted({column for column in lower if lower.count(column) > 1}):
        raise FenghuoError(f"{found}. {repeated[0]!r} stands there twice; rename one.")
    if "time" not in lower:
        raise FenghuoError(f"{found}. Name the column of times `time`.")
    if "count" in lower:
        for column in lower:
            if column not in _COLUMNS:
                close = get_close_matches(column, _COLUMNS, n=1)
                hint = f"did you mean {close[0]}?" if close else "remove it."
                raise FenghuoError(f"{found}. {column!r} is no column of these: {hint}")
        return _Layout(lower, wide=False, place={column: i for i, column in enumerate(lower)})
    if lower[0] != "time" or len(header) == 1 or not all(header):
        raise FenghuoError(f"{found}. `time` must come first, and every column needs a name.")
    if set(lower) & {"region", "signal", "population"}:
        raise FenghuoError(f"{found}. The column `count` is missing, or has another name.")
    return _Layout(header, wide=True, place={"time": 0})


def _number(what: str, text: str, column: str = "") -> float:
    """Read a count (0 or more) or a population (above 0); NaN where there is none."""
    if text in _MISSING:
        return math.nan
    of = f" of {column}" if column else ""
    if not _NUMBER.fullmatch(text):
        raise ValueError(
            f"{what} {text!r}{of} is no number; write digits without thousands separators, or "
            "nothing where it is missing"
        )
    value = float(text)
    if value < 0 or (what == "population" and value == 0):
        least = "0 or more" if what == "count" else "above 0"
        raise ValueError(
            f"{what} {text}{of} is not {least}; correct it, or leave it empty where it is missing"
        )
    if value > _LARGEST:
        raise ValueError(f"{what} {text}{of} is above {_LARGEST:g}; correct it")
    return value


def _decoded(lines: Iterable[bytes], name: str) -> Iterator[str]:
    for number, line in enumerate(lines, start=1):
        try:
            yield line.decode("utf-8")
        except UnicodeDecodeError:
            raise FenghuoError(
                f"{name}:{number}: not UTF-8 text. Save the file as UTF-8 (Excel: CSV UTF-8)."
            ) from None
