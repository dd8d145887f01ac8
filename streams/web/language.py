"""Which language a request is answered in."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from starlette.requests import Request

    from schemas.notify import Language

__all__ = ["COOKIE", "asked_for", "language"]

COOKIE: Final = "lang"
_KNOWN: Final = ("zh", "en")
_DEFAULT: Final[Language] = "zh"
#: RFC 9110, 12.4.2; NaN, infinity and exponents are none.
_QUALITY: Final = re.compile(r"[01](\.\d{0,3})?", re.ASCII)


def language(request: Request) -> Language:
    """Return what was asked for by ``?lang=``, chosen before, set for the user, or preferred."""
    visitor = getattr(request.state, "visitor", None)
    return (
        asked_for(request)
        or _known(request.cookies.get(COOKIE))
        or (visitor and visitor.user.locale)
        or _preferred(request.headers.get("accept-language", ""))
        or _DEFAULT
    )


def asked_for(request: Request) -> Language | None:
    """Return the language that the address asks for."""
    return _known(request.query_params.get("lang"))


def _known(name: str | None) -> Language | None:
    return cast("Language", name) if name in _KNOWN else None


def _preferred(header: str) -> Language | None:
    """Return the language of ours that a browser likes best (RFC 9110, 12.5.4).

    Examples
    --------
    >>> _preferred("fr, en-GB;q=0.8, zh-CN;q=0.9"), _preferred("fr"), _preferred("en;q=0")
    ('zh', None, None)
    """
    best, weight = None, 0.0
    for part in header.split(",")[:20]:
        tag, _, quality = part.strip().partition(";q=")
        if quality and not _QUALITY.fullmatch(quality.strip()):
            continue
        value = float(quality or 1)
        name = _known(tag.partition("-")[0].lower())
        if name and value > weight:
            best, weight = name, value
    return best
