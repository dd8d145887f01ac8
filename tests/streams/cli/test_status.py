from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import psycopg
import pytest

from schemas.alerts import Discarded
from streams.errors import FenghuoError
from streams.feed.publish import publish_records
from streams.kafka import topic_ids
from tests.support.alerts import decide, open_alert

if TYPE_CHECKING:
    from collections.abc import Callable

    from typer.testing import Result

    from streams.config import Configuration

    Run = Callable[..., Result]

NOW = datetime.now(UTC)


def fill(database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute(
            "INSERT INTO series (signal, region, stratum) VALUES ('ili', 'TW-TPE', 'all')"
        )
        connection.execute(
            "INSERT INTO daily_counts SELECT series_id, day::date, 2.5 FROM series, "
            "generate_series('2009-08-01'::date, '2009-08-04', '1 day') day"
        )
        connection.execute(
            "INSERT INTO imported_counts (signal, region, stratum, grain, period, value) "
            "VALUES ('ili', 'TW-TPE', 'all', 'week', '2009-03-02', 4)"
        )
        for hours, accepted, refused in ((30, 100, 10), (2, 5, 1), (1, 7, 0)):
            at = NOW - timedelta(hours=hours)
            connection.execute(
                "INSERT INTO batch_sources VALUES (1, 'his', 'v', %s, %s, %s, %s)",
                (accepted, refused, at - timedelta(minutes=5), at),
            )
        connection.execute(
            'INSERT INTO dead_letters (log, topic, partition, "offset", reason, sentence, '
            "refused_at, replayed_at) VALUES ('c', 't', 0, 1, 'not_json', 's', now(), now()), "
            "('c', 't', 0, 2, 'not_json', 's', now(), NULL)"
        )
        connection.execute("INSERT INTO offset_jumps VALUES ('c', 't', 0, 5, 9, 'expired', now())")
    for rule, severity in (("a", "warning"), ("b", "warning"), ("c", "critical")):
        alert = open_alert(database, rule=rule, severity=severity)
        if rule == "b":
            decide(database, alert, Discarded(outcome="explained"))


def status(run: Run) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run("status", "--json").stdout)
    return found


def test_history_that_waits_is_told_apart(run: Run, database: str, topics: Any) -> None:
    """Its age is not that of live changes, which would look stuck."""
    with psycopg.connect(database) as connection:
        connection.execute(
            "SELECT pend_spans('{ili}', '{TW-TPE}', '{2009-01-01}', '{2009-08-04}', "
            "now() - interval '5 hours')"
        )
    found = status(run)["database"]
    assert (found["pending"], found["pending_since"], found["history"]) == (0, None, 2)
    assert datetime.fromisoformat(found["history_since"]) < NOW - timedelta(hours=4)
    shown = " ".join(run("status").stdout.split())
    assert "history of 2 series waits behind live changes, the oldest since" in shown
    assert "changes wait for a judge" not in shown


def test_what_the_database_holds(run: Run, database: str, topics: Any) -> None:
    fill(database)
    found = status(run)
    (source,) = found["sources"]
    assert (source["source_id"], source["accepted_24h"], source["refused_24h"]) == ("his", 12, 1)
    assert datetime.fromisoformat(source["last_received"]) == NOW - timedelta(hours=1)
    assert datetime.fromisoformat(source["last_event"]) == NOW - timedelta(hours=1, minutes=5)
    assert found["counts"] == [
        {
            "signal": "ili",
            "first_day": "2009-08-01",
            "last_day": "2009-08-04",
            "total": 10.0,
            "imported_from": "2009-03-02",
            "imported_to": "2009-03-08",
        }
    ]
    assert found["open_alerts"] == {"critical": 1, "warning": 1}
    (letters,) = found["dead_letters"]
    assert (letters["reason"], letters["letters"], letters["replayed"]) == ("not_json", 2, 1)
    (jump,) = found["offset_jumps"]
    assert (jump["from_offset"], jump["to_offset"], jump["reason"]) == (5, 9, "expired")


