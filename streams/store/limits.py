"""Limits of database sessions: a client that is frozen or lost must not keep its locks.

A worker that stops (SIGSTOP, a paused virtual machine, a host that lost its network) leaves its
transactions open, and everybody who needs their locks waits. The server ends such sessions:

- 10 seconds (`HOLDING`) after the last word of a transaction that holds what others wait for: a
  partition's offset, the locks of `streams.store.locks`, changes that only it can judge;
- 60 seconds after the last word of any other transaction;
- a few seconds after a connection broke without a word, by TCP keepalives.

A client that thaws finds its session gone and its transaction rolled back, and repeats it; a commit
then finds the offset where another worker has moved it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, TypeVar

from psycopg.conninfo import conninfo_to_dict

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from psycopg import AsyncConnection

__all__ = [
    "HOLDING",
    "client_options",
    "guard_session",
    "hold_briefly",
    "keep_alive",
]

T = TypeVar("T")

#: Value of `idle_in_transaction_session_timeout` for transactions that hold such locks. The
#: function `hold_lock` (migration 0054) sets the same.
HOLDING: Final = "10s"

#: Seconds between the words that keep a session alive while its client computes.
_WORD_SECONDS: Final = 3.0

#: How libpq notices a server that is gone; what the connection string says goes first.
_CLIENT: Final[dict[str, Any]] = {
    "connect_timeout": 10,
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}

#: Settings of each session; first how the server notices a client that is gone, which sockets other
#: than TCP ignore.
_SERVER: Final = {
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "20s",
    # While a statement runs or waits for a lock, the server would not look for the client.
    "client_connection_check_interval": "2s",
    "idle_in_transaction_session_timeout": "60s",
    # Longer than what holds a lock lives: nobody waits in silence for ever.
    "lock_timeout": "60s",
    # Compiling takes longer than these statements: seconds, where planners expect many rows.
    "jit": "off",
}


def client_options(database: str) -> dict[str, Any]:
    """Return libpq's options for a connection string, as far as it does not set them.

    Examples
    --------
    >>> client_options("postgresql://h/d?connect_timeout=3").get("connect_timeout")
    >>> client_options("postgresql://h/d")["connect_timeout"]
    10
    """
    given = conninfo_to_dict(database)
    return {name: value for name, value in _CLIENT.items() if name not in given}


async def guard_session(connection: AsyncConnection) -> None:
    """Set the server's limits for a session; for the pool's `configure`."""
    await connection.execute(
        "SELECT set_config(l.name, l.value, false) "
        "FROM unnest(%s::text[], %s::text[]) AS l(name, value) JOIN pg_settings USING (name)",
        (list(_SERVER), list(_SERVER.values())),
    )
    await connection.commit()


async def hold_briefly(connection: AsyncConnection) -> None:
    """Limit the present transaction to `HOLDING`: it is about to hold what others wait for."""
    await connection.execute(
        "SELECT set_config('idle_in_transaction_session_timeout', %s, true)", (HOLDING,)
    )


async def keep_alive(connection: AsyncConnection, work: Awaitable[T]) -> T:
    """Await work inside a transaction, and tell the server meanwhile that the client lives.

    Parameters
    ----------
    connection
        In a transaction; the work does not use it.
    work
        What takes long, such as a detector in a thread. It must leave the event loop free.
    """
    task = asyncio.ensure_future(work)
    try:
        while not (await asyncio.wait({task}, timeout=_WORD_SECONDS))[0]:
            await connection.execute("SELECT")
    finally:
        if not task.done():
            task.cancel()
    return await task
