from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import TYPE_CHECKING

import pytest
from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st

from streams.ingest.pump import READ_AHEAD, CommitPump
from streams.transport import RecordBatch

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

PARTITIONS = 3


def batch_of(partition: int, number: int) -> RecordBatch:
    return RecordBatch(TP("visits", partition), "log", number * 10, (number + 1) * 10, ())


class Ledger:
    """Commits that take a given number of turns of the loop, or fail."""

    def __init__(self, turns: dict[tuple[int, int], int], failing: set[tuple[int, int]]) -> None:
        self._turns = turns
        self._failing = failing
        self.prepared: defaultdict[int, list[int]] = defaultdict(list)
        self.begun: defaultdict[int, list[int]] = defaultdict(list)
        self.committed: defaultdict[int, list[int]] = defaultdict(list)
        self.done: defaultdict[int, list[int]] = defaultdict(list)
        self.failures: list[BaseException] = []
        self.most_under_way = 0
        self._taken = 0
        self._finished = 0

    def prepare(self, batch: RecordBatch) -> Callable[[], Awaitable[None]]:
        partition, number = batch.tp.partition, batch.position // 10
        self.prepared[partition].append(number)

        async def commit() -> None:
            assert self.begun[partition] == self.committed[partition], "two at once"
            self.begun[partition].append(number)
            self._taken += 1
            self.most_under_way = max(self.most_under_way, self._taken - self._finished)
            try:
                for _ in range(self._turns[partition, number]):
                    await asyncio.sleep(0)
                if (partition, number) in self._failing:
                    raise ValueError(partition, number)
                self.committed[partition].append(number)
            finally:
                self._finished += 1

        return commit

    async def failed(self, error: BaseException) -> None:
        self.failures.append(error)


schedules = st.lists(
    st.tuples(st.integers(0, PARTITIONS - 1), st.integers(0, 6)), min_size=1, max_size=40
)


async def run(
    schedule: list[tuple[int, int]], in_flight: int, failing: set[tuple[int, int]]
) -> tuple[Ledger, dict[int, int]]:
    """Put batches in the order of the schedule (partition, turns that the commit takes)."""
    numbers: defaultdict[int, int] = defaultdict(int)
    turns: dict[tuple[int, int], int] = {}
    batches = []
    for partition, duration in schedule:
        turns[partition, numbers[partition]] = duration
        batches.append(batch_of(partition, numbers[partition]))
        numbers[partition] += 1
    ledger = Ledger(turns, failing)
    pump = CommitPump(ledger.prepare, failed=ledger.failed, in_flight=in_flight)
    for batch in batches:
        partition, number = batch.tp.partition, batch.position // 10
        await pump.put(batch, lambda p=partition, n=number: ledger.done[p].append(n))  # type: ignore[misc]
    await pump.drain()
    return ledger, numbers


@given(schedule=schedules, in_flight=st.integers(1, 5))
def test_each_partition_is_committed_whole_and_in_order(
    schedule: list[tuple[int, int]], in_flight: int
) -> None:
    ledger, numbers = asyncio.run(run(schedule, in_flight, set()))

    assert not ledger.failures
    for partition, count in numbers.items():
        assert ledger.prepared[partition] == list(range(count))
        assert ledger.committed[partition] == list(range(count))
        assert ledger.done[partition] == list(range(count))
    assert ledger.most_under_way <= in_flight


@given(
    schedule=schedules,
    in_flight=st.integers(1, 5),
    failing=st.tuples(st.integers(0, PARTITIONS - 1), st.integers(0, 5)),
)
def test_a_failure_stops_its_partition_and_no_other(
    schedule: list[tuple[int, int]], in_flight: int, failing: tuple[int, int]
) -> None:
    ledger, numbers = asyncio.run(run(schedule, in_flight, {failing}))

    struck, at = failing
    failures = [] if at >= numbers[struck] else [failing]
    assert [error.args for error in ledger.failures] == failures
    for partition, count in numbers.items():
        last = min(at, count) if partition == struck else count
        assert ledger.committed[partition] == list(range(last))
        assert ledger.done[partition] == list(range(last))


