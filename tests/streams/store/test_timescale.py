"""The store on TimescaleDB: the WebAssembly build, and a native server where one is given."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from streams.ingest.intake import Intake, event_key
from streams.judging.loop import judge_pending
from streams.store.migrate import migrate
from streams.store.panels import read_extent, read_panel
from streams.store.rebuilding import Slice, rebuild
from tests.conftest import make_database
from tests.support.checks import assert_consistent
from tests.support.events import KAOHSIUNG, TAIPEI, offline_counts, records, visit
from tests.support.store import counts, daily_counts, rows, worker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.config import Configuration

pytestmark = pytest.mark.timescale

HORIZON, KEPT = 400, 2
NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


def event_time(configuration: Configuration, **changes: Any) -> Configuration:
    surveillance = configuration.surveillance
    settings = surveillance.event_time.model_copy(update=changes)
    return replace(
        configuration, surveillance=surveillance.model_copy(update={"event_time": settings})
    )


#: A native server is no part of what the project installs; who has one names it.
_SERVERS = ["wasm", "native"] if "FENGHUO_TEST_DATABASE_URL" in os.environ else ["wasm"]


@pytest.fixture(scope="module", params=_SERVERS)
def migrated(request: pytest.FixtureRequest, configuration: Configuration) -> Iterator[str]:
    """A database whose policies are shorter than what the tests' intake accepts."""
    with ExitStack() as stack:
        if request.param == "wasm":
            url = request.getfixturevalue("timescale").new_schema()
        else:
            server = request.getfixturevalue("database_server")
            query = "SELECT 1 FROM pg_available_extensions WHERE name = 'timescaledb'"
            if not rows(server, query):
                pytest.skip("FENGHUO_TEST_DATABASE_URL names no server with TimescaleDB")
            url = stack.enter_context(make_database(server))
            # As in the WebAssembly build, policies run when a test says so.
            rows(url, "SELECT _timescaledb_functions.stop_background_workers()")
        done = migrate(url, event_time(configuration, max_age_days=HORIZON, keep_years=KEPT))
        assert done.timescale is not None
        yield url


def keep(database: str, years: int | None) -> None:
    """Note what is deleted: None before the records of a test come in, as if it were long ago."""
    with psycopg.connect(database) as connection:
        connection.execute(
            "UPDATE retention SET keep_years = %s, kept_since = '-infinity'", (years,)
        )


@pytest.fixture
def database(migrated: str) -> str:
    """The same without events."""
    with psycopg.connect(migrated) as connection:
        tables = (
            "events, event_heads, count_history, hourly_counts, daily_counts, stream_offsets, "
            "pending_judgements, verdicts, alerts, batches, dead_letters, imported_counts, "
            "level_counts, pending_roll_ups, pending_facilities, pending_corrections, "
            "facility_counts, facility_days, facility_reports"
        )
        connection.execute(f"TRUNCATE {tables}".encode())
    keep(migrated, None)
    return migrated


def rebuilt(database: str) -> list[Slice]:
    with psycopg.connect(database, autocommit=True) as connection:
        return list(rebuild(connection))


def jobs(database: str) -> dict[tuple[str, str | None], tuple[int, dict[str, Any]]]:
    found = rows(
        database,
        "SELECT proc_name, hypertable_name, job_id, config FROM timescaledb_information.jobs "
        "WHERE hypertable_schema = current_schema() OR proc_schema = current_schema()",
    )
    return {(proc, table): (job, config) for proc, table, job, config in found}


def run_jobs(database: str, procedure: str) -> None:
    ran = 0
    with psycopg.connect(database, autocommit=True) as connection:
        for (name, _), (job, _) in jobs(database).items():
            if name == procedure:
                connection.execute("CALL run_job(%s)", [job])
                ran += 1
    assert ran


TABLES = ["count_history", "daily_counts", "events", "facility_counts", "facility_days",
          "facility_reports", "hourly_counts", "level_counts"]  # fmt: skip
#: Sums of whole regions are kept when the events are deleted.
RETAINED = [table for table in TABLES if table != "level_counts"]


def test_hypertables_and_policies(migrated: str) -> None:
    found = rows(
        migrated,
        "SELECT h.hypertable_name, compression_enabled, d.column_name, d.time_interval "
        "FROM timescaledb_information.hypertables h "
        "JOIN timescaledb_information.dimensions d USING (hypertable_schema, hypertable_name) "
        "WHERE hypertable_schema = current_schema() ORDER BY 1",
    )
    assert found == [
        ("count_history", True, "recorded_at", timedelta(days=7)),
        ("daily_counts", True, "day", timedelta(days=365)),
        ("events", True, "occurred_at", timedelta(days=7)),
        ("facility_counts", True, "day", timedelta(days=30)),
        ("facility_days", True, "day", timedelta(days=30)),
        ("facility_reports", True, "day", timedelta(days=365)),
        ("hourly_counts", True, "hour", timedelta(days=30)),
        ("level_counts", True, "period", timedelta(days=365)),
    ]
    policies = jobs(migrated)
    assert set(policies) == {
        *(("policy_compression", table) for table in TABLES),
        *(("policy_retention", table) for table in RETAINED),
        ("forget_heads", None),
    }
    for table in TABLES:
        after = policies["policy_compression", table][1]["compress_after"]
        assert after == f"{HORIZON + 14} days"
    for table in RETAINED:
        assert policies["policy_retention", table][1]["drop_after"] == f"{KEPT} years"
    assert policies["forget_heads", None][1] == {"keep_years": KEPT, "horizon_days": HORIZON}


