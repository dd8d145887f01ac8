"""Who sees an alert when: another database connection, a consumer of the topic, the receiver."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import psycopg
from kafka import KafkaConsumer

from benchmarks.outbreaks import SIGNAL
from schemas.alerts import AlertEvent

if TYPE_CHECKING:
    from streams.demo.receivers import WebhookReceiver

__all__ = ["Rows", "Told", "hooked"]

_LOOK = 0.01
#: First moment, in seconds since 1970, by region.
Moments = dict[str, float]


class _Watch(threading.Thread):
    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._ended = threading.Event()

    def stop(self) -> None:
        self._ended.set()
        self.join()


class Rows(_Watch):
    """Looks at the alerts of the outbreaks every 10 ms."""

    def __init__(self, database: str) -> None:
        super().__init__()
        self._connection = psycopg.connect(database, autocommit=True)
        self.opened: Moments = {}
        self.explained: Moments = {}

    def run(self) -> None:
        last, waiting = 0, list[int]()
        while not self._ended.wait(_LOOK):
            rows = self._connection.execute(
                "SELECT alert_id, region, explanation IS NOT NULL FROM alerts "
                "WHERE signal = %s AND (alert_id > %s OR alert_id = ANY(%s))",
                (SIGNAL, last, waiting),
            ).fetchall()
            at = time.time()
            for alert_id, region, explained in rows:
                last = max(last, alert_id)
                self.opened.setdefault(region, at)
                if explained:
                    self.explained.setdefault(region, at)
            waiting = [alert_id for alert_id, _, explained in rows if not explained]

    def stop(self) -> None:
        super().stop()
        self._connection.close()


class Told(_Watch):
    """Reads the topic of alerts."""

    def __init__(self, kafka: str, topic: str) -> None:
        super().__init__()
        self._consumer: Any = KafkaConsumer(
            topic, bootstrap_servers=kafka, auto_offset_reset="earliest"
        )
        self.opened: Moments = {}

    def run(self) -> None:
        while not self._ended.is_set():
            found = self._consumer.poll(timeout_ms=100)
            at = time.time()
            for records in found.values():
                for record in records:
                    # Most events are updates of other alerts; reading them would cost as much as
                    # all else here.
                    if f'"signal":"{SIGNAL}"'.encode() in record.value:
                        event = AlertEvent.model_validate_json(record.value)
                        self.opened.setdefault(getattr(event.change, "region", ""), at)

    def stop(self) -> None:
        super().stop()
        self._consumer.close()


def hooked(receiver: WebhookReceiver) -> tuple[Moments, int]:
    """Return when the webhook was called for each outbreak, and how many calls came twice."""
    found: Moments = {}
    doubled = 0
    for hook in list(receiver.hooks):
        for entry in hook.body["entries"]:
            if entry["alert"]["signal"] == SIGNAL and entry["event"]["change"]["kind"] == "opened":
                doubled += entry["alert"]["region"] in found
                found.setdefault(entry["alert"]["region"], hook.at)
    return found, doubled
