"""Running one contestant: start it, watch the offsets that it commits, stop it, check its work."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import psutil
import psycopg

from benchmarks.peers import peers_python

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.servers import DatabaseServer
    from streams.config import Configuration

__all__ = [
    "CONTESTANTS",
    "NO_SALES",
    "ROOT",
    "BenchmarkError",
    "Contestant",
    "Outcome",
    "Race",
    "cpu_seconds",
    "stop",
]

ROOT = Path(__file__).resolve().parent.parent
#: The worker wants a topic of sales as well.
NO_SALES = "sales-of-nobody"
_POLL = 0.05
_PATIENCE = 300.0
_STOP_SECONDS = 20.0


class Contestant(NamedTuple):
    """Who takes part, and how its process is started."""

    name: str
    title: str
    module: str
    #: Reads the topic and commits; the others print their own measurement.
    commits: bool = True
    #: Too slow for all events: it runs for some seconds and its rate is taken from those.
    sampled: bool = False
    #: Runs in the peers' environment.
    peer: bool = False
    #: Without the surveillance rules, so that nothing is judged.
    judges: bool = False


CONTESTANTS = (
    Contestant("fenghuo", "Fenghuo worker, judging included", "streams", judges=True),
    Contestant("ingest", "Fenghuo worker, no rules to judge", "streams"),
    Contestant(
        "async-for", "Faust, async for", "benchmarks.contestants.faust_for", sampled=True
    ),
    Contestant("take", "Faust, take(1000, within=0.1)", "benchmarks.contestants.faust_take"),
    Contestant("quix", "Quix Streams, batching sink", "benchmarks.contestants.quix", peer=True),
    Contestant(
        "getmany", "Limit: aiokafka getmany alone", "benchmarks.contestants.raw_getmany",
        commits=False,
    ),
    Contestant(
        "upsert", "Limit: COPY and upsert alone", "benchmarks.contestants.raw_upsert",
        commits=False,
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """What one contestant did in one round."""

    name: str
    events: int
    #: From the first batch's arrival until the last commit was seen.
    seconds: float
    #: From the process's start until the last commit was seen.
    wall: float
    worker_cpu: float | None = None
    database_cpu: float | None = None
    batches: int | None = None
    #: Until the last `recorded_at`, which a transaction takes at its begin.
    recorded_seconds: float | None = None
    load: float = 0.0

    @property
    def rate(self) -> float:
        """Events per second."""
        return self.events / self.seconds

    def as_json(self) -> dict[str, Any]:
        """Return everything, for the result file."""
        return {**asdict(self), "rate": self.rate}


class BenchmarkError(RuntimeError):
    """A contestant failed, or what it stored is wrong."""


@dataclass(frozen=True)
class Race:
    """What is the same for all contestants."""

    kafka: str
    #: Id of the topic.
    log_id: str
    server: DatabaseServer
    judging: Configuration
    quiet: Configuration
    config: Mapping[bool, Path]
    folder: Path
    topic: str
    partitions: int
    events: int
    slow_seconds: float
    settings: Mapping[str, str]

    def run(self, contestant: Contestant) -> Outcome:
        """Run one contestant on a database of its own.

        Raises
        ------
        BenchmarkError
            When it ends early, takes too long, or its counts differ from a recount of its events.
        """
        load = os.getloadavg()[0]
        configuration = self.judging if contestant.judges else self.quiet
        with self.server.fresh(configuration) as database:
            if contestant.module != "streams":
                self.make_offsets(database)
            outcome = self._watch(contestant, database)
            if contestant.commits:
                _check(database, None if contestant.sampled else self.events)
        return Outcome(**{**asdict(outcome), "load": load})

    def environment(
        self, database: str, *, judges: bool = False, topic: str | None = None
    ) -> dict[str, str]:
        """Return the variables of a contestant's process."""
        return {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "FENGHUO_KAFKA": self.kafka,
            "FENGHUO_DATABASE": database,
            "FENGHUO_CONFIG": str(self.config[judges]),
            "FENGHUO_GROUP": f"bench-{uuid.uuid4().hex[:10]}",
            "FENGHUO_VISITS_TOPIC": topic or self.topic,
            "FENGHUO_SALES_TOPIC": NO_SALES,
            "FENGHUO_PARTITIONS": str(self.partitions),
            "FENGHUO_WEB_PORT": "0",
            "FENGHUO_BENCH_LOG": self.log_id,
            "FENGHUO_BENCH_EVENTS": str(self.events),
            **self.settings,
        }

    def start(
        self, contestant: Contestant, environment: Mapping[str, str]
    ) -> subprocess.Popen[bytes]:
        """Start a contestant's process; its log is in the run's folder."""
        python = peers_python() if contestant.peer else Path(sys.executable)
        command = [str(python), "-m", contestant.module]
        if contestant.module == "streams":
            command.append("worker")
        with self.log(contestant).open("wb") as log:
            return subprocess.Popen(
                command,
                env=dict(environment),
                cwd=self.folder,  # Faust as it comes leaves a folder there
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if not contestant.commits else log,
                stderr=log,
            )

    def log(self, contestant: Contestant) -> Path:
        """Return the file that takes a contestant's output."""
        return self.folder / f"{contestant.name}.log"

    def make_offsets(self, database: str) -> None:
        """Set all partitions to offset 0, as the worker does for itself."""
        with psycopg.connect(database) as connection, connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO stream_offsets (log, topic, partition, next_offset) "
                "VALUES (%s, %s, %s, 0)",
                [(self.log_id, self.topic, number) for number in range(self.partitions)],
            )

    def _watch(self, contestant: Contestant, database: str) -> Outcome:
        before, begin = self.server.cpu_seconds(), time.time()
        process = self.start(contestant, self.environment(database, judges=contestant.judges))
        try:
            if not contestant.commits:
                return self._told(contestant, process, before, begin)
            with psycopg.connect(database, autocommit=True) as connection:
                self._wait(contestant, process, connection)
                end = time.time()
                cpu, after = cpu_seconds(process), self.server.cpu_seconds()
        finally:
            stop(process)
        used = None if before is None or after is None else after - before
        with psycopg.connect(database) as connection:
            measure = _sampled if contestant.sampled else _measured
            return measure(
                connection, contestant.name, end, wall=end - begin, worker=cpu, database=used
            )

    def _wait(
        self,
        contestant: Contestant,
        process: subprocess.Popen[bytes],
        connection: psycopg.Connection,
    ) -> None:
        deadline = time.monotonic() + _PATIENCE
        first: float | None = None
        while (done := _committed(connection, self.topic)) < self.events:
            if done and first is None:
                first = time.monotonic()
            if contestant.sampled and first and time.monotonic() - first > self.slow_seconds:
                return
            if process.poll() is not None or time.monotonic() > deadline:
                raise BenchmarkError(
                    f"{contestant.name}: {done} of {self.events} events, "
                    f"exit code {process.poll()}. See {self.log(contestant)}."
                )
            time.sleep(_POLL)

    def _told(
        self,
        contestant: Contestant,
        process: subprocess.Popen[bytes],
        before: float | None,
        begin: float,
    ) -> Outcome:
        told, _ = process.communicate(timeout=_PATIENCE)
        if process.returncode:
            raise BenchmarkError(f"{contestant.name} failed. See {self.log(contestant)}.")
        result = json.loads(told)
        after = self.server.cpu_seconds()
        used = None if before is None or after is None else after - before
        return Outcome(
            contestant.name, result["events"], result["seconds"], time.time() - begin,
            database_cpu=used,
        )  # fmt: skip


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process that was started here."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def cpu_seconds(process: subprocess.Popen[bytes]) -> float | None:
    """Return the CPU time of a process so far."""
    with suppress(psutil.NoSuchProcess):
        return float(sum(psutil.Process(process.pid).cpu_times()[:2]))
    return None


