"""What was read about an alert, put together as its explanation. Pure."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from schemas.alerts import Explanation
from schemas.counts import ALL_STRATA, UNKNOWN_STRATUM
from streams.alerts.explaining.figures import (
    Growth,
    age_contributions,
    contributions,
    growth,
    largest,
)
from streams.alerts.explaining.neighbours import Surroundings, high
from streams.alerts.explaining.slots import BASELINE, LATEST_WEEK, PERIOD, WEEK_BEFORE, covered
from streams.alerts.small_cells import told_parts

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime

    from schemas.alerts import Alert, DataQuality
    from schemas.regions import RegionRegistry
    from streams.alerts.explaining.slots import Slot
    from streams.store.panels import Extent

__all__ = ["Readings", "Reports", "assemble", "facility_slots", "leading_regions"]

_WITHOUT_AGE: Final = (ALL_STRATA, UNKNOWN_STRATUM)
#: Lowest-level regions whose facilities are looked at.
_LEADING = 5

Counts = dict[int, dict[str, float]]


def _by_slot() -> Counts:
    return defaultdict(dict)


class Reports(NamedTuple):
    """Who usually reports, and who did; the first two in facilities times days."""

    expected: int
    received: int
    facilities: int
    silent: int
    silent_facilities: tuple[str, ...]


@dataclass(slots=True)
class Readings:
    """What the database tells about one alert; counts by slot, no entry is no case."""

    slots: Mapping[int, Slot]
    extent: Extent
    strata: Counts = field(default_factory=_by_slot)
    #: By the regions that are counted, below the alert's or itself.
    leaves: Counts = field(default_factory=_by_slot)
    imported: dict[int, frozenset[date]] = field(default_factory=dict)
    #: The slots of growth that hold days of an outage, or from before the region reported.
    with_missing_days: frozenset[int] = frozenset()
    facilities: Counts = field(default_factory=_by_slot)
    #: Of each facility.
    regions_of: dict[str, str] = field(default_factory=dict)
    #: Facilities that have reported in the weeks before.
    known: set[str] = field(default_factory=set)
    #: Regions of which a day of the period has a small count.
    with_small_day: set[str] = field(default_factory=set)
    reports: Reports | None = None
    quality: DataQuality | None = None
    surroundings: Surroundings = field(default_factory=lambda: Surroundings((), 0, 0))

    def is_covered(self, number: int) -> bool:
        """Tell whether counts reach over a slot."""
        return covered(self.slots[number], self.extent, self.imported.get(number, frozenset()))

    def total(self, number: int) -> float | None:
        """Return a slot's count, None where counts do not reach."""
        if not self.is_covered(number):
            return None
        return sum(self.strata.get(number, {}).values())

    def whole_week(self, number: int) -> float | None:
        """Return the count of one of the weeks of growth, None where days are missing."""
        return None if number in self.with_missing_days else self.total(number)


def facility_slots(readings: Readings) -> list[int]:
    """Return the slots before that are counted by facility: live and not imported."""
    return [
        number
        for number in BASELINE
        if readings.is_covered(number) and not readings.imported.get(number)
    ]


def leading_regions(readings: Readings) -> list[str]:
    """Return the lowest-level regions that contribute most to the excess."""
    slots = [number for number in BASELINE if readings.is_covered(number)]
    found = contributions(readings.leaves.get(PERIOD, {}), readings.leaves, slots)
    return [one.name for one in found if one.observed > 0][:_LEADING]


def assemble(
    alert: Alert, readings: Readings, regions: RegionRegistry, as_of: datetime
) -> Explanation:
    """Compute an explanation from what was read."""
    slots = [number for number in BASELINE if readings.is_covered(number)]
    latest, before = readings.whole_week(LATEST_WEEK), readings.whole_week(WEEK_BEFORE)
    # A week of which days are missing says nothing about growth, whichever of the two it is.
    rate = Growth(None, None) if alert.incomplete else growth(latest, before)
    below = _below(alert.region, readings.leaves, regions)
    reports = readings.reports
    by_facility = facility_slots(readings)
    return Explanation(
        as_of=as_of,
        period=alert.last_period,
        incomplete=alert.incomplete,
        excess=None if alert.expected is None else alert.observed - alert.expected,
        growth_until=readings.slots[LATEST_WEEK].last,
        latest_week=latest,
        week_before=before,
        growth_per_day=rate.per_day,
        doubling_days=rate.doubling_days,
        completeness=reports.received / reports.expected if reports and reports.expected else None,
        usual_facilities=reports.facilities if reports else 0,
        silent=reports.silent if reports else 0,
        silent_facilities=reports.silent_facilities if reports else (),
        quality=readings.quality,
        baseline_periods=len(slots),
        facilities=largest(
            contributions(
                readings.facilities.get(PERIOD, {}),
                readings.facilities,
                by_facility,
                readings.known if by_facility else set(),
            )
        ),
        regions=largest(contributions(below.get(PERIOD, {}), below, slots)),
        age_groups=age_contributions(readings.strata, slots),
        tellable_facilities=_tellable_facilities(alert, readings),
        tellable_ages=_tellable_ages(alert, readings, regions),
        neighbours=high(readings.surroundings.judged),
        neighbours_judged=len(readings.surroundings.judged),
        neighbours_awaited=readings.surroundings.awaited,
        neighbours_unknown=readings.surroundings.unknown,
    )


def _tellable_facilities(alert: Alert, readings: Readings) -> tuple[str, ...]:
    """Return the facilities whose counts may leave the database: those of epi weeks."""
    if alert.grain != "week":
        return ()
    parts = readings.facilities.get(PERIOD, {})
    regions_of = readings.regions_of
    return tuple(told_parts(parts, lambda name: regions_of[name], readings.with_small_day))


def _tellable_ages(alert: Alert, readings: Readings, regions: RegionRegistry) -> tuple[str, ...]:
    """Return the age groups whose counts may: of epi weeks in regions without regions below."""
    if alert.grain != "week" or (alert.region in regions and regions.children(alert.region)):
        return ()
    parts = readings.strata.get(PERIOD, {})
    # Where no age is known, nothing is said of anybody's.
    of_age = any(value > 0 for name, value in parts.items() if name not in _WITHOUT_AGE)
    small = {None} if of_age and alert.region in readings.with_small_day else ()
    return tuple(told_parts(parts, with_small_day=small))


def _below(code: str, leaves: Counts, regions: RegionRegistry) -> Counts:
    """Add up the counted regions to those directly below one."""
    below: Counts = {number: defaultdict(float) for number in leaves}
    for number, counts in leaves.items():
        for leaf, count in counts.items():
            child = _child(code, leaf, regions)
            if child is not None:
                below[number][child] += count
    return below


def _child(code: str, leaf: str, regions: RegionRegistry) -> str | None:
    """Return the region directly below `code` that `leaf` lies in."""
    at = regions.get(leaf)
    while at is not None and at.parent is not None:
        if at.parent == code:
            return at.code
        at = regions.get(at.parent)
    return None
