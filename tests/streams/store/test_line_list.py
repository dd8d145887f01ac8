"""The line list adds up to what was counted, whatever was corrected."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from streams.store import line_list
from streams.store.line_list import TooManyEventsError, days_of, read_cells
from tests.support.alerts import alert_of, figures, open_alert
from tests.support.events import TAIPEI, records, visit
from tests.support.store import rows, worker

if TYPE_CHECKING:
    from streams.config import Configuration
    from streams.store.line_list import Cell

MONDAY = date(2025, 3, 3)


def at(day: int, **changes: Any) -> dict[str, Any]:
    """A visit on a day of the week from Monday, 0, on, by local time."""
    moment = f"{MONDAY + timedelta(days=day)}T00:30:00+08:00"
    return visit(**({"occurred_at": moment} | changes))


EVENTS = [
    at(0, event_id="a", age=3),
    at(0, event_id="b", age=3),
    at(0, event_id="c", age=70, facility_id="clinic-2"),
    at(6, event_id="d", age=30),
    at(7, event_id="next-week"),
    at(-1, event_id="week-before"),
    at(2, event_id="elsewhere", region="TW-KHH"),
    at(2, event_id="another-signal", icd10=["R50"], complaint=None),
    at(1, event_id="cancelled"),
    at(1, event_id="cancelled", revision=2, cancelled=True),
    at(1, event_id="moved-to-another-clinic"),
    at(1, event_id="moved-to-another-clinic", revision=2, facility_id="clinic-3"),
    at(1, event_id="moved-away"),
    at(8, event_id="moved-away", revision=2),
    at(9, event_id="moved-here"),
    at(4, event_id="moved-here", revision=2),
]


async def cells_of(database: str, region: str = TAIPEI, **span: date) -> list[Cell]:
    known = {"first": MONDAY, "last": MONDAY + timedelta(days=6)}
    async with await psycopg.AsyncConnection.connect(database) as connection:
        return await read_cells(connection, signal="ili", region=region, **(known | span))


async def test_each_event_is_where_its_last_revision_put_it(
    database_url: str, configuration: Configuration
) -> None:
    async with worker(database_url, configuration) as at_work:
        await at_work.position("visits")
        await at_work.deliver("visits", 0, records(EVENTS))
    cells = await cells_of(database_url)
    assert {(c.day - MONDAY).days: (c.facility, c.stratum, c.value) for c in cells if c.value > 1} \
        == {0: ("clinic-1", "0-6", 2.0)}  # fmt: skip
    assert sorted(((c.day - MONDAY).days, c.facility, c.stratum) for c in cells) == [
        (0, "clinic-1", "0-6"),
        (0, "clinic-2", "65+"),
        (1, "clinic-3", "19-64"),
        (4, "clinic-1", "19-64"),
        (6, "clinic-1", "19-64"),
    ]
    assert {c.region for c in await cells_of(database_url, "TW")} == {TAIPEI, "TW-KHH"}


async def test_it_adds_up_to_the_daily_counts(
    database_url: str, configuration: Configuration
) -> None:
    async with worker(database_url, configuration) as at_work:
        await at_work.position("visits")
        await at_work.deliver("visits", 0, records(EVENTS))
    sums: dict[tuple[str, str, date], float] = defaultdict(float)
    span = {"first": MONDAY - timedelta(days=30), "last": MONDAY + timedelta(days=30)}
    for cell in await cells_of(database_url, "TW", **span):
        sums[cell.region, cell.stratum, cell.day] += cell.value
    counted = rows(
        database_url,
        "SELECT region, stratum, day, value FROM counts_daily WHERE signal = 'ili' AND value <> 0",
    )
    assert sums == {(region, stratum, day): value for region, stratum, day, value in counted}
    assert len(sums) == 9


async def test_what_takes_too_long_is_told(
    database_url: str, configuration: Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with worker(database_url, configuration) as at_work:
        await at_work.position("visits")
        await at_work.deliver("visits", 0, records(EVENTS))
    monkeypatch.setattr(line_list, "_PATIENCE", 20)
    monkeypatch.setattr(line_list, "_CELLS", "SELECT pg_sleep(5)")
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        with pytest.raises(TooManyEventsError, match="TW has too many events"):
            await read_cells(connection, signal="ili", region="TW", first=MONDAY, last=MONDAY)
        # The connection is as good as before.
        cursor = await connection.execute("SELECT 1")
        assert await cursor.fetchone() == (1,)


@pytest.mark.parametrize(
    ("grain", "first", "last"),
    [
        ("week", date(2009, 8, 3), date(2009, 8, 9)),
        ("rolling7", date(2009, 7, 28), date(2009, 8, 3)),
        ("day", date(2009, 8, 3), date(2009, 8, 3)),
    ],
)
def test_an_alert_has_the_days_of_its_period(
    database_url: str, grain: str, first: date, last: date
) -> None:
    number = open_alert(database_url, grain=grain, figures=figures(period=date(2009, 8, 3)))
    assert days_of(alert_of(database_url, number)) == (first, last)
