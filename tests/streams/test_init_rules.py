"""The rules of `fenghuo init` open few alerts on noise."""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np
import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from detectors import Ears
from detectors.contract import Panel
from detectors.registry import parse_detector
from streams.cli.main import app
from streams.config import load_configuration
from streams.configuration.noisy import noisy_rules

if TYPE_CHECKING:
    from pathlib import Path

    from streams.config import Configuration

SERIES, BURN_IN, DAYS = 200, 140, 730
#: Judged days without exceedance after which an alert is proposed for closing.
ENDED_AFTER = 3


#: With 800 series-years 1.3, 1.0 and 0.8: of a case a day the sums are small and skew.
@pytest.mark.parametrize(("mean", "most"), [(1, 1.4), (5, 1.2), (50, 1.0)])
@pytest.mark.parametrize("name", ["ili-county", "antipyretic-prefecture"])
def test_rolling_rules_open_about_one_alert_a_year_on_noise(
    name: str, mean: int, most: float
) -> None:
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
    assert 0.2 < opened / (SERIES * DAYS / 365.25) < most


@pytest.mark.parametrize(("mean", "most"), [(1, 6.5), (2, 5.5), (5, 4.5)])
def test_rolling_rules_are_not_calm_because_they_are_slow(mean: int, most: float) -> None:
    """Cases rise within a week to four times the level: days until the alarm, on average."""
    text = (files("streams") / "data" / "fenghuo.yaml").read_text("utf-8")
    rule = YAML(typ="safe").load(text)["rules"]["ili-county"]
    rng = np.random.default_rng(8)
    days = rng.poisson(mean, (SERIES, BURN_IN + 30 + 6)).astype(np.float64)
    rise = np.clip(np.arange(30) / 7, 0, 1) * 3 * mean
    days[:, BURN_IN + 6 :] += rng.poisson(rise, (SERIES, 30))
    sums = np.lib.stride_tricks.sliding_window_view(days, 7, axis=1).sum(axis=-1)
    dates = np.datetime64("2022-01-01") + np.arange(sums.shape[1])
    panel = Panel(sums, dates=dates, grain="rolling7")
    alarm = parse_detector(rule["detector"]).judge(panel, at=slice(BURN_IN, None)).alarm
    alarm &= sums[:, BURN_IN:] >= rule["min_cases"]
    assert alarm.any(axis=1).mean() > 0.99
    assert alarm.argmax(axis=1).mean() < most


@pytest.mark.parametrize("factor", [3, 4])
def test_the_county_rule_sees_a_second_wave(factor: int) -> None:
    # A wave of eight days at six times the level; 27 days later one of 30 days.
    text = (files("streams") / "data" / "fenghuo.yaml").read_text("utf-8")
    rule = YAML(typ="safe").load(text)["rules"]["ili-county"]
    rng = np.random.default_rng(2)
    days = rng.poisson(6, (20, 306)).astype(np.float64)
    days[:, 150:158] = rng.poisson(36, (20, 8))
    days[:, 185:215] = rng.poisson(6 * factor, (20, 30))
    sums = np.lib.stride_tricks.sliding_window_view(days, 7, axis=1).sum(axis=-1)
    dates = np.datetime64("2025-01-01") + np.arange(sums.shape[1])
    panel = Panel(sums, dates=dates, grain="rolling7")
    verdicts = parse_detector(rule["detector"]).judge(panel, at=slice(183, 209))
    assert verdicts.alarm[:, 5:].mean() > 0.6
    assert verdicts.alarm[:, 3:15].all(axis=1).mean() > 0.8
    assert np.median(verdicts.upper[:, :8]) < 2 * 42


def configuration(tmp_path: Path, *options: str) -> Configuration:
    path = tmp_path / "written.yaml"
    found = CliRunner().invoke(app, ["init", *options, str(path)])
    assert found.exit_code == 0, found.output
    return load_configuration(path)


def test_noisy_rules_are_named_and_those_of_init_are_none(tmp_path: Path) -> None:
    first = configuration(tmp_path)
    assert noisy_rules(first.surveillance.rules, first.detectors) == []
    short = replace(
        first,
        detectors=dict(first.detectors) | {"ili-county": Ears(method="C2", baseline=14, lag=7)},
    )
    (told,) = noisy_rules(short.surveillance.rules, short.detectors)
    assert told.startswith("rule ili-county: about 6 alerts a year in each region on noise alone")
    assert "lengthen baseline (ears on rolling7: 112) or lower alpha" in told


def test_min_cases_counts(tmp_path: Path) -> None:
    first = configuration(tmp_path)
    rule = first.surveillance.rules["ili-county"].model_copy(update={"min_cases": 10_000})
    noisy = Ears(method="C2", baseline=14, lag=7)
    assert noisy_rules({"it": rule}, {"it": noisy}) == []


def test_init_and_check_warn_of_the_demo_s_rules(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "demo.yaml"
    for arguments in (["init", "--demo", str(path)], ["config", "check", "--config", str(path)]):
        found = CliRunner().invoke(app, arguments)
        assert found.exit_code == 0, found.output
        told = found.output + capfd.readouterr().err
        for name in ("ili-county-rolling", "antipyretic-county-rolling"):
            assert f"Warning: rule {name}: about 6 alerts a year in each region" in told
