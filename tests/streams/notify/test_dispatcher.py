"""From the history of alerts to receivers on loopback, with failures in between."""

from __future__ import annotations

import asyncio
import threading
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from schemas.alerts import Explained, Explanation, Verified
from streams.demo.receivers import Hook, MailReceiver, WebhookReceiver
from streams.notify import dispatcher as dispatching_module
from streams.notify.dispatcher import Waits
from streams.notify.entries import make_entry
from streams.notify.limits import Backoff
from streams.notify.routing import FOR_EXPLANATION
from streams.notify.running import open_dispatcher
from streams.store.outbox import forget_sent
from streams.store.outbox_reading import channel_states, list_outbox, retry
from streams.store.pool import open_pool
from tests.streams.notify.support import NOW, change, configured, open_alert, opened
from tests.support.store import rows

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from datetime import datetime
    from pathlib import Path

    from streams.config import Configuration
    from streams.notify.dispatcher import Dispatcher

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def hook() -> Iterator[WebhookReceiver]:
    with WebhookReceiver() as receiver:
        yield receiver


@pytest.fixture
def mail() -> Iterator[MailReceiver]:
    with MailReceiver() as receiver:
        yield receiver


@asynccontextmanager
async def dispatching(
    database: str, configuration: Configuration, clock: Clock
) -> AsyncIterator[Dispatcher]:
    async with open_dispatcher(
        database, "", configuration, clock=clock, waits=Waits(stop=0.1)
    ) as dispatcher:
        yield dispatcher


async def after(dispatcher: Dispatcher, clock: Clock, wait: timedelta) -> None:
    """Let time pass, and the dispatcher do what is due then."""
    clock.now += wait
    await dispatcher.settle()


async def told(dispatcher: Dispatcher, clock: Clock) -> None:
    """Let the dispatcher find new alerts, and have no explanation come for them."""
    await dispatcher.settle()
    await after(dispatcher, clock, FOR_EXPLANATION)


def alerts_of(hook: WebhookReceiver) -> list[int]:
    return [entry["alert"]["alert_id"] for one in hook.hooks for entry in one.body["entries"]]


def states(database: str) -> dict[tuple[int, str], str]:
    with psycopg.connect(database) as connection:
        return {(row.alert_id, row.channel): row.state for row in list_outbox(connection)}


def both(hook: WebhookReceiver, mail: MailReceiver, more: str = "") -> str:
    return f"""\
  channels:
    hook: {{url: "{hook.url}", language: en, timeout_seconds: 20{more}}}
    mail: {{url: "{mail.url("duty@x.org")}", timeout_seconds: 20}}
  routes:
    all: {{to: [hook, mail]}}
"""


async def test_an_alert_reaches_all_channels_once(
    database_url: str, tmp_path: Path, clock: Clock, hook: WebhookReceiver, mail: MailReceiver
) -> None:
    configuration = configured(tmp_path, both(hook, mail))
    open_alert(database_url, 1, severity="critical")
    async with dispatching(database_url, configuration, clock) as dispatcher:
        await told(dispatcher, clock)
        await after(dispatcher, clock, HOUR)
    assert [one.body["subject"] for one in hook.hooks] == [
        "[critical] Taipei City, Influenza-like illness: new alert (#1)"
    ]
    assert [str(one["Subject"]) for one in mail.mails] == ["【严重】臺北市流感样病例：新预警（#1）"]
    assert states(database_url) == {(1, "hook"): "sent", (1, "mail"): "sent"}
    ((place,),) = rows(
        database_url, "SELECT event_id FROM alert_followers WHERE follower = 'notify'"
    )
    assert [(place,)] == rows(database_url, "SELECT max(event_id) FROM alert_events")
    # The next worker finds nothing to do.
    async with dispatching(database_url, configuration, clock) as dispatcher:
        await after(dispatcher, clock, HOUR)
    assert len(hook.hooks) == len(mail.mails) == 1


async def test_news_waits_for_the_explanation_and_no_longer(
    database_url: str, tmp_path: Path, clock: Clock, hook: WebhookReceiver, mail: MailReceiver
) -> None:
    configuration = configured(tmp_path, both(hook, mail))
    open_alert(database_url, 1)
    async with dispatching(database_url, configuration, clock) as dispatcher:
        await dispatcher.settle()
        assert hook.hooks == []
        why = Explanation(
            as_of=NOW,
            period=opened().figures.period,
            excess=24.5,
            growth_per_day=0.1,
            doubling_days=6.9,
            completeness=0.8,
        )
        change(database_url, 1, Explained(explanation=why))
        await dispatcher.settle()
        assert alerts_of(hook) == [1]
        assert "80%" in hook.hooks[0].body["text"]
        open_alert(database_url, 2)
        await told(dispatcher, clock)
    assert alerts_of(hook) == [1, 2]


