"""By what users are known besides their name: passwords, subjects of providers, tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from psycopg import errors, sql
from psycopg.rows import class_row

from streams.errors import FenghuoError
from streams.people.credentials import digest, new_token
from streams.people.users import User
from streams.store.people import USERS, get_user

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    import psycopg

__all__ = [
    "Token",
    "add_token",
    "kept_password",
    "link_subject",
    "list_tokens",
    "revoke_token",
    "user_of_subject",
]


class Token(NamedTuple):
    """A token for programs, without the secret."""

    token_id: int
    label: str
    created_at: datetime
    expires_at: datetime | None
    used_at: datetime | None


def kept_password(connection: psycopg.Connection, user_id: int) -> str | None:
    """Return what is kept of a user's password."""
    row = connection.execute(
        "SELECT password_hash FROM users WHERE user_id = %s", (user_id,)
    ).fetchone()
    return row[0] if row else None


def user_of_subject(connection: psycopg.Connection, subject: str) -> User | None:
    """Return the user who was linked with a subject of an identity provider."""
    with connection.cursor(row_factory=class_row(User)) as cursor:
        return cursor.execute(
            USERS.format(sql.SQL("WHERE oidc_subject = %s")), (subject,)
        ).fetchone()


def link_subject(connection: psycopg.Connection, user_id: int, subject: str) -> bool:
    """Link a user with a subject, once; False where another one is linked already."""
    try:
        with connection.transaction():
            cursor = connection.execute(
                "UPDATE users SET oidc_subject = %s WHERE user_id = %s "
                "AND (oidc_subject IS NULL OR oidc_subject = %s)",
                (subject, user_id, subject),
            )
            return cursor.rowcount == 1
    except errors.UniqueViolation:
        return False


def add_token(
    connection: psycopg.Connection, name: str, *, label: str, lifetime: timedelta | None
) -> str:
    """Make a token for programs that act as a user, and return it: it is shown this once."""
    token = new_token()
    connection.execute(
        "INSERT INTO api_tokens (token_hash, user_id, label, expires_at) "
        "VALUES (%s, %s, %s, clock_timestamp() + %s)",
        (digest(token), get_user(connection, name).user_id, label, lifetime),
    )
    return token


def list_tokens(connection: psycopg.Connection, name: str) -> list[Token]:
    """Return a user's tokens, the oldest first."""
    with connection.cursor(row_factory=class_row(Token)) as cursor:
        return cursor.execute(
            "SELECT token_id, label, created_at, expires_at, used_at FROM api_tokens "
            "WHERE user_id = %s ORDER BY token_id",
            (get_user(connection, name).user_id,),
        ).fetchall()


def revoke_token(connection: psycopg.Connection, name: str, token_id: int) -> None:
    """Take a token back.

    Raises
    ------
    FenghuoError
        The user has no such token.
    """
    cursor = connection.execute(
        "DELETE FROM api_tokens WHERE token_id = %s AND user_id = %s",
        (token_id, get_user(connection, name).user_id),
    )
    if not cursor.rowcount:
        raise FenghuoError(
            f"{name} has no token {token_id}. See fenghuo users token {name} --list."
        )
