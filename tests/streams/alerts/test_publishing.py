from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from aiokafka import AIOKafkaProducer

from schemas.alerts import (
    AlertEvent,
    Closed,
    Contribution,
    Explained,
    Explanation,
    Monitored,
    Verified,
)
from streams.alerts import publishing
from streams.alerts.lifecycle import fold
from streams.alerts.publishing import publish_events
from streams.kafka import create_topics
from streams.sending import send_all
from streams.store import limits
from streams.store.pool import open_pool
from streams.store.set_aside import list_set_aside
from tests.support.alerts import AS_OF, PERIOD, alert_of, decide, open_alert, tell
from tests.support.logs import read_topic

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PARTITIONS = 2


class Producer:
    """The part of Faust's producer that is used, on a real one; may fail on the way."""

    def __init__(self, real: AIOKafkaProducer, fail_at: int | None = None) -> None:
        self._real = real
        self._left = fail_at

    async def send(
        self,
        topic: str,
        key: bytes,
        value: bytes,
        *_: None,  # partition, timestamp and headers
    ) -> Any:
        if self._left is not None:
            self._left -= 1
            if self._left < 0:
                raise ConnectionError
        return await self._real.send(topic, value, key)


@asynccontextmanager
async def producer(kafka: str, fail_at: int | None = None) -> AsyncIterator[Producer]:
    async with AIOKafkaProducer(bootstrap_servers=kafka) as real:
        yield Producer(real, fail_at)


@pytest.fixture
def topic(kafka: str, fresh_name: str) -> str:
    create_topics(kafka, [], plain=[fresh_name], partitions=PARTITIONS, replication=1)
    return fresh_name


def consumed(kafka: str, topic: str) -> dict[int, list[AlertEvent]]:
    """The events on the topic, by the alert that is their key."""
    found: dict[int, list[AlertEvent]] = {}
    for record in read_topic(kafka, topic):
        event = AlertEvent.model_validate_json(record.value)
        found.setdefault(int(record.key), []).append(event)
    return found


async def test_other_systems_can_follow_every_change(
    database_url: str, kafka: str, topic: str
) -> None:
    ids = [open_alert(database_url, region=region) for region in ("TW-TPE", "TW-KHH", "TW-NWT")]
    decide(database_url, ids[0], Verified(note="致电医院"), Monitored())
    async with open_pool(database_url, size=1) as pool, producer(kafka) as sending:
        assert await publish_events(pool, sending, topic) == 5
        assert await publish_events(pool, sending, topic) == 0
        decide(database_url, ids[0], Closed(outcome="outbreak"))
        assert await publish_events(pool, sending, topic) == 1
    found = consumed(kafka, topic)
    assert {alert_id: fold(events) for alert_id, events in found.items()} == {
        alert_id: alert_of(database_url, alert_id) for alert_id in ids
    }


async def test_small_cells_stay_in_the_database(database_url: str, kafka: str, topic: str) -> None:
    alert_id = open_alert(database_url)
    parts = tuple(Contribution(name=f"H-{n}", observed=n, expected=0) for n in (4, 5))
    tell(
        database_url,
        alert_id,
        Explained(
            explanation=Explanation(
                as_of=AS_OF, period=PERIOD, excess=24.5, growth_per_day=None, doubling_days=None,
                completeness=None, facilities=parts,
            )
        ),
    )  # fmt: skip
    async with open_pool(database_url, size=1) as pool, producer(kafka) as sending:
        assert await publish_events(pool, sending, topic) == 2
    _, event = consumed(kafka, topic)[alert_id]
    assert isinstance(event.change, Explained)
    assert event.change.explanation.facilities == parts[1:]
    stored = alert_of(database_url, alert_id).explanation
    assert stored is not None
    assert stored.facilities == parts


