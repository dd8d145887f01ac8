"""Channels against real servers on loopback."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator

from schemas.alerts import (
    Closed,
    Discarded,
    Ended,
    Escalated,
    Merged,
    Monitored,
    Revised,
    Verified,
)
from schemas.notify import Channel
from streams.demo.receivers import MailReceiver, WebhookReceiver
from streams.errors import ConfigError
from streams.kafka import create_topics
from streams.notify.channels import LazySender, SendError
from streams.notify.channels.mail import parse_mail_url
from streams.notify.channels.payloads import alertmanager_payload
from streams.notify.channels.threads import OneThread
from streams.notify.entries import make_entry
from streams.notify.rendering import Templates
from tests.streams.notify.support import NOW, alert_of, configured, opened
from tests.support.logs import read_topic

if TYPE_CHECKING:
    from collections.abc import Callable
    from email.message import EmailMessage
    from pathlib import Path
    from types import FrameType

    from schemas.alerts import Change
    from streams.notify.message import Message

KEY = "11111111-2222-3333-4444-555555555555"


@pytest.fixture
def message(tmp_path: Path) -> Callable[..., Message]:
    configuration = configured(tmp_path, "  link: https://x.example/alerts/{alert_id}\n")

    def write(*changes: Any, language: Any = "zh", alerts: int = 1) -> Message:
        entries = []
        for number in range(alerts):
            history = alert_of([opened(), *changes], alert_id=12 + number)
            entries.append(
                make_entry(*history, configuration, channel="duty", secret=None, now=NOW)
            )
        return Templates().write(KEY, "duty", language, entries, configuration, digest=alerts > 1)

    return write


async def send(message: Message, url: str, *, kafka: str = "", **options: Any) -> str | None:
    sender = LazySender(Channel(url=url, **options), kafka=kafka)
    try:
        return await sender.send(message)
    finally:
        await sender.close()


def body(mail: EmailMessage, kind: str) -> str:
    part = mail.get_body((kind,))
    assert part is not None
    return str(part.get_content())


@pytest.mark.parametrize(
    ("language", "subject", "text"),
    [
        ("zh", "【警告】臺北市流感样病例：新预警（#12）", "预警阈值"),
        ("en", "[warning] Taipei City, Influenza-like illness: new alert (#12)", "Threshold"),
    ],
)
async def test_mail_as_text_and_html(
    message: Callable[..., Message], language: str, subject: str, text: str
) -> None:
    with MailReceiver() as server:
        assert await send(message(language=language), server.url("a@x.org", "b@x.org")) is None
        (mail,) = server.mails
    assert mail["Subject"] == subject
    assert mail["To"] == "a@x.org, b@x.org"
    assert mail["Message-ID"] == f"<fenghuo.{KEY}@example.org>"
    assert text in body(mail, "plain")
    assert text in body(mail, "html")
    assert "<table" in body(mail, "html")


async def test_a_repeated_mail_is_the_same_mail(message: Callable[..., Message]) -> None:
    with MailReceiver() as server:
        for _ in range(2):
            await send(message(), server.url("a@x.org"))
        assert len({mail["Message-ID"] for mail in server.mails}) == 1


async def test_the_short_form_by_mail(message: Callable[..., Message]) -> None:
    with MailReceiver() as server:
        await send(message(), server.url("a@x.org"), form="short")
        (mail,) = server.mails
    assert not mail.is_multipart()
    assert body(mail, "plain").strip() == message().short


async def test_one_unknown_mailbox_does_not_keep_it_from_the_others(
    message: Callable[..., Message],
) -> None:
    with MailReceiver() as server:
        server.refused_addresses = frozenset({"gone@x.org"})
        remark = await send(message(), server.url("a@x.org", "gone@x.org"))
        assert len(server.mails) == 1
        with pytest.raises(SendError, match="550 no such mailbox"):
            await send(message(), server.url("gone@x.org"))
    assert remark
    assert "550 no such mailbox" in remark


async def test_a_mail_server_that_refuses_or_is_away(message: Callable[..., Message]) -> None:
    with MailReceiver() as server:
        url = server.url("a@x.org")
        server.refuse = "451 try later"
        with pytest.raises(SendError, match="451 try later"):
            await send(message(), url)
    with pytest.raises(SendError, match="ConnectionRefusedError"):
        await send(message(), url)


async def test_mail_is_not_sent_unencrypted_by_default(message: Callable[..., Message]) -> None:
    with MailReceiver() as server:
        with pytest.raises(SendError, match="STARTTLS"):
            await send(message(), server.url("a@x.org").replace("tls=none&", ""))
        assert server.mails == []


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtp://h.example/?from=a@b.c", "goes to nobody"),
        ("smtp://h.example/?from=a&to=b@c.d", "'a' is no mail address"),
        ("smtp:///?from=a@b.c&to=b@c.d", "not understood"),
        ("smtp://h.example/?from=a@b.c&to=b@c.d&tls=maybe", "not understood"),
        ("smtp://h.example/?from=a@b.c&to=b@c.d&cc=x@y.z", "not understood"),
    ],
)
def test_wrong_mail_urls(url: str, expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        parse_mail_url(url)


async def test_the_webhook_gets_texts_alert_and_event(message: Callable[..., Message]) -> None:
    with WebhookReceiver() as server:
        await send(message(), server.url, headers={"Authorization": "Bearer x"})
        (hook,) = server.hooks
    assert hook.key == KEY
    assert hook.headers["Authorization"] == "Bearer x"
    assert hook.body["subject"] == "【警告】臺北市流感样病例：新预警（#12）"
    (entry,) = hook.body["entries"]
    assert entry["event"]["change"]["kind"] == "opened"
    assert entry["alert"]["observed"] == 45
    assert entry["link"] == "https://x.example/alerts/12"
    assert "Taipei" in entry["sentence"]["en"]


@pytest.mark.parametrize("answer", [302, 400, 500])
async def test_a_webhook_that_refuses(message: Callable[..., Message], answer: int) -> None:
    with WebhookReceiver() as server:
        server.answer = answer
        with pytest.raises(SendError, match=f"answers {answer}"):
            await send(message(), server.url)


async def test_a_webhook_that_is_slow_or_away(message: Callable[..., Message]) -> None:
    with WebhookReceiver() as server:
        server.delay = 60.0
        with pytest.raises(SendError, match="no answer within 1 s"):
            await send(message(), server.url, timeout_seconds=1)
        url = server.url
    with pytest.raises(SendError, match="Cannot connect"):
        await send(message(), url)


async def test_apprise(message: Callable[..., Message]) -> None:
    with WebhookReceiver() as server:
        await send(message(), f"json://127.0.0.1:{server.port}/hook")
        await send(message(), f"json://127.0.0.1:{server.port}/hook", form="short")
        full, short = server.hooks
    assert full.key == short.key == KEY
    assert full.body["title"] == "【警告】臺北市流感样病例：新预警（#12）"
    assert "预警阈值：38.2" in full.body["message"]
    assert short.body["message"] == message().short


async def test_what_apprise_complains_of_is_told_without_secrets(
    message: Callable[..., Message],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.DEBUG)
    with WebhookReceiver() as server:
        server.answer = 403
        monkeypatch.setenv("HOOK", f"json://user:hunter22@127.0.0.1:{server.port}/t0psecret")
        with pytest.raises(SendError, match="403") as failed:
            await send(message(), "${HOOK}")
        with pytest.raises(SendError):
            await send(message(), server.url + "/t0psecret")
    for text in (str(failed.value), caplog.text):
        assert "hunter22" not in text
        assert "t0psecret" not in text


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("${NOT_SET_ANYWHERE}", "NOT_SET_ANYWHERE is not set"),
        ("nonsense://k3yk3yk3y", "Unparseable|under"),
    ],
)
async def test_a_channel_that_cannot_be_made_fails(
    message: Callable[..., Message], url: str, expected: str
) -> None:
    with pytest.raises(SendError, match=expected) as failed:
        await send(message(), url)
    assert "k3yk3yk3y" not in str(failed.value)


async def test_kafka(message: Callable[..., Message], kafka: str, fresh_name: str) -> None:
    create_topics(kafka, [fresh_name], partitions=1, replication=1)
    await send(message(), f"kafka:{fresh_name}", kafka=kafka)
    (record,) = read_topic(kafka, fresh_name)
    assert record.key == b"12"
    assert dict(record.headers) == {"idempotency-key": KEY.encode()}
    assert json.loads(record.value)["entries"][0]["alert"]["alert_id"] == 12


async def test_kafka_that_is_away(message: Callable[..., Message]) -> None:
    with pytest.raises(SendError, match=r"Kafka|Unable to bootstrap"):
        await send(message(), "kafka:topic", kafka="127.0.0.1:1", timeout_seconds=1)


#: What Alertmanager documents of the payload of its webhook receivers.
TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
ALERTMANAGER = {
    "type": "object",
    "required": [
        "version", "groupKey", "truncatedAlerts", "status", "receiver", "groupLabels",
        "commonLabels", "commonAnnotations", "externalURL", "alerts",
    ],
    "additionalProperties": False,
    "properties": {
        "version": {"const": "4"},
        "groupKey": {"type": "string"},
        "truncatedAlerts": {"type": "integer"},
        "status": {"enum": ["firing", "resolved"]},
        "receiver": {"type": "string"},
        "groupLabels": TEXTS,
        "commonLabels": TEXTS,
        "commonAnnotations": TEXTS,
        "externalURL": {"type": "string"},
        "alerts": {
            "type": "array",
            "items": {
                "type": "object",
                "required": [
                    "status", "labels", "annotations", "startsAt", "endsAt", "generatorURL",
                    "fingerprint",
                ],
                "additionalProperties": False,
                "properties": {
                    "status": {"enum": ["firing", "resolved"]},
                    "labels": TEXTS,
                    "annotations": TEXTS,
                    "startsAt": {"format": "date-time"},
                    "endsAt": {"format": "date-time"},
                    "generatorURL": {"type": "string"},
                    "fingerprint": {"type": "string", "pattern": "^[0-9a-f]{16}$"},
                },
            },
        },
    },
}  # fmt: skip


async def test_what_alertmanager_would_post(message: Callable[..., Message]) -> None:
    with WebhookReceiver() as server:
        await send(message(), f"alertmanager+{server.url}")
        await send(message(alerts=3), f"alertmanager+{server.url}")
        one, three = (hook.body for hook in server.hooks)
    for payload in (one, three):
        Draft202012Validator(ALERTMANAGER).validate(payload)
    assert one["status"] == "firing"
    assert one["alerts"][0]["endsAt"] == "0001-01-01T00:00:00Z"
    assert one["commonLabels"]["alert_id"] == "12"
    assert "alert_id" not in three["commonLabels"]
    assert three["commonLabels"]["severity"] == "warning"
    assert len({alert["fingerprint"] for alert in three["alerts"]}) == 3


def test_an_alert_that_is_closed_is_resolved(message: Callable[..., Message]) -> None:
    first = alertmanager_payload(message())
    closed = Closed(outcome="outbreak")
    last = alertmanager_payload(message(Verified(), Monitored(), closed))
    assert last["status"] == "resolved"
    assert last["alerts"][0]["endsAt"] == NOW.isoformat()
    assert last["alerts"][0]["fingerprint"] == first["alerts"][0]["fingerprint"]
    assert last["alerts"][0]["labels"] == first["alerts"][0]["labels"]
    # Whoever keeps incidents by group has this one resolved, and no other.
    assert last["groupKey"] == first["groupKey"]
    assert last["groupLabels"] == {"alertname": "FenghuoAlert", "alert_id": "12"}
    together = alertmanager_payload(message(alerts=3))
    assert together["groupKey"] != first["groupKey"]
    assert together["groupLabels"] == {"alertname": "FenghuoAlert"}


@pytest.mark.parametrize(
    ("changes", "status", "event"),
    [
        ((Escalated(after_minutes=15),), "firing", "escalated"),
        ((Revised(before=opened().figures, now=None, as_of=NOW),), "firing", "revised"),
        ((Ended(quiet_since=NOW.date(), as_of=NOW),), "firing", "ended"),
        ((Discarded(outcome="data_error"),), "resolved", "discarded"),
        ((Merged(into=3),), "resolved", "merged"),
    ],
)
def test_alertmanager_is_told_what_happened(
    message: Callable[..., Message], changes: tuple[Change, ...], status: str, event: str
) -> None:
    payload = alertmanager_payload(message(*changes))
    Draft202012Validator(ALERTMANAGER).validate(payload)
    (alert,) = payload["alerts"]
    assert (payload["status"], alert["status"], alert["annotations"]["event"]) == (
        status, status, event,
    )  # fmt: skip
    assert payload["commonAnnotations"]["summary"] in message(*changes).subject


async def test_a_call_that_goes_on_is_not_overtaken() -> None:
    thread, ready = OneThread(), threading.Event()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(thread.run(ready.wait), 0.05)
    assert thread.busy
    with pytest.raises(SendError, match="not ended yet"):
        await thread.run(lambda: None)
    ready.set()
    async with asyncio.timeout(120):
        while thread.busy:  # noqa: ASYNC110 - it ends in another thread
            await asyncio.sleep(0.01)
    assert await thread.run(lambda: 3) == 3


async def test_the_next_call_need_not_wait_for_the_end_of_the_former_ones_thread() -> None:
    # A thread that has given its result is kept from ending, as on a machine that is busy.
    thread, end = OneThread(), threading.Event()

    def hold(frame: FrameType, event: str, _: object) -> None:
        if event == "return" and frame.f_code.co_name == "work":
            end.wait(120)

    threading.setprofile(hold)
    try:
        assert await thread.run(lambda: 1) == 1
        assert await thread.run(lambda: 2) == 2
        assert not thread.busy
    finally:
        threading.setprofile(None)
        end.set()


async def test_an_error_ends_a_call_as_well() -> None:
    thread = OneThread()
    with pytest.raises(ZeroDivisionError):
        await thread.run(lambda: 1 // 0)
    assert not thread.busy
