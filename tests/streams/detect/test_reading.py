from __future__ import annotations

import re

import numpy as np
import pytest

from streams.detect.reading import CountTable, Reading, Series, read_table
from streams.errors import FenghuoError
from streams.tables.problems import TOLD, bundled


def read(text: str, **options: object) -> CountTable:
    lines = text.encode().splitlines(keepends=True)
    return read_table(lines, name="f.csv", reading=Reading(**options))  # type: ignore[arg-type]


LONG = """\
time,region,signal,count
2009-W33,北京,ili,4
2009-W32,北京,ili,3
2009-W35,北京,ili,
2009-W32,上海,ili,1.5
2009-W34,上海,fever,NA
"""


def test_long_unordered_with_gaps() -> None:
    table = read(LONG)
    assert table.series == (Series("北京", "ili"), Series("上海", "ili"), Series("上海", "fever"))
    assert table.axis.labels == ("2009-W32", "2009-W33", "2009-W34", "2009-W35")
    nan = np.nan
    expected = [[3, 4, nan, nan], [1.5, nan, nan, nan], [nan] * 4]
    np.testing.assert_array_equal(table.counts, expected)
    assert table.population is None


def test_wide_gives_the_same_counts() -> None:
    table = read("time,a,b c\n3,7,\n1,5,6\n")
    assert table.series == (Series("a", ""), Series("b c", ""))
    np.testing.assert_array_equal(table.counts, [[5, np.nan, 7], [6, np.nan, np.nan]])
    assert table.axis.labels == ("1", "2", "3")


def test_columns_may_be_left_out_and_stand_in_any_order() -> None:
    table = read("\ufeffCount, Time\n5,2009-07\n6,2009-08\n")
    assert table.series == (Series("", ""),)
    np.testing.assert_array_equal(table.counts, [[5, 6]])


def test_population() -> None:
    table = read("time,region,count,population\n1,a,2,100\n2,a,3,\n1,b,0,5e3\n")
    # A population given once holds for the other times as well.
    np.testing.assert_array_equal(table.population, [[100, 100], [5000, 5000]])
    assert read("time,count,population\n1,2,\n").population is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "f.csv:1: the file begins without a header; it must be time,region"),
        ("\n1,2\n", "f.csv:2: the file begins without a header"),
        ("time,count\n", "f.csv: there is no row of counts below the header"),
        ("time,region\n1,2\n", "f.csv:1: the header is 'time,region'.* `count` is missing"),
        ("time,region,zzz\n1,a,2\n", "The column `count` is missing, or has another name"),
        ("when,count\n1,2\n", "Name the column of times `time`"),
        ("time,count,count\n1,2,3\n", "'count' stands there twice; rename one"),
        ("time,count,regoin\n1,2,a\n", "'regoin' is no column of these: did you mean region?"),
        ("time,count,zzz\n1,2,a\n", "'zzz' is no column of these: remove it"),
        ("a,time\n1,2\n", "`time` must come first"),
        ("time,a,\n1,2,3\n", "every column needs a name"),
        ("time,count\n1\n", "f.csv:2: 1 cells, but the header has 2; make them equal"),
        (
            "time,count\nx,1\n",
            "f.csv:2: time 'x' cannot be read; write a date like 2009-08-03, an epi",
        ),
        ("time,count\n2009-02-30,1\n", "f.csv:2: time 2009-02-30 is not in the calendar"),
        ("time,count\n2010-W53,1\n", "f.csv:2: 2010 has no week 53 in the iso system; correct"),
        (
            "time,count\n2014-W53,1\n",
            "no week 53 in the iso system; correct it, or add --epi-week mmwr",
        ),
        ("time,count\n200951,1\n201001,1\n", "f.csv:2: time 200951 is no month; a week is"),
        ("time,count\n1,2\n2009-01-01,2\n", "f.csv:3: time 2009-01-01 is written otherwise than 1"),
        ("time,count\n1,2\n\n1,3\n", "f.csv:4: the same series and time as line 2; keep one"),
        ("time,count\n2009-W32,2\n2009W32,3\n", "f.csv:3: the same series and time as line 2"),
        ("time,count\n1,-2\n", "f.csv:2: count -2 is not 0 or more; correct it, or leave it empty"),
        ("time,count\n1,many\n", "f.csv:2: count 'many' is no number; write digits"),
        ('time,count\n1,"1,00,0"\n', "f.csv:2: count '1,00,0' is no number"),
        ("time,count\n1,inf\n", "f.csv:2: count 'inf' is no number"),
        ("time,count\n1,1_0\n", "f.csv:2: count '1_0' is no number"),
        ("time,count\n1,1e99\n", r"f.csv:2: count 1e99 is above 1e\+11"),
        ("time,count,population\n1,1,0\n", "f.csv:2: population 0 is not above 0"),
        ("time,a,b\n1,1,-3\n", "f.csv:2: count -3 of b is not 0 or more"),
        ('time,count\n1,"2\n', "f.csv:2: this is not CSV: unexpected end of data"),
        (
            "time,count\n2009-08-03,1\n2009-08-10,1\n2009-08-18,1\n2009-08-24,1\n2009-08-31,1\n",
            "f.csv:4: 2009-08-18 is not a multiple of 7 days",
        ),
    ],
)
def test_refused(text: str, message: str) -> None:
    with pytest.raises(FenghuoError, match=message):
        read(text)


