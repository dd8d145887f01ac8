"""Who is signed in: sessions of browsers, tokens of programs, sign-ins that failed."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from psycopg import Rollback
from psycopg.rows import dict_row

from streams.people.credentials import digest, new_secret
from streams.people.throttling import FORGOTTEN_AFTER, blocked_until
from streams.people.users import User

if TYPE_CHECKING:
    from collections.abc import Sequence

    import psycopg
    from psycopg import AsyncConnection

    from streams.people.throttling import Key

__all__ = [
    "Found",
    "Lifetimes",
    "NewSession",
    "begin_session",
    "count_attempt",
    "end_session",
    "forgive",
    "session_of",
    "token_user",
]

#: A session that was seen is noted so often at most: not every click is a write.
_NOTED_EVERY: Final = timedelta(minutes=1)
_FAILURES_KEPT: Final = timedelta(days=1)


class Lifetimes(NamedTuple):
    """After how much time somebody has to sign in again."""

    idle: timedelta
    whole: timedelta


class NewSession(NamedTuple):
    """What a browser gets."""

    cookie: str
    csrf_token: str


class Found(NamedTuple):
    """A session that holds."""

    user: User
    csrf_token: str


# -- sessions of browsers ---------------------------------------------------------------------


def begin_session(
    connection: psycopg.Connection, user: User, *, lifetimes: Lifetimes, former: str | None
) -> NewSession | None:
    """Begin a session under a new secret, and end the browser's former one.

    Parameters
    ----------
    user
        As read before the password was compared.
    former
        The browser's cookie until now. It is never taken over, so that nobody can have given it to
        the browser beforehand.

    Returns
    -------
    NewSession or None
        None: since then the password was changed, or the user was disabled or removed.
    """
    made = NewSession(new_secret(), new_secret())
    with connection.transaction():
        cursor = connection.execute(
            "UPDATE users SET last_sign_in_at = clock_timestamp() WHERE user_id = %s "
            "AND access_epoch = %s AND NOT disabled",
            (user.user_id, user.access_epoch),
        )
        if not cursor.rowcount:
            return None
        if former:
            end_session(connection, former)
        connection.execute(
            "DELETE FROM web_sessions WHERE seen_at < clock_timestamp() - %s "
            "OR created_at < clock_timestamp() - %s",
            lifetimes,
        )
        connection.execute(
            "DELETE FROM sign_in_failures WHERE last_at < clock_timestamp() - %s",
            (_FAILURES_KEPT,),
        )
        connection.execute(
            "INSERT INTO web_sessions (session_hash, user_id, csrf_token) VALUES (%s, %s, %s)",
            (digest(made.cookie), user.user_id, made.csrf_token),
        )
    return made


async def session_of(
    connection: AsyncConnection, cookie: str, lifetimes: Lifetimes
) -> Found | None:
    """Return whose session a cookie is; None where it has ended or there is none."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_SESSION, (digest(cookie), lifetimes.idle, lifetimes.whole))
        row = await cursor.fetchone()
    if row is None:
        return None
    csrf_token, idle = row.pop("csrf_token"), row.pop("idle")
    if idle > _NOTED_EVERY:
        await connection.execute(
            "UPDATE web_sessions SET seen_at = clock_timestamp() WHERE session_hash = %s",
            (digest(cookie),),
        )
    return Found(User.model_validate(row), csrf_token)


def end_session(connection: psycopg.Connection, cookie: str) -> None:
    """End a browser's session."""
    connection.execute("DELETE FROM web_sessions WHERE session_hash = %s", (digest(cookie),))


