"""Time zones by their IANA name."""

from __future__ import annotations

from functools import cache
from typing import Annotated
from zoneinfo import available_timezones

from pydantic import AfterValidator

__all__ = ["ZoneName"]

#: All names. The files of the zones are looked through once: it takes 20 ms.
_names = cache(available_timezones)


def _known(name: str) -> str:
    if name not in _names():
        raise ValueError(f"{name!r} is no IANA time zone; write for example Asia/Shanghai")
    return name


ZoneName = Annotated[str, AfterValidator(_known)]