def test_codes_that_a_source_should_not_send(run: Run, database: str, topics: Any) -> None:
    today = NOW.astimezone(ZoneInfo("Asia/Taipei")).date()
    with psycopg.connect(database) as connection:
        for days, region, facility in (
            (0, "TW", "f1"), (3, "TW", "f2"), (3, "TW", "f1"), (40, "TW", "f3"), (0, "TW-TPE", "f1")
        ):  # fmt: skip
            connection.execute(
                "INSERT INTO facility_days VALUES (%s, 'visits', %s, %s, 'his')",
                (region, today - timedelta(days=days), facility),
            )
    (told,) = status(run)["doubtful_codes"]
    assert (told["source_id"], told["region"], told["facilities"]) == ("his", "TW", 2)
    assert told["last_day"] == str(today)
    assert "Send the code of the region of the lowest level" in told["advice"]
    assert "Region codes to correct at the source" in run("status").stdout


def test_which_configuration_judged(
    run: Run, database: str, topics: Any, configuration: Configuration
) -> None:
    with psycopg.connect(database) as connection:
        for version, period in (("old", "2009-08-01"), (configuration.version, "2009-08-02")):
            connection.execute(
                "INSERT INTO verdicts (rule, region, period, alarm, reason, as_of, config_version) "
                "VALUES ('r', 'TW-TPE', %s, false, 'ok', %s, %s)",
                (period, NOW if version != "old" else NOW - timedelta(days=1), version),
            )
    found = status(run)["database"]
    assert found["config_version"] == configuration.version
    assert [judged["version"] for judged in found["judged"]] == [configuration.version, "old"]
    assert found["installation"]["time_zone"] == "Asia/Taipei"
    assert "1 verdicts are of earlier versions" in run("status").stdout


def test_lag_is_the_end_of_the_log_less_the_stored_offset(
    run: Run, database: str, topics: Any, kafka: str
) -> None:
    # One record a batch: the embedded broker tells the end of a longer batch too low.
    for number in range(3):
        publish_records(kafka, topics.visits, [(b"TW-TPE", b"%d" % number)])
    before = {(p["topic"], p["partition"]): p for p in status(run)["kafka"]["partitions"]}
    (busy,) = [place for place, one in before.items() if one["end"]]
    assert before[busy] == {
        "topic": topics.visits,
        "partition": busy[1],
        "end": 3,
        "stored": None,
        "lag": 3,
    }
    with psycopg.connect(database) as connection:
        connection.execute(
            "INSERT INTO stream_offsets (log, topic, partition, next_offset) "
            "VALUES (%s, %s, %s, 2), ('another', %s, %s, 0)",
            (topic_ids(kafka, [topics.visits])[topics.visits], *busy, *busy),
        )
    found = status(run)["kafka"]
    assert found["missing_topics"] == []
    assert sum(one["lag"] for one in found["partitions"]) == 1


def test_topics_that_are_missing(
    run: Run, database: str, topics: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FENGHUO_SALES_TOPIC", "nowhere")
    assert status(run)["kafka"]["missing_topics"] == ["nowhere"]
    assert "nowhere does not exist; run fenghuo create-topics" in run("status").stdout


def test_kafka_being_away_is_shown_with_all_the_rest(
    run: Run, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(database)
    monkeypatch.setenv("FENGHUO_KAFKA", "127.0.0.1:9")
    result = run("status")
    assert result.exit_code == 0
    assert "No Kafka broker answers at 127.0.0.1:9" in result.stdout
    assert "2009-08-04" in result.stdout
    assert max(map(len, result.stdout.splitlines()[4:])) <= 100


def test_an_empty_installation(run: Run, database: str, topics: Any) -> None:
    found = status(run)
    assert found["sources"] == found["counts"] == found["dead_letters"] == []
    assert found["open_alerts"] == {}
    assert "Offset jumps" not in run("status").stdout


def test_a_database_without_tables(run: Run, database_server: str) -> None:
    with pytest.raises(FenghuoError, match="fenghuo db migrate"):
        run("status", "--database", database_server)
