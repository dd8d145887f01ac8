"""Messages about one alert arrive in the order of its events, whatever fails in between."""

from __future__ import annotations

import random
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg_pool import AsyncConnectionPool

from schemas.alerts import (
    SYSTEM,
    Absorbed,
    Change,
    Commented,
    Discarded,
    Ended,
    Explained,
    Explanation,
    Figures,
    Merged,
    Resumed,
    Updated,
)
from streams.notify.channels import SendError
from streams.notify.dispatcher import Dispatcher, Waits
from streams.notify.limits import Backoff
from streams.notify.rendering import Templates
from streams.notify.routing import FOR_EXPLANATION
from streams.store.outbox_reading import list_outbox, retry
from tests.streams.notify.support import NOW, change, configured, open_alert
from tests.support.store import rows

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from datetime import datetime
    from pathlib import Path

    from streams.config import Configuration
    from streams.notify.message import Message
    from streams.store.deliveries import Taken

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
ALL = "[opened, resumed, ended, updated, absorbed, commented]"


class Receiver:
    """Takes messages of one channel; what it is told to do with them, it does."""

    def __init__(self) -> None:
        self.arrived: list[Message] = []
        #: What becomes of the next messages: accepted when there is nothing.
        self.faults: list[str] = []
        self.busy = False

    async def send(self, message: Message) -> str | None:
        fault = self.faults.pop(0) if self.faults else ""
        if fault != "refused":
            self.arrived.append(message)
        if fault == "dies":
            raise RuntimeError("the worker dies here")
        if fault:
            raise SendError(fault)
        return None

    async def close(self) -> None:
        """Nothing is held."""

    def seqs(self, alert_id: int) -> list[list[int]]:
        """The numbers of an alert's events in each message that tells of it."""
        found = (
            [entry.event.seq for entry in one.entries if entry.event.alert_id == alert_id]
            for one in self.arrived
        )
        return [seqs for seqs in found if seqs]

    def subjects(self) -> list[str]:
        return [one.subject.partition(": ")[2] for one in self.arrived]


class _Dying(Dispatcher):
    """A dispatcher whose worker is gone before it can note what became of a message."""

    async def _failed(self, name: str, taken: Taken, reason: str, pause: Backoff | None) -> None:
        if "dies here" not in reason:
            await super()._failed(name, taken, reason, pause)


class World:
    """A clock, receivers, and dispatchers that come and go."""

    def __init__(self, database: str, configuration: Configuration) -> None:
        self.database = database
        self.configuration = configuration
        self.now = NOW
        self.receivers = {name: Receiver() for name in configuration.surveillance.notify.channels}

    def clock(self) -> datetime:
        return self.now

    @asynccontextmanager
    async def dispatcher(self) -> AsyncIterator[Dispatcher]:
        async with AsyncConnectionPool(
            self.database, min_size=1, max_size=3, open=False, kwargs={"autocommit": True}
        ) as pool:
            yield _Dying(
                pool,
                self.configuration,
                self.receivers,
                templates=Templates(None),
                waits=Waits(stop=0.1, retry=Backoff(5, 900), pause=Backoff(2, 60)),
                clock=self.clock,
            )


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> World:
    return World(database_url, configured(tmp_path, _notify(ALL)))


def _notify(on: str, more: str = "", routes: str = "") -> str:
    return (
        "  channels:\n"
        f'    a: {{url: "https://x.example/a", language: en, rate_per_minute: null{more}}}\n'
        f"  routes:\n    all: {{to: [a], on: {on}}}\n{routes}"
    )


def _figures(observed: float = 60) -> Figures:
    return Figures(period=NOW.date(), observed=observed, expected=20.5, upper=38.25)


def resumed() -> Resumed:
    figures = _figures()
    return Resumed(
        exceedances=2,
        peak=60,
        figures=figures,
        first_period=figures.period,
        detector={"type": "ears", "method": "C2"},
        config_version="abc",
        as_of=NOW,
    )


def ended() -> Ended:
    return Ended(quiet_since=NOW.date(), as_of=NOW)


def explained() -> Explained:
    return Explained(
        explanation=Explanation(
            period=NOW.date(),
            as_of=NOW,
            excess=40,
            growth_per_day=None,
            doubling_days=None,
            completeness=1,
        )
    )


async def after(world: World, dispatcher: Dispatcher, wait: timedelta) -> None:
    world.now += wait
    await dispatcher.settle()


def in_order(receiver: Receiver, alert_id: int) -> None:
    """Each message goes on where the one before ended, or repeats it; none goes back."""
    told = receiver.seqs(alert_id)
    assert all(seqs == sorted(seqs) for seqs in told), told
    last = [seqs[-1] for seqs in told]
    assert last == sorted(last), told


