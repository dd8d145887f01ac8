"""Decisions that wait for a lock keep nobody from signing in."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import psycopg

from streams.store.locks import ALERTS
from tests.support.alerts import open_alert
from tests.support.store import rows
from tests.support.web import Browser, add

if TYPE_CHECKING:
    from collections.abc import Callable

#: More than there are connections for decisions.
WAITING = 6


def test_sign_in_goes_on_while_decisions_wait_and_these_are_told_to_try_again(
    browser: Browser, another: Callable[[], Browser], database: str
) -> None:
    alert_id = open_alert(database)
    add(database, "li", role="officer")
    officers = [another() for _ in range(WAITING)]
    for officer in officers:
        officer.sign_in("li")
        officer.headers["X-CSRF-Token"] = officer.form_token("/account")
    add(database, "wang", role="officer")
    answers: list[tuple[int, str]] = []

    def decide(officer: Browser) -> None:
        answer = officer.post_json(f"/api/v1/alerts/{alert_id}/verify", {"seen": 1})
        answers.append((answer.status, answer.json()["type"]))

    with psycopg.connect(database) as holder:
        # Unlike hold_lock, this is not ended after ten silent seconds.
        holder.execute("SELECT FROM locks WHERE name = %s FOR UPDATE", (ALERTS,))
        threads = [threading.Thread(target=decide, args=(officer,)) for officer in officers]
        for thread in threads:
            thread.start()
        waiting = (
            "SELECT 1 FROM pg_stat_activity "
            "WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        while not rows(database, waiting):
            assert not answers
        assert browser.sign_in("wang").status == 303
        assert browser.get("/api/v1/me").json()["name"] == "wang"
        for thread in threads:
            thread.join()
    assert len(answers) == WAITING
    assert {status for status, _ in answers} == {503}
    assert any(kind.endswith("busy") for _, kind in answers)
