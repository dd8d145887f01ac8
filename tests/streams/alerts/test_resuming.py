"""No exceedance goes unheard: what was merged, ended or taken back is told when it begins again."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.alerts import (
    Alert,
    Change,
    Closed,
    Discarded,
    Escalated,
    Merged,
    Monitored,
    Reopened,
    Resumed,
    Updated,
    Verified,
    Worsened,
)
from streams.alerts.lifecycle import IllegalTransitionError, fold
from streams.alerts.watching import escalate_unread
from streams.config import load_configuration
from streams.judging.loop import judge_pending
from streams.notify.routing import plan
from streams.store.alert_history import rebuild
from streams.store.alerts import get_history, list_alerts
from streams.store.head_states import StateDifference, differing_states
from streams.store.pool import open_pool
from tests.support.alerts import decide
from tests.support.counted import live
from tests.support.events import TAIPEI
from tests.support.store import empty, rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from schemas.alerts import AlertEvent
    from streams.config import Configuration

RULES = """\
name: resumed
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
  day:
    signal: ili
    level: county
    severity: warning
    min_cases: 20
    detector: {type: ears, method: C1}
  week:
    signal: ili
    level: county
    grain: week
    severity: critical
    ended_after: 1
    detector: {type: ears, method: C1, baseline: 3, min_sigma: 5}