def _committed(connection: psycopg.Connection, topic: str) -> int:
    row = connection.execute(
        "SELECT coalesce(sum(next_offset), 0) FROM stream_offsets WHERE topic = %s", (topic,)
    ).fetchone()
    return int(row[0]) if row else 0


def _measured(
    connection: psycopg.Connection,
    name: str,
    end: float,
    *,
    wall: float,
    worker: float | None,
    database: float | None,
) -> Outcome:
    row = connection.execute(
        "SELECT sum(records), min(received_at), max(recorded_at), count(*) FROM batches"
    ).fetchone()
    assert row is not None
    events, first, last, batches = row
    return Outcome(
        name, int(events), end - first.timestamp(), wall, worker, database, batches,
        (last - first).total_seconds(),
    )  # fmt: skip


def _sampled(
    connection: psycopg.Connection,
    name: str,
    _end: float,
    *,
    wall: float,
    worker: float | None,
    database: float | None,
) -> Outcome:
    row = connection.execute(
        "SELECT (SELECT sum(next_offset) FROM stream_offsets), min(recorded_at), "
        "max(recorded_at) FROM events"
    ).fetchone()
    assert row is not None
    events, first, last = row
    return Outcome(name, int(events), (last - first).total_seconds(), wall, worker, database)


def _check(database: str, events: int | None) -> None:
    """Compare counts with a recount, and offsets with what was published."""
    with psycopg.connect(database) as connection:
        row = connection.execute(
            "SELECT (SELECT sum(next_offset) FROM stream_offsets), "
            "(SELECT count(*) FROM event_heads), "
            "(SELECT count(DISTINCT event_key) FROM events), "
            "(SELECT count(*) FROM dead_letters), "
            "(SELECT count(*) FROM ((TABLE counts_hourly EXCEPT SELECT * FROM recount()) "
            "UNION ALL (SELECT * FROM recount() EXCEPT TABLE counts_hourly)) AS d "
            "WHERE d.value <> 0)"
        ).fetchone()
    assert row is not None
    offsets, heads, stored, refused, differences = row
    if differences or refused or heads != stored or (events is not None and offsets != events):
        raise BenchmarkError(
            f"offsets {offsets}, heads {heads}, events {stored}, refused {refused}, "
            f"counts that differ from a recount: {differences}"
        )
