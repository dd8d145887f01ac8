"""Times that are numbers of days or seconds, as spreadsheets and programs hold them."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["day_number_fault"]

#: Day 0 in the two calendars of Excel, and the numbers that are days of 1954 to 2119.
_EXCEL, _EXCEL_1904 = date(1899, 12, 30), date(1904, 1, 1)
_EXCEL_DAYS: Final = range(20_000, 80_000)
#: Day 0 in R (also Unix, in seconds), and in SAS and Stata; days of 1997 to 2024 in R.
_R, _SAS = date(1970, 1, 1), date(1960, 1, 1)
_R_DAYS: Final = range(10_000, 20_000)
#: Seconds since 1970 of 1989 to 2096.
_SECONDS: Final = range(600_000_000, 4_000_000_000)
_DAY_SECONDS: Final = 86_400
_MILLI: Final = 1000


def day_number_fault(texts: Sequence[str], values: Sequence[int]) -> str | None:
    """Describe times that are day numbers of Excel, R or SAS, or seconds since 1970.

    Parameters
    ----------
    texts, values
        The different times, and their whole parts.

    Examples
    --------
    >>> day_number_fault(["1", "2"], [1, 2]) is None
    True
    """
    usual, first = sorted(values)[len(values) // 2], values[0]
    if usual in _EXCEL_DAYS:
        return (
            f"time {texts[0]} seems to be a day number of Excel: {_after(_EXCEL, first)} (or "
            f"{_after(_EXCEL_1904, first)}, if the workbook counts from 1904). Format the column "
            "as dates like 2024-01-01 and save the file again; for steps, say how many make a year "
            "with --period"
        )
    if usual in _R_DAYS:
        return (
            f"time {texts[0]} seems to be a day number: {_after(_R, first)} in R, "
            f"{_after(_SAS, first)} in SAS and Stata. Write dates like 2024-01-01; for steps, say "
            "how many make a year with --period"
        )
    unit = _MILLI if usual // _MILLI in _SECONDS else 1
    if usual // unit in _SECONDS:
        return (
            f"time {texts[0]} seems to count seconds since 1970: "
            f"{_after(_R, first // unit // _DAY_SECONDS)}. Write dates like 2024-01-01"
        )
    return None


def _after(zero: date, days: int) -> str:
    """Return the date some days after another; a mistyped number may lie in no calendar."""
    try:
        return str(zero + timedelta(days=days))
    except OverflowError:
        return "no date"
