"""What a worker leans on goes away and comes back: it goes on, or it ends and says so."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.support.kafka_server import KafkaServer, KafkaUnavailable
from tests.support.load import Load, make_load
from tests.support.workers import Worker, make_settings, publish, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from streams.config import Configuration
    from streams.settings import Settings


@pytest.fixture(scope="module")
def load(configuration: Configuration) -> Load:
    return make_load(configuration, seed=7, days=3)


@pytest.fixture
def settings(kafka: str, database_url: str, fresh_name: str) -> Settings:
    return make_settings(kafka, database_url, fresh_name)


@pytest.fixture
def worker(settings: Settings, tmp_path: Path) -> Iterator[Worker]:
    worker = Worker(settings, "worker", tmp_path)
    yield worker
    worker.kill()


def progress(connection: psycopg.Connection) -> int:
    row = connection.execute("SELECT coalesce(sum(next_offset), 0) FROM stream_offsets").fetchone()
    return int(row[0]) if row else 0


def assert_exact(connection: psycopg.Connection, load: Load) -> None:
    rows = connection.execute(
        "SELECT signal, region, stratum, hour, value FROM counts_hourly WHERE value <> 0"
    ).fetchall()
    assert {tuple(row[:4]): row[4] for row in rows} == load.counts


def test_lost_connections_are_made_again(settings: Settings, worker: Worker, load: Load) -> None:
    worker.start()
    half = len(load.records) // 2
    with psycopg.connect(settings.database, autocommit=True) as connection:
        publish(settings, load.records[:half])
        until(lambda: progress(connection) > 0, "progress", worker)
        for _ in range(5):
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            time.sleep(0.1)
        publish(settings, load.records[half:])
        until(lambda: progress(connection) == len(load.records), "the whole", worker)
        assert worker.running
        assert_exact(connection, load)


def test_a_commit_that_cannot_succeed_ends_the_worker_and_loses_nothing(
    settings: Settings, worker: Worker, load: Load
) -> None:
    with psycopg.connect(settings.database, autocommit=True) as connection:
        connection.execute("ALTER TABLE batches RENAME TO batches_elsewhere")
        try:
            publish(settings, load.records)
            worker.start()
            until(lambda: not worker.running, "the end of the worker", worker)
            assert "A batch cannot be committed; the worker stops." in worker.tail(500)
            assert progress(connection) == 0
        finally:
            connection.execute("ALTER TABLE batches_elsewhere RENAME TO batches")
        worker.start()
        until(lambda: progress(connection) == len(load.records), "the whole", worker)
        assert_exact(connection, load)


def test_orderly_stops_under_load_lose_nothing(
    settings: Settings, worker: Worker, load: Load
) -> None:
    publish(settings, load.records)
    with psycopg.connect(settings.database, autocommit=True) as connection:
        for _ in range(3):
            before = progress(connection)
            assert before < len(load.records)
            worker.start()
            until(lambda: progress(connection) > before, "progress", worker)  # noqa: B023
            worker.ask_to_stop()
            until(lambda: not worker.running, "the end of the worker", worker)
        worker.start()
        until(lambda: progress(connection) == len(load.records), "the whole", worker)
        assert_exact(connection, load)
        letters = connection.execute("SELECT count(*) FROM dead_letters").fetchone()
        assert letters == (load.malformed,)


@pytest.mark.kafka
def test_a_broker_that_dies_and_comes_back_is_read_to_the_end(
    database_url: str, fresh_name: str, tmp_path: Path, load: Load
) -> None:
    try:
        broker = KafkaServer()
    except KafkaUnavailable as reason:
        pytest.skip(str(reason))
    with broker, psycopg.connect(database_url, autocommit=True) as connection:
        settings = make_settings(broker.bootstrap, database_url, fresh_name)
        worker = Worker(settings, "worker", tmp_path)
        third = len(load.records) // 3
        try:
            worker.start()
            for number in range(3):
                last = len(load.records) if number == 2 else third * (number + 1)
                publish(settings, load.records[third * number : last])
                until(lambda: progress(connection) > third * number, "progress", worker)  # noqa: B023
                if number < 2:
                    broker.kill()
                    time.sleep(1.0)
                    broker.restart()

            def everything() -> bool:
                # A worker may end over it; whoever runs it starts it again.
                if not worker.running:
                    worker.start()
                return progress(connection) == len(load.records)

            until(everything, "the whole", worker)
            assert_exact(connection, load)
        finally:
            worker.kill()


#: A worker of which a part never stops.
_STUCK = """
import asyncio, streams.worker
from streams.config import load_configuration
from streams.settings import Settings

async def hang(app): await asyncio.Event().wait()

streams.worker._END_SECONDS = 1.0
streams.worker.FenghuoApp.on_stop = hang
settings = Settings()
app = streams.worker.create_app(settings, load_configuration(settings.config))
streams.worker.run_worker(app)
"""


def test_a_worker_that_cannot_stop_ends_all_the_same_and_shows_where_it_hangs(
    settings: Settings, tmp_path: Path, load: Load
) -> None:
    worker = Worker(settings, "stuck", tmp_path, command=("-c", _STUCK))
    try:
        worker.start()
        publish(settings, load.records)
        with psycopg.connect(settings.database, autocommit=True) as connection:
            until(lambda: progress(connection) > 0, "progress", worker)
        worker.ask_to_stop()
        until(lambda: not worker.running, "the end of the worker", worker)
    finally:
        worker.kill()
    assert "Timeout (0:00:01)!" in worker.tail(500)
