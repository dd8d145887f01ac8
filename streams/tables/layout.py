"""Where the cells of a row belong."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, get_args

from streams.errors import FenghuoError
from streams.tables.known import Counted, Role

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from streams.judging.periods import EpiWeek

__all__ = ["Layout", "read_mapping"]

_ROLES: Final = get_args(Role)
#: Roles by the names that columns of imported counts have.
_OTHER_NAMES: Final = {"period": "time", "stratum": "signal"}


@dataclass(frozen=True)
class Layout:
    """Where the cells of a row belong.

    Parameters
    ----------
    places
        Columns by role; several of a role are joined.
    series
        Wide files: columns that hold counts, with the name of their series.
    across
        Files with times in the header: the columns and their times.
    epi_week
        System of the publisher's epi weeks.
    adds_up, cumulative, sparse, only
        As in :class:`streams.tables.known.KnownSet`; `only` with the column's place.
    cases
        Whether each row is one case.
    notes
        What was assumed.
    """

    places: Mapping[Role, tuple[int, ...]]
    series: tuple[tuple[int, str], ...] = ()
    across: tuple[tuple[int, str], ...] = ()
    epi_week: EpiWeek | None = None
    adds_up: bool = False
    cumulative: bool = False
    sparse: bool = False
    only: tuple[int, Counted] | None = None
    cases: bool = False
    notes: tuple[str, ...] = ()

    def time(self, cells: Sequence[str]) -> str:
        """Return the text of a row's time, put together where it stands in several cells."""
        if "time" in self.places:
            return cells[self.places["time"][0]]
        year = cells[self.places["year"][0]]
        if "week" in self.places:
            week = cells[self.places["week"][0]]
            return f"{year}-W{week}" if week.isdecimal() else f"{year}-{week}"
        if "month" not in self.places:
            return year
        month = cells[self.places["month"][0]].rstrip("月份")
        if "day" in self.places:
            return f"{year}-{month}-{cells[self.places['day'][0]]}"
        return f"{year}-M{month}" if month.isdecimal() else f"{year}-{month}"

    def joined(self, role: Role, cells: Sequence[str]) -> str:
        """Return the name that the columns of a role give together."""
        return ", ".join(filter(None, (cells[place] for place in self.places.get(role, ()))))


def read_mapping(given: Sequence[str]) -> dict[Role, tuple[str, ...]]:
    """Read `time=week_end,count=cases,region=province+county`.

    Raises
    ------
    FenghuoError
        It is not written so, or names no known role.

    Examples
    --------
    >>> read_mapping(["time=week_end,count=cases", "region=a+b"])
    {'time': ('week_end',), 'count': ('cases',), 'region': ('a', 'b')}
    """
    mapping: dict[Role, tuple[str, ...]] = {}
    for piece in (piece for one in given for piece in re.split(r"[,，]", one) if piece.strip()):
        role, equals, names = piece.partition("=")
        key = _OTHER_NAMES.get(role.strip(), role.strip())
        columns = tuple(name.strip() for name in names.split("+") if name.strip())
        if not equals or key not in _ROLES or not columns:
            raise FenghuoError(
                f"--columns {piece.strip()}: write it as {'|'.join(_ROLES)}=COLUMN, several of "
                "them with commas between."
            )
        mapping[key] = columns  # type: ignore[index]
    return mapping
