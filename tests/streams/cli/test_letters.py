from __future__ import annotations

import json
from hashlib import md5
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg.rows import dict_row

from streams.errors import FenghuoError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typer.testing import Result

    Run = Callable[..., Result]
    Consumed = Callable[[str], list[tuple[bytes, bytes]]]

EVENT = {
    "event_id": "v1",
    "source_id": "his",
    "facility_id": "H1",
    "region": "TW-TPE",
    "occurred_at": "2009-08-03T09:00:00+08:00",
}


def add_letter(
    database: str,
    topic: str,
    value: bytes,
    *,
    reason: str = "unknown_region",
    source: str | None = "his",
    key: bytes | None = b"TW-TPE",
) -> int:
    with psycopg.connect(database) as connection:
        row = connection.execute(
            'INSERT INTO dead_letters (log, topic, partition, "offset", reason, sentence, '
            "source_id, key, value, refused_at) VALUES ('c', %s, 0, "
            "(SELECT count(*) FROM dead_letters), %s, 'What to mend.', %s, %s, %s, now()) "
            "RETURNING letter_id",
            (topic, reason, source, key, value),
        ).fetchone()
    assert row
    return int(row[0])


def event(**changes: Any) -> bytes:
    return json.dumps(EVENT | changes).encode()


def replayed(database: str) -> list[int]:
    with psycopg.connect(database) as connection:
        rows = connection.execute(
            "SELECT letter_id FROM dead_letters WHERE replayed_at IS NOT NULL ORDER BY 1"
        ).fetchall()
    return [row[0] for row in rows]


def stored(database: str, letter_id: int) -> dict[str, Any]:
    with psycopg.connect(database, row_factory=dict_row) as connection:
        row = connection.execute(
            "SELECT reason, sentence, source_id, key, value, redacted_at FROM dead_letters "
            "WHERE letter_id = %s",
            (letter_id,),
        ).fetchone()
    assert row
    return row


def store_head(database: str, revision: int) -> None:
    key = md5(b"his\nv1", usedforsecurity=False).hexdigest()
    with psycopg.connect(database) as connection:
        connection.execute(
            "INSERT INTO event_heads (event_key, kind, revision, cancelled, occurred_at, series, "
            "amounts, batch_id) VALUES (%s::uuid, 'visits', %s, false, now(), '{}', '{}', 1)",
            (key, revision),
        )


def test_letters_by_source_and_reason(run: Run, database: str) -> None:
    add_letter(database, "visits", event())
    latest = add_letter(database, "visits", event())
    add_letter(database, "sales", b"{", reason="not_json", source=None)

    groups = json.loads(run("dead-letters", "list", "--json").stdout)

    assert [(g["source_id"], g["topic"], g["reason"], g["letters"]) for g in groups] == [
        ("his", "visits", "unknown_region", 2),
        (None, "sales", "not_json", 1),
    ]
    assert groups[0]["latest_id"] == latest
    assert groups[0]["sentence"] == "What to mend."


@pytest.mark.parametrize(
    ("options", "reasons"),
    [
        (["--source", "his"], ["unknown_region"]),
        (["--reason", "not_json"], ["not_json"]),
        (["--topic", "sales"], ["not_json"]),
        (["--topic", "sales", "--source", "his"], []),
    ],
)
def test_letters_of_one_kind(
    run: Run, database: str, options: list[str], reasons: list[str]
) -> None:
    add_letter(database, "visits", event())
    add_letter(database, "sales", b"{", reason="not_json", source="pos")
    groups = json.loads(run("dead-letters", "list", "--json", *options).stdout)
    assert [group["reason"] for group in groups] == reasons


def test_the_table(run: Run, database: str) -> None:
    add_letter(database, "visits", event(), source=None)
    shown = run("dead-letters", "list").stdout
    assert "unknown_region" in shown
    assert "What to mend." in shown
    assert max(map(len, shown.splitlines())) <= 100


