from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.events import EVENT_KINDS, DrugSale, FeverVisit
from tests.support.events import sale, visit


def read_visit(**changes: Any) -> FeverVisit:
    return FeverVisit.model_validate_json(json.dumps(visit(**changes)))


def read_sale(**changes: Any) -> DrugSale:
    return DrugSale.model_validate_json(json.dumps(sale(**changes)))


def test_a_visit_needs_no_more_than_what_where_and_when() -> None:
    bare = {k: v for k, v in visit().items() if k not in {"icd10", "age"}}
    read = FeverVisit.model_validate_json(json.dumps(bare))
    assert (read.revision, read.cancelled, read.sex, read.icd10) == (1, False, "unknown", ())
    assert (read.age, read.age_group, read.complaint, read.temperature) == (None, None, None, None)


def test_the_offset_of_the_event_time_is_kept() -> None:
    assert read_visit().occurred_at.utcoffset() == timedelta(hours=8)


def test_an_event_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        read_visit().age = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    "field",
    [
        {"age": 0},
        {"age": 125},
        {"age": None, "age_group": "0-6"},
        {"age": None, "age_group": "65+"},
        {"age": None, "age_group": "7-7"},
        {"temperature": 30},
        {"temperature": 45.0},
        {"complaint": "發燒兩天，咳嗽"},
        {"icd10": ["J11.1", "R50.9", "J111", "C7A", "S52.521A"]},
        {"icd10": []},
        {"revision": 32_767},
        {"sex": "other"},
        {"event_id": "330106/2026-11-21:0001.a_b"},
    ],
)
def test_possible_visits(field: dict[str, Any]) -> None:
    read_visit(**field)


@pytest.mark.parametrize(
    "field",
    [
        {"age": -1},
        {"age": 126},
        {"age": 30.5},
        {"age": "30"},
        {"age_group": "6-0", "age": None},
        {"age_group": "100-200", "age": None},
        {"age_group": "126+", "age": None},
        {"age_group": "0 - 6", "age": None},
        {"temperature": 29.9},
        {"temperature": 60},
        {"complaint": "x" * 501},
        {"icd10": ["x" * 65]},
        {"icd10": ["J11"] * 21},
        {"revision": 0},
        {"revision": 32_768},
        {"cancelled": "no"},
        {"sex": "f"},
        {"event_id": ""},
        {"event_id": "x" * 65},
        {"event_id": "a b"},
        {"event_id": "a\n"},
        {"source_id": "源"},
        {"occurred_at": "2026-03-02"},
        {"occurred_at": "2026-03-02T09:30:00"},
        {"occurred_at": "yesterday"},
        {"name": "anything"},
    ],
)
def test_impossible_visits(field: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        read_visit(**field)


@pytest.mark.parametrize("quantity", [0.001, 0.5, 1, 100_000])
def test_possible_quantities(quantity: float) -> None:
    assert read_sale(quantity=quantity).quantity == quantity


@pytest.mark.parametrize(
    "field",
    [
        {"quantity": 0},
        {"quantity": -1},
        {"quantity": 100_001},
        {"quantity": "1"},
        {"quantity": None},
        {"atc": None},
        {"atc": "N2"},
        {"atc": "N02BE1"},
        {"product": ""},
        {"category": ""},
        {"otc": 1},
        {"icd10": ["J11"]},
    ],
)
def test_impossible_sales(field: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        read_sale(**field)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_no_number_that_is_none(number: str) -> None:
    text = json.dumps(sale()).replace('"quantity": 1.0', f'"quantity": {number}')
    assert number in text
    with pytest.raises(ValidationError):
        DrugSale.model_validate_json(text)


def test_a_product_or_a_code_is_enough() -> None:
    assert read_sale(atc=None, product="退熱錠").atc is None
    assert read_sale().product is None


def test_no_field_is_meant_for_a_person() -> None:
    forbidden = {"name", "phone", "mobile", "id_number", "patient_id", "address", "birth_date"}
    for model in EVENT_KINDS.values():
        assert not forbidden & model.model_fields.keys()


@given(
    age=st.none() | st.integers(0, 125),
    temperature=st.none() | st.floats(30, 45),
    revision=st.integers(1, 32_767),
    cancelled=st.booleans(),
)
def test_a_visit_survives_json(
    *, age: int | None, temperature: float | None, revision: int, cancelled: bool
) -> None:
    read = read_visit(age=age, temperature=temperature, revision=revision, cancelled=cancelled)
    assert FeverVisit.model_validate_json(read.model_dump_json()) == read
