from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.config import Surveillance
from schemas.counts import UNKNOWN_STRATUM
from schemas.events import DrugSale, FeverVisit
from streams.ingest.signals import AgeBands, SaleSignals, VisitSignals
from tests.support.events import sale, visit


def surveillance(**signals: dict[str, Any]) -> Surveillance:
    title = {"en": "x", "zh": "x"}
    return Surveillance.model_validate(
        {"name": "test", "signals": {name: {"title": title} | s for name, s in signals.items()}}
    )


def visit_signals(match: dict[str, Any] | None, **fields: Any) -> bool:
    definitions = surveillance(it={"of": "visits", "match": match}, sold={"of": "sales"})
    bare = {k: v for k, v in visit().items() if k not in {"icd10", "age"}}
    event = FeverVisit.model_validate(bare | fields, strict=False)
    return VisitSignals(definitions)(event) == ("it",)


def sale_signals(match: dict[str, Any] | None, **fields: Any) -> bool:
    definitions = surveillance(it={"of": "sales", "match": match}, seen={"of": "visits"})
    event = DrugSale.model_validate(sale(**fields), strict=False)
    return SaleSignals(definitions)(event) == (("it", False),)


@pytest.mark.parametrize(
    ("code", "hit"),
    [
        ("J09", True),
        ("J10.1", True),
        ("J11", True),
        ("J11.8", True),
        ("J118", True),
        ("J08", False),
        ("J12.9", False),
        ("K10", False),
        ("J1A", False),
    ],
)
def test_a_range_of_icd10_codes_holds_its_ends_and_their_subcodes(code: str, *, hit: bool) -> None:
    assert visit_signals({"icd10": ["J09-J11"]}, icd10=[code]) is hit


@pytest.mark.parametrize(
    ("prefix", "code", "hit"),
    [
        ("J11", "J11.1", True),
        ("J11", "J11", True),
        ("J11", "J111", True),
        ("J11.1", "J11.1", True),
        ("J11.1", "J111", True),
        ("J11.1", "J11.10", True),
        ("J11.1", "J11.8", False),
        ("J11.1", "J11", False),
        ("C7A", "C7A.01", True),
    ],
)
def test_icd10_prefixes(prefix: str, code: str, *, hit: bool) -> None:
    assert visit_signals({"icd10": [prefix]}, icd10=[code]) is hit


def test_any_of_a_visits_codes_is_enough() -> None:
    assert visit_signals({"icd10": ["J11"]}, icd10=["R50.9", "J11.1"])
    assert not visit_signals({"icd10": ["J11"]}, icd10=["R50.9", "Z20.8"])
    assert not visit_signals({"icd10": ["J11"]}, icd10=[])


@pytest.mark.parametrize(
    ("complaint", "hit"),
    [
        ("疑似流感，發燒", True),
        ("流感", True),
        ("INFLUENZA A?", True),
        ("parainfluenza", True),
        ("發燒兩天", False),
        ("", False),
        (None, False),
    ],
)
def test_terms_in_chinese_and_english_in_any_case(complaint: str | None, *, hit: bool) -> None:
    assert visit_signals({"complaint": ["流感", "influenza"]}, complaint=complaint) is hit


def test_a_term_is_no_pattern() -> None:
    assert visit_signals({"complaint": ["H1N1 (2009)"]}, complaint="h1n1 (2009) susp.")
    assert not visit_signals({"complaint": ["a.c"]}, complaint="abc")


def test_a_code_or_a_term_is_enough() -> None:
    match = {"icd10": ["J11"], "complaint": ["流感"]}
    assert visit_signals(match, icd10=["J11"], complaint="發燒")
    assert visit_signals(match, icd10=["R50.9"], complaint="流感")
    assert not visit_signals(match, icd10=["R50.9"], complaint="發燒")


@pytest.mark.parametrize(
    ("temperature", "hit"), [(38.0, True), (41.2, True), (37.9, False), (None, False)]
)
def test_temperature_is_a_condition(temperature: float | None, *, hit: bool) -> None:
    assert visit_signals({"temperature_at_least": 38}, temperature=temperature) is hit
    both = {"icd10": ["J11"], "temperature_at_least": 38}
    assert visit_signals(both, icd10=["J11"], temperature=temperature) is hit
    assert not visit_signals(both, icd10=["R50.9"], temperature=temperature)


