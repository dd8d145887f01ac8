"""`fenghuo db check` as an assertion."""

from __future__ import annotations

import psycopg

from streams.store.checks import run_checks

__all__ = ["assert_consistent", "wrong_checks"]


def wrong_checks(database: str) -> dict[str, str | None]:
    """Return the checks that found something wrong, each with an example."""
    with psycopg.connect(database) as connection:
        return {c.name: c.example for c in run_checks(connection) if c.wrong}


def assert_consistent(database: str) -> None:
    """Fail if the tables of a database do not agree with each other."""
    assert wrong_checks(database) == {}
