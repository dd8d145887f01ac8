"""Connections to PostgreSQL."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import psycopg
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from streams.errors import UnavailableError
from streams.store.conninfo import checked, redacted
from streams.store.limits import client_options, guard_session
from streams.store.rights import CommandConnection

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

__all__ = ["connect", "limit_page", "limit_page_async", "open_pool"]

#: Limits of a session that serves a page: how long a statement may run, how long it may wait for a
#: lock, and how long a transaction may idle.
_LIMITS: Final = (
    "SET statement_timeout = '30s'",
    "SET lock_timeout = '4s'",
    "SET idle_in_transaction_session_timeout = '60s'",
    # Compiling takes longer than the statements of pages.
    "SET jit = off",
)


def connect(database: str) -> psycopg.Connection:
    """Open one connection for a command, for a ``with`` block.

    Raises
    ------
    UnavailableError
        When the server cannot be reached or refuses the credentials.
    """
    checked(database)
    try:
        # No prepared statements: a pooler in transaction mode changes the session below them.
        return CommandConnection.connect(
            database, prepare_threshold=None, **client_options(database)
        )
    except psycopg.OperationalError as error:
        raise _unavailable(database, error) from None


@asynccontextmanager
async def open_pool(
    database: str,
    *,
    size: int,
    configure: Callable[[psycopg.AsyncConnection], Awaitable[None]] | None = None,
) -> AsyncIterator[AsyncConnectionPool]:
    """Open a pool of `size` connections and close it at the end.

    Their sessions have the limits of `streams.store.limits`.
    """

    async def prepare(connection: psycopg.AsyncConnection) -> None:
        await guard_session(connection)
        if configure is not None:
            await configure(connection)

    checked(database)
    pool = AsyncConnectionPool(
        database,
        min_size=size,
        max_size=size,
        open=False,
        configure=prepare,
        kwargs=client_options(database),
    )
    try:
        await pool.open(wait=True, timeout=30)
    except PoolTimeout as error:
        await pool.close()
        raise _unavailable(database, error) from None
    try:
        yield pool
    finally:
        await pool.close()


def limit_page(connection: psycopg.Connection) -> None:
    """Bound what a session that serves a page may wait for; for the pool's `configure`."""
    for statement in _LIMITS:
        connection.execute(statement)
    connection.commit()


async def limit_page_async(connection: psycopg.AsyncConnection) -> None:
    """Do the same as `limit_page`."""
    for statement in _LIMITS:
        await connection.execute(statement)
    await connection.commit()


def _unavailable(database: str, error: Exception) -> UnavailableError:
    return UnavailableError(
        f"The database ({redacted(database)}) cannot be used: {str(error).strip()} "
        "Check --database or FENGHUO_DATABASE."
    )
