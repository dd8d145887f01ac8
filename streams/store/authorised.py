"""Who may decide about an alert: the one rule behind the page, the API and the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from schemas.alerts import Assigned, Merged
from streams.errors import FenghuoError
from streams.store.alerts import get_alert
from streams.store.decisions import NoAlertError, act
from streams.store.people import find_user, region_within

if TYPE_CHECKING:
    import psycopg

    from schemas.alerts import Alert, Change
    from streams.people.users import User

__all__ = ["NotAuthorisedError", "act_as"]

Refusal = Literal["forbidden", "outside-region", "invalid"]


class NotAuthorisedError(FenghuoError):
    """A user may not make a change; the text says why, in both languages.

    Attributes
    ----------
    kind
        ``forbidden``: the role or the account does not allow it; ``outside-region``: the alert
        lies outside the user's region; ``invalid``: the person named cannot be responsible.
    """

    def __init__(self, kind: Refusal, en: str, zh: str) -> None:
        super().__init__(en)
        self.kind = kind
        self.zh: str = zh


def act_as(
    connection: psycopg.Connection,
    alert_id: int,
    change: Change,
    *,
    actor: str,
    seen: int | None = None,
) -> Alert:
    """Change an alert as a user, if that user may.

    The user must exist, be enabled, have a role that moves alerts, and see the alert (with a
    merge, both). The same holds for the user to whom an alert is assigned.

    Parameters
    ----------
    actor
        The user's name.
    seen
        Version of the alert that the user saw; None: the latest.

    Returns
    -------
    Alert
        As it is after the change.

    Raises
    ------
    NotAuthorisedError
        The user may not make this change.
    ConflictError, IllegalTransitionError, NoAlertError, PersonalDataError
        As `streams.store.decisions.act`.
    """
    with connection.transaction():
        user = _acting_user(connection, actor)
        alert = _visible(connection, user, alert_id)
        if isinstance(change, Merged):
            _visible(connection, user, change.into)
        if isinstance(change, Assigned) and change.to is not None:
            to = _assignee(connection, change.to, alert.region)
            change = change.model_copy(update={"to": to.name})
        return act(connection, alert_id, change, actor=user.name, seen=seen)


def _acting_user(connection: psycopg.Connection, name: str) -> User:
    user = find_user(connection, name)
    if user is None:
        raise NotAuthorisedError(
            "forbidden",
            f"{name!r} is not a user. Give a user's name with --as NAME or FENGHUO_OFFICER, or "
            "add the user: fenghuo users add NAME",
            f"没有名为 {name!r} 的用户。请用 --as NAME 或 FENGHUO_OFFICER 指定用户名，"
            "或添加用户：fenghuo users add NAME",
        )
    if user.disabled:
        raise NotAuthorisedError(
            "forbidden",
            f"{user.name} is disabled and cannot change alerts.",
            f"用户 {user.name} 已停用，不能处理预警。",
        )
    if not user.may_act:
        raise NotAuthorisedError(
            "forbidden",
            "Viewers read; only officers, epidemiologists and admins move alerts.",
            "“查看者”只能查看；只有值班人员、流行病学人员和管理员可以处理预警。",
        )
    return user


def _visible(connection: psycopg.Connection, user: User, alert_id: int) -> Alert:
    alert = get_alert(connection, alert_id)
    if alert is None:
        raise NoAlertError(alert_id)
    if not region_within(connection, alert.region, user.region):
        raise NotAuthorisedError(
            "outside-region",
            f"This lies outside your area ({user.region}). Ask an admin if that is wrong.",
            f"该内容不在您的辖区（{user.region}）内，如有疑问请联系管理员。",
        )
    return alert


def _assignee(connection: psycopg.Connection, name: str, region: str) -> User:
    """Return the user to be responsible for an alert of a region.

    The answer is the same for a name that does not exist and for a user of another region: it
    tells nobody which names are used elsewhere.
    """
    user = find_user(connection, name)
    able = user is not None and user.may_act and not user.disabled
    if user is None or not able or not region_within(connection, region, user.region):
        raise NotAuthorisedError(
            "invalid",
            f"{name!r} cannot be responsible for this alert. Name an officer, epidemiologist or "
            "admin whose area it lies in.",
            f"{name!r} 不能负责该预警，请指定辖区包含该预警的值班人员、流行病学人员或管理员。",
        )
    return user
