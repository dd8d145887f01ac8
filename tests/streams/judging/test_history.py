"""History that imports leave to judge: as spans, behind live changes, in portions."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from datetime import date, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.reporting import reports_lookback
from schemas.counts import Count
from schemas.regions import RegionLevel
from streams.config import load_configuration
from streams.health import judging_stands_still
from streams.judging import loop
from streams.judging.loop import JudgingLoop, judge_history, judge_pending
from streams.judging.spans import Span, judged_range, lift, of_level
from streams.judging.work import plan_history
from streams.store.alerts import get_history, list_alerts
from streams.store.imports import Chosen, import_counts, remove_imports
from streams.store.panels import Extent
from streams.store.pool import open_pool
from streams.store.quarantine import list_quarantined, read_judging_state
from tests.support.counted import live
from tests.support.events import KAOHSIUNG, NEW_TAIPEI, TAIPEI
from tests.support.store import rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from schemas.counts import ImportGrain
    from streams.config import Configuration

RULES = """\
name: judged
regions: tw
time_zone: Asia/Taipei
alerts: {announce_within_days: 60}
signals:
  ili:
    title: {en: Influenza-like illness, zh: 流感样病例}
    of: visits
rules:
  county-day: {signal: ili, level: county, detector: {type: ears, method: C1, baseline: 28}}
  county-rolling:
    {signal: ili, level: county, grain: rolling7, detector: {type: ears, method: C1, baseline: 28}}
  nation-day: {signal: ili, level: nation, detector: {type: ears, method: C1, baseline: 28}}
  nation-week:
    {signal: ili, level: nation, grain: week, detector: {type: ears, method: C1, baseline: 4}}
