"""Two sources that use one identifier for two facilities of one county."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from schemas.alerts import Contribution
from streams.store.line_list import read_cells
from streams.store.lines import read_lines
from streams.store.migrate import migrate
from streams.store.rebuilding import Part, rebuild
from tests.conftest import make_database
from tests.streams.alerts.explaining.test_explain import explained
from tests.streams.store.test_levels import roll_up_all
from tests.support.alerts import alert_of, figures, open_alert
from tests.support.checks import assert_consistent
from tests.support.events import TAIPEI, records, visit
from tests.support.store import migrate_below, rows, worker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.config import Configuration

#: A Monday. On it the clinic of his-1 is silent.
DAY = date(2025, 3, 3)
HERE, THERE = "his-1/clinic-1", "his-2/clinic-1"


def _visits(source: str, day: date, count: int) -> list[dict[str, Any]]:
    return [
        visit(f"{day}-{n}", source_id=source, occurred_at=f"{day}T09:00:00+08:00", age=30)
        for n in range(count)
    ]


@pytest.fixture
async def database(database_url: str, configuration: Configuration) -> str:
    events = _visits("his-2", DAY, 10) + _visits("his-1", DAY + timedelta(days=6), 7)
    events += _visits("his-3", DAY, 1)
    events[-1]["facility_id"] = "clinic-3"
    for weeks in range(1, 9):
        day = DAY - timedelta(weeks=weeks)
        events += _visits("his-1", day, 2) + _visits("his-2", day, 1)
    # A correction takes back the count of its own source's facility.
    corrected = DAY - timedelta(weeks=1)
    events += _visits("his-1", corrected, 1)
    events[-1] |= {"revision": 2, "cancelled": True}
    async with worker(database_url, configuration) as running:
        await running.position("visits")
        await running.deliver("visits", 0, records(events))
    rows(database_url, "SELECT roll_up_facilities(9)")
    roll_up_all(database_url)
    return database_url


def _counts(database: str) -> list[tuple[Any, ...]]:
    query = (
        "SELECT source_id, day, value FROM facility_counts "
        "WHERE facility_id = 'clinic-1' AND signal = 'ili' ORDER BY 1, 2"
    )
    return rows(database, query)


def _reports(database: str) -> list[tuple[Any, ...]]:
    return rows(database, "SELECT day, facilities FROM facility_reports WHERE region = 'TW'")


async def test_facilities_of_two_sources_are_counted_and_report_separately(database: str) -> None:
    before = [DAY - timedelta(weeks=weeks) for weeks in range(8, 0, -1)]
    assert _counts(database) == [
        *(("his-1", day, 2) for day in before[:-1]),
        ("his-1", before[-1], 1),
        ("his-1", DAY + timedelta(days=6), 7),
        *(("his-2", day, 1) for day in before),
        ("his-2", DAY, 10),
    ]
    assert dict(_reports(database)) == dict.fromkeys([*before, DAY], 2) | {
        DAY + timedelta(days=6): 1
    }
    assert_consistent(database)


async def test_a_rebuild_keeps_the_sources_apart(database: str) -> None:
    counts, reports = _counts(database), sorted(_reports(database))
    rows(database, "UPDATE facility_counts SET value = 99 WHERE source_id = 'his-1' RETURNING 1")
    with psycopg.connect(database) as connection:
        connection.execute("DELETE FROM facility_days WHERE source_id = 'his-2'")
        connection.execute("TRUNCATE facility_reports")
    with psycopg.connect(database, autocommit=True) as connection:
        list(rebuild(connection, [Part.FACILITIES]))
    assert (_counts(database), sorted(_reports(database))) == (counts, reports)
    assert_consistent(database)


async def test_one_of_two_clinics_is_silent_and_the_other_explains_the_excess(
    database: str, configuration: Configuration
) -> None:
    found = await explained(
        database, configuration, first_period=DAY, own_first_period=DAY, own_last_period=DAY,
        last_period=DAY,
    )  # fmt: skip
    assert found.facilities == (
        Contribution(name=THERE, observed=10, expected=1),
        Contribution(name="clinic-3", observed=1, expected=None),
    )
    assert (found.usual_facilities, found.silent) == (2, 1)
    assert found.silent_facilities == (HERE,)
    assert found.completeness == 0.5


async def test_each_screen_names_the_source_only_where_it_has_to(
    database: str, configuration: Configuration
) -> None:
    opened = open_alert(
        database,
        grain="week",
        first_period=DAY,
        figures=figures(period=DAY),
    )
    async with await psycopg.AsyncConnection.connect(database) as connection:
        lines = await read_lines(connection, alert_of(database, opened), configuration)
        cells = await read_cells(
            connection, signal="ili", region=TAIPEI, first=DAY, last=DAY + timedelta(days=6)
        )
        alone = await read_cells(connection, signal="ili", region=TAIPEI, first=DAY, last=DAY)
    assert [(one.facility, one.value) for one in lines.facilities] == [
        (THERE, 10), (HERE, 7), ("clinic-3", 1),
    ]  # fmt: skip
    assert [(one.facility, one.value) for one in cells] == [
        ("clinic-3", 1), (THERE, 10), (HERE, 7),
    ]  # fmt: skip
    assert [one.facility for one in alone] == ["clinic-1", "clinic-3"]
    names = rows(
        database, "SELECT facility FROM screen_facilities('ili', %s, '2025-03-20Z')", TAIPEI
    )
    assert {HERE, THERE} <= {name for (name,) in names} <= {HERE, THERE, "clinic-3"}


@pytest.fixture
def before_0049(database_server: str) -> Iterator[str]:
    with make_database(database_server) as database:
        migrate_below(database, "0049")
        yield database


def test_the_migration_tells_the_facilities_of_stored_events_apart(
    before_0049: str, configuration: Configuration
) -> None:
    with psycopg.connect(before_0049) as connection:
        connection.execute(_STORED)
        compressed = connection.execute(
            "SELECT count(*) FROM pg_extension WHERE extname = 'timescaledb'"
        ).fetchone() == (1,)
        if compressed:
            connection.execute(_COMPRESS)
    migrate(before_0049, configuration)
    assert rows(
        before_0049,
        "SELECT day::text, facility_id, source_id, value FROM facility_counts ORDER BY 1, 2, 3",
    ) == [
        ("2024-01-01", "clinic-1", "", 5),  # events deleted
        ("2024-03-04", "clinic-1", "", 3),  # some of them deleted
        ("2024-03-04", "clinic-1", "his-1", 1),
        ("2024-03-05", "clinic-1", "his-1", 1),
        ("2024-03-05", "clinic-1", "his-2", 1),
        ("2024-03-06", "clinic-1", "his-2", 2),  # was still to be rolled up; revised
    ]
    assert rows(
        before_0049, "SELECT day::text, source_id FROM facility_days ORDER BY 1, 2"
    ) == [
        ("2024-01-01", ""), ("2024-03-04", "his-1"), ("2024-03-05", "his-1"),
        ("2024-03-05", "his-2"), ("2024-03-06", "his-2"),
    ]  # fmt: skip
    assert rows(
        before_0049,
        "SELECT day::text, facilities FROM facility_reports WHERE region = 'TW-TPE' ORDER BY 1",
    ) == [("2024-01-01", 1), ("2024-03-04", 1), ("2024-03-05", 2), ("2024-03-06", 1)]
    assert rows(before_0049, "SELECT FROM pending_facilities") == []


#: Event 3 of his-2 has two revisions, which wait for the roll-up.
_STORED = """
INSERT INTO installation VALUES ('time_zone', 'Asia/Taipei'), ('epi_week', 'iso');
INSERT INTO regions (code, level, name_zh, name_en) VALUES ('TW-TPE', 'county', 'x', 'x');
INSERT INTO region_ancestors VALUES ('TW-TPE', 'TW-TPE', 'county');
INSERT INTO series (signal, region, stratum) VALUES ('ili', 'TW-TPE', 'all');
INSERT INTO events (occurred_at, event_key, revision, cancelled, kind, source_id, facility_id,
                    region, stratum, series, amounts, payload, batch_id, recorded_at)
