"""`auto` where an outbreak comes in the first year of a series."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors._first_year import begun_in_first_year
from detectors._log_linear import Terms
from detectors.auto import Auto
from detectors.contract import Panel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detectors.contract import FloatArray, Grain, Verdicts

SERIES = 6
WEEKDAYS = np.array([1.2, 1.1, 1.0, 1.0, 1.0, 0.9, 0.8])


def counts_of(
    grain: Grain, factors: FloatArray, level: float, *, seed: int = 1, phi: float = 1.0
) -> FloatArray:
    """Counts of `level` times `factors`; for sums of seven days, of the days up to each."""
    steps = np.arange(factors.size + 6 * (grain == "rolling7"))
    mean = level * (np.ones(steps.size) if grain == "week" else WEEKDAYS[steps % 7])
    mean[steps.size - factors.size :] *= factors
    rng = np.random.default_rng(seed)
    shape = (SERIES, steps.size)
    if phi == 1.0:
        drawn = rng.poisson(mean, shape)
    else:
        drawn = rng.negative_binomial(mean / (phi - 1.0), 1.0 / phi, shape)
    counts = drawn.astype(np.float64)
    if grain == "rolling7":
        counts = np.lib.stride_tricks.sliding_window_view(counts, 7, axis=1).sum(axis=-1)
    return counts


def judged(
    grain: Grain,
    counts: FloatArray,
    since: int | NDArray[np.intp],
    population: FloatArray | None = None,
) -> Verdicts:
    dates = np.datetime64("2024-01-01") + np.arange(counts.shape[1]) * (7 if grain == "week" else 1)
    panel = Panel(counts, dates=dates, grain=grain, population=population)
    return Auto().judge(panel, slice(since, None) if isinstance(since, int) else since)


def wave(before: int, length: int, factor: float = 3.0, after: int = 0) -> FloatArray:
    return np.repeat([1.0, factor, 1.0], [before, length, after])


def longest_silence(alarm: FloatArray) -> int:
    return max(len(part) for part in "".join("01"[int(a)] for a in alarm).split("1"))


#: Grain, cases a step (rolling7: a day), history, length of the wave, steps until it is full.
WAVES = [
    ("week", 30, 20, 17, 0),
    ("week", 30, 40, 24, 0),
    ("week", 50, 12, 9, 0),
    ("day", 20, 60, 55, 0),
    ("day", 20, 150, 60, 0),
    ("day", 20, 300, 90, 0),
    ("rolling7", 10, 60, 50, 5),
    ("rolling7", 10, 150, 60, 5),
    ("rolling7", 10, 300, 90, 5),
]


@pytest.mark.parametrize(("grain", "level", "before", "length", "rise"), WAVES)
def test_a_wave_in_the_first_year_has_no_silence(
    grain: Grain, level: float, before: int, length: int, rise: int
) -> None:
    counts = counts_of(grain, wave(before, length), level)
    verdicts = judged(grain, counts, before + rise)
    assert verdicts.alarm.mean() > 0.97
    assert np.median([longest_silence(row) for row in verdicts.alarm]) <= 1
    # The threshold does not follow the wave.
    late = verdicts.upper[:, -5:].mean() / verdicts.upper[:, :5].mean()
    assert late < 1.25


@pytest.mark.parametrize("grain", ["week", "day", "rolling7"])
def test_a_wave_with_overdispersed_counts_stays_in_alarm(grain: Grain) -> None:
    before, length = (30, 20) if grain == "week" else (120, 60)
    counts = counts_of(grain, wave(before, length), 40, phi=2.0)
    alarm = judged(grain, counts, before + 5).alarm
    assert alarm.mean() > 0.95
    assert alarm[:, -5:].mean() > 0.9


@pytest.mark.parametrize(
    ("grain", "parts"),
    [("week", (20, 3, 8, 8)), ("day", (150, 8, 27, 40)), ("rolling7", (150, 8, 27, 40))],
)
def test_a_second_wave_in_the_first_year_has_no_silence(
    grain: Grain, parts: tuple[int, int, int, int]
) -> None:
    counts = counts_of(grain, np.repeat([1.0, 6.0, 1.0, 3.0], parts), 20)
    alarm = judged(grain, counts, sum(parts[:3]) + (5 if grain == "rolling7" else 1)).alarm
    assert alarm.mean() > 0.97
    assert np.median([longest_silence(row) for row in alarm]) <= 1


@pytest.mark.parametrize(
    ("grain", "before", "factor"),
    [
        ("week", 20, 2.0),
        ("week", 20, 3.0),
        ("day", 80, 2.0),
        ("day", 80, 3.0),
        ("rolling7", 80, 1.3),
        ("rolling7", 80, 2.0),
    ],
)
def test_what_lasts_as_long_as_all_before_is_a_new_level(
    grain: Grain, before: int, factor: float
) -> None:
    # A hospital joins: cases never come back. The wait is as long as the history before.
    length = before + (8 if grain == "week" else 40)
    soon, late = before + np.arange(6, before - 10, 5), before + length - 1 - np.arange(4)
    counts = counts_of(grain, wave(before, length, factor), 50)
    if factor >= 2:
        assert judged(grain, counts, soon).alarm.mean() > 0.9
    verdicts = judged(grain, counts, late)
    assert verdicts.alarm.mean() < 0.1
    usual = 50 * factor * (7 if grain == "rolling7" else 1)
    expected = verdicts.expected.mean()
    assert 0.7 * usual < expected < 1.35 * usual


@pytest.mark.parametrize("grain", ["week", "day", "rolling7"])
def test_what_is_high_from_the_first_count_on_is_no_wave(grain: Grain) -> None:
    steps = 12 if grain == "week" else 70
    first = 3 if grain == "week" else 20
    factors = np.repeat([3.0, 1.0], [first, steps])
    counts = counts_of(grain, factors, 30)
    terms = Terms(52.18 if grain == "week" else 365.25, 2, trend=True, weekdays=grain == "day")
    found = begun_in_first_year(
        counts[:, :-3], counts[:, -3:], None, np.ones(counts[:, :-3].shape, dtype=np.bool_), terms
    )
    assert found is None


@pytest.mark.parametrize("grain", ["week", "day", "rolling7"])
@pytest.mark.parametrize(("level", "phi"), [(0.3, 1.0), (2.0, 2.5), (20.0, 1.0), (50.0, 2.5)])
def test_noise_loses_no_counts_in_the_first_year(grain: Grain, level: float, phi: float) -> None:
    lost = 0
    for steps in (12, 30, 50) if grain == "week" else (60, 150, 360):
        for seed in range(12):
            counts = counts_of(grain, np.ones(steps), level, seed=seed, phi=phi)
            terms = Terms(
                52.18 if grain == "week" else 365.25,
                2,
                trend=True,
                weekdays=grain == "day",
                overlap=3 if grain == "rolling7" else 1,
            )
            guard = 7 if grain == "rolling7" else 3
            whole = np.ones((SERIES, steps - guard), dtype=np.bool_)
            found = begun_in_first_year(
                counts[:, : steps - guard], counts[:, steps - guard :], None, whole, terms
            )
            lost += 0 if found is None else found.rows.size
    assert lost <= 1


@pytest.mark.parametrize("grain", ["week", "day"])
def test_a_wave_of_rates_is_found_beside_a_population_that_grows(grain: Grain) -> None:
    before, length = (30, 20) if grain == "week" else (120, 50)
    people = np.linspace(1e5, 2e5, before + length)
    counts = counts_of(grain, wave(before, length) * people / 1e5, 30)
    population = np.broadcast_to(people, counts.shape).copy()
    verdicts = judged(grain, counts, before, population)
    assert verdicts.alarm.mean() > 0.97
    # A population that doubles is no wave.
    calm = counts_of(grain, people / 1e5, 30)
    assert judged(grain, calm, before, population).alarm.mean() < 0.02


def test_two_years_of_history_are_as_they_were() -> None:
    counts = counts_of("week", wave(105, 10), 20)
    terms = Terms(52.18, 2, trend=True, weekdays=False, block=2)
    kept = np.ones((SERIES, 112), dtype=np.bool_)
    assert begun_in_first_year(counts[:, :112], counts[:, 112:], None, kept, terms) is None


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    steps=st.lists(
        st.tuples(st.integers(1, 60), st.sampled_from([0.0, 0.3, 20, 900, 1e60])), max_size=8
    ),
    gap=st.floats(0, 0.6),
    grain=st.sampled_from(["week", "day", "rolling7"]),
)
def test_any_short_history_is_gone_through(
    seed: int, steps: list[tuple[int, float]], gap: float, grain: Grain
) -> None:
    rng = np.random.default_rng(seed)
    mean = np.concatenate([np.full(60, 5.0), *(np.full(n, level) for n, level in steps)])
    counts = np.where(mean < 1e9, rng.poisson(np.minimum(mean, 1e9)), mean)[None, :]
    counts[rng.random(counts.shape) < gap] = np.nan
    terms = Terms(
        52.18 if grain == "week" else 365.25, 2, trend=True, weekdays=grain == "day", block=2
    )
    window = counts[:, :-3]
    known = ~np.isnan(window)
    found = begun_in_first_year(
        window, counts[:, -3:], None, np.ones(window.shape, dtype=np.bool_), terms
    )
    if found is not None:
        left = (found.kept & known).sum()
        assert left >= 0.5 * known.sum()
        assert left >= 8
        assert 0 <= found.going[0] <= counts.shape[1]
    with np.errstate(all="raise", under="ignore"):
        verdicts = judged(grain, counts, counts.shape[1] - 4)
    judgeable = verdicts.reason != 0
    assert judgeable.shape == (1, 4)
