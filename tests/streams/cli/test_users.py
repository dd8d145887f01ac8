"""`fenghuo users`, and what `fenghuo web` asks for before it starts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from streams.errors import FenghuoError, StoreError, UnavailableError
from streams.people.users import BadNameError
from streams.store.people import NoUserError, find_user
from tests.conftest import CONFIG
from tests.support.store import rows
from tests.support.web import Browser, free_port

if TYPE_CHECKING:
    from collections.abc import Callable

    from typer.testing import Result

    Run = Callable[..., Result]

GOOD = b"seven quiet herons by the weir\n"


def listed(run: Run) -> dict[str, Any]:
    return {user["name"]: user for user in json.loads(run("users", "list", "--json").stdout)}


def test_a_user_is_added_with_a_one_time_password(run: Run, database: str) -> None:
    added = run("users", "add", "Li", "--role", "officer", "--region", "TW-TPE")
    password = added.stdout.strip()
    assert len(password) == 23
    assert "li is officer for TW-TPE" in added.stderr
    user = listed(run)["li"]
    assert (user["role"], user["region"], user["must_change_password"]) == (
        "officer",
        "TW-TPE",
        True,
    )
    assert password not in json.dumps(listed(run))
    assert "one-time password" in run("users", "list").stdout


def test_a_password_comes_from_standard_input(run: Run, database: str) -> None:
    run("users", "add", "li", "--password-stdin", stdin=GOOD)
    user = listed(run)["li"]
    assert (user["region"], user["must_change_password"], user["has_password"]) == (
        "TW",
        False,
        True,
    )
    with pytest.raises(FenghuoError, match="at least 15"):
        run("users", "add", "wang", "--password-stdin", stdin=b"short\n")
    assert "wang" not in listed(run)


def test_a_user_without_password_signs_in_elsewhere(run: Run, database: str) -> None:
    run("users", "add", "li", "--no-password")
    assert not listed(run)["li"]["has_password"]
    run("users", "password", "li")
    assert listed(run)["li"]["has_password"]
    run("users", "password", "li", "--none")
    assert not listed(run)["li"]["has_password"]


def test_a_user_is_linked_with_a_subject_or_by_name_where_that_is_wanted(
    run: Run, database: str
) -> None:
    def links() -> list[tuple[Any, ...]]:
        return rows(database, "SELECT oidc_subject, link_by_name FROM users")

    run("users", "add", "li", "--no-password")
    assert links() == [(None, False)]
    run("users", "link", "li", "--by-name")
    assert links() == [(None, True)]
    run("users", "link", "li", "--subject", "s-1", "--issuer", "https://id.example")
    assert links() == [("https://id.example s-1", False)]
    with pytest.raises(FenghuoError, match="is linked already"):
        run("users", "link", "li", "--by-name")
    run("users", "link", "li", "--none")
    assert links() == [(None, False)]
    run("users", "password", "li")
    with pytest.raises(FenghuoError, match="has a password"):
        run("users", "link", "li", "--by-name")
    with pytest.raises(FenghuoError, match="Name the provider"):
        run("users", "link", "li", "--subject", "s-1")
    with pytest.raises(FenghuoError, match="Give one of"):
        run("users", "link", "li", "--none", "--by-name")


def test_names_that_give_a_person_away_are_refused(run: Run, database: str) -> None:
    with pytest.raises(BadNameError, match="mobile number"):
        run("users", "add", "13800138000")


def test_role_region_and_leave_are_changed(run: Run, database: str) -> None:
    run("users", "add", "li")
    run("users", "role", "li", "epidemiologist")
    run("users", "role", "li", "--region", "TW-KHH")
    assert (listed(run)["li"]["role"], listed(run)["li"]["region"]) == ("epidemiologist", "TW-KHH")
    run("users", "disable", "li")
    assert listed(run)["li"]["disabled"]
    run("users", "enable", "li")
    assert not listed(run)["li"]["disabled"]
    run("users", "remove", "li")
    assert listed(run) == {}
    assert "Add one" in run("users", "list").stderr
    with pytest.raises(FenghuoError, match="Name a role"):
        run("users", "role", "li")
    for command in ("role li viewer", "disable li", "enable li", "remove li", "password li",
                    "token li", "tokens li", "revoke li 1"):  # fmt: skip
        with pytest.raises(NoUserError, match="li"):
            run("users", *command.split())


def test_tokens_are_shown_once_listed_and_revoked(run: Run, database: str) -> None:
    run("users", "add", "li")
    token = run("users", "token", "li", "--label", "dashboard", "--days", "30").stdout.strip()
    assert token.startswith("fenghuo_")
    found = run("users", "tokens", "li", "--json").stdout
    assert token not in found
    (one,) = json.loads(found)
    assert one["label"] == "dashboard"
    assert "dashboard" in run("users", "tokens", "li").stdout
    run("users", "revoke", "li", one["token_id"])
    assert "no tokens" in run("users", "tokens", "li").stderr
    with pytest.raises(FenghuoError, match="no token 99"):
        run("users", "revoke", "li", 99)


def test_the_page_is_not_served_where_nobody_could_sign_in(run: Run, database: str) -> None:
    with pytest.raises(StoreError, match="fenghuo users add NAME --role admin"):
        run("web", "--port", free_port())


def test_the_page_tells_that_its_port_is_taken(run: Run, database: str) -> None:
    import socket  # noqa: PLC0415 - here only

    run("users", "add", "li")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UnavailableError, match=f"127.0.0.1:{port} is taken by another program"):
            run("web", "--port", port)
    with pytest.raises(UnavailableError, match="no address of this machine"):
        run("web", "--host", "192.0.2.1", "--port", free_port())


def test_the_page_tells_that_the_database_is_not_migrated(run: Run, database_server: str) -> None:
    with pytest.raises(StoreError, match="fenghuo db migrate"):
        run("web", "--database", database_server)


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_the_page_is_served_until_it_is_stopped(
    run: Run, database: str, stop: signal.Signals
) -> None:
    run("users", "add", "li", "--password-stdin", stdin=GOOD)
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "streams", "web", "--port", str(port), "--config", str(CONFIG)],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"COLUMNS": "200"},
    )
    assert process.stderr is not None
    try:
        assert f"http://127.0.0.1:{port}" in process.stderr.readline()
        with Browser(f"http://127.0.0.1:{port}") as browser:
            ready = browser.get("/readyz")
            assert ready.json() == {"status": "ok"}
            assert "Server" not in ready.headers
            assert browser.sign_in("li", GOOD.decode().strip()).status == 303
    finally:
        process.send_signal(stop)
        rest = process.communicate(timeout=180)[1]
    assert process.returncode == 0, rest
    assert "Traceback" not in rest
    with psycopg.connect(database) as connection:
        user = find_user(connection, "li")
    assert user
    assert user.last_sign_in_at
    assert rows(database, "SELECT count(*) FROM web_sessions") == [(1,)]
