from __future__ import annotations

import pytest


@pytest.fixture(params=["kafka", pytest.param("apache_kafka", marks=pytest.mark.kafka)])
def broker(request: pytest.FixtureRequest) -> str:
    """Address of the embedded broker, and of a real Apache Kafka."""
    address: str = request.getfixturevalue(request.param)
    return address
