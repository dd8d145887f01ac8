from __future__ import annotations

import asyncio
import threading
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from detectors import Ears
from schemas.alerts import Change, Closed, Discarded, Monitored, Suppressed, Verified
from streams.config import load_configuration
from streams.judging import loop
from streams.judging.loop import JudgingLoop, judge_history, judge_pending
from streams.store.alerts import get_alert, get_history, list_alerts
from streams.store.decisions import act
from streams.store.pool import open_pool
from tests.support.counted import imported, live
from tests.support.events import KAOHSIUNG, NEW_TAIPEI, TAIPEI
from tests.support.store import blocked, rows

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from psycopg_pool import AsyncConnectionPool

    from schemas.alerts import Alert
    from streams.config import Configuration

RULES = """\
name: judged
regions: tw
time_zone: Asia/Taipei
signals:
  ili:
    title: {en: Influenza-like illness, zh: 流感样病例}
    of: visits
rules:
  county-day:
    signal: ili
    level: county
    detector: {type: ears, method: C1}
    min_cases: 10
    severity: critical
  nation-day:
    signal: ili
    level: nation
    detector: {type: ears, method: C1}
  nation-week:
    signal: ili
    level: nation
    grain: week
    detector: {type: ears, method: C1, baseline: 3}
"""
#: A Monday.
START = date(2025, 3, 3)


def day(offset: int) -> date:
    return START + timedelta(days=offset)


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Configuration:
    path = Path(tmp_path_factory.mktemp("rules")) / "fenghuo.yaml"
    path.write_text(RULES, encoding="utf-8")
    return load_configuration(path)


def only(configuration: Configuration, *names: str) -> Configuration:
    """The configuration with these rules alone."""
    surveillance = configuration.surveillance
    kept = {name: surveillance.rules[name] for name in names}
    return replace(configuration, surveillance=surveillance.model_copy(update={"rules": kept}))


@asynccontextmanager
async def pool(database: str, size: int = 1) -> AsyncIterator[AsyncConnectionPool]:
    async with open_pool(database, size=size) as opened:
        yield opened


def judge(database: str, configuration: Configuration) -> int:
    async def run() -> int:
        async with pool(database) as opened:
            return await judge_pending(opened, configuration)

    return asyncio.run(run())


def steady(days: int, level: int = 4) -> dict[date, float]:
    return {day(i): level + i % 3 for i in range(days)}


def alerts(database: str) -> list[Alert]:
    with psycopg.connect(database) as connection:
        return list_alerts(connection)[::-1]


def decide(database: str, alert_id: int, *changes: Change) -> None:
    with psycopg.connect(database) as connection:
        for change in changes:
            act(connection, alert_id, change, actor="li")


CLOSE = (Verified(), Monitored(), Closed(outcome="outbreak"))
DISCARD = (Discarded(outcome="data_error"),)


def suppressed(database: str, alert_id: int) -> list[Suppressed]:
    with psycopg.connect(database) as connection:
        history = get_history(connection, alert_id)
    return [event.change for event in history if isinstance(event.change, Suppressed)]


def verdicts(database: str, rule: str = "county-day", region: str = TAIPEI) -> dict[date, Any]:
    found = rows(
        database,
        "SELECT period, observed, alarm, reason, as_of FROM verdicts "
        "WHERE rule = %s AND region = %s",
        rule,
        region,
    )
    return {row[0]: row[1:] for row in found}


def pending(database: str) -> int:
    return int(rows(database, "SELECT count(*) FROM pending_judgements")[0][0])


@pytest.fixture
def county(rules: Configuration) -> Configuration:
    return only(rules, "county-day")