def test_another_configuration_takes_effect_and_the_same_changes_nothing(
    migrated: str, configuration: Configuration
) -> None:
    usual = event_time(configuration, max_age_days=HORIZON, keep_years=KEPT)
    before = jobs(migrated)
    migrate(migrated, event_time(configuration, max_age_days=30, keep_years=5))
    changed = jobs(migrated)
    assert changed["policy_compression", "events"][1]["compress_after"] == "44 days"
    assert changed["policy_retention", "events"][1]["drop_after"] == "5 years"
    assert changed["forget_heads", None][1] == {"keep_years": 5, "horizon_days": 30}
    # Without keep_years nothing is deleted any more.
    migrate(migrated, event_time(configuration, max_age_days=HORIZON, keep_years=None))
    assert {name for name, _ in jobs(migrated)} == {"policy_compression"}
    for _ in range(2):
        assert migrate(migrated, usual).applied == []
        assert {k: c for k, (_, c) in jobs(migrated).items()} == {
            k: c for k, (_, c) in before.items()
        }


def ago(days: int) -> str:
    return (NOW - timedelta(days=days)).isoformat()


def old_and_new() -> list[dict[str, Any]]:
    return [
        visit(f"v-{days}-{i}", occurred_at=ago(days), region=(TAIPEI, KAOHSIUNG)[i % 2])
        for days in (1, 2, 100, 390, 500, 600, 1300, 1301)
        for i in range(4)
    ]


def check_counts(database: str, configuration: Configuration, events: list[Any]) -> None:
    expected = offline_counts(Intake(configuration), events, zone="Asia/Taipei", now=NOW)
    for source in ("counts_hourly", "recount()", "counts_as_of('infinity')"):
        assert counts(database, source) == expected, source
    assert sum(daily_counts(database).values()) == sum(expected.values())
    total = sum(expected.values())
    for view in ("counts_by_day", "counts_by_week"):
        assert rows(database, f"SELECT sum(value) FROM {view}") == [(total or None,)]
    for view in ("level_counts_by_day", "level_counts_by_week"):
        by_level = rows(database, f"SELECT level, sum(value) FROM {view} GROUP BY 1 ORDER BY 1")
        assert by_level == [("county", total), ("nation", total)]


async def test_commits_corrections_and_compression(
    database: str, configuration: Configuration
) -> None:
    events = old_and_new()
    async with worker(database, configuration, size=1) as running:
        await running.position("visits")
        await running.deliver("visits", 0, records(events))
        check_counts(database, configuration, events)

        run_jobs(database, "policy_compression")
        compressed = rows(
            database,
            "SELECT hypertable_name, count(*) FILTER (WHERE is_compressed), count(*) "
            "FROM timescaledb_information.chunks WHERE hypertable_schema = current_schema() "
            "GROUP BY 1 ORDER BY 1",
        )
        some = {table: 0 < packed < chunks for table, packed, chunks in compressed}
        assert some == {"count_history": False, "daily_counts": True, "events": True,
                        "hourly_counts": True}  # fmt: skip
        check_counts(database, configuration, events)

        # Corrections, cancellations and new events that reach into compressed chunks.
        late = [
            visit("v-500-0", revision=2, occurred_at=ago(600)),
            visit("v-600-1", revision=2, occurred_at=ago(1), age=3),
            visit("v-600-2", revision=2, cancelled=True),
            visit("late-500", occurred_at=ago(500)),
            visit("v-500-1", occurred_at=ago(500), region=KAOHSIUNG),  # a repeat
        ]
        await running.deliver("visits", 0, records(late, first=len(events)))
        check_counts(database, configuration, [*events, *late])
        assert running.commits[-1][1:] == (1, 3, 1, 0)


async def test_retention_deletes_events_counts_and_heads(
    database: str, configuration: Configuration
) -> None:
    events = old_and_new()
    async with worker(database, configuration, size=1) as running:
        await running.position("visits")
        await running.deliver("visits", 0, records(events))
        run_jobs(database, "policy_compression")
        run_jobs(database, "policy_retention")
        kept = [event for event in events if not event["event_id"].startswith("v-13")]
        expected = offline_counts(Intake(configuration), kept, zone="Asia/Taipei", now=NOW)
        assert counts(database) == expected
        assert counts(database, "recount()") == expected
        assert sum(daily_counts(database).values()) == sum(expected.values())
        heads = "SELECT event_key::text FROM event_heads"
        assert len(rows(database, heads)) == len(events)
        run_jobs(database, "forget_heads")
        left = {row[0].replace("-", "") for row in rows(database, heads)}
        assert left == {event_key("his-1", event["event_id"]) for event in kept}
        await running.deliver("visits", 0, records(kept, first=len(events)))
        assert running.commits[-1].repeated == len(kept)
        assert counts(database) == expected


