from __future__ import annotations

from datetime import date

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from schemas.privacy import identifier_looks_personal, privacy_of, text_looks_personal

WEIGHTS = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]
TO_FULL_WIDTH = {ord(c): ord(c) + 0xFEE0 for c in "0123456789Xx+-"} | {ord(" "): 0x3000}

mobiles = st.builds("1{}{:09d}".format, st.integers(3, 9), st.integers(0, 999_999_999))
regions = st.integers(110_000, 659_999).map(str)
days = st.dates(date(1900, 1, 1), date(2026, 11, 22)).map(lambda day: f"{day:%Y%m%d}")


@st.composite
def resident_ids(draw: st.DrawFn) -> str:
    """GB 11643-1999: region, day of birth, counter, check digit by ISO 7064 MOD 11-2."""
    digits = draw(regions) + draw(days) + f"{draw(st.integers(0, 999)):03d}"
    remainder = sum(w * int(d) for w, d in zip(WEIGHTS, digits, strict=True)) % 11
    check = "10X98765432"[remainder]
    return digits + draw(st.sampled_from([check, check.lower()]))


#: Prose around a number, which must not be mistaken for a part of it.
prose = st.text(
    st.characters(categories=["Lo", "Lu", "Ll", "Po", "Zs"], exclude_characters="Xx"), max_size=20
).map(lambda text: "".join(c for c in text if not c.isdecimal()))


@settings(max_examples=200)
@given(
    before=prose,
    number=mobiles,
    after=prose,
    prefix=st.sampled_from(["", "86", "+86", "0086", "+86 ", "86-"]),
    groups=st.sampled_from([(3, 4, 4), (4, 4, 3), (11,), (3, 8), (6, 5)]),
    separator=st.sampled_from(["-", " ", "–"]),
    full_width=st.booleans(),
)
def test_every_mobile_number_in_text_is_found(
    *,
    before: str,
    number: str,
    after: str,
    prefix: str,
    groups: tuple[int, ...],
    separator: str,
    full_width: bool,
) -> None:
    written = prefix + grouped(number, groups, separator)
    if full_width:
        written = written.translate(TO_FULL_WIDTH)
    assert text_looks_personal(before + written + after) == "mobile number"


@settings(max_examples=200)
@given(
    before=prose,
    number=resident_ids(),
    after=prose,
    groups=st.sampled_from([(18,), (6, 8, 4), (6, 4, 4, 4), (4, 4, 4, 4, 2), (3,) * 6]),
    separator=st.sampled_from(["-", " ", "‐"]),
    full_width=st.booleans(),
)
def test_every_resident_id_in_text_is_found(
    *,
    before: str,
    number: str,
    after: str,
    groups: tuple[int, ...],
    separator: str,
    full_width: bool,
) -> None:
    written = grouped(number, groups, separator)
    if full_width:
        written = written.translate(TO_FULL_WIDTH)
    # A mobile number may stand inside by chance: personal all the same.
    assert text_looks_personal(before + written + after) is not None


def grouped(number: str, groups: tuple[int, ...], separator: str) -> str:
    parts, rest = [], number
    for length in groups:
        parts.append(rest[:length])
        rest = rest[length:]
    assert not rest
    return separator.join(parts)


@given(number=resident_ids(), other=st.integers(0, 99_999_999))
def test_a_number_beside_it_hides_no_resident_id(number: str, other: int) -> None:
    assert text_looks_personal(f"{other} {number}") is not None
    assert text_looks_personal(f"{number} {other}") is not None


@given(number=mobiles)
def test_every_mobile_number_in_an_identifier_is_found(number: str) -> None:
    for identifier in (number, f"p-{number}", f"86{number}", f"{number}.1"):
        assert identifier_looks_personal("clinic-1", identifier) == "mobile number"


@given(number=resident_ids())
def test_every_resident_id_in_an_identifier_is_found(number: str) -> None:
    assert identifier_looks_personal(None, number) == "resident id number"
    assert identifier_looks_personal(f"patient:{number}", "x") == "resident id number"


@given(
    region=regions,
    day=st.dates(date(2000, 1, 1), date(2099, 12, 31)),
    counter=st.integers(0, 10**10 - 1),
    width=st.integers(1, 10),
    separator=st.sampled_from(list("._:/-")),
    prefix=st.sampled_from(["", "S-", "visit:", "his1/"]),
)
def test_an_identifier_of_region_day_and_counter_is_taken(
    *, region: str, day: date, counter: int, width: int, separator: str, prefix: str
) -> None:
    parts = [region, f"{day:%Y%m%d}", f"{counter:0{width}d}"[-10:]]
    assert identifier_looks_personal(prefix + separator.join(parts)) is None


@given(day=st.dates(date(2000, 1, 1), date(2099, 12, 31)), counter=st.integers(0, 99_999))
def test_an_unbroken_day_and_counter_is_taken(day: date, counter: int) -> None:
    assert identifier_looks_personal(f"{day:%Y%m%d}{counter:05d}") is None


@given(number=resident_ids(), wrong=st.sampled_from("0123456789X"))
def test_a_wrong_check_digit_is_no_resident_id(number: str, wrong: str) -> None:
    assume(wrong != number[-1].upper())
    assert identifier_looks_personal(number[:-1] + wrong) is None


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "发热3天，体温38.6，咳嗽2天",
        "血压 120/80，脉搏 88，呼吸 20，SpO2 98",
        "15 120 80 98 20",
        "2026-11-21 09:30 就诊",
        "批号 20261121000123",
        "12345678901",
        "110105199913310027",
        "订单 1234567890123456789",
        "138001380001",
    ],
)
def test_other_numbers_are_no_person(text: str | None) -> None:
    assert text_looks_personal(text) is None


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("138.0013.8000", "a mobile number"),
        ("A123456789", "a Taiwan id number"),
        ("110105491231002", "a resident id number"),
        ("0571-87654321", "a landline number"),
        ("(02)2345-6789", "a landline number"),
        ("E12345678", "a passport number"),
        ("护照号：PE1234567", "a passport number"),
        ("zhang.san@example.com", "an e-mail address"),
        ("ｚｈａｎｇ＠example.com", "an e-mail address"),
    ],
)
def test_other_numbers_of_persons(text: str, what: str) -> None:
    found = privacy_of("tw").in_text(f"咳嗽 {text}，3天")
    assert found is not None
    assert found.what == what


@pytest.mark.parametrize(
    "text",
    ["国药准字H20123456", "批号 E12345678", "86900000000018", "lot 0571-87654321", "0.3g*24"],
)
def test_drugs_are_no_persons(text: str) -> None:
    assert privacy_of("cn").in_product(text) is None


def test_patterns_belong_to_the_country() -> None:
    assert privacy_of("us").in_text("13800138000") is None
    assert privacy_of("cn").in_text("123-45-6789") is None
    assert privacy_of("us").in_text("123-45-6789") is not None
    assert privacy_of("cn").in_text("A123456789") is None
