"""The explanation of an alert, in parts. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from schemas.counts import UNKNOWN_STRATUM
from streams.clauses import quality_note
from streams.phrases import percent, stepped
from streams.web.pages.facts import Fact
from streams.web.pictures import bar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup

    from schemas.alerts import Alert, Contribution, Explanation
    from streams.web.pages.reader import Reader

__all__ = ["Bar", "Group", "Why", "why"]

_SMALL: Final = 0.001


class Bar(NamedTuple):
    """A part of a count beside what is usual."""

    name: str
    link: str
    drawing: Markup
    text: str


class Group(NamedTuple):
    """Parts of one kind."""

    key: str
    title: str
    bars: list[Bar]


class Why(NamedTuple):
    """What an alert's page tells of its explanation."""

    period: str
    older: bool
    """It is of older numbers than the alert's."""
    facts: list[Fact]
    groups: list[Group]
    baseline_periods: int


def why(alert: Alert, reader: Reader, q_value: float | None) -> Why | None:
    """Tell why an alert is one; None: it is not explained yet."""
    told = alert.explanation
    if told is None:
        return None
    t = reader.t
    groups = [
        _group("facilities", told.facilities, reader, steps=told.steps),
        _group(
            "ages", told.age_groups, reader, names=lambda one: _age(one, reader), steps=told.steps
        ),
        _group("regions", told.regions, reader, names=reader.place, linked=alert.signal),
        _neighbours(told, reader, alert.signal),
    ]
    return Why(
        period=reader.period(told.period, alert.grain),
        older=told.period != alert.last_period,
        facts=[
            Fact(t("why.excess"), _signed(told, reader)),
            _growth(told, reader),
            _completeness(told, reader),
            _around(told, reader),
            *_quality(told, alert, reader),
            *_chance(alert, q_value, reader),
        ],
        groups=[group for group in groups if group.bars],
        baseline_periods=told.baseline_periods,
    )


def _signed(told: Explanation, reader: Reader) -> str:
    value = told.excess
    if value is None:
        return reader.t("why.unknown")
    sign = "≥" if told.incomplete else ""
    return f"{sign}{'+' if value > 0 else ''}{reader.number(value)}"


def _growth(told: Explanation, reader: Reader) -> Fact:
    t = reader.t
    if told.incomplete or told.latest_week is None or told.week_before is None:
        return Fact(t("why.growth"), t("why.unknown"))
    text = t("why.growth_text", now=reader.number(told.latest_week),
             before=reader.number(told.week_before))  # fmt: skip
    days = told.doubling_days
    more = [t("why.growth_until", day=told.growth_until.isoformat())] if told.growth_until else []
    if days and days <= _SLOWEST:
        more.append(t("why.doubling", n=f"{days:.0f}"))
    return Fact(t("why.growth"), text, _listed(more, reader))


#: A doubling slower than this, in days, is none to speak of.
_SLOWEST: Final = 28


def _completeness(told: Explanation, reader: Reader) -> Fact:
    t = reader.t
    if told.completeness is None:
        return Fact(t("why.completeness"), t("why.unknown"))
    text = t("why.completeness_text", share=percent(told.completeness), n=told.usual_facilities)
    if not told.silent:
        return Fact(t("why.completeness"), text, t("why.all_report"))
    names = ", ".join(told.silent_facilities)
    further = told.silent - len(told.silent_facilities)
    key = "why.silent_more" if further else "why.silent"
    return Fact(t("why.completeness"), text, t(key, names=names, n=further))


def _around(told: Explanation, reader: Reader) -> Fact:
    t = reader.t
    judged, high = told.neighbours_judged, len(told.neighbours)
    awaited, unknown = told.neighbours_awaited or 0, told.neighbours_unknown
    more = [
        t(key, n=number)
        for key, number in (
            ("why.neighbours_awaited", awaited),
            ("why.neighbours_unknown", unknown),
        )
        if number
    ]
    if not judged:
        text = t("why.neighbours_not_yet" if awaited else "why.unknown")
        return Fact(t("why.neighbours"), text, _listed(more, reader))
    key = "why.neighbours_text" if high else "why.neighbours_none"
    return Fact(t("why.neighbours"), t(key, n=high, all=judged), _listed(more, reader))


def _listed(clauses: Sequence[str], reader: Reader) -> str:
    return ("；" if reader.lang == "zh" else "; ").join(clauses)


def _quality(told: Explanation, alert: Alert, reader: Reader) -> list[Fact]:
    note = quality_note(told.quality, alert.grain, reader.configuration)
    if note is None:
        return []
    return [Fact(reader.t("why.quality"), note.zh if reader.lang == "zh" else note.en)]


def _chance(alert: Alert, q_value: float | None, reader: Reader) -> list[Fact]:
    if alert.p_value is None:
        return []
    more = reader.t("why.q_text", q=_probability(q_value)) if q_value is not None else ""
    shown = reader.t("why.chance_text", p=_probability(alert.p_value))
    return [Fact(reader.t("why.chance"), shown, more)]


def _probability(p: float) -> str:
    """Write a probability for people.

    Examples
    --------
    >>> _probability(0.0316), _probability(1e-12)
    ('= 0.032', '< 0.001')
    """
    return "< 0.001" if p < _SMALL else f"= {p:.2g}"


def _age(name: str, reader: Reader) -> str:
    if name == UNKNOWN_STRATUM:
        return reader.t("why.age_unknown")
    return reader.t("why.age", name=name)


def _group(
    key: str,
    parts: Sequence[Contribution],
    reader: Reader,
    *,
    names: object = str,
    linked: str | None = None,
    steps: int | None = None,
) -> Group:
    top = max((max(one.observed, one.expected or 0) for one in parts), default=0.0)
    bars = []
    for one in parts:
        name = names(one.name)  # type: ignore[operator]
        now, usual = _count(one.observed, reader, steps), _count(one.expected, reader, steps)
        text = (
            reader.t("why.bar_new", now=now)
            if one.expected is None
            else reader.t("why.bar_text", now=now, usual=usual)
        )
        link = f"/regions/{one.name}?signal={linked}" if linked else ""
        drawing = bar(one.observed, one.expected, top, f"{name}: {text}")
        bars.append(Bar(name, link, drawing, text))
    return Group(key, reader.t(f"why.{key}"), bars)


def _count(value: float | None, reader: Reader, steps: int | None) -> str:
    if value is None or steps is None:
        return reader.number(value)
    told = stepped(value, steps)
    return told.zh if reader.lang == "zh" else told.en


def _neighbours(told: Explanation, reader: Reader, signal: str) -> Group:
    parts = told.neighbours
    top = max((max(one.observed, one.expected or 0) for one in parts), default=0.0)
    bars = []
    for one in parts:
        now = reader.number(one.observed, incomplete=one.incomplete)
        usual = reader.number(one.expected)
        text = reader.t("why.bar_expected", now=now, usual=usual)
        name = f"{reader.place(one.region)} ◆" if one.alarm else reader.place(one.region)
        drawing = bar(one.observed, one.expected, top, f"{name}: {text}")
        bars.append(Bar(name, f"/regions/{one.region}?signal={signal}", drawing, text))
    return Group("high_neighbours", reader.t("why.high_neighbours"), bars)
