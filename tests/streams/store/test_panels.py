from __future__ import annotations

import asyncio
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import psycopg
import pytest

from streams.judging.periods import periods_between
from streams.store.panels import Extent, read_extent, read_panel
from tests.support.counted import imported, live, reporting
from tests.support.events import KAOHSIUNG, NEW_TAIPEI, TAIPEI

if TYPE_CHECKING:
    from schemas.counts import Grain
    from streams.judging.periods import EpiWeek

NAN = float("nan")
#: A Monday, and the day on which events begin to flow in most tests.
MONDAY = date(2025, 3, 3)


def day(offset: int) -> date:
    return MONDAY + timedelta(days=offset)


def panel(
    database: str,
    *regions: str,
    first: int,
    last: int,
    grain: Grain = "day",
    epi_week: EpiWeek = "iso",
) -> Any:
    async def read() -> Any:
        async with await psycopg.AsyncConnection.connect(database) as connection:
            extent = await read_extent(connection, "ili")
            return await read_panel(
                connection, signal="ili", regions=regions, grain=grain, first=day(first),
                last=day(last), extent=extent or Extent(day(999), day(998), day(999)),
                epi_week=epi_week,
            )  # fmt: skip

    found = asyncio.run(read())
    assert found.shape == (len(regions), len(periods_between(day(first), day(last), grain)))
    return found


def extent(database: str, signal: str = "ili") -> Extent | None:
    async def read() -> Extent | None:
        async with await psycopg.AsyncConnection.connect(database) as connection:
            return await read_extent(connection, signal)

    return asyncio.run(read())


def same(found: Any, expected: list[list[float]]) -> None:
    np.testing.assert_array_equal(found, np.array(expected, dtype=np.float64))


def test_days_without_counts_are_zero_where_events_flow_and_missing_elsewhere(
    database_url: str,
) -> None:
    live(database_url, TAIPEI, {day(0): 3, day(2): 5})
    live(database_url, KAOHSIUNG, {day(1): 1})
    live(database_url, NEW_TAIPEI, {day(9): 1}, signal="fever")
    found = panel(database_url, TAIPEI, KAOHSIUNG, NEW_TAIPEI, first=-2, last=4)
    same(found, [
        [NAN, NAN, 3, 0, 5, NAN, NAN],
        [NAN, NAN, NAN, 1, 0, NAN, NAN],
        [NAN, NAN, NAN, NAN, NAN, NAN, NAN],
    ])  # fmt: skip


def test_strata_are_summed(database_url: str) -> None:
    live(database_url, TAIPEI, {day(0): 3}, stratum="0-6")
    live(database_url, TAIPEI, {day(0): 4.5}, stratum="unknown")
    same(panel(database_url, TAIPEI, first=0, last=0), [[7.5]])


def test_upper_levels_are_the_sum_of_what_lies_below(database_url: str) -> None:
    live(database_url, TAIPEI, {day(0): 3, day(1): 1})
    live(database_url, KAOHSIUNG, {day(0): 4})
    same(panel(database_url, "TW", first=-1, last=1), [[NAN, 7, 1]])
    same(panel(database_url, "TW", first=0, last=0, grain="week"), [[8]])


def test_an_import_takes_the_place_of_live_counts(database_url: str) -> None:
    live(database_url, TAIPEI, {day(0): 3, day(1): 1})
    live(database_url, KAOHSIUNG, {day(0): 10})
    imported(database_url, TAIPEI, "day", {day(-1): 8, day(0): 5})
    same(
        panel(database_url, TAIPEI, KAOHSIUNG, first=-2, last=1),
        [[NAN, 8, 5, 1], [NAN, NAN, 10, 0]],
    )
    same(panel(database_url, "TW", first=-2, last=1), [[NAN, 8, 15, 1]])


def test_an_imported_zero_is_a_count(database_url: str) -> None:
    live(database_url, TAIPEI, {day(0): 3})
    imported(database_url, TAIPEI, "day", {day(-3): 0})
    same(panel(database_url, TAIPEI, first=-3, last=0), [[0, NAN, NAN, 3]])


def test_rolling_sums_are_missing_where_a_day_is(database_url: str) -> None:
    live(database_url, TAIPEI, {day(0): 1, day(3): 2, day(8): 4})
    found = panel(database_url, TAIPEI, first=4, last=9, grain="rolling7")
    same(found, [[NAN, NAN, 3, 2, 6, NAN]])


