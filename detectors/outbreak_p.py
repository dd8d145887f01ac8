"""OutbreakP: has the mean of a Poisson series begun to rise, whatever the shape of the rise.

Made for the onset of influenza seasons, where neither the level before nor the shape after the
onset is known.

Examples
--------
>>> import numpy as np
>>> from detectors.contract import Panel
>>> panel = Panel(np.array([[2.0, 3, 1, 2, 2, 3, 2, 9, 14, 25]]))
>>> verdicts = OutbreakP(window=9).judge(panel)
>>> verdicts.alarm[0].nonzero()[0]
array([7, 8, 9])
>>> verdicts.upper[0, 7:]  # the least count that is an alarm
array([9., 5., 0.])
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from scipy.special import erfc, gammaln

from detectors._isotonic import AppendedRatio, PooledBlocks
from detectors._judging import baseline_reasons, conclude, judge_in_blocks
from detectors._windows import history
from detectors.rolling import values_at

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detectors.contract import FloatArray, Grain, Panel, Positions, Verdicts

__all__ = ["OutbreakP"]

# Positions judged at a time when each has a chart of its own.
_POSITIONS = 64
# Formerly observed counts that suffice: a chart with a `start` is asked for by its user.
_LEAST_WINDOW, _LEAST_START = 3, 1
# More pooled levels than this have a probability below 1e-12 in series of a million steps.
_LEVELS = 80


class OutbreakP(BaseModel):
    """Semiparametric detection of an increasing Poisson mean (Frisén et al. 2009).

    Let x(1), ..., x(s) be the counts of a chart up to the judged step s, C the hypothesis that
    their mean is constant, and D that it never falls. With mu^D(t) the maximum-likelihood fit
    under D (isotonic regression: adjacent violators are pooled) and mu^C the mean of all s
    counts, the statistic is the generalised likelihood ratio

        OutbreakP(s) = prod over t = 1..s of (mu^D(t) / mu^C)^x(t),

    since both fits have the same sum. There is an alarm if it exceeds `k` and there is a case.
    Nothing has to be estimated beforehand, and no parameter describes the outbreak.

    Use it for the onset of a seasonal rise, begun in the calm before it (`start`), or with a
    window on series without season. It assumes independent Poisson counts: overdispersed ones
    exceed `k` by themselves, the sooner the larger they are; a season in the window is an increase
    to it. It sees no end of an outbreak: the chart stays up while the window holds the rise, unless
    `restart` is chosen.

    Parameters
    ----------
    k
        Alarm limit of the likelihood ratio.
    window
        Steps before the judged one in the chart; each position has a chart of its own then.
    restart
        Whether a chart begins anew after an alarm, so that the next one speaks for a further rise.
        The step after an alarm then has no chart (`insufficient_history`). The reference software
        has no such reset.
    start
        Position in the panel at which one chart for all judged positions begins, without end, as
        in the R package surveillance (whose charts begin with the series: 0). For
        analyses of whole series only: a rule must leave it out, since the verdict then depends on
        more than `lookback` steps. Positions up to `start` cannot be judged.

    Notes
    -----
    *Verdicts.* `expected` is the mean of the chart's counts before the judged one. `upper` is the
    least whole number that is an alarm when put in the place of the judged count, so there is an
    alarm if a count of 1 or more **reaches** `upper` (the statistic never falls with the judged
    count, by the derivative log(mu^D(s) / mu^C) >= 0 of its logarithm); 0 means an alarm at any
    case.
    `score` is log OutbreakP(s), 0 or more, and compared with log `k`. `p_value` is for one look
    at the chart, not for a sequence of looks: under C and for large counts 2 log OutbreakP is a
    mixture of chi-squared variables (chi-bar-squared), with l - 1 degrees of freedom where the
    isotonic fit has l levels, which has the probability |S(s, l)| / s! with S Stirling's numbers
    of the first kind (Robertson et al. 1988). In simulations with 31 counts a nominal 0.05 was
    0.057, 0.055 and 0.049 for means of 1, 5 and 40. By it the usual `k` of 100 has the level 0.017,
    0.043, 0.062 and 0.091 in charts of 11, 31, 53 and 105 counts: in long windows take a larger.

    *Missing counts* are left out of the chart, as are steps before the panel. A chart needs at
    least 3 former counts (with `start`: 1). `all_zero` marks charts with no case before the judged
    step; a first x there has the statistic s^x. `population` is not used.

    *The reference*, R surveillance 1.20.3 with `ret = "cases"`: alarms agree wherever R has the
    statistic, `upper` wherever it gives a bound. It has none where a count of 0 is an alarm
    (here 0). R multiplies the factors as they stand, so that large counts lead to 0 times
    infinity (no alarm is defined) or to an underflow to 0 (no alarm): on `rotaBB` and
    `rods_taipei`. As the largest value under D is at least that under C, the statistic cannot be
    below 1 by its definition; logarithms are used here, and these are alarms.

    *Cost* grows as `window` per judged point (pooled blocks are kept on a stack, and a count joins
    and leaves it once); with `start` all judged positions of a series share one chart.
    *Memory* beyond the verdicts: 16 MiB, or one series with its chart (4 numbers a step).

    References
    ----------
    Frisén M, Andersson E, Schiöler L (2009). Robust outbreak surveillance of epidemics in Sweden.
    Statistics in Medicine 28, 476-493.

    Frisén M, Andersson E (2009). Semiparametric surveillance of monotonic changes. Sequential
    Analysis 28, 434-454.

    Robertson T, Wright FT, Dykstra RL (1988). Order Restricted Statistical Inference. Wiley.

    Examples
    --------
    >>> import numpy as np
    >>> from detectors.contract import Panel
    >>> season = Panel(np.array([[4.0, 5, 3, 4, 5, 6, 9, 15, 30]]))
    >>> verdicts = OutbreakP(start=0).judge(season)
    >>> verdicts.score[0, -3:].round(2), verdicts.alarm[0, -3:]
    (array([ 1.8 ,  6.9 , 25.43]), array([False,  True,  True]))
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["outbreak_p"] = "outbreak_p"
    k: float = Field(default=100.0, gt=1, le=1e300, description="Alarm limit, a likelihood ratio")
    window: int = Field(default=52, ge=3, le=2000, description="Steps before the judged one")
    restart: bool = Field(default=False, description="Whether the chart begins anew after an alarm")
    start: int | None = Field(
        default=None,
        ge=0,
        description="Position where one chart begins, for whole-series analyses; leave out in "
        "rules, each judged step then has a chart of `window` steps",
    )

    def lookback(self, grain: Grain) -> int:  # noqa: ARG002 - the chart counts steps
        """Say how many steps before a judged one the verdict may depend on (without `start`).

        Examples
        --------
        >>> OutbreakP(window=30).lookback("week")
        30
        """
        return self.window

    def judge(self, panel: Panel, at: Positions | slice | None = None) -> Verdicts:
        """Judge the time positions `at` (default: all) of every series.

        Examples
        --------
        >>> import numpy as np
        >>> from detectors.contract import Panel
        >>> OutbreakP().judge(Panel(np.ones((2, 9))), at=slice(-1, None)).score
        array([[0.],
               [0.]])
        """
        if self.start is not None:
            length = panel.counts.shape[1]
            return judge_in_blocks(
                panel, at, self._one_chart, floats_per_series=lambda judged: 4 * length + 8 * judged
            )
        width = 6 * self.window + 16
        return judge_in_blocks(
            panel,
            at,
            self._chart_each,
            floats_per_series=lambda judged: width * min(judged, _POSITIONS),
        )

    def _chart_each(self, panel: Panel, index: Positions, out: Verdicts, rows: slice) -> None:
        """Give every judged position a chart that begins `window` steps before it."""
        counts = panel.counts[rows]
        seen = _Reading.blank(out.alarm.shape)
        for first in range(0, index.size, _POSITIONS):
            part = slice(first, first + _POSITIONS)
            before = history(counts, index[part], self.window)
            chart = PooledBlocks(before.shape[0], self.window)
            for step in range(self.window):
                self._extend(chart, before[:, step])
            reading = self._read(chart, values_at(counts, index[part]).ravel())
            known = (~np.isnan(before)).sum(axis=1) >= _LEAST_WINDOW
            seen.put(part, reading._replace(enough=known & (reading.number > 0)))
        self._conclude(out, values_at(counts, index), seen)

    def _one_chart(self, panel: Panel, index: Positions, out: Verdicts, rows: slice) -> None:
        """Judge all positions by one chart that begins at `start`."""
        counts, start = panel.counts[rows], int(self.start or 0)
        seen = _Reading.blank(out.alarm.shape)
        end = int(index.max()) + 1
        chart = PooledBlocks(counts.shape[0], max(1, end - start))
        for time in range(start, end):
            columns = np.flatnonzero(index == time)
            if columns.size:
                reading = self._read(chart, counts[:, time])
                for column in columns:
                    seen.put(slice(column, column + 1), reading)
            self._extend(chart, counts[:, time])
        self._conclude(out, values_at(counts, index), seen)

    def _extend(self, chart: PooledBlocks, counts: FloatArray) -> None:
        """Append one count to each chart; with `restart` an alarm empties it instead."""
        chart_ended = np.zeros(counts.size, dtype=np.bool_)
        if self.restart:
            known = np.where(np.isnan(counts), 0.0, counts)
            score = AppendedRatio(chart).log_ratio(known, np.arange(counts.size))
            chart_ended = (score > np.log(self.k)) & (known > 0)
            chart.restart(chart_ended)
        chart.push(np.where(chart_ended, np.nan, counts))

    def _read(self, chart: PooledBlocks, observed: FloatArray) -> _Reading:
        """Compare the counts to be judged with the charts that end before them."""
        appended = AppendedRatio(chart)
        known = np.where(np.isnan(observed), 0.0, observed)
        score = appended.log_ratio(known, np.arange(known.size))
        zero = (chart.observed > 0) & (chart.most == 0)
        upper = appended.least_above(float(np.log(self.k)))
        enough = appended.number >= _LEAST_START
        return _Reading(score, upper, appended.mean, appended.number, zero, enough)

    def _conclude(self, out: Verdicts, observed: FloatArray, seen: _Reading) -> None:
        """Turn what the charts showed into verdicts."""
        out.score[:], out.upper[:], out.expected[:] = seen.score, seen.upper, seen.mean
        levels = _LEVELS if self.start is not None else min(_LEVELS, self.window + 1)
        out.p_value[:] = _chi_bar_tail(seen.score, seen.number.astype(np.intp) + 1, levels)
        conclude(
            out,
            observed=observed,
            judgeable=seen.enough,
            alarm=seen.score > np.log(self.k),
            reason=baseline_reasons(zero=seen.zero),
        )