async def test_what_was_cut_off_is_sent_again(database_url: str, kafka: str, topic: str) -> None:
    alert_id = open_alert(database_url)
    decide(database_url, alert_id, Verified(), Monitored(), Closed(outcome="explained"))
    async with open_pool(database_url, size=1) as pool:
        async with producer(kafka, fail_at=2) as failing:
            with pytest.raises(ConnectionError):
                await publish_events(pool, failing, topic)
        async with producer(kafka) as sending:
            assert await publish_events(pool, sending, topic) == 2
    (events,) = consumed(kafka, topic).values()
    assert [event.seq for event in events] == [1, 2, 3, 4]


async def test_a_slow_broker_ends_no_session(
    database_url: str, kafka: str, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker answers later than the server lets a transaction be silent."""
    monkeypatch.setattr(limits, "_WORD_SECONDS", 0.1)
    alert_id = open_alert(database_url)

    async def slow(sending: Any, records: Any) -> Any:
        await asyncio.sleep(6)
        return await send_all(sending, records)

    monkeypatch.setattr(publishing, "send_all", slow)

    async def impatient(connection: psycopg.AsyncConnection) -> None:
        await connection.execute("SET idle_in_transaction_session_timeout = '5s'")
        await connection.commit()

    async with (
        open_pool(database_url, size=1, configure=impatient) as pool,
        producer(kafka) as sending,
    ):
        assert await publish_events(pool, sending, topic) == 1
    assert list(consumed(kafka, topic)) == [alert_id]


async def test_more_than_one_batch(
    database_url: str, kafka: str, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.alerts.publishing._AT_ONCE", 2)
    ids = [open_alert(database_url, region=region) for region in ("TW-TPE", "TW-KHH", "TW-NWT")]
    decide(database_url, ids[0], Verified(), Monitored())
    async with open_pool(database_url, size=1) as pool, producer(kafka) as sending:
        assert await publish_events(pool, sending, topic) == 5
    assert [event.seq for event in consumed(kafka, topic)[ids[0]]] == [1, 2, 3]


async def test_an_oversized_event_blocks_no_other(
    database_url: str, kafka: str, topic: str
) -> None:
    first, second = (open_alert(database_url, region=region) for region in ("TW-TPE", "TW-KHH"))
    parts = tuple(Contribution(name=f"H-{n}" * 40, observed=9, expected=0) for n in range(2000))
    tell(
        database_url,
        first,
        Explained(
            explanation=Explanation(
                as_of=AS_OF, period=PERIOD, excess=24.5, growth_per_day=None, doubling_days=None,
                completeness=None, facilities=parts,
            )
        ),
    )  # fmt: skip
    decide(database_url, second, Verified())
    async with (
        open_pool(database_url, size=1) as pool,
        AIOKafkaProducer(bootstrap_servers=kafka, max_request_size=100_000) as real,
    ):
        assert await publish_events(pool, Producer(real), topic) == 3
        assert await publish_events(pool, Producer(real), topic) == 0
    found = consumed(kafka, topic)
    assert [event.seq for event in found[first]] == [1]
    assert [event.seq for event in found[second]] == [1, 2]
    with psycopg.connect(database_url) as connection:
        (aside,) = list_set_aside(connection)
    assert (aside.queue, aside.example) == ("events of alerts", f"alert {first}, event 2")
    assert "MessageSizeTooLarge" in aside.reason


async def test_a_row_that_is_no_event_blocks_no_follower(
    database_url: str, kafka: str, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.alerts.publishing._AT_ONCE", 1)
    first, second = (open_alert(database_url, region=region) for region in ("TW-TPE", "TW-KHH"))
    with psycopg.connect(database_url) as connection:
        connection.execute(
            """UPDATE alert_events SET change = '{"kind": "of tomorrow"}' WHERE alert_id = %s""",
            (first,),
        )
    async with open_pool(database_url, size=1) as pool, producer(kafka) as sending:
        assert await publish_events(pool, sending, topic) == 1
    assert list(consumed(kafka, topic)) == [second]
    with psycopg.connect(database_url) as connection:
        (aside,) = list_set_aside(connection)
    assert aside.reason.startswith("not an event: change")
