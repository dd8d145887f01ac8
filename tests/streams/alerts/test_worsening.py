"""Counts far above what was announced or closed are told: open, monitored, discarded or closed."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest

from schemas.alerts import Acknowledged, Closed, Discarded, Monitored, Verified
from streams.alerts.lifecycle import fold
from streams.alerts.watching import escalate_unread
from streams.config import load_configuration
from streams.judging.loop import judge_pending
from streams.notify.routing import plan
from streams.notify.words import event_words
from streams.store.alert_history import rebuild
from streams.store.alerts import get_history, list_alerts
from streams.store.pool import open_pool
from tests.support.alerts import decide
from tests.support.counted import live
from tests.support.events import TAIPEI

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from schemas.alerts import Alert, AlertEvent
    from streams.config import Configuration

TEXT = """\
name: worsening
regions: tw
time_zone: Asia/Taipei
signals:
  ili: {title: {en: Influenza-like illness, zh: 流感样病例}, of: visits}
notify:
  channels: {desk: {url: "json://localhost"}}
  routes: {all: {to: desk}, old: {to: desk, on: [opened]}}
alerts: {update_seconds: 3600, announce_within_days: null ALERTS}
rules:
  day:
    signal: ili
    level: county
    detector: {type: fixed_value, cases: 10}
"""
SEVEN = """\
  seven:
    signal: ili
    level: county
    grain: rolling7
    detector: {type: fixed_value, cases: 60}