"""
#: A Monday.
START = date(2025, 3, 3)
CLOSE = (Verified(), Monitored(), Closed(outcome="outbreak"))


def day(offset: int) -> date:
    return START + timedelta(days=offset)


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Configuration:
    path = tmp_path_factory.mktemp("rules") / "fenghuo.yaml"
    path.write_text(RULES, encoding="utf-8")
    return load_configuration(path)


@pytest.fixture(scope="module")
def day_rule(tmp_path_factory: pytest.TempPathFactory) -> Configuration:
    return only_day(tmp_path_factory.mktemp("day"))


@pytest.fixture(scope="module")
def worsening_rules(tmp_path_factory: pytest.TempPathFactory) -> Configuration:
    """The same, with what worsens as it is by default."""
    path = tmp_path_factory.mktemp("worsening") / "fenghuo.yaml"
    path.write_text(RULES.replace(", worsening: null", ""), encoding="utf-8")
    return load_configuration(path)


def only_day(folder: Path) -> Configuration:
    path = folder / "fenghuo.yaml"
    path.write_text(RULES.partition("  week:")[0], encoding="utf-8")
    return load_configuration(path)


def count(database: str, configuration: Configuration, counts: Mapping[int, float]) -> None:
    live(database, TAIPEI, {day(offset): value for offset, value in counts.items()})

    async def run() -> None:
        async with open_pool(database, size=1) as pool:
            await judge_pending(pool, configuration)

    asyncio.run(run())


def steady(first: int, last: int) -> dict[int, float]:
    return {i: 4 + i % 3 for i in range(first, last)}


def alerts(database: str) -> list[Alert]:
    with psycopg.connect(database) as connection:
        return list_alerts(connection)[::-1]


def history(database: str, alert_id: int) -> list[AlertEvent]:
    with psycopg.connect(database) as connection:
        return get_history(connection, alert_id)


def kinds(database: str, alert_id: int) -> list[str]:
    return [event.change.kind for event in history(database, alert_id)]


def heard(database: str, configuration: Configuration) -> list[tuple[str, int]]:
    """What the default routes tell, in the order in which it happened."""
    found: list[tuple[int, str, int]] = []
    now = datetime.now(UTC)
    for alert in alerts(database):
        events = history(database, alert.alert_id)
        for event in events:
            # As it was when the dispatcher saw it: the events of one judgement together.
            then = fold([one for one in events if one.at <= event.at])
            if plan(event, then, configuration, now):
                found.append((event.seq, event.change.kind, alert.alert_id))
    order = rows(database, "SELECT alert_id, seq FROM alert_events ORDER BY event_id")
    place = {key: i for i, key in enumerate(order)}
    found.sort(key=lambda one: place[one[2], one[0]])
    return [(kind, alert_id) for _, kind, alert_id in found]


def differing(database: str, configuration: Configuration) -> list[StateDifference]:
    async def run() -> list[StateDifference]:
        async with open_pool(database, size=1) as pool, pool.connection() as connection:
            return await differing_states(connection, configuration)

    return asyncio.run(run())


@pytest.fixture(autouse=True)
def _histories_agree(database_url: str, rules: Configuration) -> Iterator[None]:
    """Whatever a test did: alerts are what their histories lead to, and heads what members say."""
    yield
    with psycopg.connect(database_url) as connection:
        assert rebuild(connection, check_only=True)[1] == []
    assert differing(database_url, rules) == []


# ---------------------------------------------------------------- begins again


def test_an_exceedance_after_an_end_is_told(database_url: str, day_rule: Configuration) -> None:
    """60, an end, and 400 four months later."""
    count(database_url, day_rule, steady(0, 20) | {20: 60} | steady(21, 140))
    (alert,) = alerts(database_url)
    assert (alert.status, alert.over) == ("new", True)
    decide(database_url, alert.alert_id, Verified())
    count(database_url, day_rule, {140: 400})
    (alert,) = alerts(database_url)
    assert (alert.over, alert.observed, alert.acknowledged_by) == (False, 400, None)
    assert alert.resumed_at is not None
    assert [kind for kind, _ in heard(database_url, day_rule)] == ["opened", "resumed"]
    count(database_url, day_rule, {140: 500})
    assert kinds(database_url, alert.alert_id)[-1] == "updated"
    assert len(heard(database_url, day_rule)) == 2


def test_an_exceedance_that_was_taken_back_and_returns_is_told(
    database_url: str, day_rule: Configuration
) -> None:
    count(database_url, day_rule, steady(0, 20) | {20: 60})
    count(database_url, day_rule, {20: 5})
    count(database_url, day_rule, {20: 70})
    assert [kind for kind, _ in heard(database_url, day_rule)] == ["opened", "revised", "resumed"]
    (alert,) = alerts(database_url)
    assert (alert.exceedances, alert.observed) == (1, 70)


def test_an_alert_that_resumed_unread_is_escalated_again(
    database_url: str, day_rule: Configuration
) -> None:
    count(database_url, day_rule, steady(0, 20) | {20: 60} | steady(21, 30))
    (alert,) = alerts(database_url)
    decide(database_url, alert.alert_id, Verified())
    count(database_url, day_rule, {30: 400})

    async def escalate() -> list[Alert]:
        async with open_pool(database_url, size=1) as pool:
            return await escalate_unread(pool, day_rule.surveillance)

    assert asyncio.run(escalate()) == []
    with psycopg.connect(database_url) as connection:
        # Two hours go by.
        connection.execute("UPDATE alerts SET resumed_at = resumed_at - interval '3 hours'")
        connection.execute(
            "UPDATE alert_events SET at = at - interval '3 hours' WHERE kind = 'resumed'"
        )
    (escalated,) = asyncio.run(escalate())
    assert escalated.status == "verifying"
    assert isinstance(history(database_url, alert.alert_id)[-1].change, Escalated)
    assert asyncio.run(escalate()) == []


# ---------------------------------------------------------------- several rules


def by_rule(database: str) -> dict[str, list[Alert]]:
    found: dict[str, list[Alert]] = {}
    for alert in alerts(database):
        found.setdefault(alert.rule, []).append(alert)
    return found


def test_nothing_is_merged_into_an_alert_that_is_over(
    database_url: str, rules: Configuration, day_rule: Configuration
) -> None:
    """A week far above the normal must not show as an alert that has ended."""
    count(database_url, day_rule, steady(0, 35) | {35: 60} | steady(36, 63))
    (first,) = alerts(database_url)
    assert first.over
    count(database_url, rules, dict.fromkeys(range(63, 70), 15))  # only the week stands out
    first, weekly = alerts(database_url)
    assert (first.over, weekly.rule, weekly.status, weekly.over) == (True, "week", "new", False)
    assert ("opened", weekly.alert_id) in heard(database_url, rules)


def test_a_revised_alert_takes_nothing_in(
    database_url: str, rules: Configuration, day_rule: Configuration
) -> None:
    count(database_url, day_rule, steady(0, 35) | {35: 60})
    count(database_url, day_rule, {35: 5} | steady(36, 42))
    (first,) = alerts(database_url)
    assert first.exceedances == 0
    count(database_url, rules, dict.fromkeys(range(42, 49), 15))
    first, weekly = alerts(database_url)
    assert (first.exceedances, weekly.rule, weekly.status) == (0, "week", "new")
    assert ("opened", weekly.alert_id) in heard(database_url, rules)


def test_a_head_goes_on_as_long_as_one_of_its_members(
    database_url: str, rules: Configuration
) -> None:
    """The alert by day ends; the week that was merged into it is in exceedance."""
    count(database_url, rules, steady(0, 42) | {42: 90})
    head, merged = alerts(database_url)
    assert (head.rule, merged.rule, merged.merged_into) == ("day", "week", head.alert_id)
    assert head.severity == "critical"
    count(database_url, rules, steady(43, 49))
    (head, _) = alerts(database_url)
    assert head.over is False  # by day it would have ended with day 45
    assert "ended" not in kinds(database_url, head.alert_id)
    count(database_url, rules, steady(49, 57))
    (head, _) = alerts(database_url)
    assert (head.over, head.quiet_since) == (True, day(49))


def test_a_member_that_exceeds_again_resumes_its_head(
    database_url: str, rules: Configuration
) -> None:
    count(database_url, rules, steady(0, 42) | {42: 90} | steady(43, 70))
    head, _ = alerts(database_url)
    assert head.over
    count(database_url, rules, dict.fromkeys(range(70, 77), 15))  # no day has twenty
    head, *_ = alerts(database_url)
    last = [e.change for e in history(database_url, head.alert_id) if e.change.kind == "resumed"]
    assert last
    assert isinstance(last[-1], Resumed)
    assert (head.over, head.leading_rule, head.grain) == (False, "week", "week")
    told = [kind for kind, _ in heard(database_url, rules)]
    assert told == ["opened", "absorbed", "resumed"]  # absorbed: it rose to critical


def test_the_head_shows_the_member_that_is_highest(database_url: str, rules: Configuration) -> None:
    count(database_url, rules, steady(0, 42) | dict.fromkeys(range(42, 49), 30))
    head, *_ = alerts(database_url)
    assert head.expected is not None
    shown = head.observed / head.expected
    ratios = rows(
        database_url,
        "SELECT v.rule, v.observed / v.expected FROM verdicts v JOIN (SELECT rule, max(period) p "
        "FROM verdicts WHERE alarm GROUP BY 1) l ON (l.rule, l.p) = (v.rule, v.period)",
    )
    assert shown == pytest.approx(max(ratio for _, ratio in ratios))
    assert head.leading_rule == "week"
    assert head.detector["baseline"] == 3


# ---------------------------------------------------------------- what people do


def test_merging_by_hand_into_an_alert_that_is_over_is_refused(
    database_url: str, day_rule: Configuration
) -> None:
    count(database_url, day_rule, steady(0, 20) | {20: 60} | steady(21, 30))
    live(database_url, "TW-KHH", {day(i): v for i, v in (steady(0, 29) | {29: 60}).items()})
    count(database_url, day_rule, {})
    over, going_on = alerts(database_url)
    with pytest.raises(IllegalTransitionError, match=r"merge alert \d+ into alert \d+ instead"):
        decide(database_url, going_on.alert_id, Merged(into=over.alert_id))
    decide(database_url, over.alert_id, Merged(into=going_on.alert_id))
    count(database_url, day_rule, {})
    assert [alert.over for alert in alerts(database_url) if alert.status == "new"] == [False]


def test_a_member_of_another_region_keeps_its_head_going(
    database_url: str, day_rule: Configuration
) -> None:
    live(database_url, "TW-KHH", {day(i): v for i, v in (steady(0, 20) | {20: 60}).items()})
    count(database_url, day_rule, steady(0, 20) | {20: 60})
    one, two = sorted(alerts(database_url), key=lambda alert: alert.region)
    decide(database_url, one.alert_id, Merged(into=two.alert_id))  # Kaohsiung into Taipei
    count(database_url, day_rule, steady(21, 30))
    live(database_url, "TW-KHH", {day(i): 60 * 2 ** (i - 20) for i in range(21, 30)})
    count(database_url, day_rule, {})
    head = next(alert for alert in alerts(database_url) if alert.status == "new")
    assert (head.region, head.over, head.observed) == (TAIPEI, False, 60)


def test_a_reopened_member_leaves_its_head(database_url: str, rules: Configuration) -> None:
    count(database_url, rules, steady(0, 42) | {42: 90})
    head, merged = alerts(database_url)
    assert head.severity == "critical"
    decide(database_url, merged.alert_id, Reopened())
    count(database_url, rules, {})
    head, merged = alerts(database_url)
    assert (head.severity, merged.severity, merged.status) == ("warning", "critical", "verifying")
    count(database_url, rules, steady(43, 49))
    head, merged = alerts(database_url)
    assert (head.over, merged.over) == (True, False)


# ---------------------------------------------------------------- any sequence

LEVELS = st.sampled_from([4.0, 5.0, 6.0, 9.0, 40.0, 400.0])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("count"), LEVELS, st.integers(1, 9)),
        st.tuples(st.just("correct"), LEVELS, st.integers(1, 12)),
        st.tuples(st.just("act"), st.integers(0, 5), st.integers(0, 3)),
    ),
    min_size=3,
    max_size=12,
)


def act(database: str, which: int, what: int) -> None:
    known = alerts(database)
    if not known:
        return
    alert = known[which % len(known)]
    heads = [one for one in known if one.status not in {"closed", "discarded", "merged"}]
    into = heads[which % len(heads)].alert_id if heads else 0
    steps: tuple[tuple[Change, ...], ...] = (
        CLOSE, (Discarded(outcome="false_alarm"),), (Reopened(),), (Merged(into=into),),
    )  # fmt: skip
    for change in steps[what]:
        try:
            decide(database, alert.alert_id, change)
        except IllegalTransitionError:
            return


class Watched:
    """Follows the alerts, and fails when an exceedance goes unheard."""

    def __init__(self, database: str, configuration: Configuration) -> None:
        self.database = database
        self.configuration = configuration
        self.worsened = 0

    def open_state(self) -> dict[int, bool]:
        return {a.alert_id: a.over for a in alerts(self.database) if a.closed_at is None}

    def judge(self, counts: Mapping[int, float]) -> None:
        before = self.open_state()
        versions = {a.alert_id: a.version for a in alerts(self.database)}
        seen = len(heard(self.database, self.configuration))
        count(self.database, self.configuration, counts)
        told = heard(self.database, self.configuration)[seen:]
        by_alert: dict[int, list[str]] = {}
        for kind, alert_id in told:
            by_alert.setdefault(alert_id, []).append(kind)
        for alert in alerts(self.database):
            if alert.closed_at is not None or alert.over:
                continue
            news = [k for k in by_alert.get(alert.alert_id, []) if k in {"opened", "resumed"}]
            began = alert.alert_id not in before or before[alert.alert_id]
            if began:
                assert len(news) == 1, (alert, told)
            elif alert.alert_id in before:
                assert news == [], (alert, told)
            self.what_worsens_is_told(alert.alert_id, versions.get(alert.alert_id, 0))
            worse = [k for k in by_alert.get(alert.alert_id, []) if k == "worsened"]
            events = history(self.database, alert.alert_id)[versions.get(alert.alert_id, 0) :]
            assert len(worse) == sum(event.change.kind == "worsened" for event in events)
        self.nothing_absorbed()
        assert differing(self.database, self.configuration) == []

    def what_worsens_is_told(self, alert_id: int, version: int) -> None:
        """Numbers that are much higher than what was announced are told; others are not."""
        events = history(self.database, alert_id)
        for event in events[max(version, 1) :]:
            if not isinstance(event.change, Updated | Worsened):
                continue
            then = fold(events[: event.seq - 1])
            now = fold(events[: event.seq])
            assert (event.change.kind == "worsened") == self.much_higher(then, now), event
            self.worsened += event.change.kind == "worsened"

    def much_higher(self, then: Alert, now: Alert) -> bool:
        told = then.announced
        assert told is not None
        days = {"day": 1, "rolling7": 7, "week": 7}
        announced = [told.observed / days[told.grain]]
        if told.rule in self.family(then.alert_id):
            announced += [
                value / days[told.grain] for value in self.counts_of(told.rule, told.period, 0)
            ]
        if (now.last_period - told.period).days > 14:
            recent = self.counts_of(now.numbers_rule, now.last_period - timedelta(days=1), 13)
            announced += [max(recent) / days[now.grain]] if recent else []
        known = min(announced) * days[now.grain]
        more = now.observed - known
        return (
            now.observed >= 2 * known
            and more >= 10
            and more >= 2 * (now.observed + known) ** 0.5
            and len(told.worsened) < 6
        )

    def family(self, alert_id: int) -> set[str]:
        """The rules of an alert and of all that were merged into it."""
        known = {alert.alert_id: alert for alert in alerts(self.database)}
        found = set()
        for alert in known.values():
            at = alert
            while at.alert_id != alert_id and at.status == "merged" and at.merged_into:
                at = known[at.merged_into]
            if at.alert_id == alert_id:
                found.add(alert.rule)
        return found

    def counts_of(self, rule: str, last: date, back: int) -> list[float]:
        return [
            value
            for (value,) in rows(
                self.database,
                "SELECT observed FROM verdicts WHERE rule = %s AND period BETWEEN %s AND %s "
                "AND observed IS NOT NULL",
                rule,
                last - timedelta(days=back),
                last,
            )
        ]

    def nothing_absorbed(self) -> None:
        """The latest period in exceedance is an open alert's that goes on, or is noted as quiet."""
        noted = set(
            rows(
                self.database,
                "SELECT (change -> 'figures' ->> 'period')::date FROM alert_events "
                "WHERE kind = 'suppressed'",
            )
        )
        going_on = any(a.closed_at is None and not a.over for a in alerts(self.database))
        for rule in ("day", "week"):
            (latest,) = rows(
                self.database,
                "SELECT max(period) FILTER (WHERE alarm), max(period) FROM verdicts "
                "WHERE rule = %s",
                rule,
            )
            if latest[0] is not None and latest[0] == latest[1] and not going_on:
                closed = [a for a in alerts(self.database) if a.closed_at is not None]
                assert (latest[0],) in noted or any(
                    a.own_last_period >= latest[0] for a in closed if a.rule == rule
                )


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=STEPS)
def test_no_exceedance_begins_unheard(
    database_url: str, worsening_rules: Configuration, steps: list[tuple[Any, ...]]
) -> None:
    empty(database_url)
    watched = Watched(database_url, worsening_rules)
    today = 35
    watched.judge(steady(0, today))
    for kind, one, other in steps:
        if kind == "count":
            watched.judge({today + i: one for i in range(other)})
            today += other
        elif kind == "correct":
            watched.judge({max(today - other, 0): one})
        else:
            act(database_url, one, other)
            count(database_url, worsening_rules, {})
    with psycopg.connect(database_url) as connection:
        assert rebuild(connection, check_only=True)[1] == []


def test_the_model_of_what_worsens_is_not_idle(
    database_url: str, worsening_rules: Configuration
) -> None:
    watched = Watched(database_url, worsening_rules)
    watched.judge(steady(0, 35))
    watched.judge({35: 40.0})
    watched.judge({36: 400.0})
    watched.judge({36: 420.0})
    watched.judge({37: 40.0})
    assert watched.worsened == 1
    told = [kind for kind, _ in heard(database_url, worsening_rules)]
    assert told.count("worsened") == 1
