from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import batch_app

_HERE = Path(__file__).parent
# A connection that aiokafka was just making when it was closed is found by the collector, at any
# time later. Colons would end the pattern.
_LEFT_BY_AIOKAFKA = (
    "ignore:Exception ignored in. <(function (AIOKafkaConnection|StreamWriter|_SelectorTransport)"
    "|socket.socket):pytest.PytestUnraisableExceptionWarning"
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Hold nothing against tests that run applications which is not theirs."""
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings(_LEFT_BY_AIOKAFKA))


@pytest.fixture
def apache_kafka(apache_kafka: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Address of a real Apache Kafka, which answers a join at once: sessions can be long.

    A session lost on a busy machine is no fault, but brings records a second time.
    """
    monkeypatch.setattr(batch_app, "SESSION_SECONDS", 60.0)
    return apache_kafka


@pytest.fixture(params=["kafka", pytest.param("apache_kafka", marks=pytest.mark.kafka)])
def broker(request: pytest.FixtureRequest) -> str:
    """Address of the embedded broker, and of a real Apache Kafka."""
    address: str = request.getfixturevalue(request.param)
    return address
