"""The last administrator of the nation stays: without one nobody could manage users on the page."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from streams.errors import FenghuoError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

__all__ = ["LastAdminError", "keeps_an_admin"]


class LastAdminError(FenghuoError):
    """A change would leave the nation without an administrator; in both languages."""

    def __init__(self) -> None:
        super().__init__(
            "This is the last admin of the nation who is not disabled. Make another user admin of "
            "the nation first.",
            zh="这是最后一位未停用的全国管理员，请先将另一位用户设为全国管理员。",
        )


@contextmanager
def keeps_an_admin(connection: psycopg.Connection) -> Iterator[None]:
    """Run changes of users in a transaction that leaves an admin of the nation, if there was one.

    The rows of these admins are locked, so that two of them cannot disable each other at once.

    Raises
    ------
    LastAdminError
        No admin would be left. Nothing is changed.
    """
    with connection.transaction():
        # In a fixed order, so that two transactions cannot wait for each other.
        before = connection.execute(f"{_ADMINS} ORDER BY u.user_id FOR UPDATE OF u").fetchall()
        yield
        if before and not connection.execute(_ADMINS).fetchall():
            raise LastAdminError


_ADMINS = """
SELECT u.user_id FROM users u JOIN regions r ON r.code = u.region
WHERE u.role = 'admin' AND NOT u.disabled AND r.parent IS NULL
"""
