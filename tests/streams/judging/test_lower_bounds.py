"""What arrived of an incomplete period is a lower bound: it may raise an alert, no more."""

from __future__ import annotations

import asyncio
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np
import psycopg
import pytest

from detectors.contract import Panel, Reason
from detectors.registry import DETECTORS, parse_detector
from streams.alerts.following import explain_changed
from streams.config import load_configuration
from streams.judging.loop import judge_pending
from streams.judging.lower_bounds import judge_panel
from streams.store.alerts import list_alerts
from streams.store.migrate import migrate
from streams.wording import alert_sentences
from tests.detectors.contract_checks import FIELDS
from tests.support.counted import live
from tests.support.events import KAOHSIUNG, TAIPEI, records, visit
from tests.support.store import rows, worker

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from detectors.contract import Detector
    from schemas.alerts import Alert
    from streams.config import Configuration

NAN = float("nan")

# ---------------------------------------------------------------- one panel

_SERIES, _JUDGED = 12, 8
_SPECIAL: Mapping[str, dict[str, Any]] = {"drop": {"direction": "both"}}


def detector_of(name: str) -> Detector:
    return parse_detector({"type": name, **_SPECIAL.get(name, {})})


def panel_of(lookback: int, *, seed: int = 1) -> tuple[Panel, NDArray[np.float64]]:
    """Weeks of quiet series, some of them with an outbreak; bounds where weeks are incomplete."""
    random = np.random.default_rng(seed)
    times = lookback + _JUDGED
    level = random.choice([2.0, 8.0, 40.0], _SERIES)[:, None]
    counts = random.poisson(level, (_SERIES, times)).astype(np.float64)
    counts[::3, -6:] = random.poisson(6 * level[::3], (len(counts[::3]), 6))
    at_least = np.full(counts.shape, NAN)
    incomplete = random.random(counts.shape) < 0.15
    incomplete[:, -4] = True
    share = random.random(counts.shape)
    at_least[incomplete] = np.floor(counts * share)[incomplete]
    counts[incomplete] = NAN
    dates = np.datetime64("2015-01-05") + 7 * np.arange(times)
    return Panel(counts, dates=dates, grain="week"), at_least


def everywhere(panel: Panel, lookback: int) -> NDArray[np.bool_]:
    return np.ones((panel.counts.shape[0], panel.counts.shape[1] - lookback), dtype=np.bool_)


@pytest.mark.parametrize("name", sorted(DETECTORS))
def test_every_detector_keeps_its_verdicts_of_whole_counts(name: str) -> None:
    """Bit for bit; and whatever has arrived of a period changes no verdict but its own."""
    detector = detector_of(name)
    lookback = detector.lookback("week")
    panel, at_least = panel_of(lookback)
    whole = ~np.isnan(panel.counts[:, lookback:])
    before = detector.judge(panel, slice(lookback, None))
    for bounds in (at_least, at_least * 100):
        found = judge_panel(
            detector, panel, lookback, at_least=bounds, wanted=everywhere(panel, lookback)
        )
        assert not (found.incomplete & whole).any()
        for field in FIELDS:
            same = getattr(found.verdicts, field)[~found.incomplete]
            np.testing.assert_array_equal(same, getattr(before, field)[~found.incomplete])
        np.testing.assert_array_equal(found.observed[whole], panel.counts[:, lookback:][whole])
        assert np.isnan(found.observed[~whole & ~found.incomplete]).all()


@pytest.mark.parametrize("name", sorted(DETECTORS))
def test_more_counts_never_take_an_alarm_back(name: str) -> None:
    detector = detector_of(name)
    lookback = detector.lookback("week")
    panel, at_least = panel_of(lookback, seed=2)
    wanted = everywhere(panel, lookback)
    before = np.zeros(wanted.shape, dtype=np.bool_)
    for more in (0, 3, 10, 100, 10_000):
        found = judge_panel(detector, panel, lookback, at_least=at_least + more, wanted=wanted)
        assert not (before & ~found.incomplete).any(), more
        before = found.incomplete
    highest = found
    assert highest.incomplete.any()
    assert (highest.observed[before] > highest.verdicts.expected[before]).all()


