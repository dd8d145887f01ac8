"""Small changes of an alert's numbers are told now and then; the last ones always."""

from __future__ import annotations

import asyncio
import math
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.alerts import Alert, Discarded, Updated
from streams.alerts.detecting import may_wait
from streams.config import load_configuration
from streams.judging.loop import JudgingLoop, judge_pending
from streams.store.alerts import get_history, list_alerts
from streams.store.held_updates import release_updates
from streams.store.pool import open_pool
from tests.support.alerts import AS_OF, PERIOD, alert_of, decide, figures, open_alert
from tests.support.counted import live
from tests.support.events import TAIPEI
from tests.support.store import rows

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from streams.config import Configuration

START = date(2025, 3, 3)
#: Once corrections have taken all exceedances back, these are what was told before.
_FIGURES = {
    "first_period", "last_period", "observed", "expected", "upper", "score", "p_value", "peak",
    "own_first_period", "own_last_period",
}  # fmt: skip
TEXT = """\
name: holding
regions: tw
time_zone: Asia/Taipei
signals:
  ili:
    title: {{en: Influenza-like illness, zh: 流感样病例}}
    of: visits
alerts: {{update_seconds: {seconds}}}
rules:
  day:
    signal: ili
    level: county
    detector: {{type: ears, method: C1}}
"""


def configured(folder: Path, seconds: float) -> Configuration:
    path = folder / f"{seconds}.yaml"
    path.write_text(TEXT.format(seconds=seconds), encoding="utf-8")
    return load_configuration(path)


@pytest.fixture
def patient(tmp_path: Path) -> Configuration:
    """Whatever may wait waits for longer than any test."""
    return configured(tmp_path, 3600)


@pytest.fixture
def at_once(tmp_path: Path) -> Configuration:
    return configured(tmp_path, 0)


def day(offset: int) -> date:
    return START + timedelta(days=offset)


def count(database: str, configuration: Configuration, counts: Mapping[int, float]) -> None:
    """Set counts by day, and judge."""
    live(database, TAIPEI, {day(offset): value for offset, value in counts.items()})
    judge(database, configuration)


def judge(database: str, configuration: Configuration) -> None:
    async def run() -> None:
        async with open_pool(database, size=1) as pool:
            await judge_pending(pool, configuration)

    asyncio.run(run())


def time_comes(database: str) -> int:
    """Have what is held looked at again."""

    async def run() -> int:
        async with open_pool(database, size=1) as pool, pool.connection() as connection:
            await connection.execute("UPDATE held_updates SET due_at = clock_timestamp()")
            return await release_updates(connection)

    return asyncio.run(run())


def held(database: str) -> list[int]:
    return [row[0] for row in rows(database, "SELECT alert_id FROM held_updates ORDER BY 1")]


def kinds(database: str) -> list[str]:
    return [row[0] for row in rows(database, "SELECT kind FROM alert_events ORDER BY event_id")]


def only_alert(database: str) -> Alert:
    with psycopg.connect(database) as connection:
        (alert,) = list_alerts(connection)
    return alert


def steady(days: int) -> dict[int, float]:
    return {i: 4 + i % 3 for i in range(days)}


def test_small_changes_wait_and_the_last_one_is_told(
    database_url: str, patient: Configuration, at_once: Configuration
) -> None:
    count(database_url, patient, steady(20) | {20: 40})
    opened = only_alert(database_url)
    for value in (41, 43, 42):
        count(database_url, patient, {20: value})
    assert only_alert(database_url) == opened
    assert held(database_url) == [opened.alert_id]
    assert rows(database_url, "SELECT due_at - interval '1 hour' FROM held_updates") == [
        (opened.as_of,)
    ]
    assert time_comes(database_url) == 1
    judge(database_url, at_once)
    assert only_alert(database_url).observed == 42
    assert kinds(database_url) == ["opened", "updated"]
    assert held(database_url) == []


def test_what_is_not_due_stays(database_url: str, patient: Configuration) -> None:
    count(database_url, patient, steady(20) | {20: 40})
    count(database_url, patient, {20: 41})

    async def release() -> int:
        async with open_pool(database_url, size=1) as pool, pool.connection() as connection:
            return await release_updates(connection)

    assert asyncio.run(release()) == 0
    assert len(held(database_url)) == 1


def test_a_change_that_was_taken_back_meanwhile_is_none(
    database_url: str, patient: Configuration, at_once: Configuration
) -> None:
    count(database_url, patient, steady(20) | {20: 40})
    count(database_url, patient, {20: 41})
    count(database_url, patient, {20: 40})
    assert time_comes(database_url) == 1
    judge(database_url, at_once)
    assert kinds(database_url) == ["opened"]


@pytest.mark.parametrize(
    ("counts", "kind"),
    [
        ({20: 44}, "updated"),  # by a tenth
        ({20: 36}, "updated"),
        ({21: 90}, "updated"),  # another period
        ({20: 5}, "revised"),
        ({21: 5, 22: 5, 23: 5}, "ended"),
    ],
)
def test_what_matters_is_told_at_once(
    database_url: str, patient: Configuration, counts: dict[int, float], kind: str
) -> None:
    count(database_url, patient, steady(20) | {20: 40})
    count(database_url, patient, {20: 41})
    count(database_url, patient, counts)
    assert kinds(database_url)[-1] == kind
    observed = rows(database_url, "SELECT observed FROM verdicts WHERE period = %s", day(20))
    if kind == "ended":  # what waited is told together with it
        assert [(only_alert(database_url).observed,)] == observed == [(41,)]


