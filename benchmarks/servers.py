"""Broker and databases for one run of the benchmark."""

from __future__ import annotations

import os
import shutil
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

import psutil
import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from streams.embedded import EmbeddedBroker, EmbeddedDatabase
from streams.store.migrate import migrate
from tests.support.kafka_server import KafkaServer, KafkaUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from streams.config import Configuration

__all__ = ["BrokerKind", "DatabaseServer", "broker", "database_server", "default_broker"]

BrokerKind = Literal["embedded", "apache"]


def default_broker() -> BrokerKind:
    """Apache Kafka where Java and Maven are there, else the embedded broker."""
    return "apache" if shutil.which("java") and shutil.which("mvn") else "embedded"


@contextmanager
def broker(kind: BrokerKind, folder: Path) -> Iterator[str]:
    """Run a broker and give its address."""
    if kind == "embedded":
        with EmbeddedBroker(folder) as embedded:
            yield embedded.bootstrap
        return
    try:
        server = KafkaServer(heap_mib=1024)
    except KafkaUnavailable as error:
        raise SystemExit(f"{error}. Use --broker embedded.") from None
    with server:
        yield server.bootstrap


class DatabaseServer:
    """A PostgreSQL server on which databases are made for single contestants."""

    def __init__(self, uri: str, folder: Path | None) -> None:
        self.uri = uri
        self._folder = folder

    @contextmanager
    def fresh(self, configuration: Configuration) -> Iterator[str]:
        """Make a migrated database, and drop it at the end."""
        name = f"fenghuo_bench_{uuid.uuid4().hex[:10]}"
        with psycopg.connect(self.uri, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            available = connection.execute(
                "SELECT 1 FROM pg_available_extensions WHERE name = 'timescaledb'"
            ).fetchone()
        uri = make_conninfo(self.uri, dbname=name)
        try:
            if available:
                with psycopg.connect(uri, autocommit=True) as connection:
                    connection.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
            migrate(uri, configuration)
            with psycopg.connect(uri, autocommit=True) as connection:
                connection.execute("CHECKPOINT")  # nobody pays for the one before
            yield uri
        finally:
            with psycopg.connect(self.uri, autocommit=True) as connection:
                connection.execute(
                    sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
                )

    def version(self) -> str:
        """Return the server's version, with TimescaleDB's where it is there."""
        with psycopg.connect(self.uri) as connection:
            row = connection.execute("SHOW server_version").fetchone()
            timescale = connection.execute(
                "SELECT default_version FROM pg_available_extensions WHERE name = 'timescaledb'"
            ).fetchone()
        version = str(row[0]) if row else "?"
        return f"{version} with TimescaleDB {timescale[0]}" if timescale else version

    def cpu_seconds(self) -> float | None:
        """Return the CPU time of all its processes so far, those that ended included."""
        if self._folder is None:
            return None
        pid = int((self._folder / "postmaster.pid").read_text().split("\n", 1)[0])
        postmaster = psutil.Process(pid)
        total = sum(postmaster.cpu_times()[:4])
        for child in postmaster.children(recursive=True):
            try:
                total += sum(child.cpu_times()[:2])
            except psutil.NoSuchProcess:
                continue
        return float(total)


@contextmanager
def database_server(folder: Path) -> Iterator[DatabaseServer]:
    """Run the embedded PostgreSQL, or take the one that FENGHUO_TEST_DATABASE_URL names."""
    given = os.environ.get("FENGHUO_TEST_DATABASE_URL")
    if given:
        yield DatabaseServer(given, None)
        return
    with EmbeddedDatabase(folder / "pg") as server:
        yield DatabaseServer(server.uri, folder / "pg")
