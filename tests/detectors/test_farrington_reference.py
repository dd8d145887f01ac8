"""Agreement of both Farrington detectors with R surveillance 1.20.3 (tests/reference/README.md)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detectors.contract import FloatArray, Panel, Reason, Verdicts
from detectors.farrington import Farrington
from detectors.farrington_flexible import FarringtonFlexible

FILES = sorted((Path(__file__).parents[1] / "reference" / "r_surveillance").glob("*.json"))
FLEXIBLE = ("delta", "nbPlugin", "muan", "notrend_noperiods", "trend05")
OUR_NAMES = {
    "b": "years_back",
    "w": "half_window",
    "alpha": "alpha",
    "reweight": "reweight",
    "trend": "trend",
    "noPeriods": "periods",
    "pThresholdTrend": "trend_alpha",
    "weightsThreshold": "reweight_threshold",
    "pastWeeksNotIncluded": "exclude_recent",
}
THRESHOLDS = {"delta": "delta", "nbPlugin": "nb_plugin", "muan": "muan"}
POWERS = {"2/3": "two_thirds", "none": "none"}


def load(file: Path, case: str) -> dict[str, Any] | None:
    cases: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))["cases"]
    return next((entry for entry in cases if entry["case"] == case), None)


def judge(reference: dict[str, Any], **options: str) -> Verdicts:
    control = reference["control"]
    parameters = {OUR_NAMES[key]: control[key] for key in control if key in OUR_NAMES}
    if "thresholdMethod" in control:
        parameters["threshold"] = THRESHOLDS[control["thresholdMethod"]]
    if "powertrans" in control:
        parameters["power"] = POWERS[control["powertrans"]]
    flexible = reference["case"].startswith("farrington_flexible")
    model = FarringtonFlexible if flexible else Farrington
    detector = model.model_validate({**parameters, **options})
    counts = np.array([reference["counts"]], dtype=np.float64)
    panel = Panel(counts, period=int(reference["frequency"]))
    return detector.judge(panel, np.array(reference["index"]) - 1)


def numbers(values: list[float | None]) -> FloatArray:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def flexible_cases() -> list[Any]:
    return [
        pytest.param(reference, id=f"{file.stem}-{case}")
        for file in FILES
        for case in FLEXIBLE
        if (reference := load(file, f"farrington_flexible_{case}")) is not None
    ]


def test_all_series_are_there() -> None:
    assert len(FILES) == 7
    assert len(flexible_cases()) == 6 * len(FLEXIBLE)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_original_bounds_and_alarms_agree(file: Path) -> None:
    reference = load(file, "farrington_original")
    assert reference is not None
    verdicts, upper = judge(reference), numbers(reference["upperbound"])
    assert np.array_equal(verdicts.alarm[0], numbers(reference["alarm"]).astype(bool))
    # The reference writes 0 where there are too few cases for an alarm.
    defined = upper > 0
    np.testing.assert_allclose(verdicts.upper[0, defined], upper[defined], rtol=1e-9)
    assert (verdicts.upper[0, ~defined] >= numbers(reference["observed"])[~defined]).all()
    assert (verdicts.reason < Reason.insufficient_history).all()


@pytest.mark.parametrize("reference", flexible_cases())
def test_flexible_bounds_expectations_p_values_and_alarms_agree(reference: dict[str, Any]) -> None:
    verdicts, upper = judge(reference), numbers(reference["upperbound"])
    assert np.array_equal(verdicts.alarm[0], numbers(reference["alarm"]).astype(bool))
    defined = ~np.isnan(upper)
    expected = numbers(reference["expected"])
    np.testing.assert_allclose(verdicts.upper[0, defined], upper[defined], rtol=1e-9)
    np.testing.assert_allclose(verdicts.expected[0, defined], expected[defined], rtol=1e-9)
    p_value = numbers(reference["pvalue"])
    known = ~np.isnan(p_value)
    assert known.any()
    np.testing.assert_allclose(verdicts.p_value[0, known], p_value[known], rtol=0, atol=1e-9)
    if verdicts.upper.size and reference["control"]["thresholdMethod"] == "delta":
        score = numbers(reference["score"])[defined]
        np.testing.assert_allclose(verdicts.score[0, defined], score, rtol=1e-8, atol=1e-9)


def test_the_published_variance_raises_bounds_of_large_counts_as_documented() -> None:
    file = next(file for file in FILES if file.stem == "rods_taipei")
    reference = load(file, "farrington_flexible_delta")
    assert reference is not None
    ratio = judge(reference, variance="published").upper / judge(reference).upper
    assert (ratio > 1.001).all()
    assert (ratio < 1.2).all()
