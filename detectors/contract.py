"""The contract between detectors and whoever calls them: a panel in, verdicts out.

A *panel* is many count series on one time axis; a *detector* judges chosen time positions of all
its series at once; its *verdicts* say for each of them what was expected, where the alarm
threshold lay and whether it was passed. Everything here is plain numpy: no clock, no input or
output, so that the same panel and the same parameters give the same verdicts on any worker.

Examples
--------
>>> import numpy as np
>>> panel = Panel(np.array([[3.0, 4.0, np.nan, 2.0]]))
>>> panel.counts.shape
(1, 4)
>>> judged_positions(slice(-1, None), panel.counts.shape[1])
array([3])
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal, Protocol, TypeAlias, get_args, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from detectors._panel_checks import check_counts, check_dates, check_period, check_population

__all__ = [
    "Detector",
    "FloatArray",
    "Grain",
    "Panel",
    "Positions",
    "Reason",
    "Verdicts",
    "judged_positions",
]

Grain: TypeAlias = Literal["day", "rolling7", "week", "month"]
"""Width of one time step: a day; seven days up to and including a day; an epi week; a month."""

FloatArray: TypeAlias = NDArray[np.float64]
Positions: TypeAlias = NDArray[np.intp]


class Reason(IntEnum):
    """Why a verdict is what it is; the name is what users see, the number is what is stored.

    Codes below 10 mark verdicts that were reached, codes from 10 on mark points that could not be
    judged: their `alarm` is False and their `score` and `p_value` are NaN.

    Examples
    --------
    >>> Reason.all_zero.judged, Reason.insufficient_history.judged
    (True, False)
    >>> Reason(11).name
    'missing_observation'
    """

    ok = 0
    """Judged by the method's ordinary rule."""
    all_zero = 1
    """Judged, but every count in the baseline is 0: the method's own measure of spread is 0."""
    constant_baseline = 2
    """Judged, but the baseline does not vary: the method's own measure of spread is 0."""
    continuing = 3
    """Judged, and an alarm that continues the exceedance of the steps just before: the outbreak is
    still in progress, no new one is reported. Only of methods that tell the two apart."""
    reporting_changed = 4
    """Judged, in alarm or not, as the sum of the days since the report before: the source has come
    to report less often than in the baseline (:mod:`detectors.reporting`)."""
    insufficient_history = 10
    """Too few observed counts in the baseline."""
    missing_observation = 11
    """The count to be judged is itself missing."""

    @property
    def judged(self) -> bool:
        """Whether the point was judged at all.

        Examples
        --------
        >>> [reason.name for reason in Reason if not reason.judged]
        ['insufficient_history', 'missing_observation']
        """
        return self < Reason.insufficient_history


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """Count series that share one gap-free time axis.

    Parameters
    ----------
    counts
        Counts, shape `[series, time]`, float64, from 0 to 1e100; NaN where nothing is known. A
        count of zero and a missing count are different things: fill only what was observed.
    dates
        First day of each step (last day of the seven for `rolling7`), shape `[time]`,
        `datetime64[D]`, one step apart throughout. None means integer time: positions 0, 1, 2, ...
    grain
        Width of a step. It is the caller's word for integer time, and checked against `dates`.
    period
        Steps in a year (52, 12, 365) for integer time: methods with a seasonal baseline step back
        exactly this many positions. With `dates` they step back calendar years instead.
    population
        Population at risk (or another exposure), shape `[series, time]`, float64, positive or NaN.

    Raises
    ------
    ValueError
        If a shape, a dtype or a value is not as described; the message says which and how to mend
        it.

    Notes
    -----
    The arrays are shared with the caller, not copied, and held as read-only views.

    Examples
    --------
    >>> import numpy as np
    >>> days = np.arange("2026-01-01", "2026-01-04", dtype="datetime64[D]")
    >>> Panel(np.array([[1.0, 0.0, 2.0]]), dates=days).grain
    'day'
    >>> Panel(np.array([[1, 0, 2]]))
    Traceback (most recent call last):
    ...
    ValueError: counts must be a float64 array, got int64: convert with .astype(np.float64)
    """

    counts: FloatArray
    dates: NDArray[np.datetime64] | None = None
    grain: Grain = "day"
    period: int | None = None
    population: FloatArray | None = None

    def __post_init__(self) -> None:
        check_counts(self.counts)
        if self.grain not in get_args(Grain):
            raise ValueError(f"grain must be one of {get_args(Grain)}, got {self.grain!r}")
        if self.dates is not None:
            check_dates(self.dates, self.counts.shape[1], self.grain)
        check_period(self.period, dated=self.dates is not None)
        if self.population is not None:
            check_population(self.population, self.counts.shape)
        for name in ("counts", "dates", "population"):
            array = getattr(self, name)
            if array is not None:
                object.__setattr__(self, name, _read_only(array))


