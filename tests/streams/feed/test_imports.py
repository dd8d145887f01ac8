from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest

from schemas.counts import Count, ImportGrain
from streams.errors import StoreError
from streams.store.imports import Chosen, Imported, import_counts, remove_imports

if TYPE_CHECKING:
    from collections.abc import Iterator

MONDAY = date(2009, 8, 3)


@pytest.fixture
def connection(database_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database_url) as connection:
        yield connection


def count(
    value: float,
    *,
    region: str = "TW-TPE",
    stratum: str = "all",
    period: date = MONDAY,
    grain: ImportGrain = "week",
) -> Count:
    return Count(
        signal="ili", region=region, stratum=stratum, grain=grain, period=period, value=value
    )


def stored(connection: psycopg.Connection) -> list[tuple[object, ...]]:
    return connection.execute(
        "SELECT region, stratum, grain, period, value::float8 FROM imported_counts "
        "ORDER BY 1, 2, 3, 4"
    ).fetchall()


def pending(connection: psycopg.Connection) -> list[tuple[object, ...]]:
    """Spans of days that wait for a judge, without those of the nation above."""
    assert connection.execute("SELECT count(*) FROM pending_judgements").fetchone() == (0,)
    found = connection.execute(
        "SELECT region, first_day, last_day FROM pending_spans WHERE signal = 'ili' ORDER BY 1, 2"
    ).fetchall()
    assert {region for region, *_ in found} >= ({"TW"} if found else set())
    return [row for row in found if row[0] != "TW"]


def add_live(
    connection: psycopg.Connection, day: date, *, region: str = "TW-TPE", value: float = 2
) -> None:
    connection.execute(
        "INSERT INTO series (signal, region, stratum) VALUES ('ili', %s, 'all') "
        "ON CONFLICT DO NOTHING",
        (region,),
    )
    connection.execute(
        "INSERT INTO daily_counts (series_id, day, value) SELECT series_id, %s, %s FROM series "
        "WHERE region = %s",
        (day, value, region),
    )


def test_counts_are_stored_and_their_series_judged_again(connection: psycopg.Connection) -> None:
    done = import_counts(
        connection,
        [count(1), count(2.5, period=MONDAY + timedelta(7)), count(0, region="TW-KHH")],
        replace=False,
    )
    assert done == Imported(3, 3, 0, 2, MONDAY, MONDAY + timedelta(7), 0, 0, 0)
    assert stored(connection) == [
        ("TW-KHH", "all", "week", MONDAY, 0),
        ("TW-TPE", "all", "week", MONDAY, 1),
        ("TW-TPE", "all", "week", MONDAY + timedelta(7), 2.5),
    ]
    assert pending(connection) == [
        ("TW-KHH", MONDAY, MONDAY + timedelta(6)),
        ("TW-TPE", MONDAY, MONDAY + timedelta(13)),
    ]


def test_importing_again_changes_only_what_differs(connection: psycopg.Connection) -> None:
    import_counts(connection, [count(1), count(2, region="TW-KHH")], replace=False)
    connection.execute("DELETE FROM pending_spans")

    done = import_counts(connection, [count(1), count(3, region="TW-KHH")], replace=False)

    assert (done.counts, done.added, done.changed) == (2, 0, 1)
    assert [row[-1] for row in stored(connection)] == [3, 1]
    assert pending(connection) == [("TW-KHH", MONDAY, MONDAY + timedelta(6))]


def test_other_strata_of_the_period_are_replaced(connection: psycopg.Connection) -> None:
    import_counts(connection, [count(1, stratum="0-6"), count(2, stratum="7-12")], replace=False)
    connection.execute("DELETE FROM pending_spans")

    done = import_counts(connection, [count(3)], replace=False)

    assert (done.added, done.replaced, done.replaced_value) == (1, 2, 3)
    assert stored(connection) == [("TW-TPE", "all", "week", MONDAY, 3)]
    assert pending(connection) == [("TW-TPE", MONDAY, MONDAY + timedelta(6))]


@pytest.mark.parametrize("day", [MONDAY, MONDAY + timedelta(6)])
def test_live_counts_are_not_covered_unasked(connection: psycopg.Connection, day: date) -> None:
    add_live(connection, day)
    counts = [count(5), count(6, period=MONDAY - timedelta(7))]
    with pytest.raises(StoreError, match=r"1 of these periods .*TW-TPE.*2009-08-03.*--replace"):
        import_counts(connection, counts, replace=False)
    assert stored(connection) == []
    assert pending(connection) == []

    assert import_counts(connection, counts, replace=True).hidden == 2

    week = connection.execute(
        "SELECT value::float8 FROM counts_by_week WHERE region = 'TW-TPE' AND week = %s", (MONDAY,)
    ).fetchall()
    assert week == [(5,)]