@pytest.mark.parametrize(("epi_week", "start"), [("iso", 0), ("mmwr", -1)])
def test_weeks_begin_as_configured(database_url: str, epi_week: EpiWeek, start: int) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE installation SET value = %s WHERE key = 'epi_week'", (epi_week,))
    try:
        counts = {day(start + i): 10**i for i in range(7)} | {day(start + 7): 5}
        live(database_url, TAIPEI, counts)
        found = panel(
            database_url, TAIPEI, first=start - 7, last=start + 14, grain="week", epi_week=epi_week
        )
        same(found, [[NAN, 1_111_111, 5, NAN]])
    finally:
        with psycopg.connect(database_url) as connection:
            connection.execute("UPDATE installation SET value = 'iso' WHERE key = 'epi_week'")


def test_a_week_that_began_before_the_events_is_missing(database_url: str) -> None:
    live(database_url, TAIPEI, {day(2): 3, day(8): 4})
    same(panel(database_url, TAIPEI, first=0, last=7, grain="week"), [[NAN, 4]])


def test_a_week_whose_first_days_were_imported_is_whole(database_url: str) -> None:
    live(database_url, TAIPEI, {day(2): 3, day(3): 1, day(8): 4})
    imported(database_url, TAIPEI, "day", {day(0): 10, day(1): 20})
    found = panel(database_url, TAIPEI, KAOHSIUNG, first=-7, last=7, grain="week")
    same(found, [[NAN, 34, 4], [NAN, NAN, NAN]])


@pytest.mark.parametrize("days", [[0], [6], [0, 1, 2, 4, 5, 6], list(range(6))])
def test_a_week_of_which_days_were_imported_is_known_with_the_last_of_them(
    database_url: str, days: list[int]
) -> None:
    live(database_url, TAIPEI, {day(7): 5, day(20): 1})
    imported(database_url, TAIPEI, "day", {day(offset): 10 for offset in days})
    same(panel(database_url, TAIPEI, first=0, last=7, grain="week"), [[NAN, 5]])
    same(panel(database_url, "TW", first=0, last=7, grain="week"), [[NAN, 5]])
    imported(database_url, TAIPEI, "day", {day(offset): 10 for offset in {*range(7)} - {*days}})
    same(panel(database_url, TAIPEI, first=0, last=7, grain="week"), [[70, 5]])


def test_imported_weeks_take_the_place_of_days(database_url: str) -> None:
    live(database_url, TAIPEI, {day(0): 1, day(7): 2})
    live(database_url, KAOHSIUNG, {day(0): 4, day(7): 8})
    imported(database_url, TAIPEI, "week", {day(-7): 50, day(0): 60})
    imported(database_url, TAIPEI, "day", {day(1): 999})
    same(
        panel(database_url, TAIPEI, KAOHSIUNG, first=-14, last=7, grain="week"),
        [[NAN, 50, 60, 2], [NAN, NAN, 4, 8]],
    )
    same(panel(database_url, "TW", first=-7, last=7, grain="week"), [[50, 64, 10]])


def test_weeks_and_days_are_the_views(database_url: str) -> None:
    """What people see in the views is what detectors see in panels."""
    live(database_url, TAIPEI, {day(i): i + 1 for i in range(20)})
    live(database_url, KAOHSIUNG, {day(i): 1 for i in range(20)}, stratum="0-6")
    imported(database_url, TAIPEI, "week", {day(-7): 50, day(7): 60})
    imported(database_url, KAOHSIUNG, "day", {day(3): 9, day(-1): 2})
    for grain, view, column in (("day", "day", "day"), ("week", "week", "week")):
        with psycopg.connect(database_url) as connection:
            stored = connection.execute(
                f"SELECT {column}, sum(value)::float8 FROM level_counts_by_{view} "
                "WHERE signal = 'ili' AND region = 'TW' GROUP BY 1"
            ).fetchall()
        found = panel(database_url, "TW", first=-7, last=14, grain=grain)  # type: ignore[arg-type]
        periods = periods_between(day(-7), day(14), grain)  # type: ignore[arg-type]
        shown = {p: v for p, v in zip(periods, found[0], strict=True) if v > 0}
        assert shown == {p: v for p, v in stored if p <= day(14)}