@dataclass(frozen=True, slots=True, eq=False)
class Verdicts:
    """What a detector found, column by column, at the positions it was asked to judge.

    Every array but `index` has the shape `[series, judged]`; column `j` belongs to the time
    position `index[j]` of the panel, in the order in which the positions were asked for.

    Parameters
    ----------
    index
        Judged time positions, shape `[judged]`.
    expected
        Count expected without an outbreak; NaN where the baseline does not suffice.
    upper
        Alarm threshold on the scale of the counts; NaN where the baseline does not suffice.
    score
        How unusual the point is on the method's own standardised scale; larger is more unusual,
        always finite where judged.
    p_value
        Probability of a score as large without an outbreak, as far as the method's assumptions
        hold (each method says how far); in [0, 1] where judged.
    alarm
        The method's decision; never True where not judged. With most methods it is "the observed
        count lies above `upper`". With charts that accumulate (`cusum`, `glr_poisson`, `glr_nb`,
        `outbreak_p`) it is "the count reaches `upper`, and is not 0"; with `drop` "the count lies
        below the threshold"; with `change_point` `upper` is about the judged count alone and
        decides nothing. Each method's docstring says what is compared.
    reason
        Code of :class:`Reason`, uint8.

    Examples
    --------
    >>> import numpy as np
    >>> blank = Verdicts.blank(2, np.array([5, 6, 7]))
    >>> blank.alarm.shape, blank.alarm.any(), Reason(blank.reason[0, 0]).name
    ((2, 3), np.False_, 'insufficient_history')
    """

    index: Positions
    expected: FloatArray
    upper: FloatArray
    score: FloatArray
    p_value: FloatArray
    alarm: NDArray[np.bool_]
    reason: NDArray[np.uint8]

    @property
    def onset(self) -> NDArray[np.bool_]:
        """Whether an exceedance begins here, shape `[series, judged]`.

        True for an alarm that the method does not call :attr:`Reason.continuing`, and whose step
        before, if it was judged as well, is no alarm.

        Examples
        --------
        >>> verdicts = Verdicts.blank(1, np.array([5, 6, 8]))
        >>> verdicts.alarm[:] = True
        >>> verdicts.reason[:] = Reason.ok
        >>> verdicts.onset
        array([[ True, False,  True]])
        """
        order = np.argsort(self.index, kind="stable")
        place = np.searchsorted(self.index, self.index - 1, sorter=order)
        before = order[np.minimum(place, self.index.size - 1)] if order.size else order
        judged = self.index[before] == self.index - 1
        goes_on = self.alarm[:, before] & judged
        return np.asarray(self.alarm & ~goes_on & (self.reason != Reason.continuing))

    def rows(self, series: slice) -> Verdicts:
        """Give views of the verdicts of some series, to be read or filled in.

        Examples
        --------
        >>> Verdicts.blank(5, np.array([0])).rows(slice(3, None)).alarm.shape
        (2, 1)
        """
        return self._views(self.index, (series, slice(None)))

    def columns(self, judged: slice) -> Verdicts:
        """Give views of the verdicts at some of the judged positions.

        Examples
        --------
        >>> Verdicts.blank(2, np.array([3, 4, 5])).columns(slice(1, None)).index
        array([4, 5])
        """
        return self._views(self.index[judged], (slice(None), judged))

    def _views(self, index: Positions, part: tuple[slice, slice]) -> Verdicts:
        return Verdicts(
            index=index,
            expected=self.expected[part],
            upper=self.upper[part],
            score=self.score[part],
            p_value=self.p_value[part],
            alarm=self.alarm[part],
            reason=self.reason[part],
        )

    @classmethod
    def blank(cls, series: int, index: Positions) -> Verdicts:
        """Verdicts of points that have no history yet, to be filled in block by block.

        Examples
        --------
        >>> Verdicts.blank(1, np.array([3])).expected
        array([[nan]])
        """
        shape = (series, index.size)
        return cls(
            index=index,
            expected=np.full(shape, np.nan),
            upper=np.full(shape, np.nan),
            score=np.full(shape, np.nan),
            p_value=np.full(shape, np.nan),
            alarm=np.zeros(shape, dtype=np.bool_),
            reason=np.full(shape, Reason.insufficient_history, dtype=np.uint8),
        )


