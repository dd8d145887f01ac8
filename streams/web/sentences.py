"""Refusals of decisions, told to whoever decided."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from schemas.alerts import Assigned, Merged, Reopened
from streams.alerts.lifecycle import CLOSED_STATUSES, possible
from streams.notify.words import KIND_WORDS, STATUS_WORDS
from streams.phrases import Sentences

if TYPE_CHECKING:
    from schemas.alerts import Alert, Change
    from streams.alerts.lifecycle import IllegalTransitionError
    from streams.config import Configuration
    from streams.store.decisions import MovedError

__all__ = ["VERBS_ZH", "conflict_sentence", "not_possible_sentence"]

#: What people can do with alerts, in Chinese.
VERBS_ZH: Final = {
    "acknowledge": "知悉",
    "verify": "开始核实",
    "monitor": "转入监测",
    "assess": "风险评估",
    "confirm": "确认",
    "discard": "排除",
    "close": "关闭",
    "assign": "指派",
    "comment": "备注",
    "merge": "合并",
    "reopen": "重新打开",
}


def conflict_sentence(error: MovedError, configuration: Configuration) -> Sentences:
    """Tell who was quicker, with what, and when."""
    event, change = error.event, error.event.change
    now = event.at.astimezone(configuration.surveillance.zone)
    if isinstance(change, Assigned):
        done = Sentences(
            f"assigned this alert to {change.to or 'nobody'}",
            f"将该预警指派给{change.to}" if change.to else "取消了该预警的指派",
        )
    else:
        word = KIND_WORDS[change.kind]
        to = f" (now {STATUS_WORDS[error.status].en})"
        done = Sentences(
            f"was quicker: {word.en}{to}",
            f"已先行操作：{word.zh}（现为“{STATUS_WORDS[error.status].zh}”）",
        )
    saw = STATUS_WORDS[error.saw]
    return Sentences(
        f"{event.actor} {done.en} at {now:%H:%M}; you saw it {saw.en}. "
        "Look at it again, then decide.",
        f"{event.actor} 于{now:%H:%M}{done.zh}；您看到的状态是“{saw.zh}”。请重新查看后再作决定。",
    )


def not_possible_sentence(error: IllegalTransitionError, alert: Alert, change: Change) -> Sentences:
    """Tell why a change is not possible now, and what is."""
    if isinstance(change, Merged) and alert.status not in CLOSED_STATUSES:
        zh = (
            "预警不能与自身合并。"
            if change.into == alert.alert_id
            else f"预警{change.into}已不再处理中，不能并入；请选择一个未关闭的预警。"
        )
    elif isinstance(change, Reopened) and alert.status in CLOSED_STATUSES:
        zh = (
            "同一信号、地区和规则已有未关闭的预警，不能重新打开本预警；"
            "请在那个预警上备注，或先将其关闭。"
        )
    else:
        verbs = "、".join(VERBS_ZH[verb] for verb in possible(alert.status))
        status = STATUS_WORDS[alert.status].zh
        zh = f"预警{alert.alert_id}目前为“{status}”，不能执行此操作。目前可以：{verbs}。"
    return Sentences(str(error), zh)
