from __future__ import annotations

import getpass
import json
from typing import TYPE_CHECKING

import psycopg
import pytest
from pydantic import ValidationError

from streams.alerts.lifecycle import IllegalTransitionError
from streams.errors import FenghuoError
from streams.store.alerts import get_history
from streams.store.authorised import NotAuthorisedError
from streams.store.decisions import ConflictError
from streams.store.people import add_user, set_disabled
from tests.conftest import CONFIG
from tests.support.alerts import alert_of, open_alert

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typer.testing import Result

    from schemas.alerts import AlertEvent

    Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def users(database_url: str) -> None:
    """Officers of the nation: two by name, and the login name that commands fall back on."""
    with psycopg.connect(database_url) as connection:
        for name in {"li", "wang", getpass.getuser()}:
            add_user(connection, name, role="officer")


def history(database: str, alert_id: int) -> list[AlertEvent]:
    with psycopg.connect(database) as connection:
        return get_history(connection, alert_id)


def test_from_new_to_closed(run: Run, database: str) -> None:
    alert = open_alert(database)
    told = [
        run("alerts", command, alert, *arguments, "--as", "li").stdout.strip()
        for command, *arguments in (
            ("acknowledge",),
            ("verify", "--note", "called the hospital"),
            ("comment", "three children of one school"),
            ("monitor",),
            ("assess", "likely", "major"),
            ("assign", "wang"),
            ("confirm", "-m", "laboratory: H1N1"),
            ("close", "outbreak"),
        )
    ]
    assert told == [
        f"Alert {alert} is new, read by li (version 2).",
        f"Alert {alert} is verifying, assigned to li (version 3).",
        f"Alert {alert} is verifying, the remark is noted, by li (version 4).",
        f"Alert {alert} is monitoring (version 5).",
        f"Alert {alert} is assessing, risk high (version 6).",
        f"Alert {alert} is assessing, assigned to wang (version 7).",
        f"Alert {alert} is confirmed (version 8).",
        f"Alert {alert} is closed, outcome outbreak (version 9).",
    ]
    events = history(database, alert)
    assert {event.actor for event in events[1:]} == {"li"}
    assert events[2].change.note == "called the hospital"  # type: ignore[union-attr]
    assert events[7].change.note == "laboratory: H1N1"  # type: ignore[union-attr]


def test_discard_merge_reopen(run: Run, database: str) -> None:
    head, other = open_alert(database, region="TW-KHH"), open_alert(database)
    assert f"is merged, into alert {head}" in run("alerts", "merge", other, head).stdout
    assert "is verifying" in run("alerts", "reopen", other, "-m", "another school").stdout
    assert "outcome data_error" in run("alerts", "discard", other, "data_error").stdout
    run("alerts", "assign", head)
    assert alert_of(database, head).assigned_to is None


