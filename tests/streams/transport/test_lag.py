"""How far the logs reach, as a worker sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from faust.types import TP

from streams.store.offsets import note_log_ends
from streams.store.pool import open_pool
from tests.support.batch_app import create_topic, make_app, publish, running, until
from tests.support.batches import Ledger, collect, values
from tests.support.store import rows

if TYPE_CHECKING:
    from pathlib import Path


async def test_ends_of_logs_are_told_with_their_ids(
    broker: str, fresh_name: str, tmp_path: Path
) -> None:
    create_topic(broker, fresh_name, partitions=2)
    await publish(broker, fresh_name, range(500))
    ledger = Ledger()
    app = make_app(broker, fresh_name, tmp_path)
    app.transport.position_source = ledger
    collect(app, fresh_name, lambda batch: ledger.commit(batch, app))
    async with running(app):
        await until(lambda: len(values(ledger.committed)) >= 500, "all records")
        before = await app.consumer.log_ends()
        await publish(broker, fresh_name, range(500, 800))
        after = await app.consumer.log_ends()
    assert set(before) == {TP(fresh_name, 0), TP(fresh_name, 1)}
    (log,) = {log for log, _ in before.values()}
    assert log == ledger.committed[0].log
    assert sum(end for _, end in before.values()) == 500
    assert sum(end for _, end in after.values()) == 800


async def test_the_lag_is_what_is_not_in_the_database(database_url: str) -> None:
    first, second = TP("visits", 0), TP("visits", 1)
    async with open_pool(database_url, size=1) as pool:
        async with pool.connection() as connection:
            await connection.execute(
                "INSERT INTO stream_offsets (log, topic, partition, next_offset) "
                "VALUES ('new', 'visits', 0, 40), ('new', 'visits', 1, 7), ('old', 'visits', 0, 9)"
            )
        await note_log_ends(pool, {})
        await note_log_ends(pool, {first: ("new", 90), second: ("new", 7)})
        await note_log_ends(pool, {first: ("new", 100)})
    lag = "SELECT partition, lag FROM screen_lag ORDER BY 1"
    assert rows(database_url, lag) == [(0, 60), (1, 0)]
    assert rows(database_url, "SELECT lag FROM screen_pipeline") == [(60.0,)]
