"""Quix Streams: its batching sink, with the worker's validation and commit for each batch.

The sink is handed the records of one partition at a time, at every checkpoint. Validation takes
place there, batch by batch as the worker does it, which is cheaper than a step for each record.
"""

from __future__ import annotations

import asyncio
from typing import Any

from psycopg import AsyncConnection
from quixstreams import Application
from quixstreams.sinks.base import BatchingSink

from benchmarks.contestants.common import Record, now, place
from streams.store.commit import BatchPosition, commit_batch, prepare_connection
from streams.store.series import SeriesNumbers

AT = place()


class Store(BatchingSink):
    """Commits batches with the worker's own code, on an event loop of its own."""

    def setup(self) -> None:
        self._intake, self._series = AT.intake(), SeriesNumbers()
        self._runner = asyncio.Runner()
        self._connection = self._runner.run(self._connect())

    async def _connect(self) -> AsyncConnection:
        connection = await AsyncConnection.connect(AT.settings.database)
        await prepare_connection(connection)
        return connection

    def write(self, batch: Any) -> None:
        received_at = now()
        records = [Record(item.offset, item.key, item.value) for item in batch]
        reading = self._intake.read("visits", records, now=received_at)
        position = BatchPosition(
            AT.log, batch.topic, batch.partition, records[0].offset, records[-1].offset + 1
        )
        self._runner.run(
            commit_batch(
                self._connection,
                position,
                reading,
                self._series,
                records=len(records),
                worker="quix",
                received_at=received_at,
            )
        )


def main() -> None:
    app = Application(
        AT.settings.kafka,
        consumer_group=AT.settings.group,
        auto_offset_reset="earliest",
        # A checkpoint writes each partition's batch: about as many records as ours in each.
        commit_every=AT.settings.batch_records * AT.settings.partitions,
        commit_interval=1.0,
        auto_create_topics=False,
        loglevel="WARNING",
    )
    topic = app.topic(AT.topic, key_deserializer="bytes", value_deserializer="bytes")
    app.dataframe(topic).sink(Store())
    app.run()


if __name__ == "__main__":
    main()