@pytest.mark.parametrize(
    ("day", "value"), [(MONDAY - timedelta(1), 2), (MONDAY + timedelta(7), 2), (MONDAY, 0)]
)
def test_live_counts_beside_the_period_do_not_matter(
    connection: psycopg.Connection, day: date, value: float
) -> None:
    add_live(connection, day, value=value)
    assert import_counts(connection, [count(5)], replace=False).added == 1


def test_counts_above_and_below_each_other_are_refused(connection: psycopg.Connection) -> None:
    with pytest.raises(StoreError, match="imported counts for the same time"):
        import_counts(connection, [count(1), count(9, region="TW")], replace=False)
    assert stored(connection) == []

    import_counts(connection, [count(1)], replace=False)
    with pytest.raises(StoreError, match=r"TW on 2009-08-05: TW-TPE, .* imported"):
        import_counts(
            connection, [count(9, region="TW", grain="day", period=date(2009, 8, 5))], replace=True
        )
    assert len(stored(connection)) == 1


def test_a_total_over_live_counts_of_its_parts_is_refused_even_to_replace(
    connection: psycopg.Connection,
) -> None:
    add_live(connection, MONDAY)
    with pytest.raises(StoreError, match="TW-TPE, which lies above or below it, has live counts"):
        import_counts(connection, [count(9, region="TW")], replace=True)


def test_a_region_that_the_database_does_not_know(connection: psycopg.Connection) -> None:
    with pytest.raises(StoreError, match="fenghuo db migrate"):
        import_counts(connection, [count(1, region="330106")], replace=False)


def test_the_same_count_twice(connection: psycopg.Connection) -> None:
    with pytest.raises(StoreError, match="Two counts of the same period"):
        import_counts(connection, [count(1), count(2)], replace=False)


def test_nothing_to_import(connection: psycopg.Connection) -> None:
    assert import_counts(connection, [], replace=False) == Imported(0, 0, 0, 0, None, None, 0, 0, 0)


def test_an_import_commits_by_itself_or_with_the_callers_transaction(
    connection: psycopg.Connection, database_url: str
) -> None:
    with connection.transaction(force_rollback=True):
        import_counts(connection, [count(1)], replace=False)
    with psycopg.connect(database_url) as other:
        assert stored(other) == []
        import_counts(connection, [count(1)], replace=False)
        assert len(stored(other)) == 1


def levels(connection: psycopg.Connection) -> set[tuple[object, ...]]:
    return set(
        connection.execute(
            "SELECT region, grain, period, value::float8 FROM level_counts WHERE value <> 0"
        )
    )


@pytest.mark.parametrize("grain", ["day", "week"])
def test_an_import_is_taken_back(connection: psycopg.Connection, grain: ImportGrain) -> None:
    add_live(connection, MONDAY + timedelta(7), value=210)
    import_counts(connection, [count(5), count(7, region="TW-KHH")], replace=False)
    before, kept = levels(connection), stored(connection)
    period = MONDAY + timedelta(7)
    import_counts(connection, [count(12, period=period, grain=grain)], replace=True)
    assert levels(connection) != before
    connection.execute("DELETE FROM pending_spans")
    chosen = Chosen("ili", grain, ("TW-TPE",), period, period)

    planned = remove_imports(connection, chosen, dry_run=True)
    assert planned == (1, 1, period, period, 12, 210)
    assert len(stored(connection)) == 3
    assert pending(connection) == []

    assert remove_imports(connection, chosen, dry_run=False) == planned
    assert stored(connection) == kept
    last = period + timedelta(6 if grain == "week" else 0)
    assert pending(connection) == [("TW-TPE", period, last)]
    assert levels(connection) == before
    assert remove_imports(connection, chosen, dry_run=False) == (0, 0, None, None, 0, 0)
    assert levels(connection) == before


def test_all_regions_and_periods_of_an_import_are_taken_back(
    connection: psycopg.Connection,
) -> None:
    import_counts(
        connection,
        [
            count(1),
            count(2, region="TW-KHH"),
            count(3, stratum="0-6", period=MONDAY + timedelta(7)),
        ],
        replace=False,
    )
    assert remove_imports(connection, Chosen("ili", "day"), dry_run=False).counts == 0
    assert remove_imports(connection, Chosen("ili", "week"), dry_run=False).counts == 3
    assert stored(connection) == []
    assert levels(connection) == set()
