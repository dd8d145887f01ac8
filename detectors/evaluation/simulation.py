"""What a simulator returns: counts to be judged, and the truth behind them.

Examples
--------
>>> from detectors.evaluation import simulate_weekly
>>> made = simulate_weekly(series=3, seed=1)
>>> made.panel.counts.shape, made.truth.outbreak.shape
((3, 624), (3, 49))
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import poisson

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from detectors.contract import FloatArray, Panel, Positions

__all__ = [
    "Simulation",
    "Truth",
    "add_cases",
    "join",
    "negative_binomial",
    "outbreak_size",
    "take",
]

#: Smallest outbreak: one case alone is none.
_LEAST_CASES = 2


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """Which of the judged steps belong to an outbreak; at most one outbreak for each series.

    Parameters
    ----------
    outbreak
        Whether a step holds at least one case of the outbreak, shape `[series, judged]`.
    start
        Judged column in which the outbreak starts, shape `[series]`; -1 where there is none. The
        start may lie before the first step with a case, never after it.

    Raises
    ------
    ValueError
        If the shapes do not fit each other, or a start lies outside the columns or after the
        first case.

    Examples
    --------
    >>> truth = Truth(np.array([[False, True, False, True]]), np.array([1]))
    >>> truth.last, truth.window
    (array([3]), array([[False,  True,  True,  True]]))
    """

    outbreak: NDArray[np.bool_]
    start: Positions

    def __post_init__(self) -> None:
        if self.outbreak.ndim != 2 or self.outbreak.dtype != np.bool_:  # noqa: PLR2004
            raise ValueError(
                "outbreak must be a boolean array [series, judged], "
                f"got {self.outbreak.dtype} of shape {self.outbreak.shape}"
            )
        series, judged = self.outbreak.shape
        if self.start.shape != (series,):
            raise ValueError(f"start must have the shape ({series},), got {self.start.shape}")
        if series and (self.start.min() < -1 or self.start.max() >= judged):
            raise ValueError(f"start must lie in -1 .. {judged - 1}")
        if bool((self.outbreak & ~self.window).any()):
            raise ValueError("start must not come after the first step of the outbreak")

    @property
    def affected(self) -> NDArray[np.bool_]:
        """Whether a series has an outbreak that can be seen in the judged steps.

        Examples
        --------
        >>> Truth(np.array([[False, True]]), np.array([0])).affected
        array([ True])
        """
        affected: NDArray[np.bool_] = np.asarray(self.outbreak.any(axis=1))
        return affected

    @property
    def last(self) -> Positions:
        """Column of the last case; -1 where there is none.

        Examples
        --------
        >>> Truth(np.array([[True, True, False]]), np.array([0])).last
        array([1])
        """
        columns = np.arange(self.outbreak.shape[1])
        last: Positions = np.where(self.outbreak, columns, -1).max(axis=1, initial=-1)
        return last.astype(np.intp)

    @property
    def window(self) -> NDArray[np.bool_]:
        """Steps from the start to the last case, those without cases included.

        Examples
        --------
        >>> Truth(np.array([[False, True, False]]), np.array([0])).window
        array([[ True,  True, False]])
        """
        columns = np.arange(self.outbreak.shape[1])
        begun = (columns >= self.start[:, None]) & (self.start >= 0)[:, None]
        window: NDArray[np.bool_] = begun & (columns <= self.last[:, None])
        return window


@dataclass(frozen=True, slots=True, eq=False)
class Simulation:
    """Simulated series and the truth behind them.

    Parameters
    ----------
    panel
        What a detector sees: baseline and all outbreaks.
    judged
        Positions that detectors judge, shape `[judged]`.
    cases
        Cases of the current outbreak, the one to be detected, shape `[series, time]`.
    contamination
        Cases of past outbreaks before the judged steps, shape `[series, time]`.
    mean, dispersion
        Mean mu and dispersion phi (variance / mean) of the counts without outbreaks, shape
        `[series, time]`: for oracles, which detectors are not.
    start
        Position at which the current outbreak starts, shape `[series]`.
    scenario
        Number of the scenario or signal in its table, shape `[series]`.
    size, past_size
        Size k of the current and the past outbreaks in standard deviations, shape `[series]`.

    Examples
    --------
    >>> from detectors.evaluation import simulate_weekly
    >>> simulate_weekly(series=3, seed=1).judged[[0, -1]]
    array([575, 623])
    """

    panel: Panel
    judged: Positions
    cases: FloatArray
    contamination: FloatArray
    mean: FloatArray
    dispersion: FloatArray
    start: Positions
    scenario: NDArray[np.int64]
    size: FloatArray
    past_size: FloatArray

    @property
    def truth(self) -> Truth:
        """The truth in the judged steps.

        A late start may leave no case within the series; such a series has no outbreak.

        Examples
        --------
        >>> from detectors.evaluation import simulate_weekly
        >>> simulate_weekly(series=3, seed=1).truth.window.shape
        (3, 49)
        """
        outbreak = self.cases[:, self.judged] > 0
        start = np.where(outbreak.any(axis=1), self.start - self.judged[0], -1)
        return Truth(outbreak, start.astype(np.intp))


#: What a simulation holds for each series.
_BY_SERIES = (
    "cases",
    "contamination",
    "mean",
    "dispersion",
    "start",
    "scenario",
    "size",
    "past_size",
)


def take(simulation: Simulation, rows: Positions) -> Simulation:
    """Keep some of the series.

    Examples
    --------
    >>> from detectors.evaluation import simulate_weekly
    >>> take(simulate_weekly(series=5, seed=1), np.array([0, 3])).truth.outbreak.shape
    (2, 49)
    """
    panel = replace(simulation.panel, counts=simulation.panel.counts[rows])
    kept = {name: getattr(simulation, name)[rows] for name in _BY_SERIES}
    return replace(simulation, panel=panel, **kept)


def join(simulations: Sequence[Simulation]) -> Simulation:
    """Put the series of simulations with the same time axis and judged steps together.

    Examples
    --------
    >>> from detectors.evaluation import simulate_weekly
    >>> join([simulate_weekly(series=2, seed=seed) for seed in (1, 2)]).cases.shape
    (4, 624)
    """
    first = simulations[0]
    counts = np.concatenate([one.panel.counts for one in simulations])
    joined = {
        name: np.concatenate([getattr(one, name) for one in simulations]) for name in _BY_SERIES
    }
    return replace(first, panel=replace(first.panel, counts=counts), **joined)


def negative_binomial(
    rng: np.random.Generator, mean: FloatArray, dispersion: FloatArray
) -> FloatArray:
    """Draw negative-binomial counts of mean mu and variance phi mu; Poisson where phi is 1.

    The size parameter is mu / (phi - 1) and the probability 1 / phi.

    Parameters
    ----------
    mean
        mu, shape `[series, time]`, positive.
    dispersion
        phi, shape `[series]`, at least 1.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> counts = negative_binomial(rng, np.full((1, 20_000), 4.0), np.array([3.0]))
    >>> counts.mean().round(1), counts.var().round()
    (np.float64(4.0), np.float64(12.0))
    """
    counts = np.empty(mean.shape)
    over = dispersion > 1
    phi = dispersion[over, None]
    counts[over] = rng.negative_binomial(mean[over] / (phi - 1), 1 / phi)
    counts[~over] = rng.poisson(mean[~over])
    return counts


def outbreak_size(rng: np.random.Generator, expected: FloatArray) -> NDArray[np.int64]:
    """Draw Poisson numbers of cases, redrawn until they are at least 2; 0 where 0 is expected.

    The redraw is done in one step, from the part of the distribution above 1.

    Examples
    --------
    >>> outbreak_size(np.random.default_rng(1), np.array([0.0, 0.01, 500.0]))
    array([  0,   2, 476])
    """
    below = poisson.cdf(_LEAST_CASES - 1, expected)
    # 1 - U lies in (0, 1], so that the survival function is never asked for 0 cases or fewer.
    tail = (1 - below) * (1 - rng.random(expected.shape))
    drawn = np.maximum(poisson.isf(tail, np.maximum(expected, 1e-300)), _LEAST_CASES)
    return np.where(expected > 0, drawn, 0).astype(np.int64)


def add_cases(
    cases: FloatArray, series: Positions, at: Positions, weight: FloatArray | float = 1.0
) -> None:
    """Add cases one by one; those before or after the series are dropped.

    Parameters
    ----------
    cases
        Changed in place, shape `[series, time]`.
    series, at
        Row and column of each case.
    weight
        How much each case counts.

    Examples
    --------
    >>> cases = np.zeros((2, 3))
    >>> add_cases(cases, np.array([0, 0, 1]), np.array([2, 2, 5]))
    >>> cases
    array([[0., 0., 2.],
           [0., 0., 0.]])
    """
    inside = (at >= 0) & (at < cases.shape[1])
    flat = series[inside] * cases.shape[1] + at[inside]
    weights = np.broadcast_to(np.asarray(weight, dtype=np.float64), at.shape)[inside]
    cases += np.bincount(flat, weights=weights, minlength=cases.size).reshape(cases.shape)