def test_what_came_back_after_a_correction_is_told_at_once(
    database_url: str, patient: Configuration
) -> None:
    for value in (40, 5, 40):
        count(database_url, patient, steady(20) | {20: value})
    assert kinds(database_url) == ["opened", "revised", "resumed"]


def test_a_decided_alert_needs_no_last_word(
    database_url: str, patient: Configuration, at_once: Configuration
) -> None:
    count(database_url, patient, steady(20) | {20: 40})
    count(database_url, patient, {20: 41})
    alert_id = only_alert(database_url).alert_id
    decide(database_url, alert_id, Discarded(outcome="data_error"))
    assert time_comes(database_url) == 0
    judge(database_url, at_once)
    assert kinds(database_url) == ["opened", "discarded"]
    assert held(database_url) == []


async def test_the_loop_tells_what_was_held(
    database_url: str, patient: Configuration, at_once: Configuration
) -> None:
    await asyncio.to_thread(count, database_url, patient, steady(20) | {20: 40})
    await asyncio.to_thread(count, database_url, patient, {20: 41})
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE held_updates SET due_at = clock_timestamp()")
    changed = asyncio.Event()
    async with open_pool(database_url, size=1) as pool:
        loop = JudgingLoop(pool, at_once, 0.05, changed=changed.set)
        running = asyncio.create_task(loop.run())
        await asyncio.wait_for(changed.wait(), 180)
        running.cancel()
    assert (await asyncio.to_thread(only_alert, database_url)).observed == 41


@given(
    st.lists(
        st.dictionaries(
            st.integers(17, 27),
            st.sampled_from([4.0, 5.0, 6.0, 30.0, 31.0, 32.0, 34.0, 90.0, 92.0, 300.0]),
            min_size=1,
            max_size=3,
        ),
        min_size=2,
        max_size=8,
    )
)
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_in_the_end_the_numbers_are_those_without_waiting(
    database_url: str,
    patient: Configuration,
    at_once: Configuration,
    steps: list[dict[int, float]],
) -> None:
    history = {"version", "as_of", "opened_at", "resumed_at", "updated_at"}

    def run(configuration: Configuration) -> list[dict[str, Any]]:
        with psycopg.connect(database_url) as connection:
            connection.execute(
                "TRUNCATE alerts, alert_events, verdicts, daily_counts, series, held_updates, "
                "pending_judgements RESTART IDENTITY"
            )
        for step in [steady(20) | {20: 30}, *steps]:
            count(database_url, configuration, step)
        time_comes(database_url)
        judge(database_url, at_once)
        with psycopg.connect(database_url) as connection:
            return [
                alert.model_dump(exclude=history | (_FIGURES if alert.exceedances == 0 else set()))
                for alert in list_alerts(connection)
            ]

    assert run(patient) == run(at_once)


@given(st.integers(2, 50), st.integers(1, 3000))
def test_a_growing_count_is_told_as_often_as_its_logarithm_grows(first: int, more: int) -> None:
    alert = _alert(first)
    told = 0
    for observed in range(first, first + more + 1):
        change = _updated(observed)
        if not may_wait(alert, [change]):
            told += 1
            alert = _alert(observed)
    # Each telling but the last of a count below ten stands for a growth by a tenth or more.
    assert told <= 1 + math.log((first + more) / first) / math.log(1.1)


def test_several_changes_together_do_not_wait(database_url: str) -> None:
    alert = alert_of(database_url, open_alert(database_url))
    with psycopg.connect(database_url) as connection:
        (event,) = get_history(connection, alert.alert_id)
    change = _updated(45.5, exceedances=2, peak=52, first_period=alert.first_period)
    assert may_wait(alert, [change])
    assert not may_wait(alert, [change, change])
    assert not may_wait(alert, [])
    assert not may_wait(alert, [event.change])
    for other in (
        {"figures": figures(45.5, upper=None)},
        {"figures": figures(45.5, upper=60)},
        {"figures": figures(45.5, expected=10)},
        {"figures": figures(45.5, period=PERIOD + timedelta(days=7))},
        {"peak": 90},
        {"exceedances": 3},
        {"first_period": PERIOD},
        {"detector": {"type": "other"}},
        {"config_version": "another"},
        {"leading_rule": "week"},
        {"severity": "info"},
    ):
        assert not may_wait(alert, [change.model_copy(update=other)]), other


def _alert(observed: float) -> Alert:
    known = figures(observed)
    return Alert(
        alert_id=1, version=1, decided_version=1, status="new", severity="warning",
        signal="ili", region=TAIPEI, rule="day", grain="day", first_period=PERIOD,
        own_first_period=PERIOD, own_last_period=PERIOD, last_period=PERIOD,
        exceedances=1, observed=observed, expected=known.expected,
        upper=known.upper, peak=observed, detector={"type": "ears"}, config_version="abc",
        as_of=AS_OF, opened_at=AS_OF, updated_at=AS_OF,
    )  # fmt: skip


def _updated(observed: float, **fields: Any) -> Updated:
    known = {
        "first_period": PERIOD, "exceedances": 1, "peak": observed,
        "figures": figures(observed), "detector": {"type": "ears"}, "config_version": "abc",
        "as_of": AS_OF,
    }  # fmt: skip
    return Updated.model_validate(known | fields)
