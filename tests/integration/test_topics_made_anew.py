"""Topics are deleted and made anew, with longer logs: nothing of the new logs is passed over."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import psycopg
import pytest
from kafka.admin import KafkaAdminClient

from streams.kafka import create_topics, topic_ids
from tests.support.load import Load, make_load
from tests.support.workers import Worker, make_settings, publish, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from streams.config import Configuration
    from streams.settings import Settings


@pytest.fixture(scope="module")
def load(configuration: Configuration) -> Load:
    return make_load(configuration, seed=11, days=3)


@pytest.fixture
def settings(request: pytest.FixtureRequest, database_url: str, fresh_name: str) -> Settings:
    return make_settings(request.getfixturevalue(request.param), database_url, fresh_name)


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
