"""Whose word on a client's address is believed. Pure."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Final

from streams.errors import FenghuoError

__all__ = ["trusted_proxies"]

#: Networks with more addresses than these are networks of clients, by IP version.
_SHORTEST_PREFIX: Final = {4: 24, 6: 64}


def trusted_proxies(text: str) -> list[str]:
    """Read the setting FENGHUO_PAGE_PROXIES.

    Whoever has one of these addresses can claim any other by X-Forwarded-For, and so goes round the
    throttling of sign-ins.

    Raises
    ------
    FenghuoError
        It holds something else than addresses and small networks.

    Examples
    --------
    >>> trusted_proxies("127.0.0.1, 192.0.2.0/28")
    ['127.0.0.1', '192.0.2.0/28']
    """
    found = [part for part in map(str.strip, text.split(",")) if part]
    for part in found:
        try:
            network = ip_network(part)
        except ValueError:
            raise FenghuoError(
                f"FENGHUO_PAGE_PROXIES: {part!r} is no address of a proxy. Name addresses, like "
                "127.0.0.1, separated by commas."
            ) from None
        if network.prefixlen < _SHORTEST_PREFIX[network.version]:
            raise FenghuoError(
                f"FENGHUO_PAGE_PROXIES: {part} is a network of clients, all of whom could claim "
                "any address. Name the address of the proxy."
            )
    return found
