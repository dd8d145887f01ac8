"""An attack: all that a viewer sees of one alert, by every way, solved for each hidden cell.

The attacker knows every facility and age group, the exact totals of regions by day, and how parts
are told. No facility's or age group's count from 1 to 4 may have a single possible value.
"""

from __future__ import annotations

import asyncio
import csv
import io
import json
import re
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import psycopg
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from scipy.optimize import Bounds, LinearConstraint, milp

from schemas.alerts import Explained
from streams.alerts.explaining import explain, roll_up
from streams.alerts.small_cells import event_to_tell
from streams.notify.entries import make_entry
from streams.store.alerts import get_history
from tests.streams.web.test_api_alerts import signed
from tests.support.alerts import alert_of, figures, open_alert, tell
from tests.support.store import empty

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from schemas.alerts import Explanation
    from streams.config import Configuration
    from tests.support.web import Browser

MONDAY = date(2025, 3, 3)
DAYS = (MONDAY, MONDAY + timedelta(days=1))
NATION, REGIONS = "TW", ("TW-TPE", "TW-KEE")
FACILITIES = ("a", "b")
AGES = ("0-6", "19-64", "65+")
SMALL = range(1, 5)

#: A case's region, facility, age group and day.
Cell = tuple[str, str, str, date]
World = dict[Cell, int]
CELLS: list[Cell] = list(product(REGIONS, FACILITIES, AGES, DAYS))
PLACE = {cell: i for i, cell in enumerate(CELLS)}


def world_of(*values: int) -> World:
    return dict(zip(CELLS, values, strict=True))


counts = st.one_of(st.just(0), st.integers(0, 4), st.integers(0, 12))


def only(world: World, kept: set[tuple[str, str]]) -> World:
    """Leave the cases of some facilities and age groups: whole groups have something in common."""
    return {
        cell: count if {(cell[0], cell[1]), (cell[0], cell[2])} <= kept else 0
        for cell, count in world.items()
    }


worlds = st.builds(
    only,
    st.tuples(*[counts] * len(CELLS)).map(lambda values: world_of(*values)),
    st.one_of(
        st.just({*product(REGIONS, FACILITIES + AGES)}),
        st.sets(st.sampled_from([*product(REGIONS, FACILITIES + AGES)])),
    ),
)


class Part(NamedTuple):
    """A facility's or an age group's count over some days, in a region of any level."""

    region: str
    facility: str | None
    age: str | None
    days: tuple[date, ...]

    def holds(self, cell: Cell) -> bool:
        region, facility, age, day = cell
        return (
            self.region in {region, NATION}
            and self.facility in {None, facility}
            and self.age in {None, age}
            and day in self.days
        )

    def value(self, world: World) -> int:
        return sum(count for cell, count in world.items() if self.holds(cell))


#: What the attacker knows of parts: at least, at most.
Known = list[tuple[Part, float, float]]


def totals(world: World) -> Known:
    """Counts of regions are told exactly."""
    parts = [Part(region, None, None, (day,)) for region in (NATION, *REGIONS) for day in DAYS]
    return [(part, part.value(world), part.value(world)) for part in parts]


def hidden(world: World) -> list[Part]:
    parts = [
        *(Part(r, f, None, days) for r in REGIONS for f in FACILITIES for days in (DAYS, DAYS[:1])),
        *(Part(r, None, a, days) for r in (NATION, *REGIONS) for a in AGES
          for days in (DAYS, DAYS[:1])),
    ]  # fmt: skip
    return [part for part in parts if part.value(world) in SMALL]


def possible(part: Part, known: Known) -> tuple[int, int]:
    """Return the least and the greatest value that fits all that is known."""
    row = np.array([float(part.holds(cell)) for cell in CELLS])
    matrix = np.array([[float(one.holds(cell)) for cell in CELLS] for one, _, _ in known])
    fits = LinearConstraint(matrix, [low for _, low, _ in known], [high for _, _, high in known])
    ends = []
    for sign in (1, -1):
        found = milp(
            sign * row, constraints=fits, integrality=np.ones(len(CELLS)), bounds=Bounds(0, 200)
        )
        assert found.success, found.message
        ends.append(round(sign * found.fun))
    return ends[0], ends[1]


