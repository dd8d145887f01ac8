from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

import pytest

from streams.errors import FenghuoError
from streams.feed.counts import read_counts
from streams.feed.rows import FeedError

if TYPE_CHECKING:
    from schemas.counts import Count, ImportGrain
    from streams.config import Configuration
    from streams.judging.periods import EpiWeek

#: A Monday: the week before it has just ended.
TODAY = date(2026, 11, 30)


def read(
    configuration: Configuration, text: str, *, signal: str = "ili", grain: ImportGrain = "week"
) -> list[Count]:
    lines = text.encode().splitlines(keepends=True)
    return read_counts(lines, configuration, signal=signal, grain=grain, name="c.csv", today=TODAY)


def test_weeks_and_dates_codes_and_names(configuration: Configuration) -> None:
    text = (
        "period,region,count,stratum\n"
        "2009-W32,TW-TPE,12,0-6\n"
        "2009-08-03,臺北市,5,7-12\n"
        "2009-W32,Taipei City,7.5,\n"
    ).replace("7.5,\n", "7.5,unknown\n")
    counts = read(configuration, text)
    assert {(c.signal, c.region, c.grain, c.period) for c in counts} == {
        ("ili", "TW-TPE", "week", date(2009, 8, 3))
    }
    assert [(c.stratum, c.value) for c in counts] == [("0-6", 12), ("7-12", 5), ("unknown", 7.5)]


def test_without_a_stratum_it_is_the_total(configuration: Configuration) -> None:
    (count,) = read(configuration, "region,count,period\nTW-TPE,3,2009-08-05\n", grain="day")
    assert (count.stratum, count.period, count.grain) == ("all", date(2009, 8, 5), "day")


def test_weeks_of_the_other_system(configuration: Configuration) -> None:
    mmwr = replace(
        configuration,
        surveillance=configuration.surveillance.model_copy(update={"epi_week": "mmwr"}),
    )
    (count,) = read(mmwr, "period,region,count\n2009-W31,TW-TPE,3\n")
    assert count.period == date(2009, 8, 2)
    with pytest.raises(FeedError, match="write 2009-08-02 or 2009-W31"):
        read(mmwr, "period,region,count\n2009-08-03,TW-TPE,3\n")


@pytest.mark.parametrize(
    ("row", "grain", "message"),
    [
        ("2009-W54,TW-TPE,1,all", "week", "2009 has no week 54"),
        ("2009-08-04,TW-TPE,1,all", "week", "write 2009-08-03 or 2009-W32, or use --grain day"),
        ("2009-W32,TW-TPE,1,all", "day", "use --grain week"),
        ("August,TW-TPE,1,all", "day", "neither a date like"),
        ("2009-W32,TW-XXX,1,all", "week", "'TW-XXX' is no region of tw"),
        ("2009-W32,TW-TPE,-1,all", "week", "count -1 is not 0 or more"),
        ("2009-W32,TW-TPE,inf,all", "week", "count 'inf' is no number"),
        ("2009-W32,TW-TPE,many,all", "week", "count 'many' is no number"),
        ("2009-W32,TW-TPE,1,adults", "week", "stratum 'adults' is none of the configuration"),
        ("2009-W32,TW-TPE,1", "week", "3 cells, the header has 4"),
    ],
)
def test_a_bad_row_names_its_line(
    configuration: Configuration, row: str, grain: ImportGrain, message: str
) -> None:
    good = "2009-W33,TW-KHH,1,all" if grain == "week" else "2009-08-10,TW-KHH,1,all"
    with pytest.raises(FeedError, match=f"c.csv:3: .*{message}"):
        read(configuration, f"period,region,count,stratum\n{good}\n{row}\n", grain=grain)


def test_all_problems_are_told_at_once(configuration: Configuration) -> None:
    text = "period,region,count\nx,TW-TPE,1\n2009-W32,TW-TPE,1\n2009-W32,TW-TPE,x\n"
    with pytest.raises(FeedError) as caught:
        read(configuration, text)
    lines = str(caught.value).splitlines()
    assert [line[:17] for line in lines[:2]] == ["c.csv:2: period '", "c.csv:4: count 'x"]
    assert lines[-1] == "Nothing was imported."


def test_the_same_count_twice(configuration: Configuration) -> None:
    text = "period,region,count\n2009-W32,TW-TPE,1\n2009-08-03,臺北市,1\n"
    with pytest.raises(FeedError, match=r"c\.csv:3: the same region and period as line 2"):
        read(configuration, text)


def test_a_total_beside_its_parts(configuration: Configuration) -> None:
    text = "period,region,count,stratum\n2009-W32,TW-TPE,1,0-6\n2009-W32,TW-TPE,9,\n"
    with pytest.raises(FeedError, match=r"c\.csv:2: line 3 has the total"):
        read(configuration, text)


@pytest.mark.parametrize(
    "header",
    ["", "when,region,count", "week,region,incidence", "period,region,count,count", "a"],
)
def test_a_header_that_does_not_fit(configuration: Configuration, header: str) -> None:
    with pytest.raises(FeedError, match=r"c\.csv:1: the header must be period,region,count"):
        read(configuration, f"{header}\n")


def test_a_signal_that_is_not_configured(configuration: Configuration) -> None:
    with pytest.raises(FeedError, match="'flu' is no signal of the configuration; it has ili"):
        read(configuration, "period,region,count\n", signal="flu")


