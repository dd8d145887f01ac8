"""Secrets from the environment, and keeping them out of logs and errors."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from streams.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Mask", "expand", "secret_parts"]

_REFERENCE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
#: Shorter ones would mask half of every text.
_SHORTEST = 4


def expand(text: str, environment: Mapping[str, str] | None = None) -> str:
    """Put the environment's values in the place of ``${NAME}``.

    Raises
    ------
    ConfigError
        When one is not set or is empty.
    """
    values = os.environ if environment is None else environment

    def value(found: re.Match[str]) -> str:
        if not values.get(found[1]):
            raise ConfigError(f"{found[1]} is not set. Set it in the worker's environment.")
        return values[found[1]]

    return _REFERENCE.sub(value, text)


def secret_parts(text: str, environment: Mapping[str, str] | None = None) -> frozenset[str]:
    """Return what must not be shown of a configured text, which may name or hold secrets."""
    values = os.environ if environment is None else environment
    named = {values.get(found[1], "") for found in _REFERENCE.finditer(text)}
    url = _REFERENCE.sub(lambda found: values.get(found[1], ""), text)
    return frozenset(named | _url_parts(url))


def _url_parts(url: str) -> set[str]:
    """Return user, password, path and query values: the path of a chat service is its key."""
    _, separator, rest = url.partition("://")
    if not separator:
        return set()
    parts = set()
    try:
        split = urlsplit(f"http://{rest}")
        login = [split.username or "", split.password or ""]
    except ValueError:
        return {rest}
    parts.update(login)
    parts.update(split.path.split("/"))
    parts.update(value for _, value in parse_qsl(split.query))
    host = split.netloc.rpartition("@")[2]
    if not {".", ":"} & set(host) and host != "localhost":
        parts.add(host)  # Apprise has keys of chat services there as well
    return parts | {unquote(part) for part in parts}


class Mask:
    """Replaces secrets in texts."""

    def __init__(self, secrets: Iterable[str]) -> None:
        found = sorted({one for one in secrets if len(one) >= _SHORTEST}, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, found))) if found else None

    def __call__(self, text: str) -> str:
        """Return the text without the secrets."""
        return self._pattern.sub("***", text) if self._pattern else text
