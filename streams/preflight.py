"""What must be in place before a worker starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg import errors

from streams.errors import StoreError
from streams.kafka import check_topics
from streams.store.migrate import installation_facts
from streams.store.pool import connect

if TYPE_CHECKING:
    from streams.config import Configuration
    from streams.settings import Settings

__all__ = ["check_ready"]


def check_ready(settings: Settings, configuration: Configuration) -> None:
    """Check that database and topics are there and agree with the configuration.

    Raises
    ------
    StoreError
        The database was not migrated, or was for another time zone, epi week or registry: counts
        would land in other days than those judged.
    UnavailableError
        The database or the brokers cannot be reached, a topic is missing, or the brokers are too
        old.
    """
    wanted = installation_facts(configuration)
    with connect(settings.database) as connection:
        try:
            stored: dict[str, str] = dict(
                connection.execute("SELECT key, value FROM installation").fetchall()
            )
        except errors.UndefinedTable:
            stored = {}
    for key, value in wanted.items():
        if stored.get(key) != value:
            raise StoreError(
                f"The configuration says {key}: {value}, the database was made ready for "
                f"{stored.get(key, 'nothing yet')}. Run fenghuo db migrate with this configuration."
            )
    check_topics(settings.kafka, settings.topics.values())
