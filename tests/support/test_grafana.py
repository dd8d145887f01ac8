from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.support.grafana import Range, UnknownMacro, expand, used_variables

if TYPE_CHECKING:
    from collections.abc import Sequence

SPAN = Range(
    datetime(2017, 4, 21, 5, 1, 17, tzinfo=UTC), datetime(2017, 4, 21, 5, 6, 17, tzinfo=UTC), "5m"
)
FROM, TO = "'2017-04-21T05:01:17.000Z'", "'2017-04-21T05:06:17.000Z'"


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("$__time(at)", 'at AS "time"'),
        ("$__timeFilter(a.at)", f"a.at BETWEEN {FROM} AND {TO}"),
        ("$__timeFilter(f(at, 1))", f"f(at, 1) BETWEEN {FROM} AND {TO}"),
        ("f($__timeFrom(), $__timeTo())", f"f({FROM}, {TO})"),
        ("$__timeGroup(at,'5m')", "floor(extract(epoch from at)/300)*300"),
        ("$__timeGroupAlias(at, '1h', 0)", 'floor(extract(epoch from at)/3600)*3600 AS "time"'),
        ("$__timeGroup(at, $__interval)", "floor(extract(epoch from at)/300)*300"),
        ("$__unixEpochFilter(at)", "at >= 1492750877 AND at <= 1492751177"),
        ("interval '$__interval'", "interval '5m'"),
        ("$__interval_ms", "300000"),
        ("${__from}", "1492750877000"),
        ("signal = ${signal:sqlstring}", "signal = 'o''clock'"),
        ("signal = '$signal'", "signal = 'o'clock'"),
        ("IN ($several)", "IN ('a','b')"),
        ("IN (${several:sqlstring})", "IN ('a','b')"),
        ("IN (${several:csv})", "IN (a,b)"),
        ("[[signal:raw]]", "o'clock"),
        ("${signal:percentencode}", "o%27clock"),
    ],
)
def test_is_filled_in_as_documented(written: str, sent: str) -> None:
    variables: dict[str, str | Sequence[str]] = {"signal": "o'clock", "several": ["a", "b"]}
    assert expand(written, SPAN, variables) == sent


def test_with_timescaledb_time_is_grouped_by_its_own_function() -> None:
    assert expand("$__timeGroup(at,'5m')", SPAN, {}, timescale=True) == "time_bucket('300.000s',at)"


@pytest.mark.parametrize("written", ["$__timeFliter(at)", "$unknown", "${x:nosuch}", "$__x"])
def test_what_is_unknown_is_told(written: str) -> None:
    with pytest.raises(UnknownMacro):
        expand(written, SPAN, {"x": "1"})


def test_variables_of_a_text() -> None:
    assert used_variables("$a ${b:csv} [[c]] ${__data.fields.d} $__timeFrom()") == {"a", "b", "c"}


def test_what_is_filled_in_is_sql(database_server: str) -> None:
    sql = (
        "SELECT 1 WHERE $__timeFilter('2017-04-21 05:02Z'::timestamptz) "
        "AND ${a:sqlstring} = 'o''clock' AND interval '$__interval' = '5 minutes'"
    )
    with psycopg.connect(database_server) as connection:
        found = connection.execute(expand(sql, SPAN, {"a": "o'clock"}).encode()).fetchall()
    assert found == [(1,)]
