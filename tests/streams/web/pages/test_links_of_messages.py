"""Links of notifications lead to their alert, and offer to acknowledge it."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest

from schemas.notify import Notify
from streams.notify.tokens import make_token
from streams.settings import Settings
from streams.web.app import create_web
from tests.support.alerts import alert_of, open_alert
from tests.support.web import Browser, add, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.config import Configuration

SECRET = "only they and we know"
OFFER = "You come from a notification (duty)."


@pytest.fixture(scope="module")
def linked_url(web_database: str, configuration: Configuration) -> Iterator[str]:
    """A page whose notifications hold signed links, its secret in the environment."""
    link = "https://fenghuo.example/alerts/{alert_id}?token={token}"
    notify = Notify(link=link, secret="${FENGHUO_TEST_LINK_SECRET}")
    surveillance = configuration.surveillance.model_copy(update={"notify": notify})
    app = create_web(
        Settings(database=web_database), replace(configuration, surveillance=surveillance)
    )
    with serving(app) as url:
        yield url


@pytest.fixture
def reader(linked_url: str, database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Browser]:
    monkeypatch.setenv("FENGHUO_TEST_LINK_SECRET", SECRET)
    add(database, "li", region="TW")
    with psycopg.connect(database) as connection:
        connection.execute("UPDATE users SET locale = 'en'")
    with Browser(linked_url) as browser:
        browser.sign_in("li")
        yield browser


def token(alert_id: int, *, secret: str = SECRET, days: int = 7) -> str:
    return make_token(alert_id, "duty", secret, datetime.now(UTC) + timedelta(days=days))


def test_who_comes_by_a_message_acknowledges_by_one_click(reader: Browser, database: str) -> None:
    number = open_alert(database)
    page = reader.get(f"/alerts/{number}?token={token(number)}&lang=en").text
    assert OFFER in page
    form = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert form
    # Looking is not acknowledging: mail scanners look as well.
    assert alert_of(database, number).acknowledged_at is None
    reader.post_form(f"/alerts/{number}/acknowledge", {"csrf_token": form[1], "seen": "1"})
    assert alert_of(database, number).acknowledged_by == "li"
    assert OFFER not in reader.get(f"/alerts/{number}?token={token(number)}").text


@pytest.mark.parametrize("kind", ["expired", "forged", "of another alert", "nonsense"])
def test_a_link_that_does_not_hold_is_told(reader: Browser, database: str, kind: str) -> None:
    number = open_alert(database)
    tokens = {
        "expired": token(number, days=-1),
        "forged": token(number, secret="guessed"),
        "of another alert": token(number + 1),
        "nonsense": "x",
    }
    page = reader.get(f"/alerts/{number}?token={tokens[kind]}").text
    assert OFFER not in page
    assert "The link in your message has expired or is not whole." in page


def test_without_its_secret_the_page_is_shown_all_the_same(
    reader: Browser, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FENGHUO_TEST_LINK_SECRET")
    number = open_alert(database)
    answer = reader.get(f"/alerts/{number}?token={token(number)}")
    assert answer.status == 200
    assert OFFER not in answer.text


def test_signing_in_leads_back_to_the_link(linked_url: str, database: str) -> None:
    add(database, "li", region="TW")
    number = open_alert(database)
    path = f"/alerts/{number}?token={token(number)}"
    with Browser(linked_url) as browser:
        first = browser.get(path)
        assert first.status == 303
        target = browser.sign_in("li", target=path).headers["Location"]
        assert target == path
