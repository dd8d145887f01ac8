"""X-Forwarded-For is believed from named proxies only."""

from __future__ import annotations

import pytest

from streams.errors import FenghuoError
from streams.settings import Settings
from streams.web.proxies import trusted_proxies


def test_only_loopback_is_believed_by_default() -> None:
    assert trusted_proxies(Settings().page_proxies) == ["127.0.0.1"]


def test_addresses_and_small_networks_can_be_named() -> None:
    text = " 192.0.2.7,2001:db8::1 , 198.51.100.0/24,"
    assert trusted_proxies(text) == ["192.0.2.7", "2001:db8::1", "198.51.100.0/24"]
    assert trusted_proxies("") == []


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("*", "no address"),
        ("proxy.example", "no address"),
        ("127.0.0.1, 172.16.0.0/12", "network of clients"),
        ("0.0.0.0/0", "network of clients"),
        ("2001:db8::/48", "network of clients"),
        ("192.0.2.1/28", "no address"),
    ],
)
def test_whole_networks_of_clients_are_not_believed(text: str, why: str) -> None:
    with pytest.raises(FenghuoError, match=why):
        trusted_proxies(text)
