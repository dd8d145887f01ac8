from __future__ import annotations

from streams.feed.publish import publish_records
from streams.kafka import create_topics
from streams.kafka_lag import read_log_ends


def test_the_end_counts_every_record_of_the_last_batch(kafka: str, fresh_name: str) -> None:
    create_topics(kafka, [fresh_name], partitions=2, replication=1)
    publish_records(kafka, fresh_name, ((b"one key", b"value") for _ in range(500)))
    logs = read_log_ends(kafka, [fresh_name, "no-such-topic"])
    assert sorted(logs.ends.values()) == [(0, 0), (0, 500)]
    assert {topic for topic, _ in logs.ends} == {fresh_name}
