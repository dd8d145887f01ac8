from __future__ import annotations

from datetime import date, timedelta
from math import log
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.alerts import Neighbour
from schemas.regions import Region, RegionLevel, RegionRegistry
from streams.alerts.explaining.figures import (
    age_contributions,
    contributions,
    growth,
    largest,
    usual_from,
)
from streams.alerts.explaining.neighbours import high, neighbours_of
from streams.alerts.explaining.slots import (
    BASELINE,
    LATEST_WEEK,
    PERIOD,
    WEEK_BEFORE,
    covered,
    slots_of,
)
from streams.store.panels import Extent

MONDAY = date(2025, 9, 1)
EXTENT = Extent(date(2025, 6, 2), date(2025, 9, 30), date(2025, 6, 2))
LATER = date(2025, 12, 1)
NAMES = st.dictionaries(st.sampled_from("abcdefg"), st.floats(0, 1e6))


def slots(grain: Any, *, as_of: date = LATER, extent: Extent = EXTENT) -> dict[int, Any]:
    return {s.number: s for s in slots_of(MONDAY, grain, extent, as_of, "iso")}


@pytest.mark.parametrize(
    ("grain", "first", "last"),
    [
        ("day", MONDAY, MONDAY),
        ("rolling7", date(2025, 8, 26), MONDAY),
        ("week", MONDAY, date(2025, 9, 7)),
    ],
)
def test_slots_are_the_period_and_the_same_weeks_before(
    grain: Any, first: date, last: date
) -> None:
    found = slots(grain)
    for number in (PERIOD, *BASELINE):
        back = timedelta(weeks=number)
        assert found[number][1:] == (first - back, last - back, grain == "week")
    assert found[LATEST_WEEK].last == last
    assert len(found[LATEST_WEEK].days) == len(found[WEEK_BEFORE].days) == 7
    assert found[WEEK_BEFORE].last + timedelta(days=1) == found[LATEST_WEEK].first


def test_growth_ends_with_the_last_whole_day() -> None:
    assert slots("week", as_of=date(2025, 9, 4))[LATEST_WEEK].last == date(2025, 9, 3)
    assert not slots("week", as_of=date(2025, 9, 4))[LATEST_WEEK].weekly
    assert slots("week")[LATEST_WEEK].weekly
    ended = EXTENT._replace(last=date(2025, 9, 2))
    assert slots("week", extent=ended)[LATEST_WEEK].last == date(2025, 9, 2)


def test_a_slot_is_covered_by_live_or_imported_days() -> None:
    found = slots("rolling7")
    late = EXTENT._replace(first=found[2].first + timedelta(days=1))
    assert covered(found[1], late, frozenset())
    assert not covered(found[2], late, frozenset())
    assert covered(found[2], late, frozenset({found[2].first}))
    assert not covered(found[3], late, frozenset(found[3].days[1:]))
    week = slots("week")[8]
    assert not covered(week, late, frozenset())
    assert covered(week, late, frozenset({week.first}))


@given(st.floats(1, 1e6), st.floats(1, 1e6))
def test_growth_is_the_log_ratio_of_two_weeks(latest: float, before: float) -> None:
    found = growth(latest, before)
    if latest + before < 10:
        assert found == (None, None)
        return
    assert found.per_day == pytest.approx(log(latest / before) / 7)
    assert (found.doubling_days is not None) == (found.per_day is not None and found.per_day > 0)
    if found.doubling_days:
        assert before * 2 ** (7 / found.doubling_days) == pytest.approx(latest)


@pytest.mark.parametrize("pair", [(None, 20.0), (20.0, None), (0.0, 20.0), (20.0, 0.0)])
def test_no_growth_without_two_weeks(pair: tuple[Any, Any]) -> None:
    assert growth(*pair) == (None, None)


@given(NAMES, st.lists(NAMES, min_size=1, max_size=8))
def test_contributions_add_up(observed: dict[str, float], before: list[dict[str, float]]) -> None:
    slots_before = dict(enumerate(before, 1))
    found = contributions(observed, slots_before, list(slots_before))
    assert sum(one.observed for one in found) == pytest.approx(sum(observed.values()))
    for one in found:
        usual = sum(slot.get(one.name, 0) for slot in before) / len(before)
        assert one.expected == pytest.approx(usual)
    excesses = [one.excess for one in found]
    assert excesses == sorted(excesses, reverse=True)
    top = largest(found)
    assert len(top) <= 5
    assert all(one.excess > 0 for one in top)


def test_without_history_nothing_is_expected() -> None:
    found = contributions({"new": 5.0, "old": 5.0}, {1: {"old": 4.0}}, [1], {"old"})
    assert [(one.name, one.expected) for one in found] == [("new", None), ("old", 4.0)]
    (alone,) = contributions({"a": 5.0}, {}, [])
    assert alone.expected is None


def test_age_groups_leave_out_weeks_without_ages() -> None:
    strata = {0: {"0-6": 9.0}, 1: {"all": 50.0}, 2: {"0-6": 3.0, "65+": 2.0}}
    found = {one.name: (one.observed, one.expected) for one in age_contributions(strata, [1, 2])}
    assert found == {"0-6": (9.0, 3.0), "65+": (0.0, 2.0)}
    assert age_contributions({0: {"all": 9.0}}, [1]) == ()


def test_who_usually_reports() -> None:
    assert [usual_from(weeks) for weeks in range(4, 9)] == [4, 5, 6, 7, 7]


@pytest.mark.parametrize(
    ("observed", "expected", "alarm", "is_high"),
    [
        (5.0, 4.0, True, True),
        (14.1, 9.0, False, False),
        (15.1, 9.0, False, True),
        (2.0, 0.0, False, False),
        (2.1, 0.0, False, True),
        (99.0, None, False, False),
    ],
)
def test_when_a_neighbour_is_high(
    *, observed: float, expected: float | None, alarm: bool, is_high: bool
) -> None:
    one = Neighbour(region="X", observed=observed, expected=expected, upper=None, alarm=alarm)
    assert bool(high([one])) is is_high


def test_neighbours_without_places_have_the_same_parent() -> None:
    def region(code: str, level: RegionLevel, parent: str | None) -> Region:
        return Region(code=code, level=level, parent=parent, name_en=code)

    registry = RegionRegistry(
        [
            region("N", RegionLevel.NATION, None),
            *(region(p, RegionLevel.PROVINCE, "N") for p in ("P", "Q")),
            *(region(c, RegionLevel.COUNTY, "P") for c in ("P1", "P2", "P3")),
            region("Q1", RegionLevel.COUNTY, "Q"),
        ],
        name="test",
    )
    assert neighbours_of("P1", registry, MONDAY) == ("P2", "P3")
    assert neighbours_of("Q1", registry, MONDAY) == ()
    assert neighbours_of("N", registry, MONDAY) == ()
    assert neighbours_of("unknown", registry, MONDAY) == ()


def test_neighbours_are_the_nearest_in_force() -> None:
    china = RegionRegistry.load("cn")
    found = neighbours_of("330106", china, date(2025, 1, 1))
    assert len(found) == 6
    assert "330103" not in found  # abolished in 2021
    assert all(china[code].level is RegionLevel.COUNTY for code in found)
