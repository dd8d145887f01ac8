"""The cells of a file, sorted into series, times and counts, before their texts are read."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from streams.tables.known import Counted
    from streams.tables.layout import Layout
    from streams.tables.text import Cells

__all__ = ["Gathered", "Series", "described", "gather"]


class Series(NamedTuple):
    """What a series counts, and where; empty where the file does not say."""

    region: str
    signal: str


@dataclass(frozen=True, eq=False)
class Gathered:
    """The counts of a file, each by the numbers of its texts.

    Parameters
    ----------
    names
        The series.
    times, counts, people
        The different texts.
    series, time, count, population, line
        One number for each count: of its series and texts, and the line where it stands.
    columns
        For each count the name of its column, in wide files.
    problems
        Line and text.
    taken_back
        Rows that stand in the file and do not count, by the value that says so.
    """

    names: list[Series]
    times: list[str]
    counts: list[str]
    people: list[str]
    series: NDArray[np.int64]
    time: NDArray[np.int64]
    count: NDArray[np.int64]
    population: NDArray[np.int64]
    line: NDArray[np.int64]
    columns: list[str]
    problems: list[tuple[int, str]]
    taken_back: Counter[str]


def gather(cells: Cells, layout: Layout) -> Gathered:
    """Sort all rows of a file.

    Raises
    ------
    FenghuoError
        The file is no CSV.
    """
    gatherer = _Gatherer(layout, len(cells.header))
    for line, row in cells.rows:
        gatherer.read(line, row)
    return gatherer.done()


class _Gatherer:
    """Numbers of texts so far."""

    def __init__(self, layout: Layout, width: int) -> None:
        self._layout, self._width = layout, width
        self._names: dict[Series, int] = {}
        self._times: dict[str, int] = {}
        self._counts: dict[str, int] = {}
        self._people: dict[str, int] = {}
        self._numbers = tuple(array("q") for _ in range(5))
        self._columns: list[str] = []
        self._problems: list[tuple[int, str]] = []
        self._taken_back: Counter[str] = Counter()

    def read(self, line: int, cells: list[str]) -> None:
        layout = self._layout
        if len(cells) > self._width and not any(cells[self._width :]):
            cells = cells[: self._width]  # Excel leaves separators behind
        if len(cells) != self._width:
            text = f"{len(cells)} cells, but the header has {self._width}; make them equal."
            self._problems.append((line, text))
            return
        if layout.only is not None and not self._counts_at_all(line, cells, *layout.only):
            return
        if layout.across:
            series = Series(layout.joined("region", cells), layout.joined("signal", cells))
            for place, time in layout.across:
                self._add(series, time, cells[place], "", line)
                self._columns.append(time)
        elif layout.series:
            for place, name in layout.series:
                self._add(Series(name, ""), layout.time(cells), cells[place], "", line)
                self._columns.append(name)
        else:
            self._add_long(line, cells)

    def _counts_at_all(self, line: int, cells: list[str], place: int, only: Counted) -> bool:
        """Tell whether a row counts. One that was taken back counts 0: its series stays."""
        value = cells[place]
        if value in only.values:
            return True
        if value in only.taken_back:
            self._taken_back[value] += 1
            self._add_long(line, cells, count="0")
        else:
            known = ", ".join(sorted(only.values | only.taken_back))
            text = f"column {place + 1} holds {value!r}, which is none of {known}; correct it."
            self._problems.append((line, text))
        return False

    def _add_long(self, line: int, cells: list[str], count: str | None = None) -> None:
        places = self._layout.places
        if count is None:
            count = "1" if self._layout.cases else cells[places["count"][0]]
        self._add(
            Series(self._layout.joined("region", cells), self._layout.joined("signal", cells)),
            self._layout.time(cells),
            count,
            cells[places["population"][0]] if "population" in places else "",
            line,
        )

    def _add(self, series: Series, time: str, count: str, people: str, line: int) -> None:
        for numbers, number in zip(
            self._numbers,
            (
                self._names.setdefault(series, len(self._names)),
                self._times.setdefault(time, len(self._times)),
                self._counts.setdefault(count, len(self._counts)),
                self._people.setdefault(people, len(self._people)),
                line,
            ),
            strict=True,
        ):
            numbers.append(number)

    def done(self) -> Gathered:
        series, time, count, people, line = (
            np.array(numbers, dtype=np.int64) for numbers in self._numbers
        )
        return Gathered(
            names=[*self._names],
            times=[*self._times],
            counts=[*self._counts],
            people=[*self._people],
            series=series,
            time=time,
            count=count,
            population=people,
            line=line,
            columns=self._columns,
            problems=self._problems,
            taken_back=self._taken_back,
        )


def described(names: Sequence[str], most: int = 3) -> str:
    """Name the first of several, and say how many there are."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
