"""Vanilla Faust, `async for`: one transaction for each event."""

from __future__ import annotations

from typing import Any

from psycopg import AsyncConnection

from benchmarks.contestants.common import Record, now, place, run_faust
from benchmarks.contestants.one_event import commit_event
from streams.store.series import SeriesNumbers

AT = place()


async def agent(stream: Any) -> None:
    intake, series = AT.intake(), SeriesNumbers()
    connection = await AsyncConnection.connect(AT.settings.database)
    async for event in stream.events():
        message = event.message
        record = Record(message.offset, message.key, message.value)
        reading = intake.read("visits", [record], now=now())
        partition = (AT.log, message.topic, message.partition)
        await commit_event(connection, partition, message.offset, reading, series)


if __name__ == "__main__":
    run_faust(AT, agent)
