"""Users in the database.

Where a function takes `within`, it is the region of the admin who asks: users of other regions are
not theirs to manage, nor may they give access to other regions. None: whoever runs the command
line, who may do anything.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from psycopg import errors, sql
from psycopg.rows import class_row

from streams.errors import FenghuoError
from streams.people.passwords import check_password, hashed, one_time
from streams.people.users import User, checked_display_name, checked_name, folded_name
from streams.store.admins import keeps_an_admin

if TYPE_CHECKING:
    import psycopg

    from schemas.notify import Language
    from streams.people.users import Role

__all__ = [
    "USERS",
    "FirstAdmin",
    "NoUserError",
    "NotYoursError",
    "UserExistsError",
    "add_user",
    "any_user",
    "end_access",
    "find_user",
    "first_admin",
    "get_user",
    "list_users",
    "nation",
    "region_within",
    "remove_user",
    "set_access",
    "set_disabled",
    "set_locale",
    "set_password",
    "take_password_away",
]


class NoUserError(FenghuoError):
    """There is no user of this name."""


class NotYoursError(FenghuoError):
    """A user, or the region that they are to have, lies outside the admin's region."""


class UserExistsError(FenghuoError):
    """There is a user of this name already."""


class FirstAdmin(NamedTuple):
    """Who can sign in first, and with what."""

    name: str
    password: str


def any_user(connection: psycopg.Connection) -> bool:
    """Tell whether anybody may sign in."""
    return (
        connection.execute("SELECT 1 FROM users WHERE NOT disabled LIMIT 1").fetchone() is not None
    )


def list_users(connection: psycopg.Connection, *, within: str | None = None) -> list[User]:
    """Return all users, by name."""
    with connection.cursor(row_factory=class_row(User)) as cursor:
        users = cursor.execute(USERS.format(sql.SQL("ORDER BY name"))).fetchall()
    if within is None:
        return users
    return [user for user in users if region_within(connection, user.region, within)]


def find_user(connection: psycopg.Connection, name: str) -> User | None:
    """Return the user of a name, or None; also for text that no name can be."""
    if not _NAMEABLE.fullmatch(name):
        return None
    with connection.cursor(row_factory=class_row(User)) as cursor:
        return cursor.execute(
            USERS.format(sql.SQL("WHERE name = %s")), (folded_name(name),)
        ).fetchone()


def get_user(connection: psycopg.Connection, name: str, *, within: str | None = None) -> User:
    """Return the user of a name.

    Raises
    ------
    NoUserError
        There is none.
    NotYoursError
        They are another admin's to manage.
    """
    user = find_user(connection, name)
    if user is None:
        raise NoUserError(
            f"There is no user {name!r}. See fenghuo users list.", zh=f"没有用户“{name}”。"
        )
    _refuse_outside(connection, user.region, within)
    return user


def add_user(
    connection: psycopg.Connection,
    name: str,
    *,
    role: Role,
    region: str | None = None,
    display_name: str | None = None,
    locale: Language = "zh",
    password: str | None = None,
    must_change: bool = False,
    within: str | None = None,
) -> User:
    """Add a user.

    Parameters
    ----------
    region
        Code of the region they see with all below it; None: the whole nation.
    password
        None: they sign in by OpenID Connect once linked, or have tokens only.
    must_change
        The password must be changed at the first sign-in.

    Raises
    ------
    BadNameError, BadPasswordError, NotYoursError, UserExistsError
        The text says what is wrong.
    FenghuoError
        The region is not in the database.
    """
    checked = checked_name(name)
    region = region or nation(connection)
    _refuse_outside(connection, region, within)
    if password is not None:
        check_password(password, name=checked)
    values = (
        checked,
        checked_display_name(display_name or name),
        role,
        region,
        locale,
        None if password is None else hashed(password),
        must_change,
    )
    try:
        with connection.transaction():
            connection.execute(
                "INSERT INTO users (name, display_name, role, region, locale, password_hash, "
                "must_change_password) VALUES (%s, %s, %s, %s, %s, %s, %s)",
                values,
            )
    except errors.UniqueViolation:
        raise UserExistsError(
            f"There is a user {checked!r} already. Take another name.",
            zh=f"用户“{checked}”已存在，请换一个用户名。",
        ) from None
    except errors.ForeignKeyViolation:
        raise _no_region(region) from None
    return get_user(connection, checked)


def nation(connection: psycopg.Connection) -> str:
    """Return the code of the region above all others."""
    rows = connection.execute("SELECT code FROM regions WHERE parent IS NULL").fetchall()
    if len(rows) != 1:
        raise FenghuoError(
            f"The registry has {len(rows)} regions without a parent. Name the user's with --region."
        )
    return str(rows[0][0])


def first_admin(connection: psycopg.Connection) -> FirstAdmin | None:
    """Add the user `admin` with a one-time password where there are no users; else None."""
    if connection.execute("SELECT 1 FROM users LIMIT 1").fetchone():
        return None
    password = one_time()
    user = add_user(connection, "admin", role="admin", password=password, must_change=True)
    return FirstAdmin(user.name, password)


