"""What screens show is what is stored, judged and counted elsewhere."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, LiteralString
from zoneinfo import ZoneInfo

import psycopg
import pytest
from psycopg import sql

from streams.alerts.small_cells import told_parts
from streams.demo import taiwan
from tests.support.store import rows

if TYPE_CHECKING:
    from tests.dashboards.conftest import Filled

YEAR = (datetime(2009, 1, 1, tzinfo=UTC), datetime(2009, 12, 31, tzinfo=UTC))
ZONE = ZoneInfo("Asia/Taipei")


def test_curves_are_what_was_judged(plain: Filled) -> None:
    """Judges read the same counts by other statements; every verdict has its point."""
    compared = rows(
        plain.database,
        "SELECT count(*), count(*) FILTER (WHERE abs(v.observed - s.observed) < 0.001 "
        "AND v.upper IS NOT DISTINCT FROM s.upper AND v.alarm = (s.exceedance IS NOT NULL)), "
        "count(DISTINCT v.rule) "
        "FROM verdicts v JOIN rules r USING (rule) "
        "LEFT JOIN LATERAL screen_observed(r.signal, r.rule, v.region, '*', %s, %s) s "
        "ON s.period = v.period WHERE v.observed IS NOT NULL "
        "AND v.region IN ('TW', 'TW-TPE', 'TW-PEN')",
        *YEAR,
    )
    verdicts, same, rules = compared[0]
    assert verdicts == same > 50
    assert rules == 4


@pytest.mark.parametrize(("grain", "view"), [("day", "day"), ("week", "week")])
@pytest.mark.parametrize("region", ["TW", "TW-TPE"])
def test_curves_are_the_sums_of_the_counts(
    plain: Filled, grain: str, view: LiteralString, region: str
) -> None:
    summed = rows(
        plain.database,
        f"SELECT {view}, sum(value)::float8 FROM level_counts_by_{view} WHERE signal = 'ili' "
        f"AND region = %s AND {view} >= '2009-01-05' "
        "GROUP BY 1 HAVING sum(value) <> 0 ORDER BY 1",
        region,
    )
    shown = rows(
        plain.database,
        "SELECT period, value FROM screen_series('ili', %s, %s, '*', '2009-01-05', '2009-12-31') "
        "WHERE value <> 0 ORDER BY 1",
        region,
        grain,
    )
    assert shown == summed
    assert len(shown) > 30


@pytest.mark.parametrize("grain", ["day", "rolling7", "week"])
def test_an_age_group_is_told_by_week_in_steps_and_never_below_five(
    plain: Filled, grain: str
) -> None:
    summed: dict[date, float] = dict(
        rows(
            plain.database,
            "SELECT week, sum(value)::float8 FROM level_counts_by_week WHERE signal = 'ili' "
            "AND region = 'TW-PEN' AND stratum = '7-12' GROUP BY 1",
        )
    )
    shown = rows(
        plain.database,
        "SELECT period, value FROM screen_series('ili', 'TW-PEN', %s, '7-12', %s, %s)",
        grain,
        *YEAR,
    )
    assert len(shown) > 3
    for week, value in shown:
        assert value >= 5
        assert value == summed[week] // 5 * 5


@pytest.mark.parametrize(
    "query",
    [
        "SELECT stratum FROM screen_days('ili', 'TW-PEN', '2009-01-01', '2009-12-31')",
        "SELECT stratum FROM screen_weeks('ili', 'TW-PEN', '2009-01-01', '2009-12-31')",
        "SELECT stratum FROM screen_age_weeks('ili', 'TW-PEN', '2009-01-01', '2009-12-31')",
        "SELECT value FROM level_counts",
        "SELECT value FROM counts_by_day",
        "SELECT value FROM imported_counts",
        "SELECT value FROM daily_counts",
    ],
)
def test_the_reader_reaches_no_exact_count_by_age(plain: Filled, query: LiteralString) -> None:
    with plain.connect() as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(query)


@pytest.mark.parametrize(
    "values", [(12, 3, 28), (5, 2), (5, 1), (3,), (4, 4), (1, 1, 1), (9, 4), (0, 7), (5, 5, 1, 2)]
)
def test_the_database_hides_by_the_rule_of_messages(plain: Filled, values: tuple[int, ...]) -> None:
    told = told_parts({str(place): float(value) for place, value in enumerate(values)})
    ((determined,),) = rows(
        plain.database,
        "SELECT small_cells_determined(sum(v), sum(told_step(v)), count(*) FILTER (WHERE v >= 5), "
        "count(*) FILTER (WHERE v > 0 AND v < 5)) FROM unnest(%s::float8[]) v",
        list(values),
    )
    large = [value for value in values if value >= 5]
    assert list(told.values()) == ([] if determined else [value // 5 * 5 for value in large])


def test_a_day_without_cases_is_zero_where_counts_flow_and_missing_elsewhere(plain: Filled) -> None:
    with psycopg.connect(plain.database) as connection, connection.transaction(force_rollback=True):
        connection.execute(
            "DELETE FROM daily_counts WHERE day = '2009-08-20' AND series_id IN "
            "(SELECT series_id FROM series WHERE signal = 'ili' AND region = 'TW-PEN')"
        )
        shown: dict[date, float] = dict(
            connection.execute(
                "SELECT period, value FROM screen_series('ili', 'TW-PEN', 'day', '*', %s, %s)", YEAR
            ).fetchall()
        )
    assert shown[date(2009, 8, 20)] == 0
    assert min(shown) == date(2009, 7, 27)
    assert max(shown) == date(2009, 9, 13)
    assert len(shown) == 49


def test_former_years_stand_at_the_same_week(plain: Filled) -> None:
    shown = rows(
        plain.database,
        "SELECT time, value FROM screen_former_years('ili', 'TW', '*', %s, %s) "
        "WHERE metric LIKE '1 year%%' ORDER BY 1",
        *YEAR,
    )
    stored = {
        week: float(value)
        for week, value in rows(
            plain.database,
            "SELECT week, sum(value) FROM level_counts_by_week "
            "WHERE signal = 'ili' AND region = 'TW' GROUP BY 1",
        )
    }
    assert len(shown) > 50
    for at, value in shown:
        assert value == stored[at.astimezone(ZONE).date() - timedelta(weeks=52)]


def test_the_latest_days_are_provisional(plain: Filled) -> None:
    # Of what came in lately, 95 % were there within three hours: one day is still open.
    (mark,) = rows(
        plain.database, "SELECT time, timeend FROM screen_provisional('ili', %s, %s)", *YEAR
    )
    assert [at.astimezone(ZONE).date() for at in mark] == [date(2009, 9, 13), date(2009, 9, 14)]
    late = "INSERT INTO arrivals SELECT now()::date, 'ili', 168, 9000"
    with psycopg.connect(plain.database) as connection, connection.transaction(force_rollback=True):
        connection.execute(late)
        assert connection.execute("SELECT screen_settled_after('ili')").fetchone() == (7,)
        connection.execute("DELETE FROM arrivals")
        assert connection.execute("SELECT screen_settled_after('ili')").fetchone() == (2,)


def test_small_cells_of_facilities_are_hidden_and_the_others_told_in_steps(plain: Filled) -> None:
    week = "region = 'TW-PEN' AND signal = 'ili' AND day BETWEEN '2009-09-07' AND '2009-09-13'"
    shown = "SELECT facility, observed, small FROM screen_facilities('ili', 'TW-PEN', %s)"
    with psycopg.connect(plain.database) as connection, connection.transaction(force_rollback=True):
        for number, cases in enumerate((0, 1, 4, 5), start=1):
            facility = f"TW-PEN-ED0{number}"
            connection.execute(
                f"DELETE FROM facility_counts WHERE {week} AND facility_id = %s", (facility,)
            )
            connection.execute(
                "INSERT INTO facility_counts VALUES ('TW-PEN', 'ili', '2009-09-08', %s, %s, %s)",
                (facility, taiwan.SOURCE_ID, cases),
            )
        counted = "SELECT facility_id, sum(value)::float8 FROM facility_counts"
        stored: dict[str, float] = dict(
            connection.execute(f"{counted} WHERE {week} GROUP BY 1").fetchall()
        )
        connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(plain.role)))
        told = connection.execute(shown, (YEAR[1],)).fetchall()
        # Whatever day is asked for, only whole weeks are told.
        asked = datetime(2009, 9, 18, tzinfo=UTC)
        assert connection.execute(shown, (asked,)).fetchall() == told
    assert {stored[f"TW-PEN-ED0{number}"] for number in (1, 2, 3, 4)} == {0, 1, 4, 5}
    assert {facility for facility, _, _ in told} == set(stored)
    for facility, value, small in told:
        assert small is (0 < stored[facility] < 5)
        assert value == (None if small else stored[facility] // 5 * 5)


def test_a_facility_without_history_is_told_from_one_that_is_small(plain: Filled) -> None:
    shown = "SELECT facility, usual FROM screen_facilities('ili', 'TW-PEN', %s)"
    with psycopg.connect(plain.database) as connection, connection.transaction(force_rollback=True):
        for facility, days in (("new", [8]), ("small", [8, 1])):
            for day in days:
                connection.execute(
                    "INSERT INTO facility_counts VALUES ('TW-PEN', 'ili', %s, %s, %s, %s)",
                    (
                        datetime(2009, 9, day, tzinfo=UTC).date(),
                        facility,
                        taiwan.SOURCE_ID,
                        30 if day == 8 else 3,
                    ),
                )
        told: dict[str, float | None] = dict(connection.execute(shown, (YEAR[1],)).fetchall())
    assert told["new"] is None
    assert told["small"] == 0


def test_a_lower_bound_is_called_one(plain: Filled) -> None:
    with psycopg.connect(plain.database) as connection, connection.transaction(force_rollback=True):
        changed = connection.execute(
            "UPDATE alerts SET incomplete = true "
            "WHERE alert_id = (SELECT max(alert_id) FROM alerts) "
            "RETURNING alert_id, signal, region, rule"
        ).fetchone()
        assert changed
        bounds: dict[int, str] = dict(
            connection.execute("SELECT alert_id, bound FROM screen_alerts").fetchall()
        )
        assert bounds.pop(changed[0]) == "at least 至少"
        assert set(bounds.values()) == {""}
        latest = "SELECT rule, bound FROM screen_judged(%s, 'infinity') WHERE rule = %s"
        assert connection.execute(latest, changed[2:]).fetchone() == (changed[3], "")
        connection.execute(
            "UPDATE verdicts SET reason = 'incomplete' WHERE region = %s AND rule = %s",
            changed[2:],
        )
        assert connection.execute(latest, changed[2:]).fetchone() == (changed[3], "at least 至少")
        parent = connection.execute(
            "SELECT parent FROM regions WHERE code = %s", (changed[2],)
        ).fetchone()
        below: dict[str, str] = dict(
            connection.execute(
                "SELECT region, bound FROM screen_below(%s, %s, now())",
                (changed[1], *(parent or ())),
            ).fetchall()
        )
        assert below[changed[2]] in {"", "at least 至少"}


def test_ages_are_those_of_the_week_in_steps(plain: Filled) -> None:
    told = rows(plain.database, "SELECT age, observed FROM screen_ages('ili', 'TW', %s)", YEAR[1])
    stored: dict[str, float] = dict(
        rows(
            plain.database,
            "SELECT stratum, sum(value)::float8 FROM level_counts_by_week "
            "WHERE signal = 'ili' AND region = 'TW' AND week = '2009-09-07' GROUP BY 1",
        )
    )
    assert len(told) > 3
    # A region with regions below: rounded to one of the two nearest tens, and always the same way.
    assert {age for age, _ in told} == set(stored)
    for age, value in told:
        assert value is None or (value % 10 == 0 and abs(value - stored[age]) < 10)
        assert value is not None or stored[age] < 10
    again = rows(plain.database, "SELECT age, observed FROM screen_ages('ili', 'TW', %s)", YEAR[1])
    assert again == told


def test_ages_of_the_country_are_rounded_once_and_to_both_sides(plain: Filled) -> None:
    """Exact tens stay, others go up or down; the same is told on every way."""
    asked = (
        "SELECT week, age, value FROM screen_age_weeks('ili', 'TW', %s, %s) AS a(week, age, value)"
    )
    told = {(week, age): value for week, age, value in rows(plain.database, asked, *YEAR)}
    stored: dict[tuple[date, str], float] = {
        (week, age): value
        for week, age, value in rows(
            plain.database,
            "SELECT week, stratum, sum(value)::float8 FROM level_counts_by_week "
            "WHERE signal = 'ili' AND region = 'TW' GROUP BY 1, 2",
        )
    }
    assert len(told) > 100
    differences = [value - stored[key] for key, value in told.items()]
    assert all(abs(difference) < 10 for difference in differences)
    assert all(value % 10 == 0 for value in told.values())
    assert all(told[key] == stored[key] for key in told if stored[key] % 10 == 0)
    assert min(differences) < 0 < max(differences)
    # Six standard errors: a told value is within ten of the exact one, and right on average.
    assert abs(sum(differences)) < 6 * 5 * len(differences) ** 0.5
    latest = {age: value for (week, age), value in told.items() if week == date(2009, 9, 7)}
    for end in (YEAR[1], datetime(2009, 9, 18, tzinfo=UTC)):
        screen = rows(plain.database, "SELECT age, observed FROM screen_ages('ili', 'TW', %s)", end)
        assert {age: value for age, value in screen if value is not None} == latest


def test_ages_of_a_region_without_regions_below_are_in_steps(plain: Filled) -> None:
    told: dict[str, float | None] = dict(
        rows(plain.database, "SELECT age, observed FROM screen_ages('ili', 'TW-PEN', %s)", YEAR[1])
    )
    stored: dict[str, float] = dict(
        rows(
            plain.database,
            "SELECT stratum, sum(value)::float8 FROM level_counts_by_week "
            "WHERE signal = 'ili' AND region = 'TW-PEN' AND week = '2009-09-07' GROUP BY 1",
        )
    )
    expected = told_parts(stored)
    assert {age: value for age, value in told.items() if value is not None} == expected
    assert expected


def test_what_is_usual_is_told_in_the_same_steps(plain: Filled) -> None:
    """Downwards, as counts are; in the table of facilities less than a step has no value."""
    ages = rows(plain.database, "SELECT age, usual FROM screen_ages('ili', 'TW-PEN', %s)", YEAR[1])
    means: dict[str, float] = dict(
        rows(
            plain.database,
            "SELECT stratum, (sum(value) / 8)::float8 FROM level_counts_by_week "
            "WHERE signal = 'ili' AND region = 'TW-PEN' "
            "AND week BETWEEN '2009-07-13' AND '2009-09-06' GROUP BY 1",
        )
    )
    assert {age: usual or 0 for age, usual in ages} == {
        age: means.get(age, 0) // 5 * 5 for age, _ in ages
    }
    assert any(mean % 5 > 2.5 for mean in means.values())
    found = rows(
        plain.database,
        "SELECT facility, usual FROM screen_facilities('ili', 'TW-PEN', %s)",
        YEAR[1],
    )
    usual: dict[str, float] = dict(
        rows(
            plain.database,
            "SELECT facility_id, (sum(value) / least(8, (date '2009-09-07' - min(e.first)) / 7)) "
            "FROM facility_counts, screen_extent('ili', 'TW-PEN') e "
            "WHERE signal = 'ili' AND region = 'TW-PEN' "
            "AND day BETWEEN '2009-07-13' AND '2009-09-06' GROUP BY 1",
        )
    )
    assert found
    assert dict(found) == {name: usual.get(name, 0) // 5 * 5 or None for name, _ in found}


def test_rounding_to_tens_is_right_on_average(plain: Filled) -> None:
    found = rows(
        plain.database,
        "SELECT v::float8, avg(coalesce(told_tens(v, v || '|' || n), 0))::float8 "
        "FROM generate_series(0, 30, 3) v, generate_series(1, 2000) n GROUP BY v ORDER BY v",
    )
    # Five standard errors: a told value varies by less than five around the exact one.
    assert all(abs(mean - value) < 5 * 5 / 2000**0.5 for value, mean in found)


def test_sources_are_silent_by_their_own_habits(plain: Filled) -> None:
    silent: dict[str, bool] = dict(
        rows(plain.database, "SELECT source_id, silent FROM screen_sources")
    )
    assert silent == {
        "his-silent": True,
        "his-1": False,
        "till-weekly": False,
        # Heard on one day only.
        "simulated-pharmacy": False,
        "taiwan-rods-expanded": False,
    }
