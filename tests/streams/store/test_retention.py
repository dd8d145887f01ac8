"""What is kept of counts and their history, and what is refused because it is not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest

from streams.store.migrate import migrate
from tests.support.checks import assert_consistent, wrong_checks
from tests.support.events import KAOHSIUNG, TAIPEI, records, sale, visit
from tests.support.store import counts, migrate_below, rows, worker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.config import Configuration

NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


def ago(days: float) -> str:
    return (NOW - timedelta(days=days)).isoformat()


def execute(database: str, *statements: str) -> None:
    with psycopg.connect(database) as connection:
        for statement in statements:
            connection.execute(statement.encode())


@pytest.fixture
def database(database_url: str) -> Iterator[str]:
    execute(database_url, "INSERT INTO retention DEFAULT VALUES")
    yield database_url
    execute(database_url, "DELETE FROM retention")


def drop(database: str, days: int) -> None:
    """Delete as retention would, and note that it did."""
    since = f"now() - interval '{days} days'"
    execute(
        database,
        f"DELETE FROM events WHERE occurred_at < {since}",
        f"DELETE FROM hourly_counts WHERE hour < {since}",
        f"DELETE FROM daily_counts WHERE day < {since}",
        f"DELETE FROM facility_counts WHERE day < {since}",
        f"DELETE FROM facility_days WHERE day < {since}",
        f"DELETE FROM count_history WHERE recorded_at < {since}",
        f"UPDATE retention SET kept_since = {since} + interval '1 day'",
    )


async def test_changes_of_deleted_counts_are_refused(
    database: str, configuration: Configuration
) -> None:
    async with worker(database, configuration) as running:
        await running.position("visits")
        stored = [
            visit("deleted", occurred_at=ago(200)),
            visit("cancelled", occurred_at=ago(200), cancelled=True),
            visit("kept", occurred_at=ago(10)),
            visit("moved", occurred_at=ago(10)),
        ]  # fmt: skip
        await running.deliver("visits", 0, records(stored))
        rows(database, "SELECT roll_up_batches(9), roll_up_facilities(9)")
        drop(database, 100)
        again = [
            visit("deleted", revision=2, occurred_at=ago(5)),
            visit("cancelled", revision=2, occurred_at=ago(5)),
            visit("kept", revision=2, occurred_at=ago(5), region=KAOHSIUNG),
            visit("moved", revision=2, occurred_at=ago(200)),
            visit("late", occurred_at=ago(200)),
            visit("new", occurred_at=ago(98)),
        ]
        await running.deliver("visits", 0, records(again, first=len(stored)))
        assert running.commits[-1][1:] == (1, 2, 0, 3)
        # Sent once more, the refused are refused again, and the others are repeats.
        await running.deliver("visits", 0, records(again, first=10))
        assert running.commits[-1][1:] == (0, 0, 3, 3)
    found = rows(database, 'SELECT "offset", reason, sentence FROM dead_letters ORDER BY 1')
    assert [offset for offset, *_ in found] == [4, 7, 8, 10, 13, 14]
    assert {reason for _, reason, _ in found} == {"beyond_retention"}
    assert "older than what is kept" in found[0][2]
    assert rows(database, "SELECT sum(refused) FROM batches") == [(6,)]
    assert rows(database, "SELECT sum(refused) FROM batch_sources") == [(6,)]
    assert min(counts(database).values()) > 0
    rows(database, "SELECT roll_up_batches(9), roll_up_facilities(9)")
    assert_consistent(database)


async def test_an_event_that_counted_nothing_may_be_corrected(
    database: str, configuration: Configuration
) -> None:
    async with worker(database, configuration) as running:
        await running.position("sales")
        nothing = sale("s", atc=None, product="cotton wool", occurred_at=ago(200))
        await running.deliver("sales", 0, records([nothing]))
        assert counts(database) == {}
        drop(database, 100)
        again = sale("s", revision=2, occurred_at=ago(5))
        await running.deliver("sales", 0, records([again], first=1))
    assert running.commits[-1][1:] == (0, 1, 0, 0)
    assert set(counts(database).values()) == {1}
    rows(database, "SELECT roll_up_batches(9), roll_up_facilities(9)")
    assert_consistent(database)


async def test_the_boundary_moves_with_the_clock(
    database: str, configuration: Configuration
) -> None:
    wide = configuration.surveillance.event_time.model_copy(update={"max_age_days": 3000})
    surveillance = configuration.surveillance.model_copy(update={"event_time": wide})
    execute(database, "UPDATE retention SET keep_years = 2")
    (since,) = rows(database, "SELECT kept_since()")[0]
    moments = (since - timedelta(minutes=5), since + timedelta(minutes=5))
    async with worker(database, replace(configuration, surveillance=surveillance)) as running:
        await running.position("visits")
        events = [visit(f"v-{n}", occurred_at=at.isoformat()) for n, at in enumerate(moments)]
        await running.deliver("visits", 0, records(events))
    assert running.commits[-1][1:] == (1, 0, 0, 1)
    # Nothing is dropped before it is two years old.
    assert since - timedelta(hours=36) < NOW - timedelta(days=730) < since


async def test_what_is_left_of_the_history_tells_counts_as_of_a_time(
    database: str, configuration: Configuration
) -> None:
    async with worker(database, configuration) as running:
        await running.position("visits")
        first = [visit("a", occurred_at=ago(20)), visit("b", occurred_at=ago(20), region=KAOHSIUNG)]
        await running.deliver("visits", 0, records(first))
        # They came in long ago, with times that lay ahead: the oldest changes of counts go first.
        execute(database, "UPDATE count_history SET recorded_at = now() - interval '101 days'")
        drop(database, 100)
        then = counts(database)
        assert {region for _, region, *_ in then} == {TAIPEI, KAOHSIUNG}
        moment = rows(database, "SELECT clock_timestamp()")[0][0]
        again = [
            visit("a", revision=2, cancelled=True, occurred_at=ago(20)),
            visit("c", occurred_at=ago(9)),
        ]
        await running.deliver("visits", 0, records(again, first=2))
    assert counts(database, "counts_as_of(%s)", moment) == then
    assert counts(database, "counts_as_of('infinity')") == counts(database)
    for early in (NOW - timedelta(days=100), NOW - timedelta(days=5000)):
        with pytest.raises(psycopg.errors.InvalidParameterValue, match="not known any more"):
            counts(database, "counts_as_of(%s)", early)
    assert counts(database, "counts_as_of(NULL)") == {}


async def test_a_newer_version_may_be_deleted_before_an_older_one(
    database: str, configuration: Configuration
) -> None:
    async with worker(database, configuration) as running:
        await running.position("visits")
        await running.deliver("visits", 0, records([visit("a", occurred_at=ago(50))]))
        moved = visit("a", revision=2, occurred_at=ago(200))
        await running.deliver(
            "visits", 0, records([moved, visit("b", occurred_at=ago(9))], first=1)
        )
    rows(database, "SELECT roll_up_batches(9), roll_up_facilities(9)")
    drop(database, 100)
    assert wrong_checks(database) == {}


async def test_only_what_is_kept_is_checked(database: str, configuration: Configuration) -> None:
    async with worker(database, configuration) as running:
        await running.position("visits")
        days = range(60, 140, 3)
        await running.deliver(
            "visits", 0, records([visit(f"v-{n}", occurred_at=ago(n)) for n in days])
        )
    rows(database, "SELECT roll_up_batches(9), roll_up_facilities(9)")
    drop(database, 100)
    assert_consistent(database)
    # All of it older than what is kept.
    execute(database, "UPDATE retention SET kept_since = now() - interval '30 days'")
    execute(database, "DELETE FROM events")
    assert_consistent(database)
    execute(database, "UPDATE retention SET kept_since = now() - interval '130 days'")
    assert "recount" in wrong_checks(database)


def test_an_earlier_setting_is_remembered(plain: str, configuration: Configuration) -> None:
    migrate(plain, configuration)
    assert rows(plain, "SELECT keep_years, kept_since = '-infinity' FROM retention") == [
        (None, True)
    ]
    # As TimescaleDB had it; the dump was restored without the extension, where nothing is deleted.
    execute(plain, "UPDATE retention SET keep_years = 2")
    (since,) = rows(plain, "SELECT kept_since()")[0]
    for _ in range(2):
        migrate(plain, configuration)
        ((years, kept, now),) = rows(
            plain, "SELECT keep_years, kept_since, kept_since() FROM retention"
        )
        assert years is None
        assert since <= kept == now < since + timedelta(minutes=10)
    execute(plain, "DELETE FROM retention")  # restored without its row
    assert rows(plain, "SELECT kept_since() = '-infinity'") == [(True,)]


def test_an_older_database_that_lost_counts(plain: str, configuration: Configuration) -> None:
    migrate_below(plain, "0047")
    execute(
        plain,
        "INSERT INTO event_heads (event_key, kind, revision, cancelled, occurred_at, series, "
        "amounts, batch_id) VALUES (gen_random_uuid(), 'visits', 1, false, '2020-01-01', '{1}', "
        "'{1}', 0)",
        "INSERT INTO events (occurred_at, event_key, revision, cancelled, kind, source_id, "
        "facility_id, region, stratum, series, amounts, payload, batch_id, recorded_at) VALUES "
        "('2024-03-01 00:00+08', gen_random_uuid(), 1, false, 'visits', 's', 'f', 'TW-TPE', 'all', "
        "'{}', '{}', '{}', 0, now())",
        "INSERT INTO hourly_counts VALUES (1, '2020-01-01', -1), (1, '2020-01-02', 1), "
        "(1, '2025-01-01', -1)",
        "INSERT INTO daily_counts VALUES (1, '2020-01-01', -1), (1, '2020-01-02', 1)",
    )
    migrate(plain, configuration)
    assert rows(plain, "SELECT kept_since = '2024-03-09 00:00+08' FROM retention") == [(True,)]
    assert rows(plain, "SELECT value FROM hourly_counts ORDER BY hour") == [(1,), (-1,)]
    assert rows(plain, "SELECT value FROM daily_counts") == [(1,)]
