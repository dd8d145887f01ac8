"""Records of every codec, from the producers that sources use."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaProducer
from confluent_kafka import Producer as ConfluentProducer
from kafka import KafkaProducer

from tests.support.batch_app import create_topic, make_app, running, until
from tests.support.batches import assert_tiled, collect, values

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    Send = Callable[[str, str, str, list[bytes]], Awaitable[Any]]

CODECS = ("gzip", "snappy", "lz4", "zstd")


async def with_aiokafka(broker: str, topic: str, codec: str, sent: list[bytes]) -> None:
    async with AIOKafkaProducer(bootstrap_servers=broker, compression_type=codec) as producer:
        await asyncio.gather(*[await producer.send(topic, value) for value in sent])


async def with_kafka_python(broker: str, topic: str, codec: str, sent: list[bytes]) -> None:
    def send() -> None:
        producer = KafkaProducer(bootstrap_servers=broker, compression_type=codec, linger_ms=20)
        futures = [producer.send(topic, value) for value in sent]
        producer.flush(30)
        for future in futures:
            future.get(30)
        producer.close()

    await asyncio.to_thread(send)


async def with_librdkafka(broker: str, topic: str, codec: str, sent: list[bytes]) -> None:
    def send() -> None:
        errors: list[object] = []
        producer = ConfluentProducer(
            {"bootstrap.servers": broker, "compression.type": codec, "linger.ms": 20}
        )
        for value in sent:
            producer.produce(topic, value, on_delivery=lambda error, _: errors.append(error))
        assert producer.flush(30) == 0
        assert errors == [None] * len(sent)

    await asyncio.to_thread(send)


SENDERS: dict[str, Send] = {
    "aiokafka": with_aiokafka,
    "kafka-python": with_kafka_python,
    "librdkafka": with_librdkafka,
}


async def test_every_codec_of_every_producer_is_read(
    broker: str, fresh_name: str, tmp_path: Path
) -> None:
    create_topic(broker, fresh_name)
    create_topic(broker, f"{fresh_name}-zstd", compression_type="zstd")
    app = make_app(broker, fresh_name, tmp_path)
    batches = collect(app, fresh_name)
    other = make_app(broker, f"{fresh_name}-zstd", tmp_path)
    made_zstd_by_the_broker = collect(other, f"{fresh_name}-zstd")
    number = 0
    for send in SENDERS.values():
        for codec in CODECS:
            # Blanks, so that compression pays: librdkafka leaves it out where it does not.
            await send(
                broker, fresh_name, codec, [b" " * 200 + b"%d" % (number + i) for i in range(50)]
            )
            number += 50
    await with_aiokafka(broker, f"{fresh_name}-zstd", "gzip", [b" " * 200 + b"7"] * 50)

    async with running(app), running(other):
        await until(lambda: len(values(batches)) >= number, "all records")
        await until(lambda: len(values(made_zstd_by_the_broker)) >= 50, "the topic's own codec")

    assert values(batches) == list(range(number))
    assert_tiled(batches)
    assert not any(batch.unreadable for batch in batches)
    assert values(made_zstd_by_the_broker) == [7] * 50