# ---------------------------------------------------------------- what is stored


def fill(database: str, world: World) -> None:
    """Store counts as commits and roll-ups leave them; a case of the next week ends this one.

    All facilities and age groups have counts two weeks before, so that zeros of this one are told.
    """
    before, later = MONDAY - timedelta(days=14), MONDAY + timedelta(days=7)
    known = {(*cell[:3], before): 7 for cell in CELLS}
    stored = {**known, **world, (REGIONS[0], "a", AGES[1], later): 1}
    with psycopg.connect(database) as connection:
        for (region, facility, age, day), count in stored.items():
            if not count:
                continue
            connection.execute(
                "INSERT INTO series (signal, region, stratum) VALUES ('ili', %s, %s) "
                "ON CONFLICT DO NOTHING",
                (region, age),
            )
            connection.execute(
                "INSERT INTO daily_counts AS d (series_id, day, value) SELECT series_id, %s, %s "
                "FROM series WHERE signal = 'ili' AND region = %s AND stratum = %s "
                "ON CONFLICT (series_id, day) DO UPDATE SET value = d.value + EXCLUDED.value",
                (day, count, region, age),
            )
            connection.execute(
                "INSERT INTO facility_counts AS f (region, signal, day, facility_id, source_id, "
                "value) VALUES (%s, 'ili', %s, %s, 'his', %s) ON CONFLICT "
                "(region, signal, day, facility_id, source_id) "
                "DO UPDATE SET value = f.value + EXCLUDED.value",
                (region, day, facility, count),
            )
            week = day - timedelta(days=day.weekday())
            for grain, period in (("day", day), ("week", week)):
                connection.execute(
                    "INSERT INTO level_counts AS l (region, signal, grain, period, stratum, value) "
                    "VALUES ('TW', 'ili', %s, %s, %s, %s) ON CONFLICT "
                    "(region, signal, grain, period, stratum) "
                    "DO UPDATE SET value = l.value + EXCLUDED.value",
                    (grain, period, age, count),
                )


def raised(database: str, configuration: Configuration, grain: str, region: str) -> int:
    period = {"week": MONDAY, "day": MONDAY, "rolling7": DAYS[1]}[grain]
    alert_id = open_alert(
        database, region=region, first_period=period, figures=figures(25, period), grain=grain
    )

    async def run() -> Explanation:
        async with await psycopg.AsyncConnection.connect(database) as connection:
            alert = alert_of(database, alert_id)
            await roll_up(connection)
            (found,) = await explain(connection, [alert], configuration, datetime.now(UTC))
            return found

    tell(database, alert_id, Explained(explanation=asyncio.run(run())))
    return alert_id


# ---------------------------------------------------------------- what is seen


def steps(value: float) -> tuple[float, float]:
    return value, value + 4


def rounded(value: float) -> tuple[float, float]:
    return value - 9, value + 9


def of_age(
    region: str, age: str, days: tuple[date, ...], value: float
) -> tuple[Part, float, float]:
    return Part(region, None, age, days), *(rounded if region == NATION else steps)(value)


def with_left_out(known: Known, region: str, days: tuple[date, ...]) -> Known:
    """Add what was left out of one list: it is too small, or nothing of its region is told."""
    told = {part for part, _, _ in known}
    places = [one for one in REGIONS if any(part.region == one and part.facility for part in told)]
    absent = [Part(place, name, None, days) for place in places for name in FACILITIES]
    by_age = any(part.age and part.region == region for part in told)
    if by_age:
        absent += [Part(region, None, age, days) for age in AGES]
    most = {NATION: 9.0}
    return known + [(part, 0.0, most.get(part.region, 4.0)) for part in absent if part not in told]


