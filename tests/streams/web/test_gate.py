"""Nobody gets past the gate: strangers, other sites' pages, too much, too late."""

from __future__ import annotations

import json
import logging
from datetime import timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest

from streams.people.signing_in import change_password
from streams.settings import Settings
from streams.store.credentials import add_token, revoke_token
from streams.store.people import set_disabled, set_password, take_password_away
from streams.web.app import create_web
from streams.web.gate import PUBLIC, PUBLIC_FOLDER
from tests.support.alerts import alert_of, open_alert
from tests.support.store import rows
from tests.support.web import PASSWORD, Browser, add, free_port, serving
from tests.support.web_routes import Route, all_routes

if TYPE_CHECKING:
    from collections.abc import Callable

    from streams.config import Configuration

ME = "/api/v1/me"
COMMENT = "/api/v1/alerts/{}/comment"


@pytest.fixture(scope="session")
def routes(configuration: Configuration) -> list[Route]:
    found = [*all_routes(create_web(Settings(), configuration))]
    assert len(found) > 30
    return found


#: Whatever a route's parameters are called.
ANY = dict.fromkeys(("alert_id", "verb", "code", "name", "path", "token_id", "rule", "signal"), "1")


# ---------------------------------------------------------------- strangers


def test_every_route_but_the_named_ones_asks_for_a_sign_in(
    browser: Browser, routes: list[Route]
) -> None:
    public = set()
    for route in routes:
        answer = browser.request(route.method, route.address(**ANY), b"")
        if route.path.startswith("/api/"):
            closed = answer.status == 401
        else:
            closed = answer.status == 303 and answer.headers["Location"].startswith("/sign-in")
        if not closed:
            public.add(route.path)
            assert route.path in PUBLIC or route.path.startswith(PUBLIC_FOLDER), route
    # What is public is so on purpose, and exists.
    assert public >= PUBLIC
    assert browser.get("/no/such/page").headers["Location"].startswith("/sign-in")
    assert browser.get("/api/v1/none").status == 401


def test_what_is_public_tells_nothing(browser: Browser, database: str) -> None:
    open_alert(database)
    for path in (*PUBLIC, "/static/fenghuo.css"):
        assert "TW-TPE" not in browser.get(path).body.decode("latin-1")


def test_a_made_up_session_is_none(browser: Browser, database: str) -> None:
    for cookie in ("x", "x" * 5000, "%00", "' OR 1=1 --"):
        browser.cookies["fenghuo-session"] = cookie
        assert browser.get(ME).status == 401


# ---------------------------------------------------------------- tokens of programs


def test_a_program_acts_with_a_token_and_needs_no_form_token(
    browser: Browser, database: str
) -> None:
    add(database, "li")
    alert_id = open_alert(database)
    with psycopg.connect(database) as connection:
        token = add_token(connection, "li", label="dashboard", lifetime=timedelta(days=1))
    bearer = {"Authorization": f"Bearer {token}"}
    assert browser.request("GET", ME, headers=bearer).json()["name"] == "li"
    answer = browser.post_json(COMMENT.format(alert_id), {"note": "by program"}, bearer)
    assert answer.status == 200
    # Tokens are for the API only, are kept as digests only, and can be taken back.
    assert browser.request("GET", "/rules", headers=bearer).status == 303
    assert token.encode() not in bytes(rows(database, "SELECT token_hash FROM api_tokens")[0][0])
    (used,) = rows(database, "SELECT used_at IS NOT NULL FROM api_tokens")
    assert used == (True,)
    with psycopg.connect(database) as connection:
        revoke_token(connection, "li", 1)
    assert browser.request("GET", ME, headers=bearer).status == 401


@pytest.mark.parametrize("how", ["own change", "reset", "taken away", "disabled and enabled"])
def test_tokens_and_sessions_end_with_the_password_and_the_account(
    browser: Browser, database: str, how: str
) -> None:
    user = add(database, "li")
    browser.sign_in("li")
    with psycopg.connect(database, autocommit=True) as connection:
        bearer = {"Authorization": f"Bearer {add_token(connection, 'li', label='', lifetime=None)}"}
        assert browser.request("GET", ME, headers=bearer).status == 200
        match how:
            case "own change":
                new = "eight other herons by the weir"
                assert change_password(connection, user, PASSWORD, new, address="192.0.2.1")
            case "reset":
                set_password(connection, "li", "eight other herons by the weir", must_change=True)
            case "taken away":
                take_password_away(connection, "li")
            case _:
                set_disabled(connection, "li", disabled=True)
                set_disabled(connection, "li", disabled=False)
    assert browser.request("GET", ME, headers=bearer).status == 401
    assert browser.get(ME).status == 401


