r"""The log-linear model of counts that `auto` fits, for many windows at once.

Counts have the means :math:`\log\mu_i = \log n_i + x_i'\beta` (n the exposure, if there is one)
and the variances :math:`\phi\mu_i`. Time is counted back from the judged step, so that all series
and steps share one design, and the normal equations of all of them are one matrix product.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detectors.contract import FloatArray

__all__ = ["ETA", "Problems", "Terms", "dispersion_of"]

#: Prior standard deviations: of the trend in a year, of the harmonics, of the weekdays (whose
#: week-ends may be all but empty).
_TREND_SD, _SEASON_SD, _WEEKDAY_SD = 0.2, (0.7, 0.35), 3.0
#: Years before the judged step at which the level is written.
_CENTRE = 2.5
#: A ridge that keeps columns without any information at 0, in units of one count.
_RIDGE = 1e-6
#: Largest logarithm of a mean: counts reach 1e100.
ETA = 231.0


class Terms(NamedTuple):
    """Which terms the log-linear model has."""

    #: Steps in a year.
    period: float
    harmonics: int
    trend: bool
    weekdays: bool
    #: By how much the weight of a step falls with each step in the average of the latest ones.
    memory: float = 0.7
    #: Longest run in years that is left out around an outlying count; 0 where outlying counts are
    #: left out one by one.
    longest: float = 0.5
    #: Steps that are added up where lasting outbreaks are looked for; 0 where they are not.
    block: int = 0
    #: How many neighbouring counts tell as much as one, where they are sums that share steps.
    overlap: int = 1

    def design(self, back: FloatArray) -> FloatArray:
        """Return the design of steps that lie `back` before the judged one, shape [step, term]."""
        columns = [np.ones_like(back)]
        if self.trend:
            columns.append(1.0 - back / (_CENTRE * self.period))
        for order in range(1, self.harmonics + 1):
            angle = 2.0 * np.pi * order * back / self.period
            columns += [np.cos(angle), np.sin(angle)]
        if self.weekdays:
            columns += [(back % 7 == day).astype(np.float64) - 1.0 / 7.0 for day in range(1, 7)]
        return np.stack(columns, axis=1)

    def standing_still(self, back: FloatArray, since: NDArray[np.intp]) -> FloatArray:
        """Return the design with trend and season as they were `since` steps earlier.

        The shape is `[problem, step, term]`; weekdays go on.
        """
        earlier = (back + since[:, None]).ravel()
        found = self.design(earlier).reshape(since.size, back.size, -1)
        if self.weekdays:
            found[..., -6:] = self.design(back)[:, -6:]
        return found

    def precision(self) -> FloatArray:
        """Return the diagonal of Lambda, shape [term]."""
        spread = [np.inf]
        if self.trend:
            spread.append(_TREND_SD * _CENTRE)
        for order in range(self.harmonics):
            spread += [_SEASON_SD[order]] * 2
        if self.weekdays:
            spread += [_WEEKDAY_SD] * 6
        return 1.0 / np.array(spread) ** 2


class Problems(NamedTuple):
    """Counts and design of some windows; arrays of shape `[problem, step]` but for the design."""

    y: FloatArray
    known: FloatArray
    #: log n; None without exposure.
    offset: FloatArray | None
    x: FloatArray
    #: Products of two columns, each pair once, and where in a matrix they belong.
    square: FloatArray
    place: np.ndarray[tuple[int, ...], np.dtype[np.intp]]
    precision: FloatArray
    #: Steps that an outbreak lasts at most.
    longest: float

    @classmethod
    def of(
        cls, counts: FloatArray, guard: int, terms: Terms, offset: FloatArray | None
    ) -> Problems:
        """Take the counts of windows that end `guard` + 1 steps before the judged one."""
        window = counts.shape[1]
        back = np.arange(window + guard, guard, -1, dtype=np.float64)
        known = ~np.isnan(counts)
        risk = None if offset is None else offset[:, :window]
        return cls.make(np.where(known, counts, 0.0), known, risk, back, terms)

    @classmethod
    def make(
        cls,
        y: FloatArray,
        known: NDArray[np.bool_],
        offset: FloatArray | None,
        back: FloatArray,
        terms: Terms,
    ) -> Problems:
        """Put counts that lie `back` steps before the judged one into the model."""
        x = terms.design(back)
        one, two = np.triu_indices(x.shape[1])
        place = np.empty((x.shape[1], x.shape[1]), dtype=np.intp)
        place[one, two] = place[two, one] = np.arange(one.size)
        return cls(
            y=y,
            known=known.astype(np.float64),
            offset=offset,
            x=x,
            square=x[:, one] * x[:, two],
            place=place,
            precision=terms.precision(),
            longest=terms.longest * terms.period,
        )

    def rows(self, rows: NDArray[np.intp]) -> Problems:
        """Take some of the problems."""
        offset = None if self.offset is None else self.offset[rows]
        return self._replace(y=self.y[rows], known=self.known[rows], offset=offset)

    @property
    def exposure(self) -> FloatArray:
        """Exposure n of each count that is known, 0 of the others."""
        return self.known if self.offset is None else self.known * np.exp(self.offset)

    def log_means(self, beta: FloatArray) -> FloatArray:
        eta = beta @ self.x.T
        if self.offset is not None:
            eta = eta + self.offset
        return np.clip(eta, -ETA, ETA)

    def normal(self, working: FloatArray, phi: FloatArray) -> FloatArray:
        """N, shape `[problem, term, term]`."""
        prior = phi[:, None, None] * np.diag(self.precision)
        ridge = _RIDGE * np.eye(self.precision.size)
        normal: FloatArray = (working @ self.square)[:, self.place] + prior + ridge
        return normal

    def improve(
        self, beta: FloatArray, weight: FloatArray, phi: FloatArray, steps: int
    ) -> FloatArray:
        """Improve the coefficients by Fisher scoring."""
        for _ in range(steps):
            mean = np.exp(self.log_means(beta))
            normal = self.normal(weight * mean, phi)
            gradient = (weight * (self.y - mean)) @ self.x - phi[:, None] * self.precision * beta
            change = np.linalg.solve(normal, gradient[..., None])[..., 0]
            # A step that would change a term by more than e^2 is held back; far off, the curvature
            # misleads.
            beta = beta + np.clip(change, -2.0, 2.0)
        return beta


def dispersion_of(
    job: Problems, mean: FloatArray, weight: FloatArray, free: FloatArray
) -> FloatArray:
    phi: FloatArray = (weight * (job.y - mean) ** 2 / mean).sum(axis=1) / free
    return np.maximum(phi, 1.0)
