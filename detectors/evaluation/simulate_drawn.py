"""Weekly series like those of Noufaily et al. 2013, of scenarios that nobody chose.

Examples
--------
>>> made = simulate_drawn(series=2100, seed=1)
>>> made.panel.counts.shape, len(np.unique(made.scenario))
((2100, 624), 42)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from detectors.evaluation.simulate_weekly import (
    CURRENT_SIZES,
    PAST_SIZES,
    WEEKS,
    deal,
    draw_weekly,
    weekly_mean,
)

if TYPE_CHECKING:
    from detectors.contract import FloatArray
    from detectors.evaluation.simulation import Simulation

__all__ = ["COURSES", "Scenarios", "draw_scenarios", "simulate_drawn"]

_SCENARIOS: Final = 42
#: The published ones reach from -2 to 5 and from 1 to 5.
_THETA: Final = (-2.0, 5.0)
_PHI: Final = (1.0, 5.0)
#: Logarithm of last over first mean: the published ones have 0 to 3.1, and no decline.
_GROWTH: Final = (-0.7, 3.1)
#: Amplitude sqrt(g1^2 + g2^2): the published ones have 0 to 1.0.
_AMPLITUDE: Final = (0.0, 1.0)
#: Mean above which a scenario is drawn again.
_HIGHEST: Final = 500.0
COURSES: Final = (-1.0, 0.0, 0.7, 1.4)
"""Mean log delay of a case in weeks; the published outbreaks have 0.

Nearly all cases in the first week; the published course; twice and four times as slow.
"""


@dataclass(frozen=True, slots=True, eq=False)
class Scenarios:
    """Parameters of the scenarios as in :func:`~detectors.evaluation.simulate_weekly`.

    All have the shape `[scenarios]`.
    """

    theta: FloatArray
    phi: FloatArray
    beta: FloatArray
    g1: FloatArray
    g2: FloatArray
    m: FloatArray


def draw_scenarios(seed: int, count: int = _SCENARIOS) -> Scenarios:
    """Draw scenarios at random from ranges that hold the published ones.

    theta is uniform from -2 to 5. phi is 1 in one of six, else uniform from 1 to 5. One half has
    a trend, by which the mean changes over the 624 weeks by a factor from 1/2 to 22 (uniform in
    the logarithm). There are 0, 1 or 2 harmonics, one third each, of an amplitude uniform from 0
    to 1 and of any phase. A scenario whose mean exceeds 500 is drawn again.

    Examples
    --------
    >>> drawn = draw_scenarios(1, count=3)
    >>> drawn.theta.round(2), drawn.m
    (array([1.58, 0.86, 3.52]), array([0., 0., 2.]))
    """
    rng = np.random.default_rng(seed)
    rows: list[tuple[float, ...]] = []
    while len(rows) < count:
        theta = rng.uniform(*_THETA)
        phi = 1.0 if rng.random() < 1 / 6 else rng.uniform(*_PHI)
        beta = rng.uniform(*_GROWTH) / WEEKS if rng.random() < 1 / 2 else 0.0
        m = float(rng.integers(0, 3))
        amplitude, phase = rng.uniform(*_AMPLITUDE), rng.uniform(0, 2 * np.pi)
        row = (theta, phi, beta, amplitude * np.cos(phase), amplitude * np.sin(phase), m)
        one = [np.array([value]) for value in row]
        if weekly_mean(one[0], one[2], *one[3:]).max() <= _HIGHEST:
            rows.append(row)
    return Scenarios(*np.array(rows).T)


def simulate_drawn(*, series: int, seed: int, scenarios: Scenarios | None = None) -> Simulation:
    """Simulate weekly counts of drawn scenarios, with outbreaks of several courses.

    As :func:`~detectors.evaluation.simulate_weekly`, but for the scenarios and for the course: the
    past and current outbreaks of a series have one of the mean log delays :data:`COURSES` (the
    standard deviation stays 0.5). Slow outbreaks have more cases, so that a week of them is not
    lost in the noise: sizes k are doubled at 0.7 and at 1.4.

    Parameters
    ----------
    series
        How many series. The cells scenario x past size x size x course are dealt out at random.
    seed
        Of the counts, and of the scenarios unless they are given.
    scenarios
        From :func:`draw_scenarios`.

    Examples
    --------
    >>> made = simulate_drawn(series=500, seed=1)
    >>> bool((made.cases[made.truth.affected].sum(axis=1) >= 1).all())
    True
    """
    chosen = draw_scenarios(seed) if scenarios is None else scenarios
    numbers = range(chosen.theta.size)
    rng = np.random.default_rng([seed, 1])
    cells = deal(rng, series, [numbers, PAST_SIZES, CURRENT_SIZES, COURSES])
    row = cells[:, 0].astype(np.intp)
    course = cells[:, 3]
    factor = np.where(course > 0, 2.0, 1.0)
    values = (chosen.theta, chosen.beta, chosen.g1, chosen.g2, chosen.m)
    return draw_weekly(
        rng,
        mean=weekly_mean(*(each[row] for each in values)),
        phi=chosen.phi[row],
        scenario=row.astype(np.int64) + 1,
        past_size=factor * cells[:, 1],
        size=factor * cells[:, 2],
        log_delay=course,
    )
