"""Recognising values that identify a person.

Fenghuo takes no names, phone numbers, identity numbers or addresses. No field is meant for them;
these checks catch the ones that slip into free text or identifiers. Which numbers are looked for
depends on the country of the region registry:

cn
    Resident identity numbers (GB 11643-1999, 18 digits, and GB 11643-1989, 15 digits), the mobile
    numbering plan, area codes of landlines, passports and travel permits.
tw
    The same, and Taiwan's identity and residence numbers, mobile numbers and landlines.
us
    Social security numbers and the North American numbering plan.

E-mail addresses are looked for everywhere.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import date
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from schemas.codes import read_icd10

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "COUNTRIES",
    "Country",
    "Finding",
    "Privacy",
    "identifier_looks_personal",
    "personal_sentence",
    "privacy_of",
    "text_looks_personal",
]

Country = Literal["cn", "tw", "us"]
COUNTRIES: Final[tuple[Country, ...]] = ("cn", "tw", "us")


class Finding(NamedTuple):
    """What in a text identifies a person, and where: characters `start` to `end`, not included."""

    what: str
    start: int
    end: int


class _Pattern(NamedTuple):
    what: str
    pattern: re.Pattern[str]
    #: Whether what matched is one, where more than its form tells.
    proof: Callable[[str], bool] | None = None


def _digits(text: str) -> str:
    return "".join(character for character in text if character.isdigit())


_ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_ID_CHECK = "10X98765432"
#: First two digits of China's division codes.
_PROVINCE = re.compile("1[1-5]|2[1-3]|3[1-7]|4[1-6]|5[0-4]|6[1-5]|71|8[1-3]")


def _is_resident_id(text: str) -> bool:
    digits = re.sub(r"[^\dX]", "", text)
    total = sum(int(digit) * weight for digit, weight in zip(digits, _ID_WEIGHTS, strict=False))
    return _ID_CHECK[total % 11] == digits[17] and _is_birthday(digits[6:14])


def _is_old_resident_id(text: str) -> bool:
    return _PROVINCE.match(text) is not None and _is_birthday(f"19{text[6:12]}")


def _is_birthday(digits: str) -> bool:
    try:
        born = date.fromisoformat(digits)
    except ValueError:
        return False
    return 1880 <= born.year <= 2100  # noqa: PLR2004 - a person who may be alive


#: Numbers of the letters of Taiwan's identity numbers.
_TAIWAN_LETTERS = {letter: 10 + n for n, letter in enumerate("ABCDEFGHJKLMNPQRSTUVXYWZIO")}


def _is_taiwan_id(text: str) -> bool:
    text = re.sub(r"[^A-Z0-9]", "", text)
    letter = _TAIWAN_LETTERS[text[0]]
    total = letter // 10 + letter % 10 * 9 + int(text[9])
    total += sum(int(digit) * (8 - n) for n, digit in enumerate(text[1:9]))
    return total % 10 == 0


_MOBILE = r"(?:(?:\+|00)?86)?1[3-9]\d{9}"
#: In prose numbers are also written in groups: 138 0013 8000, 110105 19491231 002X. An identity
#: number has a check digit, so its groups may be any; mobile numbers have no such proof.
_SEPARATOR = "[ ._/·\u2010-\u2015\u2212-]?"
_GROUPED_MOBILE = (
    rf"(?<!\d)(?:(?:\+|00)?86{_SEPARATOR})?1[3-9]\d{_SEPARATOR}"
    rf"(?:\d{{4}}{_SEPARATOR}\d{{4}}|\d{_SEPARATOR}\d{{4}}{_SEPARATOR}\d{{3}}"
    rf"|\d{{3}}{_SEPARATOR}\d{{5}})(?!\d)"
)
_DASH = "[ \u2010-\u2015\u2212-]"


def _pattern(
    what: str, pattern: str, proof: Callable[[str], bool] | None = None, *, flags: int = 0
) -> _Pattern:
    # Looked for ahead, so that numbers that overlap are all seen.
    return _Pattern(what, re.compile(f"(?=({pattern}))", re.ASCII | flags), proof)


#: Letters beyond ASCII: names and domains of addresses may be Chinese (RFC 6531).
_LETTERS = "\u00c0-\u1fff\u3040-\ud7ff\uf900-\ufaff"
_MAIL = _pattern(
    "an e-mail address",
    rf"(?<![\w.+-])[\w.+\-{_LETTERS}]{{1,64}}@[A-Z0-9\-{_LETTERS}]{{1,63}}"
    rf"(?:\.[A-Z0-9\-{_LETTERS}]+)+",
)

_CHINA_IN_IDENTIFIER = (
    _pattern("a mobile number", rf"(?<!\d){_MOBILE}(?!\d)"),
    _pattern("a resident id number", r"(?<!\d)\d{17}[\dX](?!\d)", _is_resident_id),
)
_TAIWAN_ID = _pattern("a Taiwan id number", r"(?<![A-Z0-9])[A-Z][1289]\d{8}(?!\d)", _is_taiwan_id)
_CHINA_IN_TEXT = (
    _pattern(
        "a resident id number",
        rf"(?<!\d)(?:\d{_SEPARATOR}){{17}}(?:\d(?!\d)|X)",
        _is_resident_id,
    ),
    _pattern("a resident id number", r"(?<!\d)\d{15}(?!\d)", _is_old_resident_id),
    # After what a check digit proves: parts of an identity number look like a mobile number.
    _pattern("a mobile number", _GROUPED_MOBILE),
    _pattern(
        "a landline number",
        rf"(?<![\d.])(?:\(0(?:10|2\d|[3-9]\d{{2}})\){_DASH}?|0(?:10|2\d|[3-9]\d{{2}}){_DASH})"
        rf"[2-8]\d{{2,3}}{_DASH}?\d{{4}}(?!\d)",
    ),
    _pattern("a passport number", r"(?<![A-Z0-9])(?:[EG]\d{8}|E[A-HJ-NP-Z]\d{7})(?![A-Z0-9])"),
)
#: Whatever its form, a number that is called one.
_CALLED = tuple(
    _pattern(
        what,
        rf"(?:{words})[^A-Z\d]{{0,8}}[A-Z]{{0,2}}\d(?:{_SEPARATOR}\d){{6,}}",
        flags=re.IGNORECASE,
    )
    for what, words in (
        ("a passport number", "护照|護照|通行证|通行證|PASSPORT"),
        ("an identity number", "身份证|身分證|身份證|居留證"),
        ("a phone number", "电话|電話|手机|手機|联系方式|TELEPHONE|PHONE|MOBILE"),
    )
)
_TAIWAN_IN_TEXT = (
    _TAIWAN_ID,
    _pattern("a mobile number", rf"(?<!\d)09\d{{2}}{_SEPARATOR}\d{{3}}{_SEPARATOR}\d{{3}}(?!\d)"),
    _pattern(
        "a landline number",
        rf"(?<![\d.])(?:\(0[2-8]\d?\){_DASH}?|0[2-8]\d?{_DASH})\d{{3,4}}{_DASH}?\d{{4}}(?!\d)",
    ),
)
_US_IN_TEXT = (
    _pattern("a social security number", r"(?<![\d-])(?!000|666|9)\d{3}-\d{2}-\d{4}(?![\d-])"),
    _pattern(
        "a phone number",
        r"(?<!\d)(?:\+?1[ .-]?)?(?:\([2-9]\d{2}\) ?|[2-9]\d{2}[ .-])[2-9]\d{2}[ .-]\d{4}(?!\d)",
    ),
)
#: Forms that lot numbers and registration numbers of drugs have, too.
_NOT_OF_PRODUCTS = frozenset({"a passport number", "a landline number"})

#: Digits become "d": searching the shape for a run of them is far cheaper than a pattern.
_SHAPE = bytes(ord("d") if chr(byte) in "0123456789" else byte for byte in range(256))
_ELEVEN_DIGITS, _NINE_DIGITS = b"d" * 11, b"d" * 9
#: Any character may separate: full-width ones are only known after normalisation.
_MAY_BE_PERSONAL = re.compile(r"(?:\d\D?){7}|[@\uff20]")


#: Distinct texts that are remembered.
_REMEMBERED: Final = 65_536


class Privacy:
    """The checks for some countries.

    Parameters
    ----------
    countries
        Whose numbers are looked for.
    """

    def __init__(self, countries: frozenset[Country]) -> None:
        chinese = bool(countries & {"cn", "tw"})
        self._identifier = _CHINA_IN_IDENTIFIER if chinese else ()
        self._token = (*self._identifier, *((_TAIWAN_ID,) if "tw" in countries else ()))
        self._text = (
            *(_CHINA_IN_TEXT if chinese else ()),
            *(_TAIWAN_IN_TEXT if "tw" in countries else ()),
            *(_US_IN_TEXT if "us" in countries else ()),
            _MAIL,
            *_CALLED,
        )
        self._product = tuple(
            one for one in self._text if one in _CALLED or one.what not in _NOT_OF_PRODUCTS
        )
        #: Facilities, complaints, products and codes recur: each is searched once.
        self.in_recurring = lru_cache(_REMEMBERED)(self._in_recurring)
        self.in_complaint = lru_cache(_REMEMBERED)(self.in_text)
        self.in_product = lru_cache(_REMEMBERED)(self._in_product)
        self.in_codes = lru_cache(_REMEMBERED)(self._in_codes)

    def in_identifier(self, identifier: str | None) -> Finding | None:
        """Find what an identifier gives away about a person.

        Only an unbroken number counts: identifiers put together from a region code, a date and a
        counter have as many digits as an identity number.

        Examples
        --------
        >>> privacy_of("cn").in_identifier("visit-13800138000")
        Finding(what='a mobile number', start=6, end=17)
        >>> privacy_of("cn").in_identifier("S-330106-20261121-0001") is None
        True
        """
        if not identifier or _ELEVEN_DIGITS not in identifier.encode().translate(_SHAPE):
            return None
        return _search(self._identifier, identifier.upper())

    def in_token(self, token: str | None) -> Finding | None:
        """Find what a person's pseudonym gives away; identity numbers of all forms count."""
        if not token or _NINE_DIGITS not in token.encode().translate(_SHAPE):
            return None
        return _search(self._token, token.upper())

    def _in_recurring(self, identifiers: tuple[str, ...]) -> tuple[int, Finding] | None:
        """Find the first identifier that gives something away, by its number."""
        for number, identifier in enumerate(identifiers):
            if found := self.in_identifier(identifier):
                return number, found
        return None

    def _in_codes(self, codes: tuple[str | None, ...]) -> Finding | None:
        """Find what a text in the place of a code gives away."""
        for code in codes:
            if code and not read_icd10(code) and (found := self.in_text(code)):
                return found
        return None

    def in_text(self, text: str | None) -> Finding | None:
        """Find what free text gives away, also in full-width digits or in groups.

        Positions are those in the text in its compatible form (NFKC).

        Examples
        --------
        >>> privacy_of("cn").in_text("发热3天，电话 138.0013.8000")
        Finding(what='a mobile number', start=8, end=21)
        >>> privacy_of("tw").in_text("A123456789").what
        'a Taiwan id number'
        >>> privacy_of("cn").in_text("体温38.6，咳嗽2天") is None
        True
        """
        return self._in_prose(self._text, text)

    def _in_product(self, text: str | None) -> Finding | None:
        """Find what a product's name gives away; lot and registration numbers are no persons."""
        return self._in_prose(self._product, text)

    @staticmethod
    def _in_prose(patterns: tuple[_Pattern, ...], text: str | None) -> Finding | None:
        if text is None or _MAY_BE_PERSONAL.search(text) is None:
            return None
        return _search(patterns, unicodedata.normalize("NFKC", text).upper())