def by_lines(viewer: Browser, alert_id: int, region: str) -> Known:
    lines = viewer.get(f"/api/v1/alerts/{alert_id}/lines").json()
    days = tuple(day for day in DAYS if lines["first"] <= str(day) <= lines["last"])
    known: Known = [
        *((Part(one["region"], one["facility"], None, days), *steps(one["value"]))
          for one in lines["facilities"]),
        *(of_age(region, one["name"], days, one["value"]) for one in lines["ages"]),
    ]  # fmt: skip
    return with_left_out(known, region, days)


def by_texts(viewer: Browser, alert_id: int, region: str) -> Known:
    """Read the export; the page shows the same."""
    text = viewer.get(f"/alerts/{alert_id}/lines.csv").text
    exported = list(csv.reader(io.StringIO(text)))[1:]
    page = viewer.get(f"/alerts/{alert_id}/lines").text
    shown = re.findall(r'class="num total">([^<]+)<', page)
    assert shown == [row[-1] for row in exported]
    known: Known = []
    for _, place, facility, day, age, count in exported:
        assert day == ""
        value = float(re.split("[–≈]", count)[1 if count.startswith("≈") else 0])
        if facility:
            known.append((Part(place, facility, None, DAYS), *steps(value)))
        else:
            known.append(of_age(region, age, DAYS, value))
    return known


def by_explanation(told: Mapping[str, Any], alert: Mapping[str, Any]) -> Known:
    """Read an explanation as messages, the topic and the API tell it: of the alert's period."""
    days = DAYS[:1] if alert["grain"] == "day" else DAYS
    if alert["region"] == NATION:
        assert told["age_groups"] == []
        # It is not said of which region a facility is: both have one of each name.
        return []
    known: Known = [
        *((Part(alert["region"], one["name"], None, days), *steps(one["observed"]))
          for one in told["facilities"]),
        *(of_age(alert["region"], one["name"], days, one["observed"])
          for one in told["age_groups"]),
    ]  # fmt: skip
    return with_left_out(known, alert["region"], days)


def by_dashboards(database: str) -> Known:
    known: Known = []
    with psycopg.connect(database) as connection:
        for region in (NATION, *REGIONS):
            ages = ages_of(connection, region)
            known += with_left_out(ages, region, DAYS) if region != NATION else ages
            for place, _, facility, value, _, small in connection.execute(
                "SELECT * FROM screen_facilities('ili', %s, '2025-03-10 12:00Z')", (region,)
            ).fetchall():
                if small or value is not None:
                    bounds = (1.0, 4.0) if small else (0.0, 0.0) if not value else steps(value)
                    known.append((Part(place, facility, None, DAYS), *bounds))
    return known


def ages_of(connection: psycopg.Connection, region: str) -> Known:
    week = datetime(2025, 3, 3, 12, tzinfo=UTC)
    found = [
        (age, value)
        for age, value, _ in connection.execute(
            "SELECT * FROM screen_ages('ili', %s, '2025-03-10 12:00Z')", (region,)
        ).fetchall()
    ]
    found += [
        (age, value)
        for _, age, value in connection.execute(
            "SELECT * FROM screen_age_curves('ili', %s, %s, %s)", (region, week, week)
        ).fetchall()
    ]
    for age, grain in product(AGES, ("day", "week", "rolling7")):
        for _, period, value in connection.execute(
            "SELECT * FROM screen_series('ili', %s, %s, %s, %s, %s)",
            (region, grain, age, week, week),
        ).fetchall():
            assert period == MONDAY
            found.append((age, value))
    return [of_age(region, age, DAYS, value) for age, value in found if value is not None]


def seen(
    database: str, configuration: Configuration, viewer: Browser, alert_id: int, region: str
) -> Known:
    alert = viewer.get(f"/api/v1/alerts/{alert_id}").json()
    history = viewer.get(f"/api/v1/alerts/{alert_id}/history").json()["events"]
    with psycopg.connect(database) as connection:
        event = get_history(connection, alert_id)[-1]
    entry = make_entry(
        event, alert_of(database, alert_id), configuration,
        channel="duty", secret=None, now=datetime.now(UTC),
    )  # fmt: skip
    explanations = [
        alert["explanation"],
        history[-1]["change"]["explanation"],
        json.loads(event_to_tell(event).model_dump_json())["change"]["explanation"],
        json.loads(entry.alert.model_dump_json())["explanation"],
    ]
    known = by_lines(viewer, alert_id, region) + by_texts(viewer, alert_id, region)
    for told in explanations:
        known += by_explanation(told, alert)
    return known + by_dashboards(database)


