"""Kafka's administration: topics, and who the cluster is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kafka.admin import KafkaAdminClient, NewTopic
from kafka.errors import KafkaError, TopicAlreadyExistsError

from streams.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["cluster_id", "create_topics", "dead_letter_topic", "missing_topics"]


def dead_letter_topic(topic: str) -> str:
    """Return the name of a topic's dead-letter topic."""
    return f"{topic}.dead-letter"


def cluster_id(bootstrap: str) -> str:
    """Ask the brokers for the id of their cluster; offsets are kept under it.

    Raises
    ------
    UnavailableError
        When no broker answers.
    """
    admin = _admin(bootstrap)
    try:
        return str(admin.describe_cluster()["cluster_id"])
    finally:
        admin.close()


def create_topics(
    bootstrap: str, topics: Iterable[str], *, partitions: int, replication: int
) -> list[str]:
    """Create the topics that are missing, with their dead-letter topics.

    Returns
    -------
    list of str
        Names of the topics that were created.
    """
    admin = _admin(bootstrap)
    try:
        present = set(admin.list_topics())
        wanted = [(topic, partitions) for topic in topics]
        wanted += [(dead_letter_topic(topic), 1) for topic, _ in list(wanted)]
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
        return created
    finally:
        admin.close()


def missing_topics(bootstrap: str, topics: Iterable[str]) -> list[str]:
    """Return the topics that do not exist.

    Raises
    ------
    UnavailableError
        When no broker answers.
    """
    admin = _admin(bootstrap)
    try:
        present = set(admin.list_topics())
    finally:
        admin.close()
    return [topic for topic in topics if topic not in present]


def _admin(bootstrap: str) -> KafkaAdminClient:
    try:
        return KafkaAdminClient(bootstrap_servers=bootstrap.split(","), client_id="fenghuo")
    except KafkaError as error:
        raise UnavailableError(
            f"No Kafka broker answers at {bootstrap}: {error}. Check --kafka or FENGHUO_KAFKA."
        ) from None
