"""Errors that people are meant to read.

FenghuoError             a command prints it as one line
├── ConfigError          the configuration file is wrong
├── StoreError           the database refuses or is not as expected
└── UnavailableError     a server or a part cannot be reached or is not installed
"""

from __future__ import annotations

__all__ = ["ConfigError", "FenghuoError", "StoreError", "UnavailableError", "describe"]


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
    text = " ".join(str(error).replace("\0", " ").split()).encode("utf-8", "replace").decode()
    name = type(error).__name__
    return f"{name}: {text}" if text else name