def test_the_extent_is_that_of_a_signals_live_counts(database_url: str) -> None:
    assert extent(database_url) is None
    imported(database_url, TAIPEI, "day", {day(-30): 1})
    assert extent(database_url) is None
    live(database_url, TAIPEI, {day(2): 1})
    live(database_url, KAOHSIUNG, {day(0): 1, day(5): 1})
    assert extent(database_url) == Extent(day(0), day(5), day(0))
    assert extent(database_url, "fever") is None


def test_a_day_that_corrections_emptied_is_no_start(database_url: str) -> None:
    """An event with a wrong year, corrected since, does not turn the time between into zeros."""
    live(database_url, TAIPEI, {day(-300): 0, day(0): 1, day(3): 0})
    assert extent(database_url) == Extent(day(0), day(3), day(-300))
    same(panel(database_url, TAIPEI, first=-2, last=3), [[NAN, NAN, 1, 0, 0, 0]])


def test_where_everything_was_cancelled_nothing_flows(database_url: str) -> None:
    live(database_url, TAIPEI, {day(0): 0, day(1): 0})
    assert extent(database_url) == Extent(day(2), day(1), day(0))
    same(panel(database_url, TAIPEI, first=0, last=2), [[NAN, NAN, NAN]])


# ---------------------------------------------------------------- missing is not zero


def test_an_old_event_of_one_region_changes_no_other_region(database_url: str) -> None:
    live(database_url, KAOHSIUNG, {day(i): 4 for i in range(20)})
    before = panel(database_url, KAOHSIUNG, first=-60, last=19)
    live(database_url, TAIPEI, {day(-60): 1})
    same(panel(database_url, KAOHSIUNG, first=-60, last=19), before.tolist())
    assert np.isnan(before[0, :60]).all()


def test_a_region_that_joins_has_nothing_before(database_url: str) -> None:
    live(database_url, KAOHSIUNG, {day(i): 4 for i in range(20)})
    live(database_url, TAIPEI, {day(18): 9, day(19): 8})
    same(panel(database_url, TAIPEI, first=15, last=19), [[NAN, NAN, NAN, 9, 8]])
    same(panel(database_url, "TW", first=17, last=19), [[4, 13, 12]])


def test_an_old_event_and_then_nothing_is_no_history_of_zeros(database_url: str) -> None:
    live(database_url, TAIPEI, {day(-60): 1} | {day(i): 9 for i in range(3)})
    found = panel(database_url, TAIPEI, first=-60, last=2)
    assert found[0, 0] == 1
    assert np.isnan(found[0, 1:60]).all()


def test_an_outage_is_missing_and_a_quiet_day_is_zero(database_url: str) -> None:
    live(database_url, KAOHSIUNG, {day(i): 4 for i in range(60)})
    live(database_url, TAIPEI, {day(i): 5 for i in range(60) if i != 35 and not 40 <= i < 49})
    found = panel(database_url, TAIPEI, first=30, last=59)[0]
    assert found[5] == 0
    assert np.isnan(found[10:19]).all()
    assert (np.delete(found, [5, *range(10, 19)]) == 5).all()
    weeks = panel(database_url, TAIPEI, first=28, last=56, grain="week")[0]
    assert list(np.isnan(weeks)) == [False, True, True, False, False]


def test_a_silence_at_the_end_is_missing_too(database_url: str) -> None:
    live(database_url, KAOHSIUNG, {day(i): 4 for i in range(60)})
    live(database_url, TAIPEI, {day(i): 5 for i in range(57)})
    same(panel(database_url, TAIPEI, first=55, last=60), [[5, 5, NAN, NAN, NAN, NAN]])


def test_a_rare_signal_of_a_region_that_reports_is_zero(database_url: str) -> None:
    live(database_url, KAOHSIUNG, {day(i): 4 for i in range(60)})
    live(database_url, TAIPEI, {day(20): 1, day(59): 1})
    reporting(database_url, TAIPEI, [day(i) for i in range(60)])
    found = panel(database_url, TAIPEI, first=0, last=59)[0]
    assert (found[[20, 59]] == 1).all()
    assert (np.delete(found, [20, 59]) == 0).all()


def test_a_region_that_seldom_reports_has_zeros(database_url: str) -> None:
    live(database_url, KAOHSIUNG, {day(i): 4 for i in range(90)})
    live(database_url, TAIPEI, {day(i): 3 for i in range(0, 70, 7)})
    assert (panel(database_url, TAIPEI, first=30, last=62)[0] >= 0).all()
    assert panel(database_url, TAIPEI, first=70, last=89)[0].sum() == 0