async def test_an_alert_that_opens_and_ends_in_one_run(world: World) -> None:
    open_alert(world.database, 1)
    change(world.database, 1, ended())
    async with world.dispatcher() as dispatcher:
        await dispatcher.settle()
        await after(world, dispatcher, SECOND)
        change(world.database, 1, explained())
        await after(world, dispatcher, SECOND)
        # Another run: above the threshold again, and over.
        change(world.database, 1, resumed())
        change(world.database, 1, ended())
        await dispatcher.settle()
        await after(world, dispatcher, FOR_EXPLANATION)
    in_order(world.receivers["a"], 1)
    assert world.receivers["a"].subjects() == [
        "new alert; exceedances have ended, closing is proposed (#1)",
        "above the threshold again; exceedances have ended, closing is proposed (#1)",
    ]


async def test_the_last_word_is_the_latest_event(world: World) -> None:
    """What happened twice is named where it happened last."""
    open_alert(world.database, 1)
    for one in (ended(), resumed(), ended(), resumed()):
        change(world.database, 1, one)
    async with world.dispatcher() as dispatcher:
        await dispatcher.settle()
        await after(world, dispatcher, FOR_EXPLANATION)
    (subject,) = world.receivers["a"].subjects()
    assert subject.endswith("; above the threshold again (#1)")


async def test_a_message_that_is_refused_does_not_hold_back_what_follows(world: World) -> None:
    """What came later goes out at once, together with what has not arrived."""
    receiver = world.receivers["a"]
    open_alert(world.database, 1)
    async with world.dispatcher() as dispatcher:
        await dispatcher.settle()
        receiver.faults = ["refused"] * 8
        for _ in range(8):
            await after(world, dispatcher, 16 * MINUTE)
        assert receiver.arrived == []
        change(world.database, 1, ended())
        await after(world, dispatcher, MINUTE)
    assert receiver.seqs(1) == [[1, 2]]


async def test_a_later_message_waits_for_the_one_in_flight(world: World) -> None:
    """Also for one whose worker is dead, until its lease has run out."""
    receiver = world.receivers["a"]
    open_alert(world.database, 1)
    open_alert(world.database, 2)
    async with world.dispatcher() as dispatcher:
        await dispatcher.settle()
        receiver.faults = ["dies"]
        await after(world, dispatcher, FOR_EXPLANATION)
    change(world.database, 1, ended())
    change(world.database, 2, ended())
    async with world.dispatcher() as dispatcher:
        await dispatcher.settle()
        # The other alert's message goes out meanwhile.
        assert [one for one in receiver.seqs(2) if 2 in one]
        assert receiver.seqs(1) == [[1]]
        await after(world, dispatcher, 10 * MINUTE)
    # The same message first, with the same key, in case that it has arrived.
    assert receiver.seqs(1) == [[1], [1], [2]]
    keys = [one.key for one in receiver.arrived if one.entries[0].event.alert_id == 1]
    assert keys[0] == keys[1] != keys[2]


async def test_what_was_given_up_tells_what_was_told_since(world: World) -> None:
    receiver = world.receivers["a"]
    open_alert(world.database, 1)
    async with world.dispatcher() as dispatcher:
        await dispatcher.settle()
        receiver.faults = ["refused"] * 200
        for _ in range(120):
            await after(world, dispatcher, 16 * MINUTE)
        with psycopg.connect(world.database) as connection:
            assert {row.state for row in list_outbox(connection)} == {"failed"}
        receiver.faults = []
        change(world.database, 1, ended())
        await after(world, dispatcher, HOUR)
        assert receiver.seqs(1) == [[2]]
        with psycopg.connect(world.database) as connection:
            assert retry(connection) == 1
            _by_the_clock_of(world, connection)
        await after(world, dispatcher, HOUR)
    assert receiver.seqs(1) == [[2], [1, 2]]
    in_order(receiver, 1)


async def test_a_grave_message_takes_what_is_held_with_it(
    database_url: str, tmp_path: Path
) -> None:
    """What waits for the end of the night is told before what does not wait."""
    night = ', quiet_hours: {from: "00:00", to: "23:00"}'
    world = World(database_url, configured(tmp_path, _notify(ALL, night)))
    open_alert(database_url, 1)
    open_alert(database_url, 2)
    async with world.dispatcher() as dispatcher:
        await after(world, dispatcher, HOUR)
        assert world.receivers["a"].arrived == []
        change(database_url, 1, Absorbed(alert=9, severity="critical", raised_from="warning"))
        await after(world, dispatcher, SECOND)
    assert world.receivers["a"].seqs(1) == [[1, 2]]
    assert world.receivers["a"].seqs(2) == []


async def test_a_digest_does_not_bring_old_news(database_url: str, tmp_path: Path) -> None:
    """What waits for a digest goes with a message of its own that overtakes it."""
    routes = '    later: {to: [a], on: [commented], digest: ["18:00"]}\n'
    world = World(database_url, configured(tmp_path, _notify("[opened, ended]", routes=routes)))
    open_alert(database_url, 1)
    change(database_url, 1, Commented(note="called the clinic"), actor="li")
    open_alert(database_url, 2)
    change(database_url, 2, Commented(note="called as well"), actor="li")
    async with world.dispatcher() as dispatcher:
        await dispatcher.settle()
        await after(world, dispatcher, MINUTE)
        change(database_url, 1, ended())
        await after(world, dispatcher, MINUTE)
        assert world.receivers["a"].seqs(1) == [[1], [2, 3]]
        assert "called the clinic" in world.receivers["a"].arrived[-1].text
        await after(world, dispatcher, 24 * HOUR)
    assert world.receivers["a"].seqs(1) == [[1], [2, 3]]
    assert world.receivers["a"].seqs(2) == [[1], [2]]