async def test_an_outage_loses_and_doubles_nothing_and_holds_nobody_up(
    database_url: str, tmp_path: Path, clock: Clock, hook: WebhookReceiver, mail: MailReceiver
) -> None:
    configuration = configured(tmp_path, both(hook, mail))
    hook.answer = 503
    for number in (1, 2, 3):
        open_alert(database_url, number)
    async with dispatching(database_url, configuration, clock) as dispatcher:
        await told(dispatcher, clock)
        assert len(mail.mails) == 3
        assert hook.hooks == []
        assert hook.refusals == 1  # a channel that fails is left alone for a moment
        for _ in range(5):
            await after(dispatcher, clock, MINUTE)
    with psycopg.connect(database_url) as connection:
        (state,) = [one for one in channel_states(connection) if one.channel == "hook"]
    assert (state.waiting, state.failed) == (3, 0)
    assert state.last_error == "answers 503 Service Unavailable"
    hook.answer = 200
    async with dispatching(database_url, configuration, clock) as dispatcher:  # after a restart
        await after(dispatcher, clock, MINUTE)
    assert sorted(alerts_of(hook)) == [1, 2, 3]
    assert len(mail.mails) == 3
    assert set(states(database_url).values()) == {"sent"}


class OddReceiver(MailReceiver):
    """A mail server whose answer cannot be stored."""

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        del server, session, envelope
        return "451 no\0 space"


class OddAnswers(BaseHTTPRequestHandler):
    """Refuses with a body that cannot be stored, and is long."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        body = b"bad \0 gateway \xed\xa0\x80\nx" + b"y" * 1_000_000
        self.send_response(502)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with suppress(OSError):
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving_http(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


async def test_an_answer_that_cannot_be_stored_is_a_failed_attempt_as_any_other(
    database_url: str, tmp_path: Path, clock: Clock
) -> None:
    open_alert(database_url, 1)
    with OddReceiver() as mail, serving_http(OddAnswers) as url:
        configuration = configured(
            tmp_path,
            f"""\
  channels:
    hook: {{url: "{url}/fenghuo"}}
    mail: {{url: "{mail.url("duty@x.org")}"}}
  routes:
    all: {{to: [hook, mail]}}
""",
        )
        async with dispatching(database_url, configuration, clock) as dispatcher:
            await told(dispatcher, clock)
            for _ in range(3):
                await after(dispatcher, clock, timedelta(hours=30))
    with psycopg.connect(database_url) as connection:
        channels = {one.channel: one for one in channel_states(connection)}
    for name, reason in (("hook", "answers 502 Bad Gateway: bad gateway"), ("mail", "no space")):
        assert (channels[name].waiting, channels[name].failed) == (0, 1)
        assert reason in (channels[name].last_error or "")


class HoldingWebhook(WebhookReceiver):
    """A webhook that does not answer for a while."""

    def __init__(self) -> None:
        super().__init__()
        self.released = threading.Event()

    def _receive(self, hook: Hook) -> int:
        self.released.wait(120)
        return super()._receive(hook)


async def test_a_slow_channel_does_not_hold_up_the_others(
    database_url: str, tmp_path: Path, clock: Clock, mail: MailReceiver
) -> None:
    for number in range(1, 4):
        open_alert(database_url, number)
    with HoldingWebhook() as hook:
        patient = both(hook, mail).replace("seconds: 20", "seconds: 300")
        configuration = configured(tmp_path, patient)
        async with dispatching(database_url, configuration, clock) as dispatcher:
            await dispatcher.step()
            clock.now += FOR_EXPLANATION
            await dispatcher.step()
            async with asyncio.timeout(60):
                while len(mail.mails) < 3:  # noqa: ASYNC110 - it is filled by another thread
                    await asyncio.sleep(0.01)
            assert hook.hooks == []
            hook.released.set()
            await dispatcher.settle()
    assert sorted(alerts_of(hook)) == [1, 2, 3]


class HoldingReceiver(MailReceiver):
    """A mail server that does not answer for a while."""

    held = True

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        while self.held:  # noqa: ASYNC110 - set by another thread
            await asyncio.sleep(0.01)
        return await super().handle_DATA(server, session, envelope)


async def test_messages_wait_at_no_cost_for_an_attempt_that_has_not_ended(
    database_url: str,
    tmp_path: Path,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    counts = "SELECT attempts FROM notification_deliveries ORDER BY formed_no"
    with HoldingReceiver() as mail:
        configuration = configured(
            tmp_path,
            f"""\
  channels:
    mail: {{url: "{mail.url("duty@x.org")}", timeout_seconds: 300}}
  routes:
    all: {{to: mail}}