"""
#: A Monday.
START = date(2025, 3, 3)
COUNTIES = (TAIPEI, KAOHSIUNG, NEW_TAIPEI)


def day(offset: int) -> date:
    return START + timedelta(days=offset)


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Configuration:
    path: Path = tmp_path_factory.mktemp("rules") / "fenghuo.yaml"
    path.write_text(RULES, encoding="utf-8")
    return load_configuration(path)


def bring_in(
    database: str,
    counts: Mapping[str, Iterable[date]],
    *,
    grain: ImportGrain = "day",
    value: float = 5,
) -> None:
    """Import equal counts, in place of live ones."""
    with psycopg.connect(database) as connection:
        import_counts(
            connection,
            [
                Count(signal="ili", region=region, grain=grain, period=period, value=value)
                for region, periods in counts.items()
                for period in periods
            ],
            replace=True,
        )


def judge(database: str, configuration: Configuration) -> int:
    """Judge live changes; return the rows taken."""

    async def run() -> int:
        async with open_pool(database, size=1) as pool:
            return await judge_pending(pool, configuration)

    return asyncio.run(run())


def judge_portion(database: str, configuration: Configuration, most: int = 1) -> int:
    async def run() -> int:
        async with open_pool(database, size=1) as pool:
            return await judge_history(pool, configuration, most)

    return asyncio.run(run())


def judge_all(database: str, configuration: Configuration, most: int = 100) -> None:
    while judge(database, configuration) or judge_portion(database, configuration, most):
        pass


def spans(database: str) -> list[tuple[Any, ...]]:
    return rows(
        database,
        "SELECT region, first_day, last_day FROM pending_spans ORDER BY region, first_day",
    )


def judged(database: str, since: str = "-infinity") -> set[tuple[str, str, date]]:
    found = rows(
        database, "SELECT rule, region, period FROM verdicts WHERE as_of > %s::timestamptz", since
    )
    return {(rule, region, period) for rule, region, period in found}


def verdicts(database: str) -> dict[tuple[str, str, date], tuple[Any, ...]]:
    found = rows(
        database, "SELECT rule, region, period, observed, expected, upper, alarm FROM verdicts"
    )
    return {tuple(row[:3]): tuple(row[3:]) for row in found}


def now(database: str) -> str:
    return str(rows(database, "SELECT clock_timestamp()::text")[0][0])


# ---------------------------------------------------------------- which periods


def test_an_import_is_one_row_for_each_series(database_url: str) -> None:
    """3 counties x 3 years: 3,285 rows in the queue of live changes before."""
    bring_in(database_url, {county: (day(-i) for i in range(3 * 365)) for county in COUNTIES})
    assert rows(database_url, "SELECT count(*) FROM pending_judgements") == [(0,)]
    assert spans(database_url) == [
        (region, day(-3 * 365 + 1), day(0)) for region in sorted(["TW", *COUNTIES])
    ]


@pytest.mark.parametrize(("gap", "expected"), [(28, 1), (29, 2)])
def test_what_lies_far_apart_is_not_one_span(database_url: str, gap: int, expected: int) -> None:
    bring_in(database_url, {TAIPEI: [day(0), day(gap + 1)]})
    assert len(spans(database_url)) == 2 * expected
    # The same where the second day comes later.
    with psycopg.connect(database_url) as connection:
        connection.execute("DELETE FROM pending_spans")
    bring_in(database_url, {TAIPEI: [day(0)]}, value=6)
    bring_in(database_url, {TAIPEI: [day(gap + 1)]}, value=6)
    assert len(spans(database_url)) == 2 * expected


def test_imports_that_overlap_wait_as_one(database_url: str) -> None:
    bring_in(database_url, {TAIPEI: (day(i) for i in range(10))})
    since = rows(database_url, "SELECT DISTINCT noted_at FROM pending_spans")
    bring_in(database_url, {TAIPEI: (day(i) for i in range(5, 20))}, value=6)
    bring_in(database_url, {KAOHSIUNG: [day(15)]}, value=6)
    assert spans(database_url) == [
        ("TW", day(0), day(19)),
        (KAOHSIUNG, day(15), day(15)),
        (TAIPEI, day(0), day(19)),
    ]
    # As old as the first of them.
    assert (
        rows(
            database_url,
            "SELECT DISTINCT noted_at FROM pending_spans WHERE region <> %s",
            KAOHSIUNG,
        )
        == since
    )


def test_an_import_taken_back_while_it_waits_is_judged_as_it_is_then(
    database_url: str, rules: Configuration
) -> None:
    live(database_url, TAIPEI, {day(i): 4 + i % 3 for i in range(80)})
    judge_all(database_url, rules)
    before = verdicts(database_url)
    bring_in(database_url, {TAIPEI: (day(i) for i in range(30, 50))}, value=90)
    with psycopg.connect(database_url) as connection:
        remove_imports(connection, Chosen("ili", "day", (TAIPEI,)), dry_run=False)
    assert spans(database_url) == [("TW", day(30), day(49)), (TAIPEI, day(30), day(49))]
    judge_all(database_url, rules)
    assert verdicts(database_url) == before


Days = st.dictionaries(
    st.sampled_from(COUNTIES),
    st.sets(st.integers(-40, 130), min_size=1, max_size=20),
    min_size=1,
    max_size=3,
)


def test_spans_are_judged_as_single_rows_would_be(database_url: str, rules: Configuration) -> None:
    """Each changed day alone gives the set of judged periods, by rule and region."""
    extent = Extent(day(0), day(89), day(0))
    for county in COUNTIES:
        live(database_url, county, {day(i): 4 + i % 3 for i in range(90)})
    judge_all(database_url, rules)
    values = count(6)

    @settings(max_examples=30)
    @given(
        imports=st.lists(Days, min_size=1, max_size=3), weeks=st.booleans(), most=st.integers(1, 9)
    )
    def check(imports: list[dict[str, set[int]]], weeks: bool, most: int) -> None:  # noqa: FBT001
        since = now(database_url)
        grain: ImportGrain = "week" if weeks else "day"
        expected = set()
        for one in imports:
            periods = {
                county: {day(i - i % 7) if weeks else day(i) for i in days}
                for county, days in one.items()
            }
            bring_in(database_url, periods, grain=grain, value=next(values))
            for county, firsts in periods.items():
                for first in firsts:
                    for i in range(7 if weeks else 1):
                        changed = Span(first + timedelta(i), first + timedelta(i))
                        expected |= reached(rules, county, changed, extent)
        while judge_portion(database_url, rules, most):
            pass
        assert judged(database_url, since) == expected

    check()


def reached(
    configuration: Configuration, county: str, changed: Span, extent: Extent
) -> set[tuple[str, str, date]]:
    """The periods that a row of one day has judged."""
    found = set()
    for name, rule in configuration.surveillance.rules.items():
        for region, span in lift(rule, {county: changed}, configuration.regions).items():
            lookback = reports_lookback(configuration.detectors[name], rule.grain)
            first, last = judged_range(span, rule, lookback, extent, "iso")
            step = 7 if rule.grain == "week" else 1
            found |= {
                (name, region, first + timedelta(days=i))
                for i in range(0, (last - first).days + 1, step)
            }
    return found


def test_a_span_stands_for_its_own_region_only(rules: Configuration) -> None:
    changed = {"TW": Span(day(0), day(1)), TAIPEI: Span(day(2), day(3))}
    surveillance = rules.surveillance
    assert of_level(surveillance.rules["nation-day"], changed, rules.regions) == {
        "TW": Span(day(0), day(1))
    }
    assert of_level(surveillance.rules["county-day"], changed, rules.regions) == {
        TAIPEI: Span(day(2), day(3))
    }
    assert rules.regions["TW"].level is RegionLevel.NATION


# ---------------------------------------------------------------- the order


def test_live_changes_are_judged_before_history(database_url: str, rules: Configuration) -> None:
    """Before, live changes waited for all rows that an import had put in front of them."""
    for county in COUNTIES:
        live(database_url, county, {day(i): 4 + i % 3 for i in range(60)})
    judge_all(database_url, rules)
    bring_in(database_url, {county: (day(i) for i in range(50)) for county in COUNTIES})
    waiting = spans(database_url)
    live(database_url, TAIPEI, {day(59): 400})
    assert judge(database_url, rules) == 1
    assert spans(database_url) == waiting
    assert verdicts(database_url)["county-day", TAIPEI, day(59)][0] == 400


def test_the_latest_history_is_judged_first(database_url: str, rules: Configuration) -> None:
    live(database_url, TAIPEI, {day(99): 4})
    bring_in(database_url, {TAIPEI: [day(1)]})
    bring_in(database_url, {KAOHSIUNG: [day(50)]})
    bring_in(database_url, {NEW_TAIPEI: [day(9)]})
    order = []
    while judge_portion(database_url, rules):
        left = {region for region, *_ in spans(database_url)}
        order += [county for county in COUNTIES if county not in left and county not in order]
    assert order == [KAOHSIUNG, NEW_TAIPEI, TAIPEI]


def test_a_live_change_within_a_span_is_judged_once_more_and_told_once(
    database_url: str, rules: Configuration
) -> None:
    for county in COUNTIES:
        live(database_url, county, {day(i): 4 + i % 3 for i in range(80)})
    judge_all(database_url, rules)
    bring_in(database_url, {TAIPEI: (day(i) for i in range(40))})
    live(database_url, TAIPEI, {day(60): 400})
    judge(database_url, rules)
    with psycopg.connect(database_url) as connection:
        opened = {alert.alert_id for alert in list_alerts(connection)}
    assert opened
    alone = verdicts(database_url)["county-day", TAIPEI, day(60)]
    judge_all(database_url, rules)
    assert verdicts(database_url)["county-day", TAIPEI, day(60)] == alone
    with psycopg.connect(database_url) as connection:
        for alert_id in opened:
            history = get_history(connection, alert_id)
            assert [event.change.kind for event in history].count("opened") == 1
    # And the other way round: a change while its span is being judged is not lost.
    bring_in(database_url, {TAIPEI: (day(i) for i in range(40))}, value=7)
    live(database_url, TAIPEI, {day(61): 500})
    judge_portion(database_url, rules, 100)
    assert judge(database_url, rules) == 1
    assert verdicts(database_url)["county-day", TAIPEI, day(61)][0] == 500


def test_a_flood_of_old_live_changes_waits_behind_recent_ones(
    database_url: str, rules: Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a source sends three years again: its days are of no news, and become spans."""
    monkeypatch.setattr(loop, "_TAKEN_AT_ONCE", 40)
    (today,) = rows(database_url, "SELECT (now() AT TIME ZONE 'Asia/Taipei')::date")[0]
    recent, old = today - timedelta(days=3), today - timedelta(days=400)
    live(database_url, TAIPEI, {old - timedelta(days=i): 4 for i in range(38)} | {recent: 4})
    assert judge(database_url, rules) == 39  # no flood: all at once
    assert spans(database_url) == []
    live(database_url, TAIPEI, {old - timedelta(days=i): 5 for i in range(39)} | {recent: 5})
    since = now(database_url)
    assert judge(database_url, rules) == 40
    first = old - timedelta(days=38)
    assert spans(database_url) == [("TW", first, old), (TAIPEI, first, old)]
    assert {period for rule, _, period in judged(database_url, since) if rule == "county-day"} == {
        recent
    }
    judge_all(database_url, rules)
    assert ("county-day", TAIPEI, first) in judged(database_url, since)
    # A flood of nothing but old days moves on, too, and is no standstill.
    live(database_url, TAIPEI, {old - timedelta(days=i): 6 for i in range(50)})
    go_by(database_url, 6)
    assert judging_stands_still(state(database_url)) is not None
    assert judge(database_url, rules) == 40
    assert rows(database_url, "SELECT count(*) FROM pending_judgements") == [(10,)]
    assert judging_stands_still(state(database_url)) is None


