"""Which alerts somebody may see and move: those of their region and of all below it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.store.inbox import in_subtree, read_alert
from streams.web.problems import Problem

if TYPE_CHECKING:
    from psycopg import AsyncConnection

    from schemas.alerts import Alert
    from streams.people.users import User

__all__ = ["alert_for", "no_alert", "require_region"]


async def alert_for(connection: AsyncConnection, user: User, alert_id: int) -> Alert:
    """Return an alert that a user may see.

    Raises
    ------
    Problem
        404: there is no such alert. 403: it lies outside the user's region.
    """
    alert = await read_alert(connection, alert_id)
    if alert is None:
        raise no_alert(alert_id)
    await require_region(connection, user, alert.region)
    return alert


async def require_region(connection: AsyncConnection, user: User, region: str) -> None:
    """Make sure that a region lies in the user's.

    Raises
    ------
    Problem
        403: it does not.
    """
    if not await in_subtree(connection, region, of=user.region):
        raise Problem(
            403,
            "outside-region",
            f"This lies outside your area ({user.region}). Ask an admin if that is wrong.",
            f"该内容不在您的辖区（{user.region}）内，如有疑问请联系管理员。",
        )


def no_alert(alert_id: int) -> Problem:
    """Return the problem that there is no such alert."""
    return Problem(
        404, "not-found", f"There is no alert {alert_id}.", f"没有编号为{alert_id}的预警。"
    )
