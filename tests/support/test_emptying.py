from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.conftest import make_database
from tests.support.emptying import empty

if TYPE_CHECKING:
    from collections.abc import Iterator

TABLES = """
CREATE TABLE a (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY);
CREATE TABLE b (id bigserial PRIMARY KEY, a bigint REFERENCES a);
CREATE TABLE c (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, b bigint REFERENCES b);
CREATE TABLE apart (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY);
"""


@pytest.fixture
def connection(database_server: str) -> Iterator[psycopg.Connection]:
    with make_database(database_server) as uri, psycopg.connect(uri) as made:
        made.execute(TABLES)
        made.commit()
        yield made


def fill(connection: psycopg.Connection, *tables: str) -> None:
    for table in tables:
        connection.execute(f"INSERT INTO {table} DEFAULT VALUES".encode())


def ids(connection: psycopg.Connection, table: str) -> list[int]:
    return [row[0] for row in connection.execute(f"SELECT id FROM {table}".encode())]


@pytest.mark.parametrize("used", [(), ("a",), ("b",), ("c",), ("a", "b", "c")])
def test_all_that_refers_is_emptied_and_numbered_from_the_beginning(
    connection: psycopg.Connection, used: tuple[str, ...]
) -> None:
    fill(connection, *used, "apart")
    empty(connection, ["a"])
    assert [ids(connection, table) for table in "abc"] == [[], [], []]
    fill(connection, "a", "b", "c", "apart")
    assert [ids(connection, table) for table in "abc"] == [[1], [1], [1]]
    assert ids(connection, "apart") == [1, 2]


def test_numbers_of_rows_that_never_came_to_be_are_given_again(
    connection: psycopg.Connection,
) -> None:
    fill(connection, "a", "b")
    connection.rollback()
    empty(connection, ["a"])
    fill(connection, "a", "b")
    assert ids(connection, "a") == ids(connection, "b") == [1]


def test_a_table_without_rows_keeps_its_files(connection: psycopg.Connection) -> None:
    files = "SELECT pg_relation_filenode('a'), pg_relation_filenode('b')"
    before = connection.execute(files).fetchone()
    fill(connection, "b")
    empty(connection, ["a"])
    after = connection.execute(files).fetchone()
    assert before
    assert after
    assert after[0] == before[0]
    assert after[1] != before[1]
