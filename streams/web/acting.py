"""What people decide about alerts, from wherever they do: the rules that pages and API share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.alerts import Alert, Assessed, Assigned, Change, Merged
from schemas.risk import risk_level
from streams.alerts.lifecycle import IllegalTransitionError
from streams.store.decisions import (
    ConflictError,
    MovedError,
    NoAlertError,
    PersonalDataError,
    act,
)
from streams.store.people import find_user
from streams.web.access import alert_for, no_alert, require_acting
from streams.web.problems import Problem
from streams.web.sentences import conflict_sentence, not_possible_sentence

if TYPE_CHECKING:
    import psycopg

    from streams.people.users import User
    from streams.web.state import Web
    from streams.web.visitor import Visitor

__all__ = ["decide"]


async def decide(
    web: Web, visitor: Visitor, alert_id: int, change: Change, *, seen: int | None
) -> Alert:
    """Let somebody change an alert.

    Parameters
    ----------
    seen
        Version of the alert that they saw; None: whatever it is now.

    Returns
    -------
    Alert
        As it is now.

    Raises
    ------
    Problem
        403: they may not, or it lies outside their region, as may the alert to merge into. 404:
        there is no such alert. 409: somebody else was quicker, or it is not possible now. 422: who
        is to be responsible cannot be.
    """
    require_acting(visitor.user)
    async with web.database.reading() as connection:
        alert = await alert_for(connection, visitor.user, alert_id)
        if isinstance(change, Merged):
            await alert_for(connection, visitor.user, change.into)
    if isinstance(change, Assigned) and change.to is not None:
        user = await web.database.run(_assignee, change.to, alert.region)
        change = change.model_copy(update={"to": user.name})
    if isinstance(change, Assessed):
        matrix = web.configuration.surveillance.alerts.risk_matrix
        level = risk_level(change.likelihood, change.consequence, matrix)
        change = change.model_copy(update={"risk": level})
    try:
        return await web.database.run(act, alert_id, change, actor=visitor.user.name, seen=seen)
    except MovedError as error:
        told = conflict_sentence(error, web.configuration)
        raise Problem(409, "changed-meanwhile", told.en, told.zh) from None
    except ConflictError as error:
        raise Problem(
            422, "invalid", str(error), f"预警{alert_id}没有您所说的版本，请重新查看。"
        ) from None
    except PersonalDataError as error:
        raise Problem(
            422,
            "invalid",
            str(error),
            "备注或姓名中似乎含有手机号码或身份证号码。备注会发给所有订阅预警的系统并永久保存，"
            "请删去后再提交；如需指明某条记录，请写其事件编号（event id）。",
        ) from None
    except IllegalTransitionError as error:
        async with web.database.reading() as connection:
            now = await alert_for(connection, visitor.user, alert_id)
        told = not_possible_sentence(error, now, change)
        raise Problem(409, "not-possible", told.en, told.zh) from None
    except NoAlertError:
        raise no_alert(alert_id) from None


def _assignee(connection: psycopg.Connection, name: str, region: str) -> User:
    """Return who is to be responsible for an alert of a region."""
    user = find_user(connection, name)
    if user is None or user.disabled or not user.may_act:
        raise Problem(
            422,
            "invalid",
            f"{name} is nobody who can work on alerts. Name an officer, epidemiologist or admin.",
            f"{name} 不是可以处理预警的人员，请指定值班人员、流行病学人员或管理员。",
        )
    sees = connection.execute(
        "SELECT 1 FROM region_ancestors WHERE region = %s AND ancestor = %s", (region, user.region)
    ).fetchone()
    if not sees:
        raise Problem(
            422,
            "invalid",
            f"{name} does not see this alert: it lies outside their area. Name somebody else.",
            f"该预警不在 {name} 的辖区内，请指定其他人员。",
        )
    return user