def test_an_exceedance_opens_an_alert_that_explains_itself(
    database_url: str, county: Configuration
) -> None:
    live(database_url, TAIPEI, steady(20) | {day(20): 40})
    live(database_url, KAOHSIUNG, steady(21))
    assert judge(database_url, county) == 42
    assert pending(database_url) == 0
    found = verdicts(database_url)
    assert list(found) == [day(i) for i in range(21)]
    assert [p for p, (_, alarm, *_) in found.items() if alarm] == [day(20)]
    assert found[day(2)][2] == "insufficient_history"
    (alert,) = alerts(database_url)
    assert (alert.status, alert.severity) == ("new", "critical")
    assert (alert.signal, alert.region, alert.rule, alert.grain) == (
        "ili", TAIPEI, "county-day", "day",
    )  # fmt: skip
    assert (alert.first_period, alert.last_period, alert.exceedances) == (day(20), day(20), 1)
    assert (alert.observed, alert.peak) == (40, 40)
    baseline = [4 + i % 3 for i in range(13, 20)]
    assert alert.expected == pytest.approx(sum(baseline) / 7)
    assert alert.upper is not None
    assert sum(baseline) / 7 < alert.upper < 40
    assert alert.p_value is not None
    assert alert.p_value < 0.001
    assert alert.detector == {"type": "ears", "method": "C1"}
    assert alert.config_version == county.version
    assert alert.as_of == found[day(20)][3]
    with psycopg.connect(database_url) as connection:
        assert get_alert(connection, alert.alert_id) == alert
        assert get_alert(connection, -1) is None


def test_what_did_not_change_is_not_judged(database_url: str, county: Configuration) -> None:
    live(database_url, TAIPEI, steady(20))
    judge(database_url, county)
    before = verdicts(database_url)
    assert judge(database_url, county) == 0
    live(database_url, KAOHSIUNG, {day(19): 1})
    judge(database_url, county)
    assert verdicts(database_url) == before


def test_late_data_judge_the_periods_again_whose_baseline_holds_them(
    database_url: str, county: Configuration
) -> None:
    live(database_url, TAIPEI, steady(30))
    judge(database_url, county)
    before = verdicts(database_url)
    live(database_url, TAIPEI, {day(10): 7})
    judge(database_url, county)
    after = verdicts(database_url)
    # Daily verdicts look back far enough to see how the source reported.
    assert [p for p in after if after[p] != before[p]] == [day(i) for i in range(10, 30)]
    live(database_url, TAIPEI, {day(28): 7})
    judge(database_url, county)
    changed = [p for p, v in verdicts(database_url).items() if v != after[p]]
    assert changed == [day(28), day(29)]  # and not beyond the last day of data


def test_late_data_judge_nothing_that_does_not_see_them(
    database_url: str, county: Configuration
) -> None:
    """Both sides of the bound: verdicts of days look back over 280 days, and no further."""
    live(database_url, TAIPEI, steady(300))
    judge(database_url, county)
    before = verdicts(database_url)
    live(database_url, TAIPEI, {day(10): 7})
    judge(database_url, county)
    after = verdicts(database_url)
    assert [p for p in after if after[p] != before[p]] == [day(i) for i in range(10, 291)]
    # What is judged again for the sake of the pattern alone stays as it was, but for its time.
    assert {p: v[:3] for p, v in after.items() if p > day(17)} == {
        p: v[:3] for p, v in before.items() if p > day(17)
    }


def test_late_data_judge_no_week_whose_baseline_does_not_hold_them(
    database_url: str, rules: Configuration
) -> None:
    weekly = only(rules, "nation-week")
    live(database_url, TAIPEI, steady(56))
    judge(database_url, weekly)
    before = verdicts(database_url, "nation-week", "TW")
    live(database_url, TAIPEI, {day(10): 7})
    judge(database_url, weekly)
    after = verdicts(database_url, "nation-week", "TW")
    assert [p for p in after if after[p] != before[p]] == [day(7 * i) for i in range(1, 5)]


def test_a_source_that_turns_to_weekly_reports_opens_one_alert(
    database_url: str, county: Configuration
) -> None:
    daily = {day(i): 30 + i % 5 for i in range(120)}
    weekly = {day(i): 224 for i in range(126, 190, 7)}
    live(database_url, TAIPEI, daily | weekly | {day(168): 600})
    live(database_url, KAOHSIUNG, {day(i): 30 + i % 5 for i in range(190)})
    configuration = replace(county, detectors={"county-day": Ears(method="C2", baseline=56)})
    judge(database_url, configuration)
    found = verdicts(database_url)
    assert [p for p, (_, alarm, *_) in found.items() if alarm] == [day(126), day(168)]
    changed = [p for p, (*_, reason, _) in found.items() if reason == "reporting_changed"]
    assert changed == [day(i) for i in range(133, 190, 7)]


