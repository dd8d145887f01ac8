"""What must be in place before a worker or the triage page starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.errors import StoreError
from streams.kafka import check_topics
from streams.store.db_clock import check_skew, clock_skew
from streams.store.migrate import installation_facts
from streams.store.people import any_user
from streams.store.pool import connect
from streams.store.schema import check_schema

if TYPE_CHECKING:
    import psycopg

    from streams.config import Configuration
    from streams.settings import Settings

__all__ = ["check_page", "check_ready"]


def check_ready(settings: Settings, configuration: Configuration) -> None:
    """Check that database and topics are there and agree with the configuration.

    Raises
    ------
    SchemaMisfitError
        The database's schema is older or newer than this program.
    StoreError
        The database was migrated for another time zone, epi week or registry: counts
        would land in other days than those judged.
    ClockSkewError
        This machine's clock and the database's are too far apart.
    UnavailableError
        The database or the brokers cannot be reached, a topic is missing, or the brokers are too
        old.
    """
    with connect(settings.database) as connection:
        _check_installation(connection, configuration)
        check_skew(clock_skew(connection))
    check_topics(settings.brokers, [*settings.topics.values(), settings.alerts_topic])


def check_page(settings: Settings, configuration: Configuration) -> None:
    """Check that the database is there and agrees with the configuration, and knows a user.

    Raises
    ------
    SchemaMisfitError
        The database's schema is older or newer than this program.
    StoreError
        The database was migrated for another installation, or nobody could sign in.
    UnavailableError
        The database cannot be reached.
    """
    with connect(settings.database) as connection:
        _check_installation(connection, configuration)
        known = any_user(connection)
    if not known and not settings.oidc_new_users:
        raise StoreError(
            "Nobody could sign in: there are no users. "
            "Add the first one: fenghuo users add NAME --role admin"
        )


def _check_installation(connection: psycopg.Connection, configuration: Configuration) -> None:
    check_schema(connection)
    wanted = installation_facts(configuration)
    stored: dict[str, str] = dict(
        connection.execute("SELECT key, value FROM installation").fetchall()
    )
    for key, value in wanted.items():
        if stored.get(key) != value:
            raise StoreError(
                f"The configuration says {key}: {value}, the database was made ready for "
                f"{stored.get(key, 'nothing yet')}. Run fenghuo db migrate with this configuration."
            )