def test_who_acts(run: Run, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    alert = open_alert(database)
    monkeypatch.delenv("FENGHUO_OFFICER", raising=False)
    run("alerts", "comment", alert, "one")
    monkeypatch.setenv("FENGHUO_OFFICER", "wang")
    run("alerts", "comment", alert, "two")
    run("alerts", "comment", alert, "three", "--as", "li")
    actors = [event.actor for event in history(database, alert)]
    assert actors == ["system", getpass.getuser(), "wang", "li"]
    with pytest.raises(NotAuthorisedError, match="'system' is not a user"):
        run("alerts", "verify", alert, "--as", "system")


@pytest.mark.parametrize("command", ["acknowledge", "verify", "assign", "discard", "merge"])
def test_only_users_who_may_act_change_alerts(run: Run, database: str, command: str) -> None:
    alert, other = open_alert(database), open_alert(database, region="TW-KHH")
    with psycopg.connect(database) as connection:
        add_user(connection, "looker", role="viewer")
        add_user(connection, "gone", role="officer")
        set_disabled(connection, "gone", disabled=True)
        add_user(connection, "far", role="officer", region="TW-KHH")
        add_user(connection, "near", role="officer", region="TW-TPE")
    rest: dict[str, list[object]] = {"discard": ["data_error"], "merge": [other], "assign": ["li"]}
    for name, why in (
        ("ghost", "'ghost' is not a user"),
        ("looker", "Viewers read"),
        ("gone", "is disabled"),
        ("far", "outside your area"),
        *([("near", "outside your area")] if command == "merge" else []),
    ):
        with pytest.raises(NotAuthorisedError, match=why):
            run("alerts", command, alert, *rest.get(command, []), "--as", name)
    assert len(history(database, alert)) == len(history(database, other)) == 1


def test_only_users_who_may_act_are_responsible(run: Run, database: str) -> None:
    alert = open_alert(database)
    with psycopg.connect(database) as connection:
        add_user(connection, "looker", role="viewer")
        add_user(connection, "far", role="officer", region="TW-KHH")
        add_user(connection, "near", role="officer", region="TW-TPE")
        add_user(connection, "gone", role="officer")
        set_disabled(connection, "gone", disabled=True)
    for name in ("ghost", "looker", "far", "gone"):
        with pytest.raises(NotAuthorisedError, match=f"'{name}' cannot be responsible"):
            run("alerts", "assign", alert, name, "--as", "li")
    assert len(history(database, alert)) == 1
    run("alerts", "assign", alert, " NEAR", "--as", "LI")
    assert alert_of(database, alert).assigned_to == "near"
    assert history(database, alert)[1].actor == "li"


def test_the_risk_follows_from_the_matrix_of_the_configuration(
    run: Run, database: str, tmp_path: Path
) -> None:
    alert = open_alert(database)
    run("alerts", "verify", alert)
    row = "[low, low, low, low, low]"
    names = ("very_unlikely", "unlikely", "likely", "highly_likely", "almost_certain")
    matrix = "".join(f"    {name}: {row}\n" for name in names)
    own = tmp_path / "own.yaml"
    own.write_text(CONFIG.read_text() + "alerts:\n  risk_matrix:\n" + matrix)
    assert "risk high" in run("alerts", "assess", alert, "likely", "major").stdout
    told = run("alerts", "assess", alert, "likely", "major", "--config", own).stdout
    assert "risk low" in told
    # The level is part of the history: other configurations do not change it afterwards.
    assert "0 of 1 alerts differ" in run("alerts", "rebuild", "--check").stdout


def test_an_action_as_json(run: Run, database: str) -> None:
    alert = open_alert(database)
    found = json.loads(run("alerts", "verify", alert, "--as", "li", "--json").stdout)
    assert (found["status"], found["assigned_to"], found["version"]) == ("verifying", "li", 2)


def test_a_note_that_identifies_a_person_is_refused(run: Run, database: str) -> None:
    alert = open_alert(database)
    with pytest.raises(FenghuoError, match="looks like a mobile number"):
        run("alerts", "comment", alert, "母亲电话 13800138000")
    assert len(history(database, alert)) == 1


def test_what_is_not_possible_is_refused_with_what_is(run: Run, database: str) -> None:
    alert = open_alert(database)
    with pytest.raises(IllegalTransitionError, match="Possible now: acknowledge, assign"):
        run("alerts", "confirm", alert)
    assert run("alerts", "discard", alert, "outbreak").exit_code == 2
    assert run("alerts", "assess", alert, "certain", "major").exit_code == 2
    with pytest.raises(FenghuoError, match="at least one letter"):
        run("alerts", "comment", alert, " ")
    with pytest.raises(ValidationError, match="4000"):
        run("alerts", "comment", alert, "x" * 4001)
    with pytest.raises(FenghuoError, match="There is no alert 99"):
        run("alerts", "verify", 99)
    assert len(history(database, alert)) == 1


def test_the_version_that_was_seen(run: Run, database: str) -> None:
    alert = open_alert(database)
    run("alerts", "verify", alert, "--as", "wang", "--version", 1)
    with pytest.raises(ConflictError, match="was moved to verifying by wang"):
        run("alerts", "discard", alert, "explained", "--as", "li", "--version", 1)
    run("alerts", "discard", alert, "explained", "--as", "li", "--version", 2)


def test_rebuilding(run: Run, database: str) -> None:
    alert = open_alert(database)
    assert "0 of 1 alerts differ" in run("alerts", "rebuild", "--check").stdout
    with psycopg.connect(database) as connection:
        connection.execute("UPDATE alerts SET status = 'closed'")
    wrong = run("alerts", "rebuild", "--check")
    assert wrong.exit_code == 1
    assert f"Alert {alert}: status" in wrong.stdout
    found = json.loads(run("alerts", "rebuild", "--check", "--json").stdout)
    assert found == {"alerts": 1, "differences": [{"alert_id": alert, "fields": ["status"]}]}
    assert "1 of 1 alerts were made anew" in run("alerts", "rebuild").stdout
    assert run("alerts", "rebuild", "--check").exit_code == 0
    assert alert_of(database, alert).status == "new"
