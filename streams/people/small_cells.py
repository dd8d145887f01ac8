"""What viewers are not shown: cells so small that somebody might be recognised. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.alerts.small_cells import alert_to_tell, is_small, without_small_cells

if TYPE_CHECKING:
    from schemas.alerts import Alert, Explanation
    from streams.people.users import Role

__all__ = ["explanation_for", "for_role", "shown"]


def shown(value: float, role: Role) -> float | None:
    """Return a facility's or age group's count as a role sees it; None: less than five.

    Examples
    --------
    >>> shown(4, "viewer"), shown(4, "officer"), shown(5, "viewer"), shown(0, "viewer")
    (None, 4, 5, 0)
    """
    return None if role == "viewer" and is_small(value) else value


def for_role(alert: Alert, role: Role) -> Alert:
    """Return an alert without the small parts of its explanation where the role must not see them.

    Put an alert through this before it is put into words.
    """
    return alert_to_tell(alert) if role == "viewer" else alert


def explanation_for(explanation: Explanation, role: Role) -> Explanation:
    """Return an explanation without the facilities and age groups that a role must not see."""
    return without_small_cells(explanation) if role == "viewer" else explanation
