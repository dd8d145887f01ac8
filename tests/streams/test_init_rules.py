"""The rules of `fenghuo init` open few alerts on noise."""

from __future__ import annotations

from importlib.resources import files

import numpy as np
import pytest
from ruamel.yaml import YAML

from detectors.contract import Panel
from detectors.registry import parse_detector

SERIES, BURN_IN, DAYS = 60, 120, 730
#: Judged days without exceedance after which an alert is proposed for closing.
ENDED_AFTER = 3
MOST_PER_YEAR = 1.8


@pytest.mark.parametrize("mean", [1, 5, 50])
@pytest.mark.parametrize("name", ["ili-county", "antipyretic-prefecture"])
def test_rolling_rules_open_about_one_alert_a_year_on_noise(name: str, mean: int) -> None:
    text = (files("streams") / "data" / "fenghuo.yaml").read_text("utf-8")
    rule = YAML(typ="safe").load(text)["rules"][name]
    assert rule["grain"] == "rolling7"
    rng = np.random.default_rng(16)
    days = rng.poisson(mean, (SERIES, BURN_IN + DAYS + 6)).astype(np.float64)
    sums = np.lib.stride_tricks.sliding_window_view(days, 7, axis=1).sum(axis=-1)
    dates = np.datetime64("2022-01-01") + np.arange(sums.shape[1])
    panel = Panel(sums, dates=dates, grain="rolling7")
    alarm = parse_detector(rule["detector"]).judge(panel, at=slice(BURN_IN, None)).alarm
    opened = 0
    for row in alarm:
        at = np.flatnonzero(row)
        opened += int(at.size > 0) + int((np.diff(at) > ENDED_AFTER).sum())
    assert 0.2 < opened / (SERIES * DAYS / 365.25) < MOST_PER_YEAR
