"""Auto: a baseline chosen from each series' own history, and a filter for outbreaks under way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from detectors._judging import conclude, judge_in_blocks
from detectors._outbreak_filter import Course, limit_of, p_value_of, prepare, score_of, upper_of
from detectors._relative import history
from detectors._robust_season import Terms, fit_baseline
from detectors.contract import Reason
from detectors.rolling import values_at
from detectors.seasons import longest_year, steps_per_year

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detectors.contract import Grain, Panel, Positions, Verdicts

__all__ = ["Auto"]


class _Ways(NamedTuple):
    """How counts of one grain are looked at."""

    #: How an outbreak runs.
    course: Course
    #: Years of history that are used at most.
    years: int
    #: Steps of a baseline without season.
    recent: int


_WEEKLY: Final = Course(
    shares=(0.4, 0.3, 0.2, 0.1),
    persistence=(0.7, 0.5, 0.3),
    sizes=(1.5, 3.0, 5.0, 8.0, 12.0),
    scores=(-0.57, -0.04, 0.43, 1.03, 1.50, 2.64, 4.18, 5.75),
)
_DAILY: Final = Course(
    shares=(0.3, 0.4, 0.3),
    persistence=(0.8, 0.8),
    sizes=(3.0, 6.0, 12.0, 24.0, 48.0),
    scores=(-1.33, -0.60, -0.03, 0.68, 1.23, 2.44, 4.27, 6.19),
)
_MONTHLY: Final = Course(
    shares=(0.6, 0.4),
    persistence=(0.5,),
    sizes=(1.5, 3.0, 5.0, 8.0, 12.0),
    scores=(-1.42, -0.75, -0.21, 0.38, 0.99, 2.31, 4.05, 5.75),
)
_ALONE: Final = Course(
    shares=(1.0,),
    persistence=(),
    sizes=(1.5, 3.0, 5.0, 8.0, 12.0),
    scores=(-2.69, -1.91, -1.21, -0.47, 0.37, 1.85, 3.93, 5.89),
)
_WAYS: Final[dict[Grain, _Ways]] = {
    "day": _Ways(_DAILY, years=3, recent=56),
    # Neighbouring sums share days: each is weighed alone.
    "rolling7": _Ways(_ALONE, years=3, recent=56),
    "week": _Ways(_WEEKLY, years=10, recent=26),
    "month": _Ways(_MONTHLY, years=10, recent=12),
}
#: Years of history for one and for two harmonics of the season.
_ONE_HARMONIC, _TWO_HARMONICS = 2.0, 4.0
#: Fewest observed counts, and share of the window that must be observed.
_LEAST, _SHARE = 8, 0.5
_WEEKDAYS_FROM = 28
_WEEK: Final = 7


class Auto(BaseModel):
    r"""Baseline and outbreak model chosen for each series from its own history.

    No single method wins everywhere: Farrington's is calibrated but judges each week alone, from a
    few weeks of each past year; the EARS are early but noisy. This one takes all of the history for
    its baseline, leaves the outbreaks of the past out, and weighs the latest few steps together:
    a count that would be no alarm alone is one when the step before was high as well.

    *Baseline.* A log-linear model with variance :math:`\phi\mu`, fitted by robust quasi-likelihood
    to the steps before the outbreak window. Its terms depend on the history at hand: with four
    years or more a trend and two harmonics of the year, with two years or more a trend and one
    harmonic, with less the level of the recent steps alone. Daily counts have a term for each
    weekday. A large Anscombe residual takes a past count out. The uncertainty of the mean goes
    into the dispersion.

    *Score.* The logarithm of the likelihood ratio of "an outbreak is under way now" against "none,
    or one that has just ended", averaged over outbreaks of several sizes that began in the latest
    few steps (weeks: 4, days: 3, months: 2; sums of seven days are weighed alone).
    `detectors._outbreak_filter` has the formula.

    Use it where nothing is known about a series, and where an outbreak may last some steps. It
    assumes that outbreaks are rare in the history and that the seasons are alike; where epidemics
    come every winter at another time, it will call the winter's rise an outbreak.

    Parameters
    ----------
    alpha
        Level of an alarm: its `p_value` is below.
    history
        Steps of history used at most; by default ten years of weeks or months, three of days.

    Notes
    -----
    *Verdicts.* `expected` is :math:`\mu_t`, `score` the logarithm above, `upper` the count at which
    the score reaches the alarm's level given the steps before, at least 0. `p_value` is the
    probability of a score as high without an outbreak. It comes from a curve that is nearly the
    same for all means and dispersions, since the score is a mean of likelihood ratios; it holds to
    a factor of about two at 0.001.

    *Missing counts* have no weight. At least 8 counts and half of the window must be observed, else
    the reason is `insufficient_history`. A window of zeros alone (`all_zero`) is judged with half
    a case as what the zeros leave open. `population` is not used.

    *Memory*: blocks of at most 128 MiB for each working array of the windows, or one series.

    References
    ----------
    Noufaily A, Enki DG, Farrington P, Garthwaite P, Andrews N, Charlett A (2013). An improved
    algorithm for outbreak detection in multiple surveillance systems. Statistics in Medicine 32,
    1206-1222 (reweighting by Anscombe residuals).

    Shiryaev AN (1963). On optimum methods in quickest detection problems. Theory of Probability and
    Its Applications 8, 22-46 (averaging over the time of onset).

    Examples
    --------
    >>> import numpy as np
    >>> from detectors.contract import Panel
    >>> counts = np.array([[4.0, 5, 6, 5, 4, 5] * 30])
    >>> counts[0, -2:] = 10.0, 12.0
    >>> verdicts = Auto().judge(Panel(counts, grain="week"), slice(-3, None))
    >>> verdicts.alarm[0]
    array([False, False,  True])
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["auto"] = "auto"
    alpha: float = Field(default=0.01, gt=0, lt=0.5, description="Level of an alarm")
    history: int | None = Field(
        default=None,
        ge=_LEAST,
        le=10_000,
        description="Steps of history used at most; by default 10 years (days: 3)",
    )

    def lookback(self, grain: Grain) -> int:
        """Say how many steps before a judged one the verdict may depend on.

        Examples
        --------
        >>> Auto(history=104).lookback("week")
        108
        """
        ways = _WAYS[grain]
        return (self.history or ways.years * longest_year(grain)) + ways.course.steps

    def judge(self, panel: Panel, at: Positions | slice | None = None) -> Verdicts:
        """Judge the time positions `at` (default: all) of every series.

        Returns
        -------
        Verdicts
            Arrays of shape `[series, judged]`.
        """
        window = self.history or _WAYS[panel.grain].years * longest_year(panel.grain)
        return judge_in_blocks(
            panel, at, self._judge_block, floats_per_series=lambda judged: judged * window
        )

    def _judge_block(self, panel: Panel, index: Positions, out: Verdicts, series: slice) -> None:
        counts = panel.counts[series]
        ways = _WAYS[panel.grain]
        steps = ways.course.steps
        window = self.history or ways.years * longest_year(panel.grain)
        flat = history(counts, index, window, lag=steps + 1)
        past = flat.reshape(-1, index.size, window)
        known = ~np.isnan(past)
        means = np.full((steps + 1, flat.shape[0]), np.nan)
        dispersion = np.full(flat.shape[0], np.nan)
        for terms, length, chosen in _choices(known.reshape(-1, window), panel, ways):
            fitted = fit_baseline(flat[chosen, window - length :], steps, steps, terms)
            means[:, chosen], dispersion[chosen] = fitted.means, fitted.dispersion
        shape = past.shape[:2]
        judgeable = ~np.isnan(dispersion).reshape(shape)
        latest = np.stack([values_at(counts, index - back) for back in range(steps, -1, -1)])
        # What cannot be judged is filled with harmless numbers, and blanked at the end.
        mean = np.where(judgeable, means.reshape(-1, *shape), 1.0)
        phi = np.where(judgeable, dispersion.reshape(shape), 1.0)
        state = prepare(latest, mean, phi, ways.course)
        observed = latest[-1]
        count = np.where(np.isnan(observed), mean[-1], observed)
        limit = limit_of(self.alpha, ways.course)
        out.expected[:] = mean[-1]
        out.score[:] = score_of(count, state)
        out.p_value[:] = p_value_of(out.score, ways.course)
        alarm = out.score > limit
        upper = upper_of(limit, state)
        # The threshold is found by approximation; it never contradicts the score.
        out.upper[:] = np.where(
            alarm, np.minimum(upper, np.nextafter(count, -1.0)), np.maximum(upper, count)
        )
        np.copyto(out.upper, upper, where=np.isnan(observed))
        zero = (np.where(known, past, 0.0).max(axis=-1) == 0) & judgeable
        reason = np.where(zero, Reason.all_zero, Reason.ok).astype(np.uint8)
        conclude(out, observed=observed, judgeable=judgeable, alarm=alarm, reason=reason)


