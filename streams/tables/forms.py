"""What one text of a column of times looks like, before the column says what it means."""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING, Final, NamedTuple

from schemas.widths import half_width

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Form", "form_of"]

_WEEKDAYS: Final = {"mon": 0, "tue": 1, "wed": 2, "thu": 3, "fri": 4, "sat": 5, "sun": 6}
_MONTHS: Final = {
    name: number
    for number, names in enumerate(
        ("jan january", "feb february", "mar march", "apr april", "may", "jun june", "jul july",
         "aug august", "sep sept september", "oct october", "nov november", "dec december"), 1,
    )
    for name in names.split()
}  # fmt: skip
#: A time of day behind a date; counts are of days.
_CLOCK: Final = re.compile(
    r"(?<=[\d日号])(?:[T\s]+)\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?\s*(?:Z|UTC|AM|PM|[+-]\d\d:?\d\d)?",
    re.ASCII | re.IGNORECASE,
)
_TOTALS: Final = re.compile(r"(?i:sub)?(?i:total|sum|gesamt|summe)s?\b.*|[合总小共]计.*|总数")
_TWO_DIGITS: Final = 100
_CENTURY: Final = 2000
_EARLIEST, _LATEST = 1900, 2100


class Form(NamedTuple):
    """A text by its outer form.

    Parameters
    ----------
    name
        `date`, `slashed` (day or month first), `packed_date`, `week`, `day_week` (begins on the
        day that it names), `month`, `pair` (month or week), `packed` (the same without a hyphen),
        `year`, `integer`, `decimal` or `other`.
    parts
        Its numbers: year, month or week, day; for `slashed` in the order of the text.
    fault
        What is wrong with it, where that is known.
    whole
        Its value, where it consists of digits.
    """

    name: str
    parts: tuple[int, ...] = ()
    fault: str = ""
    whole: int = 0


def form_of(text: str) -> Form:
    """Tell the form of a text.

    Examples
    --------
    >>> [form_of(text)[:2] for text in ("2024/1/5 0:00", "2020W1", "2024年第5周", "202001")]
    [('date', (2024, 1, 5)), ('week', (2020, 1)), ('week', (2024, 5)), ('packed', (2020, 1))]
    """
    plain = _CLOCK.sub("", half_width(text).strip()).strip()
    for pattern, make in _FORMS:
        if found := pattern.fullmatch(plain):
            return make(text, *found.groups())
    return Form("other")


def _numbers(name: str) -> Callable[..., Form]:
    return lambda _, *groups: Form(name, tuple(int(group) for group in groups))


def _reversed(name: str) -> Callable[..., Form]:
    return lambda _, *groups: Form(name, tuple(int(group) for group in reversed(groups)))


