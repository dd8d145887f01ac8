"""Reading classification codes as sources write them."""

from __future__ import annotations

import re
from functools import lru_cache

from schemas.widths import half_width

__all__ = ["read_atc", "read_icd10"]

#: Category, subdivision, extension of a national edition (J11.100x002).
_ICD10 = re.compile(r"[A-Z]\d[\dA-Z](?:\.?[\dA-Z]{1,4}(?:X\d{3})?)?", re.ASCII)
#: Dagger and asterisk tell cause and manifestation; + and ! stand for them in some editions.
_BETWEEN_CODES = re.compile(r"[\s†‡*+!#,;|、，；]+")
_ATC = re.compile(r"[A-Z](?:\d{2}(?:[A-Z](?:[A-Z](?:\d{2})?)?)?)?", re.ASCII)


@lru_cache(maxsize=65_536)
def read_icd10(text: str) -> tuple[str, ...]:
    """Return the ICD-10 codes of a text in capitals and without a dot; none where it holds none.

    Examples
    --------
    >>> read_icd10("j11.100x002 ")
    ('J11100X002',)
    >>> read_icd10("A17.0†G01*")
    ('A170', 'G01')
    >>> read_icd10("M8000/3")
    ()
    """
    parts = _BETWEEN_CODES.split(half_width(text).upper())
    return tuple(part.replace(".", "") for part in parts if _ICD10.fullmatch(part))


@lru_cache(maxsize=65_536)
def read_atc(text: str) -> str | None:
    """Return a text's ATC code in capitals, or None.

    Examples
    --------
    >>> read_atc(" n02be01")
    'N02BE01'
    >>> read_atc("paracetamol") is None
    True
    """
    code = half_width(text).strip().upper()
    return code if _ATC.fullmatch(code) else None
