"""A log that lost its end and has grown past it again is read from where it differs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st

from streams.transport.epochs import LeaderEpochs
from tests.support.batch_app import create_topic, make_app, publish, running, until
from tests.support.batches import Ledger, collect, values
from tests.support.kafka_server import KafkaServer, KafkaUnavailable
from tests.support.raw_batches import encode

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

AT = TP("visits", 0)


@given(sizes=st.lists(st.tuples(st.integers(1, 5), st.integers(0, 2)), min_size=1, max_size=20))
def test_the_epoch_before_an_offset_is_that_of_the_last_record(
    sizes: list[tuple[int, int]],
) -> None:
    written: list[int] = []
    log, epoch = b"", 3
    for records, step in sizes:
        epoch += step
        batch = encode([b"x"] * records, base_offset=len(written))
        log += batch[:12] + epoch.to_bytes(4, "big") + batch[16:]
        written += [epoch] * records
    epochs = LeaderEpochs()
    epochs.restart(AT, 0, 2)
    epochs.note(AT, log[:-3])
    assert [epochs.before(AT, offset) for offset in range(len(written) + 1)] == [2, *written]
    # What is fetched twice changes nothing.
    epochs.note(AT, log)
    assert epochs.before(AT, len(written)) == written[-1]
    epochs.restart(AT, 2)
    assert epochs.before(AT, 2) == -1
    assert epochs.before(TP("sales", 0), 2) == -1


@pytest.fixture(scope="module")
def broker_with_files() -> Iterator[KafkaServer]:
    try:
        with KafkaServer() as server:
            yield server
    except KafkaUnavailable as reason:
        pytest.skip(str(reason))


@pytest.mark.kafka
@pytest.mark.parametrize("kept", [0, 4], ids=["all-lost", "end-lost"])
async def test_a_log_that_grew_past_what_it_lost_is_read_from_there(
    kept: int, broker_with_files: KafkaServer, fresh_name: str, tmp_path: Path
) -> None:
    broker = broker_with_files.bootstrap
    create_topic(broker, fresh_name)
    for number in range(10):
        await publish(broker, fresh_name, range(number * 10, number * 10 + 10), keys=1)
    ledger = Ledger()
    app = make_app(broker, fresh_name, tmp_path)
    app.transport.position_source = ledger
    collect(app, fresh_name, lambda batch: ledger.commit(batch, app))
    async with running(app):
        await until(lambda: len(values(ledger.committed)) >= 100, "the first part")
    assert ledger.stored_epochs[TP(fresh_name, 0)] >= 0
    ledger.committed.clear()

    broker_with_files.stop()
    broker_with_files.lose_end(f"{fresh_name}-0", kept=kept)
    broker_with_files.start()
    await publish(broker, fresh_name, range(1_000, 1_200), keys=1)
    again = make_app(broker, fresh_name, tmp_path)
    again.transport.position_source = ledger
    collect(again, fresh_name, lambda batch: ledger.commit(batch, again))
    async with running(again):
        await until(lambda: values(ledger.committed)[-1:] == [1_199], "what came after it")

    assert values(ledger.committed) == list(range(1_000, 1_200))
    assert ledger.committed[0].position == kept * 10
    assert ledger.stored == {TP(fresh_name, 0): kept * 10 + 200}