class _Reading(NamedTuple):
    """Charts at some positions, arrays of shape `[series * judged]` or `[series, judged]`."""

    score: FloatArray
    upper: FloatArray
    mean: FloatArray
    number: FloatArray
    zero: NDArray[np.bool_]
    #: Whether the chart holds enough counts.
    enough: NDArray[np.bool_]

    @classmethod
    def blank(cls, shape: tuple[int, ...]) -> _Reading:
        score, upper, mean, number = (np.zeros(shape) for _ in range(4))
        zero, enough = (np.zeros(shape, dtype=np.bool_) for _ in range(2))
        return cls(score, upper, mean, number, zero, enough)

    def put(self, columns: slice, part: _Reading) -> None:
        for mine, new in zip(self, part, strict=True):
            target = mine[:, columns]
            target[:] = new.reshape(target.shape)


def _level_weights(longest: int, levels: int) -> FloatArray:
    """Return P(l, n), that the isotonic fit to n exchangeable values has l levels.

    Row n, column l - 1: P(l, n) = P(l - 1, n - 1) / n + P(l, n - 1) (n - 1) / n.
    """
    weights = np.zeros((longest + 1, levels))
    weights[: min(2, longest + 1), 0] = 1.0
    for n in range(2, longest + 1):
        weights[n] = weights[n - 1] * ((n - 1) / n)
        weights[n, 1:] += weights[n - 1, :-1] / n
    return weights


def _chi_bar_tail(score: FloatArray, number: Positions, levels: int) -> FloatArray:
    """Return sum over l of P(l, n) P(chi-squared with l - 1 degrees of freedom >= 2 score)."""
    weights = _level_weights(int(number.max(initial=1)), levels)
    with np.errstate(divide="ignore"):
        log_score = np.log(score)
    # Upper tails of gamma distributions with shapes 0, 1/2, 1, ..., each from the last but one.
    tails = [(score <= 0).astype(np.float64), erfc(np.sqrt(score))]
    total = np.zeros(score.shape)
    for level in range(levels):
        tail = tails[level % 2]
        total += weights[number, level] * tail
        half = level / 2.0
        if level == 0:
            tails[0] = np.exp(-score)
        else:
            tail += np.exp(half * log_score - score - gammaln(half + 1.0))
    return np.clip(total, 0.0, 1.0)
