from __future__ import annotations

import re
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.tables.times import read_times


def read(*texts: str, **options: Any) -> Any:
    return read_times(texts, **({"epi_week": "iso"} | options))


FIRST_WEEK = date(2019, 12, 30).toordinal()
DAY = date(2024, 1, 5).toordinal()


@pytest.mark.parametrize(
    "text",
    ["2024-01-05", "2024/1/5", "2024.1.5", "20240105", "2024年1月5日", "2024-01-05 00:00:00",
     "2024-01-05T00:00:00Z", "2024/1/5 0:00", "5.1.2024", "05-Jan-2024", "Jan 5, 2024",
     "2024-W01-5", "２０２４－０１－０５"],
)  # fmt: skip
def test_dates(text: str) -> None:
    found = read(text)
    assert (found.kind, found.ordinals, found.problems) == ("date", [DAY], {})


@pytest.mark.parametrize(
    "text",
    ["2020-W01", "2020W01", "2020W1", "2020-W1", "2020 W1", "2020-w1", "2020-KW01", "W1/2020",
     "KW 1/2020", "2020年第1周", "2020年1周"],
)  # fmt: skip
def test_weeks(text: str) -> None:
    assert read(text)[:3] == ("week", [FIRST_WEEK], {})


def test_weeks_of_dhis2() -> None:
    assert read("2020W53").ordinals == [date(2020, 12, 28).toordinal()]
    found = read("2020WedW1", "2020ThuW1", "2020SatW1", "2020SunW1")
    # Week 1 holds 4 January.
    assert [str(date.fromordinal(one)) for one in found.ordinals] == [
        "2020-01-01", "2020-01-02", "2020-01-04", "2019-12-29",
    ]  # fmt: skip
    assert read("202001", "202002").kind == "month"
    assert read("20200105").kind == "date"


@pytest.mark.parametrize(
    "text", ["2020-03", "2020/3", "202003", "2020年3月", "2020M03", "Mar 2020"]
)
def test_months(text: str) -> None:
    assert read(text)[:3] == ("month", [2020 * 12 + 2], {})


def test_year_and_week_without_a_w() -> None:
    weeks = read(*(f"2020-{week:02d}" for week in range(1, 54)))
    assert (weeks.kind, weeks.problems) == ("week", {})
    assert "taken as year and epi week" in weeks.notes[0]
    assert read("202040", "202041").kind == "week"
    assert read("2018-01", "2018-12", grain="week").kind == "week"
    assert "if they are epi weeks, add --grain week" in read("2018-01", "2018-12").notes[0]
    months = read(*(f"2020-{month:02d}" for month in range(1, 14)))
    assert months.problems == {
        12: "time 2020-13 is no month; a week is written 2020-W13, or add --grain week if all "
        "times are weeks"
    }


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        (["45292", "45293"], r"a day number of Excel: 2024-01-01 \(or 2028-01-02, if the workbook"),
        (["43830"], r"2019-12-31 \(or 2024-01-01"),
        (["45292.5", "45293.25"], "time 45292.5 seems to be a day number of Excel: 2024-01-01"),
        (["19723"], "2024-01-01 in R"),
        (["1704067200"], "counts? seconds since 1970: 2024-01-01"),
        (["1704067200000"], "counts? seconds since 1970: 2024-01-01"),
        (["01/02/2024"], "may be day or month first; write it as 2024-MM-DD"),
        (["24-01-05"], "has no year of four digits"),
        (["Jan-24"], "has no year of four digits"),
        (["2020Q1"], "is no day, week, month or year"),
        (["2020BiW1"], "is no day, week, month or year"),
        (["合计"], "seems to be a row of totals; remove it"),
        (["Total"], "seems to be a row of totals; remove it"),
        (["1", "2.5"], "has decimals"),
        (["2014-W53"], "2014 has no week 53 in the iso system; correct it, or add --epi-week mmwr"),
        (["2024-02-30"], "time 2024-02-30 is not in the calendar"),
        (["2020-00"], "is not in the calendar"),
        (["1990", "1991", "19920"], "time 19920 is written otherwise than 1990"),
        (["1月5日"], "has no year"),
        (["soon"], "time 'soon' cannot be read; write a date like 2009-08-03"),
    ],
)
def test_problems(texts: list[str], told: str) -> None:
    problems = read(*texts).problems
    assert len(problems) == 1
    (text,) = problems.values()
    assert re.search(told, text)


def test_days_and_months_are_told_apart_by_those_above_12() -> None:
    assert read("31/12/2024", "01/02/2024").ordinals[1] == date(2024, 2, 1).toordinal()
    assert read("12/31/2024", "01/02/2024").ordinals[1] == date(2024, 1, 2).toordinal()
    assert read("1/22/20", "1/2/20").ordinals[1] == date(2020, 1, 2).toordinal()
    assert len(read("31/12/2024", "12/31/2024").problems) == 2


def test_years_and_steps() -> None:
    assert read("1990", "1991").kind == "year"
    assert read("1990", "1991", steps=True).kind == "integer"
    assert read("45292", steps=True).ordinals == [45292]
    assert read("2020年").kind == "year"
    assert read("1", "2", "10").kind == "integer"


@given(st.dates(date(1901, 1, 1), date(2100, 12, 31)))
def test_a_date_is_the_same_day_in_every_form(day: date) -> None:
    forms = [
        day.isoformat(), f"{day:%Y%m%d}", f"{day.year}/{day.month}/{day.day}",
        f"{day.year}年{day.month}月{day.day}日", f"{day.day}.{day.month}.{day.year}",
    ]  # fmt: skip
    for form in forms:
        assert read(form)[:3] == ("date", [day.toordinal()], {}), form


@given(st.integers(1901, 2099), st.integers(1, 52), st.sampled_from(["iso", "mmwr"]))
def test_a_week_is_the_same_in_every_form(year: int, week: int, system: str) -> None:
    forms = [f"{year}-W{week:02d}", f"{year}W{week}", f"{year}年第{week}周", f"KW{week}/{year}"]
    found = {tuple(read(form, epi_week=system).ordinals) for form in forms}
    assert len(found) == 1


@given(st.lists(st.text(max_size=12), min_size=1, max_size=4, unique=True))
def test_any_text_gives_a_time_or_a_problem(texts: list[str]) -> None:
    found = read(*texts)
    assert len(found.ordinals) == len(texts)
