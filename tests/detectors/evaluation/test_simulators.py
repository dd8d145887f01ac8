from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.evaluation import Simulation, Truth, rolling_week, simulate_daily, simulate_weekly
from detectors.evaluation.simulate_daily import BANK_HOLIDAYS
from detectors.evaluation.simulation import outbreak_size


def arrays_of(made: Simulation) -> list[Any]:
    return [
        made.panel.counts,
        made.cases,
        made.contamination,
        made.mean,
        made.dispersion,
        made.start,
        made.scenario,
        made.size,
    ]


@pytest.mark.parametrize(
    "make",
    [
        lambda seed: simulate_weekly(series=50, seed=seed),
        lambda seed: simulate_daily(series=16, seed=seed, size=3),
    ],
)
def test_same_seed_same_series(make: Any) -> None:
    for one, other in zip(arrays_of(make(7)), arrays_of(make(7)), strict=True):
        np.testing.assert_array_equal(one, other)
    again = arrays_of(make(np.random.default_rng(7)))
    np.testing.assert_array_equal(make(7).panel.counts, again[0])
    assert not np.array_equal(make(7).panel.counts, make(8).panel.counts)


@pytest.mark.parametrize("scenario", [1, 12, 17, 24, 30, 42])
def test_weekly_moments_are_those_of_the_equations(scenario: int) -> None:
    made = simulate_weekly(series=3000, seed=1, scenarios=[scenario], past_sizes=[0], sizes=[0])
    counts, mu, phi = made.panel.counts, made.mean[0], made.dispersion[0, 0]
    error = np.sqrt(phi * mu / 3000)
    assert (np.abs(counts.mean(axis=0) - mu) < 5 * error).all()
    assert (counts.var(axis=0) / mu).mean() == pytest.approx(phi, rel=0.02)


def test_weekly_mean_by_hand() -> None:
    made = simulate_weekly(series=1, seed=1, scenarios=[6])
    t = 100
    waves = sum(
        0.6 * np.cos(2 * np.pi * j * t / 52) + 0.6 * np.sin(2 * np.pi * j * t / 52) for j in (1, 2)
    )
    assert made.mean[0, t - 1] == pytest.approx(np.exp(0.1 + 0.0025 * t + waves))


def test_every_cell_is_dealt_once_before_any_comes_again() -> None:
    made = simulate_weekly(series=2150, seed=3)
    cells = np.stack([made.scenario, made.past_size, made.size], axis=1)
    _, counts = np.unique(cells[:2100], axis=0, return_counts=True)
    assert counts.size == 2100
    assert np.unique(cells[2100:], axis=0).shape[0] == 50


def test_weekly_outbreaks_lie_where_the_paper_says() -> None:
    made = simulate_weekly(series=2000, seed=2, past_sizes=[10])
    assert (made.start.min(), made.start.max()) == (575, 623)
    weeks = np.arange(624)
    assert not made.cases[weeks < made.start[:, None]].any()
    assert not made.contamination[:, :312].any()
    assert made.contamination[:, 312:575].any(axis=1).all()
    baseline = made.panel.counts - made.cases - made.contamination
    assert (baseline >= 0).all()


def test_size_and_spread_of_outbreaks() -> None:
    made = simulate_weekly(series=4000, seed=2, scenarios=[37], past_sizes=[0], sizes=[6])
    early = made.start < 600
    sd = np.sqrt(1.2 * made.mean[0, 0])
    cases = made.cases[early]
    assert cases.sum(axis=1).mean() == pytest.approx(6 * sd, rel=0.01)
    # P(floor(X) = 0) = P(log X < 0) = 1/2.
    first = made.cases[early, made.start[early]].sum() / cases.sum()
    assert first == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("expected", [1e-3, 0.5, 3.0, 400.0])
def test_sizes_are_poisson_given_at_least_two(expected: float) -> None:
    drawn = outbreak_size(np.random.default_rng(1), np.full(40_000, expected))
    assert drawn.min() >= 2
    more = 1 - np.exp(-expected) * (1 + expected)
    mean = expected * (1 - np.exp(-expected)) / more
    assert drawn.mean() == pytest.approx(mean, rel=0.01)