def _digits(_: str, text: str, __: str | None = None) -> Form:
    whole = int(text)
    if len(text) == len("20090803") and _EARLIEST <= whole // 10_000 <= _LATEST:
        month, day = whole // 100 % 100, whole % 100
        if 1 <= month <= 12 and 1 <= day <= 31:  # noqa: PLR2004 - months and days
            return Form("packed_date", (whole // 10_000, month, day), whole=whole)
    packed = len(text) == len("200908") and _EARLIEST <= whole // 100 <= _LATEST
    if packed and 1 <= whole % 100 <= 53:  # noqa: PLR2004 - weeks
        return Form("packed", (whole // 100, whole % 100), whole=whole)
    if _EARLIEST <= whole <= _LATEST and len(text) == len("2009"):
        return Form("year", (whole,), whole=whole)
    return Form("integer", (whole,), whole=whole)


def _decimal(_: str, whole: str) -> Form:
    return Form("decimal", (int(whole),))


def _slashed(text: str, first: str, mark: str, second: str, year: str) -> Form:
    numbers = int(first), int(second), int(year)
    if mark == "." and len(year) == len("2024"):  # German and Russian: the day comes first
        return Form("date", numbers[::-1])
    if numbers[2] >= _TWO_DIGITS:
        return Form("slashed", numbers)
    # Only 1/22/20, as Johns Hopkins has it: 24/01/05 and 24-01-05 may be anything.
    if mark == "/" and numbers[0] <= 12:  # noqa: PLR2004 - months
        return Form("slashed", (*numbers[:2], _CENTURY + numbers[2]))
    return Form("other", fault=f"time {text} has no year of four digits; write 2024-01-05")


def _day_week(_: str, year: str, day: str, week: str) -> Form:
    return Form("day_week", (int(year), int(week), _WEEKDAYS[day.lower()]))


def _day_of_week(_: str, year: str, week: str, day: str) -> Form:
    try:
        found = date.fromisocalendar(int(year), int(week), int(day))
    except ValueError:
        return Form("other")
    return Form("date", (found.year, found.month, found.day))


def _named_date(*places: int) -> Callable[..., Form]:
    def make(_: str, *groups: str) -> Form:
        year, month, day = (groups[place] for place in places)
        number = _MONTHS.get(month.lower())
        return Form("other") if number is None else Form("date", (int(year), number, int(day)))

    return make


def _named_month(*places: int) -> Callable[..., Form]:
    def make(_: str, *groups: str) -> Form:
        year, month = (groups[place] for place in places)
        number = _MONTHS.get(month.lower())
        return Form("other") if number is None else Form("month", (int(year), number))

    return make


def _fault(fault: str) -> Callable[..., Form]:
    return lambda text, *_: Form("other", fault=f"time {text} {fault}")


_YEAR: Final = r"(\d{4})"
_WEEK: Final = r"(?:W|KW|WK|WEEK|EW)\.?\s*"
#: Quarters, half years, two weeks or months and financial years, also of DHIS2.
_LONGER: Final = r"(?:(?:Q|BiW|B|S|NovS)\d{1,2}|第?[1-4一二三四]季度|April|July|Oct|Nov)"
#: Tried in this order.
_PATTERNS: Final[Mapping[str, Callable[..., Form]]] = {
    r"(-?\d{1,13})(\.0+)?": _digits,
    r"(\d{1,13})\.\d+": _decimal,
    _YEAR + r"[-/.](\d{1,2})[-/.](\d{1,2})": _numbers("date"),
    _YEAR + r"\s*年\s*(\d{1,2})\s*月\s*(\d{1,2})\s*[日号]?": _numbers("date"),
    r"(\d{1,2})([-/.])(\d{1,2})\2(\d{4}|\d{2})": _slashed,
    _YEAR + r"\s*[-_/ ]?\s*" + _WEEK + r"(\d{1,2})": _numbers("week"),
    _YEAR + r"-?W(\d{2})-?(\d)": _day_of_week,
    _WEEK + r"(\d{1,2})\s*[-_/ ,]\s*" + _YEAR: _reversed("week"),
    r"(\d{1,2})\.?\s*" + _WEEK + r"[-_/ ,]?\s*" + _YEAR: _reversed("week"),
    _YEAR + r"\s*[年-]?\s*第?\s*(\d{1,2})\s*周": _numbers("week"),
    _YEAR + r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun)W(\d{1,2})": _day_week,
    _YEAR + r"\s*年\s*(\d{1,2})\s*月份?": _numbers("month"),
    _YEAR + r"-?M(\d{1,2})": _numbers("month"),
    _YEAR + r"[-/.](\d{1,2})": _numbers("pair"),
    _YEAR + r"\s*年": _numbers("year"),
    r"(\d{1,2})[-/ ]([A-Z]{3,9})\.?[-/ ,]\s*" + _YEAR: _named_date(2, 1, 0),
    r"([A-Z]{3,9})\.? (\d{1,2}),? " + _YEAR: _named_date(2, 0, 1),
    r"([A-Z]{3,9})\.?[-/ ]" + _YEAR: _named_month(1, 0),
    _YEAR + r"[-/ ]?([A-Z]{3,9})": _named_month(0, 1),
    r"([A-Z]{3,9})[-/ ](\d{2})": _fault("has no year of four digits; write a month like 2024-01"),
    _YEAR + r"[-_ 年]*" + _LONGER: _fault(
        "is no day, week, month or year; add the counts up by one of these"
    ),
    r"\d{1,2}[-/.]\d{1,2}|\d{1,2}月\d{1,2}[日号]?": _fault("has no year; write 2024-01-05"),
    _TOTALS.pattern: _fault("seems to be a row of totals; remove it"),
}  # fmt: skip
_FORMS: Final = [
    (re.compile(pattern, re.ASCII | re.IGNORECASE), make) for pattern, make in _PATTERNS.items()
]
