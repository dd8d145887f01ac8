r"""Sources that come to report less often: their counts are then sums of several days.

A source that reported every day and now reports on Thursdays sends a week's cases as one day's
count. Compared with single days each Thursday is an exceedance, for as long as the baseline holds
days of before: `auto` raised 20 alarms in a row. No case is missing or added, so the count is
judged as what it is, the sum of the days since the report before.

Let G be the days from the report before to the judged one (a day with a count above 0 is a
report). The count is taken for a sum if all of this holds:

- :math:`2 \le G \le 14`, and in the 28 days up to the report before there is another count that
  follows a gap of g days, at least (G + 1) / 2 and 2, and that lies above :math:`\sqrt g\,\lambda`
  with :math:`\lambda` the cases a day: halfway, on the scale of logarithms, between the cases of
  one day and of g days;
- gaps are new: of the blocks of 28 days before, a quarter, and two at least, have at most a quarter
  as many of them (`old` blocks);
- chance does not make them: with the dispersion :math:`\phi` of the old blocks, G - 1 days without
  a case have a probability below 1e-4, :math:`\lambda (G - 1) \log\phi / (\phi - 1) > 9.2`.

The first such count is therefore judged as ever: a single silence, and the leap after it, may be an
outbreak. From the second on the count y is compared with up to 26 sums of G days, the cases of a
day between two reports times G. Sums more than 3 standard deviations above the median are left out
as outbreaks of the past; with m and v the mean and the variance of the other n, and v at least m,

.. math:: T = (y - m) / \sqrt{v (1 + 1/n)}

is compared with Student's t with n - 1 degrees of freedom, at the detector's own `alpha`. Fewer
than 8 sums decide nothing. An outbreak thus remains an alarm, and one that raises a week's cases by
half is found where the daily methods, whose thresholds the new pattern lifts, would not see it.

The other way, from weekly to daily reports, is not recognised (docs/guides/detect.md has figures).

Examples
--------
>>> import numpy as np
>>> from detectors import Ears
>>> from detectors.contract import Panel, Reason
>>> counts = np.resize([29.0, 34, 27, 31, 30, 33, 26], (1, 210))
>>> counts[0, 161:] = 0
>>> counts[0, 167::7] = 210, 205, 214, 209, 400, 211, 207
>>> verdicts = judge_reports(Ears(method="C2", baseline=84), Panel(counts), np.arange(167, 210, 7))
>>> verdicts.alarm[0]
array([ True, False, False, False,  True, False, False])
>>> [Reason(code).name for code in verdicts.reason[0, :2]]
['ok', 'reporting_changed']
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

import numpy as np
from scipy.special import stdtr, stdtrit

from detectors.contract import Reason

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detectors.contract import Detector, FloatArray, Grain, Panel, Positions, Verdicts

__all__ = ["judge_reports", "reports_lookback"]

_Number = TypeVar("_Number", np.float64, np.intp)

#: Methods that look for falls, or whose rule is about a count whatever is usual.
_AS_EVER: Final = frozenset({"drop", "fixed_value"})
#: Longest gap between two reports that a sum may cover, and up to which gaps are measured.
_LONGEST, _MEASURED = 14, 32
_BLOCK: Final = 28
#: Blocks of an old pattern: most gaps (share of the present ones), least share, least number.
_FEW, _OLD_SHARE, _LEAST_BLOCKS = 0.25, 0.25, 2
#: Minus the logarithm of the probability below which a silence is not chance.
_IMPROBABLE: Final = 9.2
#: Sums compared with, at most and at least.
_SUMS, _LEAST_SUMS = 26, 8
#: Standard deviations above the median from which on a sum is an outbreak's.
_OUTLYING: Final = 3.0
_OF_MAD: Final = 1.4826
#: Days before the judged one that are looked at, if the method looks back less far.
_REACH: Final = 280
#: Level of methods without one, and the bounds of all levels.
_LEVEL, _LEVELS = 0.01, (1e-4, 0.05)


def reports_lookback(detector: Detector, grain: Grain) -> int:
    """Say how many steps before a judged one :func:`judge_reports` may look at.

    Examples
    --------
    >>> from detectors import Ears
    >>> reports_lookback(Ears(), "day"), reports_lookback(Ears(), "week")
    (280, 7)
    """
    own = detector.lookback(grain)
    return max(own, _REACH) if _applies(detector, grain) else own


def judge_reports(
    detector: Detector, panel: Panel, at: Positions | slice | None = None
) -> Verdicts:
    """Judge as the detector does, but counts of days that are sums of several days as sums.

    These have the reason :attr:`Reason.reporting_changed`, in alarm or not, and numbers that are
    about the sum. Steps of other widths, counts that the detector cannot judge, and detectors of
    falls and fixed values, are judged as ever.

    Parameters
    ----------
    detector, panel, at
        As in :meth:`detectors.contract.Detector.judge`.

    Examples
    --------
    >>> import numpy as np
    >>> from detectors import Ears
    >>> from detectors.contract import Panel
    >>> judge_reports(Ears(), Panel(np.ones((1, 9)), grain="week"), slice(-1, None)).alarm
    array([[False]])
    """
    verdicts = detector.judge(panel, at)
    if not _applies(detector, panel.grain) or verdicts.index.size == 0:
        return verdicts
    reports = _Reports.of(panel.counts)
    row, column = _suspects(reports, verdicts.index)
    judged = verdicts.reason[row, column] < Reason.insufficient_history
    row, column = row[judged], column[judged]
    if row.size == 0:
        return verdicts
    found = _sums(reports, row, verdicts.index[column], reports_lookback(detector, panel.grain))
    own = getattr(detector, "alpha", None)
    level = float(np.clip(_LEVEL if own is None else own, *_LEVELS))
    row, column, found = row[found.new], column[found.new], found.only_new()
    _conclude(verdicts, row, column, found, level)
    return verdicts


def _applies(detector: Detector, grain: Grain) -> bool:
    return grain == "day" and getattr(detector, "type", "") not in _AS_EVER


class _Reports(NamedTuple):
    """Reports of daily series, arrays of shape `[series, time]`."""

    #: Counts, 0 where missing.
    counts: FloatArray
    #: Day of the latest report up to each day; -1 without one.
    latest: Positions
    #: Days since the report before, at most `_MEASURED`; 0 on days without a report.
    gap: Positions
    #: Cases up to and including each day.
    total: FloatArray

    @classmethod
    def of(cls, counts: FloatArray) -> _Reports:
        filled = np.nan_to_num(counts)
        day = np.arange(counts.shape[1])
        latest = np.maximum.accumulate(np.where(filled > 0, day, -1), axis=1)
        before = np.concatenate([np.full((counts.shape[0], 1), -1), latest[:, :-1]], axis=1)
        since = np.where(before < 0, _MEASURED, np.minimum(day - before, _MEASURED))
        gap = np.where(filled > 0, since, 0)
        return cls(filled, latest, gap, filled.cumsum(axis=1))


class _Sums(NamedTuple):
    """What some counts are compared with, arrays of shape `[suspect]`."""

    #: Whether the count is a sum, and the pattern new.
    new: NDArray[np.bool_]
    observed: FloatArray
    mean: FloatArray
    sd: FloatArray
    number: FloatArray

    def only_new(self) -> _Sums:
        at = self.new
        return _Sums(at[at], self.observed[at], self.mean[at], self.sd[at], self.number[at])


def _suspects(reports: _Reports, index: Positions) -> tuple[Positions, Positions]:
    """Find counts that follow a gap while another gap lies in the 28 days before it."""
    gap = reports.gap[:, index]
    row, column = np.nonzero((gap >= 2) & (gap <= _LONGEST))  # noqa: PLR2004 - two days are a gap
    if row.size == 0:
        return row, column
    length, end = gap[row, column], index[column] - gap[row, column]
    recent = _taken(reports.gap, row, end, np.arange(_BLOCK), fill=0)
    similar = (recent >= _least_gap(length)[:, None]).any(axis=1)
    return row[similar], column[similar]


def _least_gap(length: Positions) -> Positions:
    least: Positions = np.maximum(2, (length + 1) // 2)
    return least


def _sums(reports: _Reports, row: Positions, day: Positions, reach: int) -> _Sums:
    """Compare suspect counts with the sums of as many days before."""
    length = reports.gap[row, day]
    end = day - length
    observed = reports.counts[row, day]
    sums = _former_sums(reports, row, end, length, reach)
    number = (~np.isnan(sums)).sum(axis=1)
    enough = number >= _LEAST_SUMS
    mean, sd, kept = _moments(np.where(enough[:, None], sums, 1.0))
    daily = mean / length
    recent_gap = _taken(reports.gap, row, end, np.arange(_BLOCK), fill=0)
    recent = _taken(reports.counts, row, end, np.arange(_BLOCK), fill=0.0)
    least = _least_gap(length)[:, None]
    batches = (recent_gap >= least) & (recent > np.sqrt(recent_gap) * daily[:, None])
    gaps = 1 + batches.sum(axis=1)
    blocks = (reach - _MEASURED - _LONGEST - _BLOCK) // _BLOCK
    back = _BLOCK + np.arange(blocks * _BLOCK)
    shape = (row.size, blocks, _BLOCK)
    former = _taken(reports.counts, row, end, back, fill=np.nan).reshape(shape)
    former_gap = _taken(reports.gap, row, end, back, fill=0).reshape(shape)
    there = ~np.isnan(former).any(axis=2) & (np.nan_to_num(former).sum(axis=2) > 0)
    few = (former_gap >= least[:, None]).sum(axis=2) <= _FEW * gaps[:, None]
    old = there & few
    usual = (old.sum(axis=1) >= _LEAST_BLOCKS) & (old.sum(axis=1) >= _OLD_SHARE * there.sum(axis=1))
    silence = daily * (length - 1) * _zero_exponent(former, old)
    new = enough & (gaps > 1) & usual & (silence > _IMPROBABLE)
    return _Sums(new, observed, mean, sd, kept)


def _former_sums(
    reports: _Reports, row: Positions, end: Positions, length: Positions, reach: int
) -> FloatArray:
    """Cases of `length` days between reports, shape `[suspect, sum]`, NaN where there are none."""
    # Each suspect has its own width; those that would reach too far are left out.
    steps = np.arange(_SUMS + 1)[None, :] * length[:, None]
    bound = end[:, None] - steps
    inside = (bound >= 0) & (length[:, None] + steps <= reach - _MEASURED)
    safe = np.where(inside, bound, 0)
    report = reports.latest[row[:, None], safe]
    inside &= (report >= 0) & (safe - report < _MEASURED)
    cases = reports.total[row[:, None], np.maximum(report, 0)]
    days = report[:, :-1] - report[:, 1:]
    known = inside[:, :-1] & inside[:, 1:] & (days > 0)
    rate = (cases[:, :-1] - cases[:, 1:]) / np.maximum(days, 1)
    return np.where(known, rate * length[:, None], np.nan)


def _moments(sums: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Mean, standard deviation of a new sum, and number of sums, without outbreaks."""
    middle = np.nanmedian(sums, axis=1)
    spread = _OF_MAD * np.nanmedian(np.abs(sums - middle[:, None]), axis=1)
    spread = np.maximum(spread, np.sqrt(np.maximum(middle, 1.0)))
    kept = sums <= (middle + _OUTLYING * spread)[:, None]
    number = kept.sum(axis=1).astype(np.float64)
    mean = np.where(kept, sums, 0.0).sum(axis=1) / number
    squares = np.where(kept, (sums - mean[:, None]) ** 2, 0.0).sum(axis=1)
    variance = np.maximum(squares / np.maximum(number - 1, 1), np.maximum(mean, 1.0))
    return mean, np.sqrt(variance * (1 + 1 / number)), number