@settings(max_examples=20)
@given(st.integers(1, 40), st.integers(0, 2**32), st.sampled_from([0.0, 2.0, 10.0]))
def test_the_truth_fits_the_series(series: int, seed: int, size: float) -> None:
    made = simulate_weekly(series=series, seed=seed, sizes=[size])
    truth = made.truth
    assert np.array_equal(truth.outbreak, made.cases[:, made.judged] > 0)
    assert not (truth.outbreak & ~truth.window).any()
    assert np.array_equal(truth.affected, truth.start >= 0)
    assert truth.affected.any() or size == 0 or series < 5
    assert (made.panel.counts == np.floor(made.panel.counts)).all()


def test_daily_moments_and_days() -> None:
    made = simulate_daily(series=1500, seed=1, size=0, signals=[4])
    ordinary = ~np.isin(np.arange(2548) % 364, BANK_HOLIDAYS)
    counts, mu = made.panel.counts[:, ordinary], made.mean[0, ordinary]
    assert (np.abs(counts.mean(axis=0) - mu) < 5 * np.sqrt(mu / 1500)).all()
    np.testing.assert_allclose(counts.var(axis=0) / mu, 1, atol=0.25)
    np.testing.assert_allclose(mu[7:14].sum(), mu[14:21].sum(), rtol=1e-9)


def test_working_day_signals_close_at_week_ends_and_bank_holidays() -> None:
    made = simulate_daily(series=300, seed=1, size=10, signals=[9])
    weekday, in_year = np.arange(2548) % 7, np.arange(2548) % 364
    closed = (weekday >= 5) | np.isin(in_year, BANK_HOLIDAYS)
    assert not made.panel.counts[:, closed].any()
    assert made.panel.counts[:, ~closed].mean() > 10
    assert not np.isin(made.start % 7, (5, 6)).any()
    # Easter Monday follows Good Friday; the day after it is the first that opens.
    before, day, later = made.mean[0, [364 + 85, 364 + 92, 364 + 99]]
    assert day / np.sqrt(before * later) == pytest.approx(1.5, rel=0.02)


def test_the_daily_outbreak_starts_in_the_judged_days_and_is_not_divided() -> None:
    made = simulate_daily(series=200, seed=1, size=5, signals=[13])
    assert made.start.min() >= 2205
    # Away from bank holidays and the end; 100 mean is mu before the division.
    calm = (made.start % 364 > 250) & (made.start % 364 < 330)
    mean = made.mean[calm, made.start[calm]]
    ratio = made.cases[calm].sum(axis=1) / (5 * 5 * np.sqrt(100 * mean))
    # Cases count 1.14 times on an average working day.
    assert ratio.mean() == pytest.approx(1.14, abs=0.05)


def test_yearly_peaks_are_part_of_the_baseline() -> None:
    made = simulate_daily(series=40, seed=1, size=0, signals=[16])
    day = np.arange(2548) % 364
    season = made.mean[:, (day > 230) & (day < 280)].mean()
    assert season > 1.3 * made.mean[:, (day > 100) & (day < 200)].mean()


def test_rolling_sums() -> None:
    made = simulate_daily(series=16, seed=2, size=3)
    sums = rolling_week(made)
    assert np.isnan(sums.panel.counts[:, :6]).all()
    assert sums.panel.counts[3, 100] == made.panel.counts[3, 94:101].sum()
    assert sums.truth.outbreak.sum() == made.truth.outbreak.sum()


@pytest.mark.parametrize("wrong", [{"signals": [2]}, {"signals": []}])
def test_unknown_signals_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="signals"):
        simulate_daily(series=1, seed=1, size=1, **wrong)


@pytest.mark.parametrize("wrong", [{"scenarios": [0]}, {"scenarios": [43]}, {"sizes": []}])
def test_unknown_scenarios_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="scenarios"):
        simulate_weekly(series=1, seed=1, **wrong)


@pytest.mark.parametrize(
    ("outbreak", "start", "message"),
    [
        (np.zeros((1, 3)), np.array([0]), "boolean"),
        (np.zeros((1, 3), dtype=bool), np.array([0, 1]), "shape"),
        (np.zeros((1, 3), dtype=bool), np.array([3]), "lie in"),
        (np.array([[True, False, False]]), np.array([1]), "after the first"),
    ],
)
def test_a_truth_that_contradicts_itself(outbreak: Any, start: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Truth(outbreak, start)
