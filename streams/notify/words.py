"""Words of notifications in both languages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from schemas.alerts import Absorbed, Ended, Revised, Worsened
from schemas.config import Title
from streams.phrases import amount, plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from schemas.alerts import Alert, AlertStatus, Change, NewLevel, Severity
    from schemas.counts import Grain

__all__ = [
    "KIND_WORDS",
    "SEVERITY_WORDS",
    "STATUS_WORDS",
    "Fact",
    "event_words",
    "level_words",
    "words_since",
]

SEVERITY_WORDS: Final[Mapping[Severity, Title]] = {
    "critical": Title(en="critical", zh="严重"),
    "warning": Title(en="warning", zh="警告"),
    "info": Title(en="info", zh="提示"),
}

STATUS_WORDS: Final[Mapping[AlertStatus, Title]] = {
    "new": Title(en="new", zh="待处理"),
    "verifying": Title(en="being verified", zh="核实中"),
    "monitoring": Title(en="being monitored", zh="监测中"),
    "discarded": Title(en="discarded", zh="已排除"),
    "assessing": Title(en="being assessed", zh="风险评估中"),
    "confirmed": Title(en="confirmed", zh="已确认"),
    "closed": Title(en="closed", zh="已关闭"),
    "merged": Title(en="merged into another alert", zh="已合并"),
}

#: What has happened, by the kind of the event.
KIND_WORDS: Final[Mapping[str, Title]] = {
    "opened": Title(en="new alert", zh="新预警"),
    "updated": Title(en="new numbers", zh="数据更新"),
    "resumed": Title(en="above the threshold again", zh="再次超过阈值"),
    "worsened": Title(en="risen sharply since it was last announced", zh="较上次通知大幅上升"),
    "revised": Title(en="gone after corrections", zh="数据更正后不再超阈值"),
    "ended": Title(en="exceedances have ended, closing is proposed", zh="超阈值已结束，建议关闭"),
    "suppressed": Title(en="exceedance without a new alert", zh="再次超阈值（不另发预警）"),
    "explained": Title(en="explanation", zh="预警说明"),
    "escalated": Title(en="nobody has looked at it", zh="超时无人查看"),
    "absorbed": Title(en="another alert was merged into it", zh="另一预警已并入"),
    "acknowledged": Title(en="acknowledged", zh="已知悉"),
    "assigned": Title(en="assigned", zh="已指派"),
    "commented": Title(en="comment", zh="备注"),
    "verified": Title(en="verification has begun", zh="开始核实"),
    "monitored": Title(en="being monitored", zh="转入监测"),
    "assessed": Title(en="risk assessed", zh="已完成风险评估"),
    "confirmed": Title(en="confirmed", zh="已确认"),
    "discarded": Title(en="discarded", zh="已排除"),
    "closed": Title(en="closed", zh="已关闭"),
    "merged": Title(en="merged", zh="已合并"),
    "reopened": Title(en="reopened", zh="重新打开"),
}


#: What is told later than it happened, when it does not hold any more.
_OVERTAKEN: Final[Mapping[str, Title]] = {
    "revised": Title(
        en="gone after corrections, but back by now", zh="数据更正后曾不再超阈值，现又超阈值"
    ),
    "ended": Title(
        en="exceedances had ended, but there are new ones", zh="超阈值曾结束，现又超阈值"
    ),
}
_PERIODS: Final[Mapping[Grain, Title]] = {
    "day": Title(en="a day", zh="每日"),
    "week": Title(en="a week", zh="每周"),
    "rolling7": Title(en="in 7 days", zh="每7天"),
}
#: Larger multiples of next to nothing say nothing.
_MOST_TIMES: Final = 100
#: What is expected has followed the counts if it has risen by as much.
_TAKEN_IN: Final = 1.5
#: These say that there is something to look at.
_ANNOUNCING: Final = frozenset({"opened", "resumed", "updated", "escalated", "absorbed"})


def event_words(change: Change, alert: Alert) -> Title:
    """Tell what has happened to an alert.

    Parameters
    ----------
    alert
        As it is now.
    """
    words = KIND_WORDS[change.kind]
    match change:
        case Revised() if alert.exceedances:
            return _OVERTAKEN[change.kind]
        case Ended() if alert.exceedances and alert.quiet_since is None:
            return _OVERTAKEN[change.kind]
        case Ended(new_level=level) if level is not None:
            return _ended_high(level)
        case Absorbed(raised_from=str(before)):
            was, now = SEVERITY_WORDS[before], SEVERITY_WORDS[change.severity]
            return Title(
                en=f"raised from {was.en} to {now.en}, {words.en}",
                zh=f"级别由{was.zh}升为{now.zh}，{words.zh}",
            )
        case Worsened(before=before) if before.grain == (change.grain or alert.grain):
            numbers = f"{before.observed:,.0f} → {change.figures.observed:,.0f}"
            return Title(en=f"{words.en} ({numbers})", zh=f"{words.zh}（{numbers}）")
    return words


def _ended_since(alert: Alert) -> Title:
    if alert.new_level is None:
        return Title(en="but exceedances have ended by now", zh="但超阈值现已结束")
    high = _high(alert.new_level)
    return Title(
        en=f"but exceedances have ended by now although counts had not fallen ({high.en})",
        zh=f"但超阈值现已结束，当时数量并未回落（{high.zh}）",
    )


def _ended_high(level: NewLevel) -> Title:
    per, high = _PERIODS[level.grain], _high(level)
    before, now = level.before, level.now
    return Title(
        en=f"exceedances have ended, but counts have not fallen ({high.en}; "
        f"before: {amount(before)}, now: {amount(now)} {per.en})",
        zh=f"超阈值已结束，但数量并未回落（{high.zh}；"
        f"{per.zh}原预期{plain(before)}，现为{plain(now)}）",
    )


def level_words(level: NewLevel) -> Title:
    """Tell how counts stand where exceedances ended although they are still high."""
    per, high = _PERIODS[level.grain], _high(level)
    before, now, since = level.before, level.now, level.since.isoformat()
    words = Title(
        en=f"Counts had not fallen by then: {high.en} (expected before: {amount(before)}, "
        f"counted by then: {amount(now)} {per.en}; since {since}).",
        zh=f"此时数量并未回落：{high.zh}（{per.zh}原预期{plain(before)}，此时实际{plain(now)}；"
        f"自{since}起）。",
    )
    if level.expected is None:
        return words
    taken_in = level.expected >= _TAKEN_IN * before
    return Title(
        en=f"{words.en} "
        + (
            "The baseline has taken this level as usual"
            if taken_in
            else "They were below the threshold"
        )
        + f" (expected by then: {amount(level.expected)}).",
        zh=words.zh
        + ("基线已把该水平视为常态" if taken_in else "但低于预警阈值")
        + f"（此时预期{plain(level.expected)}）。",
    )


def _high(level: NewLevel) -> Title:
    if level.now >= _MOST_TIMES * level.before:
        return Title(
            en="still far above what was expected when the alert began",
            zh="仍远高于预警开始时的预期数",
        )
    times = amount(level.now / level.before)
    return Title(
        en=f"still {times} times what was expected when the alert began",
        zh=f"仍为预警开始时预期数的{times}倍",
    )


def words_since(change: Change, alert: Alert) -> Title | None:
    """Tell why an alert that is announced needs nobody any more; None: it does.

    Parameters
    ----------
    change
        The latest one that is told.
    alert
        As it is now.
    """
    if change.kind not in _ANNOUNCING:
        return None
    if alert.status == "merged":
        into = f"#{alert.merged_into}"
        return Title(en=f"by now merged into {into}", zh=f"现已并入{into}")
    if alert.status in {"discarded", "closed"}:
        status = STATUS_WORDS[alert.status]
        return Title(en=f"by now {status.en}", zh=f"现{status.zh}")
    if alert.exceedances == 0:
        return Title(en="but gone after corrections by now", zh="但数据更正后已不再超阈值")
    if alert.quiet_since is not None:
        return _ended_since(alert)
    return None


class Fact:
    """Labels of the numbers."""

    OBSERVED: Final = Title(en="Observed", zh="实际数")
    BEFORE: Final = Title(en="As first reported", zh="更正前")
    NOW: Final = Title(en="After corrections", zh="更正后")
    EXPECTED: Final = Title(en="Expected", zh="预期数")
    UPPER: Final = Title(en="Threshold", zh="预警阈值")
    EXCESS: Final = Title(en="Excess", zh="超出预期")
    P_VALUE: Final = Title(en="p-value", zh="p 值")
    DOUBLING: Final = Title(en="Doubling time", zh="倍增时间")
    COMPLETENESS: Final = Title(en="Reporting completeness", zh="报告完整率")
    DETECTOR: Final = Title(en="Detector", zh="检测方法")
    STATUS: Final = Title(en="Status", zh="状态")
    NEW_LEVEL: Final = Title(en="New level", zh="新水平")
    AS_OF: Final = Title(en="Data as of", zh="数据截至")
