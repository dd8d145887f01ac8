from __future__ import annotations

import re
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.detect.steps import Dated
from streams.detect.times import make_axis, panel_grain
from streams.errors import FenghuoError
from streams.tables.times import read_times

if TYPE_CHECKING:
    from streams.detect.times import TimeAxis
    from streams.judging.periods import EpiWeek


def axis_of(*texts: str, grain: Any = None, epi_week: EpiWeek = "iso") -> TimeAxis:
    """The axis of one series; of several, where texts are written as `region:time`."""
    names, days = [], []
    plain = [text.rpartition(":")[2] for text in texts]
    found = read_times(plain, epi_week=epi_week, grain=grain)
    assert not found.problems
    places: dict[int, tuple[str, int]] = {}
    for line, (text, ordinal) in enumerate(zip(texts, found.ordinals, strict=True), 2):
        names.append(text.rpartition(":")[0])
        days.append(ordinal)
        places.setdefault(ordinal, (text.rpartition(":")[2], line))
    regions = list(dict.fromkeys(names))
    series = np.array([regions.index(name) for name in names])
    dated = Dated(series, np.array(days), places, regions)
    return make_axis(dated, found.kind, epi_week=epi_week, grain=grain)


@pytest.mark.parametrize(
    ("texts", "grain", "labels", "dates"),
    [
        (("2009-08-05", "2009-08-03"), "day", "2009-08-03 2009-08-04 2009-08-05", 1),
        (("2009-08-03", "2009-08-17", "2009-08-10"), "week", "2009-08-03 2009-08-10 2009-08-17", 7),
        (("2009-W53", "2010-W02"), "week", "2009-W53 2010-W01 2010-W02", 7),
        (("2009-11", "2010-02"), "month", "2009-11 2009-12 2010-01 2010-02", None),
        (("2009-12-01", "2010-02-01"), "month", "2009-12-01 2010-01-01 2010-02-01", None),
        (("7", "10"), None, "7 8 9 10", None),
    ],
)
def test_axes(texts: tuple[str, ...], grain: str | None, labels: str, dates: int | None) -> None:
    axis = axis_of(*texts)
    assert axis.grain == grain
    assert " ".join(axis.labels) == labels
    if axis.dates is None:
        assert grain is None
    elif dates is not None:
        assert {int(step) for step in (axis.dates[1:] - axis.dates[:-1]).astype(int)} == {dates}
    else:
        assert all(str(day).endswith("-01") for day in axis.dates)


def test_epi_weeks_of_the_two_systems_begin_on_different_days() -> None:
    assert str(axis_of("2009-W32").dates) == "['2009-08-03']"
    assert str(axis_of("2009-W32", epi_week="mmwr").dates) == "['2009-08-09']"


@pytest.mark.parametrize("text", ["2009-13-01", "2009-02-30", "2010-W53", "2009-54", "", "--1"])
def test_what_is_no_time(text: str) -> None:
    problems = read_times([text], epi_week="iso").problems
    assert re.search(r"time|week", problems[0])


def test_a_mistyped_date_in_a_weekly_file_is_told() -> None:
    with pytest.raises(FenghuoError, match=r"^line 5: 2009-08-25 is not a multiple of 7 days"):
        axis_of("2009-08-03", "2009-08-10", "2009-08-17", "2009-08-25", "2009-08-31", "2009-09-07")


def test_grain_given() -> None:
    assert len(axis_of("2009-08-03", "2009-08-10", grain="day").labels) == 8
    assert axis_of("2009-08-15", "2009-10-02", grain="month").labels[1] == "2009-09-01"
    with pytest.raises(FenghuoError, match="--grain is for times that are dates"):
        axis_of("1", "2", grain="week")


def test_a_time_far_away_is_a_mistake() -> None:
    with pytest.raises(FenghuoError, match="20090804321, 20,090,804,321 steps, but only 2"):
        axis_of("1", "20090804321")


def test_the_grain_of_whole_numbers_follows_the_period() -> None:
    axis = axis_of("1", "2")
    periods = (None, 52, 53, 12, 365, 7)
    assert [panel_grain(axis, period) for period in periods] == [
        "week", "week", "week", "month", "day", "day",
    ]  # fmt: skip
    assert panel_grain(axis_of("2009-08"), 52) == "month"


@pytest.mark.parametrize(
    ("texts", "text", "position"),
    [
        (("5", "9"), "7", 2),
        (("5", "9"), "1", 0),
        (("2009-08-03", "2009-08-10", "2009-08-17"), "2009-08-10", 1),
        (("2009-08-03", "2009-08-10", "2009-08-17"), "2009-08-11", 2),
        (("2009-08-03", "2009-08-10", "2009-08-17"), "2009-W33", 1),
        (("2009-08-03", "2009-08-10", "2009-08-17"), "3", 2),
        (("2009-W32", "2009-W40"), "2009-09", 5),
        (("2009-07", "2009-10"), "2009-08-01", 1),
        (("2009-07", "2009-10"), "2009-08-02", 2),
        (("2009-07", "2009-10"), "1999-01", 0),
    ],
)
def test_from(texts: tuple[str, ...], text: str, position: int) -> None:
    assert axis_of(*texts).position_from(text) == position


@pytest.mark.parametrize(
    ("texts", "text", "message"),
    [
        (("5", "9"), "10", "--from 10 is after the last time of the file, 9"),
        (("5", "9"), "2009-08-03", "the times of the file are whole numbers"),
        (("2009-08-03",), "0", "--from 0: steps are counted from 1; the first is 2009-08-03"),
        (("2009-08-03",), "-4", "--from -4: steps are counted from 1"),
        (("2009-08-03",), "2009-08-04", "after the last time"),
        (("2009-08-03",), "August", "--from: time 'August' cannot be read"),
    ],
)
def test_from_refused(texts: tuple[str, ...], text: str, message: str) -> None:
    with pytest.raises(FenghuoError, match=message):
        axis_of(*texts).position_from(text)


@given(st.sets(st.integers(1, 500), min_size=1, max_size=30), st.sampled_from(["day", "week"]))
def test_every_time_is_found_at_its_own_label(steps: set[int], grain: str) -> None:
    width = 7 if grain == "week" else 1
    days = [date(2008, 12, 29) + timedelta(days=width * step) for step in steps]
    axis = axis_of(*(day.isoformat() for day in days), grain=grain)
    places = axis.positions(np.array([day.toordinal() for day in days]))
    assert [axis.labels[place] for place in places] == [day.isoformat() for day in days]
