from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from streams.store.rebuilding import Part, Slice, rebuild
from streams.store.schema import SchemaMisfitError
from tests.streams.store.test_facilities import BATCHES, Version, deliver, is_true, rolled
from tests.streams.store.test_levels import Import, do_import, roll_up_all
from tests.streams.store.test_levels import is_true as levels_are_true
from tests.support.events import NEW_TAIPEI, TAIPEI
from tests.support.store import empty, rows, worker

if TYPE_CHECKING:
    from streams.config import Configuration

TABLES = ("daily_counts", "facility_counts", "facility_days", "facility_reports", "level_counts")
#: What a release that lost counts could leave behind, and what nothing accounts for.
DAMAGE = (
    "DELETE FROM daily_counts WHERE day = '2025-03-01'",
    "UPDATE daily_counts SET value = value + 3 WHERE day = '2025-03-02'",
    "INSERT INTO daily_counts SELECT min(series_id), date '2025-02-02', 4 FROM series",
    "TRUNCATE level_counts",
    "UPDATE level_counts SET value = value - 1",
    "INSERT INTO level_counts VALUES ('TW', 'ili', 'day', '2025-04-01', 'all', 9)",
    "TRUNCATE facility_counts",
    "UPDATE facility_counts SET value = value * 2 WHERE facility_id = 'clinic-1'",
    "DELETE FROM facility_days WHERE facility_id = 'clinic-2'",
    "INSERT INTO facility_days VALUES ('TW-TPE', 'visits', '2025-03-01', 'nobody', 'x')",
    "INSERT INTO facility_counts VALUES ('TW-TPE', 'ili', '2025-05-01', 'nobody', 'x', 2)",
    "TRUNCATE facility_reports",
    "INSERT INTO facility_reports VALUES ('TW', 'visits', '2025-03-05', 7)",
)


def state(database: str) -> dict[str, list[tuple[Any, ...]]]:
    """All roll-ups, without counts of 0."""
    found = {table: rows(database, f"SELECT * FROM {table}".encode()) for table in TABLES}  # type: ignore[arg-type]
    return {
        table: sorted(row for row in lines if table == "facility_days" or row[-1])
        for table, lines in found.items()
    }


def rebuilt(database: str, *parts: Part) -> list[Slice]:
    with psycopg.connect(database, autocommit=True) as connection:
        return list(rebuild(connection, parts or tuple(Part)))


HERE = Version(0, "clinic-1", TAIPEI, 1, cancelled=False, flu=True)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    batches=BATCHES,
    damage=st.lists(st.sampled_from(DAMAGE), min_size=1, max_size=4, unique=True),
    imported=st.booleans(),
)
# A day without a row, of which a waiting batch takes back what was counted.
@example(
    batches=[([HERE], True), ([HERE._replace(flu=False)], False)],
    damage=[DAMAGE[0]],
    imported=False,
)
def test_a_rebuild_is_what_the_roll_ups_had_come_to(
    database_url: str,
    configuration: Configuration,
    batches: list[tuple[list[Version], bool]],
    damage: list[str],
    *,
    imported: bool,
) -> None:
    async def run() -> None:
        empty(database_url)
        revisions = [1] * 5
        async with worker(database_url, configuration) as running:
            at = await running.position("visits")
            for versions, at_once in batches:
                numbered = []
                for version in versions:
                    numbered.append((revisions[version.event], version))
                    revisions[version.event] += 1
                await deliver(running, numbered, at)
                at += len(versions)
                if at_once:  # what comes in later still waits while the roll-ups are rebuilt
                    await rolled(database_url)
                    roll_up_all(database_url)

    asyncio.run(run())
    if imported:
        do_import(database_url, Import(TAIPEI, "day", -1, {"all": 7}))
        do_import(database_url, Import(NEW_TAIPEI, "week", 0, {"all": 9, "19-64": 3}))
    before = state(database_url)
    with psycopg.connect(database_url) as connection:
        for statement in damage:
            connection.execute(statement.encode())
    rebuilt(database_url)
    assert state(database_url) == before
    assert sum(done.corrected for done in rebuilt(database_url)) == 0
    asyncio.run(rolled(database_url))
    roll_up_all(database_url)
    assert is_true(database_url)
    assert levels_are_true(database_url)


async def test_batches_of_a_worker_that_wrote_no_roll_ups_are_made_up_for(
    database_url: str, configuration: Configuration
) -> None:
    """As by a new worker on an older schema: counts by hour, and nothing else."""
    async with worker(database_url, configuration) as running:
        at = await running.position("visits")
        await deliver(running, [(1, HERE), (1, HERE._replace(event=1, day=2))], at)
    with psycopg.connect(database_url) as connection:
        connection.execute("TRUNCATE pending_roll_ups, pending_facilities, daily_counts")
        connection.execute("TRUNCATE pending_judgements, pending_spans")
    done = await asyncio.to_thread(rebuilt, database_url)
    assert {one.part for one in done} == set(Part)
    assert all(one.done <= one.slices for one in done)
    assert is_true(database_url)
    assert levels_are_true(database_url)
    days = rows(
        database_url, "SELECT DISTINCT region, first_day::text, last_day::text FROM pending_spans"
    )
    assert sorted(days) == [
        ("TW", "2025-03-01", "2025-03-02"),
        (TAIPEI, "2025-03-01", "2025-03-02"),
    ]


async def test_commits_go_on_while_roll_ups_are_rebuilt(
    database_url: str, configuration: Configuration
) -> None:
    async with worker(database_url, configuration) as running:
        at = await running.position("visits")
        done = asyncio.Event()

        async def commit() -> None:
            revision, offset = 1, at
            while not done.is_set():
                day = 1 + revision % 3
                await deliver(running, [(revision, HERE._replace(day=day, event=0))], offset)
                revision, offset = revision + 1, offset + 1
                if revision % 4 == 0:
                    await rolled(database_url)
                    await asyncio.to_thread(roll_up_all, database_url)
            assert revision > 3

        committing = asyncio.create_task(commit())
        for _ in range(12):
            await asyncio.to_thread(rebuilt, database_url)
        done.set()
        await committing
    await rolled(database_url)
    roll_up_all(database_url)
    assert is_true(database_url)
    assert levels_are_true(database_url)
    hourly = "SELECT sum(value) FROM hourly_counts"
    assert rows(database_url, hourly) == rows(database_url, "SELECT sum(value) FROM daily_counts")


async def test_a_rebuild_that_is_killed_is_repeated(
    database_url: str, configuration: Configuration
) -> None:
    async with worker(database_url, configuration) as running:
        at = await running.position("visits")
        await deliver(running, [(1, HERE), (1, HERE._replace(event=1, day=3))], at)
    await rolled(database_url)
    roll_up_all(database_url)
    before = state(database_url)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("UPDATE daily_counts SET value = value + 1")
        connection.execute("TRUNCATE facility_counts, level_counts")
        steps = rebuild(connection)
        next(steps)
    rebuilt(database_url)
    assert state(database_url) == before


def test_a_rebuild_ends_when_the_schema_is_changed(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO facility_days VALUES ('TW', 'visits', '2025-03-01', 'x', 'x')"
        )
        try:
            connection.execute("INSERT INTO _yoyo_migration VALUES ('x', '9999_later')")
            with pytest.raises(SchemaMisfitError):
                list(rebuild(connection))
        finally:
            connection.execute("DELETE FROM _yoyo_migration WHERE migration_id = '9999_later'")
