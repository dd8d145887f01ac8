"""Generated personal numbers are found in any text around them; clinical text is left alone."""

from __future__ import annotations

import unicodedata
from datetime import UTC, date, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.privacy import COUNTRIES, Country, Privacy, privacy_of
from tests.schemas.test_privacy import days, mobiles, resident_ids

EXAMPLES = 300
CHINA, TAIWAN = privacy_of("cn"), privacy_of("tw")

digits = st.text("0123456789", min_size=1)


def of_length(length: int) -> st.SearchStrategy[str]:
    return st.text("0123456789", min_size=length, max_size=length)


# ---------------------------------------------------------------- personal


@st.composite
def old_resident_ids(draw: st.DrawFn) -> str:
    """GB 11643-1989: region, day of birth without century, counter."""
    province = draw(st.sampled_from(["11", "13", "23", "31", "33", "44", "51", "65", "71", "82"]))
    return province + draw(of_length(4)) + draw(days)[2:] + draw(of_length(3))


@st.composite
def taiwan_ids(draw: st.DrawFn) -> str:
    """Letter, sex, seven digits, check digit."""
    letters = "ABCDEFGHJKLMNPQRSTUVXYWZIO"
    letter = draw(st.sampled_from(letters))
    body = draw(st.sampled_from("1289")) + draw(of_length(7))
    number = 10 + letters.index(letter)
    weights = (1, 9, 8, 7, 6, 5, 4, 3, 2, 1)
    values = [number // 10, number % 10, *map(int, body)]
    total = sum(w * v for w, v in zip(weights, values, strict=True))
    return letter + body + str(-total % 10)


passports = st.one_of(
    st.builds("{}{}".format, st.sampled_from("EG"), of_length(8)),
    st.builds("E{}{}".format, st.sampled_from("ABCDEFGHJKLMNPQRSTUVWXYZ"), of_length(7)),
)


@st.composite
def landlines(draw: st.DrawFn) -> str:
    area = draw(st.one_of(st.just("010"), st.builds("02{}".format, st.integers(0, 9)),
                          st.builds("0{}".format, st.integers(300, 999))))  # fmt: skip
    local = draw(st.sampled_from("2345678")) + draw(of_length(draw(st.sampled_from([6, 7]))))
    half = len(local) - 4
    inner = draw(st.sampled_from(["", " ", "-"]))
    local = f"{local[:half]}{inner}{local[half:]}"
    written = ("({})", "({}) ", "{}-", "{} ", "{}–", "（{}）")
    return draw(st.sampled_from(written)).format(area) + local


@st.composite
def separated_mobiles(draw: st.DrawFn) -> str:
    number = draw(mobiles)
    separator = draw(st.sampled_from([" ", ".", "-", "_", "/", "·", "–", "—", "\u3000"]))
    sizes = draw(st.sampled_from([(3, 4, 4), (4, 4, 3), (3, 8), (6, 5)]))
    parts: list[str] = []
    rest = number
    for size in sizes:
        parts, rest = [*parts, rest[:size]], rest[size:]
    prefix = draw(st.sampled_from(["", "86", "+86", "0086", "+86-", "86 "]))
    return prefix + separator.join(parts)


mails = st.builds(
    "{}@{}.{}".format,
    st.text("abcXYZ019._+-张é", min_size=1, max_size=20),
    st.text("abcXYZ09北京", min_size=1, max_size=12),
    st.sampled_from(["com", "com.cn", "gov.tw", "edu", "中国"]),
)


def is_no_latin(character: str) -> bool:
    """Tell whether a letter stays one beyond ASCII in the compatible form."""
    return not unicodedata.normalize("NFKC", character).isascii()


#: What may stand beside a number: no Latin letter and no digit, which would be part of it.
around = st.text(
    st.one_of(st.sampled_from("，。；：！？（）【】 \n\t,;:!?()[]患者主诉咳嗽发热电话"),
              st.characters(categories=["Lo"]).filter(is_no_latin)),
    max_size=30,
)  # fmt: skip


def assert_found(privacy: Privacy, text: str, number: str) -> None:
    assert privacy.in_text(text) is not None, number


@settings(max_examples=EXAMPLES)
@given(before=around, number=resident_ids(), after=around)
def test_resident_ids(before: str, number: str, after: str) -> None:
    assert_found(CHINA, before + number + after, number)


@settings(max_examples=EXAMPLES)
@given(before=around, number=old_resident_ids(), after=around)
def test_resident_ids_of_fifteen_digits(before: str, number: str, after: str) -> None:
    assert_found(CHINA, before + number + after, number)


@settings(max_examples=EXAMPLES)
@given(before=around, number=taiwan_ids(), after=around, lower=st.booleans())
def test_taiwan_ids(*, before: str, number: str, after: str, lower: bool) -> None:
    written = number.lower() if lower else number
    assert_found(TAIWAN, before + written + after, number)
    assert TAIWAN.in_token(f"p:{written}") is not None


@settings(max_examples=EXAMPLES)
@given(before=around, number=passports, after=around)
def test_passports(before: str, number: str, after: str) -> None:
    assert_found(CHINA, before + number + after, number)


@settings(max_examples=EXAMPLES)
@given(before=around, number=landlines(), after=around)
def test_landlines(before: str, number: str, after: str) -> None:
    assert_found(CHINA, before + number + after, number)


@settings(max_examples=EXAMPLES)
@given(before=around, number=separated_mobiles(), after=around)
def test_mobiles_with_separators(before: str, number: str, after: str) -> None:
    assert_found(CHINA, before + number + after, number)


@settings(max_examples=EXAMPLES)
@given(before=around, number=mails, after=around, country=st.sampled_from(COUNTRIES))
def test_mails(before: str, number: str, after: str, country: Country) -> None:
    assert_found(privacy_of(country), before + number + after, number)


# ---------------------------------------------------------------- clinical

icd10 = st.builds(
    "{}{}{}{}".format,
    st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
    of_length(2),
    st.sampled_from(["", ".0", ".9", ".100", ".900", ".100x002"]),
    st.sampled_from(["", "†", "*", "+"]),
)
atc = st.builds("{}{}{}{}".format, st.sampled_from("ABCDGHJLMNPRSV"), of_length(2),
                st.sampled_from(["AA", "AB", "CA", "FF"]), of_length(2))  # fmt: skip
moments = st.datetimes(datetime(2000, 1, 1), datetime(2035, 1, 1)).map(  # noqa: DTZ001
    lambda moment: moment.replace(tzinfo=UTC)
)
timestamps = st.one_of(
    moments.map(lambda moment: moment.isoformat()),
    moments.map(lambda moment: moment.isoformat(sep=" ", timespec="minutes")),
    st.dates(date(2000, 1, 1), date(2035, 1, 1)).map(str),
    moments.map(lambda moment: f"{moment:%Y年%m月%d日 %H:%M}"),
)
counts = st.integers(0, 999_999).map(lambda count: f"{count}例")
measures = st.builds(
    "体温{:.1f}℃，血压{}/{}，脉搏{}，SpO2 {}%".format,
    st.floats(35, 42), st.integers(80, 220), st.integers(40, 130), st.integers(40, 180),
    st.integers(70, 100),
)  # fmt: skip
doses = st.builds("{}mg*{}粒 x{}".format, st.integers(1, 999), st.integers(1, 99), digits.filter(
    lambda text: len(text) <= 3))  # fmt: skip
facilities = st.one_of(
    st.builds("TW-{}-ED{:02d}".format, st.sampled_from(["TPE", "KHH"]), st.integers(0, 99)),
    st.builds("{}-clinic-{}".format, st.integers(110_000, 659_999), st.integers(0, 9_999)),
    st.builds("H{:06d}".format, st.integers(0, 999_999)),
)
regions = st.integers(110_000, 659_999).map(str)

clinical = st.lists(
    st.one_of(icd10, atc, timestamps, counts, measures, doses, facilities, regions),
    min_size=1, max_size=4,
).map("，".join)  # fmt: skip


@settings(max_examples=1000)
@given(text=clinical, country=st.sampled_from(COUNTRIES))
def test_codes_counts_times_and_facilities_are_no_persons(text: str, country: Country) -> None:
    found = privacy_of(country).in_text(text)
    assert found is None, found