def _choices(
    known: NDArray[np.bool_], panel: Panel, ways: _Ways
) -> list[tuple[Terms, int, NDArray[np.intp]]]:
    """Choose terms and window length for each problem by what is known of it.

    Returns
    -------
    list
        Terms, steps of the window's end that are used, and the problems; those without enough
        history are in none.
    """
    window = known.shape[1]
    year = steps_per_year(panel)
    span = np.where(known.any(axis=1), window - known.argmax(axis=1), 0)
    daily = panel.grain == "day"
    recent = min(window, ways.recent)
    seasonal = span >= min(_ONE_HARMONIC * year, window + 1)
    enough = known.sum(axis=1) >= np.maximum(_LEAST, _SHARE * span)
    rich = seasonal & enough & (span >= _TWO_HARMONICS * year)
    if daily and window < _TWO_HARMONICS * year:
        rich = seasonal & enough & (span >= window)
    in_recent = known[:, window - recent :].sum(axis=1)
    few = ~(seasonal & enough) & (
        in_recent >= np.maximum(_LEAST, _SHARE * np.minimum(span, recent))
    )
    weekdays = few & daily & (in_recent >= _WEEKDAYS_FROM)
    found = [
        (Terms(year, 2, trend=True, weekdays=daily), window, rich),
        (Terms(year, 1, trend=True, weekdays=daily), window, seasonal & enough & ~rich),
        (Terms(year, 0, trend=False, weekdays=True), recent, weekdays),
        (Terms(year, 0, trend=False, weekdays=False), recent, few & ~weekdays),
    ]
    return [(terms, length, chosen.nonzero()[0]) for terms, length, chosen in found if chosen.any()]