def test_files_as_people_have_them(configuration: Configuration) -> None:
    expected = [("TW-TPE", date(2009, 8, 3), 1006), ("TW-KHH", date(2009, 8, 10), 7)]
    for text, encoding, options in (
        ("period,region,count\n2009-W32,臺北市,1006\n2009-W33,高雄市,7\n", "big5", {}),
        ("period;region;count\r2009W32;臺北市;1 006\r2009W33;高雄市;7\r", "utf-16", {}),
        ("year,week,region,cases\n2009,32,TW-TPE,1.006\n2009,33,TW-KHH,7\n", "utf-8",
         {"decimal": ","}),
        ("年份,周次,地区,病例数\n2009,32,TW-TPE,１００６\n2009,33,TW-KHH,7\n", "gb18030", {}),
        ("week,place,n,deaths\n2009-08-03,TW-TPE,1006,0\n2009-08-10,TW-KHH,7,0\n", "utf-8",
         {"columns": {"time": ("week",), "region": ("place",), "count": ("n",)}}),
    ):  # fmt: skip
        counts = read_counts(
            [text.encode(encoding)], configuration, signal="ili", grain="week", name="c.csv",
            today=TODAY, **options,
        )  # fmt: skip
        assert [(one.region, one.period, one.value) for one in counts] == expected, text


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("45292,TW-TPE,1", "period 45292 seems to be a day number of Excel: 2024-01-01"),
        ("2009-W32,TW-TPE,1.006", "count 1.006 may be 1006 or 1 with decimals"),
        ("2009-W32,TW-TPE,", "count '' is missing; write a number, or leave out the row"),
        ("2009,TW-TPE,1", "period '2009' is neither a date like"),
    ],
)
def test_refused(configuration: Configuration, row: str, message: str) -> None:
    with pytest.raises(FeedError, match=message) as caught:
        read(configuration, f"period,region,count\n{row}\n")
    assert "--period" not in str(caught.value)


def test_not_in_the_encoding_that_was_given(configuration: Configuration) -> None:
    lines = [b"period,region,count\n", "2009-W32,臺北市,1\n".encode("big5")]
    with pytest.raises(FenghuoError, match=r"c\.csv:2: not utf-8 text"):
        read_counts(
            lines,
            configuration,
            signal="ili",
            grain="week",
            name="c.csv",
            today=TODAY,
            encoding="utf-8",
        )


@pytest.mark.parametrize(
    ("row", "grain", "message"),
    [
        ("2026-W49,TW-TPE,1", "week", "period 2026-W49 has not ended, today is 2026-11-30"),
        ("2026-11-30,TW-TPE,1", "week", "leave out this row until the week is over"),
        ("2026-W50,TW-TPE,1", "week", "has not ended"),
        ("2099-W01,TW-TPE,1", "week", "or correct the date"),
        ("9999-W52,TW-TPE,1", "week", "9999"),
        ("1066-W40,TW-TPE,1", "week", "period 1066-W40 is before 1900; correct the year"),
        ("0001-01-01,TW-TPE,1", "week", "period 0001-01-01 is before 1900"),
        ("2026-11-30,TW-TPE,1", "day", "leave out this row until the day is over"),
        ("2099-01-01,TW-TPE,1", "day", "has not ended"),
        ("1066-10-14,TW-TPE,1", "day", "is before 1900"),
    ],
)
@pytest.mark.parametrize("system", ["iso", "mmwr"])
def test_periods_that_have_not_ended_and_years_that_cannot_be_meant(
    configuration: Configuration, row: str, grain: ImportGrain, message: str, system: EpiWeek
) -> None:
    if system == "mmwr":
        row = row.replace("2026-11-30", "2026-11-29") if grain == "week" else row
    good = "2026-11-22" if (grain, system) == ("week", "mmwr") else "2026-11-23"
    known = replace(
        configuration,
        surveillance=configuration.surveillance.model_copy(update={"epi_week": system}),
    )
    with pytest.raises(FeedError, match=rf"c\.csv:3: .*{message}") as caught:
        read(known, f"period,region,count\n{good},TW-TPE,2\n{row}\n", grain=grain)
    assert len(str(caught.value).splitlines()) == 2


def test_periods_that_have_just_ended(configuration: Configuration) -> None:
    (week,) = read(configuration, "period,region,count\n2026-W48,TW-TPE,1\n")
    assert week.period == date(2026, 11, 23)
    (day,) = read(configuration, "period,region,count\n2026-11-29,TW-TPE,1\n", grain="day")
    assert day.period == date(2026, 11, 29)


def test_counts_of_1900(configuration: Configuration) -> None:
    (count,) = read(configuration, "period,region,count\n1900-W01,TW-TPE,1\n")
    assert count.period == date(1900, 1, 1)


def test_problems_of_one_kind_are_told_once(configuration: Configuration) -> None:
    rows = [f"2026-W{week},TW-TPE,1" for week in range(49, 53)]
    rows += [f"2009-W{week},TW-TPE,x{week}" for week in range(10, 50)]
    rows += ["2009-W32,TW-AAA,1", "2009-W33,TW-AAA,1", "2009-W32,TW-BBB,1"]
    with pytest.raises(FeedError) as caught:
        read(configuration, "\n".join(["period,region,count", *rows]))
    future, number, one, other, end = str(caught.value).splitlines()
    assert future.startswith("c.csv:2: period 2026-W49 has not ended, today is 2026-11-30")
    assert future.endswith(" (and the like in 3 more lines).")
    assert number.startswith("c.csv:6: count 'x10' is no number")
    assert number.endswith(" (and the like in 39 more lines).")
    assert one.startswith("c.csv:46: 'TW-AAA' is no region of tw")
    assert one.endswith(" (and in 1 more line).")
    assert other.startswith("c.csv:48: 'TW-BBB' is no region of tw")
    assert end == "Nothing was imported."
