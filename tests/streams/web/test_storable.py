"""No text makes a route fail: NUL and lone surrogates are refused on every route, everywhere."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streams.settings import Settings
from streams.web.app import create_web
from tests.support.alerts import alert_of, open_alert
from tests.support.store import rows
from tests.support.web import Browser, add
from tests.support.web_routes import Route, all_routes

if TYPE_CHECKING:
    from streams.config import Configuration

#: Query parameters and fields of forms and documents, of all routes.
NAMES = (
    "q", "next", "lang", "region", "signal", "rule", "status", "severity", "assigned_to", "order",
    "day", "period", "facility", "stratum", "format", "code", "state", "iss", "error", "name",
    "role", "display_name", "password", "note", "to", "label", "locale", "current", "new", "again",
    "outcome", "risk", "likelihood", "consequence", "into", "seen", "limit", "offset", "mine",
)  # fmt: skip
NUL, SURROGATE = "a\0b", "a\ud800b"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JSON = {"Content-Type": "application/json"}


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


def test_no_route_takes_nul_or_half_a_surrogate_pair(
    admin: Browser, database: str, routes: list[Route]
) -> None:
    alert = open_alert(database)
    users = rows(database, "SELECT * FROM users")
    for route in routes:
        path = filled(route, alert)
        address = f"{path}?{urlencode(dict.fromkeys(NAMES, NUL))}"
        assert admin.request(route.method, address, b"").status == 422, route
        if "{" in route.path:
            assert admin.request(route.method, filled(route, "%00"), b"").status == 422, route
        if route.method == "GET" or path == "/sign-in":
            continue
        form = urlencode(dict.fromkeys(NAMES, NUL)).encode()
        assert admin.request(route.method, path, form, FORM).status == 422, route
        for bad in (NUL, SURROGATE):
            for document in (dict.fromkeys(NAMES, bad), {bad: 1}, [[bad]]):
                answer = admin.request(route.method, path, json.dumps(document).encode(), JSON)
                assert answer.status == 422, (route, answer.text)
    assert alert_of(database, alert).version == 1
    assert rows(database, "SELECT * FROM users") == users


@pytest.mark.parametrize("field", ["name", "password", "next"])
def test_signing_in_takes_no_nul(browser: Browser, database: str, field: str) -> None:
    add(database, "li")
    token = browser.form_token("/sign-in")
    form = {"csrf_token": token, "name": "li", "password": "x", "next": "/"} | {field: NUL}
    assert browser.post_form("/sign-in", form).status == 422
    assert rows(database, "SELECT * FROM sign_in_failures") == []


def test_forms_in_any_encoding_and_documents_of_any_depth_are_refused(
    admin: Browser, database: str
) -> None:
    path = f"/alerts/{open_alert(database)}/comment"
    part = b'--x\r\nContent-Disposition: form-data; name="note"\r\n\r\n\\ud800\r\n--x--\r\n'
    for charset in ("unicode_escape", "punycode"):
        kind = {"Content-Type": f"multipart/form-data; boundary=x; charset={charset}"}
        assert admin.request("POST", path, part, kind).status == 422
    deep = b"[" * 60_000
    assert admin.request("POST", f"/api/v1{path}", deep, JSON).status == 422


TEXTS = st.builds(
    lambda before, bad, after: before + bad + after,
    st.text(max_size=20),
    st.sampled_from(["\0", *map(chr, (0xD800, 0xDBFF, 0xDC00, 0xDFFF))]),
    st.text(max_size=20),
)


@given(text=TEXTS, verb=st.sampled_from(["comment", "assign", "verify"]))
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_text_with_such_a_character_is_refused(admin: Browser, text: str, verb: str) -> None:
    document: dict[str, Any] = {"seen": 1, "note": text} | (
        {"to": text} if verb == "assign" else {}
    )
    answer = admin.post_json(f"/api/v1/alerts/1/{verb}", document)
    assert answer.status == 422


def test_numbers_beyond_the_database_are_no_fault(admin: Browser, routes: list[Route]) -> None:
    for route in routes:
        if "{" in route.path:
            answer = admin.request(route.method, filled(route, 2**70), b"")
            assert answer.status < 500, (route, answer.text)
        for value in (2**70, -1):
            address = f"{filled(route, 1)}?{urlencode(dict.fromkeys(NAMES, value))}"
            answer = admin.request("GET", address)
            assert answer.status < 500, (route, answer.text)