def test_verdicts_do_not_depend_on_the_order_of_arrival(
    database_url: str, rules: Configuration
) -> None:
    counts = steady(30) | {day(22): 30, day(25): 50}
    live(database_url, TAIPEI, counts)
    live(database_url, KAOHSIUNG, steady(30, 7))
    judge(database_url, rules)
    names = [*rules.surveillance.rules]
    regions = {"county-day": TAIPEI, "nation-day": "TW", "nation-week": "TW"}

    def found() -> list[Any]:
        return [
            {p: v[:3] for p, v in verdicts(database_url, name, regions[name]).items()}
            for name in names
        ]

    at_once = found()
    with psycopg.connect(database_url) as connection:
        connection.execute("TRUNCATE daily_counts, verdicts, alerts, alert_events")
    # The last day is known from the start; everything else comes late and in disorder.
    live(database_url, KAOHSIUNG, steady(30, 7))
    judge(database_url, rules)
    for offset in [29, *(7 * i % 29 for i in range(29))]:
        live(database_url, TAIPEI, {day(offset): counts[day(offset)]})
        judge(database_url, rules)
    assert [{p: v for p, v in d.items() if p >= day(8)} for d in found()] == [
        {p: v for p, v in d.items() if p >= day(8)} for d in at_once
    ]


def test_further_exceedances_update_the_open_alert(
    database_url: str, county: Configuration
) -> None:
    live(database_url, TAIPEI, steady(20) | {day(20): 40})
    judge(database_url, county)
    (first,) = alerts(database_url)
    decide(database_url, first.alert_id, Verified())
    live(database_url, TAIPEI, {day(21): 90})
    judge(database_url, county)
    live(database_url, TAIPEI, {day(22): 5})
    judge(database_url, county)
    (alert,) = alerts(database_url)
    assert (alert.alert_id, alert.status) == (first.alert_id, "verifying")
    assert (alert.first_period, alert.last_period, alert.exceedances) == (day(20), day(21), 2)
    assert (alert.observed, alert.peak) == (90, 90)
    assert alert.opened_at == first.opened_at
    assert alert.updated_at > first.updated_at


def test_late_cases_lower_the_first_period(database_url: str, county: Configuration) -> None:
    live(database_url, TAIPEI, steady(20) | {day(18): 5, day(20): 60})
    judge(database_url, county)
    live(database_url, TAIPEI, {day(18): 30})
    judge(database_url, county)
    (alert,) = alerts(database_url)
    assert alert.first_period == day(18)


def test_corrections_take_exceedances_back(database_url: str, county: Configuration) -> None:
    live(database_url, TAIPEI, steady(20) | {day(20): 40, day(21): 90})
    judge(database_url, county)
    live(database_url, TAIPEI, {day(20): 5})
    judge(database_url, county)
    (alert,) = alerts(database_url)
    assert (alert.first_period, alert.exceedances) == (day(21), 1)
    live(database_url, TAIPEI, {day(21): 6})
    judge(database_url, county)
    (alert,) = alerts(database_url)
    assert (alert.status, alert.exceedances) == ("new", 0)
    assert alert.peak == 90
    live(database_url, TAIPEI, {day(20): 41})
    judge(database_url, county)
    (alert,) = alerts(database_url)
    assert (alert.first_period, alert.last_period, alert.exceedances) == (day(20), day(20), 1)


def test_cancelling_the_last_days_takes_their_verdicts_back(
    database_url: str, county: Configuration
) -> None:
    live(database_url, TAIPEI, steady(20) | {day(20): 40})
    judge(database_url, county)
    live(database_url, TAIPEI, {day(20): 0})
    judge(database_url, county)
    assert verdicts(database_url)[day(20)][:2] == (0, False)
    live(database_url, TAIPEI, {day(i): 0 for i in range(20)})
    judge(database_url, county)
    assert not any(alarm for _, alarm, *_ in verdicts(database_url).values())
    assert [alert.exceedances for alert in alerts(database_url)] == [0]


def test_no_alert_below_the_minimum_of_cases(database_url: str, county: Configuration) -> None:
    live(database_url, TAIPEI, dict.fromkeys((day(i) for i in range(20)), 1) | {day(20): 9})
    judge(database_url, county)
    assert verdicts(database_url)[day(20)][:3] == (9, False, "below_min_cases")
    assert alerts(database_url) == []
    live(database_url, TAIPEI, {day(20): 10})
    judge(database_url, county)
    assert verdicts(database_url)[day(20)][1] is True
    assert len(alerts(database_url)) == 1