"""
START = date(2025, 3, 3)
USUAL = dict.fromkeys(range(10), 3.0)
MONITORED = (Acknowledged(), Verified(), Monitored())


def configured(folder: Path, rules: str = "", alerts: str = "") -> Configuration:
    path = folder / "fenghuo.yaml"
    path.write_text(TEXT.replace(" ALERTS", alerts) + rules, encoding="utf-8")
    return load_configuration(path)


@pytest.fixture
def one_rule(tmp_path: Path) -> Configuration:
    return configured(tmp_path)


def count(database: str, configuration: Configuration, counts: Mapping[int, float]) -> None:
    """Count and judge day by day."""

    async def go() -> None:
        async with open_pool(database, size=1) as pool:
            for offset, value in counts.items():
                day = {START + timedelta(days=offset): value}
                await asyncio.to_thread(live, database, TAIPEI, day)
                await judge_pending(pool, configuration)

    asyncio.run(go())


def alerts(database: str) -> list[Alert]:
    with psycopg.connect(database) as connection:
        return sorted(list_alerts(connection), key=lambda alert: alert.alert_id)


def history(database: str, alert_id: int) -> list[AlertEvent]:
    with psycopg.connect(database) as connection:
        return get_history(connection, alert_id)


def heard(database: str, configuration: Configuration) -> list[tuple[str, float]]:
    """Kind and count of what the routes tell."""
    found: list[tuple[str, float]] = []
    for alert in alerts(database):
        events = history(database, alert.alert_id)
        for event in events:
            # As it was when the dispatcher saw it: the events of one judgement together.
            then = fold([one for one in events if one.at <= event.at])
            if plan(event, then, configuration, datetime.now(UTC)):
                found.append((event.change.kind, then.observed))
    return found


def later(database: str, *, hours: int) -> None:
    """Have everything happened so many hours before."""
    with psycopg.connect(database) as connection:
        connection.execute("UPDATE alert_events SET at = at - make_interval(hours => %s)", (hours,))
        rebuild(connection, check_only=False)


@pytest.fixture(autouse=True)
def _histories_agree(database_url: str) -> Iterator[None]:
    yield
    with psycopg.connect(database_url) as connection:
        assert rebuild(connection, check_only=True)[1] == []


@pytest.mark.parametrize("done", [(), (Acknowledged(),), MONITORED], ids=["new", "read", "watched"])
def test_a_hundredfold_rise_of_an_open_alert_is_told(
    database_url: str, one_rule: Configuration, done: tuple[Acknowledged, ...]
) -> None:
    count(database_url, one_rule, USUAL | {10: 13, 11: 13})
    (alert,) = alerts(database_url)
    decide(database_url, alert.alert_id, *done) if done else None
    before = alerts(database_url)[0].status
    count(database_url, one_rule, {12: 25})
    assert heard(database_url, one_rule) == [("opened", 13)]
    count(database_url, one_rule, {13: 1300})
    assert heard(database_url, one_rule) == [("opened", 13), ("worsened", 1300)]
    (alert,) = alerts(database_url)
    assert (alert.status, alert.acknowledged_at, alert.escalated_at) == (before, None, None)
    assert alert.unread_since == alert.worsened_at
    last = history(database_url, alert.alert_id)[-1].change
    assert event_words(last, alert).en.endswith("(13 → 1,300)")
    count(database_url, one_rule, {13: 1400, 14: 2500})
    assert len(heard(database_url, one_rule)) == 2
    count(database_url, one_rule, {14: 2600})
    assert len(heard(database_url, one_rule)) == 3


def test_a_worsened_alert_is_escalated_again(database_url: str, one_rule: Configuration) -> None:
    count(database_url, one_rule, USUAL | {10: 13})
    (alert,) = alerts(database_url)
    decide(database_url, alert.alert_id, *MONITORED)
    count(database_url, one_rule, {11: 1300})

    async def escalate() -> list[Alert]:
        async with open_pool(database_url, size=1) as pool:
            return await escalate_unread(pool, one_rule.surveillance)

    assert asyncio.run(escalate()) == []
    later(database_url, hours=3)
    (escalated,) = asyncio.run(escalate())
    assert escalated.status == "monitoring"


def test_small_counts_and_what_was_told_are_not_told_again(
    database_url: str, one_rule: Configuration
) -> None:
    count(database_url, one_rule, USUAL | {10: 11, 11: 20, 12: 12, 13: 20, 14: 21, 15: 14})
    assert heard(database_url, one_rule) == [("opened", 11)]


def test_a_steady_alert_is_told_once(database_url: str, one_rule: Configuration) -> None:
    """Ten weeks in exceedance, with few cases at weekends."""
    weeks = {10 + i: (40 if i % 7 in {5, 6} else 100) for i in range(70)}
    count(database_url, one_rule, USUAL | weeks)
    assert heard(database_url, one_rule) == [("opened", 100)]


def test_a_second_wave_of_an_alert_that_never_ended_is_told(
    database_url: str, one_rule: Configuration
) -> None:
    chronic = dict.fromkeys(range(14, 34), 20.0)
    count(database_url, one_rule, USUAL | {10: 13, 11: 1300, 12: 800, 13: 90} | chronic)
    decide(database_url, alerts(database_url)[0].alert_id, *MONITORED)
    count(database_url, one_rule, {34: 600})
    assert heard(database_url, one_rule) == [("opened", 13), ("worsened", 1300), ("worsened", 600)]


def test_an_announced_count_that_was_corrected_silences_nothing(
    database_url: str, one_rule: Configuration
) -> None:
    count(database_url, one_rule, USUAL | {10: 5000})
    count(database_url, one_rule, {10: 15})
    assert heard(database_url, one_rule) == [("opened", 5000)]
    count(database_url, one_rule, {11: 700})
    assert heard(database_url, one_rule)[1:] == [("worsened", 700)]


def test_an_alert_worsens_at_most_so_often_a_day(database_url: str, tmp_path: Path) -> None:
    configuration = configured(tmp_path, alerts=", worsening: {times: 1.5, per_day: 2}")
    count(database_url, configuration, USUAL | {10: 20} | {11 + i: 40 * 2**i for i in range(5)})
    assert heard(database_url, configuration) == [
        ("opened", 20), ("worsened", 40), ("worsened", 80),
    ]  # fmt: skip
    later(database_url, hours=25)
    count(database_url, configuration, {16: 1000})
    assert heard(database_url, configuration)[3:] == [("worsened", 1000)]


def test_it_can_be_switched_off(database_url: str, tmp_path: Path) -> None:
    configuration = configured(tmp_path, alerts=", worsening: null")
    count(database_url, configuration, USUAL | {10: 13, 11: 1300})
    assert heard(database_url, configuration) == [("opened", 13)]
    decide(database_url, alerts(database_url)[0].alert_id, Discarded(outcome="data_error"))
    count(database_url, configuration, {12: 9000})
    assert len(alerts(database_url)) == 1


def test_numbers_of_seven_days_after_those_of_a_day_are_no_rise(
    database_url: str, tmp_path: Path
) -> None:
    configuration = configured(tmp_path, SEVEN)
    count(database_url, configuration, USUAL | dict.fromkeys(range(10, 20), 13.0))
    head, merged = alerts(database_url)
    assert (head.leading_rule, merged.status) == ("seven", "merged")
    assert heard(database_url, configuration) == [("opened", 13)]


# ---------------------------------------------------------------- the quiet period

ENDS = [(Discarded(outcome="data_error"),), (*MONITORED, Closed(outcome="explained"))]


@pytest.mark.parametrize("done", ENDS, ids=["discarded", "closed"])
def test_far_more_than_was_closed_raises_an_alert_in_the_quiet_period(
    database_url: str, one_rule: Configuration, done: tuple[Discarded, ...]
) -> None:
    count(database_url, one_rule, USUAL | {10: 12})
    decide(database_url, alerts(database_url)[0].alert_id, *done)
    count(database_url, one_rule, {11: 15, 12: 21})
    assert len(alerts(database_url)) == 1
    count(database_url, one_rule, {13: 900, 14: 15, 15: 880})
    closed, opened = alerts(database_url)
    assert closed.suppressed == 2
    assert (opened.status, opened.exceedances, opened.first_period) == (
        "new", 3, START + timedelta(days=13),
    )  # fmt: skip
    assert ("opened", 900) in heard(database_url, one_rule)


def test_a_discarded_period_that_grows_raises_an_alert(
    database_url: str, one_rule: Configuration
) -> None:
    count(database_url, one_rule, USUAL | {10: 12})
    decide(database_url, alerts(database_url)[0].alert_id, *ENDS[0])
    count(database_url, one_rule, {10: 20})
    assert len(alerts(database_url)) == 1
    count(database_url, one_rule, {10: 900})
    closed, opened = alerts(database_url)
    assert (closed.observed, opened.observed) == (12, 900)
    decide(database_url, opened.alert_id, *ENDS[0])
    count(database_url, one_rule, {10: 905, 11: 890})
    assert len(alerts(database_url)) == 2


def test_the_height_of_a_corrected_error_silences_nothing(
    database_url: str, one_rule: Configuration
) -> None:
    count(database_url, one_rule, USUAL | {10: 5000})
    decide(database_url, alerts(database_url)[0].alert_id, *ENDS[0])
    count(database_url, one_rule, {10: 3})
    assert len(alerts(database_url)) == 1
    count(database_url, one_rule, {11: 900})
    assert [alert.observed for alert in alerts(database_url)] == [5000, 900]


def test_seven_days_of_a_closed_alert_are_measured_by_day(
    database_url: str, tmp_path: Path
) -> None:
    configuration = configured(tmp_path, SEVEN)
    count(database_url, configuration, USUAL | dict.fromkeys(range(10, 20), 13.0))
    head, _ = alerts(database_url)
    decide(database_url, head.alert_id, *ENDS[0])
    count(database_url, configuration, {20: 14, 21: 15, 22: 18})
    assert len(alerts(database_url)) == 2
    count(database_url, configuration, {23: 60})
    assert sorted(alert.status for alert in alerts(database_url)[2:]) == ["merged", "new"]