""",
        )
        open_alert(database_url, 1)
        open_alert(database_url, 2)
        async with dispatching(database_url, configuration, clock) as dispatcher:
            with monkeypatch.context() as patched:
                patched.setattr(dispatching_module, "_ANSWERS", 0.001)  # gives up after 0.3 s
                await told(dispatcher, clock)
                for _ in range(5):
                    await after(dispatcher, clock, MINUTE)
            assert rows(database_url, counts) == [(1,), (0,)]
            with psycopg.connect(database_url) as connection:
                (state,) = channel_states(connection)
            assert (state.waiting, state.failures) == (2, 1)
            assert state.last_error == "not done within 0.3 s"
            assert caplog.text.count("messages wait for an attempt that has not ended") == 1
            mail.held = False
            async with asyncio.timeout(120):
                while dispatcher._senders["mail"].busy:  # noqa: ASYNC110 - it ends in a thread
                    await asyncio.sleep(0.01)
            await after(dispatcher, clock, MINUTE)
        assert rows(database_url, counts) == [(2,), (1,)]
        assert set(states(database_url).values()) == {"sent"}
        # The first has come by both attempts, and can be told.
        assert len(mail.mails) == 3
        assert len({one["Message-ID"] for one in mail.mails}) == 2


async def test_one_refused_message_does_not_hold_up_the_others_of_its_channel(
    database_url: str, tmp_path: Path, clock: Clock, hook: WebhookReceiver, mail: MailReceiver
) -> None:
    configuration = configured(tmp_path, both(hook, mail))
    hook.answer = 400
    open_alert(database_url, 1)
    async with dispatching(database_url, configuration, clock) as dispatcher:
        await told(dispatcher, clock)
        for _ in range(6):
            await after(dispatcher, clock, MINUTE)  # its next attempt is minutes away by now
        hook.answer = 200
        open_alert(database_url, 2)
        await told(dispatcher, clock)
        await after(dispatcher, clock, MINUTE)
    assert sorted(alerts_of(hook)) == [1, 2]
    assert len({one.key for one in hook.hooks}) == 2


async def test_a_worker_that_dies_while_sending(
    database_url: str, tmp_path: Path, clock: Clock, hook: WebhookReceiver, mail: MailReceiver
) -> None:
    configuration = configured(tmp_path, both(hook, mail))
    open_alert(database_url, 1)
    async with dispatching(database_url, configuration, clock) as dispatcher:

        async def nothing(*_: Any, **__: Any) -> None:
            raise asyncio.CancelledError

        await dispatcher.step()
        clock.now += FOR_EXPLANATION
        dispatcher._arrived = nothing  # type: ignore[method-assign] # sent, and not noted
        await dispatcher.step()
        await asyncio.gather(*dispatcher._lanes.values(), return_exceptions=True)
    assert len(hook.hooks) == 1
    assert set(states(database_url).values()) == {"waiting"}
    async with dispatching(database_url, configuration, clock) as dispatcher:
        await after(dispatcher, clock, SECOND)
        assert len(hook.hooks) == 1  # it may still be under way
        change(database_url, 1, Verified(), actor="li")
        await after(dispatcher, clock, 5 * MINUTE)
    # Receivers can tell that it is the same message.
    first, second = hook.hooks
    assert first.key == second.key
    assert first.body == second.body
    assert len({one["Message-ID"] for one in mail.mails}) == 1


async def test_two_workers_send_each_message_once(
    database_url: str, tmp_path: Path, clock: Clock, hook: WebhookReceiver, mail: MailReceiver
) -> None:
    configuration = configured(tmp_path, both(hook, mail, ", rate_per_minute: null"))
    for number in range(1, 31):
        open_alert(database_url, number)
    async with (
        dispatching(database_url, configuration, clock) as one,
        dispatching(database_url, configuration, clock) as other,
    ):
        await asyncio.gather(one.settle(), other.settle())
        clock.now += FOR_EXPLANATION
        await asyncio.gather(one.settle(), other.settle())
        await asyncio.gather(one.settle(), other.settle())
    assert sorted(alerts_of(hook)) == list(range(1, 31))
    # Of the mails, those above the rate are in one.
    assert len(mail.mails) == 20


async def test_what_exceeds_the_rate_comes_together(
    database_url: str, tmp_path: Path, clock: Clock, hook: WebhookReceiver, mail: MailReceiver
) -> None:
    configuration = configured(tmp_path, both(hook, mail, ", rate_per_minute: 3"))
    for number in range(1, 11):
        open_alert(database_url, number, severity="critical" if number == 9 else "warning")
    async with dispatching(database_url, configuration, clock) as dispatcher:
        await told(dispatcher, clock)
        assert [len(one.body["entries"]) for one in hook.hooks] == [1, 1, 8]
        assert hook.hooks[0].body["entries"][0]["alert"]["alert_id"] == 9
        assert hook.hooks[2].body["digest"]
        open_alert(database_url, 11)
        await after(dispatcher, clock, 10 * SECOND)
        await after(dispatcher, clock, 10 * SECOND)
        assert len(hook.hooks) == 3
        await after(dispatcher, clock, MINUTE)
    assert sorted(alerts_of(hook)) == list(range(1, 12))


async def test_quiet_hours_and_digest(
    database_url: str, tmp_path: Path, clock: Clock, hook: WebhookReceiver
) -> None:
    configuration = configured(
        tmp_path,
        f"""\
  channels:
    hook: {{url: "{hook.url}", quiet_hours: {{from: 09:30, to: 14:00}}}}
  routes:
    now: {{severities: [critical, warning], to: hook}}
    low: {{severities: [info], to: hook, digest: [16:00]}}
