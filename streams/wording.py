"""Alerts in one plain sentence, in English and in Chinese, for those who have to act on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.epi_weeks import week_label
from streams.phrases import (
    Sentences,
    ages,
    amount,
    comparison,
    listed,
    percent,
    place,
    plain,
    title,
    unit,
    when,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from schemas.alerts import Alert, Contribution, Explanation
    from streams.config import Configuration

__all__ = ["Sentences", "alert_reasons", "alert_sentences", "period_label"]

#: A facility or region is named if it makes up this part of the excess.
_WORTH_NAMING = 0.15
_WORTH_NAMING_AGE = 0.3
#: From this share on, what was reported is as good as complete.
_COMPLETE = 0.95
#: A doubling slower than this, in days, is told as a change from week to week.
_SLOWEST_DOUBLING = 14
#: So many times the week before is told as such.
_LEAP = 4.0
_STEADY = 0.1
_UNLIKELY = 0.001
_STILL_CHANCE = 0.2
#: More neighbours than these are counted rather than named.
_NAMED_NEIGHBOURS = 3
_NAMED_SILENT = 2


def period_label(period: date, grain: str, configuration: Configuration) -> str:
    """Return a period's name: a date, or the epi week when the grain is the week."""
    if grain == "week":
        return week_label(period, configuration.surveillance.epi_week)
    return period.isoformat()


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
        clauses += [
            _growth(explanation),
            _origin(alert, explanation, configuration),
            _nearby(explanation, configuration),
            _completeness(explanation),
        ]
    return [clause for clause in clauses if clause is not None]


def _figures(alert: Alert, configuration: Configuration) -> Sentences:
    counted = unit(alert, configuration)
    named = title(alert, configuration)
    where = place(alert.region, configuration)
    time = when(alert.last_period, alert.grain, configuration)
    observed = amount(alert.observed)
    en = f"{named.en} in {where.en}: {observed} {counted.en(alert.observed)} {time.en}"
    zh = f"{time.zh}，{where.zh}{named.zh}{plain(alert.observed)}{counted.zh}"
    if alert.expected is not None:
        against = comparison(alert.observed, alert.expected, counted)
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
    was = amount(alert.observed)
    if alert.revised is None:
        return Sentences(
            f"{named.en} in {where.en}: corrections have taken the {was} "
            f"{counted.en(alert.observed)} {time.en} back, and nothing is above the alarm "
            "threshold any more.",
            f"{time.zh}，{where.zh}{named.zh}{plain(alert.observed)}{counted.zh}，经数据更正，目前已无超过预警阈值的情况。",
        )
    now = alert.revised.observed
    return Sentences(
        f"{named.en} in {where.en}: {amount(now)} {counted.en(now)} {time.en} after corrections, "
        f"not {was} as first reported, and nothing is above the alarm threshold any more.",
        f"{time.zh}，{where.zh}{named.zh}由{plain(alert.observed)}{counted.zh}更正为{plain(now)}{counted.zh}，"
        "目前已无超过预警阈值的情况。",
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
            "by the method's reckoning less than 1 in 1,000 to be chance",
            "按该方法估计，属偶然波动的可能性不足千分之一",
        )
    odds = float(f"{1 / p:.1g}")
    return Sentences(
        f"by the method's reckoning about 1 in {amount(odds)} to be chance",
        f"按该方法估计，属偶然波动的可能性约为{plain(odds)}分之一",
    )


def _growth(explanation: Explanation) -> Sentences | None:
    latest, before = explanation.latest_week, explanation.week_before
    if explanation.growth_per_day is None or not latest or not before:
        return None
    ratio = latest / before
    if ratio >= _LEAP:
        return Sentences(
            f"{amount(round(ratio))} times as many in the latest 7 days as in the 7 days before",
            f"近7天为前7天的{plain(round(ratio))}倍",
        )
    days = explanation.doubling_days
    if days is not None and days <= _SLOWEST_DOUBLING:
        return Sentences(
            f"doubling about every {round(days)} days", f"近期约每{round(days)}天翻一番"
        )
    if abs(ratio - 1) < _STEADY:
        return Sentences("about the same as the week before", "与前一周基本持平")
    if ratio > 1:
        return Sentences(
            f"up {percent(ratio - 1)} on the week before", f"较前一周上升{percent(ratio - 1)}"
        )
    return Sentences(
        f"already falling, down {percent(1 - ratio)} on the week before",
        f"较前一周已下降{percent(1 - ratio)}",
    )


