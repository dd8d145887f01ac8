from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

import psycopg

from streams.store.credentials import add_token
from tests.support.metrics import samples
from tests.support.web import add

if TYPE_CHECKING:
    from tests.support.web import Browser


def bearer(database: str, name: str, region: str) -> dict[str, str]:
    add(database, name, role="viewer", region=region)
    with psycopg.connect(database) as connection:
        token = add_token(connection, name, label="metrics", lifetime=timedelta(days=1))
    return {"Authorization": f"Bearer {token}"}


def test_metrics_are_for_tokens_of_the_whole_installation(browser: Browser, database: str) -> None:
    assert browser.get("/metrics").status == 303
    assert browser.get("/metrics", **bearer(database, "taipei", "TW-TPE")).status == 403
    with psycopg.connect(database) as connection:
        connection.execute(
            "SELECT pend_spans('{ili}', '{TW-TPE}', '{2009-01-01}', '{2009-08-04}', "
            "now() - interval '1 hour')"
        )
    answer = browser.get("/metrics", **bearer(database, "prometheus", "TW"))
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    found = samples(answer.text)
    assert found["fenghuo_database_up", ()] == 1
    # The age of history is not that of live changes.
    assert found["fenghuo_pending_judgements", ()] == 0
    assert found["fenghuo_pending_judgement_oldest_seconds", ()] == 0
    assert found["fenghuo_pending_history", ()] == 2
    assert found["fenghuo_pending_history_oldest_seconds", ()] >= 3600
    assert all(re.fullmatch(r"(fenghuo|process)_[a-z_]+", name) for name, _ in found)
