"""Sessions of clients that are frozen or lost end, and their locks with them."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time

import psycopg
import pytest
from psycopg import errors
from psycopg.conninfo import make_conninfo

from streams.store import limits
from streams.store.pool import limit_page, open_pool
from tests.support.store import rows


async def test_sessions_of_a_pool_are_limited(database_url: str) -> None:
    async with open_pool(database_url, size=1) as pool, pool.connection() as connection:
        for name, value in (
            ("idle_in_transaction_session_timeout", "1min"),
            ("lock_timeout", "1min"),
            ("client_connection_check_interval", "2s"),
        ):
            cursor = await connection.execute("SELECT current_setting(%s)", (name,))
            assert await cursor.fetchone() == (value,)
        given = connection.info.get_parameters()
        assert (given["tcp_user_timeout"], given["keepalives_idle"]) == ("20000", "5")


async def test_no_statement_of_a_pool_is_compiled(database_url: str) -> None:
    """PostgreSQL compiles by default: seconds for a statement of a page, on a busy server 30."""
    given = make_conninfo(database_url, options="-c jit=on")
    with psycopg.connect(given) as plain:
        assert plain.execute("SHOW jit").fetchone() == ("on",)
        limit_page(plain)
        assert plain.execute("SHOW jit").fetchone() == ("off",)
    async with open_pool(given, size=1) as pool, pool.connection() as connection:
        assert await (await connection.execute("SHOW jit")).fetchone() == ("off",)


async def test_what_the_connection_string_says_goes_first(database_url: str) -> None:
    given = make_conninfo(database_url, keepalives_idle=77)
    async with open_pool(given, size=1) as pool, pool.connection() as connection:
        assert connection.info.get_parameters()["keepalives_idle"] == "77"


async def test_a_client_that_computes_keeps_its_transaction(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "_WORD_SECONDS", 0.1)

    async def compute() -> int:
        await asyncio.sleep(6)
        return 7

    async with (
        open_pool(database_url, size=1) as pool,
        pool.connection() as connection,
        connection.transaction(),
    ):
        await connection.execute("SET LOCAL idle_in_transaction_session_timeout = '5s'")
        assert await limits.keep_alive(connection, compute()) == 7
        await connection.execute("SELECT 1")


async def test_an_error_of_the_work_is_raised(database_url: str) -> None:
    async def fail() -> None:
        raise ValueError("a detector's")

    async with open_pool(database_url, size=1) as pool, pool.connection() as connection:
        with pytest.raises(ValueError, match="a detector's"):
            await limits.keep_alive(connection, fail())


_HOLDER = """
import asyncio, sys
from streams.store.limits import guard_session
import psycopg

async def hold():
    connection = await psycopg.AsyncConnection.connect(sys.argv[1])
    await guard_session(connection)
    await connection.execute("SELECT pg_advisory_xact_lock(77)")
    await connection.execute("SET LOCAL idle_in_transaction_session_timeout = '8s'")
    print("held", flush=True)
    while True:
        await asyncio.sleep(0.1)
        await connection.execute("SELECT")

asyncio.run(hold())
"""


@pytest.mark.parametrize(
    "statement",
    ["SELECT roll_up_facilities(1)", "SELECT roll_up_batches(1)", "SELECT hold_lock('alerts')"],
)
def test_every_lock_of_ours_ends_soon_after_its_client_froze(
    database_url: str, statement: str
) -> None:
    timeout = "SHOW idle_in_transaction_session_timeout"
    with psycopg.connect(database_url) as connection:
        connection.execute("SET idle_in_transaction_session_timeout = '60s'")
        connection.commit()
        connection.execute(statement.encode())
        assert connection.execute(timeout).fetchone() == (limits.HOLDING,)
        connection.rollback()
        assert connection.execute(timeout).fetchone() == ("1min",)


def test_a_frozen_client_loses_its_lock_and_is_told(database_url: str) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, database_url],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with psycopg.connect(database_url) as connection:
            connection.execute("SET lock_timeout = '9s'")
            with pytest.raises(errors.LockNotAvailable):
                connection.execute("SELECT pg_advisory_xact_lock(77)")
        os.kill(holder.pid, signal.SIGSTOP)
        began = time.monotonic()
        with psycopg.connect(database_url) as connection:
            connection.execute("SET lock_timeout = '60s'")
            connection.execute("SELECT pg_advisory_xact_lock(77)")
        assert time.monotonic() - began < 50
        os.kill(holder.pid, signal.SIGCONT)
        assert "IdleInTransactionSessionTimeout" in holder.communicate(timeout=60)[1]
    finally:
        holder.kill()
        holder.communicate()
    assert rows(database_url, "SELECT 1")
