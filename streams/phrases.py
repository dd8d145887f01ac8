"""Parts of sentences in English and Chinese: times, places, units, numbers for people."""

from __future__ import annotations

from datetime import date, timedelta
from math import floor
from typing import TYPE_CHECKING, NamedTuple

from schemas.counts import UNKNOWN_STRATUM
from streams.epi_weeks import week_label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from schemas.alerts import Alert
    from streams.config import Configuration

__all__ = [
    "Sentences",
    "Unit",
    "ages",
    "amount",
    "at_least",
    "comparison",
    "listed",
    "percent",
    "place",
    "plain",
    "stepped",
    "subject_zh",
    "title",
    "unit",
    "when",
]


class Sentences(NamedTuple):
    """The same in both languages."""

    en: str
    zh: str


class Unit(NamedTuple):
    """What is counted."""

    one: str
    several: str
    zh: str
    #: What a Chinese count of it needs before the number.
    verb_zh: str = ""

    def en(self, count: float) -> str:
        """Return the English word for so many."""
        return self.one if amount(count) == "1" else self.several


#: What is counted, by kind of events and measure.
_UNITS = {
    ("visits", "events"): Unit("visit", "visits", "人次", "就诊"),
    ("sales", "events"): Unit("sale", "sales", "笔"),
    ("sales", "quantity"): Unit("pack", "packs", "盒"),
}
_ANY_UNIT = Unit("case", "cases", "例")

_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
#: From here on people read whole numbers only.
_WHOLE_FROM = 10
#: An observed count is told as a multiple of the expected one from here on.
_MULTIPLE_FROM = 1.9
#: Multiples are told with one decimal below it.
_WHOLE_MULTIPLE_FROM = 10


def unit(alert: Alert, configuration: Configuration) -> Unit:
    """Return what an alert's signal counts."""
    signal = configuration.surveillance.signals.get(alert.signal)
    return _UNITS.get((signal.of, signal.measure), _ANY_UNIT) if signal else _ANY_UNIT


def title(alert: Alert, configuration: Configuration) -> Sentences:
    """Return the name of an alert's signal."""
    signal = configuration.surveillance.signals.get(alert.signal)
    if signal is None:
        return Sentences(alert.signal, alert.signal)
    return Sentences(signal.title.en, signal.title.zh)


def subject_zh(alert: Alert, configuration: Configuration) -> str:
    """Return region, signal and what is done there, to be followed by a count in Chinese."""
    named = title(alert, configuration).zh
    verb = unit(alert, configuration).verb_zh
    where = place(alert.region, configuration).zh
    return f"{where}{named}{'' if verb in named else verb}"


def place(code: str, configuration: Configuration) -> Sentences:
    """Return a region's name, or its code where the registry does not know it."""
    region = configuration.regions.get(code)
    if region is None:
        return Sentences(code, code)
    return Sentences(region.name_en or region.name_zh, region.name_zh or region.name_en)


def when(
    period: date, grain: str, configuration: Configuration, *, since: date | None = None
) -> Sentences:
    """Tell a period's time.

    Parameters
    ----------
    since
        Gives the time of this earlier period in place of it, to follow "since"; the year only
        where it is another one.
    """
    if grain == "week":
        year, week = _week(period, configuration)
        if since is not None:
            its_year, its_week = _week(since, configuration)
            if its_year == year:
                return Sentences(f"week {its_week}", f"第{its_week}周")
            return Sentences(f"week {its_week} of {its_year}", f"{its_year}年第{its_week}周")
        ends = period + timedelta(days=6)
        return Sentences(
            f"in week {week} of {year} ({_span(period, ends)})",
            f"{year}年第{week}周（{_span_zh(period, ends)}）",
        )
    en, zh = _day(period), f"{period.year}年{period.month}月{period.day}日"
    if since is not None:
        here = since.year == period.year
        en, zh = _day(since), f"{since.year}年{since.month}月{since.day}日"
        return Sentences(en[:-5] if here else en, zh.partition("年")[2] if here else zh)
    if grain == "rolling7":
        return Sentences(f"in the 7 days to {en}", f"截至{zh}的7天内")
    return Sentences(f"on {en}", zh)


def _week(period: date, configuration: Configuration) -> tuple[str, int]:
    year, _, week = week_label(period, configuration.surveillance.epi_week).partition("-W")
    return year, int(week)


def _day(day: date) -> str:
    return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"


def _span(first: date, last: date) -> str:
    if first.month == last.month:
        return f"{first.day}–{last.day} {_MONTHS[last.month - 1]}"
    return f"{first.day} {_MONTHS[first.month - 1]} – {last.day} {_MONTHS[last.month - 1]}"