@pytest.mark.parametrize(("status", "changes"), [("closed", CLOSE), ("discarded", DISCARD)])
def test_a_closed_alert_is_not_opened_again_for_what_it_covered(
    database_url: str, county: Configuration, status: str, changes: tuple[Change, ...]
) -> None:
    live(database_url, TAIPEI, steady(20) | {day(20): 40, day(22): 80})
    judge(database_url, county)
    (first,) = alerts(database_url)
    decide(database_url, first.alert_id, *changes)
    live(database_url, TAIPEI, dict.fromkeys((day(i) for i in range(23, 30)), 0))
    for offset, value in ((20, 42), (21, 60), (22, 90), (19, 30)):
        live(database_url, TAIPEI, {day(offset): value})
        judge(database_url, county)
    (still,) = alerts(database_url)
    assert (still.status, still.observed) == (status, 80)
    # Day 19 was no exceedance of it; days 20 to 22 were.
    assert [e.figures.period for e in suppressed(database_url, first.alert_id)] == [day(19)]
    live(database_url, TAIPEI, {day(23): 150})  # less than twice of what was closed
    judge(database_url, county)
    assert len(alerts(database_url)) == 1
    live(database_url, TAIPEI, {day(30): 5000})
    judge(database_url, county)
    _, second = alerts(database_url)
    assert second.status == "new"
    assert (second.first_period, second.last_period, second.exceedances) == (day(30), day(30), 1)


@pytest.mark.parametrize(("count", "opens"), [(159, False), (160, True)])
def test_what_is_twice_as_high_as_what_was_closed_opens_an_alert(
    database_url: str, county: Configuration, count: int, *, opens: bool
) -> None:
    live(database_url, TAIPEI, steady(20) | {day(20): 40, day(22): 80})
    judge(database_url, county)
    (first,) = alerts(database_url)
    decide(database_url, first.alert_id, *CLOSE)
    live(database_url, TAIPEI, {day(23): count})
    judge(database_url, county)
    assert verdicts(database_url)[day(23)][1] is True
    noted = [e.figures.period for e in suppressed(database_url, first.alert_id)]
    if opens:
        _, second = alerts(database_url)
        assert (second.status, second.first_period, noted) == ("new", day(23), [])
    else:
        (still,) = alerts(database_url)
        assert (still.status, noted) == ("closed", [day(23)])


def test_upper_levels_see_the_sum(database_url: str, rules: Configuration) -> None:
    for region in (TAIPEI, KAOHSIUNG, NEW_TAIPEI):
        live(database_url, region, dict.fromkeys((day(i) for i in range(34)), 2) | {day(34): 6})
    judge(database_url, rules)
    assert verdicts(database_url)[day(34)][:3] == (6, False, "below_min_cases")
    assert verdicts(database_url, "nation-day", "TW")[day(34)][:2] == (18, True)
    weeks = verdicts(database_url, "nation-week", "TW")
    assert list(weeks) == [day(7 * i) for i in range(5)]
    assert weeks[day(28)][:2] == (54, True)
    assert [(a.region, a.rule) for a in alerts(database_url)] == [
        ("TW", "nation-day"),
        ("TW", "nation-week"),
    ]


def test_imports_are_baseline_and_are_not_judged(database_url: str, county: Configuration) -> None:
    imported(database_url, TAIPEI, "day", {day(i): 4 + i % 3 for i in range(19)} | {day(9): 300})
    judge(database_url, county)
    assert alerts(database_url) == []
    live(database_url, TAIPEI, {day(19): 40})
    assert judge(database_url, county) == 1
    assert list(verdicts(database_url)) == [day(19)]
    assert [alert.first_period for alert in alerts(database_url)] == [day(19)]


def test_changes_of_signals_without_rules_are_forgotten(
    database_url: str, county: Configuration
) -> None:
    live(database_url, TAIPEI, {day(0): 3}, signal="fever")
    assert judge(database_url, county) == 1
    assert pending(database_url) == 0


# ---------------------------------------------------------------- several judges


class Held:
    """A detector that judges only when it is told to; delegates to a real one."""

    def __init__(self, real: Any) -> None:
        self._real = real
        self.entered = threading.Event()
        self.go = threading.Event()

    def lookback(self, grain: Any) -> int:
        return int(self._real.lookback(grain))

    def judge(self, *arguments: Any) -> Any:
        self.entered.set()
        assert self.go.wait(30)
        return self._real.judge(*arguments)


