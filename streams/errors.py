"""Errors that people are meant to read.

FenghuoError             a command prints it as one line
├── ConfigError          the configuration file is wrong
├── StoreError           the database refuses or is not as expected
└── UnavailableError     a server or a part cannot be reached or is not installed
"""

from __future__ import annotations

from typing import Final

__all__ = [
    "ConfigError",
    "FenghuoError",
    "StoreError",
    "UnavailableError",
    "describe",
    "storable_line",
]

_CHARACTERS: Final = 500


class FenghuoError(Exception):
    """Base of all errors whose text tells what, where and how to mend it.

    Parameters
    ----------
    zh
        The same in Chinese, for errors that the page shows.
    """

    def __init__(self, *args: object, zh: str | None = None) -> None:
        super().__init__(*args)
        self.zh = zh


class ConfigError(FenghuoError):
    """The configuration is wrong; the text names file, line, key and remedy."""


class StoreError(FenghuoError):
    """The database refuses, or holds something else than expected."""


class UnavailableError(FenghuoError):
    """A server cannot be reached, or an optional part is not installed."""


def describe(error: BaseException) -> str:
    """Return an error's type and text as one line that can be stored.

    Examples
    --------
    >>> describe(KeyError("ili"))
    "KeyError: 'ili'"
    """
    text = storable_line(str(error))
    name = type(error).__name__
    return f"{name}: {text}" if text else name


def storable_line(text: str) -> str:
    r"""Return a text of somebody else (an answer, an exception) as one line that can be stored.

    PostgreSQL holds neither NUL nor half of a surrogate pair, and nobody reads megabytes.

    Examples
    --------
    >>> storable_line("no\0 such\n user")
    'no such user'
    """
    text = " ".join(text[: 4 * _CHARACTERS].replace("\0", " ").split())
    return text.encode("utf-8", "replace").decode()[:_CHARACTERS]
