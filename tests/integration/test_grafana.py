"""A worker whose Grafana is away does everything else, and catches up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
from pydantic import SecretStr

from tests.support.alerts import open_alert
from tests.support.grafana_server import TOKEN, GrafanaServer
from tests.support.load import make_load
from tests.support.workers import Worker, make_settings, publish, until

if TYPE_CHECKING:
    from pathlib import Path

    from streams.config import Configuration


def test_a_worker_counts_on_without_grafana_and_tells_it_afterwards(
    kafka: str, database_url: str, fresh_name: str, configuration: Configuration, tmp_path: Path
) -> None:
    load = make_load(configuration, seed=7, days=3)
    with (
        GrafanaServer() as grafana,
        psycopg.connect(database_url, autocommit=True) as connection,
    ):
        grafana.always = "hang"
        grafana.hang_seconds = 600.0
        settings = make_settings(kafka, database_url, fresh_name).model_copy(
            update={"grafana_url": grafana.url, "grafana_token": SecretStr(TOKEN)}
        )
        worker = Worker(settings, "worker", tmp_path)
        open_alert(database_url)
        worker.start()
        try:
            until(lambda: grafana.requests > 0, "a request", worker)
            publish(settings, load.records)
            stored = "SELECT coalesce(sum(next_offset), 0) FROM stream_offsets"

            def all_stored() -> bool:
                row = connection.execute(stored).fetchone()
                return row is not None and row[0] == len(load.records)

            until(all_stored, "the whole", worker)
            assert grafana.annotations == {}
            grafana.always = "fine"
            until(lambda: "alert:1" in str(grafana.annotations), "the annotation", worker)
        finally:
            worker.kill()
