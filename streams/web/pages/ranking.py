"""The regions below one that are most affected, as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from streams.store.curves import read_affected, read_latest_period, read_sparks
from streams.store.open_alerts import count_open_below
from streams.web.pages.course import shown_from
from streams.web.pictures import spark

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

    from markupsafe import Markup
    from psycopg import AsyncConnection

    from schemas.counts import Grain
    from schemas.regions import RegionLevel
    from streams.config import Configuration
    from streams.store.curves import Affected, Point
    from streams.web.pages.reader import Reader

__all__ = ["ORDERS", "Judged", "Ranked", "ranking", "rule_at", "rule_below", "table"]

_RANKED_AT_MOST: Final = 50
_PER: Final = 100_000
_UNKNOWN: Final = "–"
_PREFERRED: Final[tuple[Grain, ...]] = ("week", "rolling7", "day")


class Judged(NamedTuple):
    """A rule by which a page tells of a signal."""

    name: str
    level: RegionLevel
    grain: Grain


class Ranked(NamedTuple):
    """A line of the table of the most affected."""

    code: str
    name: str
    other: str
    excess: str
    rate: str
    peak: str
    peak_when: str
    ratio: str
    spark: Markup
    alerts: int


def rule_at(configuration: Configuration, signal: str, level: RegionLevel) -> Judged | None:
    """Return a rule that judges a signal at a level, one of weeks before others; None: none."""
    return next((r for r in _rules_of(configuration, signal) if r.level == level), None)


def rule_below(configuration: Configuration, signal: str, level: RegionLevel) -> Judged | None:
    """Return a rule of the nearest level below; None: none."""
    lower = [r for r in _rules_of(configuration, signal) if r.level.depth > level.depth]
    return min(lower, key=lambda rule: rule.level.depth, default=None)


def _rules_of(configuration: Configuration, signal: str) -> list[Judged]:
    rules = [
        Judged(name, rule.level, rule.grain)
        for name, rule in configuration.surveillance.rules.items()
        if rule.signal == signal
    ]
    return sorted(rules, key=lambda rule: _PREFERRED.index(rule.grain))


async def ranking(
    connection: AsyncConnection, reader: Reader, code: str, rule: Judged, order: str
) -> tuple[list[Ranked], date | None]:
    """Return the most affected regions below one, and the latest period that is compared.

    Parameters
    ----------
    order
        Key of `ORDERS`. Those of the largest excess are taken; among them the order is as asked.
    """
    configuration = reader.configuration
    signal = configuration.surveillance.rules[rule.name].signal
    latest = await read_latest_period(
        connection, signal=signal, grain=rule.grain, epi_week=configuration.surveillance.epi_week
    )
    if latest is None:
        return [], None
    first = shown_from(latest, rule.grain)
    found = await read_affected(
        connection, rule=rule.name, within=code, first=first, most=_RANKED_AT_MOST
    )
    found.sort(key=lambda one: ORDERS[order](one, reader), reverse=True)
    sparks = await read_sparks(connection, [(rule.name, one.region) for one in found])
    alerts = await count_open_below(connection, [one.region for one in found], signal=signal)
    lines = [
        _line(one, points, alerts.get(one.region, 0), rule, reader)
        for one, points in zip(found, sparks, strict=True)
    ]
    return lines, latest


def _line(one: Affected, points: list[Point], alerts: int, rule: Judged, reader: Reader) -> Ranked:
    rate = _rate(one, reader)
    name = reader.place(one.region)
    peak = one.peak
    return Ranked(
        code=one.region,
        name=name,
        other=reader.place_other(one.region),
        excess=reader.number(one.excess),
        rate=reader.number(rate) if rate else _UNKNOWN,
        peak=reader.number(peak.observed),
        peak_when=reader.period(peak.period, rule.grain),
        ratio=f"{_ratio(one, reader):.1f}×",
        spark=spark(points, name, width=130, height=34),
        alerts=alerts,
    )


def _rate(one: Affected, reader: Reader) -> float:
    region = reader.configuration.regions.get(one.region)
    return one.excess * _PER / region.population if region and region.population else 0.0


def _ratio(one: Affected, _: Reader) -> float:
    return (one.peak.observed or 0.0) / max(one.peak.expected or 0.0, 1.0)


def table(
    ranked: list[Ranked],
    latest: date | None,
    rule: Judged | None,
    reader: Reader,
    *,
    link: str,
    order: str,
) -> dict[str, Any]:
    """Return what the template of the table needs."""
    t = reader.t
    if rule is None or latest is None or not ranked:
        return {"ranked": [], "ranked_level": "", "ranked_note": "", "orders": [], "order": order,
                "rated": False}  # fmt: skip
    days = (latest - shown_from(latest, rule.grain)).days
    span = (
        t("region.span_weeks", n=days // 7)
        if rule.grain == "week"
        else t("region.span_days", n=days + 1)
    )
    last = reader.period(latest, "day" if rule.grain == "rolling7" else rule.grain)
    note = t("region.ranked_note", rule=rule.name, span=span, last=last)
    rated = any(one.rate != _UNKNOWN for one in ranked)
    return {
        "ranked": ranked,
        "ranked_level": t(f"levels.{rule.level}"),
        "rated": rated,
        "ranked_note": note,
        "order": order,
        "orders": [
            (key, t(f"region.{key}"), f"{link}&order={key}")
            for key in ORDERS
            if rated or key != "rate"
        ],
    }


#: By what the regions can be ordered.
ORDERS: Final[dict[str, Callable[[Affected, Reader], float]]] = {
    "excess": lambda one, _: one.excess,
    "rate": _rate,
    "peak": lambda one, _: one.peak.observed or 0.0,
    "ratio": _ratio,
}
