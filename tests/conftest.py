"""Real parts for tests: a PostgreSQL server and a broker that speaks the Kafka protocol."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from streams.config import Configuration, load_configuration
from streams.embedded import EmbeddedBroker, EmbeddedDatabase
from streams.store.migrate import migrate
from tests.support.emptying import empty
from tests.support.kafka_server import KafkaServer, KafkaUnavailable
from tests.support.timescale_server import TimescaleServer, TimescaleUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xdist.scheduler import Scheduling

CONFIG = Path(__file__).parent / "data" / "taiwan.yaml"

# A busy machine is no fault of the code: how long an example takes decides nothing.
hypothesis.settings.register_profile("fenghuo", deadline=None)
hypothesis.settings.load_profile("fenghuo")

#: What `migrate` fills; everything else is emptied before each test.
_KEPT = {"installation", "regions", "region_ancestors", "signals", "rules"}


@pytest.fixture(scope="session")
def configuration() -> Configuration:
    return load_configuration(CONFIG)


@pytest.fixture(scope="session")
def work_folder() -> Iterator[Path]:
    # Not pytest's tmp_path: the path of a unix socket has to be short.
    folder = Path(tempfile.mkdtemp(prefix="fenghuo-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def database_server(work_folder: Path) -> Iterator[str]:
    """URI of a server on which databases may be created."""
    given = os.environ.get("FENGHUO_TEST_DATABASE_URL")
    if given:
        yield given
        return
    with EmbeddedDatabase(work_folder / "pg") as server:
        without_flushing(server.uri)
        yield server.uri


def without_flushing(server: str) -> None:
    """Have a server leave flushing to the operating system, which no test brings down.

    What a killed worker or a killed server has committed is kept all the same. With flushing,
    each commit waits for the disk, and each dropped database for a checkpoint.
    """
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("SELECT pg_reload_conf()")


@pytest.fixture(scope="session")
def migrated_database(database_server: str, configuration: Configuration) -> Iterator[str]:
    with make_database(database_server) as uri:
        migrate(uri, configuration)
        yield uri


@pytest.fixture
def database_url(migrated_database: str) -> str:
    """A migrated database without any counts."""
    with psycopg.connect(migrated_database) as connection:
        tables = [
            row[0]
            for row in connection.execute(
                "SELECT tablename FROM pg_tables WHERE schemaname = 'public' "
                "AND tablename NOT LIKE '%yoyo%'"
            )
            if row[0] not in _KEPT
        ]
        empty(connection, tables)
    return migrated_database


@pytest.fixture(scope="session")
def kafka(work_folder: Path) -> Iterator[str]:
    """Bootstrap address of a broker: the one in FENGHUO_TEST_KAFKA, or the embedded one."""
    given = os.environ.get("FENGHUO_TEST_KAFKA")
    if given:
        yield given
        return
    with EmbeddedBroker(work_folder) as broker:
        yield broker.bootstrap


@pytest.fixture(scope="session")
def apache_kafka() -> Iterator[str]:
    """Bootstrap address of a real Apache Kafka: the one in FENGHUO_TEST_KAFKA, or our own."""
    given = os.environ.get("FENGHUO_TEST_KAFKA")
    if given:
        yield given
        return
    try:
        with KafkaServer() as server:
            yield server.bootstrap
    except KafkaUnavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def timescale() -> Iterator[TimescaleServer]:
    """Real TimescaleDB, as WebAssembly: one session, no background workers."""
    try:
        with TimescaleServer() as server:
            yield server
    except TimescaleUnavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture
def fresh_name() -> str:
    """A name that no other test uses, for topics and groups."""
    return f"t{uuid.uuid4().hex[:10]}"


class make_database:  # noqa: N801 - used as a function in a with statement
    """A database of its own on a server, dropped at the end."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._name = f"fenghuo_{uuid.uuid4().hex[:10]}"

    def __enter__(self) -> str:
        with psycopg.connect(self._server, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(self._name)))
            available = connection.execute(
                "SELECT 1 FROM pg_available_extensions WHERE name = 'timescaledb'"
            ).fetchone()
        uri = make_conninfo(self._server, dbname=self._name)
        if available:
            with psycopg.connect(uri, autocommit=True) as connection:
                connection.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
        return uri

    def __exit__(self, *_: object) -> None:
        with psycopg.connect(self._server, autocommit=True) as connection:
            connection.execute(
                sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(self._name))
            )


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling | None:
    """Share out the files of `make test`."""
    if config.getvalue("dist") != "loadfile":
        return None
    from tests.support.scheduling import ByExpensiveData  # noqa: PLC0415 - only with xdist

    return ByExpensiveData(config, log)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail where everything was installed and a test was skipped all the same."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if (
        os.environ.get("FENGHUO_TEST_NOTHING_SKIPPED")
        and reporter
        and reporter.stats.get("skipped")
    ):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
