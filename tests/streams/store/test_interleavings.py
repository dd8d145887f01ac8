"""Whatever order, repetition, correction and crash: the counts are those of the final events."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from zoneinfo import ZoneInfo

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streams.config import load_configuration
from streams.ingest.intake import Intake
from streams.store.commit import BatchPosition, StaleOffsetError, commit_batch
from streams.store.migrate import migrate
from streams.store.series import SeriesNumbers
from tests.conftest import make_database
from tests.support.checks import assert_consistent
from tests.support.events import (
    KAOHSIUNG,
    NEW_TAIPEI,
    TAIPEI,
    Counts,
    offline_counts,
    records,
    sale,
    visit,
)
from tests.support.store import LOG, Worker, counts, daily_counts, empty, rows, worker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.config import Configuration

#: Around midnight in Taipei, Kathmandu (+05:45) and New York on the days when its clocks change.
MOMENTS = [
    "2025-03-08T23:59:59.999+08:00", "2025-03-09T00:00:00+08:00", "2025-03-09T00:30:00+08:00",
    "2025-03-08T18:14:59Z", "2025-03-08T18:15:00Z", "2025-03-08T18:59:00Z",
    "2025-03-09T04:59:00Z", "2025-03-09T05:00:00Z", "2025-03-09T06:59:59Z", "2025-03-09T07:00:00Z",
    "2025-03-10T03:59:59Z", "2025-03-10T04:00:00Z",
    "2025-11-02T03:59:00Z", "2025-11-02T04:00:00Z", "2025-11-02T05:30:00Z", "2025-11-02T06:30:00Z",
    "2025-11-03T04:59:59Z", "2025-11-03T05:00:00Z", "2024-03-01T12:00:00Z",
]  # fmt: skip

contents: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "region": st.sampled_from([TAIPEI, NEW_TAIPEI, KAOHSIUNG]),
        "occurred_at": st.sampled_from(MOMENTS),
        "cancelled": st.sampled_from([False, False, False, True]),
    }
)
visits: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"age": st.sampled_from([3, 30, 80, None]), "icd10": st.sampled_from([["J11.1"], ["R50.9"]])}
)
sales: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"quantity": st.sampled_from([0.1, 0.2, 1, 2.5, 0.001, 99_999.999])}
)


class Step(NamedTuple):
    """A batch that is handed over: from so far behind (or ahead of) the stored offset, so long."""

    partition: int
    shift: int
    length: int
    crash: bool


steps = st.builds(
    Step,
    st.integers(0, 2),
    st.sampled_from([0, 0, 0, 0, -1, -3, -100, 2]),
    st.integers(1, 6),
    st.sampled_from([False, False, False, True]),
)


@st.composite
def logs(draw: st.DrawFn, kind: str) -> list[list[dict[str, Any]]]:
    """What three partitions hold: revisions of a few events, in any order, with repeats."""
    versions = []
    for number in range(draw(st.integers(1, 4))):
        for revision in range(1, draw(st.integers(1, 4)) + 1):
            event = draw(contents) | draw(visits if kind == "visits" else sales)
            make = visit if kind == "visits" else sale
            versions.append(make(f"e-{number}", revision=revision, **event))
    partitions: list[list[dict[str, Any]]] = [[], [], []]
    for version in draw(st.permutations(versions + draw(st.lists(st.sampled_from(versions))))):
        partitions[draw(st.integers(0, 2))].append(version)
    return partitions


class Installation(NamedTuple):
    database: str
    configuration: Configuration
    worker: Worker
    runner: asyncio.Runner


@pytest.fixture(scope="module", params=["Asia/Taipei", "Asia/Kathmandu", "America/New_York"])
def installation(
    request: pytest.FixtureRequest,
    database_server: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Installation]:
    path = tmp_path_factory.mktemp("zone") / "fenghuo.yaml"
    text = (Path(__file__).parents[2] / "data" / "taiwan.yaml").read_text(encoding="utf-8")
    assert "Asia/Taipei" in text
    path.write_text(text.replace("Asia/Taipei", request.param), encoding="utf-8")
    configuration = load_configuration(path)
    with make_database(database_server) as database, asyncio.Runner() as runner:
        migrate(database, configuration)
        opened = worker(database, configuration)
        yield Installation(database, configuration, runner.run(opened.__aenter__()), runner)
        runner.run(opened.__aexit__(None, None, None))


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
@pytest.mark.parametrize("kind", ["visits", "sales"])
def test_counts_are_those_of_the_final_events(
    installation: Installation, kind: str, data: st.DataObject
) -> None:
    database, configuration, _, runner = installation
    zone = configuration.surveillance.time_zone
    log = data.draw(logs(kind))
    plan = data.draw(st.lists(steps, max_size=15))
    empty(database)
    known = runner.run(deliver(installation, kind, log, plan))

    now = counts(database)
    assert now == counts(database, "recount()")
    assert now == counts(database, "counts_as_of('infinity')")
    everything = [event for partition in log for event in partition]
    intake = Intake(configuration)
    assert now == offline_counts(intake, everything, zone=zone, now=datetime.now(UTC))
    assert daily_counts(database) == by_day(now, zone)
    for known_at, then in known:
        assert counts(database, "counts_as_of(%s)", known_at) == then
        assert counts(database, "recount(%s)", known_at) == then
    assert rows(
        database, "SELECT sum(records), count(DISTINCT recorded_at) = count(*) FROM batches"
    ) == [(len(everything), True)]
    assert rows(database, "SELECT count(*) FROM dead_letters") == [(0,)]
    assert_consistent(database)


def by_day(hourly: Counts, zone: str) -> dict[tuple[Any, ...], Decimal]:
    result: dict[tuple[Any, ...], Decimal] = defaultdict(Decimal)
    for (signal, region, stratum, hour), value in hourly.items():
        result[signal, region, stratum, hour.astimezone(ZoneInfo(zone)).date()] += value
    return dict(result)


async def deliver(
    installation: Installation, kind: str, log: list[list[dict[str, Any]]], plan: list[Step]
) -> list[tuple[datetime, Counts]]:
    """Hand all over, and return what was known after each batch."""
    database, _, worker_, _ = installation
    held = [records(partition) for partition in log]
    at = [await worker_.position(kind, p) for p in range(3)]
    known = []
    for step in [*plan, *(Step(p, 0, 5, crash=False) for p in range(3) for _ in range(20))]:
        first = max(0, at[step.partition] + step.shift)
        batch = held[step.partition][first : first + step.length]
        if not batch:
            continue
        if step.crash:
            await crash(installation, kind, step.partition, batch)
        else:
            worker_.reseeks.clear()
            await worker_.deliver(kind, step.partition, batch)
            if step.shift > 0 and first > at[step.partition]:
                assert [offset for _, offset in worker_.reseeks] == [at[step.partition]]
            else:
                at[step.partition] = max(at[step.partition], batch[-1].offset + 1)
                assert worker_.reseeks == []
        assert await worker_.position(kind, step.partition) == at[step.partition]
        last = rows(database, "SELECT max(recorded_at) FROM batches")[0][0]
        if last is not None:
            known.append((last, counts(database)))
    assert at == [len(partition) for partition in log]
    return known


async def crash(installation: Installation, kind: Any, partition: int, batch: Any) -> None:
    """Come as far as before the commit, and lose everything."""
    reading = Intake(installation.configuration).read(kind, batch, now=datetime.now(UTC))
    at = BatchPosition(LOG, kind, partition, batch[0].offset, batch[-1].offset + 1)
    series = SeriesNumbers()
    async with installation.worker.pool.connection() as connection:
        await series.know(connection, reading.accepted)
        await connection.commit()
        try:
            async with connection.transaction():
                await commit_batch(
                    connection, at, reading, series,
                    records=len(batch), worker="crashing", received_at=datetime.now(UTC),
                )  # fmt: skip
                raise psycopg.Rollback
        except StaleOffsetError:
            pass
