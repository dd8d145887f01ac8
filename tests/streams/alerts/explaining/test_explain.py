from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from schemas.alerts import Alert, Contribution
from streams.alerts.explaining import explain
from tests.support.counted import imported, live
from tests.support.events import KAOHSIUNG, NEW_TAIPEI, TAIPEI
from tests.support.store import rows

if TYPE_CHECKING:
    from schemas.alerts import Explanation
    from streams.config import Configuration

#: A Monday.
DAY = date(2025, 9, 1)
NOW = datetime(2025, 9, 2, 1, tzinfo=UTC)


def weeks_before(count: float, first: int = 1, last: int = 8) -> dict[date, float]:
    return {DAY - timedelta(weeks=k): count for k in range(first, last + 1)}


async def explained(database: str, configuration: Configuration, **changes: Any) -> Explanation:
    values: dict[str, Any] = {
        "alert_id": 1, "version": 1, "decided_version": 1, "status": "new", "severity": "info",
        "signal": "ili", "region": TAIPEI, "rule": "r", "grain": "day", "first_period": DAY,
        "own_first_period": DAY,
        "own_last_period": DAY,
        "last_period": DAY, "exceedances": 1, "observed": 30.0, "expected": 10.0, "upper": 20.0,
        "peak": 30.0, "detector": {}, "config_version": "abc", "as_of": NOW, "opened_at": NOW,
        "updated_at": NOW,
    }  # fmt: skip
    alert = Alert.model_validate(values | changes)
    async with await psycopg.AsyncConnection.connect(database) as connection:
        (found,) = await explain(connection, [alert], configuration, NOW)
    return found


def ages(found: Explanation) -> list[Contribution]:
    return list(found.age_groups)


async def test_nothing_to_explain(database_url: str, configuration: Configuration) -> None:
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        assert await explain(connection, [], configuration, NOW) == []


async def test_without_any_counts_nothing_is_made_up(
    database_url: str, configuration: Configuration
) -> None:
    found = await explained(database_url, configuration)
    assert (found.excess, found.latest_week, found.growth_per_day) == (20.0, None, None)
    assert (found.baseline_periods, found.completeness, found.neighbours_judged) == (0, None, 0)
    assert found.facilities == found.age_groups == found.regions == ()


async def test_a_weekday_is_held_against_the_same_weekday(
    database_url: str, configuration: Configuration
) -> None:
    live(database_url, TAIPEI, {DAY: 30} | weeks_before(8, 1, 4) | weeks_before(12, 5, 8))
    live(database_url, TAIPEI, {DAY - timedelta(days=3): 500})
    found = await explained(database_url, configuration)
    assert found.baseline_periods == 8
    assert ages(found) == [Contribution(name="19-64", observed=30, expected=10)]
    assert found.facilities == ()


async def test_weeks_before_the_first_live_day_have_no_baseline(
    database_url: str, configuration: Configuration
) -> None:
    live(database_url, TAIPEI, {DAY: 30} | weeks_before(8, 1, 3))
    found = await explained(database_url, configuration)
    assert found.baseline_periods == 3
    assert ages(found) == [Contribution(name="19-64", observed=30, expected=8)]
    assert found.completeness is None


async def test_imported_days_take_the_place_of_live_ones(
    database_url: str, configuration: Configuration
) -> None:
    live(database_url, TAIPEI, {DAY: 30} | weeks_before(8, 1, 4))
    imported(database_url, TAIPEI, "day", weeks_before(50, 3, 6))
    found = await explained(database_url, configuration)
    assert found.baseline_periods == 6
    # Imported without ages: only the weeks with live counts tell about ages.
    assert ages(found) == [Contribution(name="19-64", observed=30, expected=8)]
    assert found.facilities == ()


async def test_imported_weeks_are_no_days(database_url: str, configuration: Configuration) -> None:
    live(database_url, TAIPEI, {DAY: 30})
    imported(database_url, TAIPEI, "week", weeks_before(70))
    assert (await explained(database_url, configuration)).baseline_periods == 0
    assert (await explained(database_url, configuration, grain="week")).baseline_periods == 8


async def test_an_upper_region_names_the_regions_below(
    database_url: str, configuration: Configuration
) -> None:
    live(database_url, TAIPEI, {DAY: 30} | weeks_before(8))
    live(database_url, NEW_TAIPEI, {DAY: 9} | weeks_before(10))
    found = await explained(database_url, configuration, region="TW")
    assert list(found.regions) == [Contribution(name=TAIPEI, observed=30, expected=8)]
    assert ages(found) == [Contribution(name="19-64", observed=39, expected=18)]


async def test_neighbours_are_of_the_same_rule_and_period(
    database_url: str, configuration: Configuration
) -> None:
    with psycopg.connect(database_url) as connection:
        for rule, region, period, alarm in (
            ("r", NEW_TAIPEI, DAY, True),
            ("r", "TW-KEE", DAY, False),
            ("other", "TW-TAO", DAY, True),
            ("r", "TW-ILA", DAY - timedelta(days=1), True),
        ):
            connection.execute(
                "INSERT INTO verdicts (rule, region, period, observed, expected, upper, alarm, "
                "reason, as_of, config_version) VALUES (%s, %s, %s, 9, 9, 9, %s, 'ok', now(), 'x')",
                (rule, region, period, alarm),
            )
    found = await explained(database_url, configuration)
    assert [one.region for one in found.neighbours] == [NEW_TAIPEI]
    assert found.neighbours_judged == 2


async def test_a_signal_that_is_not_configured_any_more(
    database_url: str, configuration: Configuration
) -> None:
    live(database_url, TAIPEI, {DAY: 30} | weeks_before(8), signal="former")
    found = await explained(database_url, configuration, signal="former")
    assert found.baseline_periods == 8
    assert found.completeness is None
    assert rows(database_url, "SELECT FROM facility_days") == []


def days_back(*spans: tuple[int, int], count: float = 20) -> dict[date, float]:
    """Counts of spans of days, by how far back they begin and end."""
    return {
        DAY - timedelta(days=back): count
        for first, last in spans
        for back in range(last, first + 1)
    }


@pytest.mark.parametrize("grain", ["day", "week"])
@pytest.mark.parametrize(
    ("spans", "whole"),
    [
        ([(80, 0)], True),
        ([(80, 13), (7, 0)], False),
        ([(10, 0)], False),
        ([(80, 7), (1, 0)], False),
        ([(80, 22), (16, 0)], True),
    ],
    ids=["whole", "outage the week before", "began the week before", "outage of late", "outage"],
)
async def test_growth_is_told_of_two_whole_weeks(
    database_url: str, configuration: Configuration, spans: list[tuple[int, int]], *,
    whole: bool, grain: str,
) -> None:  # fmt: skip
    """After days without reports the next whole week looked like growth."""
    live(database_url, KAOHSIUNG, days_back((100, 0), count=1))
    live(database_url, TAIPEI, days_back(*spans))
    period = DAY if grain == "day" else DAY - timedelta(days=7)
    found = await explained(database_url, configuration, grain=grain, last_period=period)
    if whole:
        assert (found.latest_week, found.week_before) == (140, 140)
        assert found.growth_per_day == 0
    else:
        assert found.growth_per_day is found.doubling_days is None
        assert None in (found.latest_week, found.week_before)
    # Of the country only Taipei's days are missing, which are few or many: its reports go on.
    country = await explained(
        database_url, configuration, region="TW", grain=grain, last_period=period
    )
    assert country.latest_week is not None
    assert country.week_before is not None