def _zero_exponent(former: FloatArray, old: NDArray[np.bool_]) -> FloatArray:
    """Minus the logarithm of the probability of a day without a case, for one expected case."""
    mean = former.mean(axis=2)
    variance = ((former - mean[:, :, None]) ** 2).sum(axis=2) / (_BLOCK - 1)
    phi = np.where(old, np.maximum(variance / np.where(old, mean, 1.0), 1.0 + 1e-6), np.nan)
    phi[~old.any(axis=1)] = 2.0
    usual = np.nanmedian(phi, axis=1)
    exponent: FloatArray = np.log(usual) / (usual - 1.0)
    return exponent


def _taken(
    values: NDArray[_Number], row: Positions, end: Positions, back: Positions, *, fill: float
) -> NDArray[_Number]:
    """Take the values that lie `back` days before `end`, shape `[suspect, back]`."""
    day = end[:, None] - back
    taken: NDArray[_Number] = values[row[:, None], np.maximum(day, 0)]
    taken[day < 0] = fill
    return taken


def _conclude(
    verdicts: Verdicts, row: Positions, column: Positions, found: _Sums, level: float
) -> None:
    place, df = (row, column), np.maximum(found.number - 1, 1.0)
    score = (found.observed - found.mean) / found.sd
    p_value = stdtr(df, -score)
    verdicts.expected[place] = found.mean
    verdicts.upper[place] = found.mean - stdtrit(df, level) * found.sd
    verdicts.score[place] = score
    verdicts.p_value[place] = p_value
    verdicts.alarm[place] = found.observed > verdicts.upper[place]
    verdicts.reason[place] = Reason.reporting_changed
