from __future__ import annotations

import asyncio
from datetime import date, timedelta
from typing import TYPE_CHECKING, NamedTuple

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.counts import Count
from streams.errors import StoreError
from streams.store.imports import import_counts
from streams.store.levels import roll_up_batches
from tests.support.checks import assert_consistent
from tests.support.events import NEW_TAIPEI, TAIPEI, records, sale, visit
from tests.support.store import blocked, empty, rows, worker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streams.config import Configuration
    from tests.support.store import Rows, Worker

#: A Monday; the days of the events lie in its week and the one before.
MONDAY = date(2025, 3, 3)


class Versions(NamedTuple):
    """A batch: versions of a few events, each by event, region, day, age, and whether cancelled."""

    of: Sequence[tuple[int, str, int, int | None, bool]]


class Import(NamedTuple):
    """Counts of one day or week of a region, by age group."""

    region: str
    grain: str
    day: int
    strata: dict[str, int]


class RollUp(NamedTuple):
    """So many batches are rolled up."""

    most: int


versions = st.builds(
    Versions,
    st.lists(
        st.tuples(
            st.integers(0, 5),
            st.sampled_from([TAIPEI, NEW_TAIPEI]),
            st.integers(-3, 6),
            st.sampled_from([3, 30, None]),
            st.sampled_from([False, False, True]),
        ),
        min_size=1,
        max_size=5,
    ),
)
imports = st.builds(
    Import,
    st.sampled_from([TAIPEI, NEW_TAIPEI]),
    st.sampled_from(["day", "week"]),
    st.integers(-3, 6),
    st.dictionaries(st.sampled_from(["all", "19-64", "65+"]), st.integers(0, 9), min_size=1),
)
steps = st.lists(
    st.one_of(versions, versions, imports, st.builds(RollUp, st.integers(1, 3))),
    min_size=1,
    max_size=12,
)

KEPT = {
    "day": "SELECT region, signal, stratum, period, value FROM level_counts WHERE grain = 'day'",
    "week": "SELECT region, signal, stratum, period, value FROM level_counts WHERE grain = 'week'",
}
#: Summed again, without the regions' own counts.
SUMMED = {
    "day": "SELECT region, signal, stratum, day, value FROM level_counts_by_day "
    "WHERE level = 'nation'",
    "week": "SELECT region, signal, stratum, week, value FROM level_counts_by_week "
    "WHERE level = 'nation'",
}


def not_zero(database: str, query: str) -> Rows:
    return sorted(row for row in rows(database, query) if row[-1])


def is_true(database: str) -> bool:
    return all(not_zero(database, KEPT[g]) == not_zero(database, SUMMED[g]) for g in KEPT)


def roll_up_all(database: str) -> None:
    while rows(database, "SELECT roll_up_batches(50)") != [(0,)]:
        pass


async def rolled(database: str) -> int:
    batches = 0
    async with await psycopg.AsyncConnection.connect(database) as connection:
        while taken := await roll_up_batches(connection):
            batches += taken
    return batches


def do_import(database: str, one: Import) -> None:
    day = MONDAY + timedelta(days=one.day)
    if one.grain == "week":
        day -= timedelta(days=day.weekday())
    counts = [
        Count.model_validate(
            {"signal": "ili", "region": one.region, "stratum": stratum, "grain": one.grain,
             "period": day, "value": value}
        )
        for stratum, value in one.strata.items()
    ]  # fmt: skip
    with psycopg.connect(database) as connection:
        import_counts(connection, counts, replace=True)


class _Sender:
    """Delivers versions, each event's revisions counted up."""

    def __init__(self, running: Worker) -> None:
        self._running = running
        self._revisions: dict[int, int] = {}
        self._at = 0

    async def send(self, batch: Versions) -> None:
        events = []
        for event, region, day, age, cancelled in batch.of:
            self._revisions[event] = self._revisions.get(event, 0) + 1
            events.append(
                visit(
                    f"v-{event}",
                    revision=self._revisions[event],
                    region=region,
                    occurred_at=f"{MONDAY + timedelta(days=day)}T09:00:00+08:00",
                    age=age,
                    cancelled=cancelled,
                )
            )
        await self._running.deliver("visits", 0, records(events, first=self._at))
        self._at += len(events)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=steps)
def test_upper_levels_are_the_sums_of_what_lies_below(
    database_url: str, configuration: Configuration, steps: list[Versions | Import | RollUp]
) -> None:
    async def run() -> None:
        empty(database_url)
        # An import rolls up what waits before it looks; batches that come in just then still wait.
        patch.setattr("streams.store.levels._BATCHES", 0)
        async with worker(database_url, configuration) as running:
            await running.position("visits")
            sender = _Sender(running)
            for step in steps:
                match step:
                    case Versions():
                        await sender.send(step)
                    case Import():
                        do_import(database_url, step)
                    case RollUp(most):
                        rows(database_url, "SELECT roll_up_batches(%s)", most)

    with pytest.MonkeyPatch.context() as patch:
        asyncio.run(run())
    roll_up_all(database_url)
    assert is_true(database_url)
    assert rows(database_url, "SELECT FROM pending_roll_ups") == []
    assert is_true(database_url)
    with psycopg.connect(database_url) as connection:
        connection.execute("SELECT rebuild_levels()")
    assert is_true(database_url)
    assert_consistent(database_url)