def set_access(
    connection: psycopg.Connection,
    name: str,
    *,
    role: Role | None,
    region: str | None,
    within: str | None = None,
) -> User:
    """Change what a user may do, where, or both; it holds from their next click on.

    Raises
    ------
    FenghuoError
        The region is not in the database; or this is the last admin of the nation (LastAdminError).
    NotYoursError, NoUserError
        The text says what is wrong.
    """
    user = get_user(connection, name, within=within)
    if region is not None:
        _refuse_outside(connection, region, within)
    try:
        with keeps_an_admin(connection):
            connection.execute(
                "UPDATE users SET role = coalesce(%s, role), region = coalesce(%s, region) "
                "WHERE user_id = %s",
                (role, region, user.user_id),
            )
    except errors.ForeignKeyViolation:
        raise _no_region(region) from None
    return get_user(connection, name)


def set_disabled(
    connection: psycopg.Connection, name: str, *, disabled: bool, within: str | None = None
) -> User:
    """Disable or enable a user. Sessions and tokens end; enabling brings none of them back.

    Raises
    ------
    LastAdminError, NotYoursError, NoUserError
        The text says what is wrong.
    """
    user = get_user(connection, name, within=within)
    with keeps_an_admin(connection):
        connection.execute(
            "UPDATE users SET disabled = %s WHERE user_id = %s", (disabled, user.user_id)
        )
        end_access(connection, user.user_id)
    return get_user(connection, name)


def set_locale(connection: psycopg.Connection, name: str, locale: Language) -> None:
    """Note which language a user reads."""
    connection.execute(
        "UPDATE users SET locale = %s WHERE user_id = %s",
        (locale, get_user(connection, name).user_id),
    )


def set_password(
    connection: psycopg.Connection,
    name: str,
    password: str,
    *,
    must_change: bool,
    within: str | None = None,
) -> None:
    """Change a user's password, end their sessions and revoke their tokens.

    Raises
    ------
    BadPasswordError, NoUserError, NotYoursError
        The text says what is wrong.
    """
    user = get_user(connection, name, within=within)
    check_password(password, name=user.name)
    kept = hashed(password)
    with connection.transaction():
        connection.execute(
            "UPDATE users SET password_hash = %s, must_change_password = %s, link_by_name = false "
            "WHERE user_id = %s",
            (kept, must_change, user.user_id),
        )
        end_access(connection, user.user_id)


def take_password_away(connection: psycopg.Connection, name: str) -> None:
    """Remove a user's password, end their sessions and revoke their tokens.

    They sign in by OpenID Connect once linked, or use tokens only.
    """
    user = get_user(connection, name)
    with connection.transaction():
        connection.execute(
            "UPDATE users SET password_hash = NULL, must_change_password = false "
            "WHERE user_id = %s",
            (user.user_id,),
        )
        end_access(connection, user.user_id)


def remove_user(connection: psycopg.Connection, name: str) -> None:
    """Remove a user with sessions and tokens. What they did keeps their name.

    Raises
    ------
    LastAdminError, NoUserError
        The text says what is wrong.
    """
    user = get_user(connection, name)
    with keeps_an_admin(connection):
        connection.execute("DELETE FROM users WHERE user_id = %s", (user.user_id,))


def end_access(connection: psycopg.Connection, user_id: int) -> None:
    """Sign a user out everywhere, and revoke their tokens."""
    # This locks the row first: a sign-in at the same moment begins its session before it, or none.
    connection.execute(
        "UPDATE users SET access_epoch = access_epoch + 1 WHERE user_id = %s", (user_id,)
    )
    connection.execute("DELETE FROM web_sessions WHERE user_id = %s", (user_id,))
    connection.execute("DELETE FROM api_tokens WHERE user_id = %s", (user_id,))


def region_within(connection: psycopg.Connection, region: str, other: str) -> bool:
    """Tell whether a region is another one, or lies in it."""
    found = connection.execute(
        "SELECT 1 FROM region_ancestors WHERE region = %s AND ancestor = %s", (region, other)
    )
    return found.fetchone() is not None


def _refuse_outside(connection: psycopg.Connection, region: str, within: str | None) -> None:
    if within is not None and not region_within(connection, region, within):
        raise NotYoursError(f"{region} lies outside {within}. Ask an admin of the region above.")


def _no_region(region: str | None) -> FenghuoError:
    return FenghuoError(
        f"There is no region {region!r} in the database. Look it up with fenghuo regions find.",
        zh=f"没有代码为“{region}”的地区。",
    )


#: PostgreSQL holds neither NUL nor half of a surrogate pair.
_NAMEABLE: Final = re.compile("[^\0\ud800-\udfff]*")

#: Selects users; to be completed by a condition or an order.
USERS: Final = sql.SQL(
    "SELECT user_id, name, display_name, role, region, locale, must_change_password, "
    "password_hash IS NOT NULL AS has_password, disabled, access_epoch, created_at, "
    "last_sign_in_at "
    "FROM users {}"
)
