"""Connection strings of libpq: checked before use, and shown without their secrets.

libpq parses them: URIs with several hosts, `service=` and key-value strings mean here what they
mean to psql. Its messages about a mistyped string quote parts of it, and so perhaps the password;
they are not repeated.
"""

from __future__ import annotations

import re
from typing import Final

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from streams.errors import UnavailableError

__all__ = ["checked", "redacted"]

_SECRETS: Final = {"password", "sslpassword"}
_URI: Final = re.compile(r"postgres(?:ql)?://([^?]*)", re.DOTALL)


def checked(database: str) -> str:
    """Return a connection string if libpq can read it as it is meant.

    Raises
    ------
    UnavailableError
        It is mistyped, or its password holds characters that end a password in a URI.

    Examples
    --------
    >>> checked("postgresql://u:p%40ss@one,two:5433/d?target_session_attrs=read-write")
    'postgresql://u:p%40ss@one,two:5433/d?target_session_attrs=read-write'
    >>> checked("postgresql://u:p@ss@host/d")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    streams.errors.UnavailableError: The database's URI is ambiguous: ...
    """
    uri = _URI.match(database)
    login, at, _ = uri[1].rpartition("@") if uri else ("", "", "")
    if at and ("@" in login or "/" in login):
        raise _mistyped("The database's URI is ambiguous: user or password hold @ or /. "
                        "Write %40 and %2F.")  # fmt: skip
    try:
        conninfo_to_dict(database)
    except ProgrammingError:
        raise _mistyped(
            "The database's connection string cannot be read. Write it like "
            "postgresql://USER:PASSWORD@HOST:5432/NAME, with %40 for @, %2F for / and %25 for % in "
            "the password."
        ) from None
    return database


def redacted(database: str) -> str:
    """Return the parts of a connection string without its secrets.

    Examples
    --------
    >>> redacted("postgresql://u:secret@h:5433/d?sslpassword=x")
    'user=u dbname=d host=h port=5433'
    """
    parts = conninfo_to_dict(checked(database))
    return " ".join(
        f"{key}={value}" for key, value in parts.items() if value and key not in _SECRETS
    )


def _mistyped(text: str) -> UnavailableError:
    return UnavailableError(
        f"{text} (It is not shown, as it may hold a password.) Check --database or "
        "FENGHUO_DATABASE."
    )
