"""Recognising values that identify a person.

Fenghuo takes no names, phone numbers or national id numbers. No field is meant for them; these
checks catch the ones that slip into free text or identifiers. They look for what GB 11643-1999
(resident identity number) and the Chinese mobile numbering plan define.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import date

__all__ = ["identifier_looks_personal", "text_looks_personal"]

_MOBILE = r"(?:(?:\+|00)?86)?1[3-9]\d{9}"
_RESIDENT_ID = r"\d{17}[\dX]"
_IN_IDENTIFIER = re.compile(rf"(?<!\d)(?:({_MOBILE})|({_RESIDENT_ID}))(?!\d)", re.ASCII)

#: In prose both are also written in groups: 138 0013 8000, 110105 19491231 002X. The check digit
#: tells an id from other numbers, so its groups may be any; a mobile number has no such proof.
_SEPARATOR = "[ \u2010-\u2015\u2212-]?"
# Looked for ahead, so that numbers that overlap are all seen.
_IN_TEXT = re.compile(
    rf"(?<!\d)(?=((?:(?:\+|00)?86{_SEPARATOR})?1[3-9]\d{_SEPARATOR}"
    rf"(?:\d{{4}}{_SEPARATOR}\d{{4}}|\d{_SEPARATOR}\d{{4}}{_SEPARATOR}\d{{3}}|\d{{3}}{_SEPARATOR}\d{{5}})"
    rf"(?!\d))?((?:\d{_SEPARATOR}){{17}}(?:\d(?!\d)|X))?)",
    re.ASCII,
)
#: Any character may separate: full-width ones are only known after normalisation.
_NINE_DIGITS = re.compile(r"(?:\d\D?){9}")

_ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_ID_CHECK = "10X98765432"

#: Digits become "d": searching the shape for a run of them is far cheaper than a pattern.
_SHAPE = bytes(ord("d") if chr(byte) in "0123456789" else byte for byte in range(256))
_ELEVEN_DIGITS = b"d" * 11


def identifier_looks_personal(*identifiers: str | None) -> str | None:
    """Tell what identifiers give away about a person.

    Only an unbroken number counts: identifiers put together from a region code, a date and a
    counter have as many digits as an identity number.

    Returns
    -------
    str or None
        ``"mobile number"``, ``"resident id number"`` or ``None``.

    Examples
    --------
    >>> identifier_looks_personal("visit-13800138000")
    'mobile number'
    >>> identifier_looks_personal("S-330106-20261121-0001", None) is None
    True
    """
    for identifier in identifiers:
        if identifier and _ELEVEN_DIGITS in identifier.encode().translate(_SHAPE):
            found = _search(_IN_IDENTIFIER, identifier.upper())
            if found:
                return found
    return None


def text_looks_personal(text: str | None) -> str | None:
    """Tell what free text gives away about a person, also in full-width digits or in groups.

    Returns
    -------
    str or None
        ``"mobile number"``, ``"resident id number"`` or ``None``.

    Examples
    --------
    >>> text_looks_personal("发热3天，电话 138-0013-8000")
    'mobile number'
    >>> text_looks_personal("11010519491231002X")
    'resident id number'
    >>> text_looks_personal("体温38.6，咳嗽2天") is None
    True
    """
    if text is None or _NINE_DIGITS.search(text) is None:
        return None
    return _search(_IN_TEXT, unicodedata.normalize("NFKC", text).upper())


def _search(pattern: re.Pattern[str], text: str) -> str | None:
    for mobile, resident in pattern.findall(text):
        if mobile:
            return "mobile number"
        if resident and _is_resident_id(re.sub(r"[^\dX]", "", resident)):
            return "resident id number"
    return None


def _is_resident_id(digits: str) -> bool:
    total = sum(int(digit) * weight for digit, weight in zip(digits, _ID_WEIGHTS, strict=False))
    if _ID_CHECK[total % 11] != digits[17]:
        return False
    try:
        born = date.fromisoformat(digits[6:14])
    except ValueError:
        return False
    return 1880 <= born.year <= 2100  # noqa: PLR2004 - a person who may be alive
