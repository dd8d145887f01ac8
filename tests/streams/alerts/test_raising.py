"""Alerts of judged counts, from counts in the database to the alerts' histories."""

from __future__ import annotations

import asyncio
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.alerts import (
    Absorbed,
    Alert,
    Change,
    Closed,
    Discarded,
    Figures,
    Merged,
    Monitored,
    Reopened,
    Revised,
    Suppressed,
    Updated,
    Verified,
)
from streams.config import load_configuration
from streams.judging.loop import judge_pending
from streams.store.alert_history import rebuild
from streams.store.alerts import get_history, list_alerts
from streams.store.pool import open_pool
from tests.support.alerts import decide
from tests.support.counted import live
from tests.support.events import KAOHSIUNG, TAIPEI
from tests.support.store import rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from streams.config import Configuration

RULES = """\
name: raised
regions: tw
time_zone: Asia/Taipei
signals:
  ili:
    title: {en: Influenza-like illness, zh: 流感样病例}
    of: visits
rules:
"""
DAY = """\
  day:
    signal: ili
    level: county
    severity: warning
    detector: {type: ears, method: C1}
"""
SEVEN = """\
  seven:
    signal: ili
    level: county
    grain: rolling7
    severity: critical
    detector: {type: ears, method: C1, baseline: 8}
"""
#: A Monday.
START = date(2025, 3, 3)
CLOSE = (Verified(), Monitored(), Closed(outcome="outbreak"))
DISCARD = (Discarded(outcome="false_alarm"),)


def day(offset: int) -> date:
    return START + timedelta(days=offset)


def configured(folder: Path, rules: str) -> Configuration:
    path = folder / "fenghuo.yaml"
    # Each change of the numbers is told: test_holding.py is about those that wait, and
    # test_worsening.py about those that are announced again.
    path.write_text(
        RULES + rules + "alerts: {update_seconds: 0, worsening: null}\n", encoding="utf-8"
    )
    return load_configuration(path)


@pytest.fixture
def one_rule(tmp_path: Path) -> Configuration:
    return configured(tmp_path, DAY)


def judge(database: str, configuration: Configuration) -> None:
    async def run() -> None:
        async with open_pool(database, size=1) as pool:
            await judge_pending(pool, configuration)

    asyncio.run(run())


def count(
    database: str,
    configuration: Configuration,
    counts: Mapping[int, float],
    region: str = TAIPEI,
) -> None:
    """Set counts by day, and judge."""
    live(database, region, {day(offset): value for offset, value in counts.items()})
    judge(database, configuration)


def steady(days: int) -> dict[int, float]:
    return {i: 4 + i % 3 for i in range(days)}


def alerts(database: str) -> list[Alert]:
    with psycopg.connect(database) as connection:
        return list_alerts(connection)[::-1]


def changes(database: str, alert_id: int) -> list[Change]:
    with psycopg.connect(database) as connection:
        return [event.change for event in get_history(connection, alert_id)]


def kinds(database: str, alert_id: int) -> list[str]:
    return [change.kind for change in changes(database, alert_id)]


@pytest.fixture(autouse=True)
def _histories_agree(database_url: str) -> Iterator[None]:
    """Whatever a test did, the alerts are what their histories lead to."""
    yield
    with psycopg.connect(database_url) as connection:
        assert rebuild(connection, check_only=True)[1] == []


# ---------------------------------------------------------------- numbers


def test_the_same_numbers_again_are_no_event(database_url: str, one_rule: Configuration) -> None:
    count(database_url, one_rule, steady(20) | {20: 40})
    count(database_url, one_rule, {20: 40})
    count(database_url, one_rule, {3: 5})  # far before
    (alert,) = alerts(database_url)
    assert kinds(database_url, alert.alert_id) == ["opened"]


def test_an_alert_that_grows_is_updated_not_doubled(
    database_url: str, one_rule: Configuration
) -> None:
    count(database_url, one_rule, steady(20) | {20: 40})
    count(database_url, one_rule, {20: 55})
    count(database_url, one_rule, {21: 90})
    (alert,) = alerts(database_url)
    _, grown, further = changes(database_url, alert.alert_id)
    assert isinstance(grown, Updated)
    assert (grown.figures.observed, grown.peak, grown.exceedances) == (55, 55, 1)
    assert isinstance(further, Updated)
    assert (further.figures.period, further.peak, further.exceedances) == (day(21), 90, 2)


