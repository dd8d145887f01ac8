"""A two-state hidden Markov model of negative-binomial counts, fitted to many windows at once.

Examples
--------
>>> import numpy as np
>>> even = filter_states(np.zeros((3, 1)), np.array([0.1]), np.array([0.3]))
>>> even.epidemic[:, 0].round(6), even.next_epidemic.round(6)  # nothing seen: 0.1 / (0.1 + 0.3)
(array([0.25, 0.25, 0.25]), array([0.25]))
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from detectors._negbin_regression import LOG_MEAN_BOUNDS, fit_negbin, linear

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detectors._seasonal_terms import Column
    from detectors.contract import FloatArray

__all__ = [
    "MOST_ODDS",
    "States",
    "TwoStates",
    "filter_states",
    "fit_two_states",
    "likelihood_ratio",
]

#: Log odds are kept within this.
MOST_ODDS: Final = 700.0
# The epidemic state: prior of the log of its factor, and the least factor.
_FACTOR_PRIOR, _LEAST_FACTOR = (float(np.log(3.0)), 0.5), 1.2
_DISPERSION_PRIOR = (float(np.log(0.05)), 1.5)
# Transitions as if seen beforehand: (begun, not begun) and (ended, not ended).
_ENTER_PRIOR, _LEAVE_PRIOR = (1.0, 49.0), (1.0, 4.0)
# The endemic level is begun with a little below the mean of the window, on the log scale.
_START_BELOW = 0.3


class TwoStates(NamedTuple):
    """Fitted models of some windows."""

    beta: FloatArray
    """Coefficients and, last, delta; shape `[points, columns + 1]`."""
    size: FloatArray
    next_epidemic: FloatArray
    """Probability that the step after the window is epidemic."""


class States(NamedTuple):
    """What the recursions find; arrays of shape `[points]` but for the first."""

    epidemic: FloatArray
    """Smoothed probability of the epidemic state, shape `[steps, points]`."""
    entered: FloatArray
    """Expected number of changes to the epidemic state."""
    left: FloatArray
    next_epidemic: FloatArray


def fit_two_states(
    past: FloatArray, known: NDArray[np.bool_], columns: list[Column], iterations: int
) -> TwoStates:
    """Run the EM algorithm on windows of shape `[points, steps]`.

    Examples
    --------
    >>> from detectors._seasonal_terms import Column
    >>> counts = np.array([[5.0, 5, 5, 5, 20, 20, 20, 5, 5, 5, 5, 5]])
    >>> level = Column(np.ones(12), 1.0, 2.0)
    >>> found = fit_two_states(counts, np.ones((1, 12), dtype=np.bool_), [level], 50)
    >>> np.exp(found.beta).round(1)  # endemic mean and factor
    array([[5.1, 3.8]])
    """
    points, width = past.shape[0], len(columns) + 1
    base = np.stack([column.values for column in columns], axis=1)
    endemic = np.hstack([base, np.zeros((base.shape[0], 1))])
    design = np.vstack([endemic, np.hstack([base, np.ones((base.shape[0], 1))])])
    spread = np.array([*(column.prior_sd for column in columns), _FACTOR_PRIOR[1]])
    centre = np.zeros((points, width))
    centre[:, 0] = np.log((past.sum(axis=-1) + 0.5) / (known.sum(axis=-1) + 0.5))
    centre[:, -1] = _FACTOR_PRIOR[0]
    beta, log_psi = centre.copy(), np.full(points, _DISPERSION_PRIOR[0])
    beta[:, 0] -= _START_BELOW
    enter, leave = (np.full(points, ones / (ones + others)) for ones, others in
                    (_ENTER_PRIOR, _LEAVE_PRIOR))  # fmt: skip
    twice = np.hstack([past, past])
    for _ in range(iterations):
        states = filter_states(_log_ratio(past, known, base, beta, log_psi), enter, leave)
        epidemic = np.ascontiguousarray(states.epidemic.T)
        fit = fit_negbin(
            twice,
            np.hstack([known * (1.0 - epidemic), known * epidemic]),
            design,
            prior_mean=centre,
            prior_sd=spread,
            dispersion_prior=_DISPERSION_PRIOR,
            iterations=1,
            start=(beta, log_psi),
        )
        beta, log_psi = fit.beta, fit.log_dispersion
        beta[:, -1] = np.maximum(beta[:, -1], np.log(_LEAST_FACTOR))
        enter, leave = _transitions(states)
    states = filter_states(_log_ratio(past, known, base, beta, log_psi), enter, leave)
    return TwoStates(beta, np.exp(-log_psi), states.next_epidemic)


def likelihood_ratio(
    mean: FloatArray, delta: FloatArray, size: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return a and b of the log likelihood ratio a y - b of the epidemic state.

    a is written as -log(1 - (1 - exp(-delta)) r / (r + mu_0)), which does not cancel where the
    counts are large.

    Examples
    --------
    >>> a, b = likelihood_ratio(np.array([1.0]), np.log(np.array([2.0])), np.array([1.0]))
    >>> np.exp(a).round(6), np.exp(b).round(6)
    (array([1.333333]), array([1.5]))
    """
    slope = -np.log1p(np.expm1(-delta) * (size / (size + mean)))
    offset = size * np.log1p(np.expm1(delta) * (mean / (size + mean)))
    return slope, offset


