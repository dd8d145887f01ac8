"""Shewhart charts: each count by itself against a limit from its baseline.

Examples
--------
>>> import numpy as np
>>> from detectors.contract import Panel
>>> panel = Panel(np.array([[4.0] * 14 + [9.0, 13.0]]))
>>> verdicts = Shewhart(baseline=14).judge(panel, at=slice(-2, None))
>>> verdicts.upper, verdicts.alarm
(array([[11., 12.]]), array([[False,  True]]))
"""

from __future__ import annotations

from statistics import NormalDist
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from scipy.special import ndtr

from detectors._judging import baseline_reasons, conclude, judge_in_blocks
from detectors._negative_binomial import nb_quantile, nb_size, nb_tail, normal_score
from detectors.rolling import RollingBaseline, rolling_baseline, values_at

if TYPE_CHECKING:
    from detectors.contract import FloatArray, Grain, Panel, Positions, Verdicts

__all__ = ["Shewhart"]

_LEAST = 3
# As in `rolling_baseline`: a spread this small against the mean is rounding.
_ROUNDING = 1e-12


class Shewhart(BaseModel):
    """Shewhart chart with Poisson, negative-binomial or Gaussian limits.

    With m and s^2 the mean and the variance (divisor n - 1) of the baseline,

    - `poisson`: an alarm if P(X >= Y(t)) <= `alpha` for X Poisson with the mean m;
    - `nb`: the same with the variance m + m^2 / r, r = m^2 / (s^2 - m); Poisson where s^2 <= m;
    - `gaussian`: an alarm if Y(t) > m + z s, z the 1 - `alpha` normal quantile.

    Use it for large single excesses, and as the chart that others are compared with. The limits
    take m and s as known: with few baseline counts false alarms are more frequent than `alpha`.
    It knows neither season nor day of the week.

    Parameters
    ----------
    distribution
        As above.
    baseline
        Steps in the rolling baseline.
    lag
        Steps left out between the baseline and the judged step.
    alpha
        One-sided level; 0.00135 is that of three standard deviations.
    start
        Position in the panel from which on all counts, up to `lag` + 1 steps before the judged one,
        are the baseline. For analyses of whole series only: a rule must leave it out, since the
        verdict then depends on more than `lookback` steps.

    Notes
    -----
    *Verdicts.* `expected` is m. `upper` is the largest whole number that is no alarm (`gaussian`:
    m + z s). `p_value` is P(X >= Y(t)), below `alpha` exactly at alarms; `score` is the normal
    quantile it stands for (`gaussian`: (Y - m) / s).

    *Missing counts*, and steps before the panel, are left out. More than half of the baseline, and
    3 counts, must be known (with `start`: 3). Without a case in the baseline, m is as if there had
    been one (`all_zero`). For `gaussian` a baseline that does not vary has s = sqrt(max(m, 1))
    (`constant_baseline`). `population` is not used.

    *Memory* beyond the verdicts: 16 MiB (`BLOCK_FLOATS`), or one series.

    References
    ----------
    Shewhart WA (1931). Economic Control of Quality of Manufactured Product. Van Nostrand.

    Woodall WH (2006). The use of control charts in health-care and public-health surveillance.
    Journal of Quality Technology 38, 89-104.

    Examples
    --------
    >>> import numpy as np
    >>> from detectors.contract import Panel
    >>> counts = np.array([[0.0, 9, 2, 7, 1, 5, 3, 5, 12]])
    >>> for name in ("poisson", "nb", "gaussian"):
    ...     chart = Shewhart(distribution=name, baseline=8)
    ...     print(chart.judge(Panel(counts), slice(-1, None)).upper.round(1))
    [[11.]]
    [[18.]]
    [[13.2]]
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["shewhart"] = "shewhart"
    distribution: Literal["poisson", "nb", "gaussian"] = Field(
        default="poisson", description="Distribution of the counts without an outbreak"
    )
    baseline: int = Field(default=28, ge=3, le=4000, description="Steps in the baseline")
    lag: int = Field(default=0, ge=0, le=1000, description="Steps between baseline and judged step")
    alpha: float = Field(default=0.00135, gt=0, lt=1, description="One-sided level")
    start: int | None = Field(
        default=None,
        ge=0,
        description="Position from which on all earlier counts are the baseline, for whole-series "
        "analyses; leave out in rules",
    )

    def lookback(self, grain: Grain) -> int:  # noqa: ARG002 - counts steps, however wide
        """Say how many steps before a judged one the verdict may depend on (without `start`).

        Examples
        --------
        >>> Shewhart(baseline=28, lag=2).lookback("day")
        30
        """
        return self.baseline + self.lag

    def judge(self, panel: Panel, at: Positions | slice | None = None) -> Verdicts:
        """Judge the time positions `at` (default: all) of every series.

        Examples
        --------
        >>> import numpy as np
        >>> from detectors.contract import Panel
        >>> Shewhart(start=0).judge(Panel(np.full((1, 9), 4.0)), at=slice(-1, None)).expected
        array([[4.]])
        """
        length = panel.counts.shape[1]
        return judge_in_blocks(
            panel, at, self._rule, floats_per_series=lambda judged: 24 * judged + 4 * length
        )

    def _rule(self, panel: Panel, index: Positions, out: Verdicts, rows: slice) -> None:
        counts = panel.counts[rows]
        if self.start is None:
            base = rolling_baseline(counts, index, length=self.baseline, lag=self.lag)
            least = max(_LEAST, self.baseline // 2 + 1)
        else:
            base = _growing_baseline(counts, index, start=self.start, lag=self.lag)
            least = _LEAST
        judgeable = base.observed >= least
        observed = values_at(counts, index)
        zero = judgeable & (base.mean == 0)
        flat = np.zeros_like(zero)
        mean = np.where(zero, 1.0 / np.maximum(base.observed, 1.0), base.mean)
        out.expected[:] = base.mean
        if self.distribution == "gaussian":
            flat = judgeable & (base.sd == 0) & ~zero
            sd = np.where(base.sd == 0, np.sqrt(np.maximum(base.mean, 1.0)), base.sd)
            out.upper[:] = base.mean - NormalDist().inv_cdf(self.alpha) * sd
            out.score[:] = (observed - base.mean) / sd
            out.p_value[:] = ndtr(-out.score)
        else:
            mean = np.where(judgeable, mean, np.nan)
            size = self._size(mean, base.sd)
            out.upper[:] = nb_quantile(mean, size, self.alpha)
            out.p_value[:] = nb_tail(observed, mean, size)
            out.score[:] = normal_score(out.p_value)
        reason = baseline_reasons(zero=zero, flat=flat)
        conclude(out, observed=observed, judgeable=judgeable, reason=reason)

    def _size(self, mean: FloatArray, sd: FloatArray) -> FloatArray:
        """Size r of the negative binomial by moments; infinite for Poisson."""
        if self.distribution == "poisson":
            return np.full(mean.shape, np.inf)
        return nb_size(mean, sd**2)


def _growing_baseline(
    counts: FloatArray, index: Positions, *, start: int, lag: int
) -> RollingBaseline:
    """Moments of all counts from `start` to `lag` + 1 steps before each position (Welford)."""
    shape = (counts.shape[0], index.size)
    result = RollingBaseline(np.full(shape, np.nan), np.full(shape, np.nan), np.zeros(shape))
    number, mean, squares = (np.zeros(counts.shape[0]) for _ in range(3))
    for time in range(start, int(index.max()) - lag):
        count = counts[:, time]
        known = ~np.isnan(count)
        number += known
        change = np.where(known, count - mean, 0.0)
        mean = mean + change / np.maximum(number, 1.0)
        squares += change * np.where(known, count - mean, 0.0)
        columns = np.flatnonzero(index == time + lag + 1)
        if columns.size:
            sd = np.sqrt(squares / np.where(number > 1, number - 1, np.nan))
            sd[sd <= _ROUNDING * mean] = 0.0
            result.observed[:, columns] = number[:, None]
            result.mean[:, columns] = np.where(number > 0, mean, np.nan)[:, None]
            result.sd[:, columns] = sd[:, None]
    return result
