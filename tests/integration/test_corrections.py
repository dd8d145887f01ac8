"""What sources correct and cancel, from their records to the alert, its topic and the officers."""

from __future__ import annotations

import json
from datetime import date, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from kafka import KafkaConsumer, TopicPartition

from schemas.alerts import AlertEvent, Revised
from streams.alerts.lifecycle import fold
from streams.alerts.small_cells import event_to_tell
from streams.demo.receivers import MailReceiver, WebhookReceiver
from streams.kafka import create_topics
from streams.store.alerts import get_history, list_alerts
from streams.store.roles import WORKER
from tests.support.events import KAOHSIUNG, TAIPEI, visit
from tests.support.roles import signing_in
from tests.support.workers import Worker, make_settings, publish, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from schemas.alerts import Alert
    from streams.settings import Settings

CONFIGURATION = """\
name: corrections
regions: tw
time_zone: Asia/Taipei
event_time: {{max_age_days: 7300}}
signals:
  ili:
    title: {{en: Influenza-like illness, zh: 流感样病例}}
    of: visits
rules:
  day:
    signal: ili
    level: county
    detector: {{type: ears, method: C1}}
    min_cases: 20
    severity: critical
alerts: {{announce_within_days: null}}
notify:
  channels:
    hook: {{url: "{hook}", language: en}}
    mail: {{url: "{mail}", language: zh, form: short}}
  routes:
    all: {{on: [opened, updated, revised], to: [hook, mail]}}
"""
#: The last day, of many visits.
LAST = date(2025, 3, 14)


class Scene:
    """A worker with what it reads, writes and tells."""

    def __init__(
        self, settings: Settings, worker: Worker, hook: WebhookReceiver, mail: MailReceiver
    ) -> None:
        self.settings, self.worker, self.hook, self.mail = settings, worker, hook, mail
        self._connection = psycopg.connect(settings.database, autocommit=True)

    def send(self, *events: dict[str, Any]) -> None:
        records = [("visits", TAIPEI.encode(), json.dumps(event).encode()) for event in events]
        publish(self.settings, records)  # type: ignore[arg-type]

    def alert(self) -> Alert | None:
        found = list_alerts(self._connection)
        assert len(found) <= 1
        return found[0] if found else None

    def history(self) -> list[AlertEvent]:
        return get_history(self._connection, 1)

    def wait(self, condition: Callable[[Alert], bool], what: str) -> Alert:
        def holds() -> bool:
            alert = self.alert()
            return alert is not None and condition(alert)

        until(holds, what, self.worker)
        alert = self.alert()
        assert alert
        return alert

    def told(self, kind: str) -> dict[str, Any]:
        """The webhook's message of an event of this kind."""

        def messages() -> list[dict[str, Any]]:
            return [
                hook.body
                for hook in self.hook.hooks
                if any(entry["event"]["change"]["kind"] == kind for entry in hook.body["entries"])
            ]

        until(lambda: bool(messages()), f"a message of {kind}", self.worker)
        return messages()[-1]

    def mailed(self) -> list[str]:
        return [mail.get_content() for mail in self.mail.mails]

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def scene(database_url: str, kafka: str, fresh_name: str, tmp_path: Path) -> Iterator[Scene]:
    with (
        WebhookReceiver() as hook,
        MailReceiver() as mail,
        signing_in(database_url, WORKER) as database,
    ):
        config = tmp_path / "fenghuo.yaml"
        urls = {"hook": hook.url, "mail": mail.url("duty@example.org")}
        config.write_text(CONFIGURATION.format(**urls), encoding="utf-8")
        settings = make_settings(kafka, database, fresh_name).model_copy(
            update={"config": config, "alerts_topic": f"{fresh_name}-alerts"}
        )
        create_topics(kafka, [], plain=[settings.alerts_topic], partitions=1, replication=1)
        worker = Worker(settings, "worker", tmp_path)
        worker.start()
        scene = Scene(settings, worker, hook, mail)
        try:
            yield scene
        finally:
            worker.kill()
            scene.close()


def visits(day: date, count: int, **changes: Any) -> list[dict[str, Any]]:
    return [
        visit(f"{day}-{i}", occurred_at=f"{day}T09:30:00+08:00", **changes) for i in range(count)
    ]


def test_an_alert_grows_and_vanishes_with_its_records(scene: Scene) -> None:
    before = [LAST - timedelta(days=back) for back in range(1, 12)]
    scene.send(*(event for i, day in enumerate(before) for event in visits(day, 4 + i % 3)))
    scene.send(*visits(LAST, 30))
    alert = scene.wait(lambda alert: alert.observed == 30, "an alert of 30 visits")
    scene.told("opened")

    scene.send(*visits(LAST, 50))  # those of before again, and 20 more
    alert = scene.wait(lambda alert: alert.observed == 50, "an update to 50 visits")
    assert (alert.exceedances, alert.peak) == (1, 50)

    moved = visits(LAST, 15, revision=2, region=KAOHSIUNG)
    cancelled = visits(LAST, 45, revision=2, cancelled=True)[15:]
    scene.send(*moved, *cancelled)
    alert = scene.wait(lambda alert: alert.exceedances == 0, "a correction to 5 visits")
    history = scene.history()
    (revised,) = [event.change for event in history if isinstance(event.change, Revised)]
    was = revised.before.observed
    assert was == alert.observed > 20  # 50, unless the corrections came in two batches
    assert alert.status == "new"
    assert revised.now == alert.revised
    assert revised.now
    assert revised.now.observed == 5
    told = scene.told("revised")
    assert told["subject"] == (
        "[critical] Taipei City, Influenza-like illness: gone after corrections (#1)"
    )
    assert f"5 visits on 14 March 2025 after corrections, not {was:g} as first" in told["text"]
    short = f"臺北市流感样病例：数据更正后不再超阈值，2025-03-14由{was:g}更正为5 #1"
    until(lambda: any(short in text for text in scene.mailed()), "a mail", scene.worker)
    told_events = [event_to_tell(event) for event in history]
    assert on_the_topic(scene.settings, len(history)) == told_events
    assert fold(history) == alert


def on_the_topic(settings: Settings, count: int) -> list[AlertEvent]:
    consumer = KafkaConsumer(bootstrap_servers=settings.kafka, consumer_timeout_ms=20_000)
    partition = TopicPartition(settings.alerts_topic, 0)
    consumer.assign([partition])
    consumer.seek_to_beginning(partition)
    try:
        found = (AlertEvent.model_validate_json(record.value) for record in consumer)
        return list(islice(found, count))
    finally:
        consumer.close()
