"""`fenghuo db check` passes what is right and finds what is wrong."""

from __future__ import annotations

import asyncio
import json
from datetime import date
from typing import TYPE_CHECKING

import psycopg
import pytest
from typer.testing import CliRunner

from schemas.counts import Count
from streams.cli.main import app
from streams.store.checks import run_checks
from streams.store.imports import import_counts
from tests.conftest import CONFIG
from tests.support.checks import assert_consistent, wrong_checks
from tests.support.events import KAOHSIUNG, NEW_TAIPEI, TAIPEI, records, sale, visit
from tests.support.store import rows, worker

if TYPE_CHECKING:
    from typing import LiteralString

    from streams.config import Configuration
    from tests.support.store import Worker

ALL = {
    "series", "events", "pending", "recount", "history", "daily", "negative", "heads", "levels",
    "facilities", "reported", "reports", "alerts", "members", "imports",
}  # fmt: skip


async def fill(running: Worker) -> None:
    """Visits and sales on several days, corrected, moved and cancelled."""
    await running.position("visits")
    await running.position("sales")
    places = (TAIPEI, NEW_TAIPEI, KAOHSIUNG)
    first = [
        visit(f"v-{n}", region=places[n % 3], occurred_at=f"2025-03-0{n % 9 + 1}T09:30:00+08:00")
        for n in range(30)
    ]
    again = [
        visit(
            f"v-{n}",
            revision=2,
            region=places[(n + 1) % 3],
            occurred_at=f"2025-03-1{n % 3}T09:30:00+08:00",
            cancelled=n % 4 == 0,
        )
        for n in range(10)
    ]
    await running.deliver("visits", 0, records(first))
    await running.deliver("visits", 0, records(again, first=30))
    await running.deliver("sales", 0, records(sale(f"s-{n}", quantity=0.1) for n in range(5)))


@pytest.fixture
def imported(database_url: str) -> str:
    """Imported days and weeks, before and beside what is live."""
    counts = [
        Count(signal="ili", region=TAIPEI, grain="day", period=date(2025, 3, 2), value=7),
        Count(signal="ili", region=KAOHSIUNG, grain="day", period=date(2024, 3, 2), value=7),
    ]
    weeks = [
        Count(signal="ili", region=NEW_TAIPEI, grain="week", period=date(2025, 3, 3), value=9),
        Count(signal="ili", region=NEW_TAIPEI, grain="week", period=date(2024, 3, 4), value=9),
    ]
    with psycopg.connect(database_url) as connection:
        import_counts(connection, counts, replace=True)
        import_counts(connection, weeks, replace=True)
    return database_url


async def test_what_is_right_passes_with_roll_ups_waiting_and_done(
    imported: str, configuration: Configuration
) -> None:
    async with worker(imported, configuration) as running:
        await fill(running)
    assert_consistent(imported)
    rows(imported, "SELECT roll_up_batches(1), roll_up_facilities(2)")
    assert_consistent(imported)
    rows(imported, "SELECT roll_up_batches(9), roll_up_facilities(9)")
    assert_consistent(imported)
    with psycopg.connect(imported) as connection:
        done = {checked.name: checked for checked in run_checks(connection)}
    assert done.keys() == ALL
    assert done["recount"].examined > 20
    assert done["levels"].examined > 20
    assert done["heads"].examined == 35


def test_an_empty_database_passes(database_url: str) -> None:
    assert_consistent(database_url)


DAMAGE: dict[str, tuple[LiteralString, set[str]]] = {
    "count": (
        (
            "UPDATE hourly_counts SET value = value + 1 WHERE (series_id, hour) = "
            "(SELECT series_id, hour FROM hourly_counts ORDER BY 1, 2 LIMIT 1)"
        ),
        {"recount", "history", "daily"},
    ),
    "lost count": (
        (
            "DELETE FROM hourly_counts WHERE (series_id, hour) = "
            "(SELECT series_id, hour FROM hourly_counts WHERE value > 0 ORDER BY 1, 2 LIMIT 1)"
        ),
        {"recount", "history", "daily"},
    ),
    "day": (
        (
            "UPDATE daily_counts SET value = -1 WHERE (series_id, day) = "
            "(SELECT series_id, day FROM daily_counts ORDER BY 1, 2 LIMIT 1)"
        ),
        {"daily", "negative", "levels"},
    ),
    "series": (
        "DELETE FROM series WHERE signal = 'antipyretic-sales'",
        {"series", "events", "levels", "facilities"},
    ),
    "another region's series": (
        "UPDATE series SET region = 'TW-PEN' WHERE region = 'TW-KHH' AND signal = 'fever'",
        {"events", "facilities"},
    ),
    "history": ("DELETE FROM count_history", {"history"}),
    "level": ("UPDATE level_counts SET value = value + 1", {"levels"}),
    "facility": ("DELETE FROM facility_counts", {"facilities"}),
    "facility days": ("DELETE FROM facility_days", {"reported", "reports"}),
    "head": ("DELETE FROM event_heads", {"heads"}),
    "pending region": (
        "INSERT INTO pending_judgements (signal, region, day) VALUES ('ili', 'XX', '2025-03-03')",
        {"pending"},
    ),
    "history of no region": (
        "SELECT pend_spans('{ili}', '{XX}', '{2025-03-03}', '{2025-03-03}')",
        {"pending"},
    ),
    "pending batch": (
        "INSERT INTO pending_facilities (batch_id, first_at, last_at) VALUES (99, now(), now())",
        {"pending"},
    ),
    "import of a day before its end": (
        "UPDATE imported_counts SET imported_at = '2025-03-02T23:30:00+08:00' WHERE grain = 'day'",
        {"imports"},
    ),
    "import of a week before its end": (
        "UPDATE imported_counts SET imported_at = '2025-03-09T23:30:00+08:00' WHERE grain = 'week'",
        {"imports"},
    ),
    "update of no alert": (
        "INSERT INTO held_updates (alert_id, due_at) VALUES (99, now())",
        {"pending"},
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
async def test_what_is_wrong_is_found(
    imported: str, configuration: Configuration, damage: str
) -> None:
    async with worker(imported, configuration) as running:
        await fill(running)
    rows(imported, "SELECT roll_up_batches(9), roll_up_facilities(9)")
    statement, expected = DAMAGE[damage]
    with psycopg.connect(imported) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(statement)
    wrong = wrong_checks(imported)
    assert wrong.keys() == expected
    assert all(wrong.values())


async def test_the_command_tells_what_it_found(
    database_url: str, configuration: Configuration
) -> None:
    async with worker(database_url, configuration) as running:
        await fill(running)
    command = ["db", "check", "--database", database_url, "--config", str(CONFIG)]
    right = await asyncio.to_thread(CliRunner().invoke, app, command)
    assert right.exit_code == 0
    assert len(right.stdout.splitlines()) == len(ALL) + 1  # with the heads of alerts
    assert (
        "heads: events are counted by their latest stored revision. ok: 35 events" in right.stdout
    )
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE daily_counts SET value = value + 1 WHERE day = '2025-03-10'")
    found = await asyncio.to_thread(CliRunner().invoke, app, [*command, "--json"])
    assert found.exit_code == 1
    document = json.loads(found.stdout)
    assert not document["ok"]
    by_name = {checked["name"]: checked for checked in document["checks"]}
    assert by_name["daily"]["wrong"] > 0
    assert "by hour" in by_name["daily"]["example"]
    assert by_name["heads"]["wrong"] == 0
