"""Files as people have them, through the real command: what was tried and failed, and its kind."""

from __future__ import annotations

import csv
import io
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from streams.errors import FenghuoError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from typer.testing import Result

    Run = Callable[..., Result]


@pytest.fixture
def detect(run: Run, tmp_path: Path) -> Callable[..., tuple[list[dict[str, str]], str]]:
    """Judge a text; return the verdicts and what was said."""

    def judged(content: str | bytes, *options: str) -> tuple[list[dict[str, str]], str]:
        path = tmp_path / "counts.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        result = run("detect", path, "--detector", "ears", "--out", "-", *options)
        return list(csv.DictReader(io.StringIO(result.stdout))), result.stderr

    return judged


Detect = Any


def rows(times: Iterable[object], counts: Iterable[object] = (), header: str = "time,count") -> str:
    numbers = iter(counts)
    body = "".join(f"{time},{next(numbers, 5)}\n" for time in times)
    return f"{header}\n{body}"


def days(first: str, steps: int, width: int = 1) -> list[date]:
    return [date.fromisoformat(first) + timedelta(days=width * step) for step in range(steps)]


def refusal(detect: Detect, content: str | bytes, *options: str) -> str:
    with pytest.raises(FenghuoError) as caught:
        detect(content, *options)
    first, *_ = str(caught.value).splitlines()
    assert "counts.csv:" in first, "every refusal names the file"
    return first.partition("counts.csv:")[2]


def test_day_numbers_of_excel_are_no_weeks(detect: Detect) -> None:
    told = refusal(detect, rows(range(45292, 45412)))
    assert told.startswith("2: time 45292 seems to be a day number of Excel: 2024-01-01")
    assert "Format the column as dates" in told
    verdicts, _ = detect(rows(range(45292, 45412)), "--period", "365")
    assert verdicts[0]["time"] == "45292"


def test_three_decimals_may_be_thousands(detect: Detect) -> None:
    content = rows(days("2024-01-01", 20), [f"1.{6 + i:03d}" for i in range(20)])
    told = refusal(detect, content)
    assert told.startswith("2: count 1.006 may be 1006 or 1 with decimals")
    assert "(and in 19 more lines)" in told
    assert detect(content, "--decimal", ",")[0][0]["observed"] == "1006"
    assert detect(content, "--decimal", ".")[0][0]["observed"] == "1.006"


def test_weeks_of_dhis2_have_one_digit(detect: Detect) -> None:
    weeks = [f"{year}W{week}" for year in (2020, 2021) for week in range(1, 53 + (year == 2020))]
    verdicts, told = detect(rows(weeks))
    assert [row["time"] for row in verdicts] == weeks
    assert "105 steps by week" in told


def test_year_and_week_without_a_w(detect: Detect) -> None:
    winters = [f"{year}-{week:02d}" for year in range(2018, 2025) for week in range(1, 13)]
    assert "steps by month" in detect(rows(winters))[1]
    assert "add --grain week" in detect(rows(winters))[1]
    assert "325 steps by week" in detect(rows(winters), "--grain", "week")[1]
    ecdc = [f"2020-{week}" for week in range(30, 54)]
    assert "24 steps by week" in detect(rows(ecdc))[1]
    months = [f"2019-{month:02d}" for month in range(1, 13)]
    assert "2020-30 is no month; a week is written 2020-W30" in refusal(
        detect, rows([*months, "2020-30"])
    )


def test_regions_that_are_dated_by_different_weekdays(detect: Detect) -> None:
    pairs = zip(days("2019-01-07", 60, 7), days("2019-01-06", 60, 7), strict=True)
    content = "time,region,count\n" + "".join(f"{a},A,10\n{b},B,20\n" for a, b in pairs)
    told = refusal(detect, content)
    assert told.startswith("2: regions are dated by different weekdays: B by Sundays, A by Mondays")
    assert "--grain week" in told
    verdicts, said = detect(content, "--grain", "week")
    assert "2 series, 61 steps by week, 2019-W01 to 2020-W09" in said
    assert {row["observed"] for row in verdicts} == {"10", "20", ""}
    assert (
        "2 series, 60 steps by week" in detect(content, "--grain", "week", "--epi-week", "mmwr")[1]
    )


def test_a_source_that_changes_its_weekday(detect: Detect) -> None:
    times = [*days("2019-01-07", 30, 7), *days("2019-08-10", 30, 7)]
    assert "the weekday of these weekly dates changes" in refusal(detect, rows(times))
    assert detect(rows(times), "--grain", "week")[1].count("steps by week") == 1


