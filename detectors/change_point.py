"""Bayesian online change-point detection: how likely is it that the rate has just gone up.

Makes no difference between outbreaks and other rises and needs no history of outbreaks; the level
before the change is learnt from as many steps as it has lasted.

Examples
--------
>>> import numpy as np
>>> from detectors.contract import Panel
>>> counts = np.array([[4.0, 6, 5, 3, 5, 6, 4, 5, 4, 6, 5, 4, 14, 13]])
>>> verdicts = ChangePoint(window=12).judge(Panel(counts))
>>> verdicts.alarm[0, -3:], verdicts.expected[0, -3:].round(1)
(array([False,  True,  True]), array([4.8, 4.7, 7.4]))
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator
from scipy.special import logit

from detectors._judging import baseline_reasons, conclude, judge_in_blocks
from detectors._negative_binomial import mixture_quantile, mixture_tail
from detectors._run_lengths import RunLengths, neighbour_dispersion
from detectors._windows import POSITIONS, read_windows
from detectors.rolling import values_at

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detectors.contract import FloatArray, Grain, Panel, Positions, Verdicts

__all__ = ["ChangePoint"]

_LEAST_COUNTS = 8
_MOST_ODDS = 700.0


class ChangePoint(BaseModel):
    """Bayesian online change-point detection with gamma-Poisson runs (Adams & MacKay 2007).

    The steps fall into runs. At each step a new run begins with probability H (`hazard`); the rate
    lambda of a run has the prior Gamma(alpha_0, beta_0) and its counts are Poisson. After the
    counts x_1, ..., x_n of a run the posterior is Gamma(alpha_0 + sum x, beta_0 + n), and the
    predictive distribution pi of the next count is negative binomial. The posterior of the run
    length r_t, or of the step s = t - r_t + 1 at which the current run began, follows by

        P(s, y_1..t) = P(s, y_1..t-1) (1 - H) pi_s(y_t)    for s < t,
        P(t, y_1..t) = P(y_1..t-1) H pi_t(y_t).

    The runs begin anew `window` steps before each judged one, at which a run begins for certain.
    There is an alarm if the probability of a recent upward change,

        sum over the last `recent` steps s of P(s | y_1..t) P(lambda > m_s | s, y_s..t),

    exceeds `threshold`, with m_s the count expected at s from those before s. At the defaults 0.8 %
    of steps without a change were alarms (Poisson of mean 3; negative binomial of mean 20 and
    variance 60), and a lasting leap of 2.5 standard deviations was one in half of the cases at its
    second step and in seven of ten at its third.

    Use it for series without season whose level wanders in steps, and to date a change; a rise that
    has lasted for longer than `recent` is a new normal to it. Slow growth is seen late.

    Parameters
    ----------
    window
        Steps before the judged one that are looked at; the longest run.
    hazard
        H, the reciprocal of the mean length of runs.
    recent
        Steps, the judged one included, in which a run must have begun; less than `window`.
    threshold
        Probability above which there is an alarm.
    alpha
        One-sided level of `upper`.
    prior_shape
        alpha_0, the weight of the prior in cases; beta_0 makes the prior mean that of the counts
        in the window (and half a case more).
    overdispersion
        Variance of the counts in a run over their mean, at least 1. By default it is estimated
        from the differences of neighbours d and their sums, sum d^2 / sum (y_t + y_t-1), which few
        changes of level affect. With phi above 1 the posterior is updated by y / phi and 1 (a
        quasi-likelihood), and pi is the negative binomial with the mean and the variance that
        follow, mu = phi alpha / beta and phi mu + mu^2 / alpha.

    Notes
    -----
    *Verdicts.* `alarm` is the decision above, and **not** "count above `upper`". `score` is the log
    odds of the probability, within -700 .. 700. `expected`, `upper` and `p_value` are the mean, the
    1 - `alpha` quantile (least whole q with P(Y > q) <= `alpha`) and P(Y >= y_t) of the predictive
    distribution of y_t in case that no run begins at t: `p_value` is about this count alone, while
    the alarm weighs the former ones too. The two agree on a single leap; the alarm is the later
    one on a leap of one step (hazard), the earlier on a modest rise of several.

    *Missing counts* change nothing but that a run may begin there, as do steps before the panel.
    The window must hold 8 counts. `all_zero` marks windows without a case. `population` is not
    used.

    *Cost* grows as the square of `window` for each judged point. *Memory* beyond the verdicts:
    16 MiB, or 26 windows of 16 steps of one series.

    References
    ----------
    Adams RP, MacKay DJC (2007). Bayesian online changepoint detection. arXiv:0710.3742.

    Fearnhead P, Liu Z (2007). On-line inference for multiple changepoint problems. Journal of the
    Royal Statistical Society B 69, 589-605.

    Examples
    --------
    >>> import numpy as np
    >>> from detectors.contract import Panel
    >>> rng = np.random.default_rng(1)
    >>> counts = rng.poisson(np.r_[np.full(40, 8.0), np.full(10, 20.0)])[None].astype(float)
    >>> found = ChangePoint(window=30).judge(Panel(counts), at=np.arange(37, 46))
    >>> found.alarm[0].astype(int)
    array([0, 0, 0, 0, 1, 1, 1, 0, 0])
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["change_point"] = "change_point"
    window: int = Field(default=60, ge=8, le=1000, description="Steps looked at, the longest run")
    hazard: float = Field(
        default=0.02, gt=0, lt=1, description="Probability that a run begins at a step"
    )
    recent: int = Field(
        default=4, ge=1, le=999, description="Latest steps in which the rise must have begun"
    )
    threshold: float = Field(
        default=0.2, gt=0, lt=1, description="Probability of a recent rise that gives an alarm"
    )
    alpha: float = Field(default=0.01, gt=1e-9, lt=1, description="One-sided level of `upper`")
    prior_shape: float = Field(
        default=1.0, gt=0, le=1e6, description="Shape of the gamma prior of the rate of a run"
    )
    overdispersion: float | None = Field(
        default=None, ge=1, le=1e6, description="Variance over mean in a run; else estimated"
    )

    @model_validator(mode="after")
    def _recent_fits(self) -> Self:
        if self.recent >= self.window:
            raise ValueError(f"recent must be less than window ({self.window}), got {self.recent}")
        return self

    def lookback(self, grain: Grain) -> int:  # noqa: ARG002 - the window counts steps
        """Say how many steps before a judged one the verdict may depend on.

        Examples
        --------
        >>> ChangePoint(window=30).lookback("week")
        30
        """
        return self.window

    def judge(self, panel: Panel, at: Positions | slice | None = None) -> Verdicts:
        """Judge the time positions `at` (default: all) of every series.

        Examples
        --------
        >>> import numpy as np
        >>> from detectors.contract import Panel
        >>> ChangePoint(alpha=0.05).judge(Panel(np.full((1, 70), 9.0)), slice(-1, None)).upper
        array([[14.]])
        """
        return judge_in_blocks(
            panel,
            at,
            self._judge_rows,
            floats_per_series=lambda judged: 26 * self.window * min(judged, POSITIONS),
        )

    def _judge_rows(self, panel: Panel, index: Positions, out: Verdicts, rows: slice) -> None:
        """Judge a block of series."""
        counts = panel.counts[rows]
        rise = np.zeros(out.alarm.shape)
        read = read_windows(
            counts,
            index,
            self._read,
            (out.expected, out.upper, out.p_value, rise),
            length=self.window,
            least=_LEAST_COUNTS,
        )
        out.score[:] = np.clip(logit(rise), -_MOST_ODDS, _MOST_ODDS)
        conclude(
            out,
            observed=values_at(counts, index),
            judgeable=read.judgeable,
            alarm=rise > self.threshold,
            reason=baseline_reasons(zero=read.zero),
        )

    def _read(
        self, past: FloatArray, known: NDArray[np.bool_], observed: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Return expected, upper, p_value and the probability of a recent rise."""
        phi = (
            neighbour_dispersion(past, known)
            if self.overdispersion is None
            else np.full(past.shape[0], self.overdispersion)
        )
        mean = (past.sum(axis=-1) + 0.5) / (known.sum(axis=-1) + 0.5)
        runs = RunLengths(
            mean, phi, length=self.window + 1, hazard=self.hazard, shape=self.prior_shape
        )
        for step in range(self.window):
            runs.take(past[:, step], known[:, step])
        means, sizes, weights = runs.predictive()
        expected = (means * weights).sum(axis=-1)
        upper = mixture_quantile(self.alpha, means, sizes, weights)
        missing = np.isnan(observed)
        seen = np.where(missing, 0.0, observed)
        p_value = mixture_tail(seen, means, sizes, weights)
        runs.take(seen, ~missing)
        return expected, upper, p_value, runs.recent_rise(self.recent)
