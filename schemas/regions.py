"""Regions: codes with a hierarchy, names and periods of validity, read from CSV."""

from __future__ import annotations

import csv
from difflib import get_close_matches
from functools import cache, lru_cache
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from schemas._region_csv import read_rows, structure_issues
from schemas._region_model import (
    AmbiguousRegionError,
    Region,
    RegionIssue,
    RegionLevel,
    RegionRegistryError,
    UnknownRegionError,
)
from schemas.privacy import COUNTRIES
from schemas.widths import half_width

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import date

    from schemas.privacy import Country

__all__ = [
    "AmbiguousRegionError",
    "Region",
    "RegionIssue",
    "RegionLevel",
    "RegionRegistry",
    "RegionRegistryError",
    "UnknownRegionError",
]

BUILT_IN = ("cn", "tw", "us")
_NATIONS: Mapping[Country, frozenset[str]] = {
    "cn": frozenset({"CN", "CHINA", "中国", "中國"}),
    "tw": frozenset({"TW", "TAIWAN", "臺灣", "台灣", "台湾"}),
    "us": frozenset({"US", "USA", "UNITED STATES"}),
}


class RegionRegistry:
    """A hierarchy of regions, looked up by code or name.

    Parameters
    ----------
    regions
        Regions in any order; parents may follow their children.
    name
        What messages call the registry.

    Raises
    ------
    RegionRegistryError
        A code is repeated, a parent is missing or not of a higher level, or parents form a ring.

    Examples
    --------
    >>> from datetime import date
    >>> china = RegionRegistry.load("cn")
    >>> "330106" in china
    True
    >>> china.path_name("330106")
    '浙江省杭州市西湖区'
    >>> china.path_name("330106", lang="en")
    'Xihu District, Hangzhou, Zhejiang'
    >>> china.is_valid_on("330103", date(2022, 1, 1))
    False
    """

    def __init__(self, regions: Iterable[Region], *, name: str) -> None:
        self.name = name
        rows = [(region, None) for region in regions]
        if issues := structure_issues(rows):
            raise RegionRegistryError(name, issues)
        self._regions = {region.code: region for region, _ in rows}
        self._children: dict[str, list[Region]] = {}
        self._names: dict[str, list[Region]] = {}
        for region in self._regions.values():
            if region.parent is not None:
                self._children.setdefault(region.parent, []).append(region)
            for key in {_fold(text) for text in region.names}:
                self._names.setdefault(key, []).append(region)
        # A source that sends the same wrong code all day must not cost a search each time.
        self._close = lru_cache(maxsize=4096)(self._search)

    @property
    def countries(self) -> tuple[Country, ...]:
        """The countries of the registry whose personal numbers are known; none where unknown."""
        nations = self.at_level(RegionLevel.NATION)
        named = {name.upper() for nation in nations for name in (nation.code, *nation.names)}
        return tuple(country for country in COUNTRIES if named & _NATIONS[country])

    @classmethod
    def from_csv(cls, path: str | Path, *, name: str | None = None) -> Self:
        """Read a registry from a UTF-8 CSV file with the columns of `Region`.

        Parameters
        ----------
        path
            The file. `code`, `level`, `parent` and a name column must be there; others may lack.
        name
            What messages call the registry; the file's name by default.

        Raises
        ------
        RegionRegistryError
            With every fault of the file: line, column and remedy.
        OSError
            The file cannot be read.
        """
        path = Path(path)
        rows, issues = read_rows(path)
        issues += structure_issues(rows)
        if issues:
            raise RegionRegistryError(str(path), issues)
        return cls((region for region, _ in rows), name=name or path.stem)

    @classmethod
    def load(cls, name_or_path: str | Path) -> RegionRegistry:
        """Return a built-in registry (``cn``, ``tw``, ``us``) or read a CSV file.

        Raises
        ------
        RegionRegistryError
            There is neither such a registry nor such a file, or the file has faults.
        """
        if name_or_path in BUILT_IN:
            return _built_in(str(name_or_path))
        if not Path(name_or_path).is_file():
            known = ", ".join(BUILT_IN)
            text = f"no such file and no built-in registry; use one of {known} or a CSV's path"
            raise RegionRegistryError(str(name_or_path), [RegionIssue(text)])
        return cls.from_csv(name_or_path)

    def to_csv(self, path: str | Path) -> None:
        """Write the registry so that `from_csv` reads the same one."""
        with Path(path).open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(Region.model_fields), lineterminator="\n")
            writer.writeheader()
            for region in self:
                values = region.model_dump(mode="json", exclude_none=True)
                lists = {"successors": region.successors, "aliases": region.aliases}
                writer.writerow(values | {name: "|".join(parts) for name, parts in lists.items()})

    def __contains__(self, code: object) -> bool:
        return code in self._regions

    def __len__(self) -> int:
        return len(self._regions)

    def __iter__(self) -> Iterator[Region]:
        return iter(self._regions.values())

    def __getitem__(self, code: str) -> Region:
        region = self._regions.get(code)
        if region is None:
            raise self._unknown(code)
        return region

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, {len(self)} regions)"

    def get(self, code: str) -> Region | None:
        """Return the region with this code, or None; ``registry[code]`` raises instead."""
        return self._regions.get(code)

    def children(self, code: str) -> tuple[Region, ...]:
        """Return the regions directly below one."""
        return tuple(self._children.get(self[code].code, ()))

    def ancestors(self, code: str) -> tuple[Region, ...]:
        """Return the regions above one, the nearest first."""
        above = []
        parent = self[code].parent
        while parent is not None:
            above.append(self._regions[parent])
            parent = above[-1].parent
        return tuple(above)

    def descendants(self, code: str) -> tuple[Region, ...]:
        """Return all regions below one, each after its parent."""
        below = list(self.children(code))
        for region in below:  # grows while it is walked: breadth first
            below.extend(self._children.get(region.code, ()))
        return tuple(below)

    def at_level(self, level: RegionLevel | str, *, on: date | None = None) -> tuple[Region, ...]:
        """Return the regions of a level: all ever, or those in force on a day."""
        wanted = RegionLevel(level)
        found = (region for region in self if region.level is wanted)
        return tuple(region for region in found if on is None or region.is_valid_on(on))

    def parent_at(self, code: str, level: RegionLevel | str) -> Region | None:
        """Return the region itself or the ancestor that has this level, or None."""
        wanted = RegionLevel(level)
        chain = (self[code], *self.ancestors(code))
        return next((region for region in chain if region.level is wanted), None)

    def path_name(self, code: str, *, lang: Literal["zh", "en"] = "zh") -> str:
        """Return the name with those of its ancestors below the nation, as an address has it."""
        chain = (self[code], *self.ancestors(code))
        chain = tuple(r for r in chain if r.level is not RegionLevel.NATION) or chain
        if lang == "en":
            return ", ".join(region.name_en or region.name_zh for region in chain)
        names = [region.name_zh or region.name_en for region in chain[::-1]]
        return ("" if all(region.name_zh for region in chain) else " ").join(names)

    def is_valid_on(self, code: str, day: date) -> bool:
        """Tell whether a code is in force on a day; unknown codes raise."""
        return self[code].is_valid_on(day)

    def find(self, name: str, *, within: str | None = None) -> Region:
        """Return the region with exactly this code, name or alias.

        Width, case and 台/臺 make no difference in names. Regions in force win over abolished ones.

        Parameters
        ----------
        name
            Code, or name in any language of the registry.
        within
            Code of a region that it must lie in, to tell namesakes apart.

        Raises
        ------
        UnknownRegionError
            No region has the name; close ones are offered.
        AmbiguousRegionError
            Several have it; they are listed.
        """
        coded = self._regions.get(name.strip())
        found = [coded] if coded else self._names.get(_fold(name), [])
        if within is not None:
            inside = self[within].code
            found = [r for r in found if any(a.code == inside for a in self.ancestors(r.code))]
        found = [region for region in found if region.valid_to is None] or found
        if not found:
            raise self._unknown(name)
        if len(found) > 1:
            listed = self._listed(found)
            raise AmbiguousRegionError(
                f"{name!r} is the name of {len(found)} regions of {self.name}: {listed}; "
                "use the code, or say within which region",
                tuple(found),
            )
        return found[0]

    def suggest(self, code_or_name: str, n: int = 3) -> tuple[Region, ...]:
        """Return up to `n` regions whose code or name is close, the closest first."""
        return tuple(self._regions[code] for code in self._close(code_or_name, n))

    def _search(self, code_or_name: str, n: int) -> tuple[str, ...]:
        asked = _fold(code_or_name)[:64]
        codes = {_fold(code): [region] for code, region in self._regions.items()}
        looks_like_code = asked.isascii() and any(character.isdigit() for character in asked)
        places = codes if looks_like_code else {**self._names, **codes}
        close = get_close_matches(asked, places, n=n)
        found = dict.fromkeys(region.code for key in close for region in places[key])
        return tuple(found)[:n]

    def _unknown(self, code_or_name: str) -> UnknownRegionError:
        close = self.suggest(code_or_name)
        hint = f"did you mean {self._listed(close)}?" if close else "see the registry's CSV"
        return UnknownRegionError(f"{code_or_name!r} is no region of {self.name}; {hint}")

    def _listed(self, regions: Iterable[Region]) -> str:
        return ", ".join(f"{region.code} {self.path_name(region.code)}" for region in regions)


@cache
def _built_in(name: str) -> RegionRegistry:
    with as_file(files("schemas") / "data" / "regions" / f"{name}.csv") as path:
        return RegionRegistry.from_csv(path, name=name)


def _fold(text: str) -> str:
    return half_width(text).strip().casefold().replace("臺", "台")
