"""Clauses of an alert's sentence that its explanation gives, in English and in Chinese."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.defang import defang
from streams.phrases import Sentences, ages, amount, listed, percent, place, plain, unit, when

if TYPE_CHECKING:
    from collections.abc import Sequence

    from schemas.alerts import Alert, Contribution, DataQuality, Explanation
    from schemas.counts import Grain
    from streams.config import Configuration

__all__ = ["explaining_clauses", "quality_note"]

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
#: More neighbours than these are counted rather than named.
_NAMED_NEIGHBOURS = 3
_NAMED_SILENT = 2


def explaining_clauses(
    alert: Alert, explanation: Explanation, configuration: Configuration
) -> list[Sentences | None]:
    """Tell how fast it grows, where it comes from, what is around, how complete the data are.

    None stands for what the explanation leaves open.
    """
    return [
        _growth(explanation),
        _origin(alert, explanation, configuration),
        _nearby(explanation, configuration),
        _completeness(explanation),
        _quality(alert, explanation, configuration),
    ]


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
    groups = [one.name for one in _outstanding(explanation.age_groups, _WORTH_NAMING_AGE)]
    groups = groups or list(explanation.named_ages)
    whole = explanation.excess or 0.0
    if explanation.regions:
        parts = explanation.regions
        places = _outstanding(parts, _WORTH_NAMING, whole, most=3)
        names = [place(one.name, configuration) for one in places]
        spread = Sentences("many areas", "多个地区")
    else:
        parts = explanation.facilities
        places = _outstanding(parts, _WORTH_NAMING, whole)
        names = [Sentences(defang(one.name), defang(one.name)) for one in places]
        spread = Sentences("many facilities", "多家机构")
    en, zh = [], []
    if groups:
        told = ages(groups)
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
    elif explanation.named_facilities and not explanation.regions:
        known = [defang(name) for name in explanation.named_facilities]
        en.append(("at " if groups else "mainly at ") + listed(known, "and"))
        zh.append("主要来自" + "、".join(known))
    elif any(one.expected is not None for one in parts):
        en.append(f"spread over {spread.en}")
        zh.append(f"分布于{spread.zh}")
    if not en:
        return None
    return Sentences(f"the excess is {', '.join(en)}", f"超出部分{'，'.join(zh)}")


def _against(one: Contribution, counted: str) -> Sentences:
    now, now_zh = amount(one.observed), f"{plain(one.observed)}{counted}"
    if one.expected is None:
        return Sentences(f"{now}, new there", f"{now_zh}，此前无报告")
    return Sentences(
        f"{now}, usually {amount(one.expected)}", f"{now_zh}，平时{plain(one.expected)}{counted}"
    )


def _outstanding(
    found: Sequence[Contribution], share: float, whole: float = 0.0, *, most: int = 2
) -> list[Contribution]:
    """Keep those that make up a good part of the excess, the largest first.

    None where nobody has a history: then it is the counts that are new, not the facilities.
    """
    if all(one.expected is None for one in found):
        return []
    higher = [one for one in found if one.excess > 0]
    whole = max(whole, sum(one.excess for one in higher))
    return [one for one in higher if one.excess >= share * whole][:most]


def _nearby(explanation: Explanation, configuration: Configuration) -> Sentences | None:
    judged, high = explanation.neighbours_judged, explanation.neighbours
    awaited = explanation.neighbours_awaited or 0
    if not judged:
        return Sentences("neighbours not judged yet", "周边地区尚未判定") if awaited else None
    if not high:
        return _none_high(explanation)
    rest = _awaited(awaited)
    if len(high) > _NAMED_NEIGHBOURS:
        total = judged + awaited + explanation.neighbours_unknown
        every = len(high) == total and explanation.neighbours_awaited is not None
        return Sentences(
            (f"all {total}" if every else f"{len(high)} of {total}")
            + f" neighbouring areas are high too{rest.en}",
            f"周边{total}个地区同期均偏高"
            if every
            else f"周边{total}个地区中有{len(high)}个同期也偏高{rest.zh}",
        )
    names = [place(one.region, configuration) for one in high]
    verb = "is" if len(high) == 1 else "are"
    return Sentences(
        f"nearby {listed([name.en for name in names], 'and')} {verb} high too{rest.en}",
        f"周边的{'、'.join(name.zh for name in names)}同期也偏高{rest.zh}",
    )


def _none_high(explanation: Explanation) -> Sentences:
    """Say that no neighbour is high, and of which neighbours that is known."""
    judged, awaited = explanation.neighbours_judged, explanation.neighbours_awaited
    if awaited == 0 and explanation.neighbours_unknown == 0:
        return Sentences(
            "no neighbouring area is high" if judged > 1 else "the neighbouring area is not high",
            "周边地区同期未见偏高",
        )
    rest = _awaited(awaited or 0)
    so_far = "judged so far" if awaited else "that could be judged"
    return Sentences(
        (
            f"none of the {judged} neighbouring areas {so_far} is high"
            if judged > 1
            else f"the one neighbouring area {so_far} is not high"
        )
        + rest.en,
        f"周边已判定的{judged}个地区同期未见偏高{rest.zh}",
    )


def _awaited(number: int) -> Sentences:
    if not number:
        return Sentences("", "")
    return Sentences(f" ({number} not judged yet)", f"（另有{number}个尚未判定）")


def _quality(
    alert: Alert, explanation: Explanation, configuration: Configuration
) -> Sentences | None:
    note = quality_note(explanation.quality, alert.grain, configuration)
    return note and Sentences(f"data quality: {note.en}", f"数据质量：{note.zh}")


def quality_note(
    quality: DataQuality | None, grain: Grain, configuration: Configuration
) -> Sentences | None:
    """Say which data are missing that an alert was judged by; None: nothing that is known of."""
    if quality is None or quality.complete:
        return None
    weekly = grain == "week"
    unit_en, unit_zh = ("weeks", "周") if weekly else ("days", "天")
    en, zh = [], []
    if quality.data_since is not None:
        since = when(quality.data_since, "week" if weekly else "day", configuration)
        en.append(f"data begin only {since.en}")
        zh.append(f"数据自{since.zh}起")
    if quality.missing:
        verb = "is" if quality.missing == 1 else "are"
        en.append(f"{quality.missing} of the {quality.baseline} {unit_en} before {verb} missing")
        zh.append(f"此前{quality.baseline}{unit_zh}中缺{quality.missing}{unit_zh}")
    if quality.period_missing:
        en.append("reports of the period itself are missing")
        zh.append("本时段缺少报告")
    return Sentences(", ".join(en), "，".join(zh))


def _completeness(explanation: Explanation) -> Sentences | None:
    share, silent = explanation.completeness, explanation.silent
    if share is None:
        return None
    if share >= _COMPLETE and not silent:
        return Sentences("reporting is complete", "报告基本齐全")
    en = f"{percent(share)} of the usual reports are in"
    zh = f"报告完整率约{percent(share)}"
    if not silent:
        return Sentences(en, zh)
    names = [defang(name) for name in explanation.silent_facilities[:_NAMED_SILENT]]
    if silent <= _NAMED_SILENT:
        return Sentences(
            f"{en}, with nothing from {listed(names, 'and')}", f"{zh}，{'、'.join(names)}尚无报告"
        )
    return Sentences(
        f"{en}, with nothing from {silent} facilities such as {names[0]}",
        f"{zh}，{names[0]}等{silent}家机构尚无报告",
    )
