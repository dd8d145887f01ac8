from __future__ import annotations

from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.stats import poisson

from detectors import Panel, Reason
from detectors import rki as rki_module
from detectors.rki import Rki
from tests.detectors.contract_checks import check_contract
from tests.detectors.r_reference import FILES, judge_case, load_case

if TYPE_CHECKING:
    from pathlib import Path

OWN = {"b": "years_back", "w": "half_window", "actY": "current_year"}


@pytest.mark.parametrize(("variant", "series"), [(1, 7), (3, 4)])
def test_agrees_with_r(variant: int, series: int) -> None:
    found = alarms = 0
    for file in FILES:
        case = load_case(file, f"rki{variant}")
        if case is None:
            continue
        found += 1
        verdicts = judge_case(case, Rki.model_validate({"variant": variant}))
        np.testing.assert_allclose(verdicts.upper[0], case.upper, rtol=1e-9)
        np.testing.assert_array_equal(verdicts.alarm[0], case.alarm)
        alarms += int(case.alarm.sum())
    assert found == series
    assert alarms > 5


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_r_parameters_are_those_of_the_variant(file: Path) -> None:
    for variant in (1, 3):
        case = load_case(file, f"rki{variant}")
        if case is None:
            continue
        free = {OWN[name]: value for name, value in case.control.items()}
        one = judge_case(case, Rki.model_validate(free))
        other = judge_case(case, Rki.model_validate({"variant": variant}))
        np.testing.assert_array_equal(one.upper, other.upper)


def test_variant_2_by_hand() -> None:
    rng = np.random.default_rng(3)
    counts = rng.poisson(60, 80).astype(np.float64)
    t = 79
    values = [*counts[t - 6 : t], *counts[t - 52 - 6 : t - 52 + 7]]
    assert len(values) == 19
    verdicts = Rki(variant=2).judge(Panel(counts[None], period=52), np.array([t]))
    assert verdicts.expected[0, 0] == pytest.approx(fmean(values))
    assert verdicts.upper[0, 0] == pytest.approx(fmean(values) + 2 * stdev(values))
    score = (counts[t] - fmean(values)) / stdev(values)
    assert verdicts.score[0, 0] == pytest.approx(score)


def crow_gardner(largest: int) -> list[float]:
    """Upper limits from the definition.

    For each mean the acceptance region is the shortest run of counts with 95 %, and of several the
    one farthest up; the limit for k cases is the mean from which on k lies below the region.
    """
    means = np.arange(0.001, 32, 0.001)
    below = poisson.cdf(np.arange(-1, 79), means[:, None])
    lowest = np.full(means.size, -1)
    for length in range(1, 60):
        held = below[:, length:] - below[:, :-length] >= 0.95
        farthest = np.where(held, np.arange(held.shape[1]), -1).max(axis=1)
        lowest = np.where(lowest < 0, farthest, lowest)
    return [float(means[lowest <= k].max()) for k in range(largest + 1)]


def test_the_table_is_crow_and_gardners() -> None:
    assert len(rki_module._CROW_GARDNER) == 21
    np.testing.assert_allclose(rki_module._CROW_GARDNER, crow_gardner(20), atol=0.0021)


@pytest.mark.parametrize(
    ("values", "upper"),
    [
        ([20.0] * 6, 30.017),
        ([19.0] * 5 + [24.0], 28.966),
        ([20.0] * 5 + [21.0], 20 + 1 / 6 + 2 * stdev([20] * 5 + [21])),
        ([0.0] * 6, 3.285),
    ],
)
def test_table_up_to_20_and_spread_above(values: list[float], upper: float) -> None:
    verdicts = Rki().judge(Panel(np.array([[*values, 5.0]])), slice(-1, None))
    assert verdicts.upper[0, 0] == pytest.approx(upper if fmean(values) != 119 / 6 else 28.966)
    assert verdicts.reason[0, 0] == Reason.ok


