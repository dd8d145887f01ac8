from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from streams.errors import StoreError, UnavailableError
from streams.kafka import create_topics
from streams.preflight import check_ready
from streams.settings import Settings
from tests.conftest import make_database

if TYPE_CHECKING:
    from streams.config import Configuration


def settings(database: str, kafka: str, name: str) -> Settings:
    return Settings(
        database=database, kafka=kafka, visits_topic=f"{name}.visits", sales_topic=f"{name}.sales"
    )


def test_ready(
    database_url: str, kafka: str, fresh_name: str, configuration: Configuration
) -> None:
    ready = settings(database_url, kafka, fresh_name)
    create_topics(
        kafka, ready.topics.values(), plain=[ready.alerts_topic], partitions=1, replication=1
    )
    check_ready(ready, configuration)


def test_a_missing_topic_is_named(
    database_url: str, kafka: str, fresh_name: str, configuration: Configuration
) -> None:
    with pytest.raises(UnavailableError, match=rf"{fresh_name}.visits.*create-topics"):
        check_ready(settings(database_url, kafka, fresh_name), configuration)


def test_a_database_that_was_not_migrated(
    database_server: str, kafka: str, fresh_name: str, configuration: Configuration
) -> None:
    with (
        make_database(database_server) as empty,
        pytest.raises(StoreError, match=r"no tables of Fenghuo yet.*fenghuo db migrate"),
    ):
        check_ready(settings(empty, kafka, fresh_name), configuration)


@pytest.mark.parametrize(
    ("key", "value"), [("time_zone", "Asia/Tokyo"), ("epi_week", "mmwr"), ("regions", "cn")]
)
def test_a_configuration_that_counts_otherwise(
    key: str,
    value: str,
    database_url: str,
    kafka: str,
    fresh_name: str,
    configuration: Configuration,
) -> None:
    other = replace(
        configuration, surveillance=configuration.surveillance.model_copy(update={key: value})
    )
    with pytest.raises(StoreError, match=f"{key}: {value}"):
        check_ready(settings(database_url, kafka, fresh_name), other)