""",
    )
    async with dispatching(database_url, configuration, clock) as dispatcher:
        clock.now += HOUR  # 10:00
        for number, severity in enumerate(("warning", "critical", "info", "info"), 1):
            open_alert(database_url, number, severity=severity)
        await told(dispatcher, clock)
        assert alerts_of(hook) == [2]
        with psycopg.connect(database_url) as connection:
            assert {(r.alert_id, r.state) for r in list_outbox(connection, state="waiting")} == {
                (1, "waiting"), (3, "waiting"), (4, "waiting"),
            }  # fmt: skip
        await after(dispatcher, clock, 4 * HOUR)
        assert alerts_of(hook) == [2, 1]
        change(database_url, 3, Verified(), actor="li")
        await after(dispatcher, clock, 2 * HOUR)
    assert alerts_of(hook) == [2, 1, 3, 4]
    digest = hook.hooks[-1].body
    assert digest["subject"] == "预警汇总：2 条（提示 2）"
    # It tells how things stand when it is sent.
    assert "核实中" in digest["text"]


async def test_given_up_and_tried_again(
    database_url: str, tmp_path: Path, clock: Clock, hook: WebhookReceiver, mail: MailReceiver
) -> None:
    configuration = configured(tmp_path, "  give_up_after_hours: 1\n" + both(hook, mail))
    hook.answer = 410
    open_alert(database_url, 1)
    async with dispatching(database_url, configuration, clock) as dispatcher:
        await told(dispatcher, clock)
        for _ in range(8):
            await after(dispatcher, clock, 16 * MINUTE)
        assert states(database_url)[1, "hook"] == "failed"
        refusals = hook.refusals
        await after(dispatcher, clock, 24 * HOUR)
        assert hook.refusals == refusals
        with psycopg.connect(database_url) as connection:
            assert [one.failed for one in channel_states(connection)] == [1, 0]
            assert retry(connection, channel="mail") == 0
            assert retry(connection) == 1
            # By the database's clock, of which the test's knows nothing.
            connection.execute("UPDATE notification_deliveries SET next_attempt_at = %s", (NOW,))
        hook.answer = 200
        await dispatcher.settle()
    assert alerts_of(hook) == [1]
    assert len(mail.mails) == 1


async def test_what_is_sent_keeps_its_text_in_the_outbox(
    database_url: str, tmp_path: Path, clock: Clock, hook: WebhookReceiver, mail: MailReceiver
) -> None:
    open_alert(database_url, 1)
    configuration = configured(tmp_path, both(hook, mail))
    async with dispatching(database_url, configuration, clock) as dispatcher:
        await told(dispatcher, clock)
    for (message,) in rows(database_url, "SELECT message FROM notification_deliveries"):
        assert "#1" in message["text"]
        assert "entries" not in message


async def test_what_was_sent_long_ago_is_forgotten_and_nothing_else(
    database_url: str, tmp_path: Path, clock: Clock, hook: WebhookReceiver, mail: MailReceiver
) -> None:
    configuration = configured(tmp_path, both(hook, mail))
    for number in (1, 2, 3):
        open_alert(database_url, number)
    async with dispatching(database_url, configuration, clock) as dispatcher:
        await told(dispatcher, clock)
        hook.answer = 500
        open_alert(database_url, 4)
        await told(dispatcher, clock)
        await after(dispatcher, clock, 25 * HOUR)
    sent = {(n, channel): "sent" for n in (1, 2, 3) for channel in ("hook", "mail")}
    assert states(database_url) == {**sent, (4, "hook"): "failed", (4, "mail"): "sent"}
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "UPDATE notification_deliveries SET sent_at = clock_timestamp() - interval '89 days' "
            "- CASE WHEN delivery_id IN (SELECT delivery_id FROM notifications WHERE alert_id = 1) "
            "THEN interval '2 days' ELSE interval '0' END WHERE state = 'sent'"
        )
        connection.execute(
            "UPDATE notification_deliveries SET formed_at = formed_at - interval '1 year', "
            "first_attempt_at = first_attempt_at - interval '1 year' WHERE state = 'failed'"
        )
    open_alert(database_url, 5)  # nobody is told yet
    async with open_pool(database_url, size=1) as pool:
        assert await forget_sent(pool, timedelta(days=90)) == 2
        assert await forget_sent(pool, timedelta(days=90)) == 0
    del sent[1, "hook"], sent[1, "mail"]
    assert states(database_url) == {**sent, (4, "hook"): "failed", (4, "mail"): "sent"}
    assert rows(database_url, "SELECT count(*) FROM notification_deliveries") == [(6,)]
    hooks, mails = len(hook.hooks), len(mail.mails)
    hook.answer = 200
    async with dispatching(database_url, configuration, clock) as dispatcher:
        await told(dispatcher, clock)
        await after(dispatcher, clock, HOUR)
    assert (len(hook.hooks), len(mail.mails)) == (hooks + 1, mails + 1)  # of alert 5


async def test_a_database_that_goes_away_is_waited_for(
    database_url: str, tmp_path: Path, hook: WebhookReceiver, mail: MailReceiver
) -> None:
    configuration = configured(tmp_path, both(hook, mail))
    waits = Waits(look=0.05, retry=Backoff(0.1, 0.2), pause=Backoff(0.1, 0.2), stop=1)
    async with open_dispatcher(database_url, "", configuration, waits=waits) as dispatcher:
        running = asyncio.create_task(dispatcher.run())
        try:
            await _terminate(database_url)
            open_alert(database_url, 1)
            for _ in range(10):
                await _terminate(database_url)
                await asyncio.sleep(0.3)
            async with asyncio.timeout(120):
                while not (hook.hooks and mail.mails):  # noqa: ASYNC110 - filled by other threads
                    await asyncio.sleep(0.05)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
    assert {one.key for one in hook.hooks} == {hook.hooks[0].key}


async def _terminate(database: str) -> None:
    """End all other connections."""
    query = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    await asyncio.to_thread(rows, database, query)


@pytest.mark.parametrize("digest", [False, True])
async def test_a_message_that_cannot_be_written_blocks_no_other(
    database_url: str,
    tmp_path: Path,
    clock: Clock,
    hook: WebhookReceiver,
    mail: MailReceiver,
    monkeypatch: pytest.MonkeyPatch,
    *,
    digest: bool,
) -> None:
    # With one message a minute both alerts come in one digest.
    more = ", rate_per_minute: 1" if digest else ""
    configuration = configured(tmp_path, both(hook, mail, more))
    open_alert(database_url, 1, severity="critical")
    open_alert(database_url, 2, severity="critical")

    def failing(event: Any, alert: Any, *rest: Any, **options: Any) -> Any:
        if alert.alert_id == 1:
            raise ValueError("no such signal")
        return make_entry(event, alert, *rest, **options)

    monkeypatch.setattr("streams.notify.composing.make_entry", failing)
    async with dispatching(database_url, configuration, clock) as dispatcher:
        await told(dispatcher, clock)
        await after(dispatcher, clock, MINUTE)
        assert alerts_of(hook) == [2]
        with psycopg.connect(database_url) as connection:
            (state,) = [one for one in channel_states(connection) if one.channel == "hook"]
        assert state.waiting == 1
        assert state.last_error == "cannot be written: ValueError: no such signal"
        monkeypatch.undo()
        await after(dispatcher, clock, HOUR)
    assert alerts_of(hook) == [2, 1]
