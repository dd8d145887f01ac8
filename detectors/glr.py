"""Generalised likelihood ratio charts for a shift of a seasonal mean.

Examples
--------
>>> import numpy as np
>>> from detectors.contract import Panel
>>> season = np.round(10 + 6 * np.cos(2 * np.pi * np.arange(36) / 12))
>>> season[33:] += [3, 8, 9]
>>> months = Panel(season[None], grain="month", period=12)
>>> verdicts = GlrPoisson(start=30).judge(months, at=slice(33, None))
>>> verdicts.alarm, verdicts.upper
(array([[False, False,  True]]), array([[21., 25., 24.]]))
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Final, Literal, TypeAlias

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from scipy.special import ndtr

from detectors._control_charts import (
    Charts,
    InControl,
    chart_floats,
    cut_charts,
    fit_incontrol,
    season_of,
)
from detectors._judging import conclude, judge_in_blocks
from detectors._likelihood_ratio import PoissonRatio
from detectors._negbin_ratio import NegbinRatio
from detectors.contract import FloatArray, Grain, Panel, Positions, Reason, Verdicts
from detectors.rolling import values_at
from detectors.seasons import longest_year

__all__ = ["GlrNb", "GlrPoisson"]

_TRAINING_YEARS: Final = 2
# Numbers per array [points, steps] of the charts run at a time: they should stay in the cache.
_CACHED: Final = 2**18
_SIGNS: Final = {"up": (1,), "down": (-1,), "both": (1, -1)}

_Ratio: TypeAlias = PoissonRatio | NegbinRatio


class _Glr(BaseModel):
    """What the two charts share."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    c_arl: float = Field(default=5.0, gt=0, le=1e6, description="Alarm limit c of the statistic")
    direction: Literal["up", "down", "both"] = Field(
        default="up", description="Whether rises, falls or both are looked for"
    )
    restart: bool = Field(
        default=True, description="Whether the chart begins anew after an alarm of its own"
    )
    harmonics: int = Field(
        default=1, ge=0, le=6, description="Sine and cosine pairs of the year in the mean"
    )
    trend: bool = Field(default=False, description="Whether the log mean has a linear trend")
    change: Literal["intercept"] = Field(
        default="intercept", description="What shifts: the intercept of the log mean"
    )
    window: int = Field(default=52, ge=1, le=1000, description="Steps in each position's chart")
    training: int | None = Field(
        default=None, ge=3, le=4000, description="Steps before the chart to learn from; 2 years"
    )
    start: int | None = Field(
        default=None,
        ge=0,
        description="Position where one chart begins, for whole-series analyses; leave out in "
        "rules, each judged step then has a chart of `window` steps",
    )

    def lookback(self, grain: Grain) -> int:
        """Say how many steps before a judged one the verdict may depend on (without `start`).

        Examples
        --------
        >>> GlrPoisson().lookback("week"), GlrNb(window=10, training=30).lookback("day")
        (157, 39)
        """
        return self.window - 1 + self._training(grain)

    def judge(self, panel: Panel, at: Positions | slice | None = None) -> Verdicts:
        """Judge the time positions `at` (default: all) of every series.

        Examples
        --------
        >>> import numpy as np
        >>> from detectors.contract import Panel, Reason
        >>> verdicts = GlrPoisson().judge(Panel(np.zeros((1, 160)), grain="week"))
        >>> [Reason(code).name for code in verdicts.reason[0, [3, 159]]]
        ['insufficient_history', 'all_zero']
        """
        training = self._training(panel.grain)
        floats = chart_floats(panel, start=self.start, window=self.window, training=training)
        return judge_in_blocks(panel, at, self._rule, floats_per_series=floats)

    def _training(self, grain: Grain) -> int:
        if self.training is not None:
            return self.training
        return _TRAINING_YEARS * longest_year(grain)

    @abstractmethod
    def _ratio(self, model: InControl, points: slice) -> _Ratio:
        """Give the likelihood ratios of some charts."""

    @abstractmethod
    def _fit(self, panel: Panel, charts: Charts) -> InControl:
        """Fit the in-control model to the training of each chart."""

    def _rule(self, panel: Panel, index: Positions, out: Verdicts, rows: slice) -> None:
        charts = cut_charts(
            panel,
            index,
            rows,
            start=self.start,
            window=self.window,
            training=self._training(panel.grain),
        )
        model = self._fit(panel, charts)
        points, steps = charts.counts.shape
        wanted, place = np.unique(charts.recorded, return_inverse=True)
        if self.start is None:
            wanted = np.array([self.window - 1], dtype=np.intp)
        statistic = np.zeros((points, wanted.size))
        upper = np.zeros((points, wanted.size))
        batch = max(1, _CACHED // max(1, steps))
        for first in range(0, points, batch):
            part = slice(first, first + batch)
            self._run(charts, model, part, wanted, statistic[part], upper[part])
        shape = out.alarm.shape
        mean = model.mean[:, np.maximum(wanted, 0)]
        if self.start is None:
            filled = (statistic.reshape(shape), upper.reshape(shape), mean.reshape(shape))
        else:
            filled = (statistic[:, place], upper[:, place], mean[:, place])
        out.score[:], out.upper[:], out.expected[:] = filled
        tails = len(_SIGNS[self.direction])
        out.p_value[:] = tails * ndtr(-np.sqrt(2.0 * out.score))
        block = (shape[0], shape[1] if self.start is None else 1)
        conclude(
            out,
            observed=values_at(panel.counts[rows], index),
            judgeable=model.sufficient.reshape(block) & (charts.recorded >= 0),
            alarm=out.score >= self.c_arl,
            reason=np.broadcast_to(
                np.where(model.zero.reshape(block), Reason.all_zero, Reason.ok), shape
            ).astype(np.uint8),
            falls=self.direction != "up",
        )

    def _run(  # noqa: PLR0917 - a batch of charts and where their results go
        self,
        charts: Charts,
        model: InControl,
        part: slice,
        wanted: Positions,
        statistic: FloatArray,
        upper: FloatArray,
    ) -> None:
        """Run some charts and read them at the `wanted` steps."""
        ratio, counts = self._ratio(model, part), charts.counts[part]
        signs = _SIGNS[self.direction]
        for step in range(int(wanted.max(initial=-1)) + 1):
            column = int(np.searchsorted(wanted, step))
            read = column < wanted.size and wanted[column] == step
            if read:
                upper[:, column] = ratio.bound(step, self.c_arl, signs[0])
            ratio.push(step, counts[:, step])
            if read:
                value = np.maximum.reduce([ratio.statistic(step, sign) for sign in signs])
                statistic[:, column] = value
                alarm = value >= self.c_arl
            elif self.restart:
                # Between the steps that are read, only alarms matter.
                alarm = np.logical_or.reduce(
                    [ratio.reached(step, sign, self.c_arl) for sign in signs]
                )
            if self.restart:
                # A missing count gives no alarm.
                ratio.restart(step, alarm & ~np.isnan(counts[:, step]))


class GlrPoisson(_Glr):
    """Poisson likelihood-ratio chart with a seasonal in-control mean (Höhle and Paul 2008).

    The in-control mean mu(t) is a Poisson regression fitted to the training before the chart,

        log mu(t) = b0 (+ b1 t) + sum over s of (c_s sin(2 pi s t / year) + d_s cos(...)),

    and an outbreak that began at step k multiplies it by e^kappa. At step n of the chart

        GLR(n) = max over k <= n, sup over kappa, of the sum over t = k .. n of
                 log f(x(t); mu(t) e^kappa) / f(x(t); mu(t))

    with kappa >= 0 (`up`), <= 0 (`down`) or any (`both`). There is an alarm where GLR(n) >= c,
    after which the chart begins anew at n + 1 (`restart`). For a run with X cases and the
    expectation M the supremum is X log(X / M) - X + M.

    Use it for seasonal series where a rise may be of any size and may have begun some steps ago; it
    tells a lasting small rise from a single high count. Counts must be Poisson about the mean: for
    overdispersed ones take :class:`GlrNb`. For daily counts with days of the week use sums of seven
    days or weeks. `c_arl` sets how often an alarm is false; 5 is the usual choice, near one in 500
    steps in control.

    Parameters
    ----------
    c_arl
        Alarm limit c.
    direction
        `up`, `down` or `both`.
    restart
        Whether the chart forgets what was before its own alarm. Without, it stays up as long as
        the runs in the chart hold the rise.
    harmonics, trend
        Terms of the regression.
    change
        What shifts; `intercept` is all there is.
    window, training
        Each judged position has a chart of its own, of `window` steps that end with it, trained
        on the `training` steps before (2 years unless given).
    start
        Position in the panel at which one chart for all judged positions begins, trained on all
        steps before it, as in the R package surveillance. For analyses of whole series only: a
        rule must leave it out, since the verdict then depends on more than `lookback` steps.
        Positions before `start` cannot be judged.

    Notes
    -----
    *Verdicts.* `expected` is mu(n), `score` is GLR(n). `upper` is the least whole count with
    GLR(n) >= c: an alarm is where the count **reaches** `upper`, and 0 means any count. With
    `down` it is the limit from the other side: an alarm is where the count is **below** `upper`
    (0: there is none); with `both` it is the limit for rises. `p_value` is P(Z > sqrt(2 GLR)),
    twice that for `both`: the level for a run whose begin is known. The search for the begin makes
    false alarms more frequent than it says.

    *Missing counts* in a chart add nothing. The training must hold more than half of its steps
    (with `start`: at least 3), twice as many counts as the regression has terms, and three
    quarters of a season if there are harmonics, or the reason is `insufficient_history`. Without a
    case in the training the mean is one case in all of it, and the reason is `all_zero`.
    `population` is not used.

    *Cost* grows as `window` squared for each judged point (linearly without `restart`). *Memory*
    beyond the verdicts: about 24 MiB (one and a half times `BLOCK_FLOATS`), or one series.

    *Reference.* Equal to `glrpois` of R surveillance 1.20.3 (its default: one harmonic, no trend)
    on seven series: alarms and `upper` (`ret = "cases"`), and `score` (`ret = "value"`).

    References
    ----------
    Höhle M, Paul M (2008). Count data regression charts for the monitoring of surveillance time
    series. Computational Statistics and Data Analysis 52, 4357-4368.

    Examples
    --------
    >>> import numpy as np
    >>> from detectors.contract import Panel
    >>> rise = Panel(np.array([[4.0] * 20 + [7.0, 8.0, 7.0, 8.0]]))
    >>> GlrPoisson(harmonics=0, start=20).judge(rise, slice(20, None)).upper
    array([[12., 12., 10.,  9.]])
    """

    type: Literal["glr_poisson"] = "glr_poisson"

    def _ratio(self, model: InControl, points: slice) -> PoissonRatio:
        return PoissonRatio(model.mean[points])

    def _fit(self, panel: Panel, charts: Charts) -> InControl:
        return fit_incontrol(charts, season_of(panel, trend=self.trend, harmonics=self.harmonics))


class GlrNb(_Glr):
    """Negative-binomial likelihood-ratio chart with a seasonal mean (Höhle and Paul 2008).

    As :class:`GlrPoisson`, for counts with the variance mu + psi mu^2. psi is estimated with the
    mean, by maximum likelihood from the training, and held fixed. For the run k .. n and the shift
    kappa the log likelihood ratio is the sum over t of

        x(t) kappa - (x(t) + 1 / psi) log((1 + psi mu(t) e^kappa) / (1 + psi mu(t))),

    largest where the sum of (x(t) - mu(t) e^kappa) / (1 + psi mu(t) e^kappa) is 0.

    Use it where counts vary more than Poisson ones, as nearly all surveillance counts do. Past
    outbreaks in the training raise psi and make the chart blind to smaller ones.

    Parameters
    ----------
    c_arl, direction, restart, harmonics, trend, change, window, training, start
        As in :class:`GlrPoisson`.
    psi
        Dispersion; None estimates it.

    Notes
    -----
    *Verdicts*, *missing counts* and the rules for short or empty trainings are as in
    :class:`GlrPoisson`; for a training without a case psi is 1. An estimate is between 1e-5 and 20.

    *Cost* grows as `window` squared for each judged point, and more for the runs whose ratio has to
    be maximised: those that a bound does not rule out.
    *Memory* beyond the verdicts: about 24 MiB (one and a half times `BLOCK_FLOATS`), or one series.

    *Reference.* `glrnb` of R surveillance 1.20.3, on seven series: alarms equal; `score`
    (`ret = "value"`) to 1e-6; `upper` (`ret = "cases"`) wherever the judged count is above 0.
    Where it is 0, R gives 1e99. By the definition of the bound, the least x(n) with GLR(n) >= c,
    it does not depend on the count that was observed; here it is given for 0 too.

    References
    ----------
    Höhle M, Paul M (2008). Count data regression charts for the monitoring of surveillance time
    series. Computational Statistics and Data Analysis 52, 4357-4368.

    Examples
    --------
    >>> import numpy as np
    >>> from detectors.contract import Panel
    >>> rise = Panel(np.array([[4.0] * 20 + [9.0, 9.0, 9.0, 9.0]]))
    >>> GlrNb(harmonics=0, start=20, psi=0.25).judge(rise, slice(20, None)).upper
    array([[19., 17., 15., 13.]])
    """

    type: Literal["glr_nb"] = "glr_nb"
    psi: float | None = Field(
        default=None, ge=1e-6, le=1e6, description="Dispersion; estimated unless given"
    )

    def _ratio(self, model: InControl, points: slice) -> NegbinRatio:
        dispersion = model.dispersion[points]
        known = np.where(dispersion > 0, dispersion, 1.0)
        if self.psi is not None:
            known = np.full(dispersion.size, self.psi)
        return NegbinRatio(model.mean[points], known)

    def _fit(self, panel: Panel, charts: Charts) -> InControl:
        season = season_of(panel, trend=self.trend, harmonics=self.harmonics)
        return fit_incontrol(charts, season, negbin=True)
