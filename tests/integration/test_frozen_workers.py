"""A worker that freezes inside a transaction holds the others up for seconds, and does no harm."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from tests.support.load import Load, make_load
from tests.support.workers import Worker, make_settings, publish, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from streams.config import Configuration
    from streams.settings import Settings

#: The server ends the frozen transaction after ten seconds; the rest is for a busy machine.
BOUND = 180.0


class Feed:
    """Publishes a load in parts, and tells what has become of it."""

    def __init__(self, settings: Settings, load: Load, connection: psycopg.Connection) -> None:
        self._settings = settings
        self._load = load
        self._connection = connection
        self.published = 0

    def publish(self, part: float) -> None:
        last = min(len(self._load.records), self.published + int(len(self._load.records) * part))
        publish(self._settings, self._load.records[self.published : last])
        self.published = last

    def value(self, query: str, *arguments: object) -> int:
        row = self._connection.execute(query, arguments).fetchone()
        return int(row[0]) if row else 0

    def is_committed(self) -> bool:
        query = "SELECT coalesce(sum(next_offset), 0) FROM stream_offsets"
        return self.value(query) == self.published

    def is_judged(self) -> bool:
        return not self.value(
            "SELECT (SELECT count(*) FROM pending_judgements) "
            "+ (SELECT count(*) FROM pending_spans)"
        )

    def has_batches_of(self, worker: Worker) -> bool:
        return self.value("SELECT count(*) FROM batches WHERE worker = %s", worker.name) > 0

    def flowing(self, condition: Callable[[], bool]) -> Callable[[], bool]:
        """Return the condition; asking for it publishes a little more if nothing waits."""

        def ask() -> bool:
            if self.is_committed():
                self.publish(0.01)
            return condition()

        return ask

    def assert_exact(self) -> None:
        rows = self._connection.execute(
            "SELECT signal, region, stratum, hour, value FROM counts_hourly WHERE value <> 0"
        ).fetchall()
        assert {tuple(row[:4]): row[4] for row in rows} == self._load.counts
        assert self.value("SELECT count(*) FROM dead_letters") == self._load.malformed
        assert self.value("SELECT count(*) FROM event_heads") == self._load.events


def is_frozen(worker: Worker) -> bool:
    state = Path(f"/proc/{worker.pid}/stat").read_text().rpartition(")")[2].split()[0]
    return state == "T"


def test_a_worker_frozen_in_a_transaction_does_not_stop_the_others(
    kafka: str, database_url: str, fresh_name: str, tmp_path: Path, configuration: Configuration
) -> None:
    settings = make_settings(kafka, database_url, fresh_name).model_copy(
        update={"batch_records": 200, "judge_interval": 0.2}
    )
    order = tmp_path / "freeze"
    command = ("-m", "tests.support.freezing_worker", str(order))
    victim = Worker(settings, "victim", tmp_path, command)
    other = Worker(settings, "other", tmp_path)
    with psycopg.connect(database_url, autocommit=True) as connection:
        feed = Feed(settings, make_load(configuration, seed=11, days=3), connection)
        try:
            victim.start()
            other.start()
            both = (victim, other)
            until(feed.flowing(lambda: all(map(feed.has_batches_of, both))), "two workers", victim)
            # Between take_in and COMMIT; and with the lock of judging.
            for statement in ("take_in(", "INSERT INTO verdicts"):
                order.write_text(statement)
                until(feed.flowing(lambda: is_frozen(victim)), "a frozen worker", victim)
                began = time.monotonic()
                feed.publish(0.1)
                until(lambda: feed.is_committed() and feed.is_judged(), "others' progress", other)
                seconds = time.monotonic() - began
                print(f"after {statement}: all done {seconds:.1f} s later")  # noqa: T201
                assert seconds < BOUND
                victim.send(signal.SIGCONT)
                feed.publish(0.05)
                until(feed.is_committed, "what came meanwhile", other)
            feed.publish(1.0)
            until(lambda: feed.is_committed() and feed.is_judged(), "the whole", other)
            assert victim.running, victim.tail()
            assert other.running, other.tail()
            feed.assert_exact()
        finally:
            victim.kill()
            other.kill()