def test_expired_and_made_up_tokens_hold_not(browser: Browser, database: str) -> None:
    add(database, "li")
    with psycopg.connect(database) as connection:
        token = add_token(connection, "li", label="", lifetime=timedelta(seconds=-1))
    for value in (f"Bearer {token}", "Bearer x", "Bearer", "Basic bGk6bGk=", token, ""):
        answer = browser.request("GET", ME, headers={"Authorization": value})
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    # A wrong token is not made up for by a cookie.
    browser.sign_in("li")
    assert browser.request("GET", ME, headers={"Authorization": "Bearer x"}).status == 401


# ---------------------------------------------------------------- other sites


def test_what_changes_something_needs_the_sessions_token(
    browser: Browser, another: Callable[[], Browser], database: str
) -> None:
    add(database, "li")
    alert_id = open_alert(database)
    browser.sign_in("li")
    other = another()
    other.sign_in("li")
    (mine,), (theirs,) = rows(database, "SELECT csrf_token FROM web_sessions ORDER BY created_at")
    path, body = COMMENT.format(alert_id), {"note": "x"}
    for token in (None, "", "x", theirs, browser.cookies["fenghuo-session"]):
        headers = {} if token is None else {"X-CSRF-Token": token}
        answer = browser.post_json(path, body, headers)
        assert (answer.status, answer.json()["type"]) == (403, "/api/v1/docs#wrong-token")
    assert alert_of(database, alert_id).version == 1
    assert browser.post_json(path, body, {"X-CSRF-Token": mine}).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_another_sites_page_is_refused_even_with_the_token(
    browser: Browser, database: str, headers: dict[str, str]
) -> None:
    add(database, "li")
    alert_id = open_alert(database)
    browser.sign_in("li")
    token = {"X-CSRF-Token": rows(database, "SELECT csrf_token FROM web_sessions")[0][0]}
    path = COMMENT.format(alert_id)
    assert browser.post_json(path, {"note": "x"}, token | headers).status == 403
    own = {"Origin": browser.url, "Sec-Fetch-Site": "same-origin"}
    assert browser.post_json(path, {"note": "x"}, token | own).status == 200


def test_every_route_that_changes_something_needs_the_token(
    browser: Browser, database: str, routes: list[Route]
) -> None:
    add(database, "boss", role="admin", region="TW")
    alert_id = open_alert(database)
    browser.sign_in("boss")
    unsafe = [route for route in routes if route.method not in {"GET", "OPTIONS"}]
    assert len(unsafe) > 11
    for route in unsafe:
        address = route.address(**ANY | {"alert_id": alert_id})
        for body, kind in (
            (b"note=x&csrf_token=wrong", "application/x-www-form-urlencoded"),
            (b'{"note": "x"}', "application/json"),
            (b'{"note": "x"}', "text/plain"),
        ):
            answer = browser.request(route.method, address, body, {"Content-Type": kind})
            assert answer.status == 403, route
    assert alert_of(database, alert_id).version == 1


def test_signing_in_needs_the_forms_token(browser: Browser, database: str) -> None:
    add(database, "li")
    fields = {"name": "li", "password": "x", "next": "/"}
    assert browser.post_form("/sign-in", fields).status == 403
    assert browser.post_form("/sign-in", fields | {"csrf_token": ""}).status == 403
    token = browser.form_token("/sign-in")
    assert browser.post_form("/sign-in", fields | {"csrf_token": token + "x"}).status == 403
    evil = {"Origin": "https://evil.example"}
    assert browser.post_form("/sign-in", fields | {"csrf_token": token}, evil).status == 403


# ---------------------------------------------------------------- too much, or broken


def test_more_than_a_note_is_not_read(browser: Browser, database: str) -> None:
    assert browser.request("POST", "/sign-in", b"x" * 70_000).status == 413


def test_bodies_that_are_none_are_refused(browser: Browser, database: str) -> None:
    add(database, "li")
    alert_id = open_alert(database)
    browser.sign_in("li")
    token = {"X-CSRF-Token": rows(database, "SELECT csrf_token FROM web_sessions")[0][0]}
    for body in (b"", b"{", b"[]", b"\xff", b'{"note": ""}', b'{"note": 1}', b'{"note":"x","y":1}'):
        answer = browser.request(
            "POST",
            COMMENT.format(alert_id),
            body,
            token | {"Content-Type": "application/json"},
        )
        assert answer.status in {400, 422}, body
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json()["type"] == "/api/v1/docs#invalid"