def personal_sentence(field: str, found: Finding) -> str:
    """Return the sentence that names field and position, and never the value."""
    return (
        f"{field} holds what looks like {found.what} (characters {found.start + 1} to "
        f"{found.end}). Remove it or replace it by a pseudonym; Fenghuo takes no personal data."
    )


def _search(patterns: tuple[_Pattern, ...], text: str) -> Finding | None:
    for what, pattern, proof in patterns:
        for match in pattern.finditer(text):
            if proof is None or proof(match[1]):
                return Finding(what, *match.span(1))
    return None


@cache
def privacy_of(*countries: Country) -> Privacy:
    """Return the checks for countries; without any, those of China and Taiwan."""
    return Privacy(frozenset(countries or ("cn", "tw")))


def identifier_looks_personal(*identifiers: str | None) -> str | None:
    """Tell what identifiers give away about a person, with the checks of China and Taiwan.

    Examples
    --------
    >>> identifier_looks_personal("visit-13800138000", None)
    'mobile number'
    """
    return next(
        (_bare(found) for one in identifiers if (found := _DEFAULT.in_identifier(one))), None
    )


def text_looks_personal(text: str | None) -> str | None:
    """Tell what free text gives away about a person, with the checks of China and Taiwan.

    Examples
    --------
    >>> text_looks_personal("11010519491231002X")
    'resident id number'
    """
    found = _DEFAULT.in_text(text)
    return _bare(found) if found else None


def _bare(found: Finding) -> str:
    return found.what.partition(" ")[2]


_DEFAULT: Final = privacy_of()