def _origin(
    alert: Alert, explanation: Explanation, configuration: Configuration
) -> Sentences | None:
    """Tell which ages and places the excess comes from."""
    counted = unit(alert, configuration)
    groups = _outstanding(explanation.age_groups, _WORTH_NAMING_AGE)
    whole = explanation.excess or 0.0
    if explanation.regions:
        places = _outstanding(explanation.regions, _WORTH_NAMING, whole, most=3)
        names = [place(one.name, configuration) for one in places]
        spread = Sentences("many areas", "多个地区")
    else:
        places = _outstanding(explanation.facilities, _WORTH_NAMING, whole)
        names = [Sentences(one.name, one.name) for one in places]
        spread = Sentences("many facilities", "多家机构")
    en, zh = [], []
    if groups:
        told = ages([one.name for one in groups])
        en.append(f"mainly in {told.en}")
        zh.append(f"以{told.zh}为主")
    if places:
        shown = [(name, _against(one, counted.zh)) for name, one in zip(names, places, strict=True)]
        which = "in" if explanation.regions else "at"
        en.append(
            (f"{which} " if groups else f"mainly {which} ")
            + listed([f"{name.en} ({numbers.en})" for name, numbers in shown], "and")
        )
        zh.append("主要来自" + "、".join(f"{name.zh}（{numbers.zh}）" for name, numbers in shown))
    elif explanation.facilities or explanation.regions:
        en.append(f"spread over {spread.en}")
        zh.append(f"分布于{spread.zh}")
    if not en:
        return None
    return Sentences(f"the rise is {', '.join(en)}", f"增加部分{'，'.join(zh)}")


def _against(one: Contribution, counted: str) -> Sentences:
    now, now_zh = amount(one.observed), f"{plain(one.observed)}{counted}"
    if one.expected is None:
        return Sentences(now, now_zh)
    return Sentences(
        f"{now}, usually {amount(one.expected)}", f"{now_zh}，平时{plain(one.expected)}{counted}"
    )


def _outstanding(
    found: Sequence[Contribution], share: float, whole: float = 0.0, *, most: int = 2
) -> list[Contribution]:
    """Keep those with history that make up a good part of the excess, the largest first."""
    known = [one for one in found if one.expected is not None and one.excess > 0]
    whole = max(whole, sum(one.excess for one in known))
    return [one for one in known if one.excess >= share * whole][:most]


def _nearby(explanation: Explanation, configuration: Configuration) -> Sentences | None:
    judged, high = explanation.neighbours_judged, explanation.neighbours
    if not judged:
        return None
    if not high:
        return Sentences(
            "no neighbouring area is high" if judged > 1 else "the neighbouring area is not high",
            "周边地区同期未见偏高",
        )
    if len(high) > _NAMED_NEIGHBOURS:
        return Sentences(
            f"all {judged} neighbouring areas are high too"
            if len(high) == judged
            else f"{len(high)} of {judged} neighbouring areas are high too",
            f"周边{judged}个地区同期均偏高"
            if len(high) == judged
            else f"周边{judged}个地区中有{len(high)}个同期也偏高",
        )
    names = [place(one.region, configuration) for one in high]
    verb = "is" if len(high) == 1 else "are"
    return Sentences(
        f"nearby {listed([name.en for name in names], 'and')} {verb} high too",
        f"周边的{'、'.join(name.zh for name in names)}同期也偏高",
    )


def _completeness(explanation: Explanation) -> Sentences | None:
    share, silent = explanation.completeness, explanation.silent
    if share is None:
        return None
    if share >= _COMPLETE and not silent:
        return Sentences("reporting is complete", "报告基本齐全")
    en = f"{percent(share)} of the usual reports are in"
    zh = f"数据到报率约{percent(share)}"
    if not silent:
        return Sentences(en, zh)
    names = explanation.silent_facilities[:_NAMED_SILENT]
    if silent <= _NAMED_SILENT:
        return Sentences(
            f"{en}, with nothing from {listed(names, 'and')}", f"{zh}，{'、'.join(names)}尚无报告"
        )
    return Sentences(
        f"{en}, with nothing from {silent} facilities such as {names[0]}",
        f"{zh}，{names[0]}等{silent}家机构尚无报告",
    )
