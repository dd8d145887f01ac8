"""Whole numbers that somebody else wrote: short, in ASCII digits. Pure."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["LARGEST", "whole_number"]

#: The largest bigint: numbers of alerts, tokens and letters.
LARGEST: Final = 2**63 - 1
# int() reads digits of every script, underscores and blanks, and raises above 4,300 digits.
_DIGITS: Final = re.compile(r"0*\d{1,19}", re.ASCII)


def whole_number(text: str, *, largest: int = LARGEST) -> int | None:
    """Read a whole number of 0 or more; None: the text is none, or it is above `largest`.

    Examples
    --------
    >>> whole_number("12"), whole_number("9" * 5000), whole_number("\u0663"), whole_number("1_0")
    (12, None, None, None)
    """
    if not _DIGITS.fullmatch(text):
        return None
    # Leading zeros count as digits for int().
    number = int(text.lstrip("0") or "0")
    return number if number <= largest else None
