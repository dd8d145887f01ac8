from __future__ import annotations

from typing import Any

import pytest

from streams.errors import FenghuoError
from streams.grafana.datasource import datasource_body, differs

URI = "postgresql://reader:p%40ss@timescaledb/fenghuo"


def body(uri: str = URI) -> dict[str, Any]:
    return datasource_body(uri, server_version=180004, timescale=True)


def as_stored(**fields: Any) -> dict[str, Any]:
    """What Grafana gives back: without secrets, with things of its own."""
    wanted = body()
    del wanted["secureJsonData"]
    wanted["jsonData"] |= {"maxOpenConns": 50}
    return {**wanted, "id": 3, "secureJsonFields": {"password": True}, "version": 4} | fields


def test_the_parts_of_the_connection_string() -> None:
    made = body("postgresql://reader:p%40ss@db.example:5433/fenghuo?sslmode=verify-full")
    assert made["url"] == "db.example:5433"
    assert made["user"] == "reader"
    assert made["secureJsonData"] == {"password": "p@ss"}
    assert made["jsonData"] == {
        "database": "fenghuo",
        "sslmode": "verify-full",
        "postgresVersion": 1800,
        "timescaledb": True,
    }


def test_an_address_of_version_6_stands_in_brackets() -> None:
    assert body("host=::1 user=reader dbname=fenghuo")["url"] == "[::1]:5432"


@pytest.mark.parametrize(
    ("uri", "problem"),
    [
        ("postgresql://reader@/fenghuo", "names no host"),
        ("postgresql://db/fenghuo", "names no user"),
        ("postgresql://reader@db", "names no database"),
        ("postgresql://reader@/fenghuo?host=/run/postgresql", "not /run/postgresql"),
        ("postgresql://reader@a,b/fenghuo", "one host and port"),
        ("postgresql://reader@db/fenghuo?sslmode=prefer", "does not know sslmode=prefer"),
        ("nonsense secret", "is no connection string"),
    ],
)
def test_what_grafana_cannot_use_is_refused(uri: str, problem: str) -> None:
    with pytest.raises(FenghuoError, match=problem) as refused:
        body(uri)
    assert "secret" not in str(refused.value)


def test_what_grafana_gives_back_is_the_same() -> None:
    assert not differs(as_stored(), body())
    assert not differs(as_stored(type="postgres"), body())


@pytest.mark.parametrize(
    "other",
    [
        {"type": "mysql"},
        {"name": "PostgreSQL"},
        {"url": "elsewhere:5432"},
        {"user": "postgres"},
        {"jsonData": {}},
        {"secureJsonFields": {}},
    ],
)
def test_every_difference_is_seen(other: dict[str, Any]) -> None:
    assert differs(as_stored(**other), body())