SELECT at::timestamptz, md5(source || at)::uuid, revision, false, 'visits', source, 'clinic-1',
       'TW-TPE', 'all', '{1}', ARRAY[amount], '{}', batch, now()
FROM (VALUES ('2024-03-04 02:00Z', 'his-1', 1, 1, 1.0), ('2024-03-05 02:00Z', 'his-1', 1, 1, 1.0),
             ('2024-03-05 02:00Z', 'his-2', 1, 1, 1.0), ('2024-03-06 02:00Z', 'his-2', 1, 2, 1.0),
             ('2024-03-06 02:00Z', 'his-2', 2, 3, 2.0)) AS e(at, source, revision, batch, amount);
INSERT INTO event_heads (event_key, kind, revision, cancelled, occurred_at, facility_id, series,
                         amounts, batch_id)
SELECT DISTINCT ON (event_key) event_key, kind, revision, cancelled, occurred_at, facility_id,
       series, amounts, batch_id
FROM events ORDER BY event_key, revision DESC;
INSERT INTO pending_facilities
SELECT batch_id, min(occurred_at), max(occurred_at) FROM events WHERE batch_id > 1 GROUP BY 1;
INSERT INTO pending_corrections
VALUES (3, '2024-03-06 02:00Z', 'clinic-1', '{1}', '{1.0}');
INSERT INTO facility_counts
VALUES ('TW-TPE', 'ili', '2024-01-01', 'clinic-1', 5),
       ('TW-TPE', 'ili', '2024-03-04', 'clinic-1', 4),
       ('TW-TPE', 'ili', '2024-03-05', 'clinic-1', 2);
INSERT INTO facility_days
SELECT region, 'visits', day, facility_id FROM facility_counts;
INSERT INTO facility_reports SELECT region, kind, day, 1 FROM facility_days
"""

#: As `fenghuo db migrate` and the compression policy of a release before left the tables.
_COMPRESS = """
SELECT create_hypertable(t::regclass, 'day', chunk_time_interval => interval '30 days',
                         migrate_data => true, create_default_indexes => false)
FROM unnest(ARRAY['facility_counts', 'facility_days', 'facility_reports']) t;
ALTER TABLE facility_counts SET (timescaledb.compress,
    timescaledb.compress_segmentby = 'region, signal',
    timescaledb.compress_orderby = 'day DESC, facility_id');
ALTER TABLE facility_days SET (timescaledb.compress,
    timescaledb.compress_segmentby = 'region, kind',
    timescaledb.compress_orderby = 'day DESC, facility_id');
ALTER TABLE facility_reports SET (timescaledb.compress,
    timescaledb.compress_segmentby = 'region, kind', timescaledb.compress_orderby = 'day DESC');
SELECT compress_chunk(c) FROM show_chunks('facility_counts') c;
SELECT compress_chunk(c) FROM show_chunks('facility_days') c;
SELECT compress_chunk(c) FROM show_chunks('facility_reports') c
"""
