"""A series that cannot be judged is set aside; all others are judged."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import psycopg
import pytest

from streams.config import load_configuration
from streams.health import judging_stands_still
from streams.judging.isolating import isolate
from streams.judging.loop import JudgingLoop, judge_pending
from streams.judging.spans import Span
from streams.judging.work import plan_work
from streams.store.alerts import list_alerts
from streams.store.pool import open_pool
from streams.store.quarantine import Quarantined, list_quarantined, read_judging_state
from tests.support.counted import live
from tests.support.events import KAOHSIUNG, NEW_TAIPEI, TAIPEI
from tests.support.store import rows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from streams.config import Configuration
    from streams.store.quarantine import JudgingState

RULES = """\
name: judged
regions: tw
time_zone: Asia/Taipei
signals:
  ili:
    title: {en: Influenza-like illness, zh: 流感样病例}
    of: visits
rules:
  one: {signal: ili, level: county, detector: {type: ears, method: C1}, group: one}
  two: {signal: ili, level: county, detector: {type: ears, method: C1}, group: two}
"""
START = date(2025, 3, 3)
REGIONS = (KAOHSIUNG, NEW_TAIPEI, TAIPEI)
POISON = 666


def day(offset: int) -> date:
    return START + timedelta(days=offset)


@pytest.fixture
def rules(tmp_path: Path) -> Configuration:
    path = tmp_path / "fenghuo.yaml"
    path.write_text(RULES, encoding="utf-8")
    return load_configuration(path)


def judge(database: str, configuration: Configuration) -> int:
    async def run() -> int:
        async with open_pool(database, size=1) as pool:
            return await judge_pending(pool, configuration)

    return asyncio.run(run())


def count(database: str, *, last: float = 40, days: int = 21) -> None:
    for region in REGIONS:
        live(database, region, {day(i): 4 + i % 3 for i in range(days - 1)} | {day(days - 1): last})


def alerts(database: str) -> set[tuple[str, str]]:
    with psycopg.connect(database) as connection:
        return {(alert.rule, alert.region) for alert in list_alerts(connection)}


def set_aside(database: str) -> list[Quarantined]:
    with psycopg.connect(database) as connection:
        return sorted(list_quarantined(connection), key=lambda q: (q.rule, q.region))


def keys(database: str) -> list[tuple[str, str]]:
    return [(one.rule, one.region) for one in set_aside(database)]


def make_due(database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute("UPDATE judging_quarantine SET retry_at = now()")


class Poisoned:
    """A detector that fails for panels with a certain count; else it is the real one."""

    def __init__(self, real: Any, fail: Callable[[Any], Any] | None = None) -> None:
        self._real = real
        self._fail = fail

    def lookback(self, grain: Any) -> int:
        return int(self._real.lookback(grain))

    def judge(self, panel: Any, at: Any) -> Any:
        verdicts = self._real.judge(panel, at)
        if not (panel.counts == POISON).any():
            return verdicts
        if self._fail is None:
            raise ZeroDivisionError("no variance")
        return self._fail(verdicts)


def poisoned(configuration: Configuration, fail: Callable[[Any], Any] | None = None) -> Any:
    detectors: dict[str, Any] = dict(configuration.detectors)
    return replace(configuration, detectors=detectors | {"one": Poisoned(detectors["one"], fail)})


EVERYTHING = {(rule, region) for rule in ("one", "two") for region in REGIONS}


def test_a_rule_that_raises_stops_no_other_one(database_url: str, rules: Configuration) -> None:
    count(database_url, last=POISON)
    assert judge(database_url, poisoned(rules)) == 63
    assert alerts(database_url) == {("two", region) for region in REGIONS}
    assert rows(database_url, "SELECT count(*) FROM pending_judgements") == [(0,)]
    assert keys(database_url) == [("one", region) for region in sorted(REGIONS)]
    first = set_aside(database_url)[0]
    assert (first.first_day, first.last_day, first.failures) == (day(0), day(20), 1)
    assert first.reason == "ZeroDivisionError: no variance"
    assert first.retry_at - first.since >= timedelta(seconds=59)


def test_one_series_stops_no_other_series_of_its_rule(
    database_url: str, rules: Configuration, caplog: pytest.LogCaptureFixture
) -> None:
    count(database_url)
    live(database_url, TAIPEI, {day(20): POISON})
    judge(database_url, poisoned(rules))
    assert alerts(database_url) == EVERYTHING - {("one", TAIPEI)}
    assert keys(database_url) == [("one", TAIPEI)]
    assert "Rule one cannot be judged in 1 region(s), among them TW-TPE" in caplog.text
    assert "ZeroDivisionError: no variance" in caplog.text


def test_what_was_set_aside_is_judged_once_it_can_be(
    database_url: str, rules: Configuration
) -> None:
    count(database_url)
    live(database_url, TAIPEI, {day(18): POISON})
    broken = poisoned(rules)
    judge(database_url, broken)
    # Not due: changes are noted, and the detector is not called.
    live(database_url, TAIPEI, {day(21): 50})
    judge(database_url, broken)
    (one,) = set_aside(database_url)
    assert (one.first_day, one.last_day, one.failures) == (day(0), day(21), 1)
    make_due(database_url)
    judge(database_url, broken)
    (one,) = set_aside(database_url)
    assert one.failures == 2
    make_due(database_url)
    judge(database_url, rules)
    assert set_aside(database_url) == []
    assert alerts(database_url) == EVERYTHING
    found = rows(
        database_url,
        "SELECT count(*), max(period) FROM verdicts WHERE rule = 'one' AND region = %s",
        TAIPEI,
    )
    assert found == [(22, day(21))]


def alarm_without_count(verdicts: Any) -> Any:
    verdicts.alarm[:] = True
    return verdicts


def unknown_reason(verdicts: Any) -> Any:
    verdicts.reason[:] = 200
    return verdicts


def no_memory(verdicts: Any) -> Any:
    raise MemoryError(verdicts.alarm.shape)


def wrong_shape(verdicts: Any) -> Any:
    return verdicts.rows(slice(0, 0))


@pytest.mark.parametrize("fail", [alarm_without_count, unknown_reason, no_memory, wrong_shape])
def test_verdicts_that_break_the_contract_are_set_aside(
    database_url: str, rules: Configuration, fail: Callable[[Any], Any]
) -> None:
    count(database_url)
    live(database_url, TAIPEI, {day(20): POISON, day(19): float("nan")})
    judge(database_url, poisoned(rules, fail))
    assert keys(database_url) == [("one", TAIPEI)]
    assert alerts(database_url) >= EVERYTHING - {("one", TAIPEI), ("two", TAIPEI)}


def test_counts_that_no_panel_takes_concern_their_own_series(
    database_url: str, rules: Configuration
) -> None:
    count(database_url)
    live(database_url, TAIPEI, {day(20): 1e200})
    judge(database_url, rules)
    assert keys(database_url) == [("one", TAIPEI), ("two", TAIPEI)]
    assert "counts must not be" in set_aside(database_url)[0].reason
    assert alerts(database_url) == EVERYTHING - {("one", TAIPEI), ("two", TAIPEI)}
    live(database_url, TAIPEI, {day(20): 40})
    make_due(database_url)
    judge(database_url, rules)
    assert (set_aside(database_url), alerts(database_url)) == ([], EVERYTHING)


@pytest.mark.parametrize("value", [-3, float("nan")])
def test_an_impossible_count_is_missing_and_the_series_goes_on(
    database_url: str, rules: Configuration, value: float, caplog: pytest.LogCaptureFixture
) -> None:
    count(database_url)
    live(database_url, TAIPEI, {day(10): value})
    judge(database_url, rules)
    assert (keys(database_url), alerts(database_url)) == ([], EVERYTHING)
    found = rows(
        database_url,
        "SELECT reason FROM verdicts WHERE rule = 'one' AND (region, period) = (%s, %s)",
        TAIPEI,
        day(10),
    )
    assert found == [("missing_observation",)]
    assert ("negative counts are taken as missing" in caplog.text) == (value == -3)


def test_a_region_that_the_registry_lacks_is_set_aside(
    database_url: str, rules: Configuration
) -> None:
    count(database_url)
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "INSERT INTO pending_judgements (signal, region, day) VALUES ('ili', 'TW-XXX', %s)",
            (day(20),),
        )
    judge(database_url, rules)
    assert alerts(database_url) == EVERYTHING
    assert keys(database_url) == [("*", "TW-XXX")]
    assert "'TW-XXX' is not in the registry" in set_aside(database_url)[0].reason


def test_verdicts_that_cannot_be_stored_are_set_aside(
    database_url: str, rules: Configuration
) -> None:
    count(database_url)
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "RAISE EXCEPTION 'no such verdict' USING ERRCODE = 'check_violation'; END $$"
        )
        connection.execute(
            "CREATE TRIGGER refuse BEFORE INSERT ON verdicts FOR EACH ROW "
            "WHEN (NEW.region = 'TW-TPE' AND NEW.rule = 'one') EXECUTE FUNCTION refuse()"
        )
    try:
        judge(database_url, rules)
    finally:
        with psycopg.connect(database_url) as connection:
            connection.execute("DROP FUNCTION refuse CASCADE")
    assert alerts(database_url) == EVERYTHING - {("one", TAIPEI)}
    (one,) = set_aside(database_url)
    assert (one.rule, one.region) == ("one", TAIPEI)
    assert "no such verdict" in one.reason


def test_what_is_due_is_retried_in_parts(rules: Configuration) -> None:
    """After a restart everything is due, and live changes wait for the look to end."""
    now = datetime(2025, 4, 1, tzinfo=UTC)
    due = [
        Quarantined(
            signal="ili", rule="one", region=f"R{i}", first_day=START, last_day=START, reason="",
            failures=1, since=now, retry_at=now - timedelta(seconds=i), changes=1,
        )
        for i in range(500)
    ]  # fmt: skip
    work = plan_work({}, due, rules, now)
    assert [one.region for one in work.retried] == [f"R{i}" for i in range(499, 299, -1)]
    assert set(work.spans["one"]) == {one.region for one in work.retried}
    # A live change of one of the others is judged, not put off.
    changed = {"ili": {TAIPEI: Span(START, START)}}
    others = [one.model_copy(update={"region": TAIPEI}) for one in due[:1]] + due[1:]
    work = plan_work(changed, others, rules, now)
    assert (TAIPEI in work.spans["one"], work.deferred) == (True, [])


# ---------------------------------------------------------------- health


def state(database: str) -> JudgingState:
    async def run() -> JudgingState:
        async with open_pool(database, size=1) as pool, pool.connection() as connection:
            return await read_judging_state(connection)

    return asyncio.run(run())


def wait_for(database: str, minutes: int) -> None:
    """Let time go by: what is noted becomes older."""
    with psycopg.connect(database) as connection:
        for table, column in (
            ("pending_judgements", "noted_at"),
            ("judging_quarantine", "since"),
            ("judging_runs", "last_at"),
        ):
            connection.execute(
                f"UPDATE {table} SET {column} = {column} - make_interval(mins => {minutes})"
            )


def test_a_worker_is_not_healthy_while_judging_stands_still(
    database_url: str, rules: Configuration
) -> None:
    assert judging_stands_still(state(database_url)) is None
    count(database_url)
    assert judging_stands_still(state(database_url)) is None
    wait_for(database_url, 6)
    waiting = judging_stands_still(state(database_url))
    assert waiting is not None
    assert waiting.seconds > 300
    judge(database_url, rules)
    assert judging_stands_still(state(database_url)) is None


def test_one_poisoned_series_is_no_standstill_but_all_of_them_are(
    database_url: str, rules: Configuration
) -> None:
    count(database_url)
    live(database_url, TAIPEI, {day(20): 1e200})
    judge(database_url, rules)
    assert len(keys(database_url)) == 2
    wait_for(database_url, 6)
    assert judging_stands_still(state(database_url)) is None
    for region in REGIONS:
        live(database_url, region, {day(20): 1e200})
    with psycopg.connect(database_url) as connection:
        connection.execute("DELETE FROM judging_quarantine")
    judge(database_url, rules)
    wait_for(database_url, 6)
    waiting = judging_stands_still(state(database_url))
    assert waiting is not None
    assert "set aside" in waiting.what


async def test_a_start_retries_what_was_set_aside(database_url: str, rules: Configuration) -> None:
    await asyncio.to_thread(count, database_url)
    await asyncio.to_thread(live, database_url, TAIPEI, {day(20): 1e200})
    await asyncio.to_thread(judge, database_url, rules)
    await asyncio.to_thread(live, database_url, TAIPEI, {day(20): 40})
    async with open_pool(database_url, size=1) as pool:
        task = asyncio.create_task(JudgingLoop(pool, rules, 0.01).run())
        try:
            async with asyncio.timeout(180):
                while await asyncio.to_thread(set_aside, database_url):  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    assert await asyncio.to_thread(alerts, database_url) == EVERYTHING


# ---------------------------------------------------------------- isolating


@pytest.mark.parametrize(("size", "bad"), [(1, {0}), (7, {3}), (500, {0, 250, 499}), (40, set())])
async def test_isolating_finds_the_items_that_fail(size: int, bad: set[int]) -> None:
    async def attempt(items: Sequence[int]) -> list[int]:
        if bad & set(items):
            raise ValueError(str(items))
        return list(items)

    found = await isolate(range(size), attempt)
    assert {item for item, _ in found.failed} == bad
    assert sorted(np.concatenate([*found.results, []])) == sorted(set(range(size)) - bad)


async def test_isolating_gives_up_where_everything_fails() -> None:
    calls = 0

    async def attempt(items: Sequence[int]) -> None:
        nonlocal calls
        calls += 1
        raise ValueError(str(items))

    found = await isolate(range(3000), attempt)
    assert len(found.failed) == 3000
    assert calls < 200
