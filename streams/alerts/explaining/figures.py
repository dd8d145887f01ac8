"""From counts to the numbers of an explanation. Pure."""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING, NamedTuple

from schemas.alerts import Contribution
from schemas.counts import ALL_STRATA

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

__all__ = [
    "LEAST_FOR_COMPLETENESS",
    "Growth",
    "age_contributions",
    "contributions",
    "growth",
    "largest",
    "usual_from",
]

#: Contributions that are told.
_TOP = 5
#: Fewer cases in two weeks tell nothing about growth.
_LEAST_FOR_GROWTH = 10
#: Fewer weeks of history tell nothing about who usually reports.
LEAST_FOR_COMPLETENESS = 4


class Growth(NamedTuple):
    """How fast counts rise or fall."""

    per_day: float | None
    doubling_days: float | None


def growth(latest: float | None, before: float | None) -> Growth:
    """Return the growth rate from one week to the next.

    Whole weeks, so that weekdays do not look like growth.

    Examples
    --------
    >>> round(growth(40.0, 10.0).doubling_days, 6)
    3.5
    >>> growth(3.0, 1.0)
    Growth(per_day=None, doubling_days=None)
    """
    if not latest or not before or latest + before < _LEAST_FOR_GROWTH:
        return Growth(None, None)
    rate = log(latest / before) / 7
    return Growth(rate, log(2) / rate if rate > 0 else None)


def contributions(
    observed: Mapping[str, float],
    before: Mapping[int, Mapping[str, float]],
    slots: Collection[int],
    known: Collection[str] | None = None,
) -> list[Contribution]:
    """Hold each name's count against the mean of its own counts before, by excess.

    Parameters
    ----------
    before
        Counts of the slots before.
    slots
        The slots that counts cover: a name without a count there had none.
    known
        Names that have a history; by default all.
    """
    found = [
        Contribution(
            name=name,
            observed=count,
            expected=_mean([before.get(slot, {}).get(name, 0.0) for slot in slots])
            if known is None or name in known
            else None,
        )
        for name, count in observed.items()
    ]
    return sorted(found, key=lambda one: (-one.excess, one.name))


def largest(found: Sequence[Contribution]) -> tuple[Contribution, ...]:
    """Keep the few that contribute most to an excess."""
    return tuple(one for one in found if one.excess > 0)[:_TOP]


def age_contributions(
    strata: Mapping[int, Mapping[str, float]], slots: Collection[int]
) -> tuple[Contribution, ...]:
    """Hold age groups against the slots that were counted by age group, too.

    Parameters
    ----------
    strata
        Counts by slot and stratum, the slot 0 included.
    """
    observed = {name: count for name, count in strata.get(0, {}).items() if name != ALL_STRATA}
    if not any(observed.values()):
        return ()
    by_age = [slot for slot in slots if not strata.get(slot, {}).get(ALL_STRATA)]
    groups = dict.fromkeys(
        name for slot in (0, *by_age) for name in strata.get(slot, {}) if name != ALL_STRATA
    )
    return tuple(contributions({name: observed.get(name, 0.0) for name in groups}, strata, by_age))


def usual_from(slots: int) -> int:
    """Return from how many of so many weeks on a facility usually reports: seven of eight.

    Examples
    --------
    >>> usual_from(8), usual_from(5)
    (7, 5)
    """
    return -(-7 * slots // 8)


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
