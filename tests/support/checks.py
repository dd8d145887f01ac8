"""`fenghuo db check` as an assertion."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg

from streams.store.checks import run_checks
from streams.store.head_states import check_heads

if TYPE_CHECKING:
    from streams.config import Configuration

__all__ = ["assert_consistent", "wrong_checks"]


def wrong_checks(
    database: str, configuration: Configuration | None = None
) -> dict[str, str | None]:
    """Return the checks that found something wrong, each with an example.

    Alerts are compared with their members where the configuration is known that judged them.
    """
    with psycopg.connect(database) as connection:
        done = run_checks(connection)
    if configuration is not None:
        done.append(check_heads(database, configuration))
    return {one.name: one.example for one in done if one.wrong}


def assert_consistent(database: str, configuration: Configuration | None = None) -> None:
    """Fail if the tables of a database do not agree with each other."""
    assert wrong_checks(database, configuration) == {}
