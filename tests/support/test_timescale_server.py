from __future__ import annotations

import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, LiteralString

import psycopg
import pytest
from psycopg_pool import ConnectionPool

from tests.support.processes import group_is_gone
from tests.support.timescale_server import (
    TimescaleServer,
    TimescaleUnavailable,
    ensure_node_modules,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    Connection = psycopg.Connection[tuple[Any, ...]]

pytestmark = pytest.mark.timescale


@pytest.fixture(scope="module")
def server() -> Iterator[TimescaleServer]:
    try:
        with TimescaleServer(wait=1.0) as running:
            yield running
    except TimescaleUnavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture
def url(server: TimescaleServer) -> str:
    return server.new_schema()


@pytest.fixture
def db(url: str) -> Iterator[Connection]:
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


def rows(db: Connection, query: LiteralString, *values: object) -> list[tuple[Any, ...]]:
    return db.execute(query, values or None).fetchall()


@pytest.fixture
def events(db: Connection) -> Connection:
    """Six weekly chunks of hourly events."""
    db.execute("CREATE TABLE event (at timestamptz NOT NULL, id text NOT NULL, n int)")
    db.execute("SELECT create_hypertable('event', 'at', chunk_time_interval => interval '7 days')")
    db.execute("CREATE UNIQUE INDEX ON event (id, at)")
    db.execute(
        "INSERT INTO event SELECT timestamptz '2026-01-01' + h * interval '1 hour', 'e' || h, 1"
        " FROM generate_series(0, 1007) h"
    )
    return db


def test_it_is_timescaledb(db: Connection) -> None:
    assert rows(db, "SELECT extname FROM pg_extension WHERE extname = 'timescaledb'")


def test_compression_and_retention_policies(events: Connection) -> None:
    events.execute(
        "ALTER TABLE event SET (timescaledb.compress, timescaledb.compress_orderby = 'at, id')"
    )
    events.execute("SELECT add_compression_policy('event', interval '1 day')")
    events.execute("SELECT add_retention_policy('event', interval '10 days')")
    jobs = dict(
        rows(
            events,
            "SELECT proc_name, job_id FROM timescaledb_information.jobs"
            " WHERE hypertable_name = 'event' AND hypertable_schema = current_schema()",
        )
    )
    assert set(jobs) == {"policy_compression", "policy_retention"}

    # There is no scheduler, so the jobs run only here.
    events.execute("CALL run_job(%s)", [jobs["policy_compression"]])
    compressed = rows(
        events,
        "SELECT count(*) FROM timescaledb_information.chunks"
        " WHERE hypertable_schema = current_schema() AND is_compressed",
    )[0][0]
    assert compressed >= 6
    assert rows(events, "SELECT count(*) FROM event") == [(1008,)]

    events.execute("CALL run_job(%s)", [jobs["policy_retention"]])
    assert rows(events, "SELECT count(*) FROM event") == [(0,)]


def test_upsert_into_compressed_chunks(events: Connection) -> None:
    events.execute("ALTER TABLE event SET (timescaledb.compress)")
    events.execute("SELECT compress_chunk(c) FROM show_chunks('event') c")
    upsert = events.execute(
        "INSERT INTO event VALUES ('2026-01-01', 'e0', 5), ('2026-01-02', 'new', 7)"
        " ON CONFLICT (id, at) DO UPDATE SET n = excluded.n"
        " WHERE event.n IS DISTINCT FROM excluded.n"
    )
    assert upsert.rowcount == 2
    assert rows(events, "SELECT count(*), sum(n) FROM event") == [(1009, 1007 + 5 + 7)]


def test_drop_chunks_and_date_bin(events: Connection) -> None:
    dropped = rows(events, "SELECT drop_chunks('event', older_than => timestamptz '2026-01-15')")
    assert len(dropped) == 2
    binned = "SELECT date_bin('1 day', at, timestamptz '2000-01-01') FROM event"
    bucketed = "SELECT time_bucket('1 day', at) FROM event"
    assert rows(events, binned) == rows(events, bucketed)


def test_a_unique_index_must_contain_the_time(events: Connection) -> None:
    with pytest.raises(psycopg.DatabaseError, match="without the column"):
        events.execute("CREATE UNIQUE INDEX ON event (id)")
    assert rows(events, "SELECT 1") == [(1,)]


def test_copy_into_a_temporary_table_and_upsert(events: Connection) -> None:
    with events.transaction(), events.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE staged (at timestamptz, id text, n int) ON COMMIT DROP")
        with cursor.copy("COPY staged (at, id, n) FROM STDIN") as copy:
            for number in range(1000):
                copy.write_row(("2026-02-01 00:00+00", f"c{number}\t'\\", number))
        assert cursor.rowcount == 1000
        cursor.execute(
            "INSERT INTO event SELECT * FROM staged"
            " ON CONFLICT (id, at) DO UPDATE SET n = excluded.n"
        )
    expected = [("c0\t'\\", 0), ("c1\t'\\", 1)]
    assert rows(events, "SELECT id, n FROM event WHERE id LIKE 'c%' ORDER BY n LIMIT 2") == expected
    for form in ("TEXT", "BINARY"):
        query = (
            "COPY (SELECT id, n FROM event WHERE id LIKE 'c%' ORDER BY n LIMIT 2)"
            f" TO STDOUT (FORMAT {form})"
        )
        with events.cursor().copy(query) as out:
            out.set_types(["text", "int4"])
            assert list(out.rows()) == expected


@pytest.mark.parametrize("broken", ["not a number", None])
def test_a_failed_copy_aborts_its_transaction_only(db: Connection, broken: str | None) -> None:
    db.execute("CREATE TABLE kept (n int)")

    def fail() -> None:
        with db.transaction(), db.cursor() as cursor:
            cursor.execute("INSERT INTO kept VALUES (1)")
            with cursor.copy("COPY kept FROM STDIN") as copy:
                copy.write_row((2,))
                if broken is None:
                    raise LookupError
                copy.write_row((broken,))

    with pytest.raises(LookupError if broken is None else psycopg.errors.DataError):
        fail()
    assert rows(db, "SELECT count(*) FROM kept") == [(0,)]


def test_prepared_statements_of_two_connections_do_not_collide(url: str) -> None:
    with psycopg.connect(url) as one, psycopg.connect(url) as two:
        for number in range(12):
            for connection, query in ((one, "SELECT %s::int"), (two, "SELECT -%s::int")):
                sign = 1 if connection is one else -1
                assert connection.execute(query, [number]).fetchone() == (sign * number,)
                connection.commit()


def test_transactions_of_a_pool_take_turns(url: str) -> None:
    with ConnectionPool(url, min_size=4, max_size=4) as pool:
        with pool.connection() as connection:
            connection.execute("CREATE TABLE tally (n int)")
            connection.execute("INSERT INTO tally VALUES (0)")

        def add() -> None:
            for _ in range(10):
                with pool.connection() as connection:
                    found = connection.execute("SELECT n FROM tally FOR UPDATE").fetchone()
                    assert found is not None
                    connection.execute("UPDATE tally SET n = %s", [found[0] + 1])

        threads = [threading.Thread(target=add) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with pool.connection() as connection:
            assert connection.execute("SELECT n FROM tally").fetchone() == (40,)


def test_waiting_for_an_open_transaction_ends(url: str, db: Connection) -> None:
    with psycopg.connect(url) as other:
        other.execute("CREATE TABLE unfinished (n int)")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            db.execute("SELECT 1")
    assert rows(db, "SELECT count(*) FROM unfinished") == [(0,)]


def test_a_lost_client_is_rolled_back(url: str, db: Connection) -> None:
    lost = psycopg.connect(url)
    lost.execute("CREATE TABLE half (n int)")
    lost.pgconn.finish()
    lost.close()
    assert rows(db, "SELECT to_regclass('half')") == [(None,)]


def test_each_connection_keeps_its_search_path(server: TimescaleServer) -> None:
    urls = [server.new_schema(), server.new_schema(), server.url]
    with ExitStack() as opened:
        connections = [opened.enter_context(psycopg.connect(url, autocommit=True)) for url in urls]
        for _ in range(2):
            schemas = [rows(one, "SELECT current_schema()")[0][0] for one in connections]
            assert len(set(schemas)) == 3
            assert schemas[2] == "public"


def test_skip_locked_is_accepted(events: Connection) -> None:
    query = "SELECT id FROM event ORDER BY at LIMIT 1 FOR UPDATE SKIP LOCKED"
    assert rows(events, query) == [("e0",)]


def test_restart_empties_the_database_and_keeps_the_url() -> None:
    try:
        server = TimescaleServer()
    except TimescaleUnavailable as reason:
        pytest.skip(str(reason))
    with server:
        url = server.url
        with psycopg.connect(url) as connection:
            connection.execute("CREATE EXTENSION timescaledb")
        server.restart()
        assert server.url == url
        with psycopg.connect(url) as connection:
            found = connection.execute("SELECT extname FROM pg_extension").fetchall()
        assert found == [("plpgsql",)]
        group = server._process.pid if server._process else 0
    assert group_is_gone(group)
    assert not server.log.parent.exists()


def test_a_missing_node_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(TimescaleUnavailable, match="node is not installed"):
        ensure_node_modules()