def test_an_exceedance_that_corrections_took_back_is_told_with_both_values(
    database_url: str, one_rule: Configuration
) -> None:
    count(database_url, one_rule, steady(20) | {20: 40})
    (before,) = alerts(database_url)
    count(database_url, one_rule, {20: 6})
    (alert,) = alerts(database_url)
    _, revised = changes(database_url, alert.alert_id)
    assert isinstance(revised, Revised)
    assert (revised.before.period, revised.before.observed) == (day(20), 40)
    assert revised.before.p_value == before.p_value
    assert revised.now is not None
    assert (revised.now.period, revised.now.observed) == (day(20), 6)
    assert (alert.status, alert.exceedances, alert.observed) == ("new", 0, 40)
    assert alert.revised == revised.now
    count(database_url, one_rule, {20: 5})
    assert len(changes(database_url, alert.alert_id)) == 2  # said once
    count(database_url, one_rule, {20: 50})
    (alert,) = alerts(database_url)
    assert (alert.exceedances, alert.observed, alert.revised) == (1, 50, None)


# ---------------------------------------------------------------- the end


def test_the_end_of_exceedances_is_proposed_and_taken_back(
    database_url: str, one_rule: Configuration
) -> None:
    count(database_url, one_rule, steady(20) | {20: 40, 21: 5, 22: 5})
    (alert,) = alerts(database_url)
    assert alert.quiet_since is None
    count(database_url, one_rule, {23: 5})
    (alert,) = alerts(database_url)
    assert (alert.status, alert.quiet_since) == ("new", day(21))
    count(database_url, one_rule, {24: 5})
    assert kinds(database_url, alert.alert_id) == ["opened", "ended"]
    count(database_url, one_rule, {25: 90})
    (alert,) = alerts(database_url)
    assert (alert.quiet_since, alert.last_period) == (None, day(25))
    assert kinds(database_url, alert.alert_id) == ["opened", "ended", "resumed"]


def test_an_end_that_turns_out_earlier_is_proposed_anew(
    database_url: str, one_rule: Configuration
) -> None:
    count(database_url, one_rule, steady(20) | {20: 40, 22: 90, 23: 5, 24: 5, 25: 5})
    (alert,) = alerts(database_url)
    assert alert.quiet_since == day(23)
    count(database_url, one_rule, {22: 5})
    (alert,) = alerts(database_url)
    assert (alert.last_period, alert.quiet_since) == (day(20), day(21))


def test_a_rule_says_after_how_many_periods(database_url: str, tmp_path: Path) -> None:
    patient = configured(tmp_path, DAY + "    ended_after: 5\n")
    count(database_url, patient, steady(20) | {20: 40} | dict.fromkeys(range(21, 25), 5))
    assert [alert.quiet_since for alert in alerts(database_url)] == [None]
    count(database_url, patient, {25: 5})
    assert [alert.quiet_since for alert in alerts(database_url)] == [day(21)]


def test_the_period_that_fills_up_is_not_quiet_yet(database_url: str, tmp_path: Path) -> None:
    hasty = configured(tmp_path, DAY + "    ended_after: 1\n")
    zone = hasty.surveillance.zone
    today = (datetime.now(zone).date() - START).days
    past = {i: 4.0 + i % 3 for i in range(today - 30, today)}
    count(database_url, hasty, past | {today - 1: 40, today: 1})
    if datetime.now(zone).date() == day(today):  # not around midnight
        assert [alert.quiet_since for alert in alerts(database_url)] == [None]
    other = {i: 4.0 + i % 3 for i in range(today - 30, today)}
    count(database_url, hasty, other | {today - 2: 40, today - 1: 1, today: 1}, KAOHSIUNG)
    found = {alert.region: alert.quiet_since for alert in alerts(database_url)}
    assert found[KAOHSIUNG] == day(today - 1)


# ---------------------------------------------------------------- the quiet period


@pytest.mark.parametrize("steps", [CLOSE, DISCARD], ids=["closed", "discarded"])
def test_exceedances_of_the_quiet_period_are_noted_and_open_nothing(
    database_url: str, one_rule: Configuration, steps: tuple[Change, ...]
) -> None:
    count(database_url, one_rule, steady(20) | {20: 40, 21: 5, 22: 5})
    (alert,) = alerts(database_url)
    decide(database_url, alert.alert_id, *steps)
    count(database_url, one_rule, dict.fromkeys(range(23, 29), 0))
    count(database_url, one_rule, {29: 300})  # the last of seven days after day 22
    count(database_url, one_rule, {29: 310})
    (alert,) = alerts(database_url)
    assert alert.suppressed == 1
    *_, last = changes(database_url, alert.alert_id)
    assert isinstance(last, Suppressed)
    assert (last.figures.period, last.figures.observed) == (day(29), 300)
    count(database_url, one_rule, {30: 3000})
    first, second = alerts(database_url)
    assert (first.suppressed, second.status) == (1, "new")
    assert (second.first_period, second.exceedances) == (day(30), 1)


