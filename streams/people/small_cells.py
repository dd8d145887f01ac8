"""What viewers are not shown: cells so small that somebody might be recognised. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from schemas.alerts import Alert, Contribution, Explanation
    from streams.people.users import Role

__all__ = ["SMALL_BELOW", "explanation_for", "for_role", "shown"]

#: Counts from 1 to one less are small.
SMALL_BELOW: Final = 5


def shown(value: float, role: Role) -> float | None:
    """Return a facility's or age group's count as a role sees it; None: less than five.

    Examples
    --------
    >>> shown(4, "viewer"), shown(4, "officer"), shown(5, "viewer"), shown(0, "viewer")
    (None, 4, 5, 0)
    """
    return None if role == "viewer" and 0 < value < SMALL_BELOW else value


def for_role(alert: Alert, role: Role) -> Alert:
    """Return an alert without the small parts of its explanation where the role must not see them.

    Put an alert through this before it is put into words.
    """
    if alert.explanation is None:
        return alert
    return alert.model_copy(update={"explanation": explanation_for(alert.explanation, role)})


def explanation_for(explanation: Explanation, role: Role) -> Explanation:
    """Return an explanation without the facilities and age groups that a role must not see."""

    def visible(parts: tuple[Contribution, ...]) -> tuple[Contribution, ...]:
        return tuple(part for part in parts if shown(part.observed, role) is not None)

    return explanation.model_copy(
        update={
            "facilities": visible(explanation.facilities),
            "age_groups": visible(explanation.age_groups),
        }
    )