@pytest.mark.parametrize("text", ["", "NA", "NaN", "nan", "NULL", "null", "None", "N/A", " "])
def test_what_other_programs_write_for_a_missing_count(text: str) -> None:
    np.testing.assert_array_equal(read(f"time,count\n1,2\n2,{text}\n").counts, [[2, np.nan]])


def test_windows_line_ends_and_quotes() -> None:
    table = read('\ufefftime,region,signal,count\r\n"1","a, b","s","3"\r\n2,"a, b",s,4\r\n')
    assert table.series == (Series("a, b", "s"),)
    np.testing.assert_array_equal(table.counts, [[3, 4]])


def test_steps_may_be_counted_from_below_zero() -> None:
    assert read("time,count\n-1,2\n1,3\n").axis.labels == ("-1", "0", "1")


def test_week_53_has_its_place() -> None:
    table = read("time,count\n2010-W02,4\n2009-W53,2\n2009-W52,1\n")
    assert table.axis.labels == ("2009-W52", "2009-W53", "2010-W01", "2010-W02")
    np.testing.assert_array_equal(table.counts, [[1, 2, np.nan, 4]])


def test_all_problems_are_told_at_once() -> None:
    rows = "".join(f"{i},x{i}\n" for i in range(60)) + "60\n7,1\n7,2\n"
    with pytest.raises(FenghuoError) as caught:
        read(f"time,count\n{rows}")
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("f.csv:2: count 'x0' is no number")
    assert lines[0].endswith(" (and the like in 59 more lines).")
    assert lines[1:] == [
        "f.csv:62: 1 cells, but the header has 2; make them equal.",
        "Nothing was judged.",
    ]


def test_rows_given_twice_are_told_once() -> None:
    rows = "".join(f"{i},1\n{i},2\n" for i in range(60))
    with pytest.raises(FenghuoError) as caught:
        read(f"time,count\n{rows}")
    assert str(caught.value).splitlines() == [
        (
            "f.csv:3: the same series and time as line 2; keep one of them, or add them up "
            "(and the like in 59 more lines)."
        ),
        "Nothing was judged.",
    ]


def test_problems_of_many_kinds_are_bounded() -> None:
    problems = [(line, f"kind {chr(97 + line)}.") for line in range(TOLD + 5)]
    lines = bundled(problems, name="f", end="End.").splitlines()
    assert len(lines) == TOLD + 2
    assert lines[-2:] == ["and 5 more problems.", "End."]


def test_not_in_the_encoding_that_was_given() -> None:
    with pytest.raises(FenghuoError, match=re.escape("f.csv:2: not utf-8 text")):
        read_table(
            [b"time,region,count\n", "1,北京,2\n".encode("gbk")],
            name="f.csv",
            reading=Reading(encoding="utf-8"),
        )
