"""What is wrong with a request is told in plain sentences of the reader's language."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

from streams.settings import Settings
from streams.web.app import create_web
from streams.web.validation import sentences_of
from tests.support.alerts import open_alert
from tests.support.store import rows
from tests.support.web import Answer, Browser, add
from tests.support.web_routes import Route, all_routes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.config import Configuration

#: Query parameters and fields of forms and documents, of all routes.
NAMES = (
    "q", "next", "region", "signal", "rule", "status", "severity", "assigned_to", "order",
    "day", "period", "facility", "stratum", "format", "code", "state", "name", "role", "label",
    "display_name", "password", "note", "to", "locale", "current", "new", "again", "outcome",
    "risk", "likelihood", "consequence", "into", "seen", "limit", "offset", "mine", "page",
    "open", "most", "before", "after", "until", "since", "periods", "days", "lang",
)  # fmt: skip
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JSON = {"Content-Type": "application/json"}
#: Words that only programmers say.
JARGON = re.compile(
    r"Input should|valid (integer|string|boolean)|parse|pydantic|literal|ctx", re.IGNORECASE
)
#: Three English words in a row; names, codes and values are shorter.
ENGLISH = re.compile(r"\b[A-Za-z]{2,} [a-z]{2,} [a-z]{2,}")


@pytest.fixture(scope="session")
def routes(configuration: Configuration) -> list[Route]:
    return [*all_routes(create_web(Settings(), configuration))]


@pytest.fixture
def admin(browser: Browser, database: str) -> Browser:
    """Somebody to whom every route is open."""
    add(database, "li", role="admin", region="TW")
    browser.sign_in("li")
    (found,) = rows(database, "SELECT csrf_token FROM web_sessions")
    browser.headers["X-CSRF-Token"] = found[0]
    return browser


def filled(route: Route, text: object) -> str:
    names = ("alert_id", "verb", "code", "name", "path", "token_id", "rule", "signal")
    return route.address(**dict.fromkeys(names, text))


def asked(admin: Browser, route: Route, alert: int) -> Iterator[Answer]:
    """Ask for a route with everything wrong."""
    wrong: tuple[Any, ...] = (
        "", "bar", "-1", "x" * 5000, "9" * 30, "9" * 5000, "٣", "nan", "inf",
        "1.5", "2026-02-30",
    )  # fmt: skip
    for value in wrong:
        query = urlencode(dict.fromkeys(NAMES, value))
        yield admin.request(route.method, f"{filled(route, alert)}?{query}", b"")
        if "{" in route.path and value and value.isascii() and len(value) < 100:
            yield admin.request(route.method, filled(route, value), b"")
        if route.method in {"POST", "PUT", "PATCH", "DELETE"}:
            form = urlencode(dict.fromkeys(NAMES, value)).encode()
            yield admin.request(route.method, filled(route, alert), form, FORM)
    if route.method in {"POST", "PUT", "PATCH", "DELETE"}:
        documents: tuple[Any, ...] = (
            {}, [], 1, None, *(dict.fromkeys(NAMES, one) for one in (*wrong, 1.5, None, [], {}))
        )  # fmt: skip
        for document in documents:
            yield admin.request(
                route.method, filled(route, alert), json.dumps(document).encode(), JSON
            )
        yield admin.request(route.method, filled(route, alert), b"{", JSON)
        multipart = {"Content-Type": "multipart/form-data"}
        yield admin.request(route.method, filled(route, alert), b"x", multipart)


def told(answer: Answer) -> str:
    """What an answer says about what is wrong."""
    if "json" in answer.headers.get_content_type():
        found = answer.json()
        errors = [one["problem"] for one in found.get("errors", [])]
        return "\n".join([found["title"], found["detail"], *errors])
    found = re.findall(
        r'<section class="plain">(.*?)</section>|<p class="banner banner-bad"[^>]*>(.*?)</p>',
        answer.text,
        re.DOTALL,
    )
    return "\n".join(re.sub(r"<[^>]+>", " ", "".join(one)) for one in found)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_route_tells_in_plain_words_what_is_wrong(
    admin: Browser, database: str, routes: list[Route], language: str
) -> None:
    alert = open_alert(database)
    with_text = 0
    for route in routes:
        # Signing in and out ends the session; a page's files are not the reader's to name.
        if route.path.startswith(("/sign-", "/oidc", "/static")):
            continue
        for answer in asked(admin, route, alert):
            admin.cookies["lang"] = language
            assert answer.status < 500 or answer.status == 503, (route, answer.text)
            if answer.status < 400:
                continue
            text = told(answer)
            with_text += bool(text)
            assert not JARGON.search(text), (route, text)
            if language == "zh" and admin.cookies.get("lang") == "zh":
                assert not ENGLISH.search(text), (route, text)
    assert with_text > 100


@pytest.mark.parametrize(
    ("path", "en", "zh"),
    [
        ("/alerts/abc", "The number of the alert must be a whole number.", "预警编号 须为整数。"),
        (
            "/?status=bar",
            "must be one of: new, verifying, ",
            "须为以下值之一：new、verifying、",
        ),
        ("/?page=0", "Page must be 1 or more.", "page 不得小于 1。"),
    ],
)
def test_what_a_page_says(admin: Browser, path: str, en: str, zh: str) -> None:
    for language, expected in (("en", en), ("zh", zh)):
        admin.cookies["lang"] = language
        answer = admin.get(path)
        assert answer.status == 422
        assert expected in told(answer)


def test_the_api_says_the_same(admin: Browser) -> None:
    found = admin.get("/api/v1/alerts?limit=x&lang=zh").json()
    assert found["detail"] == "limit 须为整数。"
    assert found["errors"] == [{"field": "limit", "problem": "须为整数"}]
    assert admin.get("/api/v1/alerts?limit=x&lang=en").json()["detail"] == (
        "Limit must be a whole number."
    )


def test_an_error_without_words_of_its_own_is_told() -> None:
    en, zh = sentences_of([{"type": "frozen_instance", "loc": ("query", "x"), "msg": "Instance"}])
    assert (en, zh) == ("X is not right.", "x 不正确。")
