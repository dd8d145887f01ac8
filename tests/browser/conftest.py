"""A real browser, and the page with the demo's data behind it."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import psycopg
import pytest
from playwright.sync_api import sync_playwright

from streams.settings import Settings
from streams.store.alert_history import rebuild
from streams.web.app import create_web
from tests.conftest import make_database
from tests.support.pandemic import demo_configuration, fill_with_pandemic
from tests.support.screen import Screen, Watched
from tests.support.web import add, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from playwright.sync_api import Browser, BrowserContext

#: A Thursday: the last week is still coming in.
LAST_DAY = date(2009, 9, 10)
ARTEFACTS = Path(__file__).resolve().parents[2] / "test-artefacts"


class Site(NamedTuple):
    """The page and its database."""

    url: str
    database: str


@pytest.fixture(scope="module")
def site(database_server: str) -> Iterator[Site]:
    configuration = demo_configuration()
    with make_database(database_server) as database:
        fill_with_pandemic(database, configuration, last_day=LAST_DAY)
        add(database, "chen", role="admin", region="TW")
        add(database, "li", region="TW")
        add(database, "wang", region="TW")
        add(database, "penghu", region="TW-PEN")
        add(database, "guest", role="viewer", region="TW")
        with serving(create_web(Settings(database=database), configuration)) as url:
            yield Site(url, database)


@pytest.fixture(scope="module")
def chromium(site: Site) -> Iterator[Browser]:
    # Not longer: as long as Playwright runs, no other event loop can be run in this thread.
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("there is no chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def opened(
    chromium: Browser, site: Site
) -> Iterator[Callable[..., AbstractContextManager[Screen]]]:
    """Open windows; nothing in them may fail, or reach out to anybody else."""
    watched = Watched(site.url)

    @contextmanager
    def window(
        *, phone: bool = False, dark: bool = False, lang: str = "en", scripts: bool = True
    ) -> Iterator[Screen]:
        context: BrowserContext = chromium.new_context(
            viewport={"width": 390, "height": 844} if phone else {"width": 1440, "height": 900},
            color_scheme="dark" if dark else "light",
            is_mobile=phone,
            has_touch=phone,
            java_script_enabled=scripts,
            extra_http_headers={"Accept-Language": lang},
        )
        context.set_default_timeout(90_000)
        yield Screen(watched.window(context), site.url, lang)
        context.close()

    yield window
    assert watched.complaints == []


@pytest.fixture
def fresh(site: Site) -> Site:
    """The alerts as nobody has touched them yet."""
    with psycopg.connect(site.database) as connection:
        connection.execute("DELETE FROM alert_events WHERE actor <> 'system'")
    with psycopg.connect(site.database) as connection:
        rebuild(connection, check_only=False)
    return site
