"""Clauses of an alert's sentence that its explanation gives, in English and in Chinese."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.counts import last_day
from streams.defang import defang
from streams.phrases import (
    Sentences,
    ages,
    amount,
    listed,
    percent,
    place,
    plain,
    stepped,
    unit,
    when,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from schemas.alerts import Alert, Contribution, DataQuality, Explanation
    from schemas.counts import Grain
    from streams.config import Configuration

__all__ = ["explaining_clauses", "main_ages", "main_facilities", "quality_note", "spread"]

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
        _growth(alert, explanation, configuration),
        _origin(alert, explanation, configuration),
        _nearby(explanation, configuration),
        _completeness(explanation),
        _quality(alert, explanation, configuration),
    ]


def _growth(
    alert: Alert, explanation: Explanation, configuration: Configuration
) -> Sentences | None:
    """Tell the growth from 7 days to the next, and which days these are.

    They end with the last whole day. Where the exceedance reaches beyond it, they may have fallen
    before it came: then only a rise is told.
    """
    latest, before = explanation.latest_week, explanation.week_before
    if explanation.growth_per_day is None or not latest or not before:
        return None
    ratio = latest / before
    until, last = explanation.growth_until, last_day(alert.last_period, alert.grain)
    if until is not None and until < last and ratio < 1 + _STEADY:
        return None
    if until == last and alert.grain != "day":
        # The sentence has named these days.
        days = Sentences("in these 7 days", "这7天")
    elif until is not None:
        day = when(alert.last_period, "day", configuration, since=until)
        days = Sentences(f"in the 7 days to {day.en}", f"截至{day.zh}的7天")
    else:
        days = Sentences("in the latest 7 whole days", "最近完整7天")
    return _change(ratio, explanation.doubling_days, days)


def _change(ratio: float, doubling: float | None, days: Sentences) -> Sentences:
    if ratio >= _LEAP:
        times = round(ratio)
        return Sentences(
            f"{amount(times)} times as many {days.en} as in the 7 days before",
            f"{days.zh}为前7天的{plain(times)}倍",
        )
    if doubling is not None and doubling <= _SLOWEST_DOUBLING:
        return Sentences(
            f"doubling about every {round(doubling)} days by the count {days.en} and the 7 before",
            f"按{days.zh}与前7天相比，约每{round(doubling)}天翻一番",
        )
    if abs(ratio - 1) < _STEADY:
        return Sentences(
            f"about as many {days.en} as in the 7 days before", f"{days.zh}与前7天基本持平"
        )
    if ratio > 1:
        return Sentences(
            f"{percent(ratio - 1)} more {days.en} than in the 7 days before",
            f"{days.zh}较前7天上升{percent(ratio - 1)}",
        )
    return Sentences(
        f"{percent(1 - ratio)} fewer {days.en} than in the 7 days before",
        f"{days.zh}较前7天下降{percent(1 - ratio)}",
    )


def _origin(
    alert: Alert, explanation: Explanation, configuration: Configuration
) -> Sentences | None:
    """Tell which ages and places the excess comes from."""
    counted = unit(alert, configuration)
    groups = main_ages(explanation)
    if explanation.regions:
        whole = explanation.excess or 0.0
        regions = _outstanding(explanation.regions, _WORTH_NAMING, whole, most=3)
        shown: list[tuple[Sentences, Sentences | None]] = [
            (place(one.name, configuration), _against(one, counted.zh)) for one in regions
        ]
        everywhere = not regions and any(one.expected is not None for one in explanation.regions)
        which, many = "in", Sentences("many areas", "多个地区")
    else:
        by_name = {one.name: one for one in explanation.facilities}
        shown = [
            (
                Sentences(defang(name), defang(name)),
                _against(by_name[name], counted.zh, explanation.steps) if name in by_name else None,
            )
            for name in main_facilities(explanation)
        ]
        everywhere, which = spread(explanation), "at"
        many = Sentences("many facilities", "多家机构")
    en, zh = [], []
    if groups:
        told = ages(groups)
        en.append(f"mainly in {told.en}")
        zh.append(f"以{told.zh}为主")
    if shown:
        en.append(
            (f"{which} " if groups else f"mainly {which} ")
            + listed([f"{name.en} ({n.en})" if n else name.en for name, n in shown], "and")
        )
        zh.append(
            "主要来自" + "、".join(f"{name.zh}（{n.zh}）" if n else name.zh for name, n in shown)
        )
    elif everywhere:
        en.append(f"spread over {many.en}")
        zh.append(f"分布于{many.zh}")
    if not en:
        return None
    return Sentences(f"the excess is {', '.join(en)}", f"超出部分{'，'.join(zh)}")


def main_ages(explanation: Explanation) -> tuple[str, ...]:
    """Return the age groups that make up a good part of the excess, by exact counts."""
    if explanation.steps is not None:
        return explanation.named_ages
    found = _outstanding(explanation.age_groups, _WORTH_NAMING_AGE)
    return tuple(one.name for one in found)


def main_facilities(explanation: Explanation) -> tuple[str, ...]:
    """Return the facilities that make up a good part of the excess, by exact counts."""
    if explanation.steps is not None:
        return explanation.named_facilities
    found = _outstanding(explanation.facilities, _WORTH_NAMING, explanation.excess or 0.0)
    return tuple(one.name for one in found)


def spread(explanation: Explanation) -> bool:
    """Tell whether no facility makes up a good part of the excess, by exact counts."""
    if explanation.steps is not None:
        return explanation.spread
    known = any(one.expected is not None for one in explanation.facilities)
    return known and not main_facilities(explanation)


def _against(one: Contribution, counted: str, steps: int | None = None) -> Sentences:
    now = stepped(one.observed, steps)
    if one.expected is None:
        return Sentences(f"{now.en}, new there", f"{now.zh}{counted}，此前无报告")
    usual = stepped(one.expected, steps)
    return Sentences(f"{now.en}, usually {usual.en}", f"{now.zh}{counted}，平时{usual.zh}{counted}")


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
