"""Which user somebody is whom an identity provider vouches for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.errors import FenghuoError
from streams.people.users import BadNameError
from streams.store.credentials import link_by_name, link_subject, user_of_subject
from streams.store.people import add_user, find_user, get_user

if TYPE_CHECKING:
    import psycopg

    from schemas.notify import Language
    from streams.people.users import User

__all__ = ["NotLinkedError", "linked_user"]


class NotLinkedError(FenghuoError):
    """Nobody here is who the provider says; the text is in both languages."""

    def __init__(self, en: str, zh: str) -> None:
        super().__init__(en)
        self.zh: str = zh


def linked_user(
    connection: psycopg.Connection,
    *,
    subject: str,
    name: str,
    display_name: str,
    locale: Language,
    new_users: str | None,
) -> User:
    """Return the user whom a provider means.

    Names at a provider can often be chosen, and given to somebody else later, so the subject
    counts, which is never given twice. A user who is not linked yet is linked by name only if an
    operator allowed it for that user (`fenghuo users link NAME --by-name`), once, and never if the
    user has a password: otherwise whoever takes the name at the provider would become that user.

    Parameters
    ----------
    subject
        Issuer and subject.
    new_users
        Region of which somebody unknown becomes a viewer; None: they are turned away.

    Raises
    ------
    NotLinkedError
        They cannot sign in here; the text says why.
    """
    name = name.encode("utf-8", "replace").decode()  # a lone surrogate cannot be shown
    if not subject.isprintable():
        raise _turned_away(name)
    user = user_of_subject(connection, subject)
    if user is None:
        user = find_user(connection, name)
        if user is None:
            user = _new(connection, name, display_name, locale, new_users)
            link_subject(connection, user.name, subject)
        elif not link_by_name(connection, user.user_id, subject):
            raise NotLinkedError(
                f"The user {name} is not linked with your account at the provider. Ask an admin: "
                f"fenghuo users link {name}",
                f"用户 {name} 尚未与您在身份提供方的账户关联，请联系管理员"
                f"（fenghuo users link {name}）。",
            )
        user = get_user(connection, user.name)  # linking has ended former sessions
    if user.disabled:
        raise _turned_away(name)
    return user


def _new(
    connection: psycopg.Connection,
    name: str,
    display_name: str,
    locale: Language,
    region: str | None,
) -> User:
    if region is None:
        raise _turned_away(name)
    try:
        return add_user(
            connection,
            name,
            role="viewer",
            region=region,
            display_name=display_name or name,
            locale=locale,
        )
    except BadNameError:
        raise NotLinkedError(
            f"The provider calls you {name!r}, which is no user name here. Ask an admin.",
            f"身份提供方给出的名称 {name!r} 不能用作本系统的用户名，请联系管理员。",
        ) from None


def _turned_away(name: str) -> NotLinkedError:
    return NotLinkedError(
        f"{name} is no user here. Ask an admin to add you.",
        f"{name} 不是本系统的用户，请联系管理员添加。",
    )