def test_no_letters(run: Run, database: str) -> None:
    assert "No record was refused." in run("dead-letters", "list").stderr


def test_a_letter_is_shown_without_its_value(run: Run, database: str) -> None:
    letter = add_letter(database, "visits", b'{"name": "Wang"}', key=b"13800138000")
    result = run("dead-letters", "show", letter)
    assert "What to mend." in result.stdout
    assert "16 bytes" in result.stdout
    assert "Wang" not in result.output
    assert "13800138000" not in result.output
    assert "Wang" not in run("dead-letters", "show", letter, "--json").output


def test_its_value_is_given_byte_for_byte_when_asked_for(run: Run, database: str) -> None:
    letter = add_letter(database, "visits", b'{"a": "\xff"}')
    assert run("dead-letters", "show", letter, "--value").stdout_bytes == b'{"a": "\xff"}\n'


def test_a_letter_that_is_not_there(run: Run, database: str) -> None:
    with pytest.raises(FenghuoError, match="no dead letter 7"):
        run("dead-letters", "show", 7)


def test_a_good_letter_is_published_with_its_key(
    run: Run, database: str, topics: Any, consumed: Consumed
) -> None:
    letter = add_letter(database, topics.visits, event(), key=b"as-sent")

    result = run("dead-letters", "replay", letter)

    assert result.exit_code == 0
    assert consumed(topics.visits) == [(b"as-sent", event())]
    assert replayed(database) == [letter]
    again = run("dead-letters", "replay", letter)
    assert again.exit_code == 1
    assert "It was replayed at" in again.stderr


def test_a_letter_that_would_be_refused_again_stays(
    run: Run, database: str, topics: Any, consumed: Consumed
) -> None:
    bad = add_letter(database, topics.visits, event(age=300))
    good = add_letter(database, topics.visits, event(event_id="v2"))

    result = run("dead-letters", "replay", "--reason", "unknown_region")

    assert result.exit_code == 1
    assert f"{bad}: It would be refused again: impossible_value: age:" in result.stderr
    assert "1 replayed, 1 not." in result.stderr
    assert [value for _, value in consumed(topics.visits)] == [event(event_id="v2")]
    assert replayed(database) == [good]


def test_an_edited_record_takes_its_place(
    run: Run, database: str, topics: Any, consumed: Consumed, tmp_path: Path
) -> None:
    letter = add_letter(database, topics.visits, event(region="TW-XXX"), key=b"TW-XXX")
    edited = tmp_path / "edited.json"
    edited.write_bytes(event(region="TW-KHH") + b"\n")

    assert run("dead-letters", "replay", letter, "--file", edited).exit_code == 0

    assert consumed(topics.visits) == [(b"TW-KHH", event(region="TW-KHH"))]
    assert replayed(database) == [letter]


def test_a_conflicting_revision_needs_a_higher_one(
    run: Run, database: str, topics: Any, consumed: Consumed
) -> None:
    store_head(database, 2)
    letter = add_letter(
        database, topics.visits, event(revision=2), reason="revision_conflict", key=None
    )
    result = run("dead-letters", "replay", letter)
    assert result.exit_code == 1
    assert "Revision 2 of this event is stored." in result.stderr
    assert "revision 3" in result.stderr

    higher = event(revision=3)
    assert run("dead-letters", "replay", letter, "--file", "-", stdin=higher).exit_code == 0
    assert consumed(topics.visits) == [(b"TW-TPE", higher)]


def test_a_letter_of_a_topic_that_is_not_read_any_more(
    run: Run, database: str, topics: Any
) -> None:
    letter = add_letter(database, "former", event())
    result = run("dead-letters", "replay", letter)
    assert result.exit_code == 1
    assert "former is no topic of this installation" in result.stderr


def test_nothing_is_marked_when_the_broker_is_away(run: Run, database: str, topics: Any) -> None:
    letter = add_letter(database, topics.visits, event())
    with pytest.raises(FenghuoError, match="No Kafka broker"):
        run("dead-letters", "replay", letter, "--kafka", "127.0.0.1:9")
    assert replayed(database) == []


