"""Signing in with a name and a password."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.people.passwords import BadPasswordError, verified
from streams.people.throttling import keys
from streams.store.credentials import add_own_token, kept_password
from streams.store.people import find_user, get_user, set_password
from streams.store.sessions import count_attempt, forgive

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    import psycopg

    from streams.people.users import User

__all__ = ["change_password", "make_token", "sign_in"]


def sign_in(
    connection: psycopg.Connection, name: str, password: str, *, address: str
) -> User | datetime | None:
    """Tell who somebody is.

    Whether there is no such user, the password is wrong or the user is disabled takes the same
    time and has the same answer.

    Parameters
    ----------
    address
        Where the request comes from, for throttling.

    Returns
    -------
    User
        It is they.
    datetime
        After failures the next try is not before this time; this one was not looked at.
    None
        Wrong.
    """
    name = name.strip()
    counted = keys(name, address)
    until = count_attempt(connection, counted)
    if until is not None:
        return until
    user = find_user(connection, name)
    if not _right(connection, user, password) or user is None or user.disabled:
        return None
    forgive(connection, counted)
    return user


def change_password(
    connection: psycopg.Connection, user: User, current: str, new: str, *, address: str
) -> User | None:
    """Let a user change their password; None where the current one is wrong.

    Returns the user as they are now. It can be tried as often as signing in. The user's sessions
    and tokens end.

    Raises
    ------
    BadPasswordError
        The new one is too easy to guess, or is the current one.
    """
    counted = keys(user.name, address)
    if count_attempt(connection, counted) is not None:
        return None
    if not _right(connection, user, current):
        return None
    forgive(connection, counted)
    if new == current:
        raise BadPasswordError(
            "The new password is the current one. Take another one.",
            "新密码不能与当前密码相同。",
        )
    set_password(connection, user.name, new, must_change=False)
    return get_user(connection, user.name)


def make_token(
    connection: psycopg.Connection,
    user: User,
    password: str,
    *,
    label: str,
    lifetime: timedelta,
    address: str,
) -> str | None:
    """Make a token for a user's programs; None where the password is wrong.

    A session alone makes none: it may be another person's for a minute, a token stays. The password
    can be tried as often as at sign-in.
    """
    counted = keys(user.name, address)
    if count_attempt(connection, counted) is not None:
        return None
    kept = _kept(connection, user)
    if kept is None or not verified(password, kept):
        return None
    forgive(connection, counted)
    return add_own_token(connection, user.user_id, kept=kept, label=label, lifetime=lifetime)


def _right(connection: psycopg.Connection, user: User | None, password: str) -> bool:
    return verified(password, _kept(connection, user))


def _kept(connection: psycopg.Connection, user: User | None) -> str | None:
    kept = kept_password(connection, user.user_id if user else 0)
    connection.commit()  # nothing stays open while the password is hashed
    return kept
