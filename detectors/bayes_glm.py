"""Bayesian outbreak detection: the predictive distribution of a negative-binomial regression.

The threshold is a quantile of what the model predicts, with everything that is uncertain in the
fit carried into it: short or noisy histories give wide thresholds by themselves.

Examples
--------
>>> import numpy as np
>>> from detectors.contract import Panel
>>> week = np.arange(157)
>>> counts = np.round(20 + 10 * np.cos(2 * np.pi * week / 52))
>>> counts[156] = 60
>>> panel = Panel(counts[None], grain="week", period=52)
>>> Boda().judge(panel, at=slice(-2, None)).alarm
array([[False,  True]])
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from detectors._judging import baseline_reasons, conclude, judge_in_blocks
from detectors._negative_binomial import mixture_quantile, mixture_tail, normal_score
from detectors._negbin_regression import LOG_MEAN_BOUNDS, fit_negbin
from detectors._seasonal_terms import Column, wave_columns
from detectors._windows import POSITIONS, read_windows
from detectors.rolling import values_at
from detectors.seasons import longest_year, steps_per_year

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detectors.contract import FloatArray, Grain, Panel, Positions, Verdicts

__all__ = ["Boda"]

# Standard deviations of the priors, on the log scale.
_LEVEL_SD, _TREND_SD = 2.0, 1.0
#: Prior mean and standard deviation of log psi: dispersions of 0.0025 to 1 are within two.
_DISPERSION_PRIOR = (float(np.log(0.05)), 1.5)
_MEAN_NODES, _DISPERSION_NODES = 9, 5
_LEAST_COUNTS = 10
# Numbers alive for the predictive distribution of a point.
_MIXTURE_FLOATS = 18 * _MEAN_NODES * _DISPERSION_NODES


class Boda(BaseModel):
    """Bayesian outbreak detection with a negative-binomial GLM, after Manitz & Höhle (2013).

    The counts y_t of the last `years_back` years are negative binomial with mean mu_t and variance
    mu_t + psi mu_t^2, and, k steps before the judged step t0,

        log mu = beta_0 - beta_1 k / K + sum over h of a_h cos(2 pi h k / P) + b_h sin(2 pi h k / P)

    with P the steps of a year, K those of the history, and for daily counts three more pairs with
    P / h replaced by 7 / h (a mean for each day of the week). The priors are weak: N(log of the
    mean count, 2^2) for beta_0, N(0, 1) for beta_1 and the season (over h), N(0, 0.7^2) for the
    week, N(log 0.05, 1.5^2) for log psi. The posterior is approximated by Laplace's method: a
    normal distribution of log mu_t0 about its mode with variance x' H^-1 x, H the negative Hessian,
    and one of log psi (beta and psi are orthogonal in the expected information). The posterior
    predictive distribution of y_t0 is the integral of the negative binomial over both, by 9 times 5
    nodes of Gauss-Hermite quadrature. The threshold is its 1 - `alpha` quantile.

    Use it for seasonal counts of any size, above all for short histories, rare diseases and
    several clumped ones, where plug-in thresholds are too low. It differs from the paper in its
    season (harmonics, no cyclic random walk) and trend (linear, no random walk), and takes the
    past as free of outbreaks: what was large in it widens psi and raises thresholds, so that it is
    careful after large outbreaks. R's function `boda` needs INLA and simulates; this is exact up to
    Laplace's method and gives the same numbers each time.

    Parameters
    ----------
    years_back
        Years of history.
    exclude_recent
        Steps just before the judged one that are left out, lest an outbreak raise its own
        threshold.
    harmonics
        Number of pairs in the season; 0 for none.
    trend
        Whether there is a beta_1.
    day_of_week
        Whether daily panels have a mean for each day of the week.
    alpha
        Nominal one-sided level.

    Notes
    -----
    *Verdicts.* `expected` is the mean of the predictive distribution given psi at its mode, exp of
    the mode of log mu_t0 and half its variance. `upper` is the least whole number q with
    P(Y > q) <= `alpha`, and a count above it is an alarm. `p_value` is the predictive P(Y >= y),
    with which an alarm is `p_value` <= `alpha`; it is discrete, and conservative on small counts.
    `score` is the normal quantile of `p_value`, between -8.2 and 37.

    *Time axis.* The design is written relative to the judged step, so that all series and steps
    share it. Without `period` the year has 365.25 days (months: 12 steps); with `period` it has
    `period` steps. On daily panels a week has seven steps, unless the year has fewer than 300.

    *Missing counts* are left out, as are steps before the panel. 10 counts must be there, and two
    for each coefficient. `all_zero` marks histories without a case; the prior of beta_0 is then
    centred as if half a case had been seen. `population` is not used.

    *Memory* beyond the verdicts: 16 MiB, or 14 histories of 16 steps of one series.

    References
    ----------
    Manitz J, Höhle M (2013). Bayesian outbreak detection algorithm for monitoring reported cases
    of campylobacteriosis in Germany. Biometrical Journal 55, 509-526.

    Tierney L, Kadane JB (1986). Accurate approximations for posterior moments and marginal
    densities. Journal of the American Statistical Association 81, 82-86.

    Examples
    --------
    >>> import numpy as np
    >>> from detectors.contract import Panel
    >>> few = Panel(np.array([[0.0, 1, 0, 2, 1, 0, 0, 1, 3, 0, 1, 1, 5]]), grain="month")
    >>> verdicts = Boda(harmonics=0, trend=False).judge(few, at=slice(-1, None))
    >>> verdicts.upper, verdicts.p_value.round(3)
    (array([[4.]]), array([[0.007]]))
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["boda"] = "boda"
    years_back: int = Field(default=3, ge=1, le=20, description="Years of history")
    exclude_recent: int = Field(
        default=0, ge=0, le=1000, description="Steps before the judged one that are left out"
    )
    harmonics: int = Field(default=1, ge=0, le=6, description="Pairs of waves in the season")
    trend: bool = Field(default=True, description="Whether the log mean has a linear trend")
    day_of_week: bool = Field(
        default=True, description="Whether each day of the week of daily counts has its mean"
    )
    alpha: float = Field(default=0.01, gt=1e-9, lt=1, description="Nominal one-sided level")

    def lookback(self, grain: Grain) -> int:
        """Say how many steps before a judged one the verdict may depend on.

        Examples
        --------
        >>> Boda(years_back=2, exclude_recent=4).lookback("week")
        110
        """
        return self.years_back * longest_year(grain) + self.exclude_recent

    def judge(self, panel: Panel, at: Positions | slice | None = None) -> Verdicts:
        """Judge the time positions `at` (default: all) of every series.

        Examples
        --------
        >>> import numpy as np
        >>> from detectors.contract import Panel, Reason
        >>> zeros = Panel(np.zeros((1, 60)), grain="week")
        >>> verdicts = Boda().judge(zeros, at=slice(-1, None))
        >>> Reason(verdicts.reason[0, 0]).name, verdicts.upper
        ('all_zero', array([[1.]]))
        """
        length = self._length(panel)
        return judge_in_blocks(
            panel,
            at,
            self._judge_rows,
            floats_per_series=lambda judged: (
                (14 * length + _MIXTURE_FLOATS) * min(judged, POSITIONS)
            ),
        )

    def _length(self, panel: Panel) -> int:
        """Return the steps of history; `lookback` holds whatever the period."""
        wanted = self.years_back * steps_per_year(panel)
        return min(wanted, self.years_back * longest_year(panel.grain))

    def _judge_rows(self, panel: Panel, index: Positions, out: Verdicts, rows: slice) -> None:
        """Judge a block of series."""
        counts = panel.counts[rows]
        model = self._model(panel)
        read = read_windows(
            counts,
            index,
            lambda past, known, observed: self._predict(past, known, observed, model),
            (out.expected, out.upper, out.p_value),
            length=model.design.shape[0],
            lag=self.exclude_recent + 1,
            least=max(_LEAST_COUNTS, 2 * model.prior_sd.size),
        )
        out.score[:] = normal_score(out.p_value)
        conclude(
            out,
            observed=values_at(counts, index),
            judgeable=read.judgeable,
            reason=baseline_reasons(zero=read.zero),
        )

    def _model(self, panel: Panel) -> _Model:
        """Build the design of the history, oldest step first, and its priors."""
        length = self._length(panel)
        lags = np.arange(float(length), 0.0, -1.0) + np.float64(self.exclude_recent)
        columns = [Column(np.ones(length), 1.0, _LEVEL_SD)]
        if self.trend:
            share = np.divide(-lags, self.exclude_recent + length)
            columns.append(Column(share, 0.0, _TREND_SD))
        columns += wave_columns(panel, lags, harmonics=self.harmonics, day_of_week=self.day_of_week)
        design, judged, spread = zip(*columns, strict=True)
        return _Model(np.stack(design, axis=1), np.array(judged), np.array(spread))

    def _predict(
        self, past: FloatArray, known: NDArray[np.bool_], observed: FloatArray, model: _Model
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return expected, upper and p_value of points with enough history."""
        prior_mean = np.zeros((past.shape[0], model.prior_sd.size))
        prior_mean[:, 0] = np.log((past.sum(axis=-1) + 0.5) / (known.sum(axis=-1) + 0.5))
        fit = fit_negbin(
            past,
            known.astype(np.float64),
            model.design,
            prior_mean=prior_mean,
            prior_sd=model.prior_sd,
            dispersion_prior=_DISPERSION_PRIOR,
        )
        centre = (fit.beta * model.judged).sum(axis=-1)
        variance = ((fit.covariance * model.judged).sum(axis=-1) * model.judged).sum(axis=-1)
        node, share = np.polynomial.hermite_e.hermegauss(_MEAN_NODES)
        node2, share2 = np.polynomial.hermite_e.hermegauss(_DISPERSION_NODES)
        log_mean = np.clip(
            centre[:, None] + np.sqrt(variance)[:, None] * np.repeat(node, node2.size),
            *LOG_MEAN_BOUNDS,
        )
        log_psi = fit.log_dispersion[:, None] + fit.dispersion_sd[:, None] * np.tile(
            node2, node.size
        )
        weight = np.outer(share / share.sum(), share2 / share2.sum()).ravel()
        weights = np.broadcast_to(weight, log_mean.shape)
        mean, size = np.exp(log_mean), np.exp(-log_psi)
        expected = np.exp(np.clip(centre + variance / 2.0, *LOG_MEAN_BOUNDS))
        upper = mixture_quantile(self.alpha, mean, size, weights)
        seen = np.where(np.isnan(observed), 0.0, observed)
        return expected, upper, mixture_tail(seen, mean, size, weights)


class _Model(NamedTuple):
    """What all points share."""

    design: FloatArray
    judged: FloatArray
    """Row of the judged step."""
    prior_sd: FloatArray
