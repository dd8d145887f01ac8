from __future__ import annotations

from datetime import date
from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from streams.people.users import ROLES
from streams.store.line_list import Cell
from streams.web.pages.lines import lines_of

DAY = date(2009, 8, 31)
STRATA = ("0-6", "7-12", "65+")


def line_of(values: list[int], role: str) -> tuple[tuple[str, ...], str]:
    cells = [
        Cell(DAY, "TW-TPE", "clinic-1", stratum, float(value))
        for stratum, value in zip(STRATA, values, strict=True)
        if value
    ]
    found = lines_of(cells, STRATA, role)  # type: ignore[arg-type]
    return (found[0].cells, found[0].total) if found else ((), "")


def test_officers_see_exact_counts() -> None:
    assert line_of([3, 0, 12], "officer") == (("3", "0", "12"), "15")


def test_viewers_see_no_small_count_and_no_total_that_tells_it() -> None:
    assert line_of([3, 0, 12], "viewer") == (("<5", "0", "12"), "–")
    assert line_of([3, 2, 12], "viewer") == (("<5", "<5", "12"), "17")
    assert line_of([2, 1, 0], "viewer") == (("<5", "<5", "0"), "<5")
    assert line_of([6, 0, 12], "viewer") == (("6", "0", "12"), "18")


def values_of(cells: tuple[str, ...], total: str) -> list[list[int]]:
    """All counts that a line can stand for."""
    choices = [range(1, 5) if cell == "<5" else [int(cell)] for cell in cells]
    fits = [list(one) for one in product(*choices)]
    if total == "<5":
        return [one for one in fits if 1 <= sum(one) <= 4]
    return fits if total == "–" else [one for one in fits if sum(one) == int(total)]


@given(values=st.lists(st.integers(0, 12), min_size=3, max_size=3))
def test_a_line_holds_the_truth_and_hides_what_is_small(values: list[int]) -> None:
    cells, total = line_of(values, "viewer")
    if not cells:
        assert not any(values)
        return
    fits = values_of(cells, total)
    assert values in fits
    for place, value in enumerate(values):
        if 0 < value < 5:
            assert cells[place] == "<5"
            alone = sum(0 < one < 5 for one in values) == 1
            if alone:
                # Nothing in the line tells which of the small counts it is.
                assert {one[place] for one in fits} == {1, 2, 3, 4}


@given(values=st.lists(st.integers(0, 12), min_size=3, max_size=3), role=st.sampled_from(ROLES))
def test_whoever_may_see_all_sees_the_sum(values: list[int], role: str) -> None:
    cells, total = line_of(values, role)
    if cells and role != "viewer":
        assert [int(cell) for cell in cells] == values
        assert int(total) == sum(values)


def test_the_latest_day_stands_first() -> None:
    cells = [
        Cell(date(2009, 8, day), "TW-TPE", facility, "0-6", 9.0)
        for day in (30, 31)
        for facility in ("b", "a")
    ]
    found = lines_of(cells, ["0-6"], "officer")
    assert [(line.day.day, line.facility) for line in found] == [
        (31, "a"), (31, "b"), (30, "a"), (30, "b"),
    ]  # fmt: skip
