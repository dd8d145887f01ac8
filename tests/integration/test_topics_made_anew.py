"""Topics are deleted and made anew, with longer logs: nothing of the new logs is passed over."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import psycopg
import pytest
from kafka.admin import KafkaAdminClient

from streams.feed.publish import publish_mixed
from streams.kafka import create_topics, topic_ids
from streams.settings import Settings
from tests.conftest import CONFIG
from tests.support.load import Load, make_load
from tests.support.workers import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from schemas.events import EventKind
    from streams.config import Configuration

_PATIENCE = 90.0


@pytest.fixture(scope="module")
def load(configuration: Configuration) -> Load:
    return make_load(configuration, seed=11, days=3)


@pytest.fixture
def settings(request: pytest.FixtureRequest, database_url: str, fresh_name: str) -> Settings:
    settings = Settings(
        kafka=request.getfixturevalue(request.param),
        database=database_url,
        config=CONFIG,
        group=fresh_name,
        visits_topic=f"{fresh_name}-visits",
        sales_topic=f"{fresh_name}-sales",
        session_timeout=2.0,
        batch_records=500,
        web_port=0,
    )
    make_topics(settings)
    return settings


@pytest.fixture
def worker(settings: Settings, tmp_path: Path) -> Iterator[Worker]:
    worker = Worker(settings, "worker", tmp_path)
    yield worker
    worker.kill()


def make_topics(settings: Settings) -> None:
    create_topics(
        settings.kafka,
        settings.topics.values(),
        plain=[settings.alerts_topic],
        partitions=2,
        replication=1,
    )


def delete_topics(settings: Settings) -> None:
    topics = list(settings.topics.values())
    admin = KafkaAdminClient(bootstrap_servers=settings.kafka)
    try:
        admin.delete_topics(topics)
        while set(topics).intersection(admin.list_topics()):
            time.sleep(0.05)
    finally:
        admin.close()


def publish(settings: Settings, records: Sequence[tuple[EventKind, bytes, bytes]]) -> None:
    topics = settings.topics
    publish_mixed(settings.kafka, [(topics[kind], key, value) for kind, key, value in records])


def until(condition: Callable[[], bool], what: str, worker: Worker) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"{what} did not happen within {_PATIENCE:g} s\n{worker.tail()}")
        time.sleep(0.05)


def progress(settings: Settings) -> int:
    """Count the offsets that were read of the logs as they are now."""
    logs = list(topic_ids(settings.kafka, settings.topics.values()).values())
    with psycopg.connect(settings.database) as connection:
        row = connection.execute(
            "SELECT coalesce(sum(next_offset), 0) FROM stream_offsets WHERE log = ANY(%s)", (logs,)
        ).fetchone()
    return int(row[0]) if row else 0


def assert_exact(settings: Settings, load: Load) -> None:
    with psycopg.connect(settings.database) as connection:
        rows = connection.execute(
            "SELECT signal, region, stratum, hour, value FROM counts_hourly WHERE value <> 0"
        ).fetchall()
        read = connection.execute(
            "SELECT log, sum(records), sum(next_offset - from_offset) FROM batches "
            "GROUP BY log, topic"
        ).fetchall()
        jumps = connection.execute("SELECT DISTINCT reason FROM offset_jumps").fetchall()
    assert {tuple(row[:4]): row[4] for row in rows} == load.counts
    assert len(read) == 4
    assert all(records == offsets for _, records, offsets in read)
    assert jumps == [("topic made anew",)]


@pytest.mark.parametrize(
    ("settings", "running", "away"),
    [
        pytest.param("kafka", False, 0.0, id="stopped"),
        pytest.param("kafka", True, 0.0, id="at work"),
        pytest.param("kafka", True, 3.0, id="at work, away for a while"),
        pytest.param("apache_kafka", True, 0.0, id="at work, Apache", marks=pytest.mark.kafka),
    ],
    indirect=["settings"],
)
def test_every_event_of_a_longer_log_is_counted_once(
    settings: Settings, worker: Worker, load: Load, *, running: bool, away: float
) -> None:
    third = len(load.records) // 3
    worker.start()
    publish(settings, load.records[:third])
    until(lambda: progress(settings) == third, "the first log", worker)
    if not running:
        worker.kill()
    delete_topics(settings)
    time.sleep(away)
    make_topics(settings)
    # What is new comes first: where the offsets of the former log were.
    publish(settings, [*load.records[third:], *load.records[:third]])
    if not running:
        worker.start()
    until(lambda: progress(settings) == len(load.records), "the second log", worker)
    assert worker.running
    assert_exact(settings, load)
