from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.judging.periods import EpiWeek, epi_week_start, period_of, periods_between, step_days

days = st.dates(date(1990, 1, 1), date(2060, 1, 1))


@given(day=days)
@pytest.mark.parametrize(("system", "weekday"), [("iso", 0), ("mmwr", 6)])
def test_a_week_begins_on_its_weekday_at_most_six_days_before(
    day: date, system: EpiWeek, weekday: int
) -> None:
    start = epi_week_start(day, system)
    assert start.weekday() == weekday
    assert timedelta(0) <= day - start <= timedelta(days=6)
    assert epi_week_start(start, system) == start
    assert period_of(day, "week", system) == start
    assert period_of(day, "day", system) == period_of(day, "rolling7", system) == day


@given(first=days, length=st.integers(0, 400))
def test_periods_are_one_step_apart_and_hold_their_ends(first: date, length: int) -> None:
    for grain in ("day", "rolling7", "week"):
        step = timedelta(days=step_days(grain))
        last = first + length * step
        periods = periods_between(first, last, grain)
        assert (periods[0], periods[-1], len(periods)) == (first, last, length + 1)
    assert periods_between(first, first - timedelta(days=1), "day") == []
