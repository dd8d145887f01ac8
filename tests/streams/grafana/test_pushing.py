"""Whatever happens to alerts and to Grafana: in the end it shows each alert once, as it is."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from psycopg_pool import AsyncConnectionPool

from schemas.alerts import (
    Assessed,
    Closed,
    Commented,
    Confirmed,
    Discarded,
    Ended,
    Merged,
    Monitored,
    Reopened,
    Revised,
    Updated,
    Verified,
)
from streams.errors import FenghuoError
from streams.grafana.annotation import annotation_of, read_annotation
from streams.grafana.client import open_grafana
from streams.grafana.errors import GrafanaAwayError, GrafanaDeniedError, GrafanaError
from streams.grafana.pushing import Pusher, Waits, running_pusher
from streams.grafana.sync import sync_annotations
from streams.notify.limits import Backoff
from streams.settings import Settings
from streams.store import grafana_annotations as queue
from streams.store.alerts import list_alerts
from streams.store.set_aside import list_set_aside
from tests.support.alerts import AS_OF, alert_of, decide, figures, open_alert, tell
from tests.support.grafana_server import TOKEN, Fault, GrafanaServer
from tests.support.store import empty, rows

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from schemas.alerts import Alert, Change
    from streams.config import Configuration
    from streams.grafana.annotation import Annotation

PAGE = "https://page.example"
SETTLE = timedelta(seconds=0.1)
WAITS = Waits(look=0.01, away=Backoff(0.01, 0.05), refused=Backoff(0.01, 0.01), settle=timedelta(0))


@asynccontextmanager
async def pushing(
    server: GrafanaServer,
    database: str,
    configuration: Configuration,
    *,
    token: str = TOKEN,
    waits: Waits = WAITS,
    patience: float = 60.0,
) -> AsyncIterator[Pusher]:
    async with (
        open_grafana(server.url, token, timeout=patience) as grafana,
        AsyncConnectionPool(
            database, min_size=1, max_size=1, open=False, kwargs={"autocommit": True}
        ) as pool,
    ):
        yield Pusher(pool, grafana, configuration, web_url=PAGE, waits=waits)


async def push(server: GrafanaServer, database: str, configuration: Configuration) -> int:
    async with pushing(server, database, configuration) as pusher:
        return await pusher.step()


def shown(server: GrafanaServer) -> dict[int | None, list[str]]:
    """Fingerprints of what Grafana shows, by alert."""
    found: dict[int | None, list[str]] = {}
    for row in server.annotations.values():
        alert_id, annotation = read_annotation(row)
        found.setdefault(alert_id, []).append(annotation.fingerprint)
    return found


def expected(database: str, configuration: Configuration) -> dict[int | None, list[str]]:
    with psycopg.connect(database) as connection:
        alerts = list_alerts(connection, limit=1000)
    made = {alert.alert_id: annotation_of(alert, configuration, PAGE) for alert in alerts}
    return {one: [mark.fingerprint] for one, mark in made.items() if mark is not None}


def only(server: GrafanaServer) -> Annotation:
    (row,) = server.annotations.values()
    return read_annotation(row)[1]


def updated(observed: float = 60, day: int = 10) -> Updated:
    return Updated(
        first_period=date(2009, 7, 27),
        exceedances=3,
        peak=observed,
        figures=figures(observed, date(2009, 8, day)),
        detector={"type": "ears"},
        config_version="abc",
        as_of=AS_OF,
    )


async def until(done: Callable[[], Awaitable[object]]) -> None:
    while True:
        if await done():
            return
        await asyncio.sleep(0.02)


ENDED = Ended(quiet_since=date(2009, 8, 17), as_of=AS_OF)
REVISED = Revised(before=figures(), now=None, as_of=AS_OF)


async def test_an_alert_is_shown_changed_and_ended(
    server: GrafanaServer, database_url: str, configuration: Configuration
) -> None:
    alert = open_alert(database_url)
    assert await push(server, database_url, configuration) == 1
    opened = only(server)
    assert opened.time_end == opened.time
    tell(database_url, alert, updated())
    await push(server, database_url, configuration)
    assert "60" in only(server).text
    tell(database_url, alert, ENDED)
    await push(server, database_url, configuration)
    assert only(server).time_end > only(server).time
    assert server.writes == ["POST /annotations", *["PATCH /annotations/1"] * 2]


async def test_what_changes_nothing_to_be_seen_is_not_sent(
    server: GrafanaServer, database_url: str, configuration: Configuration
) -> None:
    alert = open_alert(database_url)
    await push(server, database_url, configuration)
    requests = server.requests
    decide(database_url, alert, Commented(note="called the hospital"))
    assert await push(server, database_url, configuration) == 1
    assert await push(server, database_url, configuration) == 0
    assert server.requests == requests


async def test_a_merged_alert_goes_and_comes_back(
    server: GrafanaServer, database_url: str, configuration: Configuration
) -> None:
    head, other = open_alert(database_url), open_alert(database_url, rule="ili-rolling")
    await push(server, database_url, configuration)
    decide(database_url, other, Merged(into=head))
    await push(server, database_url, configuration)
    assert shown(server).keys() == {head}
    decide(database_url, other, Reopened())
    await push(server, database_url, configuration)
    assert shown(server) == expected(database_url, configuration)
    assert len(server.annotations) == 2


async def test_a_reopened_alert_is_a_point_again(
    server: GrafanaServer, database_url: str, configuration: Configuration
) -> None:
    alert = open_alert(database_url)
    decide(database_url, alert, Discarded(outcome="false_alarm"))
    await push(server, database_url, configuration)
    assert only(server).time_end > only(server).time
    decide(database_url, alert, Reopened())
    await push(server, database_url, configuration)
    assert only(server).time_end == only(server).time


@pytest.mark.parametrize("outage", ["stopped", "503", "429", "hang", "drop"])
async def test_an_outage_loses_nothing(
    server: GrafanaServer, database_url: str, configuration: Configuration, outage: str
) -> None:
    """However long it lasts: what changes meanwhile is kept, and told once when it is over."""
    first = open_alert(database_url)
    await push(server, database_url, configuration)
    if outage == "stopped":
        server.stop()
    else:
        server.always = outage  # type: ignore[assignment]
    requests, failures = server.requests, 0
    patience = 0.3 if outage == "hang" else 60.0
    async with pushing(server, database_url, configuration, patience=patience) as pusher:
        regions = ["TW-TPE", "TW-TAO", "TW-TXG", "TW-TNN"]
        for turn, region in enumerate(regions):
            open_alert(database_url, region=region, rule="ili-rolling")
            tell(database_url, first, updated(60 + turn))
            with pytest.raises(GrafanaAwayError):
                await pusher.step()
            failures += 1
        assert failures == len(regions)
        assert outage == "stopped" or server.requests > requests
        server.always = "fine"
        if outage == "stopped":
            server.start()
        server.writes.clear()
    async with pushing(server, database_url, configuration) as pusher:
        await pusher.step()
    assert shown(server) == expected(database_url, configuration)
    # Only the newest state of each was sent.
    assert sorted(server.writes) == ["PATCH /annotations/1", *["POST /annotations"] * len(regions)]


def test_after_an_outage_it_is_tried_within_a_minute() -> None:
    longest = Waits().away.after(1000, jitter=0)
    assert longest <= timedelta(minutes=1)


async def test_an_answer_that_got_lost_adds_nothing_twice(
    server: GrafanaServer, database_url: str, configuration: Configuration
) -> None:
    open_alert(database_url)
    server.faults.extend(["fine", "lost"])
    with pytest.raises(GrafanaAwayError):
        await push(server, database_url, configuration)
    assert len(server.annotations) == 1
    await push(server, database_url, configuration)
    assert shown(server) == expected(database_url, configuration)


async def test_one_that_appears_late_is_found_and_removed(
    server: GrafanaServer, database_url: str, configuration: Configuration
) -> None:
    open_alert(database_url)
    server.faults.extend(["fine", "late"])
    server.late_seconds = 0.2
    waits = WAITS._replace(settle=timedelta(seconds=0.5))
    async with pushing(server, database_url, configuration, waits=waits) as pusher:
        with pytest.raises(GrafanaAwayError):
            await pusher.step()
        await pusher.step()
        server.settle()
        assert len(server.annotations) == 2
        await until(pusher.step)
    assert shown(server) == expected(database_url, configuration)


async def test_a_grafana_that_lost_its_annotations_is_told_again(
    server: GrafanaServer, database_url: str, configuration: Configuration
) -> None:
    alert = open_alert(database_url)
    await push(server, database_url, configuration)
    server.forget_annotations()
    tell(database_url, alert, updated())
    await push(server, database_url, configuration)
    assert shown(server) == expected(database_url, configuration)


async def test_rows_that_got_lost_are_no_loss(
    server: GrafanaServer, database_url: str, configuration: Configuration
) -> None:
    alert = open_alert(database_url)
    await push(server, database_url, configuration)
    with psycopg.connect(database_url) as connection:
        connection.execute("DELETE FROM grafana_annotations")
    tell(database_url, alert, updated())
    await push(server, database_url, configuration)
    assert shown(server) == expected(database_url, configuration)
    assert server.writes[-1] == "PATCH /annotations/1"


async def test_more_than_a_hundred_annotations_hide_none(
    server: GrafanaServer, database_url: str, configuration: Configuration
) -> None:
    alert = open_alert(database_url)
    await push(server, database_url, configuration)
    row = server.annotations[1]
    # A hundred and twenty copies, as a faulty program may have left them.
    server.annotations |= {n: {**row, "id": n} for n in range(1000, 1120)}
    with psycopg.connect(database_url) as connection:
        connection.execute("DELETE FROM grafana_annotations")
    tell(database_url, alert, updated())
    await push(server, database_url, configuration)
    assert shown(server) == expected(database_url, configuration)


async def test_a_change_of_time_that_gives_another_id(
    server: GrafanaServer, database_url: str, configuration: Configuration
) -> None:
    server.recreates = True
    alert = open_alert(database_url)
    for change in (ENDED, updated(day=24), ENDED):
        await push(server, database_url, configuration)
        tell(database_url, alert, change)
    await push(server, database_url, configuration)
    assert shown(server) == expected(database_url, configuration)


async def test_two_pushers_share_the_work(
    server: GrafanaServer, database_url: str, configuration: Configuration
) -> None:
    for region in ("TW-TPE", "TW-TAO", "TW-TXG", "TW-TNN", "TW-KHH"):
        for rule in ("ili-week", "ili-rolling", "other"):
            open_alert(database_url, region=region, rule=rule)
    pushed = await asyncio.gather(*(push(server, database_url, configuration) for _ in range(3)))
    assert sum(pushed) == 15
    assert shown(server) == expected(database_url, configuration)


async def test_what_a_dead_worker_held_is_taken_over_when_its_lease_ends(
    server: GrafanaServer, database_url: str, configuration: Configuration
) -> None:
    open_alert(database_url)
    async with AsyncConnectionPool(database_url, min_size=1, max_size=1, open=False) as pool:
        await queue.note_changes(pool)
        held = await queue.take(pool, timedelta(seconds=0.3), WAITS.refused)
        assert held is not None
        assert await push(server, database_url, configuration) == 0
        await until(lambda: push(server, database_url, configuration))
        # The dead one was only slow: what it did does not count any more.
        await queue.finish(
            pool, held[0], version=1, annotation_id=999, content="x", settle=timedelta(0)
        )
    assert rows(database_url, "SELECT annotation_id FROM grafana_annotations") == [(1,)]


async def test_one_that_is_refused_keeps_no_other_waiting(
    server: GrafanaServer, database_url: str, configuration: Configuration
) -> None:
    good, bad = open_alert(database_url), open_alert(database_url, rule="other")
    server.refuses = lambda body: f"alert:{bad}" in body["tags"]
    waits = WAITS._replace(refused=Backoff(3600, 3600))
    async with pushing(server, database_url, configuration, waits=waits) as pusher:
        await pusher.step()
        assert shown(server).keys() == {good}
        assert "text is wrong" in pusher.refused[bad]
        assert await pusher.step() == 0
        # A change of the alert is another chance.
        server.refuses = lambda _: False
        tell(database_url, bad, updated())
        await pusher.step()
        assert not pusher.refused
    assert shown(server) == expected(database_url, configuration)


async def test_a_wrong_token_and_a_missing_right(
    server: GrafanaServer, database_url: str, configuration: Configuration
) -> None:
    alert = open_alert(database_url)
    async with pushing(server, database_url, configuration, token="wrong") as pusher:
        with pytest.raises(GrafanaDeniedError, match="does not know the token"):
            await pusher.step()
    await push(server, database_url, configuration)
    tell(database_url, alert, updated())
    server.forbidden = {("PATCH", "/annotations")}
    with pytest.raises(GrafanaDeniedError, match="may not change annotations"):
        await push(server, database_url, configuration)
    # Newer versions say so of what is gone as well.
    server.forget_annotations()
    await push(server, database_url, configuration)
    assert shown(server) == expected(database_url, configuration)


# -- beside a worker ------------------------------------------------------------------------------


def settings_for(server: GrafanaServer, database: str, **fields: Any) -> Settings:
    known = {"grafana_url": server.url, "grafana_token": TOKEN, "web_url": PAGE}
    return Settings(database=database, **(known | fields))


async def test_it_runs_beside_the_worker_through_an_outage(
    server: GrafanaServer, database_url: str, configuration: Configuration
) -> None:
    async def shows_all() -> bool:
        return shown(server) == expected(database_url, configuration)

    async def requested() -> bool:
        return server.requests > before + 2

    settings_ = settings_for(server, database_url)
    async with running_pusher(settings_, configuration, waits=WAITS):
        alert = open_alert(database_url)
        await until(shows_all)
        server.always = "500"
        tell(database_url, alert, updated())
        before = server.requests
        await until(requested)
        server.always = "fine"
        await until(shows_all)
        assert "60" in only(server).text


async def test_a_grafana_that_hangs_holds_up_neither_start_nor_end(
    server: GrafanaServer, database_url: str, configuration: Configuration
) -> None:
    async def requested() -> bool:
        return server.requests > 0

    server.always = "hang"
    server.hang_seconds = 600.0
    open_alert(database_url)
    async with running_pusher(settings_for(server, database_url), configuration):
        await until(requested)
        # The alert is held, and its row is not locked: whoever changes it goes on.
        tell(database_url, 1, updated())
        assert alert_of(database_url, 1).version == 2


@pytest.mark.parametrize("missing", ["grafana_url", "grafana_token"])
async def test_without_grafana_nothing_is_followed(
    server: GrafanaServer, database_url: str, configuration: Configuration, missing: str
) -> None:
    open_alert(database_url)
    settings_ = settings_for(server, database_url, **{missing: ""})
    async with running_pusher(settings_, configuration, waits=WAITS):
        await asyncio.sleep(0.1)
    assert server.requests == 0
    assert rows(database_url, "SELECT follower FROM alert_followers") == []


# -- any sequence ---------------------------------------------------------------------------------

REGIONS = ("TW-TPE", "TW-TAO")
CHANGES: tuple[Callable[[], Change], ...] = (
    lambda: ENDED,
    lambda: REVISED,
    lambda: updated(61),
    lambda: updated(62, day=17),
)
DECISIONS: tuple[Callable[[], Change], ...] = (
    Verified,
    Monitored,
    lambda: Assessed(likelihood="likely", consequence="major"),
    Confirmed,
    lambda: Closed(outcome="outbreak"),
    lambda: Discarded(outcome="explained"),
    lambda: Merged(into=1),
    Reopened,
    lambda: Commented(note="x"),
)
FAULTS: tuple[Fault, ...] = ("fine", "429", "500", "503", "drop", "lost", "late")

steps = st.lists(
    st.one_of(
        st.tuples(st.just("open"), st.integers(0, 1), st.just(0)),
        st.tuples(st.just("change"), st.integers(0, 3), st.integers(0, len(CHANGES) - 1)),
        st.tuples(st.just("decide"), st.integers(0, 3), st.integers(0, len(DECISIONS) - 1)),
        st.tuples(st.just("fail"), st.integers(0, len(FAULTS) - 1), st.integers(1, 3)),
        st.tuples(st.just("push"), st.just(0), st.just(0)),
        st.tuples(st.just("lose"), st.integers(0, 1), st.just(0)),
    ),
    max_size=14,
)


def do(server: GrafanaServer, database: str, step: tuple[str, int, int]) -> None:
    """What is not possible is left out."""
    what, which, how = step
    ids = [row[0] for row in rows(database, "SELECT alert_id FROM alerts ORDER BY 1")]
    try:
        match what:
            case "open":
                open_alert(database, region=REGIONS[which])
            case "change" if which < len(ids):
                tell(database, ids[which], CHANGES[how]())
            case "decide" if which < len(ids):
                change = DECISIONS[how]()
                if isinstance(change, Merged):
                    change = Merged(into=ids[0])
                decide(database, ids[which], change)
            case "fail":
                server.faults.extend([FAULTS[which]] * how)
            case "lose" if which:
                server.forget_annotations()
            case "lose":
                with psycopg.connect(database) as connection:
                    connection.execute("DELETE FROM grafana_annotations")
    except (FenghuoError, psycopg.errors.UniqueViolation):
        pass


async def play(
    server: GrafanaServer,
    database: str,
    configuration: Configuration,
    played: list[tuple[str, int, int]],
) -> None:
    waits = WAITS._replace(settle=SETTLE)
    async with pushing(server, database, configuration, waits=waits) as pusher:
        for step in played:
            do(server, database, step)
            if step[0] == "push":
                with suppress(GrafanaError):
                    await pusher.step()
        server.faults.clear()
        server.settle()
        if any(step[0] == "lose" for step in played):
            await sync_annotations(
                pusher._grafana, pusher._pool, configuration, pusher,
                web_url=PAGE, overwrite=False, dry_run=False,
            )  # fmt: skip

        async def settled() -> bool:
            await pusher.step()
            doubtful = "SELECT FROM grafana_annotations WHERE doubtful_since IS NOT NULL"
            return not rows(database, doubtful)

        await until(settled)


@given(steps)
@example([("open", 0, 0), ("fail", 0, 1), ("fail", 6, 1), ("push", 0, 0), ("push", 0, 0)])
@example([("open", 0, 0), ("push", 0, 0), ("lose", 1, 0), ("lose", 0, 0)])
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_in_the_end_grafana_shows_each_alert_once_as_it_is(
    server: GrafanaServer,
    database_url: str,
    configuration: Configuration,
    played: list[tuple[str, int, int]],
) -> None:
    empty(database_url)
    server.forget_annotations()
    server.late_seconds = 0.02
    asyncio.run(play(server, database_url, configuration, played))
    assert shown(server) == expected(database_url, configuration)


@pytest.mark.parametrize("broken", ["row", "text"])
async def test_one_alert_that_cannot_be_shown_blocks_no_other(
    database_url: str,
    configuration: Configuration,
    monkeypatch: pytest.MonkeyPatch,
    broken: str,
) -> None:
    shown_one = open_alert(database_url)
    poison = open_alert(database_url, region="TW-KHH")
    if broken == "row":
        with psycopg.connect(database_url) as connection:
            connection.execute("UPDATE alerts SET severity = 'x' WHERE alert_id = %s", (poison,))
    else:

        def failing(alert: Alert, *rest: Any) -> Annotation | None:
            if alert.alert_id == poison:
                raise KeyError(alert.signal)
            return annotation_of(alert, *rest)

        monkeypatch.setattr("streams.grafana.pushing.annotation_of", failing)
    waits = WAITS._replace(refused=Backoff(60, 60))
    with GrafanaServer() as server:
        async with pushing(server, database_url, configuration, waits=waits) as pusher:
            await pusher.step()
        assert list(shown(server)) == [shown_one]
    with psycopg.connect(database_url) as connection:
        (aside,) = list_set_aside(connection)
    assert (aside.queue, aside.example) == ("annotations", f"alert {poison}")
