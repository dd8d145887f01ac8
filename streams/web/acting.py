"""What people decide about alerts, from wherever they do: the rules that pages and API share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.alerts import Alert, Assessed, Change
from schemas.risk import risk_level
from streams.alerts.lifecycle import IllegalTransitionError
from streams.store.authorised import NotAuthorisedError, act_as
from streams.store.decisions import (
    ConflictError,
    MovedError,
    NoAlertError,
    PersonalDataError,
)
from streams.web.access import alert_for, no_alert
from streams.web.problems import Problem
from streams.web.sentences import conflict_sentence, not_possible_sentence

if TYPE_CHECKING:
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
    if isinstance(change, Assessed):
        matrix = web.configuration.surveillance.alerts.risk_matrix
        level = risk_level(change.likelihood, change.consequence, matrix)
        change = change.model_copy(update={"risk": level})
    try:
        return await web.database.run(act_as, alert_id, change, actor=visitor.user.name, seen=seen)
    except NotAuthorisedError as error:
        status = 422 if error.kind == "invalid" else 403
        raise Problem(status, error.kind, str(error), error.zh) from None
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
    except NoAlertError as error:
        raise no_alert(error.alert_id) from None
