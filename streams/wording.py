"""Alerts in plain sentences, in English and Chinese."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, NamedTuple

from streams.epi_weeks import week_label

if TYPE_CHECKING:
    from schemas.alerts import Alert
    from schemas.config import Signal
    from streams.config import Configuration

__all__ = ["Sentences", "alert_sentences", "period_label"]


class Sentences(NamedTuple):
    """The same in both languages."""

    en: str
    zh: str


#: What is counted, by kind of events and measure.
_UNITS = {
    ("visits", "events"): Sentences("visits", "人次"),
    ("sales", "events"): Sentences("sales", "笔"),
    ("sales", "quantity"): Sentences("packs", "盒"),
}
_ANY_UNIT = Sentences("cases", "例")


def period_label(period: date, grain: str, configuration: Configuration) -> str:
    """Return a period's name: a date, or the epi week when the grain is the week."""
    if grain == "week":
        return week_label(period, configuration.surveillance.epi_week)
    return period.isoformat()


def alert_sentences(alert: Alert, configuration: Configuration) -> Sentences:
    """Tell in a sentence or two what an alert is about."""
    signal = configuration.surveillance.signals.get(alert.signal)
    region = configuration.regions.get(alert.region)
    unit = _unit(signal)
    when = _when(alert.last_period, alert.grain, configuration)
    en = (
        f"{region.name_en or region.name_zh if region else alert.region}, "
        f"{_title(alert, signal).en}: {_amount(alert.observed)} {unit.en} {when.en}"
    )
    zh = (
        f"{when.zh}，{region.name_zh or region.name_en if region else alert.region}"
        f"“{_title(alert, signal).zh}”{_amount(alert.observed)}{unit.zh}"
    )
    if alert.expected is not None:
        en += f", where {_amount(alert.expected)} were expected"
        zh += f"，预期{_amount(alert.expected)}{unit.zh}"
    if alert.upper is not None:
        en += f"; the alarm threshold is {_amount(alert.upper)}"
        zh += f"，预警阈值{_amount(alert.upper)}"
    since = _since(alert, configuration)
    return Sentences(f"{en}. {since.en}", f"{zh}。{since.zh}")


def _since(alert: Alert, configuration: Configuration) -> Sentences:
    if alert.exceedances == 0:
        return Sentences(
            "Corrections have taken all exceedances back.", "数据更正后已无超阈值时段。"
        )
    if alert.exceedances == 1:
        return Sentences("It is the only period in exceedance so far.", "为目前唯一超阈值时段。")
    first = period_label(alert.first_period, alert.grain, configuration)
    return Sentences(
        f"{alert.exceedances} periods have been in exceedance since {first}; "
        f"the highest count was {_amount(alert.peak)}.",
        f"自{first}起共{alert.exceedances}个时段超阈值，最高为{_amount(alert.peak)}。",
    )


def _when(period: date, grain: str, configuration: Configuration) -> Sentences:
    zh = f"{period.year}年{period.month}月{period.day}日"
    if grain == "week":
        label = week_label(period, configuration.surveillance.epi_week)
        year, _, week = label.partition("-W")
        ends = period + timedelta(days=6)
        return Sentences(
            f"in epi week {label} ({period} to {ends})", f"{year}年第{int(week)}周（{zh}起）"
        )
    if grain == "rolling7":
        return Sentences(f"in the 7 days up to {period}", f"截至{zh}的7天")
    return Sentences(f"on {period}", zh)


def _unit(signal: Signal | None) -> Sentences:
    return _UNITS.get((signal.of, signal.measure), _ANY_UNIT) if signal else _ANY_UNIT


def _title(alert: Alert, signal: Signal | None) -> Sentences:
    if signal is None:
        return Sentences(alert.signal, alert.signal)
    return Sentences(signal.title.en, signal.title.zh)


def _amount(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"