def test_a_rule_sets_its_quiet_period(database_url: str, tmp_path: Path) -> None:
    none = configured(tmp_path, DAY + "    quiet_days: 0\n")
    count(database_url, none, steady(20) | {20: 40})
    decide(database_url, alerts(database_url)[0].alert_id, *CLOSE)
    count(database_url, none, {21: 400})
    assert [alert.first_period for alert in alerts(database_url)] == [day(20), day(21)]


def test_late_exceedances_before_a_closed_alert_are_noted_while_another_is_open(
    database_url: str, one_rule: Configuration
) -> None:
    count(database_url, one_rule, steady(20) | {20: 40})
    decide(database_url, alerts(database_url)[0].alert_id, *CLOSE)
    count(database_url, one_rule, {i: 4 + i % 3 for i in range(21, 40)} | {40: 90})
    count(database_url, one_rule, {18: 90})
    first, second = alerts(database_url)
    assert (first.suppressed, first.first_period) == (1, day(20))
    assert (second.first_period, second.exceedances) == (day(40), 1)
    count(database_url, one_rule, {36: 90})  # after the quiet period: it is the open one's
    first, second = alerts(database_url)
    assert (first.suppressed, second.first_period) == (1, day(36))


def test_a_reopened_alert_counts_what_was_suppressed_and_leaves_later_alerts_alone(
    database_url: str, one_rule: Configuration
) -> None:
    count(database_url, one_rule, steady(20) | {20: 40})
    (one,) = alerts(database_url)
    decide(database_url, one.alert_id, *CLOSE)
    count(database_url, one_rule, {i: 4 + i % 3 for i in range(21, 40)} | {22: 90, 40: 90})
    _, two = alerts(database_url)
    decide(database_url, two.alert_id, *CLOSE)
    decide(database_url, one.alert_id, Reopened())
    judge(database_url, one_rule)
    one, two = alerts(database_url)
    assert (one.status, one.first_period, one.last_period) == ("verifying", day(20), day(22))
    assert (one.exceedances, two.exceedances, two.status) == (2, 1, "closed")
    count(database_url, one_rule, {41: 900})
    one, two = alerts(database_url)
    assert (one.last_period, one.exceedances, two.suppressed) == (day(41), 3, 0)


# ---------------------------------------------------------------- merging


@pytest.fixture
def two_rules(tmp_path: Path) -> Configuration:
    return configured(tmp_path, DAY + SEVEN)


def test_two_rules_about_one_thing_make_one_open_alert(
    database_url: str, two_rules: Configuration
) -> None:
    count(database_url, two_rules, steady(30) | {30: 90})
    count(database_url, two_rules, steady(30) | {30: 90}, KAOHSIUNG)
    found = {(alert.rule, alert.region): alert for alert in alerts(database_url)}
    assert len(found) == 4
    for region in (TAIPEI, KAOHSIUNG):
        head, merged = found["day", region], found["seven", region]
        assert (head.status, head.severity) == ("new", "critical")
        assert (merged.status, merged.merged_into) == ("merged", head.alert_id)
        assert changes(database_url, merged.alert_id)[1:] == [Merged(into=head.alert_id)]
        assert changes(database_url, head.alert_id)[1:] == [
            Absorbed(alert=merged.alert_id, severity="critical", raised_from="warning")
        ]


def test_exceedances_of_a_merged_alert_count_where_it_lives_on(
    database_url: str, two_rules: Configuration
) -> None:
    count(database_url, two_rules, steady(30) | {30: 90})
    head, merged = alerts(database_url)
    count(database_url, two_rules, {31: 200})
    head, merged = alerts(database_url)
    assert (head.last_period, merged.status, merged.suppressed) == (day(31), "merged", 1)
    decide(database_url, head.alert_id, *CLOSE)
    count(database_url, two_rules, {32: 400})  # the quiet period of the head
    head, merged = alerts(database_url)
    assert (head.suppressed, merged.suppressed) == (1, 2)
    count(database_url, two_rules, dict.fromkeys(range(33, 50), 5) | {50: 9000})
    assert {a.rule for a in alerts(database_url) if a.first_period == day(50)} == {"day", "seven"}


def test_rules_of_different_groups_are_not_merged(database_url: str, tmp_path: Path) -> None:
    apart = configured(tmp_path, DAY + SEVEN + "    group: weekly\n")
    count(database_url, apart, steady(30) | {30: 90})
    assert [alert.status for alert in alerts(database_url)] == ["new", "new"]