@pytest.mark.parametrize(
    "arguments", [[], ["1", "--reason", "not_json"], ["1", "2", "--file", "-"]]
)
def test_what_to_replay_must_be_said(run: Run, database: str, arguments: list[str]) -> None:
    with pytest.raises(FenghuoError, match=r"not both|exactly one id"):
        run("dead-letters", "replay", *arguments)


# ---------------------------------------------------------------- redaction

MOBILE, MAIL = b"138.0013.8000", b"zhang@example.com"


def personal_letters(database: str) -> dict[str, int]:
    """Letters as earlier releases left them."""
    letters = {
        "as personal": add_letter(database, "fever-clinic.visits", event(note=MAIL.decode()),
                                  reason="personal_data"),
        "other fault": add_letter(database, "fever-clinic.visits",
                                  event(complaint="\u53d1\u70ed 138.0013.8000")),
        "no json": add_letter(database, "fever-clinic.visits", b"{ " + MOBILE, reason="not_json"),
        "key": add_letter(database, "sales", event(), key=MAIL, source="his"),
        "clean": add_letter(database, "fever-clinic.visits", event()),
    }  # fmt: skip
    with psycopg.connect(database) as connection:
        connection.execute(
            "UPDATE dead_letters SET published_at = now() WHERE letter_id = ANY(%s)",
            ([letters["other fault"], letters["clean"]],),
        )
        connection.execute(
            "UPDATE dead_letters SET sentence = 'region \"13800138000\" is unknown.', "
            "source_id = '13800138000' WHERE letter_id = %s",
            (letters["key"],),
        )
    return letters


def everything(database: str) -> bytes:
    with psycopg.connect(database) as connection:
        rows = connection.execute("SELECT d::text, key, value FROM dead_letters d").fetchall()
    return b"".join(text.encode() + (key or b"") + (value or b"") for text, key, value in rows)


def test_letters_are_redacted_by_command(run: Run, database: str) -> None:
    letters = personal_letters(database)
    before = everything(database)
    dry = json.loads(run("dead-letters", "redact", "--dry-run", "--json").stdout)
    assert (dry["examined"], dry["redacted"]) == (5, 4)
    assert everything(database) == before

    done = run("dead-letters", "redact")
    assert "4 of 5 letters redacted." in done.stderr
    assert (
        "fever-clinic.visits.dead-letter holds copies of 1 redacted letters as they came"
        in done.stderr
    )
    assert "cannot be redacted" in done.stderr
    for secret in (MOBILE, MAIL, b"13800138000"):
        assert secret not in everything(database)

    other = stored(database, letters["other fault"])
    assert other["reason"] == "personal_data"
    assert other["sentence"].startswith("complaint holds what looks like a mobile number")
    assert json.loads(other["value"])["redacted"] == other["sentence"]
    key = stored(database, letters["key"])
    assert (key["key"], key["source_id"], key["value"]) == (None, None, event())
    assert (key["reason"], key["redacted_at"]) == ("unknown_region", None)
    clean = stored(database, letters["clean"])
    assert (clean["value"], clean["sentence"]) == (event(), "What to mend.")

    again = json.loads(run("dead-letters", "redact", "--json").stdout)
    assert again["redacted"] == 0
    assert [(one["topic"], one["letters"]) for one in again["copies"]] == [
        ("fever-clinic.visits.dead-letter", 1)
    ]


def test_a_redacted_letter_says_that_it_cannot_be_replayed(run: Run, database: str) -> None:
    letters = personal_letters(database)
    run("dead-letters", "redact")
    refused = run("dead-letters", "replay", str(letters["as personal"]))
    assert refused.exit_code == 1
    assert "held personal data and was not kept, so it cannot be replayed" in refused.stderr
    assert "give the corrected record with --file" in refused.stderr
    assert "redacted" in run("dead-letters", "show", str(letters["as personal"])).stdout