def test_the_p_value_says_the_same_as_the_alarm() -> None:
    rng = np.random.default_rng(4)
    mean = np.repeat([0.3, 3.0, 15.0, 25.0, 90.0], 20)[:, None]
    verdicts = Rki(variant=1).judge(Panel(rng.poisson(mean, (100, 60)).astype(np.float64)))
    judged = verdicts.reason == Reason.ok
    assert verdicts.alarm[:40].any()
    assert verdicts.alarm[60:].any()
    np.testing.assert_array_equal(verdicts.alarm[judged], verdicts.p_value[judged] < 0.0227501319)


@pytest.mark.parametrize(("known", "reason"), [(3, 10), (4, 0)])
@pytest.mark.parametrize("gap", [True, False])
def test_how_much_history_suffices(known: int, reason: int, *, gap: bool) -> None:
    series = ([np.nan] * (6 - known) if gap else []) + [1.0] * known + [9.0]
    verdicts = Rki().judge(Panel(np.array([series])), slice(-1, None))
    assert verdicts.reason[0, 0] == reason
    assert verdicts.alarm[0, 0] == (reason == 0)


def test_a_constant_level_above_20_has_no_spread() -> None:
    verdicts = Rki().judge(Panel(np.array([[30.0] * 6 + [31.0], [30.0] * 7])), slice(-1, None))
    assert (verdicts.reason == Reason.constant_baseline).all()
    assert verdicts.upper[:, 0].tolist() == [30, 30]
    assert verdicts.alarm[:, 0].tolist() == [True, False]
    assert verdicts.score[0, 0] == pytest.approx(1 / np.sqrt(30))


def test_dates_step_back_calendar_years() -> None:
    days = np.arange("2023-01-01", "2026-03-01", dtype="datetime64[D]")
    counts = np.zeros((1, days.size))
    for year in ("2024", "2025"):
        at = int((np.datetime64(f"{year}-02-10") - days[0]).astype(int))
        counts[0, at - 1 : at + 2] = 40.0, 50.0, 60.0
    panel = Panel(counts, dates=days)
    judged = np.array([int((np.datetime64("2026-02-10") - days[0]).astype(int))])
    verdicts = Rki(variant=3, half_window=1).judge(panel, judged)
    assert verdicts.expected[0, 0] == 50
    assert verdicts.upper[0, 0] == pytest.approx(50 + 2 * stdev([40, 50, 60] * 2))


@pytest.mark.parametrize(
    ("parameters", "axis"),
    [
        ({"variant": 1}, {}),
        ({"variant": 2}, {"grain": "week", "dated": True}),
        ({"variant": 3}, {"grain": "week", "period": 52, "seeds": 2}),
        ({"variant": 2}, {"grain": "month", "period": 12}),
        ({"variant": 3}, {"grain": "day", "dated": True}),
        ({"variant": 3, "half_window": 20, "current_year": True}, {"grain": "month"}),
        ({"variant": 3}, {"grain": "month", "dated": True, "largest": 1e100}),
    ],
)
def test_keeps_the_contract(parameters: dict[str, Any], axis: dict[str, Any]) -> None:
    check_contract(Rki.model_validate(parameters), **axis)


def test_a_panel_that_begins_within_a_window_uses_what_is_there() -> None:
    counts = np.arange(100.0, 127.0)[None]
    padded = np.concatenate([np.full((1, 10), np.nan), counts], axis=1)
    detector = Rki(years_back=1, half_window=4, current_year=False)
    short = detector.judge(Panel(counts, period=25), np.array([25, 26]))
    long = detector.judge(Panel(padded, period=25), np.array([35, 36]))
    assert np.isfinite(short.upper).all()
    np.testing.assert_array_equal(short.upper, long.upper)


@pytest.mark.parametrize(
    "wrong", [{"variant": 4}, {"half_window": 2}, {"years_back": -1}, {"weeks": 1}]
)
def test_wrong_parameters_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        Rki.model_validate(wrong)
