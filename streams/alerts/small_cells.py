"""Counts so small that somebody might be recognised: they do not leave the database. Pure.

One rule for the page, the API, exports, messages, the topic and annotations; the functions of
dashboards follow it in SQL (migrations 0038, 0057, 0060, 0067). Counts of regions are exact
everywhere.
Where a count is divided by facility or by age group, and the reader is not one who works on alerts:

- only totals of an epi week in a region without regions below are told, never by day, by hour, or
  by facility and age at once: cells of other spans or levels would be subtracted from these;
- parts from 1 to 4 are left out, the others are told in steps of five (the multiple at or below);
- what is usual for a part is told in the same steps, downwards as well. It is a mean over at most
  eight periods: of one period it is a count, of several it gives their sum, and the means of two
  weeks in turn give the difference of two counts;
- where the exact total of a region would still determine a part that was left out, no part of that
  region is told; nor where one part has all cases and a day of the week has 1 to 4, for the exact
  count of the day is then the part's;
- age groups of upper regions are rounded at random to tens, by the database only;
- explanations of other spans and upper regions name large parts, without counts.

Steps matter over time as well: who looks every minute does not see by which patient a part grew.
"""

from __future__ import annotations

from collections import defaultdict
from math import floor
from typing import TYPE_CHECKING, Final, TypeVar

from schemas.alerts import Explained
from streams.clauses import main_ages, main_facilities, spread

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Hashable, Iterable, Mapping

    from schemas.alerts import Alert, AlertEvent, Contribution, Explanation

__all__ = [
    "SMALL_BELOW",
    "alert_to_tell",
    "event_to_tell",
    "in_steps",
    "is_small",
    "step_label",
    "told_parts",
    "without_small_cells",
]

K = TypeVar("K", bound="Hashable")

#: Counts from 1 to one less are small. Others are told in steps of as much.
SMALL_BELOW: Final = 5


def is_small(value: float) -> bool:
    """Tell whether a count of a facility or an age group is too small to be told.

    Examples
    --------
    >>> is_small(4), is_small(5), is_small(0)
    (True, False, False)
    """
    return 0 < value < SMALL_BELOW


def in_steps(value: float) -> float:
    """Return the multiple of five at or below a count.

    Examples
    --------
    >>> in_steps(9), in_steps(10)
    (5.0, 10.0)
    """
    return float(floor(value / SMALL_BELOW) * SMALL_BELOW)


def step_label(value: float) -> str:
    """Write a step for people.

    Examples
    --------
    >>> step_label(10)
    '10–14'
    """
    return f"{value:.0f}–{value + SMALL_BELOW - 1:.0f}"


def told_parts(
    parts: Mapping[K, float],
    group: Callable[[K], Hashable] = lambda _: None,
    with_small_day: Container[Hashable] = (),
) -> dict[K, float]:
    """Return the parts that may be told, in steps, in the given order.

    Parameters
    ----------
    parts
        Counts of facilities or age groups over one period.
    group
        What a part belongs to whose exact total is known, like a facility's region.
    with_small_day
        Those of them in which a day of the period has a small count of all its parts.

    Examples
    --------
    >>> told_parts({"a": 12, "b": 3, "c": 28})
    {'a': 10.0, 'c': 25.0}

    Here a total of 7 would tell that the second part is 1 or 2, and one of 6 that it is 1:

    >>> told_parts({"a": 5, "b": 2}), told_parts({"a": 5, "b": 1})
    ({'a': 5.0}, {})

    On a day with 1 case it is known to be of the only part:

    >>> told_parts({"a": 12}), told_parts({"a": 12}, with_small_day={None})
    ({'a': 10.0}, {})
    """
    groups: dict[Hashable, list[float]] = defaultdict(list)
    for key, value in parts.items():
        groups[group(key)].append(value)
    safe = {
        name
        for name, values in groups.items()
        if not _determined(values) and not (name in with_small_day and _is_one(values))
    }
    return {
        key: in_steps(value)
        for key, value in parts.items()
        if value >= SMALL_BELOW and group(key) in safe
    }


def _is_one(values: Iterable[float]) -> bool:
    return sum(value > 0 for value in values) == 1


def _determined(values: Iterable[float]) -> bool:
    """Tell whether exact total and steps leave a small part less than two possible values.

    It is assumed that the reader knows how many parts are small: then all of them have the same
    bounds, which are those of the total less the bounds of all other parts.
    """
    values = list(values)
    small = sum(map(is_small, values))
    if not small:
        return False
    large = [value for value in values if value >= SMALL_BELOW]
    total, least = sum(values), sum(map(in_steps, large))
    most = least + (SMALL_BELOW - 1) * len(large)
    lower = total - most - (SMALL_BELOW - 1) * (small - 1)
    upper = total - least - (small - 1)
    return min(SMALL_BELOW - 1, upper) - max(1, lower) < 1


def without_small_cells(explanation: Explanation) -> Explanation:
    """Return an explanation without small facilities and age groups, the others in steps.

    Where other ways tell other cells of the same cases, only names of large parts are left. Which
    parts make up a good part of the excess is told by exact counts, as officers see it.
    """
    if explanation.steps is not None:
        return explanation
    return explanation.model_copy(
        update={
            "facilities": _told(explanation.facilities, explanation.tellable_facilities),
            "age_groups": _told(explanation.age_groups, explanation.tellable_ages),
            "tellable_facilities": None,
            "tellable_ages": None,
            "steps": SMALL_BELOW,
            "named_facilities": _large(main_facilities(explanation), explanation.facilities),
            "named_ages": _large(main_ages(explanation), explanation.age_groups),
            "spread": spread(explanation),
        }
    )


def _large(names: Iterable[str], parts: tuple[Contribution, ...]) -> tuple[str, ...]:
    large = {part.name for part in parts if not is_small(part.observed)}
    return tuple(name for name in names if name in large)


def _told(
    parts: tuple[Contribution, ...], tellable: tuple[str, ...] | None
) -> tuple[Contribution, ...]:
    if tellable is None and _determined([part.observed for part in parts]):
        return ()
    return tuple(
        part.model_copy(
            update={
                "observed": in_steps(part.observed),
                "expected": None if part.expected is None else in_steps(part.expected),
            }
        )
        for part in parts
        if not is_small(part.observed) and (tellable is None or part.name in tellable)
    )


def alert_to_tell(alert: Alert) -> Alert:
    """Return an alert as it may be told to other systems; put it into words afterwards."""
    if alert.explanation is None:
        return alert
    return alert.model_copy(update={"explanation": without_small_cells(alert.explanation)})


def event_to_tell(event: AlertEvent) -> AlertEvent:
    """Return an event as it may be told to other systems."""
    if not isinstance(event.change, Explained):
        return event
    explanation = without_small_cells(event.change.explanation)
    return event.model_copy(update={"change": Explained(explanation=explanation)})