async def test_what_retention_deleted_is_not_changed(
    database: str, configuration: Configuration
) -> None:
    events = old_and_new()
    # In a chunk that is kept for some days after its time; moved back and forth over the boundary.
    edge = KEPT * 366 + 1
    events += [
        visit("edge", occurred_at=ago(edge)),
        visit("older", occurred_at=ago(20), region=KAOHSIUNG),
        visit("older", revision=2, occurred_at=ago(800)),
    ]
    async with worker(database, configuration, size=1) as running:
        await running.position("visits")
        await running.deliver("visits", 0, records(events[:-1]))
        await running.deliver("visits", 0, records(events[-1:], first=len(events) - 1))
        rows(database, "SELECT roll_up_batches(9), roll_up_facilities(9)")
        run_jobs(database, "policy_retention")
        keep(database, KEPT)
        assert_consistent(database)
        before = counts(database)
        refused = [
            visit("v-1300-0", revision=2, occurred_at=ago(1)),
            visit("v-1300-1", revision=2, cancelled=True, occurred_at=ago(1)),
            visit("v-1300-2", revision=2, region=KAOHSIUNG, occurred_at=ago(1300)),
            visit("edge", revision=2, occurred_at=ago(1)),
            visit("v-1-0", revision=2, occurred_at=ago(edge)),
            visit("new", occurred_at=ago(1300)),
        ]
        await running.deliver("visits", 0, records(refused, first=len(events)))
    assert running.commits[-1][1:] == (0, 0, 0, len(refused))
    assert rows(database, "SELECT DISTINCT reason FROM dead_letters") == [("beyond_retention",)]
    assert counts(database) == before
    rows(database, "SELECT roll_up_batches(9), roll_up_facilities(9)")
    assert_consistent(database)
    assert not any(step.corrected for step in rebuilt(database))


async def test_counts_as_of_a_time_after_history_was_deleted(
    database: str, configuration: Configuration
) -> None:
    async with worker(database, configuration, size=1) as running:
        await running.position("visits")
        await running.deliver("visits", 0, records([visit("v-1", occurred_at=ago(700))]))
        # Recorded as long ago as the event, which came in at once.
        with psycopg.connect(database) as connection:
            connection.execute(
                "CREATE TEMPORARY TABLE moved AS SELECT * FROM count_history; "
                "DELETE FROM count_history; "
                "INSERT INTO count_history (recorded_at, series_id, batch_id, hour, change) "
                "SELECT now() - interval '3 years', series_id, batch_id, hour, change FROM moved"
            )
        run_jobs(database, "policy_retention")
        keep(database, KEPT)
        known = counts(database)
        assert sum(known.values()) > 0
        moment = rows(database, "SELECT clock_timestamp()")[0][0]
        correction = visit("v-1", revision=2, occurred_at=ago(700), cancelled=True)
        await running.deliver("visits", 0, records([correction], first=1))
    assert counts(database) == counts(database, "counts_as_of('infinity')") == {}
    assert counts(database, "counts_as_of(%s)", moment) == known
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="are not known any more"):
        counts(database, "counts_as_of(%s)", NOW - timedelta(days=KEPT * 366 + 1))


async def test_heads_outlive_their_events_by_the_horizon(
    database: str, configuration: Configuration
) -> None:
    days = (KEPT * 365 + 60, KEPT * 365 + HORIZON - 5, KEPT * 365 + HORIZON + 5)
    async with worker(database, configuration, size=1) as running:
        await running.position("visits")
        await running.deliver(
            "visits", 0, records(visit(f"v-{d}", occurred_at=ago(d)) for d in days)
        )
    run_jobs(database, "policy_retention")
    run_jobs(database, "forget_heads")
    left = {
        row[0].replace("-", "") for row in rows(database, "SELECT event_key::text FROM event_heads")
    }
    assert left == {event_key("his-1", f"v-{d}") for d in days[:2]}


async def test_judging(database: str, configuration: Configuration) -> None:
    events = [
        visit(f"v-{day}-{i}", occurred_at=ago(day))
        for day in range(20)
        for i in range(60 if day == 0 else 2)
    ]
    async with worker(database, configuration, size=1) as running:
        await running.position("visits")
        await running.deliver("visits", 0, records(events))
        assert await judge_pending(running.pool, configuration) > 0
        async with running.pool.connection() as connection:
            extent = await read_extent(connection, "ili")
            assert extent is not None
            panel = await read_panel(
                connection, signal="ili", regions=["TW"], grain="day", first=extent.first,
                last=extent.last, extent=extent, epi_week="iso",
            )  # fmt: skip
    assert panel.sum() == len(events)
    assert rows(database, "SELECT rule, region FROM alerts") == [("ili-rolling", TAIPEI)]