def test_a_new_alert_is_merged_into_one_that_people_work_on(
    database_url: str, two_rules: Configuration, tmp_path: Path
) -> None:
    count(database_url, configured(tmp_path, DAY), steady(30) | {30: 90})
    (head,) = alerts(database_url)
    decide(database_url, head.alert_id, Verified())
    count(database_url, two_rules, {30: 95})
    head, merged = alerts(database_url)
    assert (head.status, head.severity, merged.merged_into) == (
        "verifying",
        "critical",
        head.alert_id,
    )


# ---------------------------------------------------------------- all at once


class Counting(psycopg.AsyncConnection[Any]):
    statements = 0

    async def execute(self, *args: Any, **options: Any) -> Any:
        type(self).statements += 1
        return await super().execute(*args, **options)


def statements_of_judging(database: str, configuration: Configuration) -> int:
    class OnePool:
        def connection(self) -> Any:
            return Counting.connect(database, autocommit=False)

    class Opened:
        def __init__(self) -> None:
            self.coming = OnePool().connection()

        async def __aenter__(self) -> Any:
            self.connection = await self.coming
            return self.connection

        async def __aexit__(self, *_: object) -> None:
            await self.connection.commit()
            await self.connection.close()

    class Pool:
        def connection(self) -> Opened:
            return Opened()

    Counting.statements = 0
    pool: Any = Pool()
    asyncio.run(judge_pending(pool, configuration))
    return Counting.statements


def test_the_number_of_statements_does_not_grow_with_the_alerts(
    database_url: str, two_rules: Configuration
) -> None:
    regions = [r.code for r in two_rules.regions if r.level == "county"]
    assert len(regions) > 15
    live(database_url, regions[0], {day(i): v for i, v in (steady(30) | {30: 90}).items()})
    one = statements_of_judging(database_url, two_rules)
    for region in regions[1:]:
        live(database_url, region, {day(i): v for i, v in (steady(30) | {30: 90}).items()})
    many = statements_of_judging(database_url, two_rules)
    assert len(alerts(database_url)) == 2 * len(regions)
    assert many <= one + 2


# ---------------------------------------------------------------- whatever happens

STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("count"),
            st.integers(16, 45),
            st.sampled_from([4.0, 5.0, 6.0, 30.0, 90.0, 300.0]),
        ),
        st.tuples(st.sampled_from(["close", "discard", "reopen"]), st.integers(1, 4), st.just(0.0)),
    ),
    min_size=3,
    max_size=14,
)


@given(STEPS)
@settings(
    max_examples=20,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_no_exceedance_is_lost_or_counted_twice(
    database_url: str, one_rule: Configuration, steps: list[tuple[str, int, float]]
) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "TRUNCATE alerts, alert_events, verdicts, daily_counts, series, pending_judgements "
            "RESTART IDENTITY"
        )
    count(database_url, one_rule, steady(20))
    for what, number, value in steps:
        if what == "count":
            live(database_url, TAIPEI, {day(number): value})
        else:
            known = {alert.alert_id: alert for alert in alerts(database_url)}
            alert = known.get(number)
            open_ones = [a for a in known.values() if a.closed_at is None]
            if alert is None or (what == "reopen") == (alert.closed_at is None):
                continue
            if what == "reopen" and open_ones:
                continue
            again = alert.status == "verifying"
            steps_of = {"close": CLOSE[again:], "discard": DISCARD, "reopen": (Reopened(),)}
            decide(database_url, number, *steps_of[what])
        judge(database_url, one_rule)
    found = alerts(database_url)
    assert sum(alert.closed_at is None for alert in found) <= 1
    exceeded = {
        row[0] for row in rows(database_url, "SELECT period FROM verdicts WHERE alarm ORDER BY 1")
    }
    covered: set[date] = set()
    for alert in found:
        covered |= {p for p in exceeded if alert.first_period <= p <= alert.last_period}
        noted = [
            change.figures.period
            for change in changes(database_url, alert.alert_id)
            if isinstance(change, Suppressed)
        ]
        assert len(noted) == len(set(noted)) == alert.suppressed
        covered |= set(noted)
    assert exceeded <= covered
    for alert in found:
        if alert.closed_at is None and alert.exceedances:
            (latest,) = rows(
                database_url,
                "SELECT period, observed, expected, upper, score, p_value FROM verdicts "
                "WHERE period = %s AND alarm",
                alert.last_period,
            )
            names = ("period", "observed", "expected", "upper", "score", "p_value")
            assert Figures(**dict(zip(names, latest, strict=True))) == Figures(
                period=alert.last_period,
                **{name: getattr(alert, name) for name in names[1:]},
            )
            later = {p for p in exceeded if p > alert.last_period}
            others = [a for a in found if a is not alert]
            assert all(any(a.first_period <= p <= a.last_period for a in others) for p in later)
    with psycopg.connect(database_url) as connection:
        assert rebuild(connection, check_only=True)[1] == []
