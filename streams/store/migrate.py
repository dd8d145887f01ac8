"""Bringing a database up to date: migrations, regions, installation facts, TimescaleDB."""

from __future__ import annotations

import warnings
from importlib import resources
from typing import TYPE_CHECKING, LiteralString, NamedTuple
from urllib.parse import quote, urlencode

from psycopg.conninfo import conninfo_to_dict

from streams.errors import StoreError
from streams.store.hardening import harden
from streams.store.pool import connect
from streams.store.surveyed import store_surveillance
from streams.store.timescale import apply_timescale

if TYPE_CHECKING:
    import psycopg

    from streams.config import Configuration

__all__ = ["Migrated", "installation_facts", "migrate"]

#: Facts on which stored counts depend; they cannot change under existing counts.
_FIXED = ("time_zone", "regions")


class Migrated(NamedTuple):
    """What a migration did."""

    applied: list[str]
    regions: int
    timescale: str | None


def migrate(database: str, configuration: Configuration) -> Migrated:
    """Bring the database up to date; running it again changes nothing.

    Raises
    ------
    StoreError
        When the database holds counts of another time zone, region registry or epi week.
    UnavailableError
        When the server cannot be reached.
    """
    with connect(database):
        pass  # a readable error before the runner's own
    applied = _apply_migrations(database)
    with connect(database) as connection:
        before = connection.execute(_SUMMED_BY).fetchone()
        _describe_installation(connection, configuration)
        regions = _store_regions(connection, configuration)
        if connection.execute(_SUMMED_BY).fetchone() != before:
            connection.execute("SELECT rebuild_levels()")
        store_surveillance(connection, configuration)
        timescale = apply_timescale(connection, configuration.surveillance.event_time)
    with connect(database) as connection:
        harden(connection)
    return Migrated(applied, regions, timescale)


def _apply_migrations(database: str) -> list[str]:
    with warnings.catch_warnings():
        # yoyo parses SQL with sqlparse, which warns about its own grammar.
        warnings.simplefilter("ignore")
        from yoyo import get_backend, read_migrations  # noqa: PLC0415 - heavy, only used here
    folder = resources.files("streams.store") / "migrations"
    migrations = read_migrations(str(folder))
    backend = get_backend(_yoyo_uri(database))
    try:
        with backend.lock():
            pending = backend.to_apply(migrations)
            backend.apply_migrations(pending)
            return [migration.id for migration in pending]
    finally:
        backend.connection.close()


def _yoyo_uri(database: str) -> str:
    """Write a libpq connection string as the URI that yoyo understands."""
    parts = conninfo_to_dict(database)
    user = parts.pop("user", "")
    password = parts.pop("password", "")
    host, port = parts.pop("host", ""), parts.pop("port", "")
    name = parts.pop("dbname", "")
    if isinstance(host, str) and host.startswith("/"):
        parts["host"], host = host, ""
        if port:
            parts["port"], port = port, ""
    login = quote(f"{user}", safe="")
    if password:
        login += ":" + quote(f"{password}", safe="")
    login += "@" if login else ""
    address = f"{host}:{port}" if port else f"{host}"
    return f"postgresql+psycopg://{login}{address}/{name}?{urlencode(parts)}"


def installation_facts(configuration: Configuration) -> dict[str, str]:
    """Return the settings that the database's functions and counts depend on."""
    surveillance = configuration.surveillance
    return {
        "time_zone": surveillance.time_zone,
        "epi_week": surveillance.epi_week,
        "regions": surveillance.regions,
    }


def _describe_installation(connection: psycopg.Connection, configuration: Configuration) -> None:
    facts = installation_facts(configuration)
    stored: dict[str, str] = dict(
        connection.execute("SELECT key, value FROM installation").fetchall()
    )
    changed = [key for key in _FIXED if key in stored and stored[key] != facts[key]]
    if changed and _any(connection, "SELECT 1 FROM hourly_counts LIMIT 1"):
        key = changed[0]
        raise StoreError(
            f"This database holds counts with {key} {stored[key]}, the configuration says "
            f"{facts[key]}. Set {key} back, or use another database."
        )
    if stored.get("epi_week", facts["epi_week"]) != facts["epi_week"]:
        _refuse_other_weeks(connection, stored["epi_week"], facts["epi_week"])
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO installation (key, value) VALUES (%s, %s) "
            "ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value",
            list(facts.items()),
        )


def _any(connection: psycopg.Connection, query: LiteralString) -> bool:
    return connection.execute(query).fetchone() is not None


def _refuse_other_weeks(connection: psycopg.Connection, stored: str, wanted: str) -> None:
    """Refuse weeks that begin on another day than those of imported counts."""
    if _any(connection, "SELECT 1 FROM imported_counts WHERE grain = 'week' LIMIT 1"):
        raise StoreError(
            f"This database holds imported counts of {stored} weeks, the configuration says "
            f"epi_week: {wanted}. Set epi_week back, or use another database."
        )


def _store_regions(connection: psycopg.Connection, configuration: Configuration) -> int:
    """Write the registry: parents first, and for each region itself and all regions above it."""
    registry = configuration.regions
    regions = sorted(registry, key=lambda region: len(registry.ancestors(region.code)))
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO regions (code, level, parent, name_zh, name_en, lat, lon, population, "
            "valid_from, valid_to) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) "
            "ON CONFLICT (code) DO UPDATE SET (level, parent, name_zh, name_en, lat, lon, "
            "population, valid_from, valid_to) = (EXCLUDED.level, EXCLUDED.parent, "
            "EXCLUDED.name_zh, EXCLUDED.name_en, EXCLUDED.lat, EXCLUDED.lon, EXCLUDED.population, "
            "EXCLUDED.valid_from, EXCLUDED.valid_to)",
            [
                (
                    region.code,
                    str(region.level),
                    region.parent,
                    region.name_zh,
                    region.name_en,
                    region.lat,
                    region.lon,
                    region.population,
                    region.valid_from,
                    region.valid_to,
                )
                for region in regions
            ],
        )
        cursor.execute("DELETE FROM region_ancestors")
        cursor.executemany(
            "INSERT INTO region_ancestors (region, ancestor, level) VALUES (%s, %s, %s)",
            [
                (region.code, above.code, str(above.level))
                for region in regions
                for above in (region, *registry.ancestors(region.code))
            ],
        )
    return len(regions)


# What the sums of upper levels depend on: the tree of regions, and where weeks begin.
_SUMMED_BY = """
SELECT (SELECT md5(string_agg(a.region || ' ' || a.ancestor, ',' ORDER BY a.region, a.ancestor))
        FROM region_ancestors a),
       (SELECT k.week_origin FROM clock k)
"""
