from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from detectors.contract import Panel
from detectors.registry import DETECTORS, parse_detector
from streams.detect.decisions import ABOVE, DECISIONS, decision

GUIDES = Path(__file__).parents[3] / "docs" / "guides"


def weeks(mean: float) -> Panel:
    """Overdispersed counts with outbreaks, and with weeks without a case after them."""
    rng = np.random.default_rng(3)
    counts = rng.negative_binomial(mean, 0.5, (8, 620)).astype(np.float64)
    for row in counts:
        for begin in rng.integers(540, 600, 8):
            row[begin : begin + rng.integers(1, 9)] += rng.integers(0, 40)
        begin = rng.integers(560, 600)
        row[begin : begin + 4] = 0
    return Panel(counts, grain="week", period=52)


@pytest.mark.parametrize("kind", DETECTORS)
def test_what_is_said_of_a_method_s_alarms_is_true(kind: str) -> None:
    detector = parse_detector({"type": kind})
    unlike = 0
    for mean in (0.3, 0.7, 8.0):
        panel = weeks(mean)
        verdicts = detector.judge(panel, slice(550, None))
        observed = panel.counts[:, verdicts.index]
        above = observed > verdicts.upper
        reached = (observed >= verdicts.upper) & (observed > 0)
        if decision(kind) == ABOVE:
            np.testing.assert_array_equal(verdicts.alarm, above)
        elif decision(kind).startswith("the count is at least `upper` and not 0"):
            np.testing.assert_array_equal(verdicts.alarm, reached)
        unlike += int((verdicts.alarm != above).sum())
    # A method is listed only if "above upper" is untrue of it.
    assert (unlike > 0) == (kind in DECISIONS)


@pytest.mark.parametrize("guide", ["detect.md", "detect.zh-CN.md"])
def test_the_guides_name_these_methods(guide: str) -> None:
    text = (GUIDES / guide).read_text(encoding="utf-8")
    line = next(line for line in text.splitlines() if line.startswith("| `alarm` |"))
    for kind in DECISIONS:
        assert f"`{kind}`" in line