# ---------------------------------------------------------------- headers


@pytest.mark.parametrize(
    "path", ["/sign-in", "/healthz", "/api/v1/me", "/no-such", "/static/fenghuo.css"]
)
def test_every_answer_protects_itself(browser: Browser, path: str) -> None:
    headers = browser.get(path).headers
    policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert "http" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert ("no-store" in headers["Cache-Control"]) is not path.startswith("/static/")
    assert headers["X-Request-ID"]
    assert "Server" not in headers or "uvicorn" in headers["Server"]  # fenghuo web switches it off


def test_pages_load_nothing_from_elsewhere(browser: Browser, database: str) -> None:
    add(database, "boss", role="admin", region="TW")
    alert_id = open_alert(database)
    pages = [browser.get("/sign-in").text]
    browser.sign_in("boss")
    for path in ("/", f"/alerts/{alert_id}", "/rules", "/users", "/account", "/api/v1/docs"):
        answer = browser.get(path)
        assert answer.status == 200, (path, answer.text)
        pages.append(answer.text)
    for page in pages:
        for attribute in ('src="', "src='", "@import", "url("):
            for rest in page.split(attribute)[1:]:
                assert rest.startswith(("/static/", "data:")), rest[:80]
        assert "<script>" not in page
        assert ' onclick="' not in page
        assert 'rel="stylesheet" href="http' not in page


def test_over_https_cookies_are_bound_to_the_host(
    configuration: Configuration, database: str
) -> None:
    settings = Settings(database=database, web_url="https://fenghuo.example.org/")
    with serving(create_web(settings, configuration)) as url, Browser(url) as browser:
        add(database, "li")
        answer = browser.sign_in("li")
        cookie = (answer.headers.get_all("Set-Cookie") or [""])[0]
        assert cookie.startswith("__Host-fenghuo-session=")
        assert {"secure", "httponly", "path=/"} <= {
            part.strip().lower() for part in cookie.split(";")
        }
        assert "max-age" in answer.headers["Strict-Transport-Security"]
        assert browser.get(ME).json()["name"] == "li"


# ---------------------------------------------------------------- language


def test_the_language_is_asked_for_kept_or_preferred(browser: Browser, database: str) -> None:
    assert browser.get("/sign-in").headers["Content-Language"] == "zh"
    english = {"Accept-Language": "fr, en;q=0.7, zh;q=0.3"}
    assert "Not signed in" in browser.request("GET", ME, headers=english).text
    browser.get("/sign-in?lang=en")
    assert browser.cookies["lang"] == "en"
    assert "Not signed in" in browser.get(ME).text
    browser.get("/sign-in?lang=xx")
    assert browser.cookies["lang"] == "en"
    browser.cookies.clear()
    add(database, "li")
    rows(database, "UPDATE users SET locale = 'en' RETURNING 1")
    browser.sign_in("li")
    assert "There is no alert 9" in browser.get("/api/v1/alerts/9").text


# ---------------------------------------------------------------- health


def test_health_is_told_to_machines(browser: Browser) -> None:
    assert browser.get("/healthz").json() == {"status": "ok"}
    assert browser.get("/readyz").json() == {"status": "ok"}


def test_without_its_database_the_page_lives_and_says_so(
    configuration: Configuration, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "psycopg.pool")
    nowhere = f"postgresql://127.0.0.1:{free_port()}/none?connect_timeout=1"
    app = create_web(Settings(database=nowhere), configuration)
    with serving(app) as url, Browser(url) as browser:
        assert browser.get("/healthz").status == 200
        ready = browser.get("/readyz")
        assert (ready.status, ready.json()["status"]) == (503, "no database")
        browser.cookies["fenghuo-session"] = "x"
        answer = browser.get(ME)
        assert (answer.status, answer.headers["Retry-After"]) == (503, "30")
        assert json.loads(answer.body)["type"].endswith("unavailable")


def test_an_unmigrated_database_is_not_ready(
    configuration: Configuration, database_server: str
) -> None:
    app = create_web(Settings(database=database_server), configuration)
    with serving(app) as url, Browser(url) as browser:
        ready = browser.get("/readyz")
        assert (ready.status, ready.json()["status"]) == (503, "not migrated")
