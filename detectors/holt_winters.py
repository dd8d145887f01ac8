"""Holt-Winters forecasts: level, trend and days of the week, smoothed exponentially.

Examples
--------
>>> import numpy as np
>>> from detectors.contract import Panel
>>> counts = np.resize([20.0, 18, 17, 16, 18, 9, 7], 70) + np.resize([0.0, 1, 2], 70)
>>> counts[-1] = 20
>>> HoltWinters().judge(Panel(counts[None]), at=slice(-2, None)).alarm
array([[False,  True]])
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator
from scipy.special import stdtr, stdtrit

from detectors._judging import baseline_reasons, conclude, judge_in_blocks
from detectors._moments import sum_in_order
from detectors.rolling import values_at

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detectors.contract import FloatArray, Grain, Panel, Positions, Verdicts

__all__ = ["HoltWinters"]

_WEEK = 7
# Seasonal factors below this part of the mean carry no news of the level.
_LEAST_FACTOR = 1e-3
_LEAST_ERRORS = 7
# Errors below this part of the level are rounding.
_ROUNDING = 1e-9


class HoltWinters(BaseModel):
    """Holt-Winters forecasts with a chart of their errors (Burkom, Murphy and Shmueli 2007).

    With Y the counts, m the level, b the trend, c the factors of the M days of the week, and the
    smoothing constants `alpha_level`, `beta`, `gamma` written A, B, G, the multiplicative form is

        m(s) = A Y(s) / c(s - M) + (1 - A) (m(s - 1) + b(s - 1)),
        b(s) = B (m(s) - m(s - 1)) + (1 - B) b(s - 1),
        c(s) = G Y(s) / m(s) + (1 - G) c(s - M),

    and the forecast k = `guard` + 1 steps ahead is Y^(s + k) = (m(s) + k b(s)) c(s + k - M), at
    least 0. In the additive form differences and sums take the place of ratios and products.
    The n errors e(s) = Y(s) - Y^(s) of the last `errors` steps, made equally far ahead, give

        T(t) = (Y(t) - Y^(t)) / sqrt(sum e(s)^2 / n),

    which is compared with Student's t with n degrees of freedom: an alarm if its upper tail is
    below `alpha`.

    Use it for daily counts with days of the week whose level moves; in the paper it forecast 16
    syndromic series better than regression. Take the additive form for small counts.

    Parameters
    ----------
    form
        Multiplicative or additive.
    alpha_level, beta, gamma
        A, B and G; 0.4, 0 and 0.15 are the paper's.
    alpha
        One-sided level of the alarm.
    season
        M in steps; 7 for steps of a day and 1 (no season) for others unless given.
    window
        Steps that the recursion sees before the forecast.
    startup
        First steps of the window, which give the starting values; at least a season.
    errors
        Latest steps of the window whose forecast errors give the spread.
    guard
        Steps between the window and the judged step.
    min_sigma
        Least root mean square error, in counts.

    Notes
    -----
    *Verdicts.* `expected` is Y^(t), `upper` is where the tail is `alpha`, `score` is T(t). The
    p-value is exact for independent normal errors with mean 0.

    *Start.* The paper lets the recursion run on; here it begins anew for each judged step, `window`
    + `guard` steps before it, so that a verdict depends on nothing earlier: m is the mean of the
    start-up, c the means of its days over m, and b is 0, or with B > 0 the mean difference between
    the later and the earlier half of the start-up, a step. With the paper's A a count's weight in
    the level is below 1e-9 after 42 steps.

    *Missing and odd input.* A missing count moves the level along its trend and nothing else. A
    point is judged with more than half of the start-up and of the errors (at least 7) known. A
    level of 0 leaves the factors, and a factor below 0.001 leaves the level, as they are; no factor
    exceeds M. Where all errors are 0, any count above Y^(t) is an alarm, and `score` and `p_value`
    take sqrt(max(Y^(t), 1)) for the spread.

    *Memory* beyond the verdicts: as `BLOCK_FLOATS` in `detectors._judging` says, 16 MiB.

    References
    ----------
    Burkom HS, Murphy SP, Shmueli G (2007). Automated time series forecasting for biosurveillance.
    Statistics in Medicine 26, 4202-4218.

    Elbert Y, Burkom HS (2009). Development and evaluation of a data-adaptive alerting algorithm
    for univariate temporal biosurveillance data. Statistics in Medicine 28, 3226-3248.

    Examples
    --------
    >>> import numpy as np
    >>> from detectors.contract import Panel
    >>> weekly = Panel(np.resize([8.0, 6, 4, 4, 5, 1, 0], 70)[None])
    >>> HoltWinters().judge(weekly, at=slice(-7, None)).expected.round(1)
    array([[8., 6., 4., 4., 5., 1., 0.]])
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["holt_winters"] = "holt_winters"
    form: Literal["multiplicative", "additive"] = Field(
        default="multiplicative", description="Whether season and level multiply or add"
    )
    alpha_level: float = Field(default=0.4, ge=0, le=1, description="Smoothing of the level")
    beta: float = Field(default=0.0, ge=0, le=1, description="Smoothing of the trend")
    gamma: float = Field(default=0.15, ge=0, le=1, description="Smoothing of the season")
    alpha: float = Field(default=0.01, gt=0, lt=1, description="One-sided level of the alarm")
    season: int | None = Field(
        default=None, ge=1, le=366, description="Steps in a season; by default 7 for days, else 1"
    )
    window: int = Field(default=56, ge=8, le=3653, description="Steps the recursion sees")
    startup: int = Field(default=14, ge=1, le=1000, description="First of them: starting values")
    errors: int = Field(default=28, ge=_LEAST_ERRORS, le=1000, description="Last of them: spread")
    guard: int = Field(
        default=0, ge=0, le=1000, description="Steps between the window and the judged step"
    )
    min_sigma: float = Field(
        default=0.0, ge=0, le=1e9, description="Least root mean square error, in counts"
    )

    @model_validator(mode="after")
    def _fits_together(self) -> HoltWinters:
        if self.window < self.startup + self.errors + self.guard:
            raise ValueError("window must hold startup, errors and guard")
        if self.season is not None and self.startup < self.season:
            raise ValueError("startup must hold a season")
        if self.season is None and self.startup < _WEEK:
            raise ValueError("startup must hold a season, 7 steps unless season is given")
        return self

    def lookback(self, grain: Grain) -> int:  # noqa: ARG002 - counts steps, however wide
        """Say how many steps before a judged one the verdict may depend on.

        Examples
        --------
        >>> HoltWinters().lookback("day")
        56
        """
        return self.window + self.guard

    def judge(self, panel: Panel, at: Positions | slice | None = None) -> Verdicts:
        """Judge the time positions `at` (default: all) of every series.

        Examples
        --------
        >>> import numpy as np
        >>> from detectors.contract import Panel, Reason
        >>> verdicts = HoltWinters().judge(Panel(np.zeros((1, 60))))
        >>> [Reason(code).name for code in verdicts.reason[0, [3, 59]]]
        ['insufficient_history', 'all_zero']
        """
        kept = 40 + 2 * self._season(panel.grain) + self.guard
        return judge_in_blocks(
            panel, at, self._rule, floats_per_series=lambda judged: judged * kept
        )

    def _season(self, grain: Grain) -> int:
        if self.season is not None:
            return self.season
        return _WEEK if grain == "day" else 1

    def _rule(self, panel: Panel, index: Positions, out: Verdicts, series: slice) -> None:
        counts = panel.counts[series]
        observed = values_at(counts, index)
        begin = index - self.lookback(panel.grain)
        state = self._start(counts, begin, self._season(panel.grain))
        squares, known = np.zeros(observed.shape), np.zeros(observed.shape)
        largest = np.zeros(observed.shape)
        ahead: list[FloatArray] = []
        for step in range(self.startup, self.window):
            ahead.append(state.forecast(step - 1, self.guard + 1))
            count = values_at(counts, begin + step)
            if step >= self.window - self.errors:
                error = count - ahead[-1 - self.guard]
                seen = ~np.isnan(error)
                squares += np.where(seen, error, 0.0) ** 2
                known += seen
                np.fmax(largest, count, out=largest)
            del ahead[: -1 - self.guard]
            state = self._update(state, step, count)
        expected = state.forecast(self.window - 1, self.guard + 1)
        sigma = np.sqrt(squares / np.maximum(known, 1.0))
        sigma = np.where(sigma <= _ROUNDING * np.maximum(largest, expected), 0.0, sigma)
        flat = np.maximum(sigma, self.min_sigma) == 0
        sigma = np.where(flat, 0.0, np.maximum(sigma, self.min_sigma))
        df = np.maximum(known, 1.0)
        with np.errstate(invalid="ignore"):
            score = (observed - expected) / np.where(
                flat, np.sqrt(np.maximum(expected, 1.0)), sigma
            )
            margin = np.where(flat, _ROUNDING * expected, -stdtrit(df, self.alpha) * sigma)
        out.expected[:] = expected
        out.upper[:] = np.maximum(expected + margin, 0.0)
        out.score[:] = score
        out.p_value[:] = stdtr(df, -score)
        conclude(
            out,
            observed=observed,
            judgeable=state.sufficient & (known >= max(_LEAST_ERRORS, self.errors // 2 + 1)),
            reason=baseline_reasons(zero=flat & (largest == 0) & (expected == 0), flat=flat),
        )

    def _start(self, counts: FloatArray, begin: Positions, season: int) -> _State:
        """Means of the start-up: level, trend and factors."""
        shape = (counts.shape[0], begin.size)
        total, known = np.zeros((2, season, *shape)), np.zeros((2, season, *shape))
        half = (self.startup + 1) // 2
        for step in range(self.startup):
            count = values_at(counts, begin + step)
            part = int(step >= half)
            total[part, step % season] += np.where(np.isnan(count), 0.0, count)
            known[part, step % season] += ~np.isnan(count)
        halves, halves_known = (sum_in_order(part.swapaxes(0, 1)) for part in (total, known))
        both, both_known = total[0] + total[1], known[0] + known[1]
        seen = halves_known[0] + halves_known[1]
        level = (halves[0] + halves[1]) / np.maximum(seen, 1.0)
        trend = np.zeros(shape)
        if self.beta > 0:
            parts = halves / np.maximum(halves_known, 1.0)
            trend = np.where(
                (halves_known > 0).all(axis=0), (parts[1] - parts[0]) / (self.startup / 2), 0.0
            )
        day = both / np.maximum(both_known, 1.0)
        multiplies = self.form == "multiplicative"
        if multiplies:
            # Divided by a level that may be tiny or 0; a mean of non-negative counts bounds it.
            factor = day / np.where(level > 0, level, 1.0)
            factors = np.where((both_known > 0) & (level > 0), factor, 1.0)
        else:
            factors = np.where(both_known > 0, day - level, 0.0)
        return _State(level, trend, factors, seen > self.startup // 2, multiplies)

    def _update(self, state: _State, step: int, count: FloatArray) -> _State:
        """Take in one step's counts."""
        phase = step % state.factors.shape[0]
        factor, moved = state.factors[phase], state.level + state.trend
        a, b, g = self.alpha_level, self.beta, self.gamma
        seen = ~np.isnan(count)
        value = np.where(seen, count, 0.0)
        if state.multiplies:
            tells = seen & (factor > _LEAST_FACTOR)
            fresh = value / np.where(tells, factor, 1.0)
            level = np.maximum(np.where(tells, a * fresh + (1 - a) * moved, moved), 0.0)
            most = float(state.factors.shape[0])
            # No smaller level than value / most is divided by: a ratio is at most M.
            least = np.maximum(level, value / most)
            ratio = value / np.where(least > 0, least, 1.0)
            changed = seen & (level > 0)
        else:
            level = np.where(seen, a * (value - factor) + (1 - a) * moved, moved)
            ratio, changed = value - level, seen
        factors = state.factors.copy()
        factors[phase] = np.where(changed, g * ratio + (1 - g) * factor, factor)
        trend = np.where(seen, b * (level - state.level) + (1 - b) * state.trend, state.trend)
        return _State(level, trend, factors, state.sufficient, state.multiplies)


class _State(NamedTuple):
    """State of the recursion, arrays of shape `[series, judged]`; `factors` by phase before."""

    level: FloatArray
    trend: FloatArray
    factors: FloatArray
    sufficient: NDArray[np.bool_]
    multiplies: bool

    def forecast(self, step: int, ahead: int) -> FloatArray:
        """Forecast `ahead` steps after `step`, at least 0."""
        level = self.level + ahead * self.trend
        factor: FloatArray = self.factors[(step + ahead) % self.factors.shape[0]]
        forecast = level * factor if self.multiplies else level + factor
        forecast[forecast < 0] = 0.0
        return forecast