@pytest.mark.parametrize(
    ("atc", "hit"),
    [("N02BE01", True), ("N02B", True), ("N02", False), ("N02A", False), (None, False)],
)
def test_atc_prefixes(atc: str | None, *, hit: bool) -> None:
    assert sale_signals({"atc": ["N02B"]}, atc=atc, product="Panadol") is hit


@pytest.mark.parametrize(
    ("product", "hit"),
    [("小兒退熱糖漿", True), ("PARACETAMOL 500mg", True), ("維他命C", False), (None, False)],
)
def test_terms_in_the_products_name(product: str | None, *, hit: bool) -> None:
    assert sale_signals({"product": ["退熱", "paracetamol"]}, product=product) is hit


def test_categories_are_exact() -> None:
    assert sale_signals({"category": ["感冒"]}, category="感冒")
    assert not sale_signals({"category": ["感冒"]}, category="感冒藥")
    assert not sale_signals({"category": ["感冒"]}, category=None)


@pytest.mark.parametrize(("otc", "hit"), [(True, True), (False, False), (None, False)])
def test_otc_is_a_condition(otc: object, *, hit: bool) -> None:
    assert sale_signals({"otc": True}, otc=otc) is hit
    assert sale_signals({"otc": True, "atc": ["N02B"]}, otc=otc) is hit
    assert not sale_signals({"otc": True, "atc": ["A"]}, otc=otc)


@pytest.mark.parametrize("match", [None, {}])
def test_without_a_match_every_event_of_the_kind_counts(match: dict[str, Any] | None) -> None:
    assert visit_signals(match)
    assert sale_signals(match)


def test_an_event_can_have_several_signals_each_with_its_measure() -> None:
    definitions = surveillance(
        packs={"of": "sales", "match": {"atc": ["N02B"]}, "measure": "quantity"},
        receipts={"of": "sales", "match": {"atc": ["N"]}},
        other={"of": "sales", "match": {"atc": ["A"]}},
    )
    event = DrugSale.model_validate(sale(), strict=False)
    assert SaleSignals(definitions)(event) == (("packs", True), ("receipts", False))


def test_what_is_remembered_of_one_visit_does_not_leak_into_another() -> None:
    definitions = surveillance(
        hot={"of": "visits", "match": {"icd10": ["J11"], "temperature_at_least": 38}},
        flu={"of": "visits", "match": {"icd10": ["J11"]}},
    )
    signals = VisitSignals(definitions)
    for temperature, expected in ((39.0, ("hot", "flu")), (37.0, ("flu",)), (39.0, ("hot", "flu"))):
        event = FeverVisit.model_validate(visit(temperature=temperature), strict=False)
        assert signals(event) == expected


BANDS = ("0-4", "5-14", "15-24", "25-59", "60+")


def stratum(bands: tuple[str, ...] = BANDS, **fields: Any) -> str:
    event = FeverVisit.model_validate(visit(**{"age": None} | fields), strict=False)
    return AgeBands(bands).stratum(event)


@given(age=st.integers(0, 125))
def test_every_age_lies_in_the_band_that_holds_it(age: int) -> None:
    low, _, high = stratum(age=age).removesuffix("+").partition("-")
    assert int(low) <= age <= int(high or 125)


@pytest.mark.parametrize(
    ("group", "expected"),
    [
        ("0-4", "0-4"),
        ("60+", "60+"),
        ("5-9", "5-14"),
        ("65+", "60+"),
        ("70-79", "60+"),
        ("3-3", "0-4"),
        ("0-14", UNKNOWN_STRATUM),
        ("13-18", UNKNOWN_STRATUM),
        ("25+", UNKNOWN_STRATUM),
        (None, UNKNOWN_STRATUM),
    ],
)
def test_a_sources_own_group_counts_where_it_lies_inside_a_band(
    group: str | None, expected: str
) -> None:
    assert stratum(age_group=group) == expected


def test_without_bands_all_ages_are_unknown() -> None:
    assert stratum((), age=30) == UNKNOWN_STRATUM
    assert stratum((), age_group="0-4") == UNKNOWN_STRATUM
