"""What is doubtful in counts to be imported."""

from __future__ import annotations

from datetime import date
from importlib.resources import as_file, files

import pytest

from schemas.counts import Count
from streams.config import Configuration, load_configuration
from streams.feed.import_doubts import import_doubts

WEEK = date(2026, 5, 11)


@pytest.fixture(scope="module")
def china() -> Configuration:
    with as_file(files("streams") / "data" / "fenghuo.yaml") as path:
        return load_configuration(path)


def count(
    configuration: Configuration,
    value: float,
    *,
    region: str = "330106",
    period: date = WEEK,
    measure: str = "events",
) -> Count:
    signals = configuration.surveillance.signals
    signal = next(name for name, one in signals.items() if one.measure == measure)
    return Count(
        signal=signal, region=region, stratum="all", grain="week", period=period, value=value
    )


def test_whole_counts_of_regions_in_force_are_not_doubtful(china: Configuration) -> None:
    assert list(import_doubts([count(china, 3), count(china, 0)], china)) == []


def test_fractions_of_events_are_told_once(china: Configuration) -> None:
    (told,) = import_doubts([count(china, 3), count(china, 3.5), count(china, 0.1)], china)
    assert told.startswith("2 counts are no whole numbers, such as 3.5 (330106, 2026-05-11), ")
    assert "import estimates so, but no rates" in told


def test_a_code_is_doubtful_from_its_abolition_on(china: Configuration) -> None:
    before = count(china, 3, region="330103", period=date(2021, 3, 29))
    assert list(import_doubts([before], china)) == []
    (told,) = import_doubts([before, *[count(china, 3, region="330103")] * 2], china)
    assert told.startswith("2 counts: 330103 ")
    assert "was abolished on 2021-04-09. Send " in told


def test_a_province_is_not_doubtful(china: Configuration) -> None:
    """Totals of one level are a usual baseline; mixtures of levels are refused elsewhere."""
    assert list(import_doubts([count(china, 3, region="330000")], china)) == []
