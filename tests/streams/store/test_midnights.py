"""Days of zones whose clock is put back or forward around midnight, at both changes of 2025."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from zoneinfo import ZoneInfo, available_timezones

import psycopg
import pytest

from streams.config import load_configuration
from streams.store.checks import running
from streams.store.line_list import read_cells
from streams.store.lines import read_lines
from streams.store.migrate import migrate
from streams.store.rebuilding import rebuild
from tests.conftest import make_database
from tests.streams.store.test_facilities import rolled
from tests.streams.store.test_levels import roll_up_all
from tests.support.alerts import alert_of, figures, open_alert
from tests.support.checks import wrong_checks
from tests.support.events import TAIPEI, records, visit
from tests.support.store import rows, worker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.config import Configuration

#: When the clock changes, and whether 00:00 of the day comes twice (back from 01:00) or never.
CHANGES = {
    "America/Havana": ("2025-03-09T05:00Z", "2025-11-02T05:00Z"),
    "Atlantic/Azores": ("2025-03-30T01:00Z", "2025-10-26T01:00Z"),
    # Back from 24:00 to 23:00: the last hour of a day comes twice.
    "Asia/Beirut": ("2025-03-29T22:00Z", "2025-10-25T21:00Z"),
    "America/Santiago": ("2025-04-06T03:00Z", "2025-09-07T04:00Z"),
    # Forward from 23:00 to 24:00, back from 24:00 to 23:00.
    "America/Nuuk": ("2025-03-30T01:00Z", "2025-10-26T01:00Z"),
    # By half an hour, at 02:00.
    "Australia/Lord_Howe": ("2025-04-05T15:00Z", "2025-10-04T15:30Z"),
    # At 00:01: from 23:01 to 00:00 the same hour is of two days, that of counts is of one.
    "America/St_Johns": ("2010-03-14T03:31Z", "2010-11-07T02:31Z"),
    # Never; 05:45 from UTC.
    "Asia/Kathmandu": ("2025-03-29T18:15Z", "2025-10-25T18:15Z"),
}
ROLL_UPS = ("daily_counts", "facility_counts", "facility_days", "facility_reports", "level_counts")


class Installation(NamedTuple):
    database: str
    configuration: Configuration
    moments: list[datetime]
    """One event each."""
    days: dict[date, int]
    """How many of them each local day has."""
    counted: dict[date, int]
    """The same by the local day of the hour in which each is counted."""
    judged: set[date]
    """Days that were to be judged when the events had come in."""


@pytest.fixture(scope="module", params=CHANGES)
def installation(
    request: pytest.FixtureRequest, database_server: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """An event each twenty minutes around both changes, each of a clinic of its own; rolled up."""
    path = tmp_path_factory.mktemp("zone") / "fenghuo.yaml"
    text = (Path(__file__).parents[2] / "data" / "taiwan.yaml").read_text(encoding="utf-8")
    # Clocks change on Sundays: of weeks from Sunday on, the first midnight is meant.
    for old, new in (("Asia/Taipei", request.param), ("epi_week: iso", "epi_week: mmwr")):
        assert old in text
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")
    configuration = load_configuration(path)
    changes = [datetime.fromisoformat(at) for at in CHANGES[request.param]]
    moments = [at + timedelta(minutes=m) for at in changes for m in range(-185, 190, 20)]
    sent = [
        visit(f"e-{number}", facility_id=f"clinic-{number}", occurred_at=moment.isoformat())
        for number, moment in enumerate(moments)
    ]
    with make_database(database_server) as database:
        migrate(database, configuration)

        async def take_in() -> None:
            async with worker(database, configuration) as at_work:
                await at_work.position("visits")
                await at_work.deliver("visits", 0, records(sent))
            await rolled(database)

        asyncio.run(take_in())
        with psycopg.connect(database) as connection:
            judged = connection.execute(
                "SELECT DISTINCT day FROM pending_judgements WHERE signal = 'ili'"
            ).fetchall()
        roll_up_all(database)
        zone = configuration.surveillance.zone
        days = Counter(moment.astimezone(zone).date() for moment in moments)
        hours = Counter(hour_of(moment, zone).astimezone(zone).date() for moment in moments)
        if request.param != "America/St_Johns":
            assert hours == days
        yield Installation(
            database, configuration, moments, dict(days), dict(hours), {day for (day,) in judged}
        )


def hour_of(moment: datetime, zone: ZoneInfo) -> datetime:
    """Return the hour by the local clock, in the offset from UTC that then held."""
    return moment - timedelta(minutes=moment.astimezone(zone).minute)


def rolled_up(database: str) -> dict[str, list[tuple[Any, ...]]]:
    """All roll-ups, without counts of 0."""
    found = {table: rows(database, f"SELECT * FROM {table}".encode()) for table in ROLL_UPS}  # type: ignore[arg-type]
    return {
        table: sorted(row for row in lines if table == "facility_days" or row[-1])
        for table, lines in found.items()
    }


def rebuilt(database: str) -> int:
    with psycopg.connect(database, autocommit=True) as connection:
        return sum(done.corrected for done in rebuild(connection))


def by_day(database: str, query: str) -> dict[date, int]:
    """Counts of days, without those of 0."""
    return {day: int(value) for day, value in rows(database, query.encode()) if value}  # type: ignore[arg-type]


def test_each_event_is_of_its_local_day(installation: Installation) -> None:
    assert len(installation.days) >= 4
    assert installation.judged == set(installation.counted)
    all_days = "'day', '*', '2010-01-01', '2025-12-01'"
    for query in (
        "SELECT day, sum(value) FROM facility_counts WHERE signal = 'ili' GROUP BY 1",
        "SELECT day, count(*) FROM facility_days GROUP BY 1",
        "SELECT day, facilities FROM facility_reports WHERE region = 'TW'",
    ):
        assert by_day(installation.database, query) == installation.days, query
    for query in (
        "SELECT day, value FROM counts_daily WHERE signal = 'ili'",
        "SELECT period, value FROM level_counts WHERE grain = 'day' AND signal = 'ili'",
        f"SELECT period, value FROM screen_series('ili', 'TW', {all_days})",
    ):
        assert by_day(installation.database, query) == installation.counted, query


def test_each_hour_of_a_day_that_comes_twice_is_counted(installation: Installation) -> None:
    """By local time and offset, so that no hour is counted with its repetition."""
    zone = installation.configuration.surveillance.zone
    expected = Counter(hour_of(moment, zone) for moment in installation.moments)
    for source in ("counts_hourly", "recount()"):
        query = f"SELECT hour, value FROM {source} WHERE signal = 'ili'"
        assert dict(rows(installation.database, query.encode())) == expected, source  # type: ignore[arg-type]


def test_the_roll_ups_agree_with_the_events(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert wrong_checks(installation.database) == {}
    monkeypatch.setattr(running, "_EVENTS_AT_ONCE", 1)  # each week by itself
    with psycopg.connect(installation.database, autocommit=True) as connection:
        connection.execute("ANALYZE events")
    assert wrong_checks(installation.database) == {}


@pytest.mark.parametrize("damage", ["nothing", "all", "daily_counts", "facility_days"])
def test_a_rebuild_gives_each_day_what_it_had(installation: Installation, damage: str) -> None:
    database = installation.database
    before = rolled_up(database)
    if damage != "nothing":
        tables = ROLL_UPS if damage == "all" else (damage,)
        with psycopg.connect(database) as connection:
            for table in tables:
                connection.execute(f"TRUNCATE {table}".encode())
    corrected = rebuilt(database)
    assert (corrected > 0) is (damage != "nothing")
    assert rolled_up(database) == before
    assert rebuilt(database) == 0
    assert wrong_checks(database) == {}


async def test_the_lists_of_a_day_hold_what_it_counted(installation: Installation) -> None:
    configuration, zone = installation.configuration, installation.configuration.surveillance.zone
    around = {day + timedelta(days=n) for day in installation.days for n in (-1, 0, 1)}
    async with await psycopg.AsyncConnection.connect(installation.database) as connection:
        for day in sorted(around):
            cells = await read_cells(connection, signal="ili", region="TW", first=day, last=day)
            assert sum(cell.value for cell in cells) == installation.days.get(day, 0), day
            assert {cell.day for cell in cells} <= {day}
            number = await asyncio.to_thread(
                open_alert,
                installation.database,
                rule="ili-day",
                grain="day",
                first_period=day,
                figures=figures(period=day),
                region=TAIPEI,
            )
            alert = await asyncio.to_thread(alert_of, installation.database, number)
            lines = await read_lines(connection, alert, configuration)
            assert sum(hour.value for hour in lines.hours) == installation.counted.get(day, 0), day
            assert {hour.hour.astimezone(zone).date() for hour in lines.hours} <= {day}
            assert len(lines.facilities) == installation.days.get(day, 0)
            with psycopg.connect(installation.database) as other:
                other.execute("TRUNCATE alerts CASCADE")


def test_an_hour_has_one_day_in_all_zones_since_2011(database_url: str) -> None:
    """Before, some clocks changed at 00:01 or by a part of an hour at midnight."""
    names = {name for (name,) in rows(database_url, "SELECT name FROM pg_timezone_names")}
    asked = [
        (name, change + timedelta(minutes=minutes))
        for name in sorted(names & available_timezones())
        for change in changes_of(ZoneInfo(name))
        for minutes in range(-180, 181, 5)
    ]
    assert len({name for name, _ in asked}) > 50
    wrong = rows(
        database_url,
        "SELECT a.zone, a.at FROM unnest(%s::text[], %s::timestamptz[]) AS a(zone, at) "
        "WHERE (date_trunc('hour', a.at, a.zone) AT TIME ZONE a.zone)::date "
        "   <> (a.at AT TIME ZONE a.zone)::date",
        [name for name, _ in asked],
        [at for _, at in asked],
    )
    assert wrong == []


def changes_of(zone: ZoneInfo) -> Iterator[datetime]:
    """When a zone's clock was or will be put forward or back, from 2011 to 2030."""
    step = timedelta(days=5)
    at = datetime(2011, 1, 1, tzinfo=UTC)
    while at.year < 2031:
        before = at.astimezone(zone).utcoffset()
        first, last = at, at + step
        at = last
        if last.astimezone(zone).utcoffset() != before:
            while last - first > timedelta(minutes=5):
                middle = first + (last - first) / 2
                if middle.astimezone(zone).utcoffset() == before:
                    first = middle
                else:
                    last = middle
            # To the next five minutes.
            yield datetime.fromtimestamp(last.timestamp() // 300 * 300, UTC)
