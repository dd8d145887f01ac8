r"""Is an outbreak in progress at this step? Likelihood ratios over the latest few steps.

Without an outbreak a count has mean :math:`\mu` and variance :math:`\phi\mu`. An outbreak of
size :math:`k` that began at step :math:`b` adds
:math:`e_j = k \sqrt{\phi\bar\mu}\, w_j\, \mu_{b+j} / \bar\mu` cases on average at step
:math:`b + j`, where :math:`\bar\mu` is the average of the steps considered. With
:math:`L(b, c)` the likelihood ratio, averaged over sizes, of the counts at steps
:math:`b, ..., c` under such an outbreak against none, the score of step t is

.. math::

    S_t = \max\Bigl\{\log L(t, t),\;
          \log \sum_{a \ge 0} q_a L(t - a, t)
          - \log\Bigl(1 + \rho \sum_{a \ge 1} q_{a-1} (1 - p_a) L(t - a, t - 1)\Bigr)\Bigr\},

where :math:`q_a = p_1 \cdots p_a` is the chance that an outbreak lasts beyond its first `a` steps.
The second term weighs the latest steps together: its first sum is the evidence for an outbreak
that is in progress, its second sum the evidence for one that has ended at step t - 1, so that
cases of the steps before do not count against step t. The first term is the judged count alone.
It bounds the threshold: whatever the steps before were (an outbreak of any length, a holiday's
spike), a count that would be an alarm after quiet steps is an alarm.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.special import gammaln

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detectors.contract import FloatArray

__all__ = [
    "LEVELS",
    "Course",
    "FilterState",
    "exceeded_before",
    "limit_of",
    "p_value_of",
    "prepare",
    "score_of",
    "upper_of",
]

#: Likelihood ratios beyond exp(+-300) say no more.
_LARGEST = 300.0
#: Mean above which the negative binomial is taken for normal.
_NORMAL = 1e6
_POISSON = 1.0 + 1e-4
#: Quiet steps after which an exceedance still continues the outbreak before.
_QUIET = 1
_DOUBLINGS, _ROUNDS = 60, 14


class Course(NamedTuple):
    """How an outbreak runs, step by step."""

    #: Share w of its cases.
    shares: tuple[float, ...]
    #: Chance p that it lasts one step more.
    persistence: tuple[float, ...]
    #: Sizes k, in standard deviations of an average step's count.
    sizes: tuple[float, ...]
    #: Scores that are reached with the probabilities of `LEVELS` without an outbreak.
    scores: tuple[float, ...]
    #: Weight rho of an outbreak that has just ended against none.
    ended: float = 0.2

    @property
    def steps(self) -> int:
        """Longest duration, and the number of steps that a score looks at (one more)."""
        return len(self.shares)


class FilterState(NamedTuple):
    """What the judged count is weighed with; arrays of shape [..., series, judged]."""

    mean: FloatArray
    dispersion: FloatArray
    #: Cases added by an outbreak of each size and age, shape [size, age, series, judged].
    added: FloatArray
    #: Log weight of each size and age by the steps before the judged one, same shape.
    weight: FloatArray
    #: Log weight of "none, or one that has just ended".
    ended: FloatArray


def prepare(
    counts: FloatArray, means: FloatArray, dispersion: FloatArray, course: Course
) -> FilterState:
    """Weigh the steps before the judged one.

    Parameters
    ----------
    counts, means
        Observed and expected counts of the `course.steps` + 1 steps up to the judged one, shape
        `[step, series, judged]`, the judged step last; NaN counts tell nothing.
    dispersion
        phi, at least 1, shape `[series, judged]`.
    """
    phi = np.maximum(dispersion, _POISSON)
    steps, sizes = course.steps, course.sizes
    survival = np.cumprod((1.0, *course.persistence))
    average = means.mean(axis=0)
    unit = np.sqrt(phi / average) * means
    weights = np.empty((len(sizes), steps, *phi.shape))
    added = np.empty_like(weights)
    ended = np.zeros(phi.shape)
    for number, size in enumerate(sizes):
        extra = size * unit
        for age in range(steps):
            past = _log_ratios(counts, means, phi, extra, course, steps - age)
            weights[number, age] = past + np.log(survival[age] / len(sizes))
            added[number, age] = extra[steps] * course.shares[age]
        for length in range(1, steps + 1):
            past = _log_ratios(counts, means, phi, extra, course, steps - length)
            stops = 1.0 - course.persistence[length - 1] if length < steps else 1.0
            ended += np.exp(past) * (survival[length - 1] * stops / len(sizes))
    return FilterState(means[steps], phi, added, weights, np.log1p(course.ended * ended))


def _log_ratios(  # noqa: PLR0917 - the formula's own terms
    counts: FloatArray,
    means: FloatArray,
    phi: FloatArray,
    extra: FloatArray,
    course: Course,
    begin: int,
) -> FloatArray:
    """Log likelihood ratio of the steps before the judged one under an outbreak from `begin` on."""
    total = np.zeros(phi.shape)
    for step in range(begin, course.steps):
        share = course.shares[step - begin]
        ratio = _log_ratio(counts[step], means[step], phi, extra[step] * share)
        total += np.where(np.isnan(ratio), 0.0, ratio)
    return np.clip(total, -_LARGEST, _LARGEST)


def _log_ratio(
    count: FloatArray, mean: FloatArray, phi: FloatArray, added: FloatArray
) -> FloatArray:
    """Log likelihood ratio of a count with `added` cases or without, both negative binomial.

    Both have the dispersion phi: the ratio then rises with the count without end.
    """
    with_mean = mean + added
    ratio = _log_mass(count, with_mean, phi) - _log_mass(count, mean, phi)
    if not with_mean.size or float(with_mean.max()) <= _NORMAL:
        return ratio
    # Far out, the gamma functions' difference is lost in rounding; the normal law is exact.
    squares = (count - mean) ** 2 / mean - (count - with_mean) ** 2 / with_mean
    normal = 0.5 * (squares / phi - np.log(with_mean / mean))
    return np.where(with_mean > _NORMAL, normal, ratio)


def _log_mass(count: FloatArray, mean: FloatArray, phi: FloatArray) -> FloatArray:
    """Log probability of a count but for what does not depend on the mean."""
    size = mean / (phi - 1.0)
    mass: FloatArray = gammaln(count + size) - gammaln(size) - size * np.log(phi)
    return mass


def score_of(count: FloatArray, state: FilterState) -> FloatArray:
    """Return S of the judged counts, shape `[series, judged]`; rising in the count."""
    logs = state.weight + _log_ratio(count, state.mean, state.dispersion, state.added)
    largest = logs.max(axis=(0, 1))
    together = largest + np.log(np.exp(logs - largest).sum(axis=(0, 1))) - state.ended
    # Age 0: no step before the judged one is part of the outbreak.
    first = logs[:, 0]
    largest = first.max(axis=0)
    alone = largest + np.log(np.exp(first - largest).sum(axis=0))
    score: FloatArray = np.maximum(together, alone)
    return score


def exceeded_before(
    counts: FloatArray, means: FloatArray, dispersion: FloatArray, course: Course, limit: float
) -> NDArray[np.bool_]:
    """Tell where one of the latest steps before the judged one was an exceedance itself.

    These are the step before and, for courses of three steps and more, the one before that, so
    that one quiet step does not part an outbreak in two. They are compared with the baseline of
    the judged step.

    Parameters
    ----------
    counts, means, dispersion
        As for :func:`prepare`.
    limit
        Score of an exceedance.

    Returns
    -------
    ndarray
        Shape `[series, judged]`.
    """
    found = np.zeros(dispersion.shape, dtype=np.bool_)
    for back in range(1, 1 + min(_QUIET + 1, max(course.steps - 1, 1))):
        earlier, levels = np.full_like(counts, np.nan), means.copy()
        earlier[back:], levels[back:] = counts[:-back], means[:-back]
        state = prepare(earlier, levels, dispersion, course)
        known = ~np.isnan(earlier[-1])
        found |= known & (score_of(np.where(known, earlier[-1], 0.0), state) > limit)
    return found


def upper_of(limit: float, state: FilterState) -> FloatArray:
    """Return the count whose score is `limit`: the alarm threshold; 0 where any count is above.

    The score rises in the count and is nearly straight where it matters, so that the Illinois
    variant of false position comes within a millionth in few rounds.
    """
    low = np.zeros_like(state.mean)
    below = score_of(low, state) - limit
    high = state.mean + 3.0 * np.sqrt(state.dispersion * np.maximum(state.mean, 1.0)) + 1.0
    above = score_of(high, state) - limit
    for _ in range(_DOUBLINGS):
        short = above < 0
        if not short.any():
            break
        low, below = np.where(short, high, low), np.where(short, above, below)
        high = np.where(short, 2.0 * high, high)
        above = np.where(short, score_of(high, state) - limit, above)
    upper = high
    for _ in range(_ROUNDS):
        with np.errstate(divide="ignore", invalid="ignore"):
            upper = high - above * (high - low) / (above - below)
        upper = np.where(np.isfinite(upper), np.clip(upper, low, high), high)
        value = score_of(upper, state) - limit
        passed = value > 0
        below = np.where(passed, 0.5 * below, value)
        above = np.where(passed, value, 0.5 * above)
        low, high = np.where(passed, low, upper), np.where(passed, upper, high)
    return np.where(score_of(np.zeros_like(upper), state) >= limit, 0.0, upper)


#: Probabilities of a `Course`'s scores. A mean likelihood ratio has nearly the same distribution
#: whatever the mean and dispersion are: the scores are medians over means of 0.1 to 10,000 and
#: dispersions of 1 to 6, 100,000 draws each.
LEVELS = (0.6, 0.35, 0.2, 0.1, 0.05, 0.01, 0.001, 0.0001)
_LOG_P = tuple(float(np.log(level)) for level in LEVELS)


def p_value_of(score: FloatArray, course: Course) -> FloatArray:
    """Return the probability of a score as high without an outbreak."""
    scores = (course.scores[0] - 2.0, *course.scores)
    inside = np.interp(score, scores, (0.0, *_LOG_P))
    beyond = _LOG_P[-1] + _slope(course) * (score - scores[-1])
    p_value: FloatArray = np.exp(np.where(score > scores[-1], beyond, inside))
    return p_value


def limit_of(alpha: float, course: Course) -> float:
    """Return the score whose p-value is `alpha`."""
    log_p = float(np.log(alpha))
    scores = (course.scores[0] - 2.0, *course.scores)
    if log_p >= _LOG_P[-1]:
        return float(np.interp(-log_p, [-value for value in (0.0, *_LOG_P)], scores))
    return scores[-1] + (log_p - _LOG_P[-1]) / _slope(course)


def _slope(course: Course) -> float:
    return (_LOG_P[-1] - _LOG_P[-2]) / (course.scores[-1] - course.scores[-2])
