"""No count carries the number of a series that does not exist."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import psycopg
import pytest

from streams.ingest.intake import Intake
from streams.store.series import SeriesNumbers
from tests.support.checks import assert_consistent
from tests.support.events import TAIPEI, records, visit
from tests.support.store import counts, rows, worker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.config import Configuration

ORPHANS = """
SELECT count(*) FROM hourly_counts c WHERE NOT EXISTS (
    SELECT FROM series s WHERE s.series_id = c.series_id)
"""


@pytest.fixture
def cut_at_commit(database_url: str) -> Iterator[None]:
    """Cut the first connection that has inserted series when it commits."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("CREATE SEQUENCE cuts")
        connection.execute(
            "CREATE FUNCTION cut() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "IF nextval('cuts') = 1 THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF; "
            "RETURN NULL; END $$"
        )
        connection.execute(
            "CREATE CONSTRAINT TRIGGER cut AFTER INSERT ON series DEFERRABLE INITIALLY DEFERRED "
            "FOR EACH ROW EXECUTE FUNCTION cut()"
        )
        try:
            yield
        finally:
            connection.execute("DROP TRIGGER cut ON series")
            connection.execute("DROP FUNCTION cut")
            connection.execute("DROP SEQUENCE cuts")


@pytest.mark.usefixtures("cut_at_commit")
async def test_numbers_of_a_transaction_that_was_cut_are_forgotten(
    database_url: str, configuration: Configuration
) -> None:
    async with worker(database_url, configuration) as running:
        assert await running.position("visits") == 0
        await running.deliver("visits", 0, records([visit("a"), visit("b")]))
    assert rows(database_url, "SELECT is_called FROM cuts") == [(True,)]
    assert rows(database_url, ORPHANS) == [(0,)]
    assert {(s, r): v for (s, r, *_), v in counts(database_url).items()} == {
        ("fever", TAIPEI): 2,
        ("ili", TAIPEI): 2,
    }


async def test_numbers_are_not_assigned_inside_a_transaction(
    database_url: str, configuration: Configuration
) -> None:
    reading = Intake(configuration).read("visits", records([visit()]), now=datetime.now(UTC))
    series = SeriesNumbers()
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        async with connection.transaction():
            with pytest.raises(RuntimeError, match="transaction of their own"):
                await series.know(connection, reading.accepted)
        await series.know(connection, reading.accepted)
        await connection.rollback()
    assert len(rows(database_url, "SELECT FROM series")) == 2


async def test_a_worker_notices_that_the_series_were_restored(
    database_url: str, configuration: Configuration
) -> None:
    async with worker(database_url, configuration) as running:
        assert await running.position("visits") == 0
        await running.deliver("visits", 0, records([visit("a")]))
        # A backup from before the first event, in which the number went to another region since.
        with psycopg.connect(database_url) as connection:
            for table in (
                "hourly_counts",
                "daily_counts",
                "count_history",
                "events",
                "event_heads",
            ):
                connection.execute(f"DELETE FROM {table}".encode())
            connection.execute("DELETE FROM pending_roll_ups")
            connection.execute("DELETE FROM pending_facilities")
            connection.execute("UPDATE series SET region = 'TW-PEN' WHERE signal = 'ili'")
            connection.execute("DELETE FROM series WHERE signal = 'fever'")
        await running.deliver("visits", 0, records([visit("b")], first=1))
    assert {(s, r): v for (s, r, *_), v in counts(database_url).items()} == {
        ("fever", TAIPEI): 1,
        ("ili", TAIPEI): 1,
    }
    assert_consistent(database_url)


async def test_numbers_do_not_outlive_the_database_that_assigned_them(
    database_url: str, configuration: Configuration
) -> None:
    """After a restore two signals of one place had changed numbers, and counts, in silence."""
    async with worker(database_url, configuration) as running:
        assert await running.position("visits") == 0
        await running.deliver("visits", 0, records([visit("a")]))
        with psycopg.connect(database_url) as connection:
            for old, new in (("ili", "x"), ("fever", "ili"), ("x", "fever")):
                connection.execute("UPDATE series SET signal = %s WHERE signal = %s", (new, old))
            # As with a restored backup, no session of the old database goes on.
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        await running.deliver("visits", 0, records([visit("b", icd10=["A09"])], first=1))
    found = {signal: value for (signal, *_), value in counts(database_url).items()}
    assert found == {"fever": 2, "ili": 1}
