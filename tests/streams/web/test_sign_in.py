"""Signing in and out, over real HTTP."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest

from streams.store.people import add_user, set_access, set_disabled, set_password
from tests.support.store import rows
from tests.support.web import PASSWORD, Browser, add

if TYPE_CHECKING:
    from collections.abc import Callable

ME = "/api/v1/me"


def test_a_stranger_is_sent_to_sign_in_and_comes_back(browser: Browser, database: str) -> None:
    add(database, "li")
    sent = browser.get("/alerts/5?tab=lines")
    assert (sent.status, sent.headers["Location"]) == (
        303,
        "/sign-in?next=%2Falerts%2F5%3Ftab%3Dlines",
    )
    answer = browser.sign_in("li", target="/alerts/5?tab=lines")
    assert (answer.status, answer.headers["Location"]) == (303, "/alerts/5?tab=lines")
    assert browser.get(ME).json()["name"] == "li"
    # Once signed in, the form is of no use.
    assert browser.get("/sign-in?next=/rules").headers["Location"] == "/rules"


def test_the_cookie_is_for_the_server_only(browser: Browser, database: str) -> None:
    add(database, "li")
    cookie = browser.sign_in("li").headers["Set-Cookie"]
    assert cookie.startswith("fenghuo-session=")
    assert {"httponly", "path=/", "samesite=lax"} <= {
        part.strip().lower() for part in cookie.split(";")
    }
    stored = rows(database, "SELECT session_hash, csrf_token FROM web_sessions")
    assert len(stored) == 1
    assert browser.cookies["fenghuo-session"].encode() not in bytes(stored[0][0])


@pytest.mark.parametrize(
    ("name", "password"), [("li", "wrong" + PASSWORD), ("nobody", PASSWORD), ("", ""), ("li", "")]
)
def test_wrong_names_and_passwords_have_one_answer(
    browser: Browser, database: str, name: str, password: str
) -> None:
    add(database, "li")
    answer = browser.sign_in(name, password)
    assert answer.status == 401
    assert "用户名或密码不正确" in answer.text
    assert browser.get(ME).status == 401


def test_names_are_found_whatever_their_case_and_width(browser: Browser, database: str) -> None:
    add(database, "li.wei")
    assert browser.sign_in(" Ｌi.Wei ").status == 303


@pytest.mark.parametrize("blank", [" ", "\t", "\u3000", "\u00a0", "\r\n"])
def test_blanks_around_what_was_pasted_do_not_count(
    browser: Browser, database: str, blank: str
) -> None:
    with psycopg.connect(database) as connection:
        add_user(connection, "li", role="officer", region="TW-TPE", password=f" {PASSWORD}")
        set_password(connection, "li", PASSWORD, must_change=True)
    answer = browser.sign_in(f"{blank}li{blank}", f"{blank}{PASSWORD}{blank}")
    assert answer.status == 303
    # The same field of the form that changes the password.
    token = browser.form_token("/account/password")
    new = "eight quiet herons by the weir"
    fields = {"csrf_token": token, "current": f"{PASSWORD}{blank}", "new": new, "again": new}
    assert browser.post_form("/account/password", fields).status == 303


def test_a_password_with_blanks_is_compared_as_it_is(browser: Browser, database: str) -> None:
    with psycopg.connect(database) as connection:
        add_user(connection, "li", role="officer", region="TW-TPE", password=f" {PASSWORD} ")
    assert browser.sign_in("li", PASSWORD).status == 401
    assert browser.sign_in("li", f" {PASSWORD} ").status == 303


def test_blanks_give_no_more_tries(browser: Browser, database: str) -> None:
    add(database, "li")
    answers = [browser.sign_in("li" + " " * n, f"wrong{' ' * n}").status for n in range(7)]
    assert answers == [401] * 5 + [429] * 2


def test_a_disabled_user_is_out_at_once_and_cannot_come_back(
    browser: Browser, database: str
) -> None:
    add(database, "li")
    browser.sign_in("li")
    with psycopg.connect(database) as connection:
        set_disabled(connection, "li", disabled=True)
    assert browser.get(ME).status == 401
    assert browser.sign_in("li").status == 401


def test_a_new_role_and_region_hold_from_the_next_request_on(
    browser: Browser, database: str
) -> None:
    add(database, "li", role="officer")
    browser.sign_in("li")
    with psycopg.connect(database) as connection:
        set_access(connection, "li", role="viewer", region="TW-KHH")
    me = browser.get(ME).json()
    assert (me["role"], me["region"], me["may_act"]) == ("viewer", "TW-KHH", False)


# ---------------------------------------------------------------- sessions


def test_a_planted_session_is_not_taken_over(browser: Browser, database: str) -> None:
    add(database, "li")
    browser.cookies["fenghuo-session"] = "planted"
    browser.sign_in("li")
    assert browser.cookies["fenghuo-session"] != "planted"


def test_the_browsers_former_session_ends_when_somebody_signs_in(
    browser: Browser, another: Callable[[], Browser], database: str
) -> None:
    add(database, "li")
    stranger = another()
    fields = {"name": "li", "password": PASSWORD, "csrf_token": stranger.form_token("/sign-in")}
    browser.sign_in("li")
    former = browser.cookies["fenghuo-session"]
    browser.cookies |= stranger.cookies
    # Signed in already, with the form still open in another tab.
    form = fields | {"csrf_token": stranger.cookies["fenghuo-form"]}
    token = {"X-CSRF-Token": csrf_of(database)}
    assert browser.post_form("/sign-in", form, token).status == 303
    stranger.cookies["fenghuo-session"] = former
    assert stranger.get(ME).status == 401
    assert len(rows(database, "SELECT 1 FROM web_sessions")) == 1


def csrf_of(database: str) -> str:
    (row,) = rows(database, "SELECT csrf_token FROM web_sessions")
    return str(row[0])


def test_signing_out_ends_the_session_on_the_server(browser: Browser, database: str) -> None:
    add(database, "li")
    browser.sign_in("li")
    kept = dict(browser.cookies)
    token = browser.form_token("/account/password")
    answer = browser.post_form("/sign-out", {"csrf_token": token})
    assert (answer.status, answer.headers["Location"]) == (303, "/sign-in")
    assert "fenghuo-session" not in browser.cookies
    browser.cookies = kept
    assert browser.get(ME).status == 401


@pytest.mark.parametrize(
    ("column", "ago", "status"),
    [
        ("seen_at", timedelta(minutes=59), 200),
        ("seen_at", timedelta(minutes=61), 401),
        ("created_at", timedelta(hours=11), 200),
        ("created_at", timedelta(hours=13), 401),
    ],
)
def test_sessions_end_when_idle_and_in_any_case(
    browser: Browser, database: str, column: str, ago: timedelta, status: int
) -> None:
    add(database, "li")
    browser.sign_in("li")
    with psycopg.connect(database) as connection:
        connection.execute(
            psycopg.sql.SQL("UPDATE web_sessions SET {0} = {0} - %s").format(
                psycopg.sql.Identifier(column)
            ),
            (ago,),
        )
    assert browser.get(ME).status == status


def test_being_seen_keeps_a_session(browser: Browser, database: str) -> None:
    add(database, "li")
    browser.sign_in("li")
    for _ in range(2):
        rows(
            database,
            "UPDATE web_sessions SET seen_at = seen_at - interval '40 minutes' RETURNING 1",
        )
        assert browser.get(ME).status == 200


# ---------------------------------------------------------------- throttling


def test_after_five_failures_an_address_has_to_wait_even_with_the_right_password(
    browser: Browser, database: str
) -> None:
    add(database, "li")
    for _ in range(5):
        assert browser.sign_in("li", "wrong").status == 401
    refused = browser.sign_in("li")
    assert refused.status == 429
    assert 0 < int(refused.headers["Retry-After"]) <= 15
    assert "秒后重试" in refused.text
    # Others are not held up, and time heals.
    add(database, "wang")
    assert browser.sign_in("wang").status == 303
    rows(
        database,
        "UPDATE sign_in_failures SET last_at = last_at - interval '20 seconds' RETURNING 1",
    )
    browser.cookies.clear()
    assert browser.sign_in("li").status == 303
    # What was right makes up for the failures.
    browser.cookies.clear()
    assert browser.sign_in("li", "wrong").status == 401
    assert browser.sign_in("li").status == 303


def test_what_was_typed_is_not_kept(browser: Browser, database: str) -> None:
    browser.sign_in("my-secret-password-in-the-wrong-field", "x")
    found = rows(database, "SELECT key::text FROM sign_in_failures")
    assert len(found) == 3
    assert not any("secret" in bytes.fromhex(key[2:]).decode("latin-1") for (key,) in found)


# ---------------------------------------------------------------- passwords


def test_a_one_time_password_must_be_changed_first(browser: Browser, database: str) -> None:
    add(database, "li")
    with psycopg.connect(database) as connection:
        set_password(connection, "li", "one-time one-time 42", must_change=True)
    browser.sign_in("li", "one-time one-time 42", target="/rules")
    assert browser.get("/rules").headers["Location"] == "/account/password"
    assert browser.get(ME).json()["type"].endswith("password-change-needed")
    token = browser.form_token("/account/password")
    former = browser.cookies["fenghuo-session"]
    new = {"new": PASSWORD, "again": PASSWORD, "current": "one-time one-time 42"}
    answer = browser.post_form("/account/password", new | {"csrf_token": token})
    assert (answer.status, answer.headers["Location"]) == (303, "/")
    assert browser.cookies["fenghuo-session"] != former
    assert browser.get(ME).status == 200
    assert len(rows(database, "SELECT 1 FROM web_sessions")) == 1


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"current": "wrong"}, "当前密码不正确"),
        ({"again": "another long password"}, "不一致"),
        ({"new": "short", "again": "short"}, "至少需要15个"),
        ({"new": PASSWORD, "again": PASSWORD}, "不能与当前密码相同"),
        ({"new": "lililililililili", "again": "lililililililili"}, "过于简单"),
    ],
)
def test_a_password_that_does_not_do_is_refused(
    browser: Browser, database: str, fields: dict[str, str], text: str
) -> None:
    add(database, "li")
    browser.sign_in("li")
    token = browser.form_token("/account/password")
    good = {
        "current": PASSWORD,
        "new": "nine slow barges at dusk",
        "again": "nine slow barges at dusk",
    }
    answer = browser.post_form("/account/password", good | fields | {"csrf_token": token})
    assert answer.status == 422
    assert text in answer.text
    browser.cookies.clear()
    assert browser.sign_in("li").status == 303