def test_daily_counts_are_added_up(detect: Detect) -> None:
    content = rows(days("2024-01-03", 30), [1] * 30)  # a Wednesday to a Thursday
    verdicts, told = detect(content, "--grain", "week")
    assert [row["observed"] for row in verdicts] == ["", "7", "7", "7", ""]
    assert verdicts[1]["time"] == "2024-W02"
    assert "Daily counts are added up by week." in told
    assert (
        "2 incomplete weeks are left out as missing: 2024-W01 has 5 of 7 days, 2024-W05 has 4 of 7 "
        "days." in told
    )
    verdicts, told = detect(rows(days("2024-01-31", 61), [1] * 61), "--grain", "month")
    assert [row["observed"] for row in verdicts] == ["", "29", "31"]
    assert "2024-01 has 1 of 31 days" in told


def test_working_days_make_whole_weeks(detect: Detect) -> None:
    times = [day for day in days("2024-01-01", 32) if day.weekday() < 5]
    verdicts, told = detect(rows(times, [2] * 40), "--grain", "week")
    assert [row["observed"] for row in verdicts] == ["10", "10", "10", "10", ""]
    assert "2024-W05 has 4 of 5 days" in told


def test_weekly_dates_are_not_added_up(detect: Detect) -> None:
    times = [*days("2024-01-01", 20, 7), date(2024, 5, 21), date(2024, 5, 23)]
    told = refusal(detect, rows(times), "--grain", "week")
    assert "2024-05-23 lies in the same week as 2024-05-21 (line 22)" in told
    assert "weeks do not end with months" in refusal(
        detect, rows(days("2024-01-01", 20, 7)), "--grain", "month"
    )


@pytest.mark.parametrize(
    ("times", "said"),
    [
        (range(1990, 2025), "35 steps by year, 1990 to 2024"),
        ([f"{year}-12-31" for year in range(1990, 2025)], "35 steps by year"),
        (["2024-01-31", "2024-02-29", "2024-03-31"], "3 steps by month, 2024-01-31 to 2024-03-31"),
        (["2024-01-15", "2024-02-15", "2024-04-15"], "4 steps by month"),
        (["2024-01-31", "2024-02-28", "2024-03-29"], "3 steps by month"),
        (["2024/1/1", "2024/1/2", "2024/1/3"], "3 steps by day"),
        ([f"{month}/13/24" for month in range(1, 7)], "6 steps by month"),
    ],
)
def test_widths_of_steps(detect: Detect, times: Iterable[object], said: str) -> None:
    assert said in detect(rows(times))[1]


def test_a_date_in_the_future_is_a_mistake(detect: Detect) -> None:
    times = [*days("2024-01-01", 20, 7), date(2204, 5, 20)]
    told = refusal(detect, rows(times), "--latest")
    assert told.startswith("22: time 2204-05-20 lies in the future (today is 20")
    assert "2204" in refusal(detect, rows(["2024-W01", "2204-W02"]))
    assert "9999" in refusal(detect, rows(["2024-01", "9999-01"]))


def test_a_date_years_from_all_others_is_named(detect: Detect) -> None:
    times = [date(2004, 5, 20), *days("2024-01-01", 20)]
    assert "2004-05-20 (line 2) lies 19 years from all other times" in detect(rows(times))[1]


def test_regions_that_report_later_are_judged_where_they_end(detect: Detect) -> None:
    content = "time,region,count\n" + "".join(
        f"{day},{region},{5 + i % 3}\n"
        for i, day in enumerate(days("2024-01-01", 30))
        for region in ("early", "late")
        if region == "early" or i < 27
    )
    verdicts, told = detect(content, "--latest")
    assert [(row["region"], row["time"], row["reason"]) for row in verdicts] == [
        ("early", "2024-01-30", "ok"), ("late", "2024-01-27", "ok"),
    ]  # fmt: skip
    assert "1 of 2 series end before 2024-01-30: late at 2024-01-27." in told


def test_zeros_at_the_end_may_be_missing(detect: Detect) -> None:
    told = detect(rows(range(1, 31), [20 + i % 4 for i in range(28)] + [0, 0]))[1]
    assert "1 series end with 0 but have none before" in told


