from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.alerts import (
    Assessed,
    Assigned,
    Change,
    Closed,
    Commented,
    Confirmed,
    Discarded,
    Merged,
    Monitored,
    Reopened,
    Verified,
)
from streams.alerts.lifecycle import IllegalTransitionError, fold
from streams.store.alert_history import begin_following, follow, followed_to, rebuild
from streams.store.alerts import get_history, list_alerts, predictive_values
from tests.support.alerts import decide, open_alert
from tests.support.store import rows

if TYPE_CHECKING:
    from schemas.alerts import Alert

REGIONS = ("TW-TPE", "TW-KHH", "TW-NWT")


def everything(database: str) -> list[Alert]:
    with psycopg.connect(database) as connection:
        return list_alerts(connection)


def run_rebuild(
    database: str, *, check_only: bool
) -> tuple[int, list[tuple[int, tuple[str, ...]]]]:
    with psycopg.connect(database) as connection:
        alerts, differences = rebuild(connection, check_only=check_only)
    return alerts, [(d.alert_id, d.fields) for d in differences]


STEPS: st.SearchStrategy[Change] = st.one_of(
    st.sampled_from(
        [
            Verified(), Monitored(), Confirmed(), Reopened(), Commented(note="\u00e9 'x' \\ 流感"),
            Assessed(likelihood="likely", consequence="major"), Discarded(outcome="explained"),
            Closed(outcome="outbreak"), Assigned(to="wang"),
        ]
    ),
    st.builds(Merged, into=st.integers(1, 3)),
)  # fmt: skip


@given(st.lists(st.tuples(st.integers(1, 3), STEPS), max_size=25))
@settings(
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_whatever_people_do_the_alerts_rebuilt_equal_the_live_ones(
    database_url: str, steps: list[tuple[int, Change]]
) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("TRUNCATE alerts, alert_events RESTART IDENTITY")
    ids = [open_alert(database_url, region=region) for region in REGIONS]
    assert ids == [1, 2, 3]
    for alert_id, change in steps:
        try:
            decide(database_url, alert_id, change)
        except IllegalTransitionError:
            continue
    live = everything(database_url)
    with psycopg.connect(database_url) as connection:
        assert {a.alert_id: fold(get_history(connection, a.alert_id)) for a in live} == {
            a.alert_id: a for a in live
        }
    assert run_rebuild(database_url, check_only=True) == (3, [])
    with psycopg.connect(database_url) as connection:
        connection.execute("DELETE FROM alerts")
    assert run_rebuild(database_url, check_only=False)[0] == 3
    assert everything(database_url) == live
    # No two of a series are open, and nothing is merged into what is not there or into itself.
    for alert in live:
        assert alert.merged_into in {None, 1, 2, 3} - {alert.alert_id}


def test_a_wrong_row_is_found_and_put_right(database_url: str) -> None:
    ids = [open_alert(database_url, region=region) for region in REGIONS]
    live = everything(database_url)
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "UPDATE alerts SET status = 'closed', peak = 1 WHERE alert_id = %s", (ids[0],)
        )
        connection.execute("DELETE FROM alerts WHERE alert_id = %s", (ids[1],))
        connection.execute("DELETE FROM alert_events WHERE alert_id = %s", (ids[2],))
    found = (
        2,
        [(ids[0], ("status", "peak")), (ids[1], ("no row",)), (ids[2], ("no history",))],
    )
    assert run_rebuild(database_url, check_only=True) == found
    assert len(everything(database_url)) == 2
    assert run_rebuild(database_url, check_only=False) == found
    assert everything(database_url) == [alert for alert in live if alert.alert_id != ids[2]]
    assert run_rebuild(database_url, check_only=True) == (2, [])


def test_ids_go_on_after_a_rebuild(database_url: str) -> None:
    first = open_alert(database_url)
    with psycopg.connect(database_url) as connection:
        connection.execute("DELETE FROM alerts")
    run_rebuild(database_url, check_only=False)
    assert open_alert(database_url, region="TW-KHH") > first


# ---------------------------------------------------------------- following


async def take(database: str, follower: str, *, limit: int = 500, stay: bool = False) -> list[int]:
    async with await psycopg.AsyncConnection.connect(database) as connection:
        followed = await follow(connection, follower, limit=limit)
        if followed and not stay:
            await followed_to(connection, follower, followed[-1].event_id)
        return [one.event.seq for one in followed]


async def begin(database: str, follower: str, *, from_now: bool = False) -> None:
    async with await psycopg.AsyncConnection.connect(database) as connection:
        await begin_following(connection, follower, from_now=from_now)


async def test_each_follower_goes_its_own_way(database_url: str) -> None:
    alert_id = open_alert(database_url)
    await begin(database_url, "all")
    await begin(database_url, "late", from_now=True)
    decide(database_url, alert_id, Verified(), Monitored(), Closed(outcome="explained"))
    assert await take(database_url, "all", limit=3) == [1, 2, 3]
    assert await take(database_url, "all", stay=True) == [4]
    await begin(database_url, "all")  # which changes nothing
    assert await take(database_url, "all") == [4]
    assert await take(database_url, "all") == []
    assert await take(database_url, "late") == [2, 3, 4]
    assert await take(database_url, "nobody") == []


async def test_a_follower_exists_once(database_url: str) -> None:
    open_alert(database_url)
    await begin(database_url, "all")
    async with await psycopg.AsyncConnection.connect(database_url) as one:
        assert len(await follow(one, "all")) == 1
        assert await take(database_url, "all") == []
    # The first one went away without having finished: nothing is lost.
    assert await take(database_url, "all") == [1]


# ---------------------------------------------------------------- outcomes


@pytest.mark.parametrize("reopened", [False, True])
def test_the_share_of_outbreaks_by_rule(database_url: str, *, reopened: bool) -> None:
    outcomes: list[Change] = [
        Closed(outcome="outbreak"),
        Closed(outcome="explained"),
        Closed(outcome="false_alarm"),
        Closed(outcome="outbreak"),
    ]
    for outcome in outcomes:
        alert_id = open_alert(database_url)
        decide(database_url, alert_id, Verified(), Monitored(), outcome)
    if reopened:
        decide(database_url, alert_id, Reopened())
    other = open_alert(database_url, rule="ili-day", grain="day")
    decide(database_url, other, Merged(into=open_alert(database_url, region="TW-KHH")))
    with psycopg.connect(database_url) as connection:
        (found,) = predictive_values(connection).items()
    assert found[0] == "ili-week"
    assert found[1][:2] == ((1, 3) if reopened else (2, 4))


def test_events_are_never_changed_by_what_follows(database_url: str) -> None:
    alert_id = open_alert(database_url)
    before = rows(database_url, "SELECT * FROM alert_events")
    decide(database_url, alert_id, Verified(), Monitored())
    assert rows(database_url, "SELECT * FROM alert_events ORDER BY event_id LIMIT 1") == before
