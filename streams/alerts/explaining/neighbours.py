"""Which regions neighbour one, and when they are high. Pure."""

from __future__ import annotations

from functools import lru_cache
from math import asin, cos, radians, sin, sqrt
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

    from schemas.alerts import Alert, Explanation, Neighbour
    from schemas.regions import Region, RegionRegistry

__all__ = ["NEAREST", "Surroundings", "around", "high", "neighbours_of"]

#: Most regions that count as neighbours.
NEAREST = 6
#: How far above its expectation a region is high without an alarm, in Poisson standard deviations.
_DEVIATIONS = 2.0
#: Regions whose neighbours are remembered.
_REMEMBERED: Final = 10_000


class Surroundings(NamedTuple):
    """What is known of an alert's neighbours in its period."""

    judged: tuple[Neighbour, ...]
    """Those that could be judged, nearest first."""
    awaited: int
    """Those without a verdict so far."""
    unknown: int
    """Those that were judged to have no data, or too little of it."""

    @property
    def told(self) -> dict[str, Any]:
        """What an explanation says of them: where it changes, another explanation is due."""
        return {
            "judged": len(self.judged),
            "awaited": self.awaited,
            "unknown": self.unknown,
            "high": [[one.region, one.alarm] for one in high(self.judged)],
        }

    @staticmethod
    def told_by(explanation: Explanation) -> dict[str, Any]:
        """Return the same from an explanation."""
        return {
            "judged": explanation.neighbours_judged,
            "awaited": explanation.neighbours_awaited,
            "unknown": explanation.neighbours_unknown,
            "high": [[one.region, one.alarm] for one in explanation.neighbours],
        }


@lru_cache(_REMEMBERED)
def neighbours_of(code: str, registry: RegionRegistry, on: date) -> tuple[str, ...]:
    """Return the regions around one, the nearest first.

    They are the six of its level whose centres are nearest, wherever borders of upper levels run.
    Where the registry does not tell where the region lies, they are those with the same parent.

    Examples
    --------
    >>> from datetime import date
    >>> from schemas.regions import RegionRegistry
    >>> neighbours_of("TW-TPE", RegionRegistry.load("tw"), date(2024, 1, 1))[:2]
    ('TW-NWT', 'TW-KEE')
    """
    here = registry.get(code)
    if here is None:
        return ()
    others = [r for r in registry.at_level(here.level, on=on) if r.code != code]
    if here.lat is None:
        return tuple(r.code for r in others if here.parent and r.parent == here.parent)
    placed = sorted(
        (_distance(here, other), other.code) for other in others if other.lat is not None
    )
    return tuple(other for _, other in placed[:NEAREST])


def around(alert: Alert, registry: RegionRegistry) -> tuple[str, ...]:
    """Return the neighbours of an alert's region, the nearest first."""
    return neighbours_of(alert.region, registry, alert.last_period)


def _distance(one: Region, other: Region) -> float:
    """Great-circle distance as an angle, by the haversine formula."""
    assert None not in (one.lat, one.lon, other.lat, other.lon)  # noqa: S101 - the caller looked
    lat, lon = radians(one.lat or 0), radians(one.lon or 0)
    lat2, lon2 = radians(other.lat or 0), radians(other.lon or 0)
    h = sin((lat2 - lat) / 2) ** 2 + cos(lat) * cos(lat2) * sin((lon2 - lon) / 2) ** 2
    return 2 * asin(sqrt(h))


def high(judged: Iterable[Neighbour]) -> tuple[Neighbour, ...]:
    """Keep the regions that are in exceedance or well above what is expected.

    Well above means by more than two standard deviations of a Poisson count: ``observed - expected
    > 2 * sqrt(expected)``, where less than 1 expected counts as 1.
    """
    return tuple(one for one in judged if one.alarm or _well_above(one))


def _well_above(one: Neighbour) -> bool:
    if one.expected is None:
        return False
    return one.observed - one.expected > _DEVIATIONS * sqrt(max(one.expected, 1.0))