async def token_user(connection: AsyncConnection, token: str) -> User | None:
    """Return for whom a program acts; None where the token is unknown, revoked or expired."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_PROGRAM, (digest(token),))
        row = await cursor.fetchone()
    if row is None:
        return None
    if row.pop("note_use"):
        await connection.execute(
            "UPDATE api_tokens SET used_at = date_trunc('hour', clock_timestamp()) "
            "WHERE token_hash = %s",
            (digest(token),),
        )
    return User.model_validate(row)


# -- sign-ins that failed ---------------------------------------------------------------------


def count_attempt(connection: psycopg.Connection, keys: Sequence[Key]) -> datetime | None:
    """Count a try to sign in as failed, before it is looked at; `forgive` takes that back.

    Counting first keeps many tries at the same moment from all being looked at.

    Returns
    -------
    datetime or None
        None: go on. Else the try is refused, and the next one is not before this time.
    """
    digests = [key.digest for key in keys]
    # The common case under attack writes nothing: a new name each time would fill the table.
    until = _blocked(connection, keys, lock=False)
    if until is not None:
        return until
    with connection.transaction() as transaction:
        connection.execute(
            "INSERT INTO sign_in_failures (key, failures, last_at) "
            "SELECT k, 0, clock_timestamp() FROM unnest(%s::bytea[]) AS k ORDER BY k "
            "ON CONFLICT DO NOTHING",
            (digests,),
        )
        until = _blocked(connection, keys, lock=True)
        if until is not None:  # by a try at the same moment
            raise Rollback(transaction)
        now = _now(connection)
        connection.execute(
            "UPDATE sign_in_failures SET last_at = %s, "
            "failures = CASE WHEN %s - last_at < %s THEN failures + 1 ELSE 1 END "
            "WHERE key = ANY(%s)",
            (now, now, FORGOTTEN_AFTER, digests),
        )
    return until


def _blocked(connection: psycopg.Connection, keys: Sequence[Key], *, lock: bool) -> datetime | None:
    """Return when the next try is allowed; None: now."""
    query = "SELECT key, failures, last_at FROM sign_in_failures WHERE key = ANY(%s) ORDER BY key"
    rows = connection.execute(
        f"{query} FOR UPDATE" if lock else query, ([key.digest for key in keys],)
    ).fetchall()
    now = _now(connection)
    free = {key.digest: key.free for key in keys}
    until = max(
        (
            blocked_until(failures, last_at, free=free[bytes(key)])
            for key, failures, last_at in rows
            if now - last_at < FORGOTTEN_AFTER
        ),
        default=now,
    )
    return until if until > now else None


def forgive(connection: psycopg.Connection, keys: Sequence[Key]) -> None:
    """Take back the attempt that `count_attempt` counted, which was right after all.

    What others failed at from the same address stands.
    """
    with connection.transaction():
        for key in keys:
            connection.execute(
                "UPDATE sign_in_failures SET failures = CASE WHEN %s THEN 0 "
                "ELSE greatest(failures - 1, 0) END WHERE key = %s",
                (key.personal, key.digest),
            )


def _now(connection: psycopg.Connection) -> datetime:
    row = connection.execute("SELECT clock_timestamp()").fetchone()
    assert row is not None  # noqa: S101 - the query gives one row
    now: datetime = row[0]
    return now


_SESSION: Final = """
SELECT u.user_id, u.name, u.display_name, u.role, u.region, u.locale, u.must_change_password,
       u.password_hash IS NOT NULL AS has_password, u.disabled, u.created_at, u.last_sign_in_at,
       s.csrf_token, clock_timestamp() - s.seen_at AS idle
FROM web_sessions s JOIN users u USING (user_id)
WHERE s.session_hash = %s AND NOT u.disabled
  AND s.seen_at > clock_timestamp() - %s AND s.created_at > clock_timestamp() - %s
"""

_PROGRAM: Final = """
SELECT u.user_id, u.name, u.display_name, u.role, u.region, u.locale,
       u.password_hash IS NOT NULL AS has_password, u.disabled, u.created_at, u.last_sign_in_at,
       t.used_at IS NULL OR t.used_at < date_trunc('hour', clock_timestamp()) AS note_use
FROM api_tokens t JOIN users u USING (user_id)
WHERE t.token_hash = %s AND NOT u.disabled
  AND (t.expires_at IS NULL OR t.expires_at > clock_timestamp())
"""
