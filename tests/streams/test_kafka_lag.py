from __future__ import annotations

import asyncio

import pytest

from streams.feed.publish import publish_records
from streams.kafka import create_topics
from streams.kafka_lag import read_log_ends
from tests.support.raw_batches import encode, produce_raw


def test_the_end_counts_every_record_of_the_last_batch(kafka: str, fresh_name: str) -> None:
    create_topics(kafka, [fresh_name], partitions=2, replication=1)
    publish_records(kafka, fresh_name, ((b"one key", b"value") for _ in range(500)))
    logs = read_log_ends(kafka, [fresh_name, "no-such-topic"])
    assert sorted(logs.ends.values()) == [(0, 0), (0, 500)]
    assert {topic for topic, _ in logs.ends} == {fresh_name}


@pytest.mark.parametrize("broker", ["kafka", pytest.param("apache_kafka", marks=pytest.mark.kafka)])
def test_the_end_is_known_of_a_log_whose_codec_is_not(
    broker: str, fresh_name: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    # kafka-python needs a library for each codec, of which the image has none.
    for library in ("snappy", "zstd", "lz4", "lz4f", "lz4framed"):
        monkeypatch.setattr(f"kafka.codec.{library}", None)
    address = request.getfixturevalue(broker)
    create_topics(address, [fresh_name], partitions=1, replication=1)
    for codec in ("snappy", "lz4", "zstd"):
        sent = encode([b" " * 100] * 20, codec=codec)
        assert asyncio.run(produce_raw(address, fresh_name, sent)) == 0
    assert read_log_ends(address, [fresh_name]).ends == {(fresh_name, 0): (0, 60)}
