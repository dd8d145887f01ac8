"""What a viewer fetches through every channel together does not give small counts away."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from datetime import date
from typing import TYPE_CHECKING

import psycopg
import pytest

from schemas.alerts import Contribution
from tests.streams.web.test_api_alerts import explain, signed
from tests.support.alerts import figures, open_alert
from tests.support.events import TAIPEI, records, visit
from tests.support.store import empty, rows, worker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.config import Configuration
    from tests.support.web import Browser

MONDAY = date(2025, 3, 3)
#: Visits by facility, age and day of March.
CASES = {
    ("clinic-1", 3, 3): 9, ("clinic-1", 3, 4): 4, ("clinic-1", 30, 4): 2,
    ("clinic-2", 3, 3): 6, ("clinic-2", 70, 5): 1, ("clinic-3", 30, 6): 3,
}  # fmt: skip


@pytest.fixture
def filled(database: str) -> Iterator[str]:
    yield database
    empty(database)


async def deliver(database: str, configuration: Configuration) -> None:
    events = [
        visit(
            f"{facility}-{age}-{day}-{n}",
            facility_id=facility,
            age=age,
            occurred_at=f"2025-03-0{day}T09:{n:02}:00+08:00",
        )
        for (facility, age, day), cases in CASES.items()
        for n in range(cases)
    ]
    async with worker(database, configuration) as at_work:
        await at_work.position("visits")
        await at_work.deliver("visits", 0, records(events))
    with psycopg.connect(database) as connection:
        connection.execute("SELECT roll_up_facilities(100), roll_up_batches(100)")


async def test_page_export_and_api_tell_viewers_the_same_steps_and_nothing_exact(
    browser: Browser, filled: str, configuration: Configuration
) -> None:
    await deliver(filled, configuration)
    alert_id = open_alert(
        filled, region=TAIPEI, first_period=MONDAY, figures=figures(25, MONDAY), grain="week"
    )
    totals: Counter[str] = Counter()
    for (facility, _, _), cases in CASES.items():
        totals[facility] += cases
    explain(
        filled,
        alert_id,
        facilities=[
            Contribution(name=name, observed=value, expected=1.25) for name, value in totals.items()
        ],
        age_groups=[Contribution(name="65+", observed=1, expected=0)],
    )
    viewer = signed(browser, filled, "chen", "viewer", "TW")
    path = f"/api/v1/alerts/{alert_id}"
    lines = viewer.get(f"{path}/lines").json()
    assert {one["facility"]: one["value"] for one in lines["facilities"]} == {
        "clinic-1": 15, "clinic-2": 5
    }  # fmt: skip
    assert {one["name"]: one["value"] for one in lines["ages"]} == {"0-6": 15, "19-64": 5}
    assert {one["day"] for one in lines["facilities"] + lines["ages"]} == {None}
    assert lines["hours"] == []
    text = viewer.get(f"/alerts/{alert_id}/lines.csv").text
    exported = [row[2:] for row in csv.reader(io.StringIO(text))][1:]
    assert exported == [
        ["clinic-1", "", "", "15–19"], ["clinic-2", "", "", "5–9"],
        ["", "", "0-6", "15–19"], ["", "", "19-64", "5–9"],
    ]  # fmt: skip
    page = viewer.get(f"/alerts/{alert_id}/lines").text
    assert re.findall(r'class="num total">([^<]+)<', page) == [one[3] for one in exported]
    shown = [
        viewer.get(where).text
        for where in (path, f"{path}/history", f"{path}/lines", f"/alerts/{alert_id}",
                      f"/alerts/{alert_id}/lines", f"/alerts/{alert_id}/lines.csv",
                      "/", "/api/v1/alerts")
    ]  # fmt: skip
    for one in shown:
        assert "clinic-3" not in one
        assert "65+" not in one


async def test_the_next_patient_is_not_seen_by_looking_every_minute(
    browser: Browser, filled: str, configuration: Configuration
) -> None:
    await deliver(filled, configuration)
    alert_id = open_alert(
        filled, region=TAIPEI, first_period=MONDAY, figures=figures(25, MONDAY), grain="week"
    )
    viewer = signed(browser, filled, "chen", "viewer", "TW")

    def look() -> list[object]:
        lines = viewer.get(f"/api/v1/alerts/{alert_id}/lines").json()
        page = viewer.get(f"/alerts/{alert_id}/lines.csv").text
        return [lines["facilities"], lines["ages"], lines["hours"], page]

    before = look()
    async with worker(filled, configuration) as at_work:
        await at_work.position("visits", 1)
        more = records([visit("one-more", facility_id="clinic-1", age=30)])
        await at_work.deliver("visits", 1, more)
    with psycopg.connect(filled) as connection:
        connection.execute("SELECT roll_up_facilities(100), roll_up_batches(100)")
    assert rows(filled, "SELECT sum(value)::int FROM facility_counts WHERE signal = 'ili'") == [
        (26,)
    ]
    assert look() == before