# ---------------------------------------------------------------- crashes


class Dying:
    """A detector that ends its judge as SIGKILL would: nothing is committed."""

    class DeathError(BaseException):
        """No error that judging deals with."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def lookback(self, grain: Any) -> int:
        return int(self._real.lookback(grain))

    def judge(self, *arguments: Any) -> Any:  # noqa: ARG002 - the contract's
        raise self.DeathError


def with_detectors(configuration: Configuration, make: Any, *names: str) -> Configuration:
    """Wrap the detectors of these rules, or of all."""
    detectors: dict[str, Any] = dict(configuration.detectors)
    detectors |= {name: make(detectors[name]) for name in names or detectors}
    return replace(configuration, detectors=detectors)


def test_a_judge_that_dies_repeats_its_portion_alone(
    database_url: str, rules: Configuration
) -> None:
    for county in COUNTIES:
        live(database_url, county, {day(i): 4 + i % 3 for i in range(60)})
    judge_all(database_url, rules)
    bring_in(database_url, {county: (day(i) for i in range(50)) for county in COUNTIES})
    assert judge_portion(database_url, rules, 2) == 2
    left, done = spans(database_url), judged(database_url)
    assert len(left) == 2
    # After the first rule of the county was judged.
    dying = with_detectors(rules, Dying, "county-rolling")
    with pytest.raises(Dying.DeathError):
        judge_portion(database_url, dying, 1)
    assert (spans(database_url), judged(database_url)) == (left, done)
    since = now(database_url)
    assert judge_portion(database_url, rules, 1) == 1
    assert len({region for _, region, _ in judged(database_url, since)}) == 1
    judge_all(database_url, rules)
    assert spans(database_url) == []


class Held:
    """A detector that judges only when it is told to."""

    entered = threading.Event()
    go = threading.Event()

    def __init__(self, real: Any) -> None:
        self._real = real

    def lookback(self, grain: Any) -> int:
        return int(self._real.lookback(grain))

    def judge(self, *arguments: Any) -> Any:
        self.entered.set()
        assert self.go.wait(30)
        return self._real.judge(*arguments)


async def test_judges_share_the_queue_and_a_second_import_is_not_lost(
    database_url: str, rules: Configuration
) -> None:
    """What is imported while a judge has taken the series, and read its counts, is judged again."""
    for county in COUNTIES:
        await asyncio.to_thread(live, database_url, county, {day(i): 4 for i in range(60)})
    async with open_pool(database_url, size=1) as one, open_pool(database_url, size=1) as two:
        while await judge_pending(one, rules):
            pass
        await asyncio.to_thread(bring_in, database_url, {TAIPEI: [day(40)]}, value=5)
        held = with_detectors(rules, Held)
        Held.entered.clear()
        Held.go.clear()
        task = asyncio.create_task(judge_history(one, held, 2))
        try:
            await asyncio.to_thread(Held.entered.wait, 30)
            assert await judge_history(two, rules, 100) == 0  # both rows are taken
            await asyncio.to_thread(bring_in, database_url, {TAIPEI: [day(40)]}, value=300)
            # The new rows are left to who comes after the first judge: it reads the same counts.
            assert len(await asyncio.to_thread(spans, database_url)) == 4
            assert await judge_history(two, rules, 100) == 0
        finally:
            Held.go.set()
        assert await task == 2
        assert await judge_history(two, rules, 100) == 2
    assert await asyncio.to_thread(spans, database_url) == []
    found = await asyncio.to_thread(verdicts, database_url)
    assert found["county-day", TAIPEI, day(40)][0] == 300
    assert found["nation-day", "TW", day(40)][0] == 308


async def test_a_judge_that_is_cut_off_leaves_its_portion_to_the_next(
    database_url: str, rules: Configuration
) -> None:
    await asyncio.to_thread(live, database_url, TAIPEI, {day(i): 4 for i in range(60)})
    await asyncio.to_thread(judge_all, database_url, rules)
    await asyncio.to_thread(bring_in, database_url, {TAIPEI: [day(40)]}, value=5)
    waiting = await asyncio.to_thread(spans, database_url)
    Held.entered.clear()
    Held.go.clear()
    async with open_pool(database_url, size=1) as one, open_pool(database_url, size=1) as two:
        task = asyncio.create_task(judge_history(one, with_detectors(rules, Held), 100))
        try:
            await asyncio.to_thread(Held.entered.wait, 30)
            await asyncio.to_thread(
                rows,
                database_url,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE state = 'idle in transaction' AND datname = current_database()",
            )
        finally:
            Held.go.set()
        with pytest.raises(psycopg.OperationalError):
            await task
        assert await asyncio.to_thread(spans, database_url) == waiting
        assert await judge_history(two, rules, 100) == 2
    found = await asyncio.to_thread(verdicts, database_url)
    assert found["county-day", TAIPEI, day(40)][0] == 5


async def test_the_loop_judges_live_changes_between_portions(
    database_url: str, rules: Configuration
) -> None:
    """An import while no worker runs; live changes that come while it is judged."""
    for county in COUNTIES:
        await asyncio.to_thread(live, database_url, county, {day(i): 4 for i in range(60)})
    await asyncio.to_thread(judge_all, database_url, rules)
    past = {county: [day(i) for i in range(50)] for county in COUNTIES}
    await asyncio.to_thread(bring_in, database_url, past)
    changing = asyncio.Event()
    async with open_pool(database_url, size=1) as pool:
        judging = JudgingLoop(pool, rules, 0.01, changed=changing.set)
        task = asyncio.create_task(judging.run())
        try:
            await asyncio.to_thread(live, database_url, TAIPEI, {day(59): 400})
            async with asyncio.timeout(180):
                await changing.wait()
                while await asyncio.to_thread(spans, database_url):  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    found = await asyncio.to_thread(verdicts, database_url)
    assert found["county-day", TAIPEI, day(59)][0] == 400
    assert found["county-day", KAOHSIUNG, day(10)][0] == 5


# ---------------------------------------------------------------- what fails, and health


class Raising(Dying):
    def judge(self, *arguments: Any) -> Any:  # noqa: ARG002 - the contract's
        raise ZeroDivisionError("no variance")


def state(database: str) -> Any:
    async def run() -> Any:
        async with open_pool(database, size=1) as pool, pool.connection() as connection:
            return await read_judging_state(connection)

    return asyncio.run(run())


def go_by(database: str, minutes: int) -> None:
    """Let time go by: what is noted becomes older."""
    with psycopg.connect(database) as connection:
        for table, column in (
            ("pending_judgements", "noted_at"),
            ("pending_spans", "noted_at"),
            ("judging_quarantine", "since"),
            ("judging_runs", "last_at"),
        ):
            connection.execute(
                f"UPDATE {table} SET {column} = {column} - make_interval(mins => {minutes})"
            )


def test_history_that_waits_for_hours_makes_no_worker_unhealthy(
    database_url: str, rules: Configuration
) -> None:
    bring_in(database_url, {TAIPEI: (day(i) for i in range(50))})
    go_by(database_url, 600)
    assert judging_stands_still(state(database_url)) is None


def test_judging_history_does_not_hide_live_changes_that_wait(
    database_url: str, rules: Configuration
) -> None:
    live(database_url, TAIPEI, {day(i): 4 + i % 3 for i in range(60)})
    bring_in(database_url, {TAIPEI: (day(i) for i in range(50))})
    go_by(database_url, 6)
    assert judge_portion(database_url, rules, 1) == 1
    waiting = judging_stands_still(state(database_url))
    assert waiting is not None
    assert waiting.what == "the oldest change that is not judged"
    judge(database_url, rules)
    assert judging_stands_still(state(database_url)) is None


def test_a_rule_that_raises_for_history_is_set_aside_with_its_days(
    database_url: str, rules: Configuration
) -> None:
    for county in COUNTIES:
        live(database_url, county, {day(i): 4 + i % 3 for i in range(60)})
    judge_all(database_url, rules)
    bring_in(database_url, {county: (day(i) for i in range(10, 30)) for county in COUNTIES})
    broken = with_detectors(rules, Raising, "county-day")
    while judge_portion(database_url, broken, 2):
        pass
    assert spans(database_url) == []
    with psycopg.connect(database_url) as connection:
        found = list_quarantined(connection)
    assert {(one.rule, one.region, one.first_day, one.last_day) for one in found} == {
        ("county-day", county, day(10), day(29)) for county in COUNTIES
    }
    # The other rules were judged, and not before them: judging works.
    go_by(database_url, 6)
    assert judging_stands_still(state(database_url)) is None
    # What waits for its next attempt takes further history on, and calls no detector.
    bring_in(database_url, {TAIPEI: [day(31)]})
    while judge_portion(database_url, broken, 2):
        pass
    with psycopg.connect(database_url) as connection:
        (one,) = [one for one in list_quarantined(connection) if one.region == TAIPEI]
        assert (one.last_day, one.failures) == (day(31), 1)
        connection.execute("UPDATE judging_quarantine SET retry_at = now()")
    since = now(database_url)
    judge(database_url, rules)
    assert {region for rule, region, _ in judged(database_url, since)} == set(COUNTIES)
    with psycopg.connect(database_url) as connection:
        assert list_quarantined(connection) == []


async def test_a_span_that_cannot_even_be_planned_keeps_no_other_waiting(
    database_url: str, rules: Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    for county in COUNTIES:
        await asyncio.to_thread(live, database_url, county, {day(i): 4 for i in range(60)})
    await asyncio.to_thread(judge_all, database_url, rules)
    await asyncio.to_thread(bring_in, database_url, {county: [day(50)] for county in COUNTIES})

    def fail(changed: Any, *arguments: Any) -> Any:
        if KAOHSIUNG in changed["ili"]:
            raise ZeroDivisionError
        return plan_history(changed, *arguments)

    monkeypatch.setattr("streams.judging.loop.plan_history", fail)
    monkeypatch.setattr(loop, "_AFTER_FAILURE_SECONDS", 0.01)
    left = [(KAOHSIUNG, day(50), day(50))]
    async with open_pool(database_url, size=1) as pool:
        task = asyncio.create_task(JudgingLoop(pool, rules, 0.01).run())
        try:
            async with asyncio.timeout(180):
                while await asyncio.to_thread(spans, database_url) != left:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
                monkeypatch.setattr("streams.judging.loop.plan_history", plan_history)
                while await asyncio.to_thread(spans, database_url):  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def test_a_region_that_the_registry_lacks_is_set_aside(
    database_url: str, rules: Configuration
) -> None:
    live(database_url, TAIPEI, {day(0): 4})
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "SELECT pend_spans('{ili}', '{TW-XXX}', %s::date[], %s::date[])", ([day(0)], [day(9)])
        )
    assert spans(database_url) == [("TW-XXX", day(0), day(9))]
    assert judge_portion(database_url, rules) == 1
    with psycopg.connect(database_url) as connection:
        (one,) = list_quarantined(connection)
    assert (one.rule, one.region, one.first_day, one.last_day) == ("*", "TW-XXX", day(0), day(9))
