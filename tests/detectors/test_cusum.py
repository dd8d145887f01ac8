from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import statsmodels.api as sm
from pydantic import ValidationError

from detectors.contract import Detector, Grain, Panel, Reason
from detectors.cusum import Cusum
from tests.detectors.contract_checks import assert_same, check_contract, take

FILES = sorted((Path(__file__).parents[1] / "reference" / "r_surveillance").glob("*.json"))
TRANSFORMS = ("none", "standard", "rossi", "anscombe")


def load(file: Path, case: str) -> dict[str, Any]:
    cases: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))["cases"]
    return next(entry for entry in cases if entry["case"] == case)


def panel(*rows: list[float], **options: Any) -> Panel:
    return Panel(np.array(rows, dtype=np.float64), **options)


@pytest.mark.parametrize("case", ["cusum_rossi", "cusum_standard"])
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_agrees_with_the_reference(file: Path, case: str) -> None:
    reference = load(file, case)
    control, index = reference["control"], np.array(reference["index"]) - 1
    detector = Cusum(
        k=control["k"], h=control["h"], transform=control["trans"], start=int(index[0])
    )
    verdicts = detector.judge(panel(reference["counts"], period=reference["frequency"]), index)
    # The reference gives alarms without a case, too.
    cases = np.array(reference["observed"]) > 0
    np.testing.assert_array_equal(
        verdicts.alarm[0], np.array(reference["alarm"], dtype=bool) & cases
    )
    np.testing.assert_allclose(verdicts.upper[0], reference["upperbound"], rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("baseline", ["mean", "glm"])
def test_keeps_the_contract(transform: str, baseline: str) -> None:
    detector = Cusum.model_validate(
        {"transform": transform, "baseline": baseline, "window": 5, "training": 30}
    )
    check_contract(detector, period=12, alarm_above_upper=False)


@pytest.mark.parametrize("grain", get_args(Grain))
def test_keeps_the_contract_on_every_time_axis(grain: Grain) -> None:
    check_contract(
        Cusum(window=4, training=8),
        grain=grain,
        dated=True,
        population=True,
        alarm_above_upper=False,
    )


def test_a_chart_by_hand() -> None:
    # m = 4, so Z = (X - 4) / 2 = 1, 0, 3, -2 less k = 0.5 each time.
    verdicts = Cusum(k=0.5, h=2.5, start=3).judge(panel([3, 4, 5, 6, 4, 10, 0]))
    np.testing.assert_array_equal(verdicts.score[0, 3:], [0.5, 0.0, 2.5, 1 - 1.0 - 0.0 + 0.0])
    np.testing.assert_array_equal(verdicts.alarm[0], [False] * 5 + [True, False])
    # S = 2.5 is reached at 4 + 2 (2.5 + 0.5 - S before).
    np.testing.assert_array_equal(verdicts.upper[0, 3:], [10, 9, 10, 5])
    np.testing.assert_allclose(verdicts.p_value[0, 3:], np.exp(-verdicts.score[0, 3:]))
    np.testing.assert_array_equal(verdicts.reason[0, :3], [Reason.insufficient_history] * 3)


@pytest.mark.parametrize(
    ("transform", "z"),
    [
        ("none", 9.0),
        ("standard", 2.5),
        ("rossi", (9 - 12 + 2 * 6) / 4),
        ("anscombe", 1.5 * (9 ** (2 / 3) - 4 ** (2 / 3)) / 4 ** (1 / 6)),
    ],
)
def test_transforms_by_hand(transform: str, z: float) -> None:
    detector = Cusum.model_validate({"transform": transform, "k": 0.25, "h": 1.0, "start": 3})
    verdicts = detector.judge(panel([4, 4, 4, 9]), slice(-1, None))
    assert verdicts.score[0, 0] == pytest.approx(z - 0.25, rel=1e-12)


@pytest.mark.parametrize("transform", ["rossi", "anscombe"])
def test_the_limit_is_the_count_that_just_reaches_h(transform: str) -> None:
    parameters = {"transform": transform, "start": 6}
    counts = [4.0, 5, 3, 4, 6, 2, 7, 5]
    judge = Cusum.model_validate(parameters).judge
    upper = float(judge(panel([*counts, 0]), slice(-1, None)).upper[0, 0])
    assert upper > 0
    below, at = (judge(panel([*counts, upper + d]), slice(-1, None)) for d in (-1e-6, 1e-6))
    assert (below.alarm[0, 0], at.alarm[0, 0]) == (False, True)


def test_a_window_is_a_chart_that_starts_so_much_earlier() -> None:
    counts = np.random.default_rng(4).poisson(5, (7, 60)).astype(np.float64)
    for time in (40, 59):
        windowed = Cusum(window=6, training=20).judge(Panel(counts), np.array([time]))
        cut = Panel(counts[:, time - 25 : time + 1].copy())
        started = Cusum(start=20).judge(cut, slice(-1, None))
        assert_same(windowed, started)
        assert (windowed.reason == Reason.ok).all()


def test_with_a_start_verdicts_do_not_depend_on_the_positions_asked_for() -> None:
    counts = Panel(np.random.default_rng(5).poisson(5, (7, 60)).astype(np.float64))
    detector = Cusum(start=20)
    at = np.array([59, 30, 30, 10])
    assert_same(detector.judge(counts, at), take(detector.judge(counts), at))


def test_the_seasonal_mean_is_that_of_statsmodels() -> None:
    rng = np.random.default_rng(6)
    time = np.arange(60)
    phase = 2 * np.pi * time / 12
    counts = rng.poisson(np.exp(1.5 + 0.8 * np.cos(phase) + 0.01 * time)).astype(np.float64)
    design = np.stack([np.ones(60), time, np.sin(phase), np.cos(phase)], axis=1)
    fit = sm.GLM(counts[:48], design[:48], family=sm.families.Poisson()).fit(tol=1e-12)
    verdicts = Cusum(baseline="glm", trend=True, start=48).judge(
        Panel(counts[None], period=12), slice(48, None)
    )
    np.testing.assert_allclose(verdicts.expected[0], fit.predict(design[48:]), rtol=1e-8)


def test_missing_counts_leave_the_chart_as_it_is() -> None:
    full, gap = (
        Cusum(start=4).judge(panel([4, 4, 4, 4, 7, *middle, 8]), slice(-1, None))
        for middle in ([], [math.nan, math.nan])
    )
    assert_same(full, gap)


def test_without_a_case_one_is_assumed() -> None:
    verdicts = Cusum(start=10).judge(panel([0.0] * 10 + [0, 1, 1]), slice(10, None))
    np.testing.assert_allclose(verdicts.expected[0], 0.1)
    np.testing.assert_array_equal(verdicts.reason[0], [Reason.all_zero] * 3)
    np.testing.assert_array_equal(verdicts.alarm[0], [False, False, True])


def test_a_season_wants_most_of_a_season() -> None:
    detector = Cusum(baseline="glm", start=30)
    reasons = [
        detector.judge(Panel(np.full((1, 31), 3.0), period=period), slice(-1, None)).reason[0, 0]
        for period in (40, 41)
    ]
    assert reasons == [Reason.ok, Reason.insufficient_history]


def test_is_a_detector_with_an_honest_lookback() -> None:
    detector: Detector = Cusum()
    assert isinstance(detector, Detector)
    assert Cusum(window=10, training=20, start=3).lookback("day") == 29
    assert Cusum(baseline="glm").lookback("month") == 51 + 24


@pytest.mark.parametrize(
    "wrong", [{"k": -1}, {"h": 0}, {"transform": "log"}, {"window": 0}, {"start": -1}, {"m": 3}]
)
def test_wrong_parameters_are_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        Cusum.model_validate(wrong)
