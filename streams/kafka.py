"""Kafka's administration: topics and their ids."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from kafka.admin import KafkaAdminClient, NewTopic
from kafka.errors import KafkaError, TopicAlreadyExistsError, UnknownTopicOrPartitionError

from streams.brokers import Brokers, as_brokers
from streams.errors import UnavailableError
from streams.kafka_knock import knock

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

__all__ = [
    "check_topics",
    "create_topics",
    "dead_letter_topic",
    "no_answer",
    "topic_ids",
    "wait_until_known",
]

#: Kafka's number of the fetch, and version of the first one by topic ids.
_FETCH, _FETCH_BY_ID = 1, 13
#: Seconds that a broker has to learn of a new topic.
_PATIENCE = 30.0
#: Milliseconds to find a broker that has just answered.
_BOOTSTRAP_MS = 10_000


def dead_letter_topic(topic: str) -> str:
    """Return the name of a topic's dead-letter topic."""
    return f"{topic}.dead-letter"


def topic_ids(brokers: Brokers | str, topics: Collection[str]) -> dict[str, str]:
    """Ask for the ids that topics got when they were made; offsets are kept under them.

    Returns
    -------
    dict of str
        Ids by names, without the topics that do not exist.

    Raises
    ------
    UnavailableError
        When no broker answers.
    """
    admin = _admin(brokers)
    try:
        return _topic_ids(admin, topics)
    finally:
        admin.close()


def create_topics(
    brokers: Brokers | str,
    topics: Iterable[str],
    *,
    plain: Iterable[str] = (),
    partitions: int,
    replication: int,
) -> list[str]:
    """Create the topics that are missing, with their dead-letter topics.

    Parameters
    ----------
    plain
        Topics that are not read by us, and have no dead-letter topic.

    Returns
    -------
    list of str
        Names of the topics that were created.
    """
    admin = _admin(brokers)
    try:
        present = set(admin.list_topics())
        wanted = [(topic, partitions) for topic in topics]
        wanted += [(dead_letter_topic(topic), 1) for topic, _ in list(wanted)]
        wanted += [(topic, partitions) for topic in plain]
        missing = [
            NewTopic(name=name, num_partitions=count, replication_factor=replication)
            for name, count in wanted
            if name not in present
        ]
        created = []
        for topic in missing:
            try:
                admin.create_topics([topic])
            except TopicAlreadyExistsError:
                continue
            created.append(str(topic.name))
        wait_until_known(admin, created)
        return created
    finally:
        admin.close()


def wait_until_known(admin: KafkaAdminClient, topics: Collection[str]) -> None:
    """Wait until a broker tells of topics that were just made; it learns of them a little later.

    Raises
    ------
    UnavailableError
        When that takes too long.
    """
    deadline = time.monotonic() + _PATIENCE
    while unknown := sorted(set(topics) - _topic_ids(admin, topics).keys()):
        if time.monotonic() > deadline:
            raise UnavailableError(
                f"Kafka made topic {', '.join(unknown)}, and still does not know it after "
                f"{_PATIENCE:g} s. Look at the brokers' controller."
            )
        time.sleep(0.05)


def check_topics(brokers: Brokers | str, topics: Iterable[str]) -> None:
    """Make sure that topics exist and can be read by their ids.

    Raises
    ------
    UnavailableError
        When no broker answers, a topic is missing, or the brokers are too old.
    """
    topics = list(topics)
    admin = _admin(brokers)
    try:
        nodes = [broker["broker_id"] for broker in admin.describe_cluster()["brokers"]]
        versions = [admin.get_broker_version_data(node).api_versions for node in nodes]
        found = _topic_ids(admin, topics)
    finally:
        admin.close()
    if missing := [topic for topic in topics if topic not in found]:
        raise UnavailableError(
            f"Kafka has no topic {', '.join(missing)}. Run fenghuo create-topics."
        )
    if any(v[_FETCH][1] < _FETCH_BY_ID for v in versions) or not all(found.values()):
        raise UnavailableError(
            f"The brokers at {as_brokers(brokers).bootstrap} cannot be read by topic ids. Apache "
            "Kafka can from version 3.1 on."
        )


def _topic_ids(admin: KafkaAdminClient, topics: Collection[str]) -> dict[str, str]:
    if not topics:
        return {}  # Kafka would tell of all
    return {
        topic["name"]: str(topic["topic_id"] or "")
        for topic in admin.describe_topics(sorted(topics))
        if topic["error_code"] != UnknownTopicOrPartitionError.errno
    }


def _admin(brokers: Brokers | str) -> KafkaAdminClient:
    brokers = as_brokers(brokers)
    knock(brokers)
    try:
        return KafkaAdminClient(
            client_id="fenghuo", bootstrap_timeout_ms=_BOOTSTRAP_MS, **brokers.for_kafka_python()
        )
    except KafkaError as error:
        raise no_answer(brokers, error) from None


def no_answer(brokers: Brokers, error: Exception) -> UnavailableError:
    """Return the error of a client that found no broker."""
    return UnavailableError(
        f"No Kafka broker answers at {brokers.bootstrap}: {error}. Check --kafka or FENGHUO_KAFKA."
    )
