"""Posterior of the step at which the current run of gamma-Poisson counts began.

Examples
--------
>>> import numpy as np
>>> runs = RunLengths(np.array([2.0]), np.ones(1), length=4, hazard=0.1, shape=1.0)
>>> for count in (2.0, 1.0, 30.0):
...     runs.take(np.array([count]), np.array([True]))
>>> runs.recent_rise(1).round(2)  # the last count began a new run
array([1.])
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import betaln, gammaincc, ndtr

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detectors.contract import FloatArray

__all__ = ["RunLengths", "neighbour_dispersion"]

_MOST_LOG = 700.0
_IMPOSSIBLE = 1e300
# Gamma distributions of a larger shape are normal to all digits that matter.
_NORMAL_SHAPE = 1e8


class RunLengths:
    """Posterior of the step at which the current run began, of many series at once.

    Column s of the arrays `[points, steps]` belongs to the run that began at step s.
    """

    def __init__(
        self, mean: FloatArray, phi: FloatArray, *, length: int, hazard: float, shape: float
    ) -> None:
        points = mean.size
        self.hazard, self.phi, self.steps = hazard, phi[:, None], 0
        self.alpha = np.full((points, length), shape)
        # In units of phi cases: mean / phi is the prior mean of the rate.
        self.beta = np.repeat((shape / (mean / phi))[:, None], length, axis=1)
        self.weight = np.zeros((points, length))
        self.expected = np.repeat(mean[:, None], length, axis=1)

    def predictive(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Means, sizes and weights of the next count if no run begins with it."""
        n = self.steps
        mean, size = self._moments(n)
        return mean, size, self.weight[:, :n]

    def take(self, counts: FloatArray, known: NDArray[np.bool_]) -> None:
        """Go on by one step; a count that is not known says nothing."""
        n = self.steps
        if n:
            mean, _, weight = self.predictive()
            self.expected[:, n] = (mean * weight).sum(axis=-1)
            self.weight[:, :n] *= 1.0 - self.hazard
        self.weight[:, n] = self.hazard if n else 1.0
        self.steps = n = n + 1
        mean, size = self._moments(n)
        y = counts[:, None]
        with np.errstate(under="ignore", over="ignore", invalid="ignore"):
            log_pi = -betaln(y + 1.0, size) - np.log(y + size)
            log_pi -= size * np.log1p(mean / size) + y * np.log1p(size / mean)
            # Counts near 1e100 overflow where they are impossible.
            log_pi = np.clip(np.nan_to_num(log_pi, nan=-_IMPOSSIBLE), -_IMPOSSIBLE, _MOST_LOG)
            pi = np.exp(log_pi - log_pi.max(axis=-1, keepdims=True))
            joint = self.weight[:, :n] * np.where(known[:, None], pi, 1.0)
        total = joint.sum(axis=-1, keepdims=True)
        # All weight on runs whose prediction failed utterly: the likeliest one takes over.
        lost = total <= 0
        joint = np.where(lost, pi, joint)
        self.weight[:, :n] = joint / joint.sum(axis=-1, keepdims=True)
        self.alpha[:, :n] += np.where(known[:, None], y / self.phi, 0.0)
        self.beta[:, :n] += known[:, None]

    def recent_rise(self, recent: int) -> FloatArray:
        """Probability that the run began in the last `recent` steps, at a higher rate."""
        last = slice(self.steps - recent, self.steps)
        shape = self.alpha[:, last]
        level = self.beta[:, last] * (self.expected[:, last] / self.phi)
        large = shape > _NORMAL_SHAPE
        above = gammaincc(np.where(large, 1.0, shape), np.where(large, 1.0, level))
        above = np.where(large, ndtr((shape - level) / np.sqrt(shape)), above)
        total: FloatArray = (self.weight[:, last] * above).sum(axis=-1)
        return np.clip(total, 0.0, 1.0)

    def _moments(self, n: int) -> tuple[FloatArray, FloatArray]:
        """Mean and size of the predictive distributions of the first n runs."""
        alpha = self.alpha[:, :n]
        mean = self.phi * (alpha / self.beta[:, :n])
        return mean, 1.0 / ((self.phi - 1.0) / mean + 1.0 / alpha)


def neighbour_dispersion(past: FloatArray, known: NDArray[np.bool_]) -> FloatArray:
    """Return sum d^2 / sum (y_t + y_t-1) over neighbours that are both known, at least 1."""
    both = known[:, 1:] & known[:, :-1]
    difference = np.where(both, past[:, 1:] - past[:, :-1], 0.0)
    pair = np.where(both, past[:, 1:] + past[:, :-1], 0.0)
    ratio = (difference**2).sum(axis=-1) / np.maximum(pair.sum(axis=-1), 1e-9)
    capped: FloatArray = np.maximum(ratio, 1.0)
    return capped