@pytest.mark.parametrize("name", sorted(DETECTORS))
def test_a_lower_bound_is_judged_as_a_count_with_the_other_incomplete_periods_missing(
    name: str,
) -> None:
    detector = detector_of(name)
    lookback = detector.lookback("week")
    panel, at_least = panel_of(lookback, seed=3)
    at_least *= 4
    found = judge_panel(
        detector, panel, lookback, at_least=at_least, wanted=everywhere(panel, lookback)
    )
    places = np.argwhere(~np.isnan(at_least[:, lookback:]))
    assert len(places) > _SERIES
    for row, column in places[:: len(places) // 10]:
        counts = panel.counts[row : row + 1].copy()
        bound = counts[0, lookback + column] = at_least[row, lookback + column]
        alone = detector.judge(
            Panel(counts, dates=panel.dates, grain="week"),
            np.array([lookback + column]),
        )
        above = bool(alone.alarm[0, 0]) and not bound <= alone.expected[0, 0] and bound > 0
        assert found.incomplete[row, column] == above
        if above:
            assert found.observed[row, column] == bound
            assert found.verdicts.alarm[row, column]
            assert found.verdicts.upper[row, column] == pytest.approx(alone.upper[0, 0], rel=1e-9)


@pytest.mark.parametrize("direction", ["down", "both"])
def test_a_lower_bound_is_no_drop(direction: str) -> None:
    detector = parse_detector({"type": "drop", "direction": direction})
    lookback = detector.lookback("week")
    counts = np.full((1, lookback + 1), 100.0)
    counts[0, -1] = NAN
    for bound, high in ((0.0, False), (1.0, False), (40.0, False), (400.0, direction == "both")):
        at_least = np.full(counts.shape, NAN)
        at_least[0, -1] = bound
        panel = Panel(counts, grain="week")
        found = judge_panel(
            detector, panel, lookback, at_least=at_least, wanted=everywhere(panel, lookback)
        )
        assert found.incomplete.tolist() == [[high]]
        if not high:
            assert found.verdicts.reason[0, 0] == Reason.missing_observation


def test_what_is_not_asked_for_or_too_few_is_not_judged() -> None:
    detector = parse_detector({"type": "ears", "method": "C1"})
    counts = np.full((1, 12), 4.0)
    counts[0, 7:9] = NAN
    at_least = np.full(counts.shape, NAN)
    at_least[0, 7:9] = 30
    panel = Panel(counts, grain="week")
    wanted = everywhere(panel, 7)
    wanted[0, 1] = False
    found = judge_panel(detector, panel, 7, at_least=at_least, wanted=wanted, min_cases=30)
    assert found.incomplete[0].tolist() == [True, False, False, False, False]
    found = judge_panel(detector, panel, 7, at_least=at_least, wanted=wanted, min_cases=31)
    assert not found.incomplete.any()


# ---------------------------------------------------------------- through the store

RULES = """\
name: incomplete
regions: tw
time_zone: Asia/Taipei
epi_week: iso
event_time: {max_age_days: 7300}
signals:
  ili: {title: {en: Influenza-like illness, zh: 流感样病例}, of: visits, match: {icd10: [J09-J11]}}
alerts: {announce_within_days: null, update_seconds: 60}
rules:
"""
ROLLING = (
    "  r7: {signal: ili, level: county, grain: rolling7, min_cases: 5, severity: warning,\n"
    "       detector: {type: ears, method: C2, baseline: 84, lag: 7}}\n"
)
WEEK = (
    "  w: {signal: ili, level: county, grain: week, min_cases: 5, severity: critical, group: w,\n"
    "      detector: {type: auto}}\n"
)
SHORT = (
    "  s: {signal: ili, level: county, grain: week, group: s,\n"
    "      detector: {type: ears, method: C1}}\n"
)
TAIWAN = ZoneInfo("Asia/Taipei")


@pytest.fixture
def configured(
    database_url: str, tmp_path: Path, configuration: Configuration
) -> Iterator[Configuration]:
    path = tmp_path / "fenghuo.yaml"
    path.write_text(RULES + ROLLING + WEEK + SHORT, encoding="utf-8")
    loaded = load_configuration(path)
    migrate(database_url, loaded)
    yield loaded
    migrate(database_url, configuration)


def events(counts: Mapping[date, Mapping[str, int]]) -> list[dict[str, Any]]:
    return [
        visit(
            f"{region}-{day}-{i}",
            region=region,
            occurred_at=datetime.combine(day, time(9, i % 60), TAIWAN).isoformat(),
        )
        for day, regions in counts.items()
        for region, count in regions.items()
        for i in range(count)
    ]


def send(database: str, configuration: Configuration, batches: Sequence[Any]) -> None:
    """Deliver batches of events one after the other through the intake, judging after each."""

    async def run() -> None:
        async with worker(database, configuration) as at_work:
            first = await at_work.position("visits")
            for batch in batches:
                made = records(batch, first=first)
                first += len(made)
                await at_work.deliver("visits", 0, made)
                await judge_pending(at_work.pool, configuration)

    asyncio.run(run())


def verdict(database: str, rule: str, period: date, region: str) -> tuple[Any, ...]:
    return rows(
        database,
        "SELECT observed, alarm, reason, upper FROM verdicts "
        "WHERE rule = %s AND region = %s AND period = %s",
        rule,
        region,
        period,
    )[0]


def alerts_of(database: str, rule: str) -> list[Alert]:
    with psycopg.connect(database) as connection:
        return [one for one in list_alerts(connection)[::-1] if one.rule == rule]


def usual(first: date, days: int) -> dict[date, dict[str, int]]:
    random = np.random.default_rng(3)
    return {
        first + timedelta(days=i): {
            TAIPEI: int(random.poisson(6)),
            KAOHSIUNG: max(int(random.poisson(6)), 1),
        }
        for i in range(days)
    }


def test_an_outbreak_beside_an_outage_raises_an_alert_on_its_first_day(
    database_url: str, configured: Configuration
) -> None:
    """Two days of outage, then ten times the usual: weeks and rolling sums had said nothing."""
    start, monday = date(2025, 1, 6), date(2025, 6, 23)
    days = usual(start, 170)  # to the Tuesday
    for i in range(2):
        days[monday + timedelta(days=2 + i)] = {KAOHSIUNG: 6}
    days[monday + timedelta(days=4)] = {TAIPEI: 60, KAOHSIUNG: 6}
    send(database_url, configured, [events(days)])
    friday = monday + timedelta(days=4)
    observed, alarm, reason, upper = verdict(database_url, "r7", friday, TAIPEI)
    assert (alarm, reason) == (True, "incomplete")
    assert observed > upper
    # What stands before the outage in the seven days, and Friday's.
    arrived = sum(days[friday - timedelta(days=i)].get(TAIPEI, 0) for i in range(7))
    assert observed == arrived
    (alert,) = alerts_of(database_url, "r7")
    assert (alert.incomplete, alert.observed, alert.last_period) == (True, arrived, friday)
    told = alert_sentences(alert, configured)
    assert f": at least {arrived} visits in the 7 days to 27 June 2025 in the days that" in told.en
    assert f"就诊至少{arrived}人次（部分日期的数据尚未到达）" in told.zh

    weekend = {monday + timedelta(days=5 + i): {TAIPEI: 60 + i, KAOHSIUNG: 6} for i in range(2)}
    later = events(weekend)
    send(database_url, configured, [[visit(f"x{i}") | one for i, one in enumerate(later)]])
    week = sum((days | weekend)[monday + timedelta(days=i)].get(TAIPEI, 0) for i in range(7))
    assert verdict(database_url, "w", monday, TAIPEI)[:3] == (week, True, "incomplete")

    # The missing days come in late: whole counts take the place of the bounds.
    missing = {monday + timedelta(days=2 + i): {TAIPEI: 50 + i} for i in range(2)}
    send(database_url, configured, [events(missing)])
    observed, alarm, reason, _ = verdict(database_url, "w", monday, TAIPEI)
    assert (observed, alarm, reason) == (week + 101, True, "ok")
    assert not any(alert.incomplete for alert in alerts_of(database_url, "r7")[-1:])


def test_a_wave_after_a_closure_raises_an_alert_on_its_first_days(
    database_url: str, configured: Configuration
) -> None:
    """Three days without reports at New Year, then six times the usual."""
    days = usual(date(2025, 9, 1), 121)  # to 30 December
    for i in range(3):
        days[date(2025, 12, 31) + timedelta(days=i)] = {TAIPEI: 6}
    wave = [{date(2026, 1, 3) + timedelta(days=i): {TAIPEI: 6, KAOHSIUNG: 36}} for i in range(3)]
    send(database_url, configured, [events(days)])
    assert not alerts_of(database_url, "r7") or all(
        alert.region != KAOHSIUNG for alert in alerts_of(database_url, "r7")
    )
    send(database_url, configured, [events(day) for day in wave])
    (alert,) = [one for one in alerts_of(database_url, "r7") if one.region == KAOHSIUNG]
    assert alert.first_period <= date(2026, 1, 4)
    assert verdict(database_url, "r7", date(2026, 1, 5), KAOHSIUNG)[1:3] == (True, "incomplete")
    assert verdict(database_url, "w", date(2025, 12, 29), KAOHSIUNG)[2] in {
        "incomplete",
        "missing_observation",
    }


MONDAY = date(2025, 3, 3)


def day(offset: int) -> date:
    return MONDAY + timedelta(days=offset)


def judged(database: str, configuration: Configuration, counts: Mapping[int, float]) -> None:
    """Set daily counts of Taipei; Kaohsiung reports every day up to the last of them."""
    live(database, KAOHSIUNG, {day(i): 4 + i % 3 for i in range(max(counts) + 1)})
    live(database, TAIPEI, {day(i): count for i, count in counts.items()})
    send(database, configuration, [[visit("k", region=KAOHSIUNG, occurred_at=NOON)]])


NOON = datetime.combine(MONDAY, time(12), TAIWAN).isoformat()
QUIET = {i: 4 + i % 2 for i in range(84)}
#: Week 12 is the last one; its Wednesday and Thursday are missing where a test says so.
LAST = 84
OUTAGE = (LAST + 2, LAST + 3)


def without_outage(count: float, days: range) -> dict[int, float]:
    return {i: count for i in days if i not in OUTAGE}


def short(database: str, week: int = 12) -> tuple[Any, ...]:
    return verdict(database, "s", day(7 * week), TAIPEI)[:3]


def test_a_low_lower_bound_says_nothing_and_ends_nothing(
    database_url: str, configured: Configuration
) -> None:
    outbreak = dict.fromkeys(range(77, 84), 40.0)
    judged(database_url, configured, QUIET | outbreak | without_outage(5, range(84, 91)))
    assert short(database_url, 11) == (280, True, "ok")
    assert short(database_url) == (None, False, "missing_observation")
    (alert,) = alerts_of(database_url, "s")
    assert (alert.last_period, alert.quiet_since, alert.incomplete) == (day(77), None, False)
    # Two whole weeks below the threshold end it, whatever lies between.
    judged(database_url, configured, dict.fromkeys(range(91, 98), 5.0))
    assert alerts_of(database_url, "s")[0].quiet_since is None
    judged(database_url, configured, dict.fromkeys(range(98, 105), 5.0))
    assert alerts_of(database_url, "s")[0].quiet_since == day(91)


def test_the_explanation_of_a_lower_bound_tells_no_growth(
    database_url: str, configured: Configuration
) -> None:
    judged(database_url, configured, QUIET | without_outage(60, range(84, 91)))

    async def explain() -> None:
        async with worker(database_url, configured) as at_work:
            await explain_changed(at_work.pool, configured)

    asyncio.run(explain())
    (alert,) = alerts_of(database_url, "s")
    told = alert.explanation
    assert told is not None
    assert (told.period, told.incomplete) == (day(84), True)
    assert told.excess == pytest.approx(300 - (alert.expected or 0))
    assert (told.growth_per_day, told.doubling_days) == (None, None)


def test_a_correction_takes_an_exceedance_of_a_lower_bound_back(
    database_url: str, configured: Configuration
) -> None:
    judged(database_url, configured, QUIET | without_outage(60, range(84, 91)))
    assert short(database_url) == (300, True, "incomplete")
    (alert,) = alerts_of(database_url, "s")
    assert (alert.incomplete, alert.observed) == (True, 300)
    judged(database_url, configured, without_outage(4, range(84, 91)))
    assert short(database_url) == (None, False, "missing_observation")
    (alert,) = alerts_of(database_url, "s")
    assert (alert.exceedances, alert.revised) == (0, None)


def test_an_exceedance_of_a_running_week_stays_when_an_outage_begins_in_it(
    database_url: str, configured: Configuration
) -> None:
    """A silence takes nothing back; what was counted stays a lower bound. A correction does."""
    judged(database_url, configured, QUIET | {84: 60.0, 85: 60.0})
    assert short(database_url) == (120, True, "ok")
    judged(database_url, configured, without_outage(1, range(86, 90)))
    assert short(database_url) == (122, True, "incomplete")
    judged(database_url, configured, {84: 1.0, 85: 1.0})
    assert short(database_url) == (None, False, "missing_observation")


def test_an_exceedance_whose_days_become_unknown_is_taken_back_by_a_correction_only(
    database_url: str, configured: Configuration
) -> None:
    """Also where the lower bound alone would be no exceedance by now: the baseline has risen."""
    judged(database_url, configured, QUIET | {84: 30.0, 85: 30.0})
    assert short(database_url) == (60, True, "ok")
    higher = dict.fromkeys(range(84), 12.0)
    judged(database_url, configured, higher | without_outage(1, range(86, 90)))
    assert short(database_url) == (60, True, "ok")
    judged(database_url, configured, {84: 29.0, 85: 1.0})
    assert short(database_url) == (None, False, "missing_observation")


def test_the_first_week_of_a_region_is_a_lower_bound_of_its_count(
    database_url: str, configured: Configuration
) -> None:
    """Imported history, and events from a Thursday on: in a week that is not whole."""
    with psycopg.connect(database_url) as connection:
        for week in range(12):
            connection.execute(
                "INSERT INTO imported_counts (signal, region, stratum, grain, period, value) "
                "VALUES ('ili', %s, 'all', 'week', %s, %s)",
                (TAIPEI, day(7 * week), 30 + week % 2),
            )
    live(database_url, TAIPEI, {day(LAST + 3): 200, day(LAST + 4): 100})
    send(database_url, configured, [[visit("k", occurred_at=THURSDAY)]])
    assert short(database_url) == (301, True, "incomplete")


THURSDAY = datetime.combine(day(LAST + 3), time(12), TAIWAN).isoformat()
