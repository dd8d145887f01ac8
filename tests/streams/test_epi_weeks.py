from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.epi_weeks import parse_week, week_label
from streams.judging.periods import EpiWeek, epi_week_start


@pytest.mark.parametrize(
    ("label", "system", "first"),
    [
        # CDC's MMWR week calendar: week 1 has at least four days in the year and begins on Sunday.
        ("2009-W01", "mmwr", date(2009, 1, 4)),
        ("2008-W53", "mmwr", date(2008, 12, 28)),
        ("2009-W01", "iso", date(2008, 12, 29)),
        ("2009-W53", "iso", date(2009, 12, 28)),
        ("2009W32", "iso", date(2009, 8, 3)),
        ("2009-w32", "iso", date(2009, 8, 3)),
    ],
)
def test_weeks_of_the_published_calendars(label: str, system: EpiWeek, first: date) -> None:
    assert parse_week(label, system) == first


@given(st.dates(date(1990, 1, 1), date(2060, 12, 31)), st.sampled_from(["iso", "mmwr"]))
def test_a_label_leads_back_to_the_first_day(day: date, system: EpiWeek) -> None:
    first = parse_week(week_label(day, system), system)
    assert first == epi_week_start(day, system)
    assert first is not None
    assert first <= day < first + timedelta(days=7)


@pytest.mark.parametrize(("label", "system"), [("2010-W53", "iso"), ("2009-W00", "mmwr")])
def test_weeks_that_a_year_does_not_have(label: str, system: EpiWeek) -> None:
    with pytest.raises(ValueError, match="has no week"):
        parse_week(label, system)


@pytest.mark.parametrize("text", ["2009-08-03", "W32", "", "2009-W3"])
def test_other_texts_are_no_week(text: str) -> None:
    assert parse_week(text, "iso") is None
