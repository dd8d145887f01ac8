"""Files of aggregated counts: ``period,region,count[,stratum]``."""

from __future__ import annotations

import csv
import math
from datetime import date
from typing import TYPE_CHECKING, Final

from schemas.counts import ALL_STRATA, UNKNOWN_STRATUM, Count, ImportGrain
from schemas.regions import AmbiguousRegionError, UnknownRegionError
from streams.epi_weeks import parse_week, week_label
from streams.feed.rows import FeedError
from streams.judging.periods import epi_week_start

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from streams.config import Configuration

__all__ = ["read_counts"]

_COLUMNS: Final = ("period", "region", "count")
#: Problems that are told; the rest is counted.
_TOLD: Final = 50


def read_counts(
    lines: Iterable[bytes],
    configuration: Configuration,
    *,
    signal: str,
    grain: ImportGrain,
    name: str,
) -> list[Count]:
    """Read and check a whole file of counts.

    Parameters
    ----------
    lines
        The file's lines. The header names ``period``, ``region``, ``count`` and, if there are age
        groups, ``stratum``.
    signal, grain
        What every row counts.
    name
        What messages call the file.

    Raises
    ------
    FeedError
        With every problem of the file, one a line: ``file:line: problem and remedy``.
    """
    known = configuration.surveillance.signals
    if signal not in known:
        raise FeedError(f"{signal!r} is no signal of the configuration; it has {', '.join(known)}.")
    reader = csv.reader(_decoded(lines, name))
    try:
        header = [cell.strip().lower().removeprefix("\ufeff") for cell in next(reader, [])]
        columns = _check_header(header, name)
        parser = _Parser(configuration, signal, grain)
        for cells in reader:
            if any(cells):
                parser.read(reader.line_num, cells, header, columns)
    except csv.Error as error:
        raise FeedError(f"{name}:{reader.line_num}: no CSV: {error}.") from None
    parser.check_strata()
    if parser.problems:
        told = [f"{name}:{line}: {text}" for line, text in sorted(parser.problems)[:_TOLD]]
        if more := len(parser.problems) - len(told):
            told.append(f"and {more} more problems.")
        raise FeedError("\n".join([*told, "Nothing was imported."]))
    return parser.counts


def _decoded(lines: Iterable[bytes], name: str) -> Iterable[str]:
    for number, line in enumerate(lines, start=1):
        try:
            yield line.decode("utf-8")
        except UnicodeDecodeError:
            raise FeedError(
                f"{name}:{number}: not UTF-8 text. Save the file as UTF-8 (Excel: CSV UTF-8)."
            ) from None


def _check_header(header: Sequence[str], name: str) -> Sequence[str]:
    wanted = {*_COLUMNS, "stratum"}
    missing = [column for column in _COLUMNS if column not in header]
    unknown = [column for column in header if column not in wanted]
    if missing or unknown or len(set(header)) < len(header):
        raise FeedError(
            f"{name}:1: the header must be period,region,count or period,region,count,stratum; "
            f"it is {','.join(header) or 'empty'}."
        )
    return header


class _Parser:
    """Counts and problems so far."""

    def __init__(self, configuration: Configuration, signal: str, grain: ImportGrain) -> None:
        self._regions = configuration.regions
        self._system = configuration.surveillance.epi_week
        self._strata = {
            ALL_STRATA,
            UNKNOWN_STRATUM,
            *configuration.surveillance.age_groups,
        }
        self._signal = signal
        self._grain: ImportGrain = grain
        self._lines: dict[tuple[str, date, str], int] = {}
        self._codes: dict[str, str] = {}
        self.counts: list[Count] = []
        self.problems: list[tuple[int, str]] = []

    def read(
        self, line: int, cells: Sequence[str], header: Sequence[str], columns: Sequence[str]
    ) -> None:
        if len(cells) != len(columns):
            self.problems.append((line, f"{len(cells)} cells, the header has {len(columns)}."))
            return
        row = dict(zip(header, (cell.strip() for cell in cells), strict=True))
        try:
            count = Count(
                signal=self._signal,
                region=self._region(row["region"]),
                stratum=self._stratum(row.get("stratum") or ALL_STRATA),
                grain=self._grain,
                period=self._period(row["period"]),
                value=_value(row["count"]),
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
        if text in self._regions:
            code = text
        else:
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
        week = parse_week(text, self._system)
        if week is not None:
            if self._grain == "day":
                raise ValueError(f"period {text} is a week; write a date, or use --grain week")
            return week
        try:
            day = date.fromisoformat(text)
        except ValueError:
            raise ValueError(
                f"period {text!r} is neither a date like 2009-08-03 nor an epi week like 2009-W32"
            ) from None
        first = epi_week_start(day, self._system)
        if self._grain == "week" and day != first:
            raise ValueError(
                f"period {text} is not the first day of an epi week; write {first} or "
                f"{week_label(first, self._system)}, or use --grain day"
            )
        return day


def _value(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"count {text!r} is no number") from None
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(f"count {text} is not 0 or more")
    return value
