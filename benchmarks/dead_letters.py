"""How fast refused records are taken in, and how fast they are handed over to their topic.

Both run in one process on the embedded broker and database, one after the other. Handing over must
not be slower than taking in, or letters wait for ever. Compare the CPU times: on a busy machine
both rates fall.

    python -m benchmarks.dead_letters [--letters N]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
from aiokafka import AIOKafkaProducer

from benchmarks.contestants.common import Record, now
from benchmarks.events import benchmark_events
from benchmarks.servers import broker, database_server
from streams.config import load_configuration
from streams.dead_letters import HandOver
from streams.ingest.intake import Intake
from streams.kafka import create_topics
from streams.store.commit import BatchPosition, commit_batch, prepare_connection
from streams.store.pool import open_pool
from streams.store.series import SeriesNumbers

if TYPE_CHECKING:
    from psycopg import AsyncConnection

    from streams.config import Configuration

_HERE = Path(__file__).resolve().parent
_TOPIC = "bench.refused"
_BATCH = 5_000
_MOST_BYTES = 1_000_000


class Producer:
    """What the hand-over uses of Faust's producer."""

    def __init__(self, real: AIOKafkaProducer) -> None:
        self._real = real

    async def send(
        self, topic: str, key: Any, value: Any, _partition: None, _time: None, headers: Any
    ) -> Any:
        """Put a record into the buffer; return the future of its acknowledgement."""
        return await self._real.send(topic, value, key, headers=list(headers.items()))


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="benchmarks.dead_letters", description=__doc__)
    parser.add_argument("--letters", type=int, default=20_000)
    letters = parser.parse_args().letters
    configuration = load_configuration(_HERE / "surveillance.yaml")
    records = [
        Record(n, key, json.dumps(json.loads(value) | {"region": 7}).encode())
        for n, (key, value) in enumerate(benchmark_events(letters, _HERE / "output"))
    ]
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="fh-bench-"))  # short: it holds a unix socket
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        folder.chmod(0o755)
        kafka = stack.enter_context(broker("embedded", folder))
        server = stack.enter_context(database_server(folder))
        database = stack.enter_context(server.fresh(configuration))
        create_topics(kafka, [_TOPIC], partitions=8, replication=1)
        asyncio.run(_measure(kafka, database, configuration, records))


async def _measure(
    kafka: str, database: str, configuration: Configuration, records: list[Record]
) -> None:
    async with (
        open_pool(database, size=1, configure=prepare_connection) as pool,
        AIOKafkaProducer(bootstrap_servers=kafka) as producer,
    ):
        async with pool.connection() as connection:
            backend = psutil.Process(connection.info.backend_pid)
            clock = _Clock(backend)
            await _take_in(connection, Intake(configuration), records)
            clock.show("taken in", len(records))
        clock = _Clock(backend)
        handed_over = await HandOver(pool, most_bytes=_MOST_BYTES).step(Producer(producer))
        clock.show("handed over", handed_over)


async def _take_in(connection: AsyncConnection, intake: Intake, records: list[Record]) -> None:
    await connection.execute(
        "INSERT INTO stream_offsets (log, topic, partition, next_offset) VALUES ('log', %s, 0, 0)",
        (_TOPIC,),
    )
    await connection.commit()
    series = SeriesNumbers()
    for first in range(0, len(records), _BATCH):
        part = records[first : first + _BATCH]
        position = BatchPosition("log", _TOPIC, 0, first, first + len(part))
        await commit_batch(
            connection, position, intake.read("visits", part, now=now()), series,
            records=len(part), worker="bench", received_at=now(),
        )  # fmt: skip


class _Clock:
    """Wall time, and the CPU time of this process and of its connection to the database."""

    def __init__(self, backend: psutil.Process) -> None:
        self._backend = backend
        self._begin = self._read()

    def _read(self) -> tuple[float, float, float]:
        return time.perf_counter(), time.process_time(), sum(self._backend.cpu_times()[:2])

    def show(self, name: str, letters: int) -> None:
        """Print what has passed since the clock was made."""
        wall, own, database = (
            end - begin for end, begin in zip(self._read(), self._begin, strict=True)
        )
        print(
            f"{name:12} {letters} letters, {letters / wall:,.0f}/s; CPU time a letter: "
            f"{own / letters * 1e6:.0f} us in Python, {database / letters * 1e6:.0f} us in the "
            "database"
        )


if __name__ == "__main__":
    main()
