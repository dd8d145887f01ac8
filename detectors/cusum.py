"""CUSUM: small lasting rises, added up until they are too much.

Examples
--------
>>> import numpy as np
>>> from detectors.contract import Panel
>>> panel = Panel(np.array([[4.0, 5, 3, 4, 4, 4, 6, 7, 8]]))
>>> verdicts = Cusum(k=0.5, h=2.0, start=6).judge(panel)
>>> verdicts.score[0, 6:], verdicts.alarm[0, 6:]
(array([0.5, 1.5, 3. ]), array([False, False,  True]))
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from detectors._control_charts import (
    Charts,
    InControl,
    chart_floats,
    cut_charts,
    fit_incontrol,
    season_of,
)
from detectors._judging import baseline_reasons, conclude, judge_in_blocks
from detectors.rolling import values_at
from detectors.seasons import longest_year

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detectors.contract import FloatArray, Grain, Panel, Positions, Verdicts

__all__ = ["Cusum"]

_TRAINING, _TRAINING_YEARS = 104, 2


class Cusum(BaseModel):
    """One-sided Poisson CUSUM on transformed counts (Rossi et al. 1999).

    With X(t) the count, m(t) its mean without an outbreak and Z(t) the transformed count,

        S(t) = max(0, S(t - 1) + Z(t) - k),    S = 0 before the chart begins,

    and an alarm where S(t) >= h and there is a case. S is not set back by an alarm unless `restart`
    is chosen: it falls when the counts do, which after a large outbreak takes long (a step of
    z standard deviations takes about z / k steps without any case).

    - `standard`: Z = (X - m) / sqrt(m).
    - `rossi`: Z = (X - 3 m + 2 sqrt(X m)) / (2 sqrt(m)), nearer to normal for small m.
    - `anscombe`: Z = (3/2) (X^(2/3) - m^(2/3)) / m^(1/6), the Anscombe residual (McCullagh and
      Nelder 1989, section 2.4).
    - `none`: Z = X, so that k and h are in counts (Lucas 1985); k should lie between m and the
      mean to be found.

    Use it where a small rise that lasts matters more than a single high count. It assumes
    independent Poisson counts; overdispersed ones pass h too often (raise `h`, or use `glr_nb`).
    The defaults of k and h are those of Rossi et al. for an in-control run of 500 steps and a
    shift of about two standard deviations.

    Parameters
    ----------
    k, h
        Reference value and decision limit, in units of Z.
    transform
        As above.
    baseline
        m(t): the `mean` of the training, or a Poisson regression (`glm`) on trend and season
        fitted to it and carried on through the chart, log m(t) = a + b t + sum over s = 1 ..
        `harmonics` of (c_s sin(2 pi s t / year) + d_s cos(2 pi s t / year)).
    harmonics, trend
        Terms of that regression.
    window, training
        Each judged position has a chart of its own, of `window` steps that end with it; it is
        trained on the `training` steps before the chart (by default 104, or 2 years for `glm`).
    restart
        Whether S begins anew at 0 after an alarm, so that an alarm speaks for the steps since the
        last one only. The reference software has no such reset.
    start
        Position in the panel at which one chart for all judged positions begins, trained on all
        steps before it, as in the R package surveillance. For analyses of whole series only: a
        rule must leave it out, since the verdict then depends on more than `lookback` steps.
        Positions before `start` cannot be judged.

    Notes
    -----
    *Verdicts.* `expected` is m(t), `score` is S(t), and there is an alarm where a count of 1 or
    more **reaches** `upper`: the count at which S(t) = h, rounded up for `standard` and `none`; 0
    where any case is an alarm. Without a case there is none. For `rossi`, where a count of 0 is
    above h already by a little, `upper` is the square of a negative root and not 0 (as in the
    reference software); the alarm is decided on S(t). `p_value` is exp(-2 k S), the bound of
    Kingman on how often a chart of standard normal Z that has run for long is at S or above
    (`none`: k replaced by (k - m) / m); 1 where S = 0.

    *Missing counts* in the chart leave S as it is. The training must hold more than half of its
    steps (with `start`: at least 3; `glm`: also twice the number of terms and three quarters of a
    season), or the reason is `insufficient_history`. Without a case in the training, m is taken
    as if there had been one, and the reason is `all_zero`. `population` is not used.

    *Cost* grows as `window` (and the training) for each judged point, with `start` as the length
    of the chart. *Memory* beyond the verdicts: 16 MiB (`BLOCK_FLOATS`), or one series.

    *Reference.* Equal to R surveillance 1.20.3, `upper` and (but at counts of 0) alarms, on seven
    series for `standard` and `rossi`.

    References
    ----------
    Rossi G, Lampugnani L, Marchi M (1999). An approximate CUSUM procedure for surveillance of
    health events. Statistics in Medicine 18, 2111-2122.

    Lucas JM (1985). Counted data CUSUM's. Technometrics 27, 129-144.

    Kingman JFC (1964). A martingale inequality in the theory of queues. Mathematical Proceedings
    of the Cambridge Philosophical Society 60, 359-361.

    McCullagh P, Nelder JA (1989). Generalized Linear Models. Chapman and Hall.

    Examples
    --------
    >>> import numpy as np
    >>> from detectors.contract import Panel
    >>> counts = np.array([[9.0] * 12 + [13.0, 14.0, 12.0]])
    >>> Cusum(window=3, training=12).judge(Panel(counts), at=slice(-2, None)).upper
    array([[19., 17.]])
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["cusum"] = "cusum"
    k: float = Field(default=1.04, ge=0, le=1e9, description="Reference value")
    h: float = Field(default=2.26, gt=0, le=1e9, description="Decision limit")
    transform: Literal["none", "standard", "rossi", "anscombe"] = Field(
        default="standard", description="How a count is standardised"
    )
    baseline: Literal["mean", "glm"] = Field(
        default="mean", description="In-control mean: constant, or a seasonal Poisson regression"
    )
    harmonics: int = Field(
        default=1, ge=0, le=6, description="Sine and cosine pairs of the year in the regression"
    )
    trend: bool = Field(default=False, description="Whether the regression has a linear trend")
    window: int = Field(default=52, ge=1, le=2000, description="Steps in each position's chart")
    training: int | None = Field(
        default=None,
        ge=3,
        le=4000,
        description="Steps before the chart to learn from; by default 104, or 2 years for glm",
    )
    restart: bool = Field(default=False, description="Whether the chart begins anew after an alarm")
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
        >>> Cusum().lookback("day"), Cusum(baseline="glm").lookback("week")
        (155, 157)
        """
        return self.window - 1 + self._training(grain)

    def judge(self, panel: Panel, at: Positions | slice | None = None) -> Verdicts:
        """Judge the time positions `at` (default: all) of every series.

        Examples
        --------
        >>> import numpy as np
        >>> from detectors.contract import Panel
        >>> Cusum(window=2, training=5).judge(Panel(np.ones((2, 9))), at=slice(-1, None)).score
        array([[0.],
               [0.]])
        """
        training = self._training(panel.grain)
        floats = chart_floats(panel, start=self.start, window=self.window, training=training)
        return judge_in_blocks(panel, at, self._rule, floats_per_series=floats)

    def _training(self, grain: Grain) -> int:
        if self.training is not None:
            return self.training
        return _TRAINING if self.baseline == "mean" else _TRAINING_YEARS * longest_year(grain)

    def _rule(self, panel: Panel, index: Positions, out: Verdicts, rows: slice) -> None:
        charts = cut_charts(
            panel,
            index,
            rows,
            start=self.start,
            window=self.window,
            training=self._training(panel.grain),
        )
        season = None
        if self.baseline == "glm":
            season = season_of(panel, trend=self.trend, harmonics=self.harmonics)
        model = fit_incontrol(charts, season)
        if self.start is None:
            self._per_position(charts, model, out)
        else:
            self._per_series(charts, model, out)
        columns = out.alarm.shape[1] if self.start is None else 1
        shape = (out.alarm.shape[0], columns)
        begun = charts.recorded >= 0
        conclude(
            out,
            observed=values_at(panel.counts[rows], index),
            judgeable=model.sufficient.reshape(shape) & begun,
            alarm=out.score >= self.h,
            reason=baseline_reasons(zero=model.zero.reshape(shape)),
        )

    def _per_position(self, charts: Charts, model: InControl, out: Verdicts) -> None:
        """Read each chart at its last step only."""
        size = out.alarm.shape
        before = np.zeros(charts.counts.shape[0])
        for step in range(self.window - 1):
            before = self._next(before, charts.counts[:, step], model.mean[:, step])
        count, mean = charts.counts[:, -1], model.mean[:, -1]
        self._read(
            out,
            slice(None),
            *(part.reshape(size) for part in (before, count, mean)),
        )

    def _per_series(self, charts: Charts, model: InControl, out: Verdicts) -> None:
        """Read one chart at all judged positions."""
        before = np.zeros(charts.counts.shape[0])
        for step in range(charts.counts.shape[1]):
            count, mean = charts.counts[:, step], model.mean[:, step]
            columns = np.flatnonzero(charts.recorded == step)
            for column in columns:
                place = slice(column, column + 1)
                self._read(out, place, before[:, None], count[:, None], mean[:, None])
            before = self._next(before, count, mean)

    def _read(
        self, out: Verdicts, place: slice, before: FloatArray, count: FloatArray, mean: FloatArray
    ) -> None:
        """Fill in the verdicts of some columns."""
        score = self._next(before, count, mean)
        before = self._carried(before)
        out.expected[:, place] = mean
        out.score[:, place] = score
        out.upper[:, place] = self._limit(self.h + self.k - before, mean)
        k = self.k if self.transform != "none" else np.maximum(self.k - mean, 0.0) / mean
        out.p_value[:, place] = np.exp(-2.0 * k * score)

    def _next(self, before: FloatArray, count: FloatArray, mean: FloatArray) -> FloatArray:
        before = self._carried(before)
        after: FloatArray = np.maximum(0.0, before + self._standardise(count, mean) - self.k)
        missing: NDArray[np.bool_] = np.isnan(count)
        return np.where(missing, before, after)

    def _carried(self, before: FloatArray) -> FloatArray:
        """S that a step begins with: 0 after an alarm if the chart restarts."""
        return np.where(before >= self.h, 0.0, before) if self.restart else before

    def _standardise(self, count: FloatArray, mean: FloatArray) -> FloatArray:
        """Z of counts."""
        root = np.sqrt(mean)
        z: FloatArray = count
        if self.transform == "standard":
            z = (count - mean) / root
        elif self.transform == "rossi":
            z = (count - 3 * mean + 2 * np.sqrt(count) * root) / (2 * root)
        elif self.transform == "anscombe":
            z = 1.5 * (np.cbrt(count) ** 2 - np.cbrt(mean) ** 2) / np.sqrt(np.cbrt(mean))
        return z

    def _limit(self, z: FloatArray, mean: FloatArray) -> FloatArray:
        """Count that has the transformed value `z`."""
        root = np.sqrt(mean)
        if self.transform == "none":
            count = np.ceil(z)
        elif self.transform == "standard":
            count = np.ceil(mean + root * z)
        elif self.transform == "rossi":
            # (sqrt(X) + sqrt(m))^2 = 2 sqrt(m) z + 4 m.
            square = 2 * root * z + 4 * mean
            count = np.where(square >= 0, (np.sqrt(np.maximum(square, 0.0)) - root) ** 2, 0.0)
        else:
            power = np.cbrt(mean) ** 2 + z * np.sqrt(np.cbrt(mean)) / 1.5
            count = np.maximum(power, 0.0) ** 1.5
        return np.maximum(count, 0.0)
