from __future__ import annotations

from datetime import date

from streams.store.line_list import Cell
from streams.store.lines import FacilityCell, Lines
from streams.store.told_ages import ToldAges
from streams.web.pages.lines import lines_of, told_of

DAY = date(2009, 8, 31)
STRATA = ("0-6", "7-12", "65+")


def test_officers_see_exact_counts() -> None:
    cells = [
        Cell(DAY, "TW-TPE", "clinic-1", "0-6", 3.0),
        Cell(DAY, "TW-TPE", "clinic-1", "65+", 12.0),
    ]
    (line,) = lines_of(cells, STRATA)
    assert (line.cells, line.total) == (("3", "0", "12"), "15")


def test_viewers_see_totals_of_the_whole_week_in_steps() -> None:
    cells = [
        FacilityCell(facility, "TW-TPE", date(2009, 8, day), value)
        for day, facility, value in (
            (30, "a", 3.0),
            (31, "a", 4.0),
            (31, "b", 14.0),
            (31, "c", 2.0),
        )
    ]
    lines = Lines(DAY, DAY, cells, 0, [], [], [], frozenset())
    facilities, ages = told_of(lines, ToldAges({"65+": 5.0, "0-6": 15.0}, rounded=False), STRATA)
    assert [(one.name, one.told) for one in facilities] == [("b", "10–14"), ("a", "5–9")]
    assert [(one.name, one.told) for one in ages] == [("0-6", "15–19"), ("65+", "5–9")]
    _, ages = told_of(lines, ToldAges({"0-6": 20.0}, rounded=True), STRATA)
    assert [(one.name, one.told) for one in ages] == [("0-6", "≈20")]


def test_the_latest_day_stands_first() -> None:
    cells = [
        Cell(date(2009, 8, day), "TW-TPE", facility, "0-6", 9.0)
        for day in (30, 31)
        for facility in ("b", "a")
    ]
    found = lines_of(cells, ["0-6"])
    assert [(line.day.day, line.facility) for line in found] == [
        (31, "a"), (31, "b"), (30, "a"), (30, "b"),
    ]  # fmt: skip
