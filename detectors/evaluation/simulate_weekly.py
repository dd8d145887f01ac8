"""The weekly simulator of Noufaily et al. 2013, as used by Bedubourg and Le Strat 2017.

Examples
--------
>>> made = simulate_weekly(series=42 * 5 * 10, seed=1)
>>> made.panel.counts.shape, made.judged[[0, -1]]
((2100, 624), array([575, 623]))
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from detectors.contract import Panel
from detectors.evaluation.simulation import (
    Simulation,
    add_cases,
    negative_binomial,
    outbreak_size,
)
from detectors.evaluation.tables import table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from detectors.contract import FloatArray, Positions

__all__ = [
    "CURRENT_SIZES",
    "PAST_SIZES",
    "WEEKLY_SCENARIOS",
    "deal",
    "draw_weekly",
    "simulate_weekly",
    "weekly_mean",
]

WEEKS: Final = 624
PERIOD: Final = 52
# The paper's weeks 313-575 and 576-624, counted from 0.
_PAST: Final = (312, 575)
_CURRENT: Final = (575, 624)
_PAST_OUTBREAKS: Final = 4
#: Spread of the cases over weeks, log-normal of log mean 0.
_LOG_SD: Final = 0.5

WEEKLY_SCENARIOS: Final = tuple(range(1, 43))
"""Numbers of the scenarios."""
PAST_SIZES: Final = (0.0, 2.0, 3.0, 5.0, 10.0)
"""Sizes k of past outbreaks."""
CURRENT_SIZES: Final = tuple(float(k) for k in range(1, 11))
"""Sizes k of the current outbreak."""


def simulate_weekly(
    *,
    series: int,
    seed: int | np.random.Generator,
    scenarios: Sequence[int] = WEEKLY_SCENARIOS,
    past_sizes: Sequence[float] = PAST_SIZES,
    sizes: Sequence[float] = CURRENT_SIZES,
) -> Simulation:
    r"""Simulate weekly counts with outbreaks (Noufaily et al. 2013).

    The baseline of week t = 1, ..., 624 is negative binomial with mean mu(t) and variance
    phi mu(t) (Poisson if phi = 1),

    .. math:: \log \mu(t) = \theta + \beta t + \sum_{j=1}^{m}
              [\gamma_1 \cos(2 \pi j t / 52) + \gamma_2 \sin(2 \pi j t / 52)],

    with the 42 parameter sets of the paper (`scenarios/noufaily2013_scenarios42.csv`): with and
    without trend, with none, one or two harmonics, from 0.1 to 150 cases a week.

    An outbreak that starts in week s has Poisson(k sqrt(phi mu(s))) cases, redrawn until there are
    at least 2; each falls into week s + floor(X) with log X normal of mean 0 and standard
    deviation 0.5. Four past outbreaks of size k in {0, 2, 3, 5, 10} start in different weeks
    drawn from 313-575 and contaminate the baseline; one current outbreak of size k in
    {1, ..., 10} starts in one of the weeks 576-624, which are the judged ones. Its cases beyond
    week 624 are lost.

    Parameters
    ----------
    series
        How many series. The cells scenario x past size x size (2,100 of them by default) are
        dealt out in random order, each once before any comes again.
    seed
        A seed, or a generator to go on with.
    scenarios
        Numbers of the scenarios to use, from 1 to 42.
    past_sizes, sizes
        Sizes k of past and current outbreaks; 0 for none.

    Returns
    -------
    Simulation
        Weekly panel on integer time with period 52. Memory: 6 arrays of 5 kB a series.

    References
    ----------
    Noufaily A, Enki DG, Farrington P, Garthwaite P, Andrews N, Charlett A (2013). An improved
    algorithm for outbreak detection in multiple surveillance systems. Statistics in Medicine 32,
    1206-1222.

    Bedubourg G, Le Strat Y (2017). Evaluation and comparison of statistical methods for early
    temporal detection of outbreaks: a simulation-based study. PLoS ONE 12, e0181227.

    Examples
    --------
    >>> made = simulate_weekly(series=4, seed=20261122, scenarios=[31], past_sizes=[0])
    >>> made.mean[0, 0].round(2), made.dispersion[0, 0], made.contamination.sum()
    (np.float64(42.52), np.float64(1.1), np.float64(0.0))
    """
    rng = np.random.default_rng(seed)
    cells = deal(rng, series, [scenarios, past_sizes, sizes])
    scenario = cells[:, 0].astype(np.int64)
    names = ("theta", "beta", "g1", "g2", "m")
    theta, beta, g1, g2, m = (_parameter(name, scenario) for name in names)
    return draw_weekly(
        rng,
        mean=weekly_mean(theta, beta, g1, g2, m),
        phi=_parameter("phi", scenario),
        scenario=scenario,
        past_size=cells[:, 1],
        size=cells[:, 2],
        log_delay=np.zeros(series),
    )


def draw_weekly(
    rng: np.random.Generator,
    *,
    mean: FloatArray,
    phi: FloatArray,
    scenario: NDArray[np.int64],
    past_size: FloatArray,
    size: FloatArray,
    log_delay: FloatArray,
) -> Simulation:
    """Draw counts and outbreaks of series whose means are given.

    Parameters
    ----------
    mean
        Means of the counts without outbreaks, shape `[series, 624]`.
    phi, scenario, past_size, size
        As in :class:`~detectors.evaluation.simulation.Simulation`, shape `[series]`.
    log_delay
        Mean of the logarithm of the cases' delays in weeks, shape `[series]`.

    Examples
    --------
    >>> one = np.ones(1)
    >>> made = draw_weekly(np.random.default_rng(1), mean=np.full((1, 624), 4.0), phi=one,
    ...                    scenario=np.array([7]), past_size=0 * one, size=10 * one,
    ...                    log_delay=0 * one)
    >>> int(made.cases.sum()), made.contamination.sum()
    (31, np.float64(0.0))
    """
    series = phi.size
    baseline = negative_binomial(rng, mean, phi)
    sd = np.sqrt(phi[:, None] * mean)
    past = rng.permuted(np.tile(np.arange(*_PAST), (series, 1)), axis=1)[:, :_PAST_OUTBREAKS]
    contamination = _outbreaks(rng, sd, past, past_size, log_delay)
    start = rng.integers(*_CURRENT, size=series)
    cases = _outbreaks(rng, sd, start[:, None], size, log_delay)
    return Simulation(
        panel=Panel(baseline + contamination + cases, grain="week", period=PERIOD),
        judged=np.arange(*_CURRENT, dtype=np.intp),
        cases=cases,
        contamination=contamination,
        mean=mean,
        dispersion=np.broadcast_to(phi[:, None], mean.shape),
        start=start.astype(np.intp),
        scenario=scenario,
        size=size,
        past_size=past_size,
    )


def deal(rng: np.random.Generator, series: int, choices: Sequence[Sequence[float]]) -> FloatArray:
    """Deal out the cells of a full crossing, shape `[series, factors]`.

    Examples
    --------
    >>> sorted(deal(np.random.default_rng(1), 2, [[1, 2], [5]]).tolist())
    [[1.0, 5.0], [2.0, 5.0]]
    """
    cells = np.stack(np.meshgrid(*choices, indexing="ij"), axis=-1).reshape(-1, len(choices))
    if not len(cells):
        raise ValueError("scenarios and sizes must not be empty")
    rounds = -(-series // len(cells))
    order = rng.permuted(np.tile(np.arange(len(cells)), (rounds, 1)), axis=1).ravel()[:series]
    dealt: FloatArray = cells[order].astype(np.float64)
    return dealt


def _parameter(name: str, scenario: NDArray[np.int64]) -> FloatArray:
    known = table("noufaily2013_scenarios42")
    if scenario.size and not (scenario.min() >= 1 and scenario.max() <= known["scenario"].size):
        raise ValueError(f"scenarios are numbered 1 to {known['scenario'].size}")
    values: FloatArray = known[name].astype(np.float64)[scenario - 1]
    return values


def weekly_mean(
    theta: FloatArray, beta: FloatArray, g1: FloatArray, g2: FloatArray, m: FloatArray
) -> FloatArray:
    """Give mu(t) of :func:`simulate_weekly`, shape `[series, 624]`, from `[series]` parameters.

    Examples
    --------
    >>> none = np.zeros(1)
    >>> weekly_mean(none, none, none, none, none)[0, :3]
    array([1., 1., 1.])
    """
    theta, beta, g1, g2, m = (values[:, None] for values in (theta, beta, g1, g2, m))
    t = np.arange(1, WEEKS + 1)
    log_mean = theta + beta * t
    for j in (1, 2):
        angle = 2 * np.pi * j * t / PERIOD
        log_mean = log_mean + np.where(j <= m, g1 * np.cos(angle) + g2 * np.sin(angle), 0.0)
    mean: FloatArray = np.exp(log_mean)
    return mean


def _outbreaks(
    rng: np.random.Generator,
    sd: FloatArray,
    starts: Positions,
    size: FloatArray,
    log_delay: FloatArray,
) -> FloatArray:
    """Cases of outbreaks that start at `starts`, shape `[series, outbreaks]`."""
    expected = size[:, None] * np.take_along_axis(sd, starts, axis=1)
    sizes = outbreak_size(rng, expected)
    rows = np.broadcast_to(np.arange(sd.shape[0])[:, None], starts.shape)
    each = sizes.ravel()
    log_mean = np.repeat(log_delay[rows.ravel()], each)
    delay = np.floor(rng.lognormal(log_mean, _LOG_SD)).astype(np.intp)
    cases = np.zeros(sd.shape)
    add_cases(cases, np.repeat(rows.ravel(), each), np.repeat(starts.ravel(), each) + delay)
    return cases