def _log_ratio(
    past: FloatArray,
    known: NDArray[np.bool_],
    base: FloatArray,
    beta: FloatArray,
    log_psi: FloatArray,
) -> FloatArray:
    """Return log f_1 / f_0 of every step, shape `[steps, points]`; 0 where nothing was seen."""
    mean = np.exp(np.clip(linear(base, beta[:, :-1]), *LOG_MEAN_BOUNDS))
    slope, offset = likelihood_ratio(mean, beta[:, -1:], np.exp(-log_psi)[:, None])
    ratio = np.clip(slope * past - offset, -MOST_ODDS, MOST_ODDS)
    return np.ascontiguousarray(np.where(known, ratio, 0.0).T)


def filter_states(log_ratio: FloatArray, enter: FloatArray, leave: FloatArray) -> States:
    """Run the forward and backward recursions, begun in the stationary distribution.

    Parameters
    ----------
    log_ratio
        log f_1 / f_0 of the steps, shape `[steps, points]`.
    enter, leave
        p_01 and p_10, shape `[points]`.

    Examples
    --------
    >>> filter_states(np.array([[9.0]]), np.array([0.5]), np.array([0.5])).epidemic.round(4)
    array([[0.9999]])
    """
    steps, points = log_ratio.shape
    odds = np.exp(log_ratio)
    predicted, filtered = np.empty((steps + 1, points)), np.empty((steps, points))
    predicted[0] = enter / (enter + leave)
    for t in range(steps):
        joint = predicted[t] * odds[t]
        filtered[t] = joint / (joint + (1.0 - predicted[t]))
        predicted[t + 1] = filtered[t] * (1.0 - leave) + (1.0 - filtered[t]) * enter
    smoothed = np.empty((steps, points))
    smoothed[-1] = filtered[-1]
    entered, left = np.zeros(points), np.zeros(points)
    for t in range(steps - 2, -1, -1):
        rise = smoothed[t + 1] / predicted[t + 1]
        fall = (1.0 - smoothed[t + 1]) / (1.0 - predicted[t + 1])
        entered += (1.0 - filtered[t]) * enter * rise
        left += filtered[t] * leave * fall
        smoothed[t] = filtered[t] * ((1.0 - leave) * rise + leave * fall)
    return States(np.clip(smoothed, 0.0, 1.0), entered, left, predicted[-1])


def _transitions(states: States) -> tuple[FloatArray, FloatArray]:
    """Return the posterior modes of p_01 and p_10 for the expected changes."""
    epidemic = states.epidemic[:-1].sum(axis=0)
    endemic = states.epidemic.shape[0] - 1.0 - epidemic
    enter = (states.entered + _ENTER_PRIOR[0]) / (endemic + sum(_ENTER_PRIOR))
    leave = (states.left + _LEAVE_PRIOR[0]) / (epidemic + sum(_LEAVE_PRIOR))
    return enter, leave
