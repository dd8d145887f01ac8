"""The triage page on loopback, with a database of its own, and people who may look."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from streams.people import passwords
from streams.settings import Settings
from streams.store.migrate import migrate
from streams.store.roles import PAGE
from streams.web.app import create_web
from tests.conftest import make_database
from tests.support.emptying import empty
from tests.support.roles import signing_in
from tests.support.web import Browser, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from streams.config import Configuration


@pytest.fixture(scope="session")
def web_database(database_server: str, configuration: Configuration) -> Iterator[str]:
    """A migrated database that the page keeps connections to, so it is not the other tests'."""
    with make_database(database_server) as uri:
        migrate(uri, configuration)
        yield uri


@pytest.fixture(scope="session")
def page_url(web_database: str, configuration: Configuration) -> Iterator[str]:
    """Where the page is served, by a database role that may do what the page needs."""
    with (
        signing_in(web_database, PAGE) as database,
        serving(create_web(Settings(database=database), configuration)) as url,
    ):
        yield url


@pytest.fixture
def database(web_database: str) -> str:
    """The page's database, without alerts and users."""
    with psycopg.connect(web_database) as connection:
        empty(
            connection,
            [
                "users", "web_sessions", "api_tokens", "sign_in_failures", "alerts",
                "alert_events", "verdicts", "pending_judgements", "pending_spans",
            ],
        )  # fmt: skip
    return web_database


@pytest.fixture
def browser(page_url: str, database: str) -> Iterator[Browser]:
    """A browser of somebody who is not signed in."""
    with Browser(page_url) as made:
        yield made


@pytest.fixture
def another(page_url: str, database: str) -> Iterator[Callable[[], Browser]]:
    """More browsers."""
    made: list[Browser] = []

    def make() -> Browser:
        made.append(Browser(page_url))
        return made[-1]

    yield make
    for one in made:
        one.__exit__(None, None, None)


@pytest.fixture(scope="module", autouse=True)
def quick_hashes() -> Iterator[None]:
    """Hash passwords with little memory: what they cost is tested once, elsewhere."""
    quick = PasswordHash((Argon2Hasher(time_cost=1, memory_cost=64, parallelism=1),))
    patch = pytest.MonkeyPatch()
    patch.setattr(passwords, "_hasher", lambda: quick)
    passwords._of_nobody.cache_clear()
    yield
    patch.undo()
    passwords._of_nobody.cache_clear()
