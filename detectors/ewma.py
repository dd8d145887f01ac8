"""EWMA: recent deviations from the expected count, smoothed with falling weights.

Examples
--------
>>> import numpy as np
>>> from detectors.contract import Panel
>>> panel = Panel(np.array([[4.0] * 20 + [7.0, 8.0, 8.0, 8.0]]))
>>> verdicts = Ewma(window=4, training=20).judge(panel, at=slice(-2, None))
>>> verdicts.score.round(2), verdicts.alarm
(array([[3.04, 3.6 ]]), array([[False,  True]]))
"""

from __future__ import annotations

from statistics import NormalDist
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from scipy.special import ndtr

from detectors._control_charts import Charts, chart_floats, cut_charts
from detectors._judging import baseline_reasons, conclude, judge_in_blocks
from detectors.rolling import values_at

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detectors.contract import FloatArray, Grain, Panel, Positions, Verdicts

__all__ = ["Ewma"]

_WEEK = 7
_LEAST = 3


class Ewma(BaseModel):
    """Exponentially weighted moving average chart, Poisson or Gaussian, by day of the week.

    With m(t) the expected count and v(t) the variance of a count, both from the training before
    the chart, and Z = 0, V = 0 before the chart begins,

        Z(t) = lambda (Y(t) - m(t)) + (1 - lambda) Z(t - 1)
        V(t) = lambda^2 v(t) + (1 - lambda)^2 V(t - 1)

    and an alarm if Z(t) / sqrt(V(t)) > L. For constant m this is the usual chart with its exact
    variance sigma^2 lambda / (2 - lambda) (1 - (1 - lambda)^(2 t)).

    - `poisson` (Borror, Champ and Rigdon 1998): v(t) = m(t).
    - `gaussian`: v is the residual variance of the training.

    m(t) is the mean of the training or, for steps of a day with `day_of_week`, that of its n_d
    counts of the same day of the week, pulled to the overall mean m by one count: (S_d + m) /
    (n_d + 1).

    Use it for small rises that last some steps, on counts without season or with a short
    `training`. A larger lambda is quicker on large rises, a smaller one on small ones.

    Parameters
    ----------
    distribution
        As above.
    smoothing
        lambda, the weight of the latest count.
    alpha
        One-sided level that sets L as a normal quantile.
    limit
        L itself; overrides `alpha`.
    day_of_week
        Whether days of the week differ; ignored unless steps are days.
    window, training
        Each judged position has a chart of its own, of `window` steps that end with it, after
        `training` steps.
    start
        Position in the panel at which one chart for all judged positions begins, trained on all
        steps before it. For analyses of whole series only: a rule must leave it out, since the
        verdict then depends on more than `lookback` steps. Positions before it are not judged.

    Notes
    -----
    *Verdicts.* `expected` is m(t). `upper` is the count with Z(t) / sqrt(V(t)) = L, at least 0, and
    an alarm is a count above it; so that a count of 0 is never one. `score` is Z / sqrt(V), and
    `p_value` the upper tail of the normal distribution there: nominal, for one look at the chart.

    *Missing counts* in the chart leave Z and V as they are. More than half of the training must be
    known, at least 3 counts (with `start`: at least 3; for days of the week at least 7). Without a
    case in it m is as if there had been one (`all_zero`); a training that does not vary has the
    variance max(m, 1) for `gaussian` (`constant_baseline`). `population` is not used.

    *Cost* grows as `window` plus `training` for each judged point. *Memory* beyond the verdicts:
    16 MiB (`BLOCK_FLOATS`), or one series.

    References
    ----------
    Roberts SW (1959). Control chart tests based on geometric moving averages. Technometrics 1,
    239-250.

    Borror CM, Champ CW, Rigdon SE (1998). Poisson EWMA control charts. Journal of Quality
    Technology 30, 352-361.

    Examples
    --------
    >>> import numpy as np
    >>> from detectors.contract import Panel
    >>> week = np.resize([9.0, 8, 8, 7, 9, 2, 1], (1, 70))
    >>> Ewma().judge(Panel(week), at=slice(-4, None)).expected.round(1)
    array([[6.9, 8.7, 2.5, 1.6]])
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["ewma"] = "ewma"
    distribution: Literal["poisson", "gaussian"] = Field(
        default="poisson", description="Where the variance of a count comes from"
    )
    smoothing: float = Field(default=0.3, gt=0, le=1, description="lambda, weight of the latest")
    alpha: float = Field(default=0.001, gt=0, lt=1, description="One-sided level")
    limit: float | None = Field(
        default=None, gt=0, le=1e6, description="L, in standard deviations; overrides alpha"
    )
    day_of_week: bool = Field(
        default=True, description="Whether days of the week differ (steps of a day only)"
    )
    window: int = Field(default=14, ge=1, le=1000, description="Steps in each position's chart")
    training: int = Field(default=56, ge=3, le=4000, description="Steps before the chart")
    start: int | None = Field(
        default=None,
        ge=0,
        description="Position where one chart begins, for whole-series analyses; leave out in "
        "rules, each judged step then has a chart of `window` steps",
    )

    @property
    def effective_limit(self) -> float:
        """L as given, or the normal quantile of `alpha`.

        Examples
        --------
        >>> Ewma(alpha=0.025).effective_limit.__round__(2), Ewma(limit=3).effective_limit
        (1.96, 3.0)
        """
        return -NormalDist().inv_cdf(self.alpha) if self.limit is None else self.limit

    def lookback(self, grain: Grain) -> int:  # noqa: ARG002 - counts steps, however wide
        """Say how many steps before a judged one the verdict may depend on (without `start`).

        Examples
        --------
        >>> Ewma().lookback("day")
        69
        """
        return self.window - 1 + self.training

    def judge(self, panel: Panel, at: Positions | slice | None = None) -> Verdicts:
        """Judge the time positions `at` (default: all) of every series.

        Examples
        --------
        >>> import numpy as np
        >>> from detectors.contract import Panel
        >>> Ewma(start=10).judge(Panel(np.ones((1, 12))), at=slice(9, None)).score
        array([[nan,  0.,  0.]])
        """
        floats = chart_floats(panel, start=self.start, window=self.window, training=self.training)
        return judge_in_blocks(panel, at, self._rule, floats_per_series=floats)

    def _rule(self, panel: Panel, index: Positions, out: Verdicts, rows: slice) -> None:
        charts = cut_charts(
            panel, index, rows, start=self.start, window=self.window, training=self.training
        )
        model = self._learn(charts, week=self.day_of_week and panel.grain == "day")
        z = np.zeros(model.known.size)
        v = np.zeros(model.known.size)
        own = self.start is None
        shape = (out.alarm.shape[0], out.alarm.shape[1] if own else 1)
        for step in range(charts.counts.shape[1]):
            count, mean, variance = charts.counts[:, step], model.mean[:, step], model.v[:, step]
            after = self.smoothing * (count - mean) + (1 - self.smoothing) * z
            spread = self.smoothing**2 * variance + (1 - self.smoothing) ** 2 * v
            columns = np.flatnonzero(charts.recorded == step)
            if columns.size:
                root = np.sqrt(spread)
                reach = self.effective_limit * root - (1 - self.smoothing) * z
                limit = np.maximum(mean + reach / self.smoothing, 0.0)
                place = slice(None) if own else columns
                for target, values in zip(
                    (out.expected, out.upper, out.score), (mean, limit, after / root), strict=True
                ):
                    target[:, place] = values.reshape(shape)
            missing = np.isnan(count)
            z, v = np.where(missing, z, after), np.where(missing, v, spread)
        out.p_value[:] = ndtr(-out.score)
        conclude(
            out,
            observed=values_at(panel.counts[rows], index),
            judgeable=model.known.reshape(shape) & (charts.recorded >= 0),
            reason=baseline_reasons(zero=model.zero, flat=model.flat).reshape(shape),
        )

    def _learn(self, charts: Charts, *, week: bool) -> _Model:
        """Estimate the means and variances of the chart's steps from the training."""
        before, steps = charts.training, charts.counts.shape[1]
        known = ~np.isnan(before)
        number, filled = known.sum(axis=1), np.where(known, before, 0.0)
        total = filled.sum(axis=1)
        level = np.where(total > 0, total, 1.0) / np.maximum(number, 1)
        terms = min(_WEEK, max(1, before.shape[1])) if week else 1
        fitted = np.repeat(level[:, None], before.shape[1], axis=1)
        ahead = np.repeat(level[:, None], steps, axis=1)
        for day in range(terms if week else 0):
            # Step s of the training is len(training) - s steps before the chart.
            back = slice((before.shape[1] + day) % _WEEK, None, _WEEK)
            count = known[:, back].sum(axis=1)
            mean = (filled[:, back].sum(axis=1) + level) / (count + 1)
            fitted[:, back], ahead[:, day::_WEEK] = mean[:, None], mean[:, None]
        least = max(_LEAST, charts.most // 2 + 1 if charts.most else 0, _WEEK if week else 0)
        residual = np.where(known, filled - fitted, 0.0)
        variance = (residual**2).sum(axis=1) / np.maximum(number - terms, 1)
        flat = (variance <= (1e-12 * level) ** 2) & (self.distribution == "gaussian")
        variance = np.where(flat, np.maximum(level, 1.0), variance)
        poisson = self.distribution == "poisson"
        return _Model(
            ahead,
            ahead if poisson else np.repeat(variance[:, None], steps, axis=1),
            number >= least,
            total == 0,
            flat,
        )


class _Model(NamedTuple):
    """Means and variances of the chart's steps, `[points, steps]`, and facts of `[points]`."""

    mean: FloatArray
    v: FloatArray
    known: NDArray[np.bool_]
    zero: NDArray[np.bool_]
    flat: NDArray[np.bool_]