def _span_zh(first: date, last: date) -> str:
    month = f"{last.month}月" if first.month != last.month else ""
    return f"{first.month}月{first.day}日至{month}{last.day}日"


def amount(value: float) -> str:
    """Write a number for people: whole from 10 on, else with one decimal where it has one.

    Examples
    --------
    >>> amount(1234.6), amount(3.44), amount(3.0)
    ('1,235', '3.4', '3')
    """
    if abs(value) >= _WHOLE_FROM:
        return f"{value:,.0f}"
    return f"{value:.1f}".removesuffix(".0")


def plain(value: float) -> str:
    """Write a number as `amount`, without separators, as Chinese texts have it."""
    return amount(value).replace(",", "")


def stepped(value: float, steps: int | None) -> Sentences:
    """Write a count that is exact, or that stands for a step of so many.

    Examples
    --------
    >>> stepped(2.57, None).en, stepped(10, 5).en, stepped(0, 5).en
    ('2.6', '10 to 14', 'under 5')
    """
    if steps is None:
        return Sentences(amount(value), plain(value))
    if value < steps:
        return Sentences(f"under {steps}", f"不足{steps}")
    last = value + steps - 1
    return Sentences(f"{amount(value)} to {amount(last)}", f"{plain(value)}–{plain(last)}")


def at_least(value: str) -> Sentences:
    """Write a lower bound, of a number that is written already.

    Examples
    --------
    >>> at_least("193")
    Sentences(en='at least 193', zh='至少193')
    """
    return Sentences(f"at least {value}", f"至少{value}")


def percent(share: float) -> str:
    """Write a share for people; only a whole is 100%.

    Examples
    --------
    >>> percent(0.333), percent(0.999), percent(1.0)
    ('33%', '99%', '100%')
    """
    return f"{min(round(share * 100), 99) if share < 1 else round(share * 100)}%"


def comparison(
    observed: float, expected: float, counted: Unit, *, incomplete: bool = False
) -> Sentences:
    """Hold a count against what was expected.

    Parameters
    ----------
    incomplete
        The count is a lower bound: so is the multiple, which is rounded down.
    """
    usual, usual_zh = amount(expected), f"{plain(expected)}{counted.zh}"
    if observed <= expected or usual == amount(observed):
        return Sentences(f"where {usual} would be expected", f"预期{usual_zh}")
    if usual == "0":
        return Sentences("where next to none would be expected", "而预期几乎为零")
    ratio = observed / expected
    if incomplete:
        return _bounded(ratio, usual, usual_zh)
    if ratio < _MULTIPLE_FROM:
        more = percent(ratio - 1)
        return Sentences(f"{more} more than the {usual} expected", f"比预期（{usual_zh}）高{more}")
    rounded = round(ratio) if ratio >= _WHOLE_MULTIPLE_FROM else round(ratio, 1)
    times = "twice" if rounded == 2 else f"{amount(rounded)} times"  # noqa: PLR2004 - twice is two
    return Sentences(
        f"about {times} the {usual} expected", f"约为预期（{usual_zh}）的{plain(rounded)}倍"
    )


def _bounded(ratio: float, usual: str, usual_zh: str) -> Sentences:
    if ratio < _MULTIPLE_FROM:
        more = percent(floor(100 * (ratio - 1)) / 100)
        return Sentences(
            f"at least {more} more than the {usual} expected", f"至少比预期（{usual_zh}）高{more}"
        )
    rounded = floor(ratio) if ratio >= _WHOLE_MULTIPLE_FROM else floor(10 * ratio) / 10
    return Sentences(
        f"at least {amount(rounded)} times the {usual} expected",
        f"至少为预期（{usual_zh}）的{plain(rounded)}倍",
    )


def ages(names: Sequence[str]) -> Sentences:
    """Name age groups."""
    told = [_age(name) for name in names]
    en = listed([one.en for one in told], "and")
    if UNKNOWN_STRATUM not in names:
        en = f"ages {en}"
    return Sentences(en, "、".join(one.zh for one in told))


def _age(name: str) -> Sentences:
    if name == UNKNOWN_STRATUM:
        return Sentences("people of unknown age", "年龄不详者")
    if name.endswith("+"):
        return Sentences(f"{name[:-1]} and over", f"{name[:-1]}岁及以上")
    low, _, high = name.partition("-")
    return Sentences(f"{low} to {high}", f"{low}至{high}岁")


def listed(words: Sequence[str], last: str) -> str:
    """Join words as a sentence does.

    Examples
    --------
    >>> listed(["a", "b", "c"], "and")
    'a, b and c'
    """
    if len(words) < 2:  # noqa: PLR2004 - nothing to join
        return "".join(words)
    return f"{', '.join(words[:-1])} {last} {words[-1]}"
