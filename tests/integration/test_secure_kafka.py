"""Workers and commands at a real Apache Kafka with TLS and SASL."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from streams.errors import UnavailableError
from streams.feed.publish import publish_mixed
from streams.kafka import check_topics, create_topics
from streams.kafka_lag import read_log_ends
from streams.settings import Settings
from tests.support.kafka_server import KafkaServer, KafkaUnavailable
from tests.support.load import make_load
from tests.support.secure_kafka import (
    PASSWORD,
    USER,
    Certificates,
    secure_kafka,
    token_endpoint,
)
from tests.support.store import rows
from tests.support.workers import Worker, make_settings, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from streams.config import Configuration

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def broker(certificates: Certificates) -> Iterator[KafkaServer]:
    try:
        with secure_kafka(certificates) as server:
            yield server
    except KafkaUnavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with token_endpoint("client", "s3cr3t-of-client") as (url, _):
        yield url


def sasl(mechanism: str, password: str = PASSWORD) -> dict[str, Any]:
    return {
        "kafka_sasl_mechanism": mechanism,
        "kafka_username": USER,
        "kafka_password": SecretStr(password),
    }


def settings(
    broker: KafkaServer, certificates: Certificates, listener: str, **given: Any
) -> Settings:
    protocol = {"TLS": "SSL", "MUTUAL": "SSL", "SASL": "SASL_SSL", "CLEAR": "SASL_PLAINTEXT"}
    defaults: dict[str, Any] = {"kafka_security_protocol": protocol[listener]}
    if listener != "CLEAR":
        defaults["kafka_ca_file"] = certificates.authority
    return Settings(kafka=broker.addresses[listener], **(defaults | given))


@pytest.mark.parametrize(
    ("listener", "given"),
    [
        ("TLS", {}),
        ("MUTUAL", {"kafka_cert_file": "client"}),
        ("SASL", sasl("PLAIN")),
        ("SASL", sasl("SCRAM-SHA-256")),
        ("CLEAR", sasl("SCRAM-SHA-512")),
        (
            "SASL",
            {
                "kafka_sasl_mechanism": "OAUTHBEARER",
                "kafka_client_id": "client",
                "kafka_client_secret": SecretStr("s3cr3t-of-client"),
            },
        ),
    ],
)
def test_both_clients_are_let_in(
    broker: KafkaServer,
    certificates: Certificates,
    endpoint: str,
    fresh_name: str,
    listener: str,
    given: dict[str, Any],
) -> None:
    if "kafka_cert_file" in given:
        given = {"kafka_cert_file": certificates.client}
    if "kafka_client_id" in given:
        given = given | {"kafka_token_url": endpoint}
    brokers = settings(broker, certificates, listener, **given).brokers
    create_topics(brokers, [], plain=[fresh_name], partitions=1, replication=1)
    publish_mixed(brokers, [(fresh_name, b"key", b"value")] * 3)
    check_topics(brokers, [fresh_name])
    assert read_log_ends(brokers, [fresh_name]).ends == {(fresh_name, 0): (0, 3)}


@pytest.mark.parametrize(
    ("listener", "given", "told"),
    [
        ("TLS", {"kafka_ca_file": "stranger"}, "no known authority signed.*FENGHUO_KAFKA_CA_FILE"),
        ("TLS", {"kafka": "127.0.0.1"}, "a certificate of another name.*advertised.listeners"),
        ("MUTUAL", {}, "may ask for a client certificate: check FENGHUO_KAFKA_CERT_FILE"),
        ("MUTUAL", {"kafka_cert_file": "strange"}, "check FENGHUO_KAFKA_CERT_FILE"),
        ("SASL", sasl("PLAIN", "wrong-s3cr3t"), f"refuses {USER}: .*FENGHUO_KAFKA_PASSWORD"),
        ("SASL", sasl("SCRAM-SHA-256", "wrong-s3cr3t"), f"refuses {USER}: .*_PASSWORD"),
        (
            "SASL",
            {
                "kafka_sasl_mechanism": "OAUTHBEARER",
                "kafka_client_id": "client",
                "kafka_client_secret": SecretStr("wrong-s3cr3t"),
            },
            "token endpoint .* answers 401: invalid_client",
        ),
        ("TLS", {"kafka_security_protocol": "PLAINTEXT"}, "speaks TLS. Set .* to SSL or SASL_SSL"),
        ("CLEAR", {"kafka_security_protocol": "PLAINTEXT"}, "it may expect SASL"),
        ("TLS", {"kafka_security_protocol": "SASL_SSL", **sasl("PLAIN")}, "not expect SASL"),
        ("CLEAR", {"kafka_security_protocol": "SSL"}, "may not speak TLS"),
    ],
)
def test_what_is_wrong_is_one_line_within_seconds(
    broker: KafkaServer,
    certificates: Certificates,
    endpoint: str,
    listener: str,
    given: dict[str, Any],
    told: str,
) -> None:
    files = {"stranger": certificates.stranger, "strange": certificates.strange_client}
    given = {key: files.get(value, value) if isinstance(value, str) else value
             for key, value in given.items()}  # fmt: skip
    if given.get("kafka_security_protocol") == "PLAINTEXT":
        given["kafka_ca_file"] = ""
    if "kafka_client_id" in given:
        given["kafka_token_url"] = endpoint
    kafka = broker.addresses[listener].replace("localhost", given.pop("kafka", "localhost"))
    wrong = settings(broker, certificates, listener, **given).model_copy(update={"kafka": kafka})
    began = time.monotonic()
    with pytest.raises(UnavailableError, match=told) as caught:
        check_topics(wrong.brokers, ["any"])
    assert time.monotonic() - began < 20
    assert "s3cr3t" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_worker_waits_while_the_certificate_has_expired(
    broker: KafkaServer,
    certificates: Certificates,
    database_url: str,
    fresh_name: str,
    tmp_path: Path,
    configuration: Configuration,
) -> None:
    secure = settings(broker, certificates, "SASL", **sasl("SCRAM-SHA-512"))
    given = make_settings(broker.bootstrap, database_url, fresh_name).model_copy(
        update=secure.model_dump(
            include={name for name in Settings.model_fields if "kafka" in name}
        )
    )
    records = make_load(configuration, seed=7, days=3).records
    topics = given.topics

    def publish(first: int, end: int) -> None:
        part = records[first:end]
        publish_mixed(broker.bootstrap, [(topics[kind], key, value) for kind, key, value in part])

    def counted() -> int:
        return int(rows(database_url, "SELECT coalesce(sum(records), 0) FROM batches")[0][0])

    worker = Worker(given, "worker", tmp_path)
    try:
        worker.start()
        publish(0, 200)
        until(lambda: counted() == 200, "the first counts", worker)
        certificates.write_broker(expired=True)
        broker.restart()
        until(lambda: "certificate has expired" in worker.tail(2000), "a word of it", worker)
        publish(200, 400)
        time.sleep(1)
        assert worker.running
        assert counted() == 200
        certificates.write_broker()
        broker.restart()
        until(lambda: counted() == 400, "the rest", worker)
        assert PASSWORD not in worker.tail(100_000)
    finally:
        certificates.write_broker()
        worker.kill()