@pytest.fixture
def viewer(browser: Browser, database: str) -> Iterator[Browser]:
    yield signed(browser, database, "chen", "viewer", NATION)
    empty(database)


@example(
    # All 5 of a county's week in one facility: the exact total of a day was the facility's.
    world=world_of(0, 0, 0, 3, 1, 1, *[0] * 6, 2, 0, 9, 1, 2, 8, 5, 1, 8, 10, 0, 1),
    grain="week",
    region="TW-KEE",
)
@example(
    # A nation's only case, its age group rounded up to ten: it is not none.
    world=world_of(*[0] * 6, 1, *[0] * 17),
    grain="rolling7",
    region="TW-KEE",
)
@settings(
    max_examples=25,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # a smaller world takes minutes to find
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    world=worlds,
    grain=st.sampled_from(["day", "week", "rolling7"]),
    region=st.sampled_from([NATION, *REGIONS]),
)
def test_no_hidden_cell_is_found_from_all_that_a_viewer_sees(
    viewer: Browser,
    database: str,
    configuration: Configuration,
    world: World,
    grain: str,
    region: str,
) -> None:
    empty(database)
    fill(database, world)
    alert_id = raised(database, configuration, grain, region)
    known = seen(database, configuration, viewer, alert_id, region)
    for part, low, high in known:
        assert low <= part.value(world) <= high, part  # what is told is true
    found = {part: possible(part, known + totals(world)) for part in hidden(world)}
    pinned = {part: ends for part, ends in found.items() if ends[0] == ends[1]}
    by_totals = {part for part in pinned if len(set(possible(part, totals(world)))) == 1}
    assert pinned.keys() <= by_totals, pinned


def test_a_week_does_not_give_a_day_away(
    viewer: Browser, database: str, configuration: Configuration
) -> None:
    """4 of a day among 5 of the week, whose other days have one case: told by different ways."""
    world: World = defaultdict(int, dict.fromkeys(CELLS, 0))
    day, other = DAYS
    region = REGIONS[0]
    world[region, "a", AGES[0], day] = 4
    world[region, "a", AGES[0], other] = 1
    world[region, "b", AGES[1], day] = 22
    fill(database, world)
    alert_id = raised(database, configuration, "day", region)
    known = seen(database, configuration, viewer, alert_id, region) + totals(world)
    assert [Part(region, "a", None, (day,)).value(world)] == [4]
    for part in (Part(region, "a", None, (day,)), Part(region, None, AGES[0], (day,))):
        low, high = possible(part, known)
        assert low < high, part


@pytest.mark.parametrize("parts", [(1,), (11,), (1, 1), (21, 1), (2, 11, 1)])
def test_tens_do_not_add_up_to_the_exact_total(database: str, parts: tuple[int, ...]) -> None:
    """Who knows that an age group is at least 1, and that there is 1 case, knows all of them."""
    total, weeks = sum(parts), 300
    with psycopg.connect(database) as connection:
        connection.execute(
            "INSERT INTO level_counts (region, signal, grain, period, stratum, value) "
            "SELECT 'TW', 'ili', 'week', %s::date - 7 * n, a.age, a.count "
            "FROM generate_series(1, %s) n, unnest(%s::text[], %s::int[]) AS a(age, count)",
            (MONDAY, weeks, list(AGES[: len(parts)]), list(parts)),
        )
        told = connection.execute(
            "SELECT week, sum(value - 9), count(*) FROM screen_age_weeks('ili', 'TW', %s, %s) "
            "GROUP BY 1",
            (MONDAY - timedelta(days=7 * weeks), MONDAY),
        ).fetchall()
    empty(database)
    assert all(least < total for _, least, _ in told)
    assert told or total <= len(parts)
