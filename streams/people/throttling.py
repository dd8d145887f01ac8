"""How long a sign-in has to wait after others have failed. Pure."""

from __future__ import annotations

import hashlib
import ipaddress
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from streams.people.users import folded_name

__all__ = ["FORGOTTEN_AFTER", "Key", "blocked_until", "keys"]

#: Failures that lie further back count no more.
FORGOTTEN_AFTER: Final = timedelta(hours=1)
_FIRST_WAIT: Final = timedelta(seconds=15)
_LONGEST_WAIT: Final = timedelta(minutes=15)
_MOST_DOUBLINGS: Final = 10
#: Tries that are free: of one address at one name, of one address, at one name. The last one is
#: high, so that nobody is locked out by a stranger's typing.
_FREE: Final = {"pair": 5, "address": 30, "name": 60}


class Key(NamedTuple):
    """What failures are counted by."""

    digest: bytes
    #: Tries until the first wait.
    free: int
    #: Whether it is of one person: a right password then makes up for all failures.
    personal: bool


def keys(name: str, address: str) -> list[Key]:
    """Return what a sign-in is counted by, in a fixed order."""
    name, place = folded_name(name)[:200], _network(address)
    texts = {"pair": f"{place}\n{name}", "address": place, "name": name}
    return sorted(
        Key(hashlib.sha256(f"{kind}\n{text}".encode()).digest(), _FREE[kind], kind != "address")
        for kind, text in texts.items()
    )


def blocked_until(failures: int, last_at: datetime, *, free: int) -> datetime:
    """Return from when on the next try is allowed.

    Examples
    --------
    >>> at = datetime(2026, 11, 20, 8)
    >>> [str(blocked_until(n, at, free=5) - at) for n in (4, 5, 6, 7, 30)]
    ['0:00:00', '0:00:15', '0:00:30', '0:01:00', '0:15:00']
    """
    if failures < free:
        return last_at
    doubled: int = 2 ** min(failures - free, _MOST_DOUBLINGS)
    return last_at + min(_FIRST_WAIT * doubled, _LONGEST_WAIT)


def _network(address: str) -> str:
    """Return the address, or the /64 network in which one household has all IPv6 addresses."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:100]
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
