"""What a region is, and what can be wrong with a registry of them; see `schemas.regions`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import TYPE_CHECKING, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

if TYPE_CHECKING:
    from collections.abc import Iterable


class RegionLevel(StrEnum):
    """Administrative level, from the widest to the narrowest."""

    NATION = "nation"
    PROVINCE = "province"
    PREFECTURE = "prefecture"
    COUNTY = "county"

    @property
    def depth(self) -> int:
        """Rank of the level: 0 for a nation, 3 for a county."""
        return list(RegionLevel).index(self)


class Region(BaseModel):
    """One region of a registry; one row of its CSV."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    code: str = Field(min_length=1, description="Unique in the registry, e.g. GB/T 2260 330106")
    level: RegionLevel
    parent: str | None = Field(default=None, description="Code of the region this one lies in")
    name_zh: str = ""
    name_en: str = ""
    lat: float | None = Field(default=None, ge=-90, le=90, description="Degrees north, WGS 84")
    lon: float | None = Field(default=None, ge=-180, le=180, description="Degrees east, WGS 84")
    population: int | None = Field(default=None, ge=0, description="Inhabitants")
    valid_from: date | None = Field(default=None, description="First day; empty: always so far")
    valid_to: date | None = Field(default=None, description="Day after the last; empty: in force")
    successors: tuple[str, ...] = Field(
        default=(), description="Codes that took an abolished one's place; in CSV separated by |"
    )
    aliases: tuple[str, ...] = Field(default=(), description="Other names; in CSV separated by |")

    @field_validator("valid_from", "valid_to", mode="before")
    @classmethod
    def _iso_date(cls, value: object) -> object:
        # pydantic would read "20210409" as seconds since 1970
        return date.fromisoformat(value) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not (self.name_zh or self.name_en):
            raise ValueError("the region has no name; fill in name_zh or name_en")
        if (self.lat is None) != (self.lon is None):
            raise ValueError("only one of lat and lon is given; fill in both or neither")
        if self.valid_from and self.valid_to and self.valid_from >= self.valid_to:
            raise ValueError(
                "valid_from is not before valid_to; valid_to is the day after the last"
            )
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """All names of the region, the Chinese one first."""
        return tuple(filter(None, (self.name_zh, self.name_en, *self.aliases)))

    def is_valid_on(self, day: date) -> bool:
        """Tell whether the code is (or may be) in force on a day."""
        begun = self.valid_from is None or self.valid_from <= day
        return begun and (self.valid_to is None or day < self.valid_to)


@dataclass(frozen=True)
class RegionIssue:
    """One thing wrong with a registry, where it stands and how to mend it."""

    message: str
    line: int | None = None
    column: str | None = None

    def __str__(self) -> str:
        where = f"line {self.line}: " if self.line else ""
        return where + (f"column {self.column}: " if self.column else "") + self.message


class RegionRegistryError(ValueError):
    """A registry cannot be used; `issues` lists all that is wrong with it.

    Attributes
    ----------
    source
        File or name of the registry.
    issues
        What is wrong, in the order of the file.
    """

    def __init__(self, source: str, issues: Iterable[RegionIssue]) -> None:
        self.source = source
        self.issues = tuple(sorted(issues, key=lambda issue: issue.line or 0))
        super().__init__("\n".join(f"{source}: {issue}" for issue in self.issues))


class UnknownRegionError(LookupError):
    """No region has this code or name."""


class AmbiguousRegionError(LookupError):
    """Several regions have this name; `candidates` lists them."""

    def __init__(self, message: str, candidates: tuple[Region, ...]) -> None:
        self.candidates = candidates
        super().__init__(message)
