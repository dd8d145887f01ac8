from __future__ import annotations

import numpy as np
import pytest

from detectors.ears import Ears
from detectors.evaluation.noise import NOISES, Noise, false_alarms, noise_panel, opened
from detectors.shewhart import Shewhart


def test_a_pause_longer_than_the_rule_s_opens_a_new_alert() -> None:
    alarm = np.zeros((2, 20), dtype=np.bool_)
    alarm[0, [2, 5, 9, 19]] = True
    assert (opened(alarm, 2), opened(alarm, 3), opened(alarm, 4)) == (4, 3, 2)


@pytest.mark.parametrize("name", NOISES)
@pytest.mark.parametrize("grain", ["day", "rolling7", "week"])
def test_noise_has_the_moments_it_names(name: str, grain: str) -> None:
    noise = NOISES[name]
    panel = noise_panel(noise, grain, series=50, steps=1400, seed=4)  # type: ignore[arg-type]
    steps = 7 if grain == "rolling7" else 1
    assert panel.counts.mean() == pytest.approx(steps * noise.mean, rel=0.02)
    if grain == "week" or not noise.weekdays:
        ratio = panel.counts.var() / panel.counts.mean()
        assert ratio == pytest.approx(noise.dispersion, rel=0.05)
    elif grain == "day":
        assert panel.dates is not None
        monday = (panel.dates - np.datetime64("2000-01-03")).astype(int) % 7 == 0
        assert panel.counts[:, monday].mean() == pytest.approx(30.0, rel=0.02)


def test_alerts_of_the_county_rule_and_its_rivals() -> None:
    rates = [
        false_alarms(
            Ears(method="C2", baseline=length, lag=7), Noise(5.0), "rolling7", series=100, steps=730
        ).alerts_a_year
        for length in (14, 56, 84)
    ]
    assert 5.5 < rates[0] < 7.0
    assert 1.2 < rates[1] < 2.0
    assert 0.8 < rates[2] < 1.4


def test_the_share_in_alarm_is_that_of_the_level() -> None:
    # The limit of a Poisson chart with a long baseline is exact, but for the steps of the counts.
    found = false_alarms(
        Shewhart(distribution="poisson", baseline=200, alpha=0.01), Noise(50), "day"
    )
    assert 0.006 < found.share < 0.012
    assert found.alerts <= found.alarms
    assert false_alarms(Shewhart(), Noise(5), "day", min_cases=1000).alarms == 0
