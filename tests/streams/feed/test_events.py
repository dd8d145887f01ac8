from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from schemas.refusals import Refusal, RefusalReason
from streams.feed.events import Validator
from streams.feed.rows import Row

if TYPE_CHECKING:
    from streams.config import Configuration

EVENT = {
    "event_id": "v1",
    "source_id": "his",
    "facility_id": "H1",
    "region": "TW-TPE",
    "occurred_at": "2009-08-03T09:00:00+08:00",
}


def row(line: int, **changes: Any) -> Row:
    return Row(line, json.dumps(EVENT | changes).encode())


def test_good_rows_keep_their_bytes_and_get_their_region_as_key(
    configuration: Configuration,
) -> None:
    validator = Validator(configuration, "visits", lambda *_: pytest.fail("nothing is wrong"))
    rows = [row(1), row(2, region="TW-KHH", event_id="v2")]
    assert list(validator.valid_records(rows)) == [
        (b"TW-TPE", rows[0].value),
        (b"TW-KHH", rows[1].value),
    ]
    assert validator.accepted == 2


def test_every_revision_is_sent(configuration: Configuration) -> None:
    validator = Validator(configuration, "visits", lambda *_: None)
    rows = [row(1), row(2, revision=2), row(3, revision=3, cancelled=True), row(4)]
    assert [value for _, value in validator.valid_records(rows)] == [r.value for r in rows]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"age": 300}, RefusalReason.IMPOSSIBLE_VALUE),
        ({"region": "TW-XXX"}, RefusalReason.UNKNOWN_REGION),
        ({"complaint": "电话13800138000"}, RefusalReason.PERSONAL_DATA),
        ({"occurred_at": "2009-08-03T09:00:00"}, RefusalReason.NAIVE_TIME),
        ({"occurred_at": "2931-08-03T09:00:00+08:00"}, RefusalReason.FROM_FUTURE),
        ({"name": "x"}, RefusalReason.UNKNOWN_FIELD),
    ],
)
def test_bad_rows_are_told_and_counted_and_nothing_else_suffers(
    configuration: Configuration, changes: dict[str, Any], reason: RefusalReason
) -> None:
    told: list[tuple[int, Refusal]] = []
    validator = Validator(
        configuration, "visits", lambda line, refusal: told.append((line, refusal))
    )
    rows = [row(1), row(7, **changes), row(9)]

    sent = [value for _, value in validator.valid_records(rows)]

    assert sent == [rows[0].value, rows[2].value]
    assert [(line, refusal.reason) for line, refusal in told] == [(7, reason)]
    assert validator.refused == {reason: 1}


def test_a_fault_of_reading_is_a_bad_row_too(configuration: Configuration) -> None:
    fault = Refusal(RefusalReason.BAD_FORMAT, "Why.")
    told: list[tuple[int, Refusal]] = []
    validator = Validator(
        configuration, "visits", lambda line, refusal: told.append((line, refusal))
    )
    assert list(validator.valid_records([Row(3, b"", fault)])) == []
    assert told == [(3, fault)]


def test_codes_that_no_signal_can_find_are_told_once(configuration: Configuration) -> None:
    validator = Validator(configuration, "visits", lambda *_: pytest.fail("nothing is wrong"))
    rows = [
        row(1, icd10=["流感"]), row(2, event_id="v2", icd10=["J11.1", "J11²"]),
        row(3, event_id="v3", icd10=["j11.100x002 ", None]), row(4, event_id="v4", icd10=None),
    ]  # fmt: skip
    assert len(list(validator.valid_records(rows))) == 4
    ((told, events),) = validator.doubts.items()
    assert told.startswith("icd10 holds no code, as '流感'; the event counts, but no signal")
    assert events == 2
