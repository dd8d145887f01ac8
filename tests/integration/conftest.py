"""Every test ends with `fenghuo db check` on the database that it has used."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.checks import assert_consistent

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _consistent_at_the_end(request: pytest.FixtureRequest) -> Iterator[None]:
    """Set up before the test's own fixtures, and so run after they have killed their workers."""
    uses_database = "database_url" in request.fixturenames
    database = request.getfixturevalue("database_url") if uses_database else None
    yield
    if database is not None:
        assert_consistent(database, request.getfixturevalue("configuration"))
