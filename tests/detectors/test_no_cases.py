"""A step without a case is no outbreak, whatever a method's statistic has accumulated."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from detectors.contract import Detector, Grain, Panel, Reason
from detectors.cusum import Cusum
from detectors.glr import GlrPoisson
from detectors.outbreak_p import OutbreakP
from detectors.registry import DETECTORS, parse_detector

#: Methods that look for counts that are too low, and parameters of those that need some.
FALLS = {"drop"}
NEEDED: dict[str, dict[str, Any]] = {
    "holt_winters": {"window": 70, "startup": 21, "errors": 21},
}
OTHERS = sorted(set(DETECTORS) - FALLS)
#: Short charts and histories, so that every method judges a panel of 160 steps.
SHORT: dict[str, Any] = {
    "window": 40, "training": 40, "baseline": 20, "history": 60, "years_back": 2, "startup": 30,
}  # fmt: skip


def made(name: str) -> Detector:
    """Make a detector with parameters short enough for the panel."""
    model: Any = DETECTORS[name]
    chosen = {key: value for key, value in SHORT.items() if key in model.model_fields}
    try:
        detector = model.model_validate({**chosen, **NEEDED.get(name, {})})
    except ValidationError:
        detector = model.model_validate(NEEDED.get(name, {}))
    assert isinstance(detector, Detector)
    return detector


def outbreak_then_nothing(rng: np.random.Generator, peak: float) -> np.ndarray:
    counts = rng.poisson(4.0, (3, 160)).astype(np.float64)
    counts[0, 118:126] += peak
    counts[1, 100:126] += np.linspace(1, peak, 26).round()
    counts[2, :118] = 0
    counts[2, 118:126] = peak
    counts[:, 126:] = np.where(rng.random((3, 34)) < 0.1, 1.0, 0.0)
    counts[:, 136:] = 0
    return counts


@pytest.mark.parametrize("name", OTHERS)
@settings(max_examples=4, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    peak=st.sampled_from([15.0, 60.0, 900.0]),
    grain=st.sampled_from(["day", "week"]),
)
def test_no_case_is_no_alarm(name: str, seed: int, peak: float, grain: Grain) -> None:
    counts = outbreak_then_nothing(np.random.default_rng(seed), peak)
    detector = made(name)
    at = slice(126, 150)
    verdicts = detector.judge(Panel(counts, grain=grain, period=40), at)
    assert not verdicts.alarm[counts[:, at] == 0].any()


def zeros_after_an_outbreak() -> Panel:
    rng = np.random.default_rng(16)
    quiet = rng.poisson(5.0, 370).astype(np.float64)
    counts = np.concatenate([quiet, [40.0] * 8, np.zeros(24), rng.poisson(5.0, 12)])
    return Panel(counts[None, :], grain="week", period=52)


@pytest.mark.parametrize("detector", [Cusum(), OutbreakP(), GlrPoisson(training=104)])
def test_weeks_without_cases_after_an_outbreak_are_no_alarms(detector: Detector) -> None:
    verdicts = detector.judge(zeros_after_an_outbreak(), slice(370, None))
    assert verdicts.alarm[0, :8].any()
    assert not verdicts.alarm[0, 8:32].any()


@pytest.mark.parametrize("name", ["cusum", "outbreak_p"])
def test_a_chart_that_restarts_forgets_the_outbreak(name: str) -> None:
    panel = zeros_after_an_outbreak()
    after = slice(402, None)
    kept, anew = (
        parse_detector({"type": name, "restart": restart}).judge(panel, after)
        for restart in (False, True)
    )
    assert kept.alarm.any()
    assert not anew.alarm.any()
    assert (anew.reason == Reason.ok).all()


def test_the_statistic_begins_at_nothing_after_an_alarm() -> None:
    counts = np.array([[4.0] * 30 + [12.0, 4.0, 12.0, 4.0, 4.0]])
    at = slice(30, None)
    kept, anew = (
        Cusum(window=10, training=20, restart=restart).judge(Panel(counts), at)
        for restart in (False, True)
    )
    assert kept.score[0].round(2).tolist() == [2.96, 1.92, 4.88, 3.84, 2.8]
    assert anew.score[0].round(2).tolist() == [2.96, 0.0, 2.96, 0.0, 0.0]
    assert anew.upper[0, 1] == kept.upper[0, 0]
