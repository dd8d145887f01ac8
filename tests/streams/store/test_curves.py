from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.store.curves import (
    Point,
    first_provisional,
    read_affected,
    read_counts,
    read_curve,
    read_latest_period,
    read_sparks,
)

if TYPE_CHECKING:
    from schemas.counts import Grain

WEEK = date(2009, 8, 3)
Verdict = tuple[str, str, date, float | None, float | None, float | None, bool]


def weeks(count: int) -> list[date]:
    return [WEEK + timedelta(weeks=i) for i in range(count)]


def store(database: str, verdicts: list[Verdict]) -> None:
    with psycopg.connect(database) as connection, connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO verdicts (rule, region, period, observed, expected, upper, alarm, reason, "
            "as_of, config_version) VALUES (%s, %s, %s, %s, %s, %s, %s, 'ok', now(), 'x')",
            verdicts,
        )


async def test_sparks_are_the_latest_periods_of_each(database_url: str) -> None:
    first, second, third = weeks(3)
    store(
        database_url,
        [
            ("r", "TW-TPE", first, 1, 1, 2, False),
            ("r", "TW-TPE", second, 2, 1, 2, False),
            ("r", "TW-TPE", third, 9, 1, 2, True),
            ("r", "TW-KHH", first, 5, None, None, False),
            ("r", "TW-KHH", second, None, None, None, False),
            ("other", "TW-TPE", third, 100, 1, 2, True),
        ],
    )
    keys = [("r", "TW-KHH"), ("r", "TW-TPE"), ("r", "TW-NWT")]
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        found = await read_sparks(connection, keys, most=2)
        assert found == [
            [Point(first, 5)],
            [Point(second, 2, 1, 2), Point(third, 9, 1, 2, alarm=True)],
            [],
        ]
        assert await read_sparks(connection, []) == []
        curve = await read_curve(connection, rule="r", region="TW-TPE", first=second)
        assert [point.period for point in curve] == [second, third]


async def test_the_most_affected_come_first(database_url: str) -> None:
    first, second, third = weeks(3)
    store(
        database_url,
        [
            ("r", "TW-TPE", first, 90, 10, 20, True),
            ("r", "TW-TPE", second, 5, 10, 20, False),  # below: takes nothing back
            ("r", "TW-TPE", third, 30, 10, 20, True),
            ("r", "TW-KHH", second, 300, 10, 20, True),
            ("r", "TW-NWT", second, None, None, None, False),
            ("r", "TW", second, 5000, 10, 20, True),  # not below itself
            ("r", "TW-PEN", first - timedelta(weeks=1), 9000, 10, 20, True),  # too early
        ],
    )
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        found = await read_affected(connection, rule="r", within="TW", first=first, most=10)
        assert [(a.region, a.excess, a.exceedances) for a in found] == [
            ("TW-KHH", 290, 1),
            ("TW-TPE", 100, 2),
        ]
        assert found[1].peak == Point(first, 90, 10)
        one = await read_affected(connection, rule="r", within="TW", first=first, most=1)
        assert one == found[:1]
        assert await read_affected(connection, rule="r", within="TW-TPE", first=first, most=9) == []


async def test_imported_counts_reach_where_live_ones_do_not(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "INSERT INTO imported_counts (signal, region, stratum, grain, period, value) VALUES "
            "('ili', 'TW-TPE', '0-6', 'week', %s, 3), ('ili', 'TW-KHH', '0-6', 'week', %s, 4)",
            (WEEK, WEEK),
        )
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        found = await read_counts(
            connection, signal="ili", region="TW", grain="week", first=WEEK - timedelta(weeks=1),
            last=WEEK, epi_week="iso",
        )  # fmt: skip
        assert found == [Point(WEEK - timedelta(weeks=1), None), Point(WEEK, 7)]
        assert await read_latest_period(
            connection, signal="ili", grain="week", epi_week="iso"
        ) == WEEK  # fmt: skip
        nothing = await read_counts(
            connection, signal="ili", region="TW", grain="week", first=WEEK,
            last=WEEK - timedelta(weeks=1), epi_week="iso",
        )  # fmt: skip
        assert nothing == []
        assert (
            await read_latest_period(connection, signal="fever", grain="day", epi_week="iso")
        ) is None


@given(
    latest=st.dates(date(2009, 1, 5), date(2009, 12, 28)),
    last_day=st.dates(date(2009, 1, 1), date(2009, 12, 31)),
    today=st.dates(date(2009, 1, 1), date(2009, 12, 31)),
    grain=st.sampled_from(["day", "rolling7", "week"]),
)
@pytest.mark.parametrize("weekday", [0])
def test_periods_are_provisional_until_their_last_day_is_over(
    latest: date, last_day: date, today: date, grain: Grain, weekday: int
) -> None:
    step = 7 if grain == "week" else 1
    if grain == "week":
        latest -= timedelta(days=(latest.weekday() - weekday) % 7)
    since = first_provisional(latest, grain, last_day=last_day, today=today)
    for back in range(400):
        period = latest - timedelta(days=step * back)
        ends = period + timedelta(days=step - 1)
        over = ends <= last_day and ends < today
        assert over == (since is None or period < since)
