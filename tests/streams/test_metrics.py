"""Metrics of a worker, and machines whose clock is off."""

from __future__ import annotations

import urllib.request
from typing import TYPE_CHECKING

import psycopg
import pytest

from streams.preflight import check_ready
from streams.settings import Settings
from streams.store.db_clock import ClockSkewError, clock_skew
from tests.support.load import make_load
from tests.support.metrics import samples
from tests.support.processes import free_ports
from tests.support.store import rows
from tests.support.workers import Worker, make_settings, publish, until

if TYPE_CHECKING:
    from pathlib import Path

    from streams.config import Configuration

#: A program whose clock is an hour behind: Python's, since the machine's is everybody's.
BEHIND = (
    "import sys, time; now = time.time; time.time = lambda: now() - 3600; "
    "sys.argv = ['fenghuo', 'worker']; from streams.cli.main import main; main()"
)


def test_a_worker_reports_its_metrics(
    kafka: str, database_url: str, fresh_name: str, tmp_path: Path, configuration: Configuration
) -> None:
    (port,) = free_ports(1)
    settings = make_settings(kafka, database_url, fresh_name).model_copy(update={"web_port": port})
    publish(settings, make_load(configuration, seed=7, days=3).records[:300])
    worker = Worker(settings, "worker", tmp_path)
    try:
        worker.start()
        counted = "SELECT coalesce(sum(records), 0) FROM intake_hours"
        until(lambda: rows(database_url, counted) == [(300,)], "all counts", worker)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
            found = samples(answer.read().decode())
    finally:
        worker.kill()
    assert sum(v for (name, _), v in found.items() if name == "fenghuo_records_total") == 300
    assert found["fenghuo_database_up", ()] == 1
    assert found["fenghuo_clock_skew_seconds", ()] == 0
    assert found["fenghuo_schema_version", ()] >= 37
    assert found["fenghuo_commit_seconds_count", (settings.visits_topic,)] >= 1
    assert found["fenghuo_commit_seconds_sum", (settings.visits_topic,)] > 0
    assert found["process_resident_memory_bytes", ()] > 0
    assert ("fenghuo_worker_oldest_task_seconds", ()) in found


def test_a_worker_whose_clock_is_behind_does_not_blame_the_sources(
    kafka: str, database_url: str, fresh_name: str, tmp_path: Path, configuration: Configuration
) -> None:
    settings = make_settings(kafka, database_url, fresh_name)
    publish(settings, make_load(configuration, seed=7, days=3).records[:100])
    worker = Worker(settings, "worker", tmp_path, command=("-c", BEHIND))
    worker.start()
    until(lambda: not worker.running, "the refusal", worker)
    said = " ".join(worker.tail().split())
    assert "This machine's clock is 3,600 s behind the database's." in said
    assert "Traceback" not in said
    assert rows(database_url, "SELECT count(*) FROM batches") == [(0,)]
    worker.kill()


def test_the_way_to_the_database_is_no_skew(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        assert clock_skew(connection) == 0


def test_a_clock_that_is_ahead_is_refused_at_the_start(
    database_url: str, kafka: str, configuration: Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.preflight.clock_skew", lambda _: 61.0)
    with pytest.raises(ClockSkewError, match=r"61 s ahead of the database's.*NTP"):
        check_ready(Settings(database=database_url, kafka=kafka), configuration)
