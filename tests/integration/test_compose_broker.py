"""The broker of compose.yaml: a real Apache Kafka starts with its environment and serves us."""

from __future__ import annotations

import pytest
from kafka import KafkaAdminClient, KafkaConsumer

from streams.feed.publish import publish_records
from streams.kafka import create_topics
from tests.support.compose import PASSWORDS, load_compose
from tests.support.kafka_server import KafkaServer, KafkaUnavailable
from tests.support.processes import free_ports

ENVIRONMENT = load_compose(PASSWORDS)["services"]["kafka"]["environment"]


def broker_properties(ports: dict[str, int]) -> dict[str, str]:
    """Turn the environment into properties as the image does, on ports of this machine."""
    found = {}
    for key, value in ENVIRONMENT.items():
        if key not in {"KAFKA_HEAP_OPTS", "KAFKA_LOG_DIRS"}:
            found[key.removeprefix("KAFKA_").lower().replace("_", ".")] = str(value)
    inside, outside, controller = ports.values()
    return found | {
        "listeners": f"INSIDE://127.0.0.1:{inside},OUTSIDE://127.0.0.1:{outside},"
        f"CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": f"INSIDE://127.0.0.1:{inside},OUTSIDE://localhost:{outside}",
        "controller.quorum.voters": f"1@localhost:{controller}",
    }


@pytest.mark.kafka
def test_a_real_broker_starts_with_its_environment(fresh_name: str) -> None:
    ports = dict(zip(("inside", "outside", "controller"), free_ports(3), strict=True))
    try:
        server = KafkaServer(settings=broker_properties(ports))
    except KafkaUnavailable as reason:
        pytest.skip(str(reason))
    server.bootstrap = f"127.0.0.1:{ports['inside']}"
    with server:
        create_topics(server.bootstrap, [fresh_name], partitions=2, replication=1)
        # From outside, and with a group, whose topic needs no second broker.
        outside = f"127.0.0.1:{ports['outside']}"
        assert publish_records(outside, fresh_name, [(b"TW-TPE", b"{}")] * 3) == 3
        consumer = KafkaConsumer(
            fresh_name,
            bootstrap_servers=outside,
            group_id=fresh_name,
            auto_offset_reset="earliest",
            consumer_timeout_ms=20_000,
        )
        assert [next(consumer).value for _ in range(3)] == [b"{}"] * 3
        consumer.close()
        # Nobody makes a topic by asking for it.
        client = KafkaAdminClient(bootstrap_servers=server.bootstrap)
        client.describe_topics([f"{fresh_name}-other"])
        assert f"{fresh_name}-other" not in client.list_topics()
        client.close()
