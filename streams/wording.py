"""Alerts in one plain sentence, in English and in Chinese, for those who have to act on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.clauses import explaining_clauses
from streams.epi_weeks import week_label
from streams.phrases import (
    Sentences,
    amount,
    at_least,
    comparison,
    place,
    plain,
    subject_zh,
    title,
    unit,
    when,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from schemas.alerts import Alert, Figures
    from streams.config import Configuration

__all__ = ["Sentences", "alert_reasons", "alert_sentences", "period_label", "period_name"]

_UNLIKELY = 0.001
_STILL_CHANCE = 0.2


def period_label(period: date, grain: str, configuration: Configuration) -> str:
    """Return a period's name: a date, or the epi week when the grain is the week."""
    if grain == "week":
        return week_label(period, configuration.surveillance.epi_week)
    return period.isoformat()


def period_name(period: date, grain: str, configuration: Configuration) -> Sentences:
    """Return a period's name for titles and one-line messages, which say what it spans."""
    label = period_label(period, grain, configuration)
    if grain == "week":
        year, _, week = label.partition("-W")
        return Sentences(label, f"{year}年第{int(week)}周")
    if grain == "rolling7":
        return Sentences(f"7 days to {label}", f"截至{label}的7天")
    return Sentences(label, label)


def alert_sentences(alert: Alert, configuration: Configuration) -> Sentences:
    """Tell in one sentence what an alert is about: who, where, how many, how sure, how fast.

    What the explanation leaves open is left out; without one the sentence has the figures alone.
    """
    if alert.exceedances == 0:
        return _taken_back(alert, configuration)
    return _joined([_figures(alert, configuration), *_reasons(alert, configuration)])


def alert_reasons(alert: Alert, configuration: Configuration) -> Sentences:
    """Tell the same without the figures, for where these stand beside it.

    The whole sentence where there is nothing else to tell.
    """
    reasons = _reasons(alert, configuration)
    if alert.exceedances == 0 or not reasons:
        return alert_sentences(alert, configuration)
    en, zh = _joined(reasons)
    return Sentences(en[0].upper() + en[1:], zh)


def _joined(clauses: Sequence[Sentences]) -> Sentences:
    return Sentences(
        "; ".join(clause.en for clause in clauses) + ".",
        "；".join(clause.zh for clause in clauses) + "。",
    )


def _reasons(alert: Alert, configuration: Configuration) -> list[Sentences]:
    explanation = alert.explanation
    if explanation is not None and explanation.period != alert.last_period:
        explanation = None  # of older numbers
    clauses = [_since(alert, configuration), _chance(alert)]
    if explanation is not None:
        clauses += explaining_clauses(alert, explanation, configuration)
    return [clause for clause in clauses if clause is not None]


def _figures(alert: Alert, configuration: Configuration) -> Sentences:
    counted = unit(alert, configuration)
    named = title(alert, configuration)
    where = place(alert.region, configuration)
    time = when(alert.last_period, alert.grain, configuration)
    observed, observed_zh = amount(alert.observed), plain(alert.observed)
    least = at_least(observed).en if alert.incomplete else observed
    en = f"{named.en} in {where.en}: {least} {counted.en(alert.observed)} {time.en}"
    subject = subject_zh(alert, configuration)
    if alert.incomplete:
        observed_zh = at_least(observed_zh).zh
    zh = f"{time.zh}，{subject}{observed_zh}{counted.zh}"
    if alert.incomplete:
        en, zh = f"{en} in the days that have arrived", f"{zh}（部分日期的数据尚未到达）"
    if alert.expected is not None:
        against = comparison(alert.observed, alert.expected, counted, incomplete=alert.incomplete)
        en, zh = f"{en}, {against.en}", f"{zh}，{against.zh}"
    if alert.upper is not None:
        limit = amount(alert.upper)
        joint = " and" if alert.expected is not None else ","
        # Rounded, a count may look equal to the threshold that it exceeds.
        same = limit == observed
        en += (
            f"{joint} just above the alarm threshold"
            if same
            else (f"{joint} above the alarm threshold of {limit}")
        )
        zh += "，略超预警阈值" if same else f"，超过预警阈值（{plain(alert.upper)}{counted.zh}）"
    return Sentences(en, zh)


def _taken_back(alert: Alert, configuration: Configuration) -> Sentences:
    counted = unit(alert, configuration)
    named = title(alert, configuration)
    where = place(alert.region, configuration)
    period = alert.revised.period if alert.revised else alert.last_period
    time = when(period, alert.grain, configuration)
    was, was_zh = amount(alert.observed), f"{plain(alert.observed)}{counted.zh}"
    en, zh = f"{named.en} in {where.en}", f"{time.zh}，{subject_zh(alert, configuration)}"
    if alert.revised is None:
        en += f": corrections have taken the {was} {counted.en(alert.observed)} {time.en} back"
        zh += f"{was_zh}，经数据更正已撤回"
    elif amount(alert.revised.observed) == was:
        # Corrections of the days before have raised what is usual.
        en += f": {was} {counted.en(alert.observed)} {time.en}{_below(alert.revised).en}"
        zh += f"{was_zh}{_below(alert.revised).zh}"
    else:
        now = alert.revised.observed
        en += (
            f": {amount(now)} {counted.en(now)} {time.en} after corrections, not {was} as first "
            "reported"
        )
        zh += f"由{was_zh}更正为{plain(now)}{counted.zh}"
    return Sentences(
        f"{en}; nothing is above the alarm threshold any more.",
        f"{zh}；目前已无超过预警阈值的情况。",
    )


def _below(now: Figures) -> Sentences:
    if now.upper is None:
        return Sentences(" as before", "未变")
    return Sentences(
        f" as before, but the alarm threshold is now {amount(now.upper)}",
        f"未变，但预警阈值现为{plain(now.upper)}",
    )


def _since(alert: Alert, configuration: Configuration) -> Sentences | None:
    if alert.exceedances == 1:
        return None
    times = alert.exceedances
    first = when(alert.last_period, alert.grain, configuration, since=alert.first_period)
    en = f"in {times} weeks" if alert.grain == "week" else f"on {times} days"
    zh = "周" if alert.grain == "week" else "天"
    return Sentences(
        f"above the threshold {en} since {first.en}", f"{first.zh}以来累计{times}{zh}超过阈值"
    )


def _chance(alert: Alert) -> Sentences | None:
    p = alert.p_value
    if p is None or p > _STILL_CHANCE:
        return None
    if p < _UNLIKELY:
        return Sentences(
            "by the method's reckoning chance alone gives so many less than once in 1,000 times",
            "按该方法估计，仅凭偶然波动达到此数的可能性不足千分之一",
        )
    odds = float(f"{1 / p:.1g}")
    return Sentences(
        f"by the method's reckoning chance alone gives so many about once in {amount(odds)} times",
        f"按该方法估计，仅凭偶然波动达到此数的可能性约为{plain(odds)}分之一",
    )
