"""Metrics in Prometheus' text format, for the worker's and the page's `/metrics`."""

from __future__ import annotations

import time
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

import psycopg
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    SummaryMetricFamily,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from psycopg_pool import PoolClosed, PoolTimeout

from streams.store.db_clock import clock_skew_of
from streams.store.figures import read_figures

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import AbstractAsyncContextManager

    from prometheus_client.metrics_core import Metric
    from psycopg import AsyncConnection

__all__ = ["CONTENT_TYPE", "METRICS_PATH", "Metrics"]

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
METRICS_PATH: Final = "/metrics"
#: However often it is asked, the database is not asked more often.
_FRESH_SECONDS: Final = 5.0

Rows = list[tuple[Any, ...]]


class Metrics:
    """Collects metrics on request.

    Parameters
    ----------
    connect
        Gives a connection for reading.
    process
        Names, help texts and values of gauges of this process alone.
    """

    def __init__(
        self,
        connect: Callable[[], AbstractAsyncContextManager[AsyncConnection]],
        process: Callable[[], Iterable[tuple[str, str, float]]] = tuple,
    ) -> None:
        self._connect = connect
        self._process = process
        self._families: list[Metric] = []
        self._read_at = float("-inf")

    async def text(self) -> bytes:
        """Return all metrics; without the database, that it is unavailable."""
        if time.monotonic() - self._read_at >= _FRESH_SECONDS:
            self._families = await self._read()
            self._read_at = time.monotonic()
        registry = CollectorRegistry()
        registry.register(_Families(self._families))
        registry.register(_Families(list(self._own())))
        ProcessCollector(registry=registry)
        return generate_latest(registry)

    async def _read(self) -> list[Metric]:
        try:
            async with self._connect() as connection:
                skew = await clock_skew_of(connection)
                figures = await read_figures(connection)
        except (psycopg.Error, PoolTimeout, PoolClosed):
            return [_gauge("fenghuo_database_up", "1 if the database can be read", 0)]
        return [
            _gauge("fenghuo_database_up", "1 if the database can be read", 1),
            _gauge(
                "fenghuo_clock_skew_seconds", "This machine's clock ahead of the database's", skew
            ),
            *_families(figures),
        ]

    def _own(self) -> Iterable[Metric]:
        build = InfoMetricFamily("fenghuo_build", "This program")
        build.add_metric([], {"version": version("fenghuo")})
        yield build
        for name, text, value in self._process():
            yield _gauge(name, text, value)


class _Families:
    """A collector of families that were read before."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> list[Metric]:
        """Return them."""
        return self._families


def _families(found: dict[str, Rows]) -> Iterable[Metric]:
    yield from _of_intake(found["records"])
    for name, text, label, rows in (
        ("dead_letters", "Refused records that are stored", "reason", found["letters"]),
        ("alerts_open", "Alerts that are not closed", "severity", found["alerts"]),
        ("notifications_waiting", "Messages that are due", "channel", found["notifications"]),
        ("notifications_failed", "Messages given up", "channel", found["notifications_failed"]),
        ("set_aside_events", "Events that a follower passed over", "follower", found["set_aside"]),
        ("last_received_timestamp_seconds", "Latest record", "topic", found["received"]),
    ):
        family = GaugeMetricFamily(f"fenghuo_{name}", text, labels=[label])
        for value, number in rows:
            family.add_metric([str(value)], float(number))
        yield family
    lag = GaugeMetricFamily(
        "fenghuo_lag_records", "Records not in the database yet", labels=["topic", "partition"]
    )
    for topic, partition, records in found["lag"]:
        lag.add_metric([topic, str(partition)], float(records))
    yield lag
    ((pending, oldest),) = found["pending"]
    ((history, history_oldest),) = found["history"]
    for name, text, value in (
        ("pending_judgements", "Live changes that wait for a judge, at most 100,000", pending),
        ("pending_judgement_oldest_seconds", "Age of the oldest of them", oldest),
        ("pending_history", "Series with history that waits for a judge", history),
        ("pending_history_oldest_seconds", "Age of the oldest of them", history_oldest),
        ("quarantined_series", "Series that cannot be judged", found["quarantined"][0][0]),
        ("dead_letters_waiting", "Letters not handed over yet", found["letters_waiting"][0][0]),
        ("roll_ups_waiting", "Batches that no sum has yet", found["roll_ups"][0][0]),
        ("schema_version", "Number of the latest migration", _number(found["schema"])),
    ):
        yield _gauge(f"fenghuo_{name}", text, value)


def _of_intake(rows: Rows) -> Iterable[Metric]:
    records = CounterMetricFamily(
        "fenghuo_records", "Records read, by what became of them", labels=["topic", "outcome"]
    )
    commits = SummaryMetricFamily(
        "fenghuo_commit_seconds", "From a batch's arrival to its commit", labels=["topic"]
    )
    for topic, inserted, replaced, repeated, refused, batches, seconds in rows:
        for outcome, number in (
            ("accepted", inserted),
            ("replaced", replaced),
            ("repeated", repeated),
            ("refused", refused),
        ):
            records.add_metric([topic, outcome], float(number))
        commits.add_metric([topic], count_value=int(batches), sum_value=float(seconds))
    return records, commits


def _number(rows: Rows) -> int:
    return int(str(rows[0][0])[:4])


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=float(value))
