"""What a simulation is asked for: the plan, as written in a YAML or JSON file."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Annotated, Final, Literal, Self
from zoneinfo import ZoneInfo

import holidays as public_holidays
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from schemas.events import (
    AgeGroup,  # noqa: TC001 - pydantic needs it at run time
    EventKind,  # noqa: TC001 - pydantic needs it at run time
    Identifier,  # noqa: TC001 - pydantic needs it at run time
)
from schemas.regions import RegionLevel, RegionRegistry
from schemas.zones import ZoneName  # noqa: TC001 - pydantic needs it at run time

if TYPE_CHECKING:
    from datetime import tzinfo

__all__ = [
    "Delay",
    "HolidayEffect",
    "InjectedOutbreak",
    "RegionsOfRegistry",
    "Season",
    "SimulationPlan",
    "Syndrome",
    "Volume",
]

Syndrome = Literal["ili", "gastroenteritis", "hand-foot-mouth", "lower-respiratory", "other"]
Share = Annotated[float, Field(ge=0, le=1)]
Factor = Annotated[float, Field(gt=0, allow_inf_nan=False)]
WeekProfile = tuple[Factor, Factor, Factor, Factor, Factor, Factor, Factor]

#: Zones whose sources write Chinese.
_CHINESE_ZONES: Final = {
    f"Asia/{city}"
    for city in ("Shanghai", "Urumqi", "Chongqing", "Harbin", "Taipei", "Hong_Kong", "Macau")
}
#: Before 2000 some zones had offsets that are no multiple of a quarter of an hour.
_EARLIEST: Final = date(2000, 1, 1)


def _known_country(code: str) -> str:
    if code not in public_holidays.list_supported_countries():
        raise ValueError(f"no holidays are known for {code!r}; write an ISO 3166-1 code such as CN")
    return code


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RegionsOfRegistry(_Model):
    """Regions taken from a registry instead of a list of codes."""

    registry: str = Field(default="cn", description="Built-in registry or path of a CSV")
    level: RegionLevel = RegionLevel.COUNTY
    limit: int | None = Field(default=None, ge=1, description="Only the first so many, by code")


class Volume(_Model):
    """How many events of one kind there are, and on which days."""

    daily_mean: float = Field(ge=0, le=100_000, description="Events per region and day")
    weekday: WeekProfile = Field(
        default=(1, 1, 1, 1, 1, 1, 1), description="Factors Monday to Sunday, scaled to mean 1"
    )


class Season(_Model):
    """A yearly wave: factor 1 + amplitude in the peak week, 1 - amplitude half a year later."""

    amplitude: float = Field(default=0.3, ge=0, lt=1)
    peak_week: float = Field(default=2, ge=1, le=53)


class HolidayEffect(_Model):
    """How public holidays change the number of events."""

    country: Annotated[str, AfterValidator(_known_country)] = "CN"
    visits: Factor = 0.75
    sales: Factor = 0.85


class Delay(_Model):
    """Hours from the event to its publication: lognormal, with a share of stragglers."""

    median_hours: float = Field(default=0.5, gt=0)
    sigma: float = Field(default=1.0, ge=0, le=4, description="Of the logarithm")
    late_share: Share = Field(default=0.02, description="Published one day to max_hours late")
    max_hours: float = Field(default=168, ge=25, le=168)


class InjectedOutbreak(_Model):
    """Events added on top of the baseline, whose truth is known."""

    id: Identifier
    region: Identifier
    start: date
    days: int = Field(ge=1, le=366)
    cases: int = Field(ge=1, le=1_000_000, description="Added events of each kind, in total")
    syndrome: Syndrome = "ili"
    kinds: tuple[EventKind, ...] = Field(default=("visits",), min_length=1)
    shape: Literal["lognormal"] = Field(default="lognormal", description="Epidemic curve")
    peak: float = Field(default=0.35, gt=0, lt=1, description="Median day, as a share of days")
    sigma: float = Field(default=0.5, gt=0, le=2, description="Of the logarithm of the day")


class SimulationPlan(_Model):
    """A whole simulation; equal plans give byte-identical records.

    The numbers of `holidays` and of the time-zone database enter where they are used, so pin both
    packages where byte-identity over years matters.
    """

    seed: int = Field(default=1, ge=0)
    start: date
    days: int = Field(default=28, ge=1, le=36_600)
    time_zone: ZoneName = "Asia/Shanghai"
    language: Literal["zh", "en"] | None = Field(
        default=None, description="Of complaints and products; omitted: by time zone"
    )
    regions: tuple[Identifier, ...] | RegionsOfRegistry = RegionsOfRegistry(limit=10)
    facilities: int = Field(default=6, ge=1, le=999, description="Of each kind, per region")
    sources: int = Field(default=3, ge=1, le=999, description="Publishing systems of each kind")
    visits: Volume = Volume(daily_mean=60, weekday=(1.15, 1.02, 0.98, 0.96, 0.95, 1.0, 0.94))
    sales: Volume = Volume(daily_mean=40, weekday=(0.97, 0.95, 0.94, 0.95, 0.99, 1.12, 1.08))
    region_spread: float = Field(
        default=0.6, ge=0, le=3, description="Lognormal sigma of the regions' means"
    )
    dispersion: float = Field(
        default=20, gt=0, description="Negative-binomial size k: variance = mean + mean² / k"
    )
    season: Season = Season()
    holidays: HolidayEffect | None = None
    delay: Delay = Delay()
    duplicates: Share = Field(default=0.05, description="Share of records sent twice")
    corrections: Share = Field(default=0.02, description="Share of events corrected once")
    cancellations: Share = Field(default=0.01, description="Share of events cancelled")
    out_of_order: Share = Field(
        default=0.2, description="Share of revisions that overtake the one before"
    )
    malformed: Share = Field(default=0, description="Broken records added, as a share of events")
    age_groups: tuple[AgeGroup, ...] = ("0-4", "5-14", "15-24", "25-59", "60+")
    outbreaks: tuple[InjectedOutbreak, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.start < _EARLIEST:
            raise ValueError(f"start: {self.start} is too early; use {_EARLIEST} or later")
        if isinstance(self.regions, tuple) and not self.regions:
            raise ValueError("regions: name at least one region code")
        names = [outbreak.id for outbreak in self.outbreaks]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"outbreaks: the ids {sorted(twice)} are used twice; rename one")
        for outbreak in self.outbreaks:
            last = outbreak.start + timedelta(outbreak.days - 1)
            if outbreak.start < self.start or last > self.last_day:
                raise ValueError(
                    f"outbreaks: {outbreak.id} ({outbreak.start} to {last}) leaves the simulated "
                    f"days {self.start} to {self.last_day}; move or shorten it"
                )
        return self

    @property
    def zone(self) -> tzinfo:
        """Time zone of all regions."""
        return ZoneInfo(self.time_zone)

    @property
    def last_day(self) -> date:
        """The last simulated day."""
        return self.start + timedelta(self.days - 1)

    @property
    def written_language(self) -> Literal["zh", "en"]:
        """The language of complaints and products."""
        return self.language or ("zh" if self.time_zone in _CHINESE_ZONES else "en")

    def volume(self, kind: EventKind) -> Volume:
        """Give the volume of a kind of events."""
        return self.visits if kind == "visits" else self.sales

    def region_codes(self) -> tuple[str, ...]:
        """List the regions, from the plan or its registry.

        Raises
        ------
        ValueError
            A region is named twice, or an outbreak happens in a region that is not simulated.
        """
        if isinstance(self.regions, tuple):
            codes = self.regions
        else:
            registry = RegionRegistry.load(self.regions.registry)
            level = registry.at_level(self.regions.level)
            valid = [region.code for region in level if region.is_valid_on(self.start)]
            codes = tuple(sorted(valid)[: self.regions.limit])
        if len(set(codes)) < len(codes):
            raise ValueError("regions: a code is named twice; remove the repetition")
        for outbreak in self.outbreaks:
            if outbreak.region not in codes:
                raise ValueError(
                    f"outbreaks: {outbreak.id} happens in {outbreak.region}, which is not "
                    "simulated; add the region to regions"
                )
        return codes