async def until(reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(120):
        while not reached():  # noqa: ASYNC110 - the threads' turns cannot be told by an event
            await asyncio.sleep(0)


async def test_put_waits_while_the_allowed_number_is_taken_in() -> None:
    gate = asyncio.Event()
    begun: list[int] = []
    read: list[int] = []

    def prepare(batch: RecordBatch) -> Callable[[], Awaitable[None]]:
        read.append(batch.tp.partition)

        async def commit() -> None:
            begun.append(batch.tp.partition)
            await gate.wait()

        return commit

    async def failed(error: BaseException) -> None:
        raise AssertionError from error

    pump = CommitPump(prepare, failed=failed, in_flight=2)
    allowed = 2 + READ_AHEAD
    for partition in range(allowed):
        await pump.put(batch_of(partition, 0), lambda: None)
    one_more = asyncio.create_task(pump.put(batch_of(allowed, 0), lambda: None))
    draining = asyncio.create_task(pump.drain())
    await until(lambda: len(read) == allowed and len(begun) == 2)
    for _ in range(20):
        await asyncio.sleep(0)

    assert read == list(range(allowed))
    assert begun == [0, 1]
    assert not one_more.done()
    assert not draining.done()
    gate.set()
    await one_more
    await draining
    assert begun == list(range(allowed + 1))


async def test_a_partition_that_waits_for_itself_holds_up_no_other() -> None:
    gate = asyncio.Event()
    begun: list[tuple[int, int]] = []

    def prepare(batch: RecordBatch) -> Callable[[], Awaitable[None]]:
        async def commit() -> None:
            begun.append((batch.tp.partition, batch.position // 10))
            await gate.wait()

        return commit

    async def failed(error: BaseException) -> None:
        raise AssertionError from error

    pump = CommitPump(prepare, failed=failed, in_flight=2)
    for batch in (batch_of(0, 0), batch_of(0, 1), batch_of(1, 0)):
        await pump.put(batch, lambda: None)
    await until(lambda: len(begun) == 2)
    assert begun == [(0, 0), (1, 0)]
    gate.set()
    await pump.drain()


async def test_it_is_quiet_when_nothing_is_in_flight_and_no_wait_is_longer_than_allowed() -> None:
    gate = asyncio.Event()

    def prepare(batch: RecordBatch) -> Callable[[], Awaitable[None]]:
        async def commit() -> None:
            await gate.wait()

        return commit

    async def failed(error: BaseException) -> None:
        raise AssertionError from error

    pump = CommitPump(prepare, failed=failed, in_flight=2)
    async with asyncio.timeout(120):
        await pump.quiet(3600.0)  # nothing was put yet
        for partition in range(2):
            await pump.put(batch_of(partition, 0), lambda: None)
        await pump.quiet(0.01)
        waiting = asyncio.create_task(pump.quiet(3600.0))
        for _ in range(20):
            await asyncio.sleep(0)
        assert not waiting.done()
        gate.set()
        await waiting
        await pump.put(batch_of(0, 1), lambda: None)
        await pump.quiet(3600.0)  # and quiet again after more


async def test_drain_takes_in_a_put_that_was_waiting() -> None:
    committed: list[int] = []

    def prepare(batch: RecordBatch) -> Callable[[], Awaitable[None]]:
        async def commit() -> None:
            await asyncio.sleep(0)
            committed.append(batch.position // 10)

        return commit

    async def failed(error: BaseException) -> None:
        raise AssertionError from error

    pump = CommitPump(prepare, failed=failed, in_flight=1)

    async def put_all() -> None:
        for number in range(5):
            await pump.put(batch_of(0, number), lambda: None)

    putting = asyncio.create_task(put_all())
    await asyncio.sleep(0)
    await pump.drain()
    assert committed == [0, 1, 2, 3, 4]
    await putting


async def test_a_batch_that_cannot_be_read_stops_its_partition() -> None:
    failures: list[BaseException] = []

    def prepare(batch: RecordBatch) -> Callable[[], Awaitable[None]]:
        if batch.position == 0:
            raise ValueError("unreadable")

        async def commit() -> None:
            pytest.fail("a later batch was committed over a hole")

        return commit

    async def failed(error: BaseException) -> None:
        failures.append(error)

    pump = CommitPump(prepare, failed=failed, in_flight=3)
    await pump.put(batch_of(0, 0), lambda: None)
    await pump.put(batch_of(0, 1), lambda: None)
    await pump.drain()
    assert [str(error) for error in failures] == ["unreadable"]
