r"""A robust log-linear baseline with season, weekday and trend, for every series and judged step.

Counts of the window before a step have the means :math:`\log\mu_i = \log n_i + x_i'\beta` (n the
exposure, if there is one) and variances :math:`\phi\mu_i`. Every coefficient but the level has a
normal prior of mean 0 and standard deviation :math:`\tau_j`: a trend of 0.2 a year, harmonics of
the year of 0.7 and 0.35, weekdays of 3. The estimate solves

.. math:: \sum_i w_i (y_i - \mu_i)\,x_i = \phi\,\Lambda\beta, \qquad
          \Lambda = \mathrm{diag}(\tau_j^{-2}),

so that years of counts decide for themselves, and weeks of them leave the season open: the
variance of :math:`\log\mu` at the judged step, :math:`\phi\,x'N^{-1}x` with
:math:`N = \sum_i w_i\mu_i x_i x_i' + \phi\Lambda`, goes into its dispersion.

Outbreaks of the past are left out: a count whose Anscombe residual

.. math:: \tfrac32\,(y^{2/3} - \mu^{2/3}) / (\mu^{1/6}\sqrt\phi)

is above :math:`3 + 0.7\sqrt{\phi/\mu}` has weight 0 in the next fit; the second term allows for
the skewness of small counts. In the last two fits, so have the counts of the run around it whose
residuals are above 1, unless the run has lasted for more than half a year
(`detectors._outbreak_runs`). Outbreaks that are so large a part of the history that they hide each
other are taken out before, by `detectors._lasting_outbreaks` and, with less history, by
`detectors._first_year`. Then the level
of the latest steps is followed as far as levels of the past have lasted (`detectors._level_drift`),
and dates that come every year with a count of their own get it (`detectors._recurring_days`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from detectors._first_year import begun_in_first_year
from detectors._lasting_outbreaks import counts_to_keep
from detectors._level_drift import follow_level
from detectors._log_linear import ETA, Problems, Terms, dispersion_of
from detectors._outbreak_runs import outbreak_runs
from detectors._recurring_days import recurring_factors

if TYPE_CHECKING:
    from detectors.contract import FloatArray, Positions

__all__ = ["Baseline", "Terms", "fit_baseline"]

_FIRST_FIT, _REFIT_STEPS = 8, 2
#: Residual above which a past count is taken for an outbreak's.
_OUTLYING = 3.0
#: What is added to it for the skewness of small counts, times the coefficient of variation. Without
#: it their dispersion comes out too low; before the outbreaks are out it would keep them in.
_SKEWED = (0.0, 0.0, 0.7, 0.7)
#: Residual down to which the counts around an outlying one belong to the same outbreak.
_SHOULDER = 1.0
#: Least share of the counts that are free while the terms' true number is not known.
_FREE = 0.5
#: The dispersion of few counts is itself uncertain: Student's t has this much more in its tails.
_UNCERTAIN = 4.0


class Baseline(NamedTuple):
    """Expected counts; arrays of shape `[step, problem]` and `[problem]`."""

    means: FloatArray
    #: phi of a new count, the uncertainty of the mean included.
    dispersion: FloatArray


def fit_baseline(
    counts: FloatArray,
    guard: int,
    predict: int,
    terms: Terms,
    *,
    latest: FloatArray | None = None,
    exposure: FloatArray | None = None,
    dates: Positions | None = None,
) -> Baseline:
    """Fit windows and extrapolate to the judged step.

    Parameters
    ----------
    counts
        Counts that end `guard` + 1 steps before the judged one, shape `[problem, window]`; NaN =
        missing. Each row has some counts.
    guard
        Steps between the window and the judged step, that one not counted.
    predict
        Steps before the judged one whose means are wanted as well, at most `guard`.
    terms
        The model.
    latest
        Counts of the steps between the windows and the judged one, shape `[problem, guard]`; they
        tell whether a high level goes on.
    exposure
        Positive numbers that the means are proportional to, shape `[problem, window + guard + 1]`,
        the judged step last.
    dates
        How far before the judged step the dates of it and of the steps before it lie in past years,
        shape `[predict + 1, year, problem]`, 0 where they do not.
    """
    offset = None if exposure is None else np.log(exposure)
    job = Problems.of(counts, guard, terms, offset)
    young = None
    if terms.block:
        kept = counts_to_keep(job, guard, terms)
        if latest is not None:
            risk = None if exposure is None else exposure[:, :-1]
            young = begun_in_first_year(counts, latest, risk, kept, terms)
            if young is not None:
                kept[young.rows] = young.kept
        job = job._replace(known=job.known * kept)
    known = job.known
    # Sums that share steps tell less than as many counts that share none.
    job = job._replace(known=known / terms.overlap)
    at_risk = job.known.sum(axis=1)
    if job.offset is not None:
        at_risk = (job.known * np.exp(job.offset)).sum(axis=1)
    beta = np.zeros((counts.shape[0], job.x.shape[1]))
    beta[:, 0] = np.log(np.maximum((job.known * job.y).sum(axis=1) / at_risk, 1e-3))
    beta, weight, phi = _without_outbreaks(job, beta)
    mean = np.exp(job.log_means(beta))
    inverse = np.linalg.inv(job.normal(weight * mean, phi))
    open_terms = (np.diagonal(inverse, axis1=1, axis2=2) * job.precision).sum(axis=1)
    free = np.maximum(weight.sum(axis=1) - (beta.shape[1] - phi * open_terms), 1.0)
    phi = dispersion_of(job, mean, weight, free)
    followed, factor = follow_level(job.y, mean, weight, phi, guard + 1, terms.memory)
    phi = dispersion_of(job, followed, weight, free) * (1.0 + _UNCERTAIN / free)
    back = np.arange(predict, -1, -1, dtype=np.float64)
    ahead = terms.design(back)
    eta = beta @ ahead.T + np.log(factor)[:, None]
    spread = np.maximum((inverse @ ahead[-1]) @ ahead[-1], 0.0)
    if young is not None:
        rows, still = young.rows, terms.standing_still(back, young.going)
        eta[rows] = (still @ beta[rows, :, None])[..., 0] + np.log(factor[rows])[:, None]
        last = still[:, -1]
        spread[rows] = np.maximum(((inverse[rows] @ last[..., None])[..., 0] * last).sum(axis=1), 0)
    # Zeros alone do not prove a rate of 0: half a case in the window is what they leave open.
    eta = np.maximum(eta, np.log(0.5 / at_risk)[:, None])
    if offset is not None:
        eta = eta + offset[:, -predict - 1 :]
    means = np.exp(np.clip(eta, -ETA, ETA)).T
    if dates is not None:
        special = recurring_factors(job.y, followed, known, phi, dates - guard)
        means = means * special
        # A multiple of a count has a multiple of its dispersion.
        phi = phi * np.maximum(special[-1], 1.0)
    return Baseline(means, phi * (1.0 + means[-1] * spread))


def _without_outbreaks(
    job: Problems, beta: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Coefficients, weights (0 for outlying and missing counts) and dispersion."""
    count = job.known.sum(axis=1)
    # The dispersion around the plain mean is too large, and so holds the first fit's terms near 0
    # where there is little else to hold them.
    phi = dispersion_of(job, np.exp(job.log_means(beta)), job.known, count)
    beta = job.improve(beta, job.known, phi, _FIRST_FIT)
    eta, weight = job.log_means(beta), job.known
    phi = dispersion_of(job, np.exp(eta), weight, _free(count, beta))
    power = np.cbrt(job.y) ** 2
    for skewed in _SKEWED:
        residual = 1.5 * (power - np.exp(eta * (2.0 / 3.0))) * np.exp(eta / -6.0)
        limit = _OUTLYING * np.sqrt(phi)[:, None] + skewed * phi[:, None] * np.exp(-0.5 * eta)
        outlying = job.known * (residual > limit) > 0
        if skewed and job.longest:
            # Before the dispersion is that without outbreaks, runs would be too short.
            high = residual > _SHOULDER * np.sqrt(phi)[:, None]
            outlying = outbreak_runs(outlying, high, job.known > 0, job.longest)
        weight = job.known * ~outlying
        beta = job.improve(beta, weight, phi, _REFIT_STEPS)
        eta = job.log_means(beta)
        phi = dispersion_of(job, np.exp(eta), weight, _free(weight.sum(axis=1), beta))
    return beta, weight, phi


def _free(count: FloatArray, beta: FloatArray) -> FloatArray:
    """Degrees of freedom while it is not known how far the prior holds the terms."""
    free: FloatArray = np.maximum(count - beta.shape[1], np.maximum(_FREE * count, 1.0))
    return free
