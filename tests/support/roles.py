"""Database roles of running programs, for tests that run these programs."""

from __future__ import annotations

import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from streams.store.roles import grant_roles

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.store.roles import Rights

__all__ = ["signing_in"]


@contextmanager
def signing_in(database: str, rights: Rights) -> Iterator[str]:
    """Make a role with these rights; gives the connection string by which it signs in."""
    name = f"role_{uuid.uuid4().hex[:10]}"
    with psycopg.connect(database) as connection:
        grant_roles(connection, {name: (rights, "pw")})
    try:
        yield make_conninfo(database, user=name, password="pw")
    finally:
        with psycopg.connect(database) as connection:
            role = sql.Identifier(name)
            connection.execute(sql.SQL("DROP OWNED BY {}; DROP ROLE {}").format(role, role))
