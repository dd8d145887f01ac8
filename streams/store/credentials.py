"""By what users are known besides their name: passwords, subjects of providers, tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from psycopg import errors, sql
from psycopg.rows import class_row

from streams.errors import FenghuoError
from streams.people.credentials import digest, new_token
from streams.people.users import User
from streams.store.people import USERS, end_access, get_user

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    import psycopg

__all__ = [
    "NoTokenError",
    "Token",
    "add_own_token",
    "add_token",
    "allow_link_by_name",
    "kept_password",
    "link_by_name",
    "link_subject",
    "list_tokens",
    "revoke_token",
    "user_of_subject",
]


class NoTokenError(FenghuoError):
    """The user has no token of this number."""


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


def link_subject(connection: psycopg.Connection, name: str, subject: str | None) -> None:
    """Link a user with a subject of the provider, or with none, and end their sessions and tokens.

    Parameters
    ----------
    subject
        Issuer, a blank, and subject; None: the user signs in by the provider no more.

    Raises
    ------
    FenghuoError
        Another user is linked with this subject.
    NoUserError
        There is no such user.
    """
    user = get_user(connection, name)
    try:
        with connection.transaction():
            connection.execute(
                "UPDATE users SET oidc_subject = %s, link_by_name = false WHERE user_id = %s",
                (subject, user.user_id),
            )
            end_access(connection, user.user_id)
    except errors.UniqueViolation:
        raise FenghuoError(
            "Another user is linked with this subject. Unlink that one first: "
            "fenghuo users link NAME --none"
        ) from None


def allow_link_by_name(connection: psycopg.Connection, name: str) -> None:
    """Let the next sign-in at the provider under a user's name link the user, once.

    Raises
    ------
    FenghuoError
        The user has a password, or is linked.
    NoUserError
        There is no such user.
    """
    user = get_user(connection, name)
    if user.has_password:
        raise FenghuoError(
            f"{user.name} has a password and is not linked by name. Name the subject with "
            f"--subject, or remove the password: fenghuo users password {user.name} --none"
        )
    cursor = connection.execute(
        "UPDATE users SET link_by_name = true WHERE user_id = %s AND oidc_subject IS NULL",
        (user.user_id,),
    )
    if not cursor.rowcount:
        raise FenghuoError(
            f"{user.name} is linked already. Unlink first: fenghuo users link {user.name} --none"
        )


def link_by_name(connection: psycopg.Connection, user_id: int, subject: str) -> bool:
    """Link a user with a subject that showed their name; False where that was not allowed."""
    try:
        with connection.transaction():
            cursor = connection.execute(
                "UPDATE users SET oidc_subject = %s, link_by_name = false WHERE user_id = %s "
                "AND link_by_name AND oidc_subject IS NULL AND password_hash IS NULL",
                (subject, user_id),
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


def add_own_token(
    connection: psycopg.Connection,
    user_id: int,
    *,
    kept: str,
    label: str,
    lifetime: timedelta | None,
) -> str | None:
    """Make a token for a user who has just given their password.

    Parameters
    ----------
    kept
        Hash that the password was compared with.

    Returns
    -------
    str or None
        The token. None: the password was changed meanwhile, or the user was disabled.
    """
    token = new_token()
    with connection.transaction():
        user = connection.execute(
            "SELECT 1 FROM users WHERE user_id = %s AND password_hash = %s AND NOT disabled "
            "FOR SHARE",
            (user_id, kept),
        ).fetchone()
        if user is None:
            return None
        connection.execute(
            "INSERT INTO api_tokens (token_hash, user_id, label, expires_at) "
            "VALUES (%s, %s, %s, clock_timestamp() + %s)",
            (digest(token), user_id, label, lifetime),
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
    NoTokenError
        The user has no such token.
    """
    cursor = connection.execute(
        "DELETE FROM api_tokens WHERE token_id = %s AND user_id = %s",
        (token_id, get_user(connection, name).user_id),
    )
    if not cursor.rowcount:
        raise NoTokenError(
            f"{name} has no token {token_id}. See fenghuo users token {name} --list."
        )
