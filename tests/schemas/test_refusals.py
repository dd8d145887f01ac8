from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from schemas.events import DrugSale, FeverVisit
from schemas.refusals import Refusal, RefusalReason, refusal_from
from tests.support.events import sale, visit

R = RefusalReason

#: Reasons that only the intake or the database can give; tested in tests/streams.
ELSEWHERE = {
    R.EMPTY,
    R.TOO_LARGE,
    R.UNKNOWN_REGION,
    R.FROM_FUTURE,
    R.TOO_OLD,
    R.REVISION_CONFLICT,
    R.BEYOND_RETENTION,
    R.NOT_STORABLE,
    R.UNREADABLE,
}

CASES: list[tuple[RefusalReason, dict[str, Any] | bytes, list[str]]] = [
    (R.NOT_JSON, b"event_id=1", ["not a JSON object", "one object per record, UTF-8"]),
    (R.NOT_JSON, b"[]", ["not a JSON object", "one object"]),
    (R.NOT_JSON, b'{"event_id": "\xff"}', ["not a JSON object", "UTF-8"]),
    (R.NOT_JSON, b"{", ["not a JSON object"]),
    (R.UNSUPPORTED_VERSION, visit(schema_version=2), ["schema_version", "1", "versions in use"]),
    (R.UNKNOWN_FIELD, visit(fever=True), ["fever is no field", "spelling"]),
    (R.MISSING_FIELD, {k: v for k, v in visit().items() if k != "region"}, ["region is missing"]),
    (R.MISSING_FIELD, sale(atc=None), ["product or atc is missing", "at least one"]),
    (R.WRONG_TYPE, visit(age="30"), ["age", "valid integer"]),
    (R.WRONG_TYPE, visit(age=30.5), ["age", "integer"]),
    (R.WRONG_TYPE, visit(cancelled="no"), ["cancelled", "boolean"]),
    (R.WRONG_TYPE, visit(icd10="J11"), ["icd10", "valid array"]),
    (R.WRONG_TYPE, visit(event_id=7), ["event_id", "valid string"]),
    (R.BAD_FORMAT, visit(event_id="a b"), ["event_id", "pattern"]),
    (R.BAD_FORMAT, visit(occurred_at="yesterday"), ["occurred_at", "2026-01-31T09:30:00+08:00"]),
    (R.BAD_FORMAT, visit(occurred_at="20261128093000"), ["occurred_at", "HL7"]),
    (R.BAD_FORMAT, visit(occurred_at="20261128"), ["occurred_at", "+08:00"]),
    (R.BAD_FORMAT, visit(occurred_at="1795829400"), ["occurred_at", "1970"]),
    (R.BAD_FORMAT, visit(occurred_at=1795829400), ["occurred_at", "1970"]),
    (R.BAD_FORMAT, sale(atc="paracetamol", product=None), ["atc is no ATC code", "N02BE01"]),
    (R.IMPOSSIBLE_VALUE, visit(age=300), ["age", "less than or equal to 125"]),
    (R.IMPOSSIBLE_VALUE, visit(age=None, age_group="9-3"), ["age_group must go upwards", "0-6"]),
    (R.IMPOSSIBLE_VALUE, visit(temperature=60), ["temperature", "less than or equal to 45"]),
    (R.IMPOSSIBLE_VALUE, sale(quantity=0), ["quantity", "greater than or equal to 0.001"]),
    (R.IMPOSSIBLE_VALUE, visit(complaint="x" * 501), ["complaint", "at most 500"]),
    (R.IMPOSSIBLE_VALUE, visit(sex="m"), ["sex", "'female', 'male'"]),
    (R.NAIVE_TIME, visit(occurred_at="2026-03-02T09:30:00"), ["occurred_at", "+08:00"]),
    (R.CONTRADICTION, visit(age_group="25-59"), ["Both age and age_group", "known best"]),
    (R.PERSONAL_DATA, visit(complaint="電話 13800138000"), ["mobile number", "pseudonym"]),
    (R.PERSONAL_DATA, visit(patient_token="11010519491231002X"), ["resident id number"]),
    (R.PERSONAL_DATA, sale(product="药 138-0013-8000"), ["mobile number"]),
    (R.PERSONAL_DATA, sale(category="１３８００１３８０００"), ["mobile number"]),
]


def refused(record: dict[str, Any] | bytes) -> Refusal:
    value = record if isinstance(record, bytes) else json.dumps(record).encode()
    model = DrugSale if b"quantity" in value else FeverVisit
    with pytest.raises(ValidationError) as caught:
        model.model_validate_json(value)
    return refusal_from(caught.value)


@pytest.mark.parametrize(("reason", "record", "essence"), CASES)
def test_reason_and_sentence(
    reason: RefusalReason, record: dict[str, Any] | bytes, essence: list[str]
) -> None:
    refusal = refused(record)
    assert refusal.reason is reason
    for words in essence:
        assert words in refusal.sentence
    assert refusal.sentence.endswith(".")


def test_every_reason_has_a_test() -> None:
    here = {reason for reason, _, _ in CASES}
    assert here | ELSEWHERE == set(RefusalReason)
    assert not here & ELSEWHERE


def test_further_problems_are_counted() -> None:
    assert "(1 more problem in this record.)" in refused(visit(age=300, sex="m")).sentence
    assert "(2 more problems" in refused(visit(age=300, sex="m", revision=0)).sentence
    assert "more problem" not in refused(visit(age=300)).sentence


@pytest.mark.parametrize(
    "record",
    [
        visit(complaint="王小明 電話 13800138000"),
        visit(age="王小明 13800138000"),
        visit(occurred_at="王小明 13800138000"),
        visit(sex="王小明 13800138000"),
        visit(event_id="王小明 13800138000"),
        visit(icd10=["王小明 13800138000"]),
        visit(schema_version="王小明 13800138000"),
        visit(**{"王小明 13800138000": 1}),
        b'"\xe7\x8e\x8b\xe5\xb0\x8f\xe6\x98\x8e 13800138000"',
    ],
)
def test_a_sentence_repeats_no_value(record: dict[str, Any] | bytes) -> None:
    sentence = refused(record).sentence
    assert "13800138000" not in sentence
    assert "王小明" not in sentence


def test_a_name_that_cannot_be_printed_is_not_repeated() -> None:
    refusal = refused(visit(**{"na\0me": 1}))
    assert refusal.reason is R.UNKNOWN_FIELD
    assert refusal.sentence.isprintable()


def test_a_long_name_is_cut() -> None:
    assert len(refused(visit(**{"x" * 5000: 1})).sentence) < 200