@runtime_checkable
class Detector(Protocol):
    """What an object must do to be used as a detector in a rule.

    An implementer writes a frozen pydantic model that forbids unknown fields. Its fields are the
    method's parameters and thereby the schema of its configuration; one field,
    `type: Literal["<name>"] = "<name>"`, tells it from all other detectors. The model holds
    parameters only: nothing learnt from a panel may be kept between calls.

    A verdict depends on nothing but the parameters, the series it belongs to, and that series up
    to and including the judged position. In particular

    - the future is never looked at: changing any count after a position leaves it as it was;
    - `judge` at some positions returns exactly those columns of judging all positions, at a cost
      that grows with the positions asked for, not with the length of the panel;
    - `lookback` is honest: a panel cut to that many steps before the first judged position gives
      the same verdicts as the whole one, since steps before the panel count as missing;
    - any panel gets an answer. Missing values, short history, all-zero or constant series, huge
      counts and fractions lead to a :class:`Reason`, not to an exception, and `alarm` is False
      where the point could not be judged.

    All series are worked on together in numpy, in blocks, so that the memory needed beyond the
    verdicts themselves has a bound; the implementer states it.

    Another distribution adds a detector by pointing to its class from the entry-point group
    `fenghuo.detectors`, under the name that the class has as `type`.
    """

    @property
    def type(self) -> str:
        """Name of the method, as written in a rule."""
        ...

    def lookback(self, grain: Grain) -> int:
        """How many steps before a judged one the verdict may depend on, for steps of `grain`."""
        ...

    def judge(self, panel: Panel, at: Positions | slice | None = None) -> Verdicts:
        """Judge the time positions `at` of every series in the panel; all positions by default.

        Parameters
        ----------
        panel
            Counts of shape `[series, time]`; any grain, any time axis.
        at
            A slice is taken as in indexing the time axis, so `slice(-1, None)` is the latest point.
            An array lists positions counted from 0, in any order. Anything else is a ValueError
            (:func:`judged_positions` does this for the implementer).

        Returns
        -------
        Verdicts
            Arrays of shape `[series, judged]`.
        """
        ...


def judged_positions(at: Positions | slice | None, times: int) -> Positions:
    """Resolve the `at` of :meth:`Detector.judge` on a time axis of `times` steps.

    Raises
    ------
    ValueError
        If an array is not one-dimensional, not of integers, or reaches outside `0 .. times - 1`.

    Examples
    --------
    >>> judged_positions(None, 3)
    array([0, 1, 2])
    >>> judged_positions(np.array([3]), 3)
    Traceback (most recent call last):
    ...
    ValueError: at must lie in 0 .. 2 (the panel has 3 time steps), got 3 .. 3
    """
    if at is None:
        return np.arange(times, dtype=np.intp)
    if isinstance(at, slice):
        return np.arange(times, dtype=np.intp)[at]
    positions = np.asarray(at)
    if positions.ndim != 1 or not (positions.size == 0 or positions.dtype.kind in "iu"):
        raise ValueError(
            "at must be a slice or a one-dimensional array of integers, "
            f"got {positions.dtype} of shape {positions.shape}"
        )
    if positions.size and (positions.min() < 0 or positions.max() >= times):
        raise ValueError(
            f"at must lie in 0 .. {times - 1} (the panel has {times} time steps), "
            f"got {positions.min()} .. {positions.max()}"
        )
    return positions.astype(np.intp)


def _read_only(array: NDArray[np.generic]) -> NDArray[np.generic]:
    view = array.view()
    view.flags.writeable = False
    return view
