from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streams.alerts.explaining import roll_up, roll_up_some
from streams.alerts.following import keep_rolling_up
from streams.store.locks import ALERTS, FACILITIES, JUDGING, TAKE
from tests.support.checks import assert_consistent
from tests.support.events import NEW_TAIPEI, TAIPEI, records, visit
from tests.support.store import blocked, empty, rows, worker

if TYPE_CHECKING:
    from streams.config import Configuration
    from tests.support.store import Rows, Worker


class Version(NamedTuple):
    """One version of one of a few events; its revision is its place among the event's versions."""

    event: int
    facility: str
    region: str
    day: int
    cancelled: bool
    flu: bool
    source: str = "his-1"


HERE = Version(0, "clinic-1", TAIPEI, 1, cancelled=False, flu=True)
VERSIONS = st.builds(
    Version,
    st.integers(0, 4),
    st.sampled_from(["clinic-1", "clinic-2"]),
    st.sampled_from([TAIPEI, NEW_TAIPEI]),
    st.integers(1, 3),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["his-1", "his-2"]),
)
#: Batches, and after each whether it is rolled up at once.
BATCHES = st.lists(
    st.tuples(st.lists(VERSIONS, min_size=1, max_size=6), st.booleans()), min_size=1, max_size=6
)

RECOUNTED = """
WITH latest AS (
    SELECT DISTINCT ON (event_key) * FROM events ORDER BY event_key, revision DESC
)
SELECT s.region, s.signal, local_day(l.occurred_at), l.facility_id, l.source_id, sum(c.amount)
FROM latest l, unnest(l.series, l.amounts) AS c(series_id, amount) JOIN series s USING (series_id)
WHERE NOT l.cancelled
GROUP BY 1, 2, 3, 4, 5
"""


def kept(database: str) -> Rows:
    found = rows(
        database,
        "SELECT region, signal, day, facility_id, source_id, value FROM facility_counts",
    )
    return sorted(row for row in found if row[-1])


def is_true(database: str) -> bool:
    """Whether both tables are what the events tell."""
    reported = (
        "SELECT DISTINCT region, kind, local_day(occurred_at), facility_id, source_id FROM events"
    )
    return kept(database) == sorted(rows(database, RECOUNTED)) and sorted(
        rows(database, "SELECT region, kind, day, facility_id, source_id FROM facility_days")
    ) == sorted(rows(database, reported))


async def deliver(running: Worker, versions: list[tuple[int, Version]], first: int) -> None:
    await running.deliver(
        "visits",
        0,
        records(
            [
                visit(
                    f"v-{version.event}",
                    revision=revision,
                    source_id=version.source,
                    facility_id=version.facility,
                    region=version.region,
                    occurred_at=f"2025-03-0{version.day}T09:00:00+08:00",
                    cancelled=version.cancelled,
                    icd10=["J11"] if version.flu else ["R50"],
                    complaint=None,
                )
                for revision, version in versions
            ],
            first=first,
        ),
    )


async def rolled(database: str) -> int:
    async with await psycopg.AsyncConnection.connect(database) as connection:
        return await roll_up(connection)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=BATCHES)
def test_facility_counts_are_a_recount(
    database_url: str, configuration: Configuration, batches: list[tuple[list[Version], bool]]
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
                if at_once:
                    await rolled(database_url)
                    assert is_true(database_url)
        await rolled(database_url)

    asyncio.run(run())
    assert is_true(database_url)
    assert kept(database_url) or not rows(database_url, RECOUNTED)
    assert rows(database_url, "SELECT FROM pending_facilities") == []
    assert rows(database_url, "SELECT FROM pending_corrections") == []
    assert_consistent(database_url)


async def test_a_roll_up_that_is_rolled_back_is_done_again(
    database_url: str, configuration: Configuration
) -> None:
    async with worker(database_url, configuration) as running:
        assert await running.position("visits") == 0
        await deliver(running, [(1, HERE)], 0)
        await deliver(running, [(2, HERE._replace(facility="clinic-2"))], 1)
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        assert await roll_up_some(connection) == 2
        await connection.rollback()
    assert kept(database_url) == []
    assert await rolled(database_url) == 2
    assert await rolled(database_url) == 0
    assert is_true(database_url)
    assert {row[3] for row in kept(database_url)} == {"clinic-2"}


async def test_who_comes_second_waits_and_finds_the_whole(
    database_url: str, configuration: Configuration
) -> None:
    async with worker(database_url, configuration) as running:
        assert await running.position("visits") == 0
        await deliver(running, [(1, HERE)], 0)
    async with await psycopg.AsyncConnection.connect(database_url) as first:
        assert await roll_up_some(first) == 1
        second = asyncio.create_task(rolled(database_url))
        async with asyncio.timeout(120):
            await blocked(database_url)
        await first.commit()
        assert await second == 0
    assert is_true(database_url)
    assert kept(database_url)


async def test_the_roll_up_goes_on_by_itself_until_the_pool_is_closed(
    database_url: str, configuration: Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.alerts.explaining.reading._BATCHES", 1)
    monkeypatch.setattr("streams.alerts.following._IDLE_SECONDS", 0.05)
    async with worker(database_url, configuration) as running:
        assert await running.position("visits") == 0
        task = asyncio.create_task(keep_rolling_up(running.pool))
        for offset in range(4):
            await deliver(running, [(1, HERE._replace(event=offset))], offset)
        async with asyncio.timeout(120):
            while not (kept(database_url) and is_true(database_url)):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    async with asyncio.timeout(120):
        await task
    assert rows(database_url, "SELECT FROM pending_facilities") == []


def test_it_waits_for_another_roll_up_and_for_no_judge(database_url: str) -> None:
    with (
        psycopg.connect(database_url) as holding,
        psycopg.connect(database_url, autocommit=True) as rolling,
    ):
        rolling.execute("SET lock_timeout = '100ms'")
        for lock in (JUDGING, ALERTS):
            holding.execute(TAKE, (lock,))
        assert rolling.execute("SELECT roll_up_facilities(10)").fetchone() == (0,)
        holding.execute(TAKE, (FACILITIES,))
        with pytest.raises(psycopg.errors.LockNotAvailable):
            rolling.execute("SELECT roll_up_facilities(10)")
