from __future__ import annotations

import json
from typing import TYPE_CHECKING

import psycopg
import pytest

from streams.demo.receivers import WebhookReceiver
from streams.errors import FenghuoError
from tests.streams.notify.support import BASE, open_alert

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typer.testing import Result

    Run = Callable[..., Result]


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "fenghuo.yaml"
    path.write_text(BASE + "notify:\n  channels: {duty: {url: '${DUTY_URL}'}}\n", encoding="utf-8")
    return path


def test_a_trial_message(run: Run, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with WebhookReceiver() as server:
        monkeypatch.setenv("DUTY_URL", server.url)
        run("notify", "test", "duty", "--config", config)
        (hook,) = server.hooks
    assert "This is a trial" in hook.body["text"]


def test_a_trial_that_fails_says_why(
    run: Run, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DUTY_URL", raising=False)
    with pytest.raises(FenghuoError, match="DUTY_URL is not set"):
        run("notify", "test", "duty", "--config", config)
    with pytest.raises(FenghuoError, match="'dutu' is no channel; defined are duty"):
        run("notify", "test", "dutu", "--config", config)


@pytest.fixture
def outbox(database: str) -> str:
    """Alert 1 has been sent to duty, alert 2 has failed there, 3 is held back."""
    for number in (1, 2, 3):
        open_alert(database, number)
    with psycopg.connect(database) as connection:
        for number, state, error in ((1, "sent", None), (2, "failed", "answers 410 Gone")):
            connection.execute(
                "WITH made AS (INSERT INTO notification_deliveries (channel, rank, digest, state, "
                "formed_at, next_attempt_at, attempts, sent_at, last_error, message) "
                "VALUES ('duty', 1, false, %(state)s, now(), now(), 3, "
                "        CASE %(state)s WHEN 'sent' THEN now() END, %(error)s, "
                "        jsonb_build_object('subject', 'Alert ' || %(number)s::int)) "
                "RETURNING delivery_id) "
                "INSERT INTO notifications (alert_id, seq, channel, route, digest, due_at, "
                "created_at, delivery_id) "
                "SELECT %(number)s, 1, 'duty', 'all', false, now(), now(), delivery_id FROM made",
                {"state": state, "error": error, "number": number},
            )
        connection.execute(
            "INSERT INTO notifications (alert_id, seq, channel, route, digest, due_at, created_at) "
            "VALUES (3, 1, 'duty', 'low', true, now() + interval '1 hour', now())"
        )
    return database


def test_the_outbox(run: Run, outbox: str) -> None:
    shown = run("notify", "outbox").stdout
    for text in ("waiting", "sent", "failed", "410 Gone", "Alert 1", "digest", "opened"):
        assert text in shown
    assert max(map(len, shown.splitlines())) <= 100
    failed = json.loads(run("notify", "outbox", "--state", "failed", "--json").stdout)
    assert [row["alert_id"] for row in failed] == [2]
    assert json.loads(run("notify", "outbox", "--channel", "other", "--json").stdout) == []


def test_what_failed_is_tried_again(run: Run, outbox: str) -> None:
    run("notify", "retry", "other")
    assert json.loads(run("notify", "outbox", "--state", "failed", "--json").stdout)
    assert "1 messages are tried again" in run("notify", "retry", "duty").stderr
    assert json.loads(run("notify", "outbox", "--state", "failed", "--json").stdout) == []


def test_the_status_tells(run: Run, outbox: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FENGHUO_KAFKA", "127.0.0.1:1")
    found = json.loads(run("status", "--json").stdout)["notifications"]
    (duty,) = found
    assert (duty["sent_24h"], duty["held"], duty["waiting"], duty["failed"]) == (1, 1, 0, 1)
    assert "410 Gone" in run("status").stdout
