"""Alarms that end while counts are as high as before say so."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from math import sqrt
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.alerts import Ended, NewLevel
from streams.alerts.lifecycle import fold
from streams.config import load_configuration
from streams.judging.loop import judge_pending
from streams.notify.entries import make_entry, variables
from streams.notify.routing import plan
from streams.notify.words import event_words, level_words
from streams.phrases import amount
from streams.store.alert_history import rebuild
from streams.store.alerts import get_history, list_alerts
from streams.store.pool import open_pool
from streams.store.standing import Key, Look, find
from tests.support.counted import imported, live
from tests.support.events import TAIPEI
from tests.support.store import empty, rows

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from schemas.alerts import Alert, AlertEvent
    from streams.alerts.combining import Found
    from streams.config import Configuration

HEAD = """\
name: level
regions: tw
time_zone: Asia/Taipei
signals:
  ili:
    title: {en: Influenza-like illness, zh: 流感样病例}
    of: visits
notify:
  language: en
  channels: {desk: {url: "json://localhost"}}
  routes: {all: {to: desk}}
alerts: {update_seconds: 0, announce_within_days: null, worsening: null}
rules:
  only:
    signal: ili
    level: county
    severity: warning
"""
DAY = "    detector: {type: ears, method: C1}\n"
SEVEN = "    grain: rolling7\n    detector: {type: ears, method: C2, baseline: 14, lag: 7}\n"
WEEK = "    grain: week\n    detector: {type: auto}\n"
#: A Monday.
START = date(2022, 1, 3)


def day(offset: int) -> date:
    return START + timedelta(days=offset)


def configured(folder: Path, rule: str) -> Configuration:
    path = folder / "fenghuo.yaml"
    path.write_text(HEAD + rule, encoding="utf-8")
    return load_configuration(path)


def count(database: str, configuration: Configuration, counts: Mapping[int, float]) -> None:
    live(database, TAIPEI, {day(offset): value for offset, value in counts.items()})

    async def run() -> None:
        async with open_pool(database, size=1) as pool:
            await judge_pending(pool, configuration)

    asyncio.run(run())


def only_alert(database: str) -> tuple[Alert, list[AlertEvent]]:
    with psycopg.connect(database) as connection:
        alert = list_alerts(connection)[-1]
        history = get_history(connection, alert.alert_id)
        assert rebuild(connection, check_only=True)[1] == []
    assert fold(history) == alert
    return alert, history


def ends(history: list[AlertEvent]) -> list[NewLevel | None]:
    return [event.change.new_level for event in history if isinstance(event.change, Ended)]


def steady(first: int, last: int, level: int = 5) -> dict[int, float]:
    return {i: level - 1 + i % 3 for i in range(first, last)}


def test_an_end_at_a_high_level_says_so(database_url: str, tmp_path: Path) -> None:
    configuration = configured(tmp_path, DAY)
    count(database_url, configuration, steady(0, 21) | dict.fromkeys(range(21, 25), 40))
    alert, history = only_alert(database_url)
    (level,) = ends(history)
    assert level is not None
    assert alert.new_level == level
    assert (level.rule, level.grain, level.since, level.now) == ("only", "day", day(21), 40)
    assert level.before == pytest.approx(5, abs=0.3)
    entry = make_entry(
        history[-1], alert, configuration, channel="desk", secret=None, now=datetime.now(UTC)
    )
    told = variables(entry, "en", configuration)
    times = f"still {amount(40 / level.before)} times what was expected when the alert began"
    before = amount(level.before)
    assert told["what"] == (
        f"exceedances have ended, but counts have not fallen ({times}; "
        f"before: {before}, now: 40 a day)"
    )
    assert dict(told["facts"])["New level"].startswith(f"Counts had not fallen by then: {times}")
    chinese = variables(entry, "zh", configuration)
    assert "数量并未回落" in chinese["what"]
    assert f"每日原预期{before}，此时实际40" in dict(chinese["facts"])["新水平"]
    # The usual routes, which do not ask for ends, hear of it.
    assert plan(history[-1], alert, configuration, datetime.now(UTC))


def test_an_end_of_low_counts_says_nothing_more(database_url: str, tmp_path: Path) -> None:
    configuration = configured(tmp_path, DAY)
    count(database_url, configuration, steady(0, 21) | {21: 40} | steady(22, 26))
    alert, history = only_alert(database_url)
    assert ends(history) == [None]
    assert alert.new_level is None
    assert event_words(history[-1].change, alert).en == (
        "exceedances have ended, closing is proposed"
    )
    assert plan(history[-1], alert, configuration, datetime.now(UTC)) == ()


def test_sums_of_seven_days_are_told_as_such(database_url: str, tmp_path: Path) -> None:
    configuration = configured(tmp_path, SEVEN)
    usual: dict[int, float] = {i: 4.0 if i % 7 >= 5 else 20.0 for i in range(60)}
    count(database_url, configuration, usual | {i: 3 * usual[i % 7] for i in range(60, 90)})
    _, history = only_alert(database_url)
    level = ends(history)[0]
    assert level is not None
    assert level.before == pytest.approx(108)
    assert level.now == pytest.approx(324)
    assert "324 in 7 days" in level_words(level).en
    assert "每7天" in level_words(level).zh


def test_a_weekend_is_compared_with_a_weekend(database_url: str) -> None:
    """An alert of a Wednesday that ends on Friday: the quiet days are Saturday to Monday."""
    usual = (40.0, 40.0, 40.0, 40.0, 40.0, 8.0, 8.0)
    alarms = {day(9), day(10), day(11)}
    with psycopg.connect(database_url) as connection:
        for i in range(15):
            connection.execute(
                "INSERT INTO verdicts (rule, region, period, observed, expected, alarm, reason, "
                "as_of, config_version) VALUES ('only', %s, %s, %s, %s, %s, 'ok', now(), 'v')",
                (
                    TAIPEI,
                    day(i),
                    30.0 if day(i) > day(11) else 200.0,
                    usual[i % 7] if i < 12 else 30.0,
                    day(i) in alarms,
                ),
            )

    async def look() -> Found:
        async with await psycopg.AsyncConnection.connect(database_url) as connection:
            key = Key("only", TAIPEI)
            return (await find(connection, [Look(key, day(9), None, day(9), 3, day(14))]))[0]

    found = asyncio.run(look())
    assert (found.quiet, found.quiet_since) == (3, day(12))
    assert (found.quiet_observed, found.quiet_expected) == (30, 30)
    assert found.begun_expected == pytest.approx((8 + 8 + 40) / 3)


def test_a_new_exceedance_takes_the_level_back(database_url: str, tmp_path: Path) -> None:
    configuration = configured(tmp_path, DAY)
    count(database_url, configuration, steady(0, 21) | dict.fromkeys(range(21, 25), 40))
    count(database_url, configuration, {25: 400})
    alert, history = only_alert(database_url)
    assert history[-1].change.kind == "resumed"
    assert alert.new_level is None


def test_auto_takes_a_year_as_the_new_level_and_says_so(database_url: str, tmp_path: Path) -> None:
    configuration = configured(tmp_path, WEEK)
    weekly = {week: 100.0 + 7 * (week % 4) for week in range(104)}
    imported(database_url, TAIPEI, "week", {day(7 * w): value for w, value in weekly.items()})
    high = {7 * week: 300.0 + 9 * (week % 4) for week in range(104, 170)}
    count(database_url, configuration, high)
    alert, history = only_alert(database_url)
    assert alert.exceedances > 40
    level = alert.new_level
    assert level is not None
    assert level == ends(history)[-1]
    assert (level.grain, level.since) == ("week", day(7 * 104))
    assert level.before == pytest.approx(110, rel=0.1)
    assert level.now == pytest.approx(313, rel=0.05)
    assert level.expected is not None
    assert level.expected > 1.5 * level.before
    assert "The baseline has taken this level as usual" in level_words(level).en
    assert "基线已把该水平视为常态" in level_words(level).zh


def test_words_do_not_claim_what_is_not_known() -> None:
    level = NewLevel(rule="r", grain="day", since=START, before=0, now=30, expected=None)
    assert level_words(level).en == (
        "Counts had not fallen by then: still far above what was expected when the alert began "
        "(expected before: 0, counted by then: 30 a day; since 2022-01-03)."
    )
    below = level.model_copy(update={"before": 10.0, "expected": 14.0})
    assert level_words(below).en.endswith("They were below the threshold (expected by then: 14).")


def plain_level(database: str, first: date, quiet_since: date) -> tuple[float, float] | None:
    """What a level is, step by step: the three days from `quiet_since` on."""
    found: dict[date, Any] = {
        period: (observed, expected, reason)
        for period, observed, expected, reason in rows(
            database, "SELECT period, observed, expected, reason FROM verdicts"
        )
    }
    quiet = [
        p for p in sorted(found) if p >= quiet_since and found[p][2] != "insufficient_history"
    ][:3]
    begun = []
    for period in quiet:
        back = first
        while back.weekday() != period.weekday():
            back -= timedelta(days=1)
        known = found.get(back, (None, None, ""))[1]
        begun.append(found[first][1] if known is None else known)
    now, before = sum(found[p][0] for p in quiet) / 3, sum(begun) / 3
    if now >= 1.5 * before and now - before >= 2 * sqrt(now + before):
        return before, now
    return None


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(counts=st.lists(st.sampled_from([3.0, 5.0, 7.0, 9.0, 14.0, 30.0, 90.0]), max_size=14))
def test_any_end_tells_its_level(database_url: str, tmp_path: Path, counts: list[float]) -> None:
    empty(database_url)
    configuration = configured(tmp_path, DAY)
    count(
        database_url,
        configuration,
        steady(0, 14) | {14: 40.0} | {15 + i: value for i, value in enumerate(counts)},
    )
    alert, history = only_alert(database_url)
    if alert.quiet_since is None:
        assert alert.new_level is None
        return
    expected = plain_level(database_url, alert.first_period, alert.quiet_since)
    told = alert.new_level and (alert.new_level.before, alert.new_level.now)
    assert told == (None if expected is None else pytest.approx(expected))
    assert ends(history)[-1] == alert.new_level
