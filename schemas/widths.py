"""Full-width characters, as Chinese and Japanese keyboards write them."""

from __future__ import annotations

import unicodedata
from typing import Final

__all__ = ["half_width"]

_HALVES: Final = {full: full - 0xFEE0 for full in range(0xFF01, 0xFF5F)} | {0x3000: 0x20}


def half_width(text: str) -> str:
    """Return a text with ASCII in place of full-width characters, in Unicode's form C.

    Nothing else is taken for what it looks like: under form KC the mark of a footnote becomes a
    digit of the number before it, and 5¹ cases would be 51.

    Examples
    --------
    >>> half_width("２０２４－０１　Ａ"), half_width("5¹"), half_width("5①")
    ('2024-01 A', '5¹', '5①')
    """
    if text.isascii():
        return text
    return unicodedata.normalize("NFC", text).translate(_HALVES)
