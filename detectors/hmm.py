"""A two-state hidden Markov model: is the series in its endemic or its epidemic state.

An outbreak is a state that lasts, so several counts that are each a little high may raise the
alarm that none of them would raise alone.

Examples
--------
>>> import numpy as np
>>> from detectors.contract import Panel
>>> counts = np.array([[4.0, 5, 3, 6, 4, 2, 5, 4, 3, 5, 4, 6, 3, 4, 5, 4, 3, 4, 12, 14]])
>>> verdicts = NbHmm(window=18, harmonics=0).judge(Panel(counts, grain="week"))
>>> verdicts.alarm[0, -3:]
array([False,  True,  True])
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from scipy.special import logit

from detectors._hidden_markov import MOST_ODDS, fit_two_states, likelihood_ratio
from detectors._judging import baseline_reasons, conclude, judge_in_blocks
from detectors._negative_binomial import nb_tail
from detectors._negbin_regression import LOG_MEAN_BOUNDS
from detectors._seasonal_terms import Column, wave_columns
from detectors._windows import POSITIONS, read_windows
from detectors.rolling import values_at
from detectors.seasons import year_length

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detectors.contract import FloatArray, Grain, Panel, Positions, Verdicts

__all__ = ["NbHmm"]

_LEAST_COUNTS = 12
_LEVEL_SD = 2.0


class NbHmm(BaseModel):
    """Two-state negative-binomial hidden Markov model (Le Strat & Carrat 1999).

    The state S_t is 0 (endemic) or 1 (epidemic) and is a Markov chain with the probabilities
    p_01 and p_10 of a change. Given it, the count y_t is negative binomial with variance
    mu + psi mu^2 and the mean

        log mu_t = beta_0 + seasonal waves + delta S_t,    delta >= log 1.2:

    both states share the season, and the epidemic one multiplies it by exp(delta). The model is
    fitted anew for each judged step t, on the `window` steps before it: `iterations` rounds of the
    EM algorithm, in which the expected states come from the forward and backward recursions and
    beta, delta and psi take one Newton step on their expected log posterior (a generalised EM
    algorithm). Weak priors keep all of them defined: N(log of the mean count, 2^2) for beta_0,
    N(0, 1) for the season (over its harmonic), N(log 3, 0.5^2) for delta, N(log 0.05, 1.5^2) for
    log psi; 1 change to the epidemic state in 50 steps in the endemic one and 1 return in 5.
    The forward recursion with these parameters then takes in y_t itself:

        P(S_t = 1 | y_1..t) = expit(logit P(S_t = 1 | y_1..t-1) + log f_1(y_t) / f_0(y_t)).

    There is an alarm if this filtered probability exceeds `threshold`.

    Use it where outbreaks last for some steps and past ones in the history should be told from the
    baseline rather than widen it. It needs a few of them, or its priors, to know how they look;
    slow changes of level are taken for states.

    Parameters
    ----------
    window
        Steps before the judged one to which the model is fitted; best two years or more.
    harmonics
        Pairs of waves in the season; left out if `window` is shorter than a year.
    day_of_week
        Whether daily panels have a mean for each day of the week.
    threshold
        Filtered probability of the epidemic state above which there is an alarm.
    iterations
        Rounds of the EM algorithm.

    Notes
    -----
    *Verdicts.* `expected` is the endemic mean at t. `score` is the log odds of the filtered
    probability, within -700 .. 700. `upper` is the count at which it equals `threshold`, not a
    whole number: with r = 1 / psi the log likelihood ratio is the line a y - b with
    a = log(mu_1 (r + mu_0) / (mu_0 (r + mu_1))) > 0 and b = r log((r + mu_1) / (r + mu_0)). It is
    at least 0: a count of 0 is never an alarm, however epidemic the past was. `p_value` is
    P(Y >= y_t) in the endemic state, with the fitted parameters taken as known: since the score
    rises with y_t, it is the probability of a score as large if the state is endemic now and the
    past is as it was. It says how unusual this count is and not how likely an epidemic is: an
    alarm with an ordinary count goes back to the counts before it.

    On series without outbreaks 0 to 2 % of steps were alarms at the defaults (means 2 and 20, psi 0
    to 0.5), and 0 to 0.1 % at a `threshold` of 0.9.

    *Missing counts* tell nothing about the state and are left out of the fit, as are steps before
    the panel. 12 counts must be there, and two for each coefficient. `all_zero` marks windows
    without a case. `population` is not used.

    *Cost.* About a millisecond for each judged point at the defaults, since each is a fit of its
    own: so the verdict depends on nothing but its window. *Memory* beyond the verdicts: 16 MiB, or
    the windows of 16 steps of one series, 30 times.

    References
    ----------
    Le Strat Y, Carrat F (1999). Monitoring epidemiologic surveillance data using hidden Markov
    models. Statistics in Medicine 18, 3463-3478.

    Rabiner LR (1989). A tutorial on hidden Markov models and selected applications in speech
    recognition. Proceedings of the IEEE 77, 257-286.

    Examples
    --------
    >>> import numpy as np
    >>> from detectors.contract import Panel
    >>> rng = np.random.default_rng(1)
    >>> counts = rng.poisson(np.r_[np.full(60, 10.0), np.full(6, 25.0), np.full(40, 10.0)])
    >>> panel = Panel(counts[None].astype(float), grain="week")
    >>> found = NbHmm(window=52, harmonics=0).judge(panel, at=np.arange(56, 70))
    >>> found.alarm[0].astype(int)
    array([0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 0, 0, 0])
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["nb_hmm"] = "nb_hmm"
    window: int = Field(default=104, ge=12, le=1500, description="Steps the model is fitted to")
    harmonics: int = Field(default=1, ge=0, le=6, description="Pairs of waves in the season")
    day_of_week: bool = Field(
        default=True, description="Whether each day of the week of daily counts has its mean"
    )
    threshold: float = Field(
        default=0.5, gt=0, lt=1, description="Probability of an epidemic that gives an alarm"
    )
    iterations: int = Field(default=20, ge=1, le=200, description="Rounds of the EM algorithm")

    def lookback(self, grain: Grain) -> int:  # noqa: ARG002 - the window counts steps
        """Say how many steps before a judged one the verdict may depend on.

        Examples
        --------
        >>> NbHmm(window=60).lookback("week")
        60
        """
        return self.window

    def judge(self, panel: Panel, at: Positions | slice | None = None) -> Verdicts:
        """Judge the time positions `at` (default: all) of every series.

        Examples
        --------
        >>> import numpy as np
        >>> from detectors.contract import Panel
        >>> calm = Panel(np.full((1, 53), 10.0), grain="week")
        >>> verdicts = NbHmm().judge(calm, at=slice(-1, None))
        >>> verdicts.expected.round(1), verdicts.alarm
        (array([[10.]]), array([[False]]))
        """
        return judge_in_blocks(
            panel,
            at,
            self._judge_rows,
            floats_per_series=lambda judged: 30 * self.window * min(judged, POSITIONS),
        )

    def _judge_rows(self, panel: Panel, index: Positions, out: Verdicts, rows: slice) -> None:
        """Judge a block of series."""
        counts = panel.counts[rows]
        columns = self._columns(panel)
        read = read_windows(
            counts,
            index,
            lambda past, known, observed: self._read(past, known, observed, columns),
            (out.expected, out.upper, out.score, out.p_value),
            length=self.window,
            least=max(_LEAST_COUNTS, 2 * len(columns)),
        )
        conclude(
            out,
            observed=values_at(counts, index),
            judgeable=read.judgeable,
            reason=baseline_reasons(zero=read.zero),
        )

    def _columns(self, panel: Panel) -> list[Column]:
        """Return the design that both states share, oldest step first."""
        lags = np.arange(float(self.window), 0.0, -1.0)
        harmonics = self.harmonics if self.window >= year_length(panel) - 1 else 0
        level = Column(np.ones(self.window), 1.0, _LEVEL_SD)
        return [
            level,
            *wave_columns(panel, lags, harmonics=harmonics, day_of_week=self.day_of_week),
        ]

    def _read(
        self,
        past: FloatArray,
        known: NDArray[np.bool_],
        observed: FloatArray,
        columns: list[Column],
    ) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Fit the windows and return expected, upper, score and p_value of the judged counts."""
        model = fit_two_states(past, known, columns, self.iterations)
        judged = np.array([column.judged for column in columns])
        log_mean = np.clip((model.beta[:, :-1] * judged).sum(axis=-1), *LOG_MEAN_BOUNDS)
        mean = np.exp(log_mean)
        slope, offset = likelihood_ratio(mean, model.beta[:, -1], model.size)
        prior = logit(np.clip(model.next_epidemic, 1e-300, 1.0 - 1e-16))
        seen = np.where(np.isnan(observed), 0.0, observed)
        with np.errstate(over="ignore"):
            score = np.clip(prior + slope * seen - offset, -MOST_ODDS, MOST_ODDS)
        upper = np.maximum((float(logit(self.threshold)) - prior + offset) / slope, 0.0)
        return mean, upper, score, nb_tail(seen, mean, model.size)