def test_totals_are_told_and_turned_into_new_cases(detect: Detect) -> None:
    totals = [0, 3, 3, 7, 9, 14, 20, 21, 30, 35, 41, 50]
    content = rows(days("2024-01-01", 12), totals)
    assert "1 of 1 series never fall" in detect(content)[1]
    verdicts, told = detect(content, "--cumulative")
    assert [row["observed"] for row in verdicts] == [
        "",
        *["3", "0", "4", "2", "5", "6", "1", "9", "5", "6", "9"],
    ]
    assert "turned into new cases" in told
    corrected = rows(days("2024-01-01", 12), [*totals[:-1], 40])
    assert (
        "1 totals fall, which are corrections; missing: 2024-01-12."
        in detect(corrected, "--cumulative")[1]
    )


def test_a_population_given_once_a_year_holds_for_the_year(
    detect: Detect, run: Run, tmp_path: Path
) -> None:
    times = days("2018-01-01", 250, 7)
    content = "time,count,population\n" + "".join(
        f"{day},{20 + i % 5},{100_000 if i % 52 == 0 else ''}\n" for i, day in enumerate(times)
    )
    path = tmp_path / "p.csv"
    path.write_text(content, encoding="utf-8")
    result = run(
        "detect", path, "--detector", "farrington_flexible", "--param", "population_offset=true",
        "--param", "years_back=3", "--from", "2022-01-03", "--out", "-",
    )  # fmt: skip
    found = {row["reason"] for row in csv.DictReader(io.StringIO(result.stdout))}
    assert found == {"ok"}
    assert "Population: 5 of 250 are given; each holds until the next one." in result.stderr


