"""The promise kept: workers die or freeze at random under load; every event is counted once."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import psycopg
import pytest

from streams.feed.publish import publish_mixed
from streams.kafka import create_topics
from streams.settings import Settings
from tests.conftest import CONFIG
from tests.support.load import Load, make_load
from tests.support.logs import log_ends
from tests.support.workers import Worker

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from streams.config import Configuration


class Dose(NamedTuple):
    """How much a case suffers. Each kind of fault and of record is in either dose."""

    kills: int
    freezes: int
    #: In parts of the full load.
    volume: float
    #: At least.
    records: int


SHORT = Dose(kills=4, freezes=2, volume=0.25, records=50_000)
FULL = Dose(kills=10, freezes=5, volume=1.0, records=200_000)
#: `make soak` sets the variable.
DOSE = FULL if os.environ.get("FENGHUO_TEST_SOAK") else SHORT
FAULTS = DOSE.kills + DOSE.freezes
DAYS = 26
#: Smaller than the producer's lead, larger than a batch.
_CHUNK = int(2_000 * DOSE.volume)
#: The producer keeps this far ahead of the workers, so that each restart meets a backlog.
_AHEAD = int(40_000 * DOSE.volume)
_PATIENCE = 180.0


@pytest.fixture(scope="module")
def load(configuration: Configuration) -> Load:
    load = make_load(configuration, seed=2026, days=DAYS, volume=DOSE.volume)
    assert len(load.records) >= DOSE.records
    return load


class Progress:
    """What the database knows, asked again and again while workers come and go."""

    def __init__(self, database: str) -> None:
        self._connection = psycopg.connect(database, autocommit=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def rows(self, query: str, *arguments: Any) -> list[tuple[Any, ...]]:
        return self._connection.execute(query, arguments).fetchall()

    def value(self, query: str, *arguments: Any) -> Any:
        return self.rows(query, *arguments)[0][0]

    def records(self) -> int:
        return int(self.value("SELECT coalesce(sum(next_offset), 0) FROM stream_offsets"))

    def has_committed(self, worker: str) -> bool:
        return bool(self.rows("SELECT FROM batches WHERE worker = %s LIMIT 1", worker))


class Producer(threading.Thread):
    """Publishes the load while the workers run, always somewhat ahead of them."""

    def __init__(self, settings: Settings, load: Load, database: str) -> None:
        super().__init__(daemon=True)
        self._settings = settings
        self._load = load
        self._database = database
        self.published = 0
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            with Progress(self._database) as progress:
                while self.published < len(self._load.records):
                    if self.published < progress.records() + _AHEAD:
                        self._publish_chunk()
                    else:
                        time.sleep(0.05)
        except BaseException as error:  # noqa: BLE001 - shown by the test
            self.error = error

    def _publish_chunk(self) -> None:
        topics = self._settings.topics
        chunk = self._load.records[self.published : self.published + _CHUNK]
        publish_mixed(
            self._settings.kafka, [(topics[kind], key, value) for kind, key, value in chunk]
        )
        self.published += len(chunk)


def wait_until(
    condition: Callable[[], bool], workers: list[Worker], producer: Producer, what: str
) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        assert producer.error is None, producer.error
        for worker in workers:
            assert worker.running, f"{worker.name} ended by itself:\n{worker.tail()}"
        if time.monotonic() > deadline:
            logs = "\n\n".join(f"{w.name}:\n{w.tail()}" for w in workers)
            pytest.fail(f"{what} did not happen within {_PATIENCE:g} s\n{logs}")
        time.sleep(0.01)


@pytest.mark.parametrize("broker", ["kafka", pytest.param("apache_kafka", marks=pytest.mark.kafka)])
@pytest.mark.parametrize("count", [1, 2], ids=["one-worker", "two-workers"])
def test_kills_and_freezes_lose_nothing_and_double_nothing(
    broker: str,
    count: int,
    load: Load,
    database_url: str,
    fresh_name: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    settings = Settings(
        kafka=request.getfixturevalue(broker),
        database=database_url,
        config=CONFIG,
        group=fresh_name,
        visits_topic=f"{fresh_name}-visits",
        sales_topic=f"{fresh_name}-sales",
        partitions=4,
        session_timeout=2.0,
        batch_records=int(1_000 * DOSE.volume),
        judge_interval=0.5,
        web_port=0,
    )
    create_topics(
        settings.kafka,
        settings.topics.values(),
        plain=[settings.alerts_topic],
        partitions=4,
        replication=1,
    )
    workers = [Worker(settings, f"worker-{number}", tmp_path) for number in range(count)]
    producer = Producer(settings, load, database_url)
    with Progress(database_url) as progress:
        try:
            producer.start()
            shares = kill_at_random(progress, workers, producer, len(load.records))
            wait_until(lambda: not producer.is_alive(), workers, producer, "publishing")
            ends = asyncio.run(log_ends(settings.kafka, settings.topics.values()))
            wait_until(
                lambda: stored_offsets(progress) == ends,
                workers,
                producer,
                "committing everything",
            )
            wait_until(
                lambda: (
                    not progress.value(
                        "SELECT (SELECT count(*) FROM pending_judgements) "
                        "+ (SELECT count(*) FROM pending_spans)"
                    )
                ),
                workers,
                producer,
                "judging everything",
            )
        finally:
            for worker in workers:
                worker.kill()

        assert len(shares) == FAULTS
        assert all(0.02 <= share <= 0.95 for share in shares)
        assert sum(ends.values()) == len(load.records)
        assert_counts_are_exact(progress, load)
        assert_batches_tile_the_logs(progress, ends)
        assert_alerts_are_single(progress)


def kill_at_random(
    progress: Progress, workers: list[Worker], producer: Producer, total: int
) -> list[float]:
    """Kill workers that have committed, freeze each third; return the progress each time."""
    chance = random.Random(f"{len(workers)} workers")
    moments = sorted(chance.uniform(0.03, 0.85) for _ in range(FAULTS))
    started = workers[:1]
    started[0].start()
    shares = []
    for number, moment in enumerate(moments):
        if number == 2 and len(workers) > 1:  # joins in the middle
            started = workers
            workers[1].start()
        wait_until(
            lambda moment=moment: progress.records() >= moment * total,  # type: ignore[misc]
            started,
            producer,
            f"progress of {moment:.0%}",
        )
        order = chance.sample(started, len(started))
        victims: list[Worker] = []

        def a_victim_works(order: list[Worker] = order, victims: list[Worker] = victims) -> bool:
            victims[:] = [worker for worker in order if progress.has_committed(worker.name)]
            return bool(victims)

        wait_until(a_victim_works, started, producer, f"kill {number + 1}")
        time.sleep(chance.uniform(0, 0.05))
        if number % 3 == 1:
            # Frozen, perhaps inside a transaction, and thawed when the group may have lost it.
            victims[0].send(signal.SIGSTOP)
            time.sleep(chance.uniform(0, 4))
            victims[0].send(signal.SIGCONT)
            shares.append(progress.records() / total)
            continue
        victims[0].kill()
        shares.append(progress.records() / total)
        victims[0].start()
    return shares


def stored_offsets(progress: Progress) -> dict[tuple[str, int], int]:
    rows = progress.rows("SELECT topic, partition, next_offset FROM stream_offsets")
    return {(topic, partition): offset for topic, partition, offset in rows}


def assert_counts_are_exact(progress: Progress, load: Load) -> None:
    for source in ("counts_hourly", "recount()", "counts_as_of('infinity')"):
        rows = progress.rows(
            f"SELECT signal, region, stratum, hour, value FROM {source} WHERE value <> 0"
        )
        assert {tuple(row[:4]): row[4] for row in rows} == load.counts, source
        assert len(rows) == len(load.counts), source
    wrong_days = progress.rows(
        "SELECT * FROM (SELECT signal, region, stratum, local_day(hour) AS day, "
        "sum(value) AS value FROM counts_hourly GROUP BY 1, 2, 3, 4) h "
        "FULL JOIN counts_daily d USING (signal, region, stratum, day) "
        "WHERE h.value IS DISTINCT FROM d.value"
    )
    assert not wrong_days
    assert progress.value("SELECT count(*) FROM event_heads") == load.events
    assert not progress.rows(
        "SELECT event_key, revision FROM events GROUP BY 1, 2 HAVING count(*) > 1"
    )
    assert not progress.rows("SELECT * FROM offset_jumps")
    assert progress.value("SELECT count(*) FROM dead_letters") == load.malformed


def assert_batches_tile_the_logs(progress: Progress, ends: dict[tuple[str, int], int]) -> None:
    reached = dict.fromkeys(ends, 0)
    records = 0
    for topic, partition, first, following, size, outcome in progress.rows(
        "SELECT topic, partition, from_offset, next_offset, records, "
        "inserted + replaced + repeated + refused FROM batches ORDER BY from_offset"
    ):
        assert first == reached[topic, partition]
        assert following - first == size == outcome
        reached[topic, partition] = following
        records += size
    assert reached == ends
    assert records == sum(ends.values())


def assert_alerts_are_single(progress: Progress) -> None:
    assert progress.value("SELECT count(*) FROM alerts")
    assert not progress.rows(
        "SELECT signal, region, rule FROM alerts GROUP BY 1, 2, 3 HAVING count(*) > 1"
    )
    assert not progress.rows(
        "SELECT alert_id FROM alerts a JOIN (SELECT alert_id, count(*), max(seq) FROM alert_events "
        "GROUP BY 1) e USING (alert_id) WHERE NOT (a.version = e.count AND e.count = e.max)"
    )
