"""Agreement of EARS with R surveillance 1.20.3; provenance in tests/reference/README.md."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detectors import Ears, Panel, Reason, Verdicts

FILES = sorted((Path(__file__).parents[1] / "reference" / "r_surveillance").glob("*.json"))
CASES = ("ears_C1", "ears_C2", "ears_C3", "ears_C1_b14_a05")
OUR_NAMES = {"minSigma": "min_sigma"}


def load(file: Path, case: str) -> dict[str, Any]:
    cases: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))["cases"]
    return next(entry for entry in cases if entry["case"] == case)


def judge(reference: dict[str, Any], **options: str) -> Verdicts:
    parameters = {OUR_NAMES.get(key, key): value for key, value in reference["control"].items()}
    panel = Panel(
        np.array([reference["counts"]], dtype=np.float64), period=int(reference["frequency"])
    )
    detector = Ears.model_validate({**parameters, **options})
    return detector.judge(panel, np.array(reference["index"]) - 1)


def numbers(values: list[float | None]) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def test_all_series_are_there() -> None:
    assert len(FILES) == 7


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_upper_bounds_and_alarms_agree(file: Path, case: str) -> None:
    reference = load(file, case)
    verdicts = judge(reference)
    upper, alarm = numbers(reference["upperbound"]), numbers(reference["alarm"])
    defined = ~np.isnan(upper)
    assert defined.any()
    assert np.array_equal(defined, ~np.isnan(alarm))
    np.testing.assert_allclose(verdicts.upper[0, defined], upper[defined], rtol=1e-6, atol=1e-9)
    assert np.array_equal(verdicts.alarm[0, defined], alarm[defined].astype(bool))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_where_the_reference_is_undefined_ours_is_defined_and_says_why(file: Path) -> None:
    reference = load(file, "ears_C3")
    verdicts = judge(reference)
    undefined = np.isnan(numbers(reference["upperbound"]))
    flat = {Reason.all_zero, Reason.constant_baseline}
    assert set(verdicts.reason[0, undefined]) <= flat
    for values in (verdicts.upper, verdicts.expected, verdicts.score, verdicts.p_value):
        assert np.isfinite(values).all()


def test_the_published_c3_differs_from_the_reference_as_documented() -> None:
    differing = defined = 0
    for file in FILES:
        reference = load(file, "ears_C3")
        alarm = numbers(reference["alarm"])
        known = ~np.isnan(alarm)
        published = judge(reference, c3_rule="published").alarm[0]
        differing += int((published[known] != alarm[known]).sum())
        defined += int(known.sum())
    assert (differing, defined) == (26, 549)