class DeathError(BaseException):
    """Ends a judge as SystemExit would."""


class Dying(Held):
    def judge(self, *arguments: Any) -> Any:  # noqa: ARG002 - the contract's
        raise DeathError


def with_detector(configuration: Configuration, make: Callable[[Any], Any]) -> tuple[Any, Any]:
    detector = make(configuration.detectors["county-day"])
    return replace(configuration, detectors={"county-day": detector}), detector


def test_a_judge_that_dies_leaves_its_work_to_the_next(
    database_url: str, county: Configuration
) -> None:
    live(database_url, TAIPEI, steady(20) | {day(20): 40})
    dying, _ = with_detector(county, Dying)
    with pytest.raises(DeathError):
        judge(database_url, dying)
    assert pending(database_url) == 21
    assert verdicts(database_url) == {}
    assert judge(database_url, county) == 21
    assert len(alerts(database_url)) == 1


async def test_a_judge_that_lost_its_connection_leaves_its_work_to_the_next(
    database_url: str, county: Configuration
) -> None:
    live(database_url, TAIPEI, steady(20) | {day(20): 40})
    slow, detector = with_detector(county, Held)
    async with pool(database_url) as one, pool(database_url) as two:
        task = asyncio.create_task(judge_pending(one, slow))
        await asyncio.to_thread(detector.entered.wait, 30)
        assert await judge_pending(two, county) == 0  # the rows are taken
        rows(
            database_url,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE state = 'idle in transaction' AND datname = current_database()",
        )
        detector.go.set()
        with pytest.raises(psycopg.OperationalError):
            await task
        assert await judge_pending(two, county) == 21
    assert len(alerts(database_url)) == 1


async def test_a_later_look_counts_though_the_clock_was_set_back(
    database_url: str, county: Configuration
) -> None:
    """202 cases stood beside a verdict on 2 of them, and nothing was pending."""
    async with pool(database_url) as judges:
        live(database_url, TAIPEI, steady(20) | {day(20): 4})
        assert await judge_pending(judges, county) == 21
        with psycopg.connect(database_url) as connection:
            connection.execute("UPDATE verdicts SET as_of = as_of + interval '1 day'")
        live(database_url, TAIPEI, {day(20): 70})
        assert await judge_pending(judges, county) == 1
    observed, alarm, *_ = verdicts(database_url)[day(20)]
    assert (observed, alarm) == (70, True)
    assert len(alerts(database_url)) == 1


async def test_an_older_look_never_replaces_a_newer_one(
    database_url: str, county: Configuration
) -> None:
    live(database_url, TAIPEI, steady(20) | {day(20): 40})
    slow, detector = with_detector(county, Held)
    async with pool(database_url) as one, pool(database_url) as two:
        task = asyncio.create_task(judge_pending(one, slow))
        await asyncio.to_thread(detector.entered.wait, 30)
        live(database_url, TAIPEI, {day(20): 5, day(21): 70})
        assert await judge_pending(two, county) == 2
        newer = {p: v for p, v in verdicts(database_url).items() if p >= day(20)}
        detector.go.set()
        assert await task == 21
    after = verdicts(database_url)
    assert {p: v for p, v in after.items() if p >= day(20)} == newer
    assert len(after) == 22
    (alert,) = alerts(database_url)
    assert (alert.first_period, alert.exceedances, alert.observed) == (day(21), 1, 70)
    assert alert.as_of == newer[day(21)][3]


async def test_the_numbers_of_an_alert_hold_the_verdicts_of_both_judges(
    database_url: str, county: Configuration
) -> None:
    live(database_url, TAIPEI, steady(40))
    async with pool(database_url) as one, pool(database_url) as two:
        await judge_pending(one, county)
        live(database_url, TAIPEI, {day(10): 50})
        slow, detector = with_detector(county, Held)
        task = asyncio.create_task(judge_pending(one, slow))
        await asyncio.to_thread(detector.entered.wait, 30)
        live(database_url, TAIPEI, {day(30): 60})
        await judge_pending(two, county)
        detector.go.set()
        await task
    (alert,) = alerts(database_url)
    assert (alert.first_period, alert.last_period, alert.exceedances) == (day(10), day(30), 2)
    assert (alert.observed, alert.peak) == (60, 60)


