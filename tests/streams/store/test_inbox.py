"""The order in which alerts are looked at, and the control of the false-discovery rate."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from psycopg import AsyncConnection
from scipy import stats

from schemas.alerts import (
    Acknowledged,
    Assessed,
    Closed,
    Commented,
    Ended,
    Escalated,
    Monitored,
    Revised,
    Verified,
)
from streams.store.inbox import InboxFilter, count_statuses, read_inbox
from tests.support.alerts import AS_OF, decide, figures, open_alert, tell
from tests.support.store import rows

if TYPE_CHECKING:
    from streams.config import Configuration
    from streams.store.inbox import InboxPage

#: Of the three rules of the tests' configuration: two judge all counties, one the nation.
COUNTIES = 22
SERIES = 2 * COUNTIES + 1


async def inbox(database: str, **asked: Any) -> InboxPage:
    async with await AsyncConnection.connect(database) as connection:
        return await read_inbox(connection, scope="TW", **asked)


def ranked(database: str) -> list[int]:
    found = rows(database, "SELECT alert_id FROM alert_ranks ORDER BY rank")
    return [alert_id for (alert_id,) in found]


def of_chance(database: str, p_value: float | None, **fields: Any) -> int:
    return open_alert(database, figures=figures(p_value=p_value), **fields)


def test_the_family_is_every_series_that_is_judged(
    database_url: str, configuration: Configuration
) -> None:
    counties = configuration.regions.at_level("county")
    assert len(counties) == COUNTIES
    open_alert(database_url, figures=figures(p_value=0.001))
    ((q_value,),) = rows(database_url, "SELECT q_value FROM alert_ranks")
    assert q_value == pytest.approx(0.001 * SERIES)


p_values = st.lists(
    st.one_of(
        st.floats(0, 1, allow_nan=False),
        st.floats(0, 1e-3, allow_nan=False),
        st.sampled_from([0.0, 1e-300, 0.01, 1.0]),
    ),
    min_size=1,
    max_size=22,
)


@given(p_values)
@example([0.01, 0.01, 0.02, 0.9])
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_q_values_are_those_of_scipy(
    database_url: str, configuration: Configuration, found: list[float]
) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("DELETE FROM alerts")
        connection.execute("DELETE FROM alert_events")
    codes = [region.code for region in configuration.regions.at_level("county")]
    ids = [of_chance(database_url, p, region=code) for p, code in zip(found, codes, strict=False)]
    stored: dict[int, float] = dict(rows(database_url, "SELECT alert_id, q_value FROM alert_ranks"))
    # Series without an alert count with p = 1.
    whole = np.array(found + [1.0] * (SERIES - len(found)))
    wanted = stats.false_discovery_control(whole, method="bh")[: len(found)]
    np.testing.assert_allclose([stored[one] for one in ids], wanted, rtol=1e-12)
    order = [stored[one] for one in ranked(database_url)]
    assert order == sorted(order)


def test_more_alerts_than_series_are_a_family_of_their_own(database_url: str) -> None:
    for number, p in enumerate((0.01, 0.02, 0.03)):
        of_chance(database_url, p, rule=f"r{number}")
    with psycopg.connect(database_url) as connection:
        connection.execute("DELETE FROM rules WHERE rule <> 'antipyretic-nation'")
        found = connection.execute("SELECT q_value FROM alert_ranks").fetchall()
        connection.rollback()
    assert [q for (q,) in found] == pytest.approx([0.03, 0.03, 0.03])


def test_the_few_that_matter_come_first(database_url: str) -> None:
    """Each differs from the next one in one thing, so the order of the things is tested."""

    def opened(rule: str, **fields: Any) -> int:
        return open_alert(database_url, rule=rule, **fields)

    def assessed(rule: str, likelihood: Any, consequence: Any) -> int:
        alert_id = opened(rule)
        decide(
            database_url,
            alert_id,
            Verified(),
            Assessed(likelihood=likelihood, consequence=consequence),
        )
        return alert_id

    very_high = assessed("a", "almost_certain", "severe")
    high = assessed("b", "likely", "major")
    escalated = opened("c", figures=figures(p_value=1e-4))
    tell(database_url, escalated, Escalated(after_minutes=15))
    unread = opened("d", figures=figures(p_value=1e-4))
    read_surer = opened("e", figures=figures(p_value=1e-6))
    read_less_sure = opened("f", figures=figures(p_value=1e-4))
    for one in (read_surer, read_less_sure):
        decide(database_url, one, Acknowledged())
    beyond_control = opened("g", figures=figures(p_value=0.04))
    without_p = opened("h", figures=figures(p_value=None))
    low = assessed("i", "unlikely", "minimal")
    warning = opened("j", severity="warning", figures=figures(p_value=1e-30))
    info = opened("k", severity="info", figures=figures(p_value=1e-30))
    ended = opened("l", figures=figures(p_value=1e-30))
    tell(database_url, ended, Ended(quiet_since=date(2009, 8, 17), as_of=AS_OF))
    corrected = opened("m", severity="warning", figures=figures(p_value=1e-30))
    tell(database_url, corrected, Revised(before=figures(), now=None, as_of=AS_OF))
    assert ranked(database_url) == [
        very_high, high, escalated, unread, read_surer, read_less_sure, beyond_control, without_p,
        low, warning, info, ended, corrected,
    ]  # fmt: skip


def test_of_equal_chance_the_higher_score_and_excess_come_first(database_url: str) -> None:
    last = open_alert(database_url, region="TW-TPE", figures=figures(50, p_value=0.0, score=9))
    second = open_alert(database_url, region="TW-KHH", figures=figures(60, p_value=0.0, score=9))
    first = open_alert(database_url, region="TW-NWT", figures=figures(45, p_value=0.0, score=12))
    assert ranked(database_url) == [first, second, last]


async def test_pages_of_the_inbox_leave_nothing_out(database_url: str) -> None:
    ids = [open_alert(database_url, rule=f"r{n}") for n in range(7)]
    closed = open_alert(database_url, rule="closed")
    decide(database_url, closed, Verified(), Monitored(), Closed(outcome="outbreak"))
    found = []
    for offset in range(0, 9, 3):
        page = await inbox(database_url, only=InboxFilter(), limit=3, offset=offset)
        assert page.total == 8
        found += [row.alert.alert_id for row in page.rows]
    assert found == [*reversed(ids), closed]
    last = await inbox(database_url, only=InboxFilter(statuses=("closed",)))
    assert [(row.rank, row.q_value) for row in last.rows] == [(None, None)]
    beyond = await inbox(database_url, only=InboxFilter(), offset=20)
    assert (beyond.rows, beyond.total) == ([], 8)


async def test_statuses_are_counted_within_the_region(database_url: str) -> None:
    open_alert(database_url, region="TW-KHH")
    mine = open_alert(database_url)
    decide(database_url, mine, Verified(), Commented(note="x"))
    async with await AsyncConnection.connect(database_url) as connection:
        assert await count_statuses(connection, scope="TW") == {"new": 1, "verifying": 1}
        assert await count_statuses(connection, scope="TW-TPE") == {"verifying": 1}
        assert await count_statuses(connection, scope="nowhere") == {}


async def test_a_closed_alert_is_in_no_family(database_url: str) -> None:
    first = of_chance(database_url, 1e-9)
    decide(database_url, first, Verified(), Monitored(), Closed(outcome="outbreak"))
    second = of_chance(database_url, 0.01)
    assert ranked(database_url) == [second]
