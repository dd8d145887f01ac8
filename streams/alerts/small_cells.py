"""Cells so small that somebody might be recognised: they do not leave the database. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from schemas.alerts import Explained

if TYPE_CHECKING:
    from schemas.alerts import Alert, AlertEvent, Contribution, Explanation

__all__ = ["SMALL_BELOW", "alert_to_tell", "event_to_tell", "is_small", "without_small_cells"]

#: Counts from 1 to one less are small.
SMALL_BELOW: Final = 5


def is_small(value: float) -> bool:
    """Tell whether a count of a facility or an age group is too small to be told.

    Examples
    --------
    >>> is_small(4), is_small(5), is_small(0)
    (True, False, False)
    """
    return 0 < value < SMALL_BELOW


def without_small_cells(explanation: Explanation) -> Explanation:
    """Return an explanation without the facilities and age groups of small counts."""

    def large(parts: tuple[Contribution, ...]) -> tuple[Contribution, ...]:
        return tuple(part for part in parts if not is_small(part.observed))

    return explanation.model_copy(
        update={
            "facilities": large(explanation.facilities),
            "age_groups": large(explanation.age_groups),
        }
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
