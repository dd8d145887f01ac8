from __future__ import annotations

import math
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.codes import read_icd10
from streams.tables.forms import form_of
from streams.tables.numbers import Decimal, read_numbers


@pytest.mark.parametrize(
    ("texts", "values"),
    [
        (["1006", "7"], [1006, 7]),
        (["1.234.567", "1.006"], [1234567, 1006]),
        (["1,006", "12"], [1006, 12]),
        (["1.006,5", "1.006"], [1006.5, 1006]),
        (["1,006.5", "1,006"], [1006.5, 1006]),
        (["1.5", "1.006"], [1.5, 1.006]),
        (["0.125", "1.006"], [0.125, 1.006]),
        (["1.006", "1234"], [1.006, 1234]),
        (["1 006", "1\u00a0006", "1\u202f006", "1\u2009006"], [1006] * 4),
        (["1'006", "1’006", "12'345'678"], [1006, 1006, 12345678]),
        (["１００６", "１，００６", "７"], [1006, 1006, 7]),
        (["1e3", ".5", "5."], [1000, 0.5, 5]),
        (["-0"], [0]),
        (["", "NA", "-", "X", "NULL", "#N/A"], [math.nan] * 6),
    ],
)
def test_values(texts: list[str], values: list[float]) -> None:
    found = read_numbers(texts, commas=True)
    assert found.problems == {}
    assert found.values == pytest.approx(values, nan_ok=True)
    assert not any(math.copysign(1, value) < 0 for value in found.values if value == 0)


@pytest.mark.parametrize(
    ("texts", "commas", "told"),
    [
        (["1.006", "12"], True, "count 1.006 may be 1006 or 1 with decimals; write 1006, or add"),
        (["1,006"], False, "may be 1006 or 1 with decimals; write 1006, or add --decimal . (1006)"),
        (["1 00"], True, "is no number"),
        (["1.00.6"], True, "is no number"),
        (["many"], True, "count 'many' is no number; write digits"),
        (["<5"], True, "is a limit; write a number up to 5"),
        (["5%"], True, "is a percentage"),
        (["-3"], True, "count -3 is not 0 or more"),
        (["1e99"], True, "is above 1e+11"),
        (["5¹"], True, "count '5¹' is no number: ¹ is a footnote's mark or no digit"),
        (["5①"], True, "① is a footnote's mark"),
        (["5½"], True, "½ is a footnote's mark or no digit"),
        (["٣"], True, "٣ is a footnote's mark or no digit"),
        (["inf"], True, "is no number"),
    ],
)
def test_problems(texts: list[str], commas: bool, told: str) -> None:  # noqa: FBT001
    problem = read_numbers(texts, commas=commas).problems[0]
    assert told in problem.told("count")


#: All characters that form KC turns into a digit, with others or alone.
_LIKE_DIGITS = [
    character
    for character in map(chr, range(0x80, 0x20000))
    if any(one.isdigit() for one in unicodedata.normalize("NFKC", character))
    and not "０" <= character <= "９"
]


@given(st.integers(0, 10**6), st.sampled_from(_LIKE_DIGITS), st.booleans())
def test_nothing_else_becomes_a_digit(number: int, mark: str, before: bool) -> None:  # noqa: FBT001
    text = f"{mark}{number}" if before else f"{number}{mark}"
    assert read_numbers([text, "7"], commas=True).problems.keys() == {0}
    assert form_of(f"2026-W0{mark}").name == "other"
    assert form_of(f"2026-W02{mark}").name == "other"
    assert read_icd10(f"J11{mark}") == ()


def test_digits_of_other_scripts_do_not_say_what_a_point_means() -> None:
    assert read_numbers(["1.006", "٣٠٠٠"], commas=True).problems.keys() == {0, 1}


def test_people_say_what_a_point_means() -> None:
    assert read_numbers(["1.006"], decimal=",", commas=True).values == [1006]
    assert read_numbers(["1.006"], decimal=".", commas=True).values == [1.006]
    assert read_numbers(["1,006"], decimal=",", commas=True).values == [1.006]
    assert read_numbers(["1.006", "7,5"], commas=False).notes == [
        "1.006 is read as 1006; say otherwise with --decimal."
    ]


@given(
    st.lists(st.integers(0, 10**9), min_size=1, max_size=20),
    st.sampled_from([(",", "."), (".", ","), ("\u202f", "."), ("'", ".")]),
)
def test_grouped_numbers_are_read_as_they_were_written_or_refused(
    numbers: list[int], marks: tuple[str, Decimal]
) -> None:
    grouping, decimal = marks
    texts = [f"{number:,}".replace(",", grouping) for number in numbers]
    told = read_numbers(texts, decimal=decimal, commas=False)
    assert told.values == numbers
    alone = read_numbers(texts, commas=False)
    for number, value, place in zip(numbers, alone.values, range(len(texts)), strict=True):
        assert value == number or place in alone.problems
