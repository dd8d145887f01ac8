"""What makes two records one event, and how its stored versions are found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from streams.store.migrate import migrate
from tests.conftest import make_database
from tests.support.checks import assert_consistent
from tests.support.events import TAIPEI, records, sale, visit
from tests.support.store import counts, migrate_below, rows, worker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.config import Configuration

IDS = {"event_id": "1001", "source_id": "his.x", "facility_id": "f1"}


def by_signal(database: str) -> dict[tuple[str, str], Any]:
    return {(signal, region): v for (signal, region, *_), v in counts(database).items()}


@pytest.mark.parametrize("revision", [1, 2])
async def test_a_sale_with_the_ids_of_a_visit_is_another_event(
    database_url: str, configuration: Configuration, revision: int
) -> None:
    async with worker(database_url, configuration) as running:
        await running.position("visits")
        await running.position("sales")
        await running.deliver("visits", 0, records([visit(**IDS)]))
        await running.deliver("sales", 0, records([sale(**IDS, revision=revision)]))
        # Both are known when they come again.
        await running.deliver("visits", 0, records([visit(**IDS)], first=1))
        await running.deliver("sales", 0, records([sale(**IDS, revision=revision)], first=1))
    assert by_signal(database_url) == {
        ("ili", TAIPEI): 1,
        ("fever", TAIPEI): 1,
        ("antipyretic", TAIPEI): 1,
        ("antipyretic-sales", TAIPEI): 1,
    }
    assert rows(database_url, "SELECT count(*) FROM dead_letters") == [(0,)]
    assert counts(database_url) == counts(database_url, "recount()")
    assert_consistent(database_url)


async def test_another_facility_in_the_same_revision_is_a_conflict(
    database_url: str, configuration: Configuration
) -> None:
    async with worker(database_url, configuration) as running:
        await running.position("visits")
        await running.deliver("visits", 0, records([visit()]))
        moved = visit(facility_id="clinic-2")
        await running.deliver("visits", 0, records([moved, visit("b")], first=1))
        both = [visit("c"), visit("c", facility_id="clinic-2"), visit()]
        await running.deliver("visits", 0, records(both, first=3))
    letters = rows(database_url, 'SELECT "offset", reason FROM dead_letters ORDER BY 1')
    assert letters == [(1, "revision_conflict"), (4, "revision_conflict")]
    assert rows(database_url, "SELECT sum(inserted), sum(repeated) FROM batches") == [(3, 1)]
    assert_consistent(database_url)


@pytest.fixture
def before_0019(database_server: str, configuration: Configuration) -> Iterator[str]:
    """A database of the release before, with a visit and a sale that were counted."""
    with make_database(database_server) as database:
        migrate_below(database, "0019")
        yield database


async def test_stored_events_that_come_again_after_the_migration_count_nothing(
    before_0019: str, configuration: Configuration
) -> None:
    with psycopg.connect(before_0019) as connection:
        connection.execute(OLD_EVENTS)
    migrate(before_0019, configuration)
    kinds = rows(before_0019, "SELECT kind, facility_id FROM event_heads ORDER BY 1")
    assert kinds == [("sales", None), ("visits", None)]
    async with worker(before_0019, configuration) as running:
        await running.position("visits")
        await running.position("sales")
        again = visit("v-1", facility_id="clinic-2")
        await running.deliver("visits", 0, records([visit("v-1"), visit("v-1")]))
        await running.deliver("visits", 0, records([again], first=2))
        await running.deliver("sales", 0, records([sale("s-1")]))
        await running.deliver("sales", 0, records([sale("s-1", revision=2, quantity=3)], first=1))
    assert by_signal(before_0019) == {
        ("ili", TAIPEI): 1,
        ("fever", TAIPEI): 1,
        ("antipyretic", TAIPEI): 3,
        ("antipyretic-sales", TAIPEI): 1,
    }
    assert rows(before_0019, 'SELECT "offset" FROM dead_letters') == [(2,)]


#: As migration 0018 left them: heads without kind and facility.
OLD_EVENTS = """
INSERT INTO series (signal, region, stratum) VALUES
    ('ili', 'TW-TPE', '19-64'), ('fever', 'TW-TPE', '19-64'), ('antipyretic', 'TW-TPE', 'all'),
    ('antipyretic-sales', 'TW-TPE', 'all');
INSERT INTO events (occurred_at, event_key, revision, cancelled, kind, source_id, facility_id,
                    region, stratum, series, amounts, payload, batch_id, recorded_at)
VALUES ('2025-03-03 01:30Z', md5('his-1' || chr(10) || 'v-1')::uuid, 1, false, 'visits', 'his-1',
        'clinic-1', 'TW-TPE', '19-64', '{1,2}', '{1.0,1.0}', '{}', 1, '2025-03-03 02:00Z'),
       ('2025-03-03 01:30Z', md5('till-1' || chr(10) || 's-1')::uuid, 1, false, 'sales', 'till-1',
        'pharmacy-1', 'TW-TPE', 'all', '{3,4}', '{1.0,1.0}', '{}', 2, '2025-03-03 02:00Z');
INSERT INTO event_heads (event_key, revision, cancelled, occurred_at, series, amounts, batch_id)
SELECT event_key, revision, cancelled, occurred_at, series, amounts, batch_id FROM events;
INSERT INTO hourly_counts SELECT unnest(series), '2025-03-03 01:00Z', unnest(amounts) FROM events;
INSERT INTO daily_counts SELECT unnest(series), '2025-03-03', unnest(amounts) FROM events
"""


async def test_versions_are_found_by_key_where_all_times_are_the_same(
    database_url: str, configuration: Configuration
) -> None:
    midnight = {"occurred_at": "2025-03-03T00:00:00+08:00"}
    async with worker(database_url, configuration) as running:
        await running.position("visits")
        first = [visit(f"v-{n}", **midnight) for n in range(2000)]
        await running.deliver("visits", 0, records(first))
        for number in range(2):
            again = [visit(f"v-{n}", revision=2 + number, age=70, **midnight) for n in range(500)]
            at = 2000 + 500 * number
            await running.deliver("visits", 0, records(again, first=at))
    with psycopg.connect(database_url) as connection:
        plan = connection.execute(
            "EXPLAIN SELECT FROM events e WHERE e.occurred_at = '2025-03-02 16:00Z' "
            "AND e.event_key = '0b0b0b0b-0000-0000-0000-000000000000'"
        ).fetchall()
    assert any("events_version" in line and "Index" in line for (line,) in plan) or any(
        "Index Cond: ((occurred_at" in line and "event_key" in line for (line,) in plan
    ), plan
    assert_consistent(database_url)
