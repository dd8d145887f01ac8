"""Whether the database takes writes: one that only answers is of no use to a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg

from streams.errors import StoreError

if TYPE_CHECKING:
    from psycopg import AsyncConnection

__all__ = ["NotWritableError", "check_writable"]


class NotWritableError(StoreError):
    """The database answers, but takes no writes."""


async def check_writable(connection: AsyncConnection) -> None:
    """Begin a write, and take it back.

    A transaction id needs a place in the server's table of locks, and no server gives one that
    only reads. Nothing is written.

    Raises
    ------
    NotWritableError
        The database is read-only or a standby, or the table of locks is full.
    """
    try:
        cursor = await connection.execute("SELECT current_setting('transaction_read_only')")
        row = await cursor.fetchone()
        if row is None or row[0] == "on":
            raise NotWritableError("The database is read-only; perhaps it is a standby.")
        await connection.execute("SELECT pg_current_xact_id()")
        await connection.rollback()
    except psycopg.errors.OutOfMemory as error:
        raise NotWritableError(
            f"The database takes no writes: {error.diag.message_primary}."
        ) from None