async def test_two_judges_that_write_at_the_same_time_see_each_others_verdicts(
    database_url: str, county: Configuration
) -> None:
    live(database_url, TAIPEI, steady(40) | {day(10): 50, day(30): 60})
    async with pool(database_url) as one, pool(database_url) as two:
        await judge_pending(one, county)
        assert [alert.exceedances for alert in alerts(database_url)] == [2]
        async with await psycopg.AsyncConnection.connect(database_url) as holder:
            await holder.execute("LOCK TABLE alerts IN SHARE MODE")
            live(database_url, TAIPEI, {day(10): 5})
            first = asyncio.create_task(judge_pending(one, county))
            await blocked(database_url)
            live(database_url, TAIPEI, {day(30): 5})
            second = asyncio.create_task(judge_pending(two, county))
            await blocked(database_url, 2)
            await holder.rollback()
            assert [*await asyncio.gather(first, second)] == [1, 1]
    assert [alert.exceedances for alert in alerts(database_url)] == [0]


async def test_judges_at_the_same_time_open_one_alert_and_agree(
    database_url: str, rules: Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "_TAKEN_AT_ONCE", 3)
    counts = steady(20) | {day(20): 40, day(21): 55, day(22): 5, day(23): 90}
    for region in (TAIPEI, KAOHSIUNG, NEW_TAIPEI):
        live(database_url, region, counts)
    barrier = asyncio.Barrier(4)

    async def work() -> int:
        async with pool(database_url) as opened:
            await barrier.wait()
            taken = 0
            while got := await judge_pending(opened, rules):
                taken += got
            while await judge_history(opened, rules, 1):
                pass
        return taken

    assert sum(await asyncio.gather(*(work() for _ in range(4)))) == 3 * 24
    assert pending(database_url) == 0
    shown = {(alert.rule, alert.region): alert for alert in alerts(database_url)}
    assert len(shown) == len(alerts(database_url))
    counties = {("county-day", region) for region in (TAIPEI, KAOHSIUNG, NEW_TAIPEI)}
    assert counties | {("nation-day", "TW")} <= shown.keys()
    for (rule, region), alert in shown.items():
        shows = alert.numbers_rule if alert.status != "merged" else rule
        exceeded = {
            p: o for p, (o, alarm, *_) in verdicts(database_url, shows, region).items() if alarm
        }
        if alert.status == "merged":  # the rest was counted where it was merged into
            noted = [change.figures.period for change in suppressed(database_url, alert.alert_id)]
            assert len(set(noted)) == len(noted) == alert.suppressed
            assert {p for p in exceeded if not alert.first_period <= p <= alert.last_period} <= set(
                noted
            )
            continue
        assert alert.exceedances == len(exceeded)
        assert (alert.first_period, alert.last_period) == (min(exceeded), max(exceeded))
        assert (alert.peak, alert.observed) == (max(exceeded.values()), exceeded[max(exceeded)])


async def judged(database: str) -> None:
    """Wait until nothing is to be judged any more."""
    async with asyncio.timeout(120):
        while True:
            if not await asyncio.to_thread(pending, database):
                return
            await asyncio.sleep(0.01)


async def test_the_loop_judges_when_it_is_woken(database_url: str, county: Configuration) -> None:
    async with pool(database_url) as opened:
        judging = JudgingLoop(opened, county, 0.01)
        task = asyncio.create_task(judging.run())
        try:
            live(database_url, TAIPEI, steady(20) | {day(20): 40})
            judging.wake()
            await judged(database_url)
            assert len(alerts(database_url)) == 1
            # Another worker's commits are found without a call.
            live(database_url, TAIPEI, {day(21): 50})
            await judged(database_url)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_the_loop_outlives_a_lost_connection(
    database_url: str, county: Configuration, caplog: pytest.LogCaptureFixture
) -> None:
    live(database_url, TAIPEI, steady(20) | {day(20): 40})
    slow, detector = with_detector(county, Held)
    async with pool(database_url) as opened:
        task = asyncio.create_task(JudgingLoop(opened, slow, 0.01).run())
        try:
            await asyncio.to_thread(detector.entered.wait, 30)
            rows(
                database_url,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE state = 'idle in transaction' AND datname = current_database()",
            )
            detector.go.set()
            await judged(database_url)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    assert "Judging waits for the database" in caplog.text
    assert len(alerts(database_url)) == 1
