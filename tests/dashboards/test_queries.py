"""Every query of every dashboard, run as Grafana runs it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.support.dashboards import UIDS, Query, dashboards, queries
from tests.support.grafana import Range, expand

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import psycopg

    from tests.dashboards.conftest import Filled

NOW = datetime.now(UTC)
#: The data are of 2009; what tells of the machinery is of now.
THEN_AND_NOW = (
    Range(datetime(2009, 1, 1, tzinfo=UTC), datetime(2009, 9, 14, tzinfo=UTC), "1d"),
    Range(NOW - timedelta(hours=6), NOW + timedelta(minutes=5), "1m"),
    Range(NOW - timedelta(days=30), NOW + timedelta(minutes=5), "1h"),
)
TAIPEI: Final[dict[str, str | Sequence[str]]] = {
    "level": "county",
    "region": "TW-TPE",
    "signal": "ili",
    "signals": ["ili", "antipyretic"],
    "rule": "ili-county-week",
    "age": "*",
    "web_url": "https://fenghuo.example.org",
}
NATION: Final = TAIPEI | {"level": "nation", "region": "TW", "rule": "ili-nation-week"}
#: Which the demo's data leave empty in Taipei: nothing lies below it.
EMPTY_IN_TAIPEI: Final = {
    "signal: Regions below 下级地区",
    "quality: Least complete regions 完整率最低的地区",
}

TIME, DATE, TEXT, BOOL = {1184}, {1082}, {25, 1043, 19}, {16}
NUMBER: Final = {20, 21, 23, 700, 701, 1700}
ALL: Final = queries()


def scoped(query: Query, chosen: dict[str, Any]) -> dict[str, Any]:
    """Choose one value of the variable that a panel is repeated for."""
    repeat = query.panel.get("repeat")
    return chosen | {repeat: chosen[repeat][0]} if repeat else chosen


@pytest.fixture(scope="module")
def connection(filled: Filled) -> Iterator[psycopg.Connection]:
    with filled.connect() as connection:
        yield connection


def run(
    connection: psycopg.Connection, query: Query, chosen: dict[str, Any], span: Range
) -> tuple[dict[str, int], list[tuple[Any, ...]]]:
    """Return the types of the columns, and the rows."""
    sql = expand(query.sql, span, scoped(query, chosen))
    with connection.cursor() as cursor:
        cursor.execute(sql.encode())
        columns = [(column.name, column.type_code) for column in cursor.description or []]
        assert len(dict(columns)) == len(columns), "two columns have the same name"
        return dict(columns), cursor.fetchall()


@pytest.mark.parametrize("query", ALL, ids=lambda query: query.label)
def test_runs_and_returns_what_its_panel_needs(
    connection: psycopg.Connection, query: Query
) -> None:
    rows = 0
    for chosen in (NATION, TAIPEI):
        for span in THEN_AND_NOW:
            columns, found = run(connection, query, chosen, span)
            CHECKS[query.kind](query, columns, found)
            rows += len(found)
    assert rows


@pytest.mark.parametrize("query", ALL, ids=lambda query: query.label)
@pytest.mark.parametrize("chosen", [NATION, TAIPEI], ids=["nation", "Taipei"])
def test_returns_rows_where_there_are_data(
    plain: Filled, query: Query, chosen: dict[str, Any]
) -> None:
    with plain.connect() as connection:
        found = [run(connection, query, chosen, span)[1] for span in THEN_AND_NOW]
    values = [value for rows in found for row in rows for value in row if value is not None]
    empty = chosen is TAIPEI and query.label in EMPTY_IN_TAIPEI
    assert bool(values) is not empty


def check_time_series(query: Query, columns: dict[str, int], rows: list[Any]) -> None:
    assert query.format == "time_series"
    (time, kind), *others = columns.items()
    assert (time, kind in TIME) == ("time", True)
    if [name for name, _ in others] == ["metric", "value"]:
        assert columns["metric"] in TEXT
        assert columns["value"] in NUMBER
    else:
        assert others
        assert all(kind in NUMBER for _, kind in others)
        named = {p["matcher"]["options"] for p in query.panel["fieldConfig"]["overrides"]}
        assert named <= set(columns)
        for override in query.panel["fieldConfig"]["overrides"]:
            for change in override["properties"]:
                if change["id"] == "custom.fillBelowTo":
                    assert change["value"] in columns
    times = [row[0] for row in rows]
    assert times == sorted(times)
    assert len(set(rows)) == len(rows)


def check_stat(_: Query, columns: dict[str, int], rows: list[Any]) -> None:
    assert len(columns) == 1
    assert set(columns.values()) <= NUMBER | TIME
    assert len(rows) <= 1


def check_table(query: Query, columns: dict[str, int], _: list[Any]) -> None:
    """Everything that the panel says of a column is said of one that is there."""
    assert query.format == "table"
    told = {p["matcher"]["options"] for p in query.panel["fieldConfig"]["overrides"]}
    assert told <= set(columns)
    linked = set(re.findall(r"__data\.fields\.(\w+)", str(query.panel["fieldConfig"])))
    assert linked <= set(columns)
    assert set(columns) <= told, "a column without a title in both languages"
    assert all(kind in NUMBER | TEXT | TIME | BOOL for kind in columns.values())


def check_geomap(query: Query, columns: dict[str, int], rows: list[Any]) -> None:
    check_table(query, columns, rows)
    (layer,) = query.panel["options"]["layers"]
    place, style = layer["location"], layer["config"]["style"]
    for name in (place["latitude"], place["longitude"], style["size"]["field"]):
        assert columns[name] in NUMBER
    assert columns[style["color"]["field"]] in NUMBER
    names = list(columns)
    for row in rows:
        at = dict(zip(names, row, strict=True))
        assert -90 <= at["lat"] <= 90
        assert -180 <= at["lon"] <= 180


def check_bar_chart(query: Query, columns: dict[str, int], rows: list[Any]) -> None:
    check_table(query, columns, rows)
    across = query.panel["options"]["xField"]
    assert columns[across] in TEXT
    assert all(kind in NUMBER for name, kind in columns.items() if name != across)
    assert len({row[list(columns).index(across)] for row in rows}) == len(rows)


def check_annotation(_: Query, columns: dict[str, int], rows: list[Any]) -> None:
    assert list(columns) == ["time", "timeend", "text", "tags"]
    assert {columns["time"], columns["timeend"]} <= TIME
    assert {columns["text"], columns["tags"]} <= TEXT
    assert all(row[0] <= row[1] and row[2] and row[3] for row in rows)


def check_variable(query: Query, columns: dict[str, int], rows: list[Any]) -> None:
    if query.panel["hide"]:
        assert len(columns) == 1
        assert len(rows) == 1
        return
    assert set(columns) == {"__text", "__value"}
    texts = [row[list(columns).index("__text")] for row in rows]
    assert len(set(texts)) == len(texts)
    assert all(texts)


CHECKS: Final = {
    "timeseries": check_time_series,
    "stat": check_stat,
    "table": check_table,
    "geomap": check_geomap,
    "barchart": check_bar_chart,
    "annotation": check_annotation,
    "variable": check_variable,
}


def test_no_dashboard_is_left_out() -> None:
    assert {query.dashboard for query in ALL} == set(UIDS) == set(dashboards())
    assert {"panel", "variable", "annotation"} == {
        query.kind if query.kind in {"variable", "annotation"} else "panel" for query in ALL
    }
