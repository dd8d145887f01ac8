"""Counts as people and programs write them: 1006, 1,006, 1.006, 1 006, 1'006, full-width digits."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

from schemas.widths import half_width

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Decimal", "Numbers", "Problem", "is_missing", "read_numbers"]

Decimal: TypeAlias = Literal[".", ","]
"""What stands before the decimals."""

#: What programs write for a missing number (X: FluView); an empty cell is missing too.
_MISSING: Final = frozenset(
    {"", "na", "n/a", "nan", "null", "none", "-", "--", "—", "–", "#n/a", "."}
)
_PLAIN: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_GROUPED: Final = r"[+-]?[1-9]\d{{0,2}}(?:{0}\d{{3}})"
_ONE: Final[Mapping[str, re.Pattern[str]]] = {
    mark: re.compile(_GROUPED.format(re.escape(mark)), re.ASCII) for mark in ".,"
}
_MANY: Final[Mapping[str, re.Pattern[str]]] = {
    mark: re.compile(_GROUPED.format(re.escape(mark)) + "{2,}", re.ASCII) for mark in ".,"
}
#: One mark groups thousands and the other stands before decimals.
_BOTH: Final[Mapping[Decimal, re.Pattern[str]]] = {
    ".": re.compile(r"[+-]?\d{1,3}(,\d{3})+\.\d*", re.ASCII),
    ",": re.compile(r"[+-]?\d{1,3}(\.\d{3})+,\d*", re.ASCII),
}
_DECIMALS: Final[Mapping[Decimal, re.Pattern[str]]] = {
    ".": re.compile(r"[+-]?\d*\.\d+(e[+-]?\d+)?", re.ASCII | re.IGNORECASE),
    ",": re.compile(r"[+-]?\d*,\d+", re.ASCII),
}
#: Blanks (thin and no-break ones as well) and apostrophes between groups of three digits.
_SPACED: Final = re.compile(r"(?<=\d)[\s'’ʼ`´](?=\d{3}(?!\d))")
#: Small cells that a publisher suppressed.
_BOUND: Final = re.compile(r"[<≤]\s*(\d+)", re.ASCII)
#: More than people live on earth, whatever is counted: such a number is a mistake.
_LARGEST: Final = 1e11
_THOUSAND: Final = 1000
_MAY_BE: Final = "may be"
_OTHER: Final[Mapping[Decimal, Decimal]] = {".": ",", ",": "."}


class Problem(NamedTuple):
    """What is wrong with a number.

    Parameters
    ----------
    text
        The number as it stands in the file.
    fault
        What is wrong with it, and how to mend it.
    same
        Equal for numbers with the same fault, which is told once.
    """

    text: str
    fault: str
    same: str

    def told(self, what: str, column: str = "") -> str:
        """Say it, of a count or a population, and of a column where several hold counts."""
        shown = self.text if _PLAIN.fullmatch(self.text) else repr(self.text)
        return f"{what} {shown}{f' of {column}' if column else ''} {self.fault}"


class Numbers(NamedTuple):
    """Values of texts, NaN where a number is missing or wrong.

    Parameters
    ----------
    values
        In the order of the texts.
    problems
        By number of the text.
    notes
        What was assumed, one sentence each.
    """

    values: list[float]
    problems: dict[int, Problem]
    notes: list[str]


def is_missing(text: str) -> bool:
    """Tell whether a cell says that there is no number.

    Examples
    --------
    >>> is_missing(""), is_missing("NA"), is_missing("0")
    (True, True, False)
    """
    return text.lower() in _MISSING or text == "X"


def read_numbers(
    texts: Iterable[str], *, what: str = "count", decimal: Decimal | None = None, commas: bool
) -> Numbers:
    """Read the different texts of a column together: they show what a point and a comma mean.

    Parameters
    ----------
    texts
        The different texts.
    what
        `count` (0 or more) or `population` (above 0), for messages too.
    decimal
        What stands before decimals, where somebody said so.
    commas
        Whether commas separate the file's cells: then, a comma in a number groups thousands.

    Examples
    --------
    >>> read_numbers(["1.234.567", "1.006", "12"], commas=False).values
    [1234567.0, 1006.0, 12.0]
    >>> read_numbers(["1.006", "1.5"], commas=True).values
    [1.006, 1.5]
    >>> read_numbers(["1.006"], commas=True).problems[0].told("count")  # doctest: +ELLIPSIS
    'count 1.006 may be 1006 or 1 with decimals; write 1006, or add --decimal , (1006) or ...'
    """
    given = [_tidy(text) for text in texts]
    style = _Style(given, decimal, commas=commas)
    values, problems = [], {}
    for place, text in enumerate(given):
        value, fault = _value(text, style, what)
        values.append(value)
        if fault is not None:
            unclear = fault.startswith(_MAY_BE)
            problems[place] = Problem(text, fault, _MAY_BE if unclear else text)
    return Numbers(values, problems, [] if problems else style.notes)


class _Style:
    """What points and commas mean in the texts of a column."""

    def __init__(self, texts: list[str], decimal: Decimal | None, *, commas: bool) -> None:
        styled = [text for text in texts if not _is_whole(text) and not is_missing(text)]
        groups = {mark: any(one.fullmatch(text) for text in styled) for mark, one in _MANY.items()}
        decimals = {mark: any(_is_decimal(text, mark) for text in styled) for mark in _DECIMALS}
        unclear = {mark: [t for t in styled if _ONE[mark].fullmatch(t)] for mark in _DECIMALS}
        plain = any(_is_whole(text) and float(text) >= _THOUSAND for text in texts)
        self.decimal = decimal
        if decimal is None:
            if decimals["."] or groups[","]:
                self.decimal = "."
            elif decimals[","] or groups["."]:
                self.decimal = ","
            elif (unclear["."] and plain) or (unclear[","] and commas):
                self.decimal = "."
            elif unclear[","] and plain:
                self.decimal = ","
        self.notes = []
        shown = next(iter([*unclear["."], *unclear[","]]), None)
        if decimal is None and shown is not None and self.decimal is not None:
            value = _converted(shown, self.decimal)
            self.notes.append(f"{shown} is read as {value:g}; say otherwise with --decimal.")


def _is_whole(text: str) -> bool:
    return text.isascii() and text.isdecimal()


def _is_decimal(text: str, mark: Decimal) -> bool:
    if _BOTH[mark].fullmatch(text):
        return True
    return bool(_DECIMALS[mark].fullmatch(text)) and not _ONE[mark].fullmatch(text)


def _tidy(text: str) -> str:
    if text.isascii() and text.isalnum():
        return text
    return _SPACED.sub("", half_width(text).strip().replace("−", "-"))


def _converted(text: str, decimal: Decimal) -> float:
    grouping = _OTHER[decimal]
    if grouping in text:
        whole = text.partition(decimal)[0]
        if not re.fullmatch(_GROUPED.format(re.escape(grouping)) + "+", whole, re.ASCII):
            return math.nan
    plain = text.replace(grouping, "").replace(decimal, ".")
    return float(plain) if _PLAIN.fullmatch(plain) else math.nan


def _value(text: str, style: _Style, what: str) -> tuple[float, str | None]:
    if _is_whole(text):
        value = float(text)
    elif is_missing(text):
        return math.nan, None
    else:
        if style.decimal is None and any(one.fullmatch(text) for one in _ONE.values()):
            return math.nan, _unclear(text)
        value = _converted(text, style.decimal or ".")
    if math.isnan(value):
        return value, _no_number(text)
    if value < 0 or (what == "population" and value == 0):
        least = "0 or more" if what == "count" else "above 0"
        return math.nan, f"is not {least}; correct it, or leave it empty where it is missing"
    if value > _LARGEST:
        return math.nan, f"is above {_LARGEST:g}; correct it"
    return value + 0.0, None  # -0 is 0


def _unclear(text: str) -> str:
    mark: Decimal = "." if "." in text else ","
    together = text.replace(mark, "")
    return (
        f"{_MAY_BE} {together} or {text.partition(mark)[0]} with decimals; write {together}, or "
        f"add --decimal {_OTHER[mark]} ({together}) or --decimal {mark} ({text})"
    )


def _no_number(text: str) -> str:
    if bound := _BOUND.fullmatch(text):
        return (
            f"is a limit; write a number up to {bound[1]}, or nothing where the count is not known"
        )
    if text.endswith("%"):
        return "is a percentage; write counts of cases"
    if mark := next((one for one in text if one.isnumeric() and not one.isascii()), None):
        return f"is no number: {mark} is a footnote's mark or no digit from 0 to 9; take it out"
    return "is no number; write digits without thousands separators, or nothing where it is missing"
