"""Which column of a file holds what: as people say, as publishers have it, or by its name."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

from streams.errors import FenghuoError
from streams.tables.forms import form_of
from streams.tables.known import (
    CODES,
    KNOWN_SETS,
    NAMES,
    ONSETS,
    PERSON,
    SERIALS,
    KnownSet,
    Role,
    bare,
)
from streams.tables.layout import Layout
from streams.tables.numbers import is_missing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


__all__ = ["find_layout"]

_OWN: Final = ("time", "region", "signal", "count", "population")
_EXPECTED: Final = (
    "it must be time,region,signal,count[,population], or time and then one column for each "
    "series; or say which columns to take, like --columns time=week,count=cases"
)
#: Roles whose columns hold names.
_NAMING: Final[tuple[Role, ...]] = ("region", "signal")
#: Columns that say again what another one says.
_REDUNDANT: Final = NAMES["year"] | NAMES["week"] | NAMES["month"] | NAMES["day"] | CODES | SERIALS
#: Letters, or an age group such as 0-6 or 65+.
_NAME_LIKE: Final = re.compile(r"[^\W\d_]|\d-\d|\+")
_TIMES: Final = frozenset({"date", "slashed", "week", "day_week", "month", "pair", "packed",
                           "packed_date"})  # fmt: skip


def find_layout(
    header: Sequence[str],
    *,
    name: str,
    line: int = 1,
    columns: Mapping[Role, tuple[str, ...]] | None = None,
    sample: Sequence[Sequence[str]] = (),
) -> Layout:
    """Tell what the columns of a file hold.

    Parameters
    ----------
    header
        Names of the columns.
    name, line
        What messages call the file, and the line of its header.
    columns
        What people said; see :func:`streams.tables.layout.read_mapping`.
    sample
        Some rows, which tell names of regions from counts. Without any, a count has to have a known
        name.

    Raises
    ------
    FenghuoError
        The header cannot be understood; the text says how to mend it.

    Examples
    --------
    >>> find_layout(["日期", "地区", "病例数"], name="f").places
    {'time': (0,), 'region': (1,), 'count': (2,)}
    """
    return _Finder(header, f"{name}:{line}", sample).layout(columns)


class _Finder:
    """Tries one layout after the other."""

    def __init__(self, header: Sequence[str], where: str, sample: Sequence[Sequence[str]]) -> None:
        self._header = header
        self._sample = [row for row in sample if len(row) >= len(header)]
        self._lower = [column.casefold() for column in header]
        self._bare = [bare(column) for column in header]
        self._where = where

    def layout(self, columns: Mapping[Role, tuple[str, ...]] | None) -> Layout:
        if not any(re.search(r"[^\W\d_]", column) for column in self._header):
            raise FenghuoError(f"{self._where}: the file begins without a header; {_EXPECTED}.")
        if columns:
            return self._said(columns)
        self._refuse_repeated()
        for attempt in (
            self._own, self._known, self._line_list, self._across, self._named, self._unnamed_count,
        ):  # fmt: skip
            if (found := attempt()) is not None:
                return found
        return self._wide()

    def _error(self, text: str) -> FenghuoError:
        shown = ",".join(self._header)
        shown = shown if len(shown) <= 200 else f"{shown[:200]}..."  # noqa: PLR2004 - one line
        return FenghuoError(f"{self._where}: the header is {shown!r}; {_EXPECTED}. {text}")

    def _refuse_repeated(self) -> None:
        named = [column for column in self._lower if column]
        if repeated := sorted({column for column in named if named.count(column) > 1}):
            raise self._error(f"{repeated[0]!r} stands there twice; rename one.")

    def _said(self, columns: Mapping[Role, tuple[str, ...]]) -> Layout:
        places = {
            role: tuple(self._place(column) for column in names) for role, names in columns.items()
        }
        if "time" not in places and "year" not in places:
            raise FenghuoError(
                f"{self._where}: --columns names no time; add time=COLUMN, or year=COLUMN and "
                "week=COLUMN."
            )
        if "count" in places:
            return Layout(places)
        return Layout(places, cases=True, adds_up=True, notes=(_EACH_ROW,))

    def _place(self, column: str) -> int:
        for names, wanted in (
            (self._header, column),
            (self._lower, column.casefold()),
            (self._bare, bare(column)),
        ):
            if wanted in names:
                return names.index(wanted)
        close = get_close_matches(column.casefold(), self._lower, n=1)
        hint = f"did you mean {self._header[self._lower.index(close[0])]}? " if close else ""
        raise FenghuoError(
            f"{self._where}: --columns: the file has no column {column!r}; {hint}It has "
            f"{', '.join(filter(None, self._header))}."
        )

    def _own(self) -> Layout | None:
        if "time" not in self._lower or "count" not in self._lower:
            return None
        for column in self._lower:
            if column not in _OWN:
                close = get_close_matches(column, _OWN, n=1)
                hint = f"did you mean {close[0]}?" if close else "remove it."
                raise self._error(f"{column!r} is no column of these: {hint}")
        places: dict[Role, tuple[int, ...]] = {
            column: (self._lower.index(column),) for column in _OWN if column in self._lower
        }
        return Layout(places)

    def _known(self) -> Layout | None:
        for known in KNOWN_SETS:
            if known.needs <= set(self._bare):
                return self._of_set(known)
        return None

    def _of_set(self, known: KnownSet) -> Layout:
        places: dict[Role, tuple[int, ...]] = {}
        for role, names in known.roles.items():
            if there := [self._bare.index(one) for one in names if one in self._bare]:
                places[role] = tuple(there)
        if "region" not in places:
            codes = [place for place, one in enumerate(self._bare) if one in CODES]
            places |= {"region": (codes[0],)} if codes else {}
        only = None
        if known.only is not None:
            only = self._bare.index(known.only.column), known.only
        return Layout(
            places,
            epi_week=known.epi_week,
            adds_up=known.adds_up,
            cumulative=known.cumulative,
            sparse=known.sparse,
            only=only,
            notes=(f"Columns of {known.name}: {self._told(places)}.",),
        )

    def _told(self, places: Mapping[Role, Sequence[int]]) -> str:
        return ", ".join(
            f"{role}={'+'.join(self._header[place] for place in found)}"
            for role, found in places.items()
        )

    def _roles(self) -> dict[Role, tuple[int, ...]]:
        """Give columns their roles by their names alone."""
        found: dict[Role, list[int]] = {}
        for place, name in enumerate(self._bare):
            for role, names in NAMES.items():
                if name in names:
                    found.setdefault(role, []).append(place)
                    break
        parts: tuple[Role, ...] = ("week", "month", "day")
        if "time" not in found and "year" not in found:
            for role in parts:  # 2024-W05 in a column `week`
                if role in found and "time" not in found:
                    found["time"] = found.pop(role)
        needless: tuple[Role, ...] = ()
        if "time" in found:
            needless = ("year", *parts)
        elif "week" in found:
            needless = ("month", "day")
        found = {role: places for role, places in found.items() if role not in needless}
        codes = [place for place, name in enumerate(self._bare) if name in CODES]
        if "region" not in found and codes:
            found["region"] = codes[:1]
        return {role: tuple(places) for role, places in found.items()}

    def _named(self) -> Layout | None:
        places = self._roles()
        if "count" not in places or not {"time", "year"} & set(places):
            return None
        used = {place for found in places.values() for place in found}
        rest = [
            column
            for place, column in enumerate(self._header)
            if column and place not in used and self._bare[place] not in _REDUNDANT
        ]
        if rest and not {"region", "signal"} & set(places):
            return None  # a wide file with a series of that name
        if rest or len(places["count"]) > 1 or len(places.get("time", ())) > 1:
            single = {
                role: found[:1] if role in {"time", "count"} else found
                for role, found in places.items()
            }
            which = (
                f"{rest[0]!r} is none of the known names"
                if rest
                else "several columns may be the time or the count"
            )
            raise self._error(
                f"{which}. Say which to take, like --columns {self._told(single).replace(' ', '')}"
            )
        note = f"Columns are read as {self._told(places)}; say otherwise with --columns."
        return Layout(places, notes=(note,))

    def _unnamed_count(self) -> Layout | None:
        """Find a long file whose count has a name that is not known: `week,county,ili_visits`."""
        places = self._roles()
        if "time" in self._lower:
            return None  # our own names, which `count` belongs to
        if "count" in places or not {"time", "year"} & set(places):
            return None
        named = [place for role in _NAMING for place in places.get(role, ())]
        if not any(self._holds_names(place) for place in named):
            return None  # a wide file, one of whose series has such a name
        used = {place for found in places.values() for place in found}
        rest = [
            place
            for place, column in enumerate(self._header)
            if column and place not in used and self._bare[place] not in _REDUNDANT
        ]
        numbers = [place for place in rest if not self._holds_names(place)]
        if not numbers:
            return None
        places["count"] = (numbers[0],)
        if len(rest) > 1:
            raise self._error(
                "It holds one count a row, and several columns may be the count. Say which to "
                f"take, like --columns {self._told(places).replace(' ', '')}"
            )
        note = f"Columns are read as {self._told(places)}; say otherwise with --columns."
        return Layout(places, notes=(note,))

    def _holds_names(self, place: int) -> bool:
        cells = (row[place] for row in self._sample)
        return any(_NAME_LIKE.search(cell) for cell in cells if not is_missing(cell))

    def _line_list(self) -> Layout | None:
        if self._roles().get("count"):
            return None
        onset = next((one for one in ONSETS if one in self._bare), None)
        serial = SERIALS & set(self._bare)
        places = self._roles()
        if onset is None and not (serial and "time" in places):
            return None
        time = self._bare.index(onset) if onset else places["time"][0]
        kept: dict[Role, tuple[int, ...]] = {"time": (time,)}
        if "region" in places:
            kept["region"] = places["region"]
        signals = [place for place in places.get("signal", ()) if self._bare[place] not in PERSON]
        if signals:
            kept["signal"] = tuple(signals)
        note = f"{_EACH_ROW} Taken: {self._told(kept)}; say otherwise with --columns."
        return Layout(kept, cases=True, adds_up=True, notes=(note,))

    def _across(self) -> Layout | None:
        """Find a file with times in its header, as Johns Hopkins has it."""
        times = [
            (place, column)
            for place, column in enumerate(self._header)
            if form_of(column).name in _TIMES
        ]
        names = [place for place in range(len(self._header)) if place not in dict(times)]
        if len(times) < 2 or len(times) <= len(names):  # noqa: PLR2004 - a row of times
            return None
        regions = [place for place in names if self._bare[place] in NAMES["region"]]
        signals = [place for place in names if self._bare[place] in NAMES["signal"]]
        if not regions and not signals:
            regions = names[:1]
        hopkins = {"lat", "countryregion"} <= set(self._bare)
        places: dict[Role, tuple[int, ...]] = {"region": tuple(regions), "signal": tuple(signals)}
        shown = self._told({role: found for role, found in places.items() if found})
        who = "Columns of Johns Hopkins, cumulative" if hopkins else "The header holds the times"
        return Layout(places, across=tuple(times), cumulative=hopkins, notes=(f"{who}: {shown}.",))

    def _wide(self) -> Layout:
        own = self._lower[0] == "time"
        if len(self._header) == 1 and (sign := re.search(r"[;\t|]", self._header[0])):
            raise self._error(f"Separate cells by commas, not by {sign[0]!r}.")
        named = self._bare[0] in NAMES["time"] | NAMES["week"] | NAMES["month"] | NAMES["year"]
        if not own and self._bare[0] and not named:
            if "time" in self._lower:
                raise self._error("`time` must come first, and every column needs a name.")
            raise self._error("Name the column of times `time`.")
        rest = self._header[1:]
        if not rest or not all(rest):
            raise self._error("`time` must come first, and every column needs a name.")
        if set(self._lower) & {"region", "signal", "population"}:
            raise self._error("The column `count` is missing, or has another name.")
        notes = () if own else (f"Times are in {self._header[0] or 'the first column'}.",)
        return Layout({"time": (0,)}, series=tuple(enumerate(rest, start=1)), notes=notes)


_EACH_ROW: Final = "There is no column of counts: each row is one case."