@pytest.mark.parametrize("seed", range(10))
async def test_whatever_happens(database_url: str, tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    night = ', quiet_hours: {from: "22:00", to: "07:00"}' if draw.random() < 0.5 else ""
    routes = "    later: {to: [a], on: [commented, updated], digest_every_minutes: 30}\n"
    on = draw.choice([ALL, "[opened, resumed, ended, absorbed]"])
    world = World(database_url, configured(tmp_path, _notify(on, night, routes)))
    receiver = world.receivers["a"]
    if draw.random() < 0.3:
        channel = world.configuration.surveillance.notify.channels["a"]
        object.__setattr__(channel, "rate_per_minute", 2)
    version = dict.fromkeys((1, 2, 3), 0)
    critical: set[int] = set()
    for _ in range(12):
        async with world.dispatcher() as dispatcher:
            for _ in range(draw.randrange(4)):
                _happens(draw, database_url, version, critical)
            receiver.faults = [
                draw.choice(["", "", "refused", "refused", "answered late", "dies"])
                for _ in range(draw.randrange(4))
            ]
            for _ in range(draw.randrange(1, 4)):
                wait = draw.choice([0 * SECOND, SECOND, 5 * SECOND, MINUTE, 20 * MINUTE, 9 * HOUR])
                await after(world, dispatcher, wait)
        for alert_id in version:
            in_order(receiver, alert_id)
    receiver.faults = []
    async with world.dispatcher() as dispatcher:
        for _ in range(40):
            await after(world, dispatcher, 20 * MINUTE)
        with psycopg.connect(database_url) as connection:
            retry(connection)
            _by_the_clock_of(world, connection)
        for _ in range(40):
            await after(world, dispatcher, 20 * MINUTE)
    wanted = rows(database_url, "SELECT alert_id, seq FROM notifications ORDER BY 1, 2")
    told = {(alert, seq) for alert in version for one in receiver.seqs(alert) for seq in one}
    assert told == set(wanted)
    for alert_id in version:
        in_order(receiver, alert_id)


def _happens(
    draw: random.Random, database: str, version: dict[int, int], critical: set[int]
) -> None:
    """Have one of the alerts change."""
    alert_id = draw.choice(list(version))
    for one in _changes(draw, alert_id, version, critical):
        if one is None:
            open_alert(database, alert_id)
        else:
            by = "li" if isinstance(one, Commented) else SYSTEM
            change(database, alert_id, one, actor=by)
        version[alert_id] += 1


def _changes(
    draw: random.Random, alert_id: int, version: dict[int, int], critical: set[int]
) -> Iterable[Change | None]:
    """What one transaction does to an alert; None: it opens."""
    if not version[alert_id]:
        yield None
    for _ in range(draw.randrange(3)):
        kind = draw.randrange(6)
        if kind == 0:
            yield ended()
        elif kind == 1:
            yield resumed()
        elif kind == 2:
            yield explained()
        elif kind == 3:
            yield Commented(note=f"note {draw.random()}")
        elif kind == 4 and alert_id not in critical:
            critical.add(alert_id)
            yield Absorbed(alert=9, severity="critical", raised_from="warning")
        else:
            yield Updated(**resumed().model_dump(exclude={"kind"}))


def _by_the_clock_of(world: World, connection: psycopg.Connection) -> None:
    """`retry` goes by the database's clock, of which the test's knows nothing."""
    connection.execute("UPDATE notification_deliveries SET next_attempt_at = %s", (world.now,))


async def test_a_message_says_what_does_not_hold_any_more(
    database_url: str, tmp_path: Path
) -> None:
    """Routes that leave the end out hear of it in what comes late."""
    night = ', quiet_hours: {from: "00:00", to: "23:00"}'
    world = World(database_url, configured(tmp_path, _notify("[opened]", night)))
    open_alert(database_url, 1)
    open_alert(database_url, 2)
    open_alert(database_url, 3)
    async with world.dispatcher() as dispatcher:
        await after(world, dispatcher, HOUR)
        change(database_url, 1, ended())
        change(database_url, 2, Merged(into=1), actor="li")
        change(database_url, 3, Discarded(outcome="false_alarm", note="no"), actor="li")
        await after(world, dispatcher, 24 * HOUR)
    assert sorted(world.receivers["a"].subjects()) == [
        "new alert, but exceedances have ended by now (#1)",
        "new alert, by now discarded (#3)",
        "new alert, by now merged into #1 (#2)",
    ]
