"""Auto: a baseline chosen from each series' own history, and a filter for outbreaks under way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from detectors._judging import conclude, judge_in_blocks
from detectors._outbreak_filter import (
    Course,
    exceeded_before,
    limit_of,
    p_value_of,
    prepare,
    score_of,
    upper_of,
)
from detectors._population import relative_to_judged
from detectors._recurring_days import same_dates
from detectors._robust_season import Terms, fit_baseline
from detectors._windows import history
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
    #: Steps before the judged one that the baseline leaves out, an outbreak's at least.
    guard: int
    #: How long the level of the latest steps is remembered.
    memory: float
    #: Years of history that are used at most.
    years: int
    #: Longest run around an outlying count in years, as in `Terms`. The peak of a season that two
    #: harmonics do not follow is a run of days as well.
    longest: float
    #: Steps that must suffice where most of the history is missing.
    recent: int
    #: Steps that are added up where lasting outbreaks are looked for.
    block: int


_WEEKLY: Final = Course(
    shares=(0.42, 0.39, 0.19),
    persistence=(0.55, 0.15),
    sizes=(1.3, 3.0, 5.0, 8.0, 12.0),
    scores=(-1.05, -0.52, -0.06, 0.47, 1.06, 2.29, 3.93, 5.59),
    ended=0.3,
)
_DAILY: Final = Course(
    shares=(0.3, 0.4, 0.3),
    persistence=(0.8, 0.8),
    sizes=(3.0, 6.0, 12.0, 24.0, 48.0),
    scores=(-1.36, -0.64, -0.08, 0.55, 1.17, 2.39, 4.15, 5.91),
)
_MONTHLY: Final = Course(
    shares=(0.6, 0.4),
    persistence=(0.4,),
    sizes=(1.5, 3.0, 5.0, 8.0, 12.0),
    scores=(-1.53, -0.87, -0.35, 0.22, 0.89, 2.20, 3.90, 5.67),
)
_ALONE: Final = Course(
    shares=(1.0,),
    persistence=(),
    sizes=(1.5, 3.0, 5.0, 8.0, 12.0),
    scores=(-2.71, -1.92, -1.23, -0.52, 0.36, 1.84, 3.86, 5.90),
)
_WAYS: Final[dict[Grain, _Ways]] = {
    "day": _Ways(_DAILY, guard=3, memory=0.9, years=3, longest=0.0, recent=56, block=7),
    # Neighbouring sums share days: each is weighed alone.
    "rolling7": _Ways(_ALONE, guard=7, memory=0.9, years=3, longest=0.0, recent=56, block=7),
    "week": _Ways(_WEEKLY, guard=3, memory=0.7, years=10, longest=0.5, recent=26, block=2),
    "month": _Ways(_MONTHLY, guard=2, memory=0.5, years=10, longest=0.5, recent=12, block=1),
}
#: So many neighbouring sums tell as much as one: of seven days fewer than seven, since the spread
#: is seen better than the mean. Found by simulation: with 35 to 365 sums of Poisson counts of 1, 5
#: and 50 a day, 0.1 to 1.4 % are alarms at a level of 1 % (with 1: 1.5 to 5.4 %, with 7: 0 to 0.5).
_OVERLAP: Final[dict[Grain, int]] = {"rolling7": 3}
_HARMONICS: Final = 2
#: Fewest observed counts, and share of the window that must be observed.
_LEAST, _SHARE = 8, 0.5
_WEEKDAYS_FROM = 28
#: Part of a block's memory that one array may have: small ones stay in the processor's cache,
#: which makes the fits three times as fast.
_SMALL_BLOCKS: Final = 256
#: Most numbers of one such array where the windows of a single series need more (512 KiB).
_BLOCK: Final = 1 << 16


class Auto(BaseModel):
    r"""Baseline and outbreak model chosen for each series from its own history.

    No single method wins everywhere: Farrington's is calibrated but judges each week alone, from a
    few weeks of each past year; the EARS are early but noisy. This one takes all of the history for
    its baseline, leaves the outbreaks of the past out, and weighs the latest few steps together:
    a count that would be no alarm alone is one when the step before was high as well.

    *Baseline.* A log-linear model with variance :math:`\phi\mu`, fitted by robust quasi-likelihood
    to the steps before the outbreak window: level, trend, two harmonics of the year, and for daily
    counts the weekdays. Mild priors hold trend and season near 0 until the series' own history
    says more, so that the terms need no choosing: with years of counts they are what the counts
    say, with weeks of them the season is open, and the dispersion has that uncertainty in it. A
    large Anscombe residual takes a past count out. Where the history shows that levels last, the
    mean follows the level of the latest steps, and a date that came with a count of its own in each
    of the past years (a bank holiday) is expected with it again. `detectors._robust_season`,
    `detectors._level_drift` and `detectors._recurring_days` have the equations.

    *Score.* The logarithm of the likelihood ratio of "an outbreak is in progress now" against
    "none, or one that has just ended", averaged over outbreaks of several sizes that began in the
    latest few steps (weeks and days: 3, months: 2; sums of seven days are weighed alone), or that
    of the judged count alone if it is higher. The latest count weighs most: it alone can be an
    alarm, whatever came before, and the steps before add to it. `detectors._outbreak_filter` has
    the formula.

    *Outbreaks that last.* An outlying count of the past is left out of the baseline, with weeks and
    months together with the whole run of high counts around it. A high level of six weeks (three
    weeks of days, three months) or more is looked for as a whole, however large a part of the
    history it is, and left out: for good once counts have come back, and for a year while it lasts,
    so that the outbreak stays in alarm. What has lasted for more than a year is a new level (a
    source that joins after years of zeros, too): the baseline then begins anew with it, and the
    alarms end. This needs a year of other counts, at least as many as those left out, and an excess
    that stands out from how the level of the other counts wanders (`detectors._lasting_outbreaks`);
    a strong season is no outbreak.

    *The first year.* What begins with less than a year of other counts may be a wave or the season:
    nothing of the past tells them apart. It is compared with the level before it and stays in alarm
    until it has lasted as long as all the history before it; then it is the usual level
    (`detectors._first_year`). So a source that joins after 20 weeks ends its alarms after 20 more,
    and a first season that reaches more than 1.5 times the level before it may be in alarm
    throughout. With 8 weeks of history or more the threshold stayed where it was through waves of
    three times 10 cases a day: 94 % of the days and all full sums of seven days were in alarm.
    Small counts that vary more than by chance can hide a wave: with 10 a week, and a variance of
    twice the mean, a wave of three times as many was in alarm in one or two weeks of four.

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
    the score reaches the alarm's level given the steps before: never more than that of a count
    weighed alone, and at least 0. An alarm has the reason `continuing` where one of the two steps
    before (months: the step before) was in exceedance as well, else an outbreak begins. `p_value`
    is the
    probability of a score as high without an outbreak. It comes from one curve for all means and
    dispersions, since the score is a mean of likelihood ratios; with a baseline estimated from 500
    weeks, means of 0.1 to 10,000 and dispersions of 1 to 6, it is off by a factor of at most 2.1 at
    0.05 and 2.4 at 0.01, and from means of 0.3 on by one of about 3 at 0.001 (small and widely
    dispersed counts pass more often, small Poisson ones less often). Over the 42 scenarios of
    Noufaily et al. the rates are 0.046, 0.009 and 0.001. With 20 weeks of history they are 0.013
    at 0.01 and 0.003 at 0.001, from 60 weeks on 0.011 and 0.001.

    *Missing counts* have no weight. At least 8 counts and half of the window (or of the latest
    26 weeks, 56 days, 12 months) must be observed, else the reason is `insufficient_history`. A
    window of zeros alone (`all_zero`) is judged with half a case as what the zeros leave open.

    *Population*: where the panel has one, means are proportional to it. A missing one is taken to
    be that of the step before it in the window, or else of the first step after it.

    *Memory*: blocks of at most 512 KiB for each working array of the windows, or one window; about
    20 of them are alive at a time.

    References
    ----------
    Noufaily A, Enki DG, Farrington P, Garthwaite P, Andrews N, Charlett A (2013). An improved
    algorithm for outbreak detection in multiple surveillance systems. Statistics in Medicine 32,
    1206-1222 (reweighting by Anscombe residuals).

    Fokianos K, Fried R (2010). Interventions in INGARCH processes. Journal of Time Series Analysis
    31, 210-225 (level shifts of counts, found one after the other by score tests).

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
        107
        """
        ways = _WAYS[grain]
        return (self.history or ways.years * longest_year(grain)) + ways.guard

    def judge(self, panel: Panel, at: Positions | slice | None = None) -> Verdicts:
        """Judge the time positions `at` (default: all) of every series.

        Examples
        --------
        >>> import numpy as np
        >>> from detectors.contract import Panel
        >>> weeks = Panel(np.resize([4.0, 6, 5, 3, 7], (1, 120)), grain="week")
        >>> Auto().judge(weeks, slice(-1, None)).alarm
        array([[False]])
        """
        window = self.history or _WAYS[panel.grain].years * longest_year(panel.grain)
        # Windows of one series at a time: a daily series of decades has thousands of them.
        most = max(1, _BLOCK // window)

        def rule(panel: Panel, index: Positions, out: Verdicts, series: slice) -> None:
            for first in range(0, index.size, most):
                part = slice(first, first + most)
                self._judge_block(panel, index[part], out.columns(part), series)

        return judge_in_blocks(
            panel,
            at,
            rule,
            floats_per_series=lambda judged: _SMALL_BLOCKS * min(judged, most) * window,
        )

    def _judge_block(self, panel: Panel, index: Positions, out: Verdicts, series: slice) -> None:
        counts = panel.counts[series]
        ways = _WAYS[panel.grain]
        steps, guard = ways.course.steps, ways.guard
        window = self.history or ways.years * longest_year(panel.grain)
        # Steps before the panel would only be carried along.
        window = max(1, min(window, int(index.max()) - guard))
        flat = history(counts, index, window, lag=guard + 1)
        between = history(counts, index, guard, lag=1)
        known = ~np.isnan(flat)
        exposure = None
        if panel.population is not None:
            people = history(panel.population[series], index, window + guard + 1, lag=0)
            exposure = relative_to_judged(people)
        dates = np.tile(same_dates(panel, index, steps), (1, 1, counts.shape[0]))
        means = np.full((steps + 1, flat.shape[0]), np.nan)
        dispersion = np.full(flat.shape[0], np.nan)
        for terms, length, chosen in _choices(known, panel, ways):
            risk = None if exposure is None else exposure[chosen, window - length :]
            recent = flat[chosen, window - length :]
            fitted = fit_baseline(
                recent,
                guard,
                steps,
                terms,
                latest=between[chosen],
                exposure=risk,
                dates=dates[:, :, chosen],
            )
            means[:, chosen], dispersion[chosen] = fitted.means, fitted.dispersion
        shape = (counts.shape[0], index.size)
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
        below = np.maximum(np.nextafter(count, -1.0), 0.0)
        out.upper[:] = np.where(alarm, np.minimum(upper, below), np.maximum(upper, count))
        np.copyto(out.upper, upper, where=np.isnan(observed))
        zero = (np.where(known, flat, 0.0).max(axis=1) == 0).reshape(shape) & judgeable
        continuing = alarm & exceeded_before(latest, mean, phi, ways.course, limit)
        reason = np.where(zero, Reason.all_zero, Reason.ok).astype(np.uint8)
        reason[continuing] = Reason.continuing
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
    span = np.where(known.any(axis=1), window - known.argmax(axis=1), 0)
    recent = min(window, ways.recent)
    year = steps_per_year(panel)
    found = []
    left = np.ones(span.size, dtype=np.bool_)
    for length in (window, recent):
        count = known[:, window - length :].sum(axis=1)
        enough = left & (count >= np.maximum(_LEAST, _SHARE * np.minimum(span, length)))
        left &= ~enough
        weekdays = (count >= _WEEKDAYS_FROM) & (panel.grain == "day")
        for these, week in ((enough & weekdays, True), (enough & ~weekdays, False)):
            terms = Terms(
                year,
                _HARMONICS,
                trend=True,
                weekdays=week,
                memory=ways.memory,
                longest=ways.longest,
                block=ways.block,
                overlap=_OVERLAP.get(panel.grain, 1),
            )
            found.append((terms, length, these.nonzero()[0]))
    return [choice for choice in found if choice[2].size]
