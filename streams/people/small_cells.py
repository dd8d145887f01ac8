"""What viewers are not shown: cells so small that somebody might be recognised. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.alerts.small_cells import alert_to_tell, without_small_cells

if TYPE_CHECKING:
    from schemas.alerts import Alert, Explanation
    from streams.people.users import Role

__all__ = ["explanation_for", "for_role", "sees_all"]


def sees_all(role: Role) -> bool:
    """Tell whether a role sees exact counts of facilities and age groups."""
    return role != "viewer"


def for_role(alert: Alert, role: Role) -> Alert:
    """Return an alert without the small parts of its explanation where the role must not see them.

    Put an alert through this before it is put into words.
    """
    return alert if sees_all(role) else alert_to_tell(alert)


def explanation_for(explanation: Explanation, role: Role) -> Explanation:
    """Return an explanation without the facilities and age groups that a role must not see."""
    return explanation if sees_all(role) else without_small_cells(explanation)