KNOWN = {
    "WHO FluNet": (
        ("WHOREGION,COUNTRY_CODE,COUNTRY_AREA_TERRITORY,ISO_WEEKSTARTDATE,ISO_YEAR,ISO_WEEK,"
        "ORIGIN_SOURCE,SPEC_PROCESSED_NB,INF_A,INF_B,INF_ALL\n"
        "WPR,CHN,China,2023-01-02,2023,1,NOTDEFINED,900,3,4,7\n"
        "WPR,CHN,China,2023-01-09,2023,2,NOTDEFINED,900,3,5,8\n"),
        [("2023-01-02", "China", "NOTDEFINED", "7"), ("2023-01-09", "China", "NOTDEFINED", "8")],
    ),
    "WHO FluID": (
        ("COUNTRY_AREA_TERRITORY,ISO_WEEKSTARTDATE,ISOYW,CASE_INFO,AGEGROUP_CODE,REPORTED_CASES,"
        "POP_COV\nSpain,2023-01-02,202301,ILI,All,7,1000\nSpain,2023-01-09,202302,ILI,All,8,1000\n"),
        [("2023-01-02", "Spain", "ILI, All", "7"), ("2023-01-09", "Spain", "ILI, All", "8")],
    ),
    "CDC FluView ILINet": (
        ("PERCENTAGE OF VISITS FOR INFLUENZA-LIKE-ILLNESS REPORTED BY SENTINEL PROVIDERS\n"
        '"REGION TYPE",REGION,YEAR,WEEK,"% WEIGHTED ILI","%UNWEIGHTED ILI","AGE 0-4","AGE 25-49",'
        'ILITOTAL,"NUM. OF PROVIDERS","TOTAL PATIENTS"\n'
        "HHS Regions,Region 1,2014,53,1.1,1.2,5,X,7,9,600\n"
        "HHS Regions,Region 1,2015,1,1.1,1.2,5,X,X,9,600\n"),
        [("2014-W53", "Region 1", "", "7"), ("2015-W1", "Region 1", "", "")],
    ),
    "ECDC": (
        ("country,country_code,continent,population,indicator,weekly_count,year_week,rate_14_day\n"
        "Austria,AUT,Europe,8901064,cases,7,2020-52,1\n"
        "Austria,AUT,Europe,8901064,cases,8,2020-53,2\n"),
        [("2020-52", "Austria", "cases", "7"), ("2020-53", "Austria", "cases", "8")],
    ),
    "ECDC ": (
        ("dateRep,day,month,year,cases,deaths,countriesAndTerritories,geoId,popData2019\n"
        "13/12/2020,13,12,2020,7,0,Austria,AT,8858775\n14/12/2020,14,12,2020,8,0,Austria,AT,8858775\n"),
        [("13/12/2020", "Austria", "", "7"), ("14/12/2020", "Austria", "", "8")],
    ),
    "ECDC ERVISS": (
        ("survtype,countryname,date,pathogen,indicator,age,value\n"
        "primary care,Malta,2023-W01,Influenza,detections,total,7\n"
        "primary care,Malta,2023-W02,Influenza,detections,total,8\n"),
        [("2023-W01", "Malta", "primary care, Influenza, detections, total", "7"),
         ("2023-W02", "Malta", "primary care, Influenza, detections, total", "8")],
    ),
    "Our World in Data": (
        ("iso_code,continent,location,date,total_cases,new_cases,population\n"
        "MLT,Europe,Malta,2023-01-01,100,7,500000\nMLT,Europe,Malta,2023-01-02,108,8,500000\n"),
        [("2023-01-01", "Malta", "", "7"), ("2023-01-02", "Malta", "", "8")],
    ),
    "Johns Hopkins": (
        ("Province/State,Country/Region,Lat,Long,1/22/20,1/23/20,1/24/20,1/25/20,1/26/20\n"
        "Hubei,China,30.9,112.2,1,8,16,16,20\n,Italy,43,12,0,0,1,1,3\n"),
        [("1/22/20", "Hubei, China", "", ""), ("1/23/20", "Hubei, China", "", "7"),
         ("1/24/20", "Hubei, China", "", "8")],
    ),
    "DHIS2": (
        ("dataelement,period,orgunit,categoryoptioncombo,value,storedby\n"
        "ILI,2023W1,ImspTQPwCqd,HllvX50cXC0,7,admin\nILI,2023W2,ImspTQPwCqd,HllvX50cXC0,8,admin\n"),
        [("2023W1", "ImspTQPwCqd", "ILI, HllvX50cXC0", "7"),
         ("2023W2", "ImspTQPwCqd", "ILI, HllvX50cXC0", "8")],
    ),
    "DHIS2 ": (
        'Data,Period,Organisation unit,Value\n"ILI","202301","Bo","7"\n"ILI","202302","Bo","8"\n',
        [("202301", "Bo", "ILI", "7"), ("202302", "Bo", "ILI", "8")],
    ),
    "RKI COVID-19": (
        ("FID,Bundesland,Landkreis,Altersgruppe,Geschlecht,AnzahlFall,Meldedatum,NeuerFall\n"
        "1,Berlin,SK Mitte,A15-A34,M,4,2023/01/02 00:00:00,0\n"
        "2,Berlin,SK Mitte,A15-A34,W,3,2023/01/02 00:00:00,1\n"
        "3,Berlin,SK Mitte,A15-A34,W,-1,2023/01/02 00:00:00,-1\n"
        "4,Berlin,SK Mitte,A15-A34,W,8,2023/01/03 00:00:00,0\n"),
        [("2023/01/02 00:00:00", "SK Mitte", "", "7"),
         ("2023/01/03 00:00:00", "SK Mitte", "", "8")],
    ),
    "RKI SurvStat": (
        ("Meldewoche\tRegion\tRegion_Id\tAltersgruppe\tFallzahl\tInzidenz\n"
        "2023-W01\tBerlin\t11\t00+\t7\t1.5\n2023-W02\tBerlin\t11\t00+\t8\t1.7\n"),
        [("2023-W01", "Berlin", "00+", "7"), ("2023-W02", "Berlin", "00+", "8")],
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("header", "cells"),
    [
        ("year,week,age_group,county,ili_visits", "2007,{week:02},0-6,台中市"),
        ("年份,周次,年龄组,区县,流感就诊", "2007,{week},0-6岁,台中市"),
        ("week,county,ili_visits", "2007-W{week:02},Taichung"),
    ],
)
def test_a_long_file_whose_count_has_an_unknown_name(
    detect: Detect, header: str, cells: str
) -> None:
    rows = "\n".join(f"{cells.format(week=week)},{week + 5}" for week in (1, 2))
    verdicts, told = detect(f"{header}\n{rows}\n")
    assert [row["observed"] for row in verdicts] == ["6", "7"]
    assert {row["region"] for row in verdicts} == {cells.rpartition(",")[2]}
    assert f"count={header.rpartition(',')[2]}; say otherwise with --columns." in told


def test_several_columns_that_may_be_the_count(detect: Detect) -> None:
    with pytest.raises(
        FenghuoError, match=r"--columns year=year,week=week,region=county,count=ili\. It|ili$"
    ) as caught:
        detect("year,week,county,ili,all_visits\n2007,1,Taichung,6,90\n2007,2,Taichung,7,91\n")
    assert "several columns may be the count" in str(caught.value)


def test_a_wide_file_with_a_series_of_a_usual_name_stays_wide(detect: Detect) -> None:
    verdicts, _ = detect("date,city,suburbs\n2024-01-01,5,6\n2024-01-02,7,8\n")
    assert [(row["region"], row["observed"]) for row in verdicts] == [
        ("city", "5"), ("city", "7"), ("suburbs", "6"), ("suburbs", "8"),
    ]  # fmt: skip


RKI = "Landkreis,AnzahlFall,Meldedatum,NeuerFall\n"


def test_days_without_a_row_of_a_case_file_count_0(detect: Detect) -> None:
    verdicts, told = detect(
        f"{RKI}SK Flensburg,4,2023/01/02 00:00:00,0\nSK Flensburg,3,2023/01/05 00:00:00,1\n"
        "SK Kiel,2,2023/01/03 00:00:00,0\n"
    )
    found = [row["observed"] for row in verdicts if row["region"] == "SK Flensburg"]
    assert found == ["4", "0", "0", "3"]
    assert "Times without a case count 0." in told
    assert "are missing" not in told


def test_weeks_without_a_row_of_survstat_count_0(detect: Detect) -> None:
    """In RKI's own file, the other age groups of such a week make up the whole."""
    verdicts, told = detect(
        "Meldewoche\tRegion\tRegion_Id\tAltersgruppe\tFallzahl\tInzidenz\n"
        "2023-W02\tBremen\t04\t00+\t12\t1.74\n2023-W02\tBremen\t04\t00-14\t2\t2.03\n"
        "2023-W02\tBremen\t04\t15-59\t10\t1.25\n2023-W03\tBremen\t04\t00+\t4\t0.72\n"
        "2023-W03\tBremen\t04\t15-59\t4\t1\n2023-W04\tBremen\t04\t00+\t2\t0.29\n"
        "2023-W04\tBremen\t04\t00-14\t1\t1.01\n2023-W04\tBremen\t04\t15-59\t1\t0.25\n"
    )
    found = {
        group: [row["observed"] for row in verdicts if row["signal"] == group]
        for group in ("00+", "00-14", "15-59")
    }
    assert found == {"00+": ["12", "4", "2"], "00-14": ["2", "0", "1"], "15-59": ["10", "4", "1"]}
    assert told.count("Times without a case count 0.") == 1
    assert "are missing" not in told


def test_cases_that_were_withdrawn_are_told_and_their_district_stays(detect: Detect) -> None:
    verdicts, told = detect(
        f"{RKI}SK Flensburg,4,2023/01/02 00:00:00,0\nSK Flensburg,-1,2023/01/03 00:00:00,-1\n"
        "SK Flensburg,3,2023/01/05 00:00:00,1\nSK Kiel,-2,2023/01/03 00:00:00,-1\n"
    )
    found = {
        region: [row["observed"] for row in verdicts if row["region"] == region]
        for region in ("SK Flensburg", "SK Kiel")
    }
    assert found == {"SK Flensburg": ["4", "0", "0", "3"], "SK Kiel": ["0", "0", "0", "0"]}
    assert (
        "2 rows with NeuerFall = -1 count 0: cases of the day before that RKI has withdrawn."
        in told
    )
    assert "1 series have no case at all: SK Kiel." in told


def test_a_mark_that_nobody_knows_is_refused(detect: Detect) -> None:
    with pytest.raises(FenghuoError, match=r":3: column 4 holds '7', which is none of -1, 0, 1"):
        detect(f"{RKI}SK Kiel,4,2023/01/02 00:00:00,0\nSK Kiel,4,2023/01/03 00:00:00,7\n")


@pytest.mark.parametrize("name", KNOWN)
def test_columns_of_publishers(detect: Detect, name: str) -> None:
    content, expected = KNOWN[name]
    verdicts, told = detect(content)
    found = [(row["time"], row["region"], row["signal"], row["observed"]) for row in verdicts]
    assert found[: len(expected)] == expected
    assert f"Columns of {name.strip()}" in told


@pytest.mark.parametrize(
    "header",
    ["日期,地区,病例数", "报告日期,县区,发病数", "就诊日期,区县,就诊人次", "时间,城市,例数",
     "Date,County,Cases",
     "period,area,n", "Datum,Landkreis,Fallzahl", "week ending,State,Number"],
)  # fmt: skip
def test_usual_names_of_columns(detect: Detect, header: str) -> None:
    verdicts, told = detect(f"{header}\n2024-01-01,余杭区,5\n2024-01-02,余杭区,7\n")
    assert [(row["region"], row["observed"]) for row in verdicts] == [
        ("余杭区", "5"),
        ("余杭区", "7"),
    ]
    assert "Columns are read as time=" in told


def test_times_in_several_columns(detect: Detect) -> None:
    for header, cells in (
        ("年份,周次,地区,病例数", ["2024,1,西湖区,5", "2024,2,西湖区,7"]),
        ("year,month,region,cases", ["2024,1,西湖区,5", "2024,02,西湖区,7"]),
        ("年,月,日,地区,人次", ["2024,1,1,西湖区,5", "2024,1,2,西湖区,7"]),
        ("year,region,cases", ["2023,西湖区,5", "2024,西湖区,7"]),
    ):
        verdicts, _ = detect("\n".join([header, *cells]))
        assert [row["observed"] for row in verdicts] == ["5", "7"]


def test_columns_that_people_name(detect: Detect) -> None:
    content = (
        "week_end,prov,county,sex,cases,deaths\n"
        "2024-01-06,浙江,余杭区,f,5,0\n2024-01-13,浙江,余杭区,f,7,0\n"
    )
    verdicts, _ = detect(content, "--columns", "time=week_end,count=cases,region=prov+county")
    assert [(row["region"], row["observed"]) for row in verdicts] == [
        ("浙江, 余杭区", "5"), ("浙江, 余杭区", "7"),
    ]  # fmt: skip
    with pytest.raises(FenghuoError, match="the file has no column 'case'; did you mean cases"):
        detect(content, "--columns", "time=week_end,count=case")
    with pytest.raises(FenghuoError, match=r"--columns when=x: write it as time\|year"):
        detect(content, "--columns", "when=x")
    told = refusal(detect, "日期,地区,病例数,死亡\n2024-01-01,余杭区,5,0\n")
    assert "'死亡' is none of the known names" in told
    assert "--columns time=日期,region=地区,count=病例数" in told


def test_line_lists_are_counted(detect: Detect) -> None:
    content = (
        "病例编号,性别,年龄,现住地区,发病日期\n1,男,30,余杭区,2024-01-01\n2,女,3,余杭区,2024-01-01\n"
        "3,男,9,西湖区,2024-01-03\n4,女,40,余杭区,2024-01-04\n"
    ).replace("现住地区", "地区")
    verdicts, told = detect(content)
    assert [(row["region"], row["time"], row["observed"]) for row in verdicts] == [
        ("余杭区", "2024-01-01", "2"), ("余杭区", "2024-01-02", "0"), ("余杭区", "2024-01-03", "0"),
        ("余杭区", "2024-01-04", "1"), ("西湖区", "2024-01-01", "0"), ("西湖区", "2024-01-02", "0"),
        ("西湖区", "2024-01-03", "1"), ("西湖区", "2024-01-04", "0"),
    ]  # fmt: skip
    assert "each row is one case" in told
    weekly, _ = detect(content, "--grain", "week", "--columns", "time=发病日期")
    assert [row["observed"] for row in weekly] == ["4"]


def test_a_silent_region_of_a_line_list_is_missing(detect: Detect) -> None:
    many = "".join(f"{day},A\n{day},A\n{day},B\n" for day in days("2024-01-01", 30))
    rest = "".join(f"{day},B\n" for day in days("2024-01-31", 10))
    verdicts, told = detect("onset,region\n" + many + rest)
    assert [row["observed"] for row in verdicts if row["region"] == "A"][-11:] == ["2"] + [""] * 10
    assert (
        "1 series end before 2024-02-09, and are missing from then on, not 0: A (2024-01-30)"
        in told
    )


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "gb18030"])
def test_texts_of_old_and_foreign_programs(detect: Detect, end: str, encoding: str) -> None:
    text = "时间;地区;病例数\n2024/1/1;余杭区;1 006\n2024/1/2;余杭区;7\n".replace("\n", end)
    verdicts, _ = detect(text.encode(encoding))
    assert [(row["region"], row["observed"]) for row in verdicts] == [
        ("余杭区", "1006"), ("余杭区", "7"),
    ]  # fmt: skip