async def test_a_batch_that_comes_in_while_counts_are_imported_counts_once(
    database_url: str, configuration: Configuration
) -> None:
    here = (1, TAIPEI, 0, 30, False)
    async with worker(database_url, configuration) as running:
        await running.position("visits")
        sender = _Sender(running)
        await sender.send(Versions([here]))
        with psycopg.connect(database_url) as importing:
            importing.execute("SELECT 1")  # begins the transaction that the import becomes part of
            day = Count(signal="ili", region=TAIPEI, grain="day", period=MONDAY, value=7)
            import_counts(importing, [day], replace=True)
            await sender.send(Versions([(2, *here[1:]), (3, TAIPEI, 1, 30, False)]))
            rolling = asyncio.create_task(rolled(database_url))
            async with asyncio.timeout(120):
                await blocked(database_url)
            importing.commit()
            assert await rolling == 1
    assert is_true(database_url)
    of_ili = [row for row in not_zero(database_url, KEPT["day"]) if row[1] == "ili"]
    assert of_ili == [
        ("TW", "ili", "19-64", MONDAY + timedelta(days=1), 1),
        ("TW", "ili", "all", MONDAY, 7),
    ]


async def test_an_import_that_is_refused_changes_no_sum(
    database_url: str, configuration: Configuration
) -> None:
    async with worker(database_url, configuration) as running:
        await running.position("visits")
        await _Sender(running).send(Versions([(1, TAIPEI, 0, 30, False)]))
    await rolled(database_url)
    before = rows(database_url, "SELECT * FROM level_counts ORDER BY 1, 2, 3, 4, 5")
    assert before
    counts = [Count(signal="ili", region="TW", grain="week", period=MONDAY, value=7)]
    with psycopg.connect(database_url) as connection, pytest.raises(StoreError, match="twice"):
        import_counts(connection, counts, replace=True)
    assert rows(database_url, "SELECT * FROM level_counts ORDER BY 1, 2, 3, 4, 5") == before


async def test_what_came_in_is_told_by_minute_source_and_delay(
    database_url: str, configuration: Configuration
) -> None:
    async with worker(database_url, configuration) as running:
        await running.position("visits")
        await running.position("sales")
        late = visit("v-1", occurred_at="2025-03-03T09:30:00+08:00")
        await running.deliver("visits", 0, records([late, late, {"event_id": "x"}]))
        sold = sale("s-1", occurred_at="2025-03-03T09:30:00+08:00", quantity=2.5)
        await running.deliver("sales", 0, records([sold]))
    assert await rolled(database_url) == 2
    columns = "topic, sum(batches), sum(records), sum(inserted), sum(repeated), sum(refused)"
    told = [("sales", 1, 1, 1, 0, 0), ("visits", 1, 3, 1, 1, 1)]
    assert rows(database_url, f"SELECT {columns} FROM intake_minutes GROUP BY 1 ORDER BY 1") == told
    assert rows(database_url, f"SELECT {columns} FROM intake_hours GROUP BY 1 ORDER BY 1") == told
    assert rows(
        database_url, "SELECT source_id, topic, last_event = '2025-03-03 01:30Z' FROM sources "
        "WHERE source_id <> 'unknown' ORDER BY 1",
    ) == [("his-1", "visits", True), ("till-1", "sales", True)]  # fmt: skip
    assert rows(
        database_url,
        "SELECT source_id, sum(accepted), sum(refused) FROM source_days GROUP BY 1 ORDER BY 1",
    ) == [("his-1", 1, 0), ("till-1", 1, 0), ("unknown", 0, 1)]
    days = rows(database_url, "SELECT source_id, days FROM sources ORDER BY 1")
    assert days == [("his-1", 1), ("till-1", 1), ("unknown", 1)]
    assert rows(database_url, "SELECT signal, within, value FROM arrivals ORDER BY 1") == [
        ("antipyretic", 0, 2.5),
        ("antipyretic-sales", 0, 1),
        ("fever", 0, 1),
        ("ili", 0, 1),
    ]


def test_delays_fall_into_their_bounds(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "INSERT INTO series (signal, region, stratum) VALUES ('ili', 'TW-TPE', 'all')"
        )
        connection.execute(
            "INSERT INTO batches (log, topic, partition, from_offset, next_offset, records, "
            "inserted, replaced, repeated, refused, worker, received_at, recorded_at) "
            "VALUES ('l', 't', 0, 0, 1, 1, 1, 0, 0, 0, 'w', now(), '2025-03-03 12:30Z')"
        )
        changes = ((0, 1), (0, -1), (1, 2), (2, 4), (23, 8), (24, 16), (700, 32), (9999, 64))
        connection.execute(
            "INSERT INTO pending_roll_ups (batch_id, recorded_at, series, hours, changes) "
            "SELECT b.batch_id, b.recorded_at, array_agg(s.series_id), "
            "array_agg(timestamptz '2025-03-03 12:00Z' - make_interval(hours => c.hours)), "
            "array_agg(c.change) "
            "FROM batches b, series s, unnest(%s::int[], %s::numeric[]) AS c(hours, change) "
            "GROUP BY 1, 2",
            [list(column) for column in zip(*changes, strict=True)],
        )
        connection.execute("SELECT roll_up_batches(10)")
    assert rows(database_url, "SELECT within, value FROM arrivals ORDER BY 1") == [
        (0, 64), (1, 1), (3, 6), (24, 8), (48, 16), (720, 32),
    ]  # fmt: skip
