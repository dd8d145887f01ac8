r"""High levels that begin in the first year, which no season of the past tells from outbreaks.

Fewer than a year of other counts leave the season open, and open terms follow the latest counts: a
wave would be taken for the season within days. Here the level before it is what counts are compared
with. If the whole history had one level (and weekdays, of daily counts), spans would have the
expected counts E in place of Y. The span with the largest :math:`2(\sqrt Y - \sqrt E)` is left out
where that is above 3.6, and the next one is looked for, three at most. Then all are weighed against
the level and the dispersion :math:`\phi` of the other counts: a span stays found where

.. math:: T = \sqrt{\frac{2}{\phi} \Bigl(Y \log \frac YE - Y + E\Bigr) \frac{\bar E}{E + \bar E}},

the likelihood ratio of a level of its own (Kulldorff 1997; :math:`\bar E` are the others' counts),
is above 6 and its excess above :math:`16\phi`. The steps between the history and the judged one are
looked at as well: they tell soonest that a level is high.

Around a span, counts whose Anscombe residual is above 1 belong to the same run, and one in between
that is not. A run is left out where

- four weeks at least were known before it (what is high from the first count on is no rise),
- its cases are at least 1.5 times the expected ones, and four weeks at its rate lie more than 8
  standard deviations of the other sums of four weeks above them,
- six weeks and a half of other counts are left, and half of the history. A level that has lasted
  for longer than all else is the usual one.

From a year of history on `detectors._lasting_outbreaks` decides; here only a run is left out that
goes on and began in the first year.

While a run goes on, season and trend stand still at its first step: nothing is known of them
further on, and a forecast over weeks would be so uncertain that no count could be an alarm.

References
----------
Kulldorff M (1997). A spatial scan statistic. Communications in Statistics - Theory and Methods 26,
1481-1496.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from detectors._outbreak_runs import outbreak_runs, run_of, total_between

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detectors._log_linear import Terms
    from detectors.contract import FloatArray

__all__ = ["Young", "begun_in_first_year"]

#: Years of history from which on nothing is looked for here.
_YEARS = 2.0
_SPANS = 3
_FOUND = 6.0
#: Cases, in units of phi, that a span has more than expected: few and skew counts prove little.
_CASES = 16.0
#: Part of it that the roughly best span must reach before it is looked at closely.
_WORTH = 0.6
#: Steps of the shortest span; each longer one is about a half longer.
_LEAST, _LONGER = 2, 1.5
_SHOULDER = 1.0
_RATIO, _EVIDENCE = 1.5, 8.0
#: A span may be a part of a run, the rest of which is among the other counts yet.
_SPAN_RATIO = 1.2
#: Largest part of the history that a span, and all runs, may be.
_SHARE, _HALF = 0.6, 0.5
#: Parts of a year that are known before a run, that are left besides runs, and least counts left.
_BEFORE, _OTHERS, _COUNTS = 1 / 13, 1 / 8, 8
#: Days in a sum: its neighbours share days with it, and a span of sums has the cases of its days.
_WEEK = 7.0
_TINY = 1e-300


class Young(NamedTuple):
    """What is left out of the history of some problems."""

    #: The problems.
    rows: NDArray[np.intp]
    #: Counts that stay, shape `[row, step]`.
    kept: NDArray[np.bool_]
    #: Steps from the first one of a run going on to the judged one, shape `[row]`; else 0.
    going: NDArray[np.intp]


class _Series(NamedTuple):
    """Counts up to the step before the judged one; arrays of shape `[row, step]`."""

    y: FloatArray
    #: Exposure; 0 where the count is not known.
    risk: FloatArray
    #: Groups of steps that have a rate each, shape `[step, group]`.
    groups: FloatArray
    #: Neighbouring counts that tell as much as one.
    shared: float

    @property
    def known(self) -> NDArray[np.bool_]:
        return self.risk > 0

    def rows(self, rows: NDArray[np.intp]) -> _Series:
        return self._replace(y=self.y[rows], risk=self.risk[rows])

    def means(self, weight: FloatArray | NDArray[np.bool_]) -> FloatArray:
        """Means that the counts with a weight have if they have one level."""
        rate = (weight * self.y) @ self.groups
        rate /= np.maximum((weight * self.risk) @ self.groups, _TINY)
        mean: FloatArray = np.maximum(self.risk * (rate @ self.groups.T), _TINY)
        return mean

    def dispersion(self, mean: FloatArray, weight: NDArray[np.bool_]) -> FloatArray:
        free = np.maximum(weight.sum(axis=1) - self.groups.shape[1] - 1.0, 1.0)
        # No mean is known better than to half a case.
        least = 0.5 / np.maximum(weight.sum(axis=1), 1)[:, None]
        phi = (weight * (self.y - mean) ** 2 / np.maximum(mean, least)).sum(axis=1) / free
        found: FloatArray = np.maximum(phi, 1.0)
        return found


def begun_in_first_year(
    counts: FloatArray,
    latest: FloatArray,
    risk: FloatArray | None,
    kept: NDArray[np.bool_],
    terms: Terms,
) -> Young | None:
    """Find high levels that began in the first year; None where no history is so short.

    Parameters
    ----------
    counts
        Counts of the windows, shape `[problem, window]`; NaN = missing.
    latest
        Those of the steps between them and the judged one, shape `[problem, guard]`.
    risk
        Exposure of both, if there is one.
    kept
        What `detectors._lasting_outbreaks` leaves, shape `[problem, window]`.
    terms
        The model.
    """
    window = counts.shape[1]
    known = ~np.isnan(counts)
    observed = known.sum(axis=1)
    before, others = _BEFORE * terms.period, max(_COUNTS, _OTHERS * terms.period)
    young = (observed < _YEARS * terms.period) & (observed >= others) & kept.all(axis=1)
    rows = young.nonzero()[0]
    if not rows.size:
        return None
    everything = np.concatenate([counts[rows], latest[rows]], axis=1)
    there = ~np.isnan(everything)
    steps = everything.shape[1]
    groups = np.ones((steps, 1))
    if terms.weekdays:
        groups = (np.arange(steps)[:, None] % _WEEK == np.arange(_WEEK)).astype(np.float64)
    series = _Series(
        np.where(there, everything, 0.0),
        there * (1.0 if risk is None else risk[rows]),
        groups,
        _WEEK if terms.overlap > 1 else 1.0,
    )
    out = _spans(series, before)
    hit = np.flatnonzero(out.any(axis=1))
    if not hit.size:
        return None
    rows, series = rows[hit], series.rows(hit)
    runs = _runs_around(series, out[hit], before)
    first, _ = run_of(runs)
    latest_high = steps - 1 - runs[:, ::-1].argmax(axis=1)
    goes_on = runs.any(axis=1) & (latest_high >= window - 1)
    onset = np.where(goes_on, first[np.arange(rows.size), latest_high], steps)
    # With a year of history a run that is over may be the season.
    year = terms.period + 3 * terms.block
    in_first_year = total_between(series.known, np.zeros_like(onset)[:, None], onset[:, None] - 1)
    grown = observed[rows] >= year
    late = np.arange(steps) >= onset[:, None]
    runs &= np.where(grown[:, None], late & (in_first_year < year), True)
    left = (series.known & ~runs)[:, :window]
    total = left.sum(axis=1)
    enough = (total >= others) & (total >= _HALF * observed[rows])
    runs &= enough[:, None]
    taken = np.flatnonzero(runs.any(axis=1))
    if not taken.size:
        return None
    return Young(rows[taken], ~runs[taken, :window], steps - onset[taken])


def _spans(series: _Series, before: float) -> NDArray[np.bool_]:
    """Find the spans with a level of their own; shape `[row, step]`."""
    number = np.zeros(series.y.shape, dtype=np.int8)
    place = np.arange(series.y.shape[1])
    going = np.arange(series.y.shape[0])
    for turn in range(1, _SPANS + 1):
        now = series.rows(going)
        use = now.known & (number[going] == 0)
        mean = now.means(use)
        score, first, last = _best_span(now, mean, use, before)
        good = np.flatnonzero(score > _WORTH * _FOUND)
        if not good.size:
            break
        first, last = _exact(now.rows(good), mean[good], use[good], before, first[good], last[good])
        span = (place >= first[:, None]) & (place <= last[:, None])
        left = (use[good] & ~span).sum(axis=1)
        rest = left >= (1.0 - _SHARE) * now.known[good].sum(axis=1)
        going, span = going[good[rest]], span[rest]
        if not going.size:
            break
        number[going] = np.where(span & (number[going] == 0), turn, number[going])
    found = np.zeros(number.shape, dtype=np.bool_)
    rows = np.flatnonzero(number.any(axis=1))
    if rows.size:
        found[rows] = _with_evidence(series.rows(rows), number[rows])
    return found


def _best_span(
    series: _Series, mean: FloatArray, use: NDArray[np.bool_], before: float
) -> tuple[FloatArray, NDArray[np.intp], NDArray[np.intp]]:
    """Find the span that stands out most among some lengths, its first and last step."""
    rows, steps = mean.shape
    observed, expected = _sums(series, mean, use)
    early = _known_before(series) < before
    best = np.full(rows, -np.inf)
    first, last = np.zeros(rows, dtype=np.intp), np.zeros(rows, dtype=np.intp)
    length = _LEAST
    while length <= _SHARE * steps:
        score = _standing_out(
            observed[:, length:] - observed[:, :-length],
            expected[:, length:] - expected[:, :-length],
            expected[:, -1:],
        )
        score[early[:, : score.shape[1]]] = -np.inf
        place = score.argmax(axis=1)
        value = score[np.arange(rows), place]
        better = value > best
        best = np.where(better, value, best)
        first = np.where(better, place, first)
        last = np.where(better, place + length - 1, last)
        length = max(length + 1, int(_LONGER * length))
    return best, first, last


def _exact(  # noqa: PLR0917 - the parts of a series and of a span
    series: _Series,
    mean: FloatArray,
    use: NDArray[np.bool_],
    before: float,
    first: NDArray[np.intp],
    last: NDArray[np.intp],
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Move the first step, then the last one, to where the span stands out most."""
    observed, expected = _sums(series, mean, use)
    total, rows = expected[:, -1:], np.arange(first.size)
    place = np.arange(mean.shape[1])
    score = _standing_out(
        observed[rows, last + 1, None] - observed[:, :-1],
        expected[rows, last + 1, None] - expected[:, :-1],
        total,
    )
    score[(place > last[:, None] + 1 - _LEAST) | (_known_before(series) < before)] = -np.inf
    first = score.argmax(axis=1)
    score = _standing_out(
        observed[:, 1:] - observed[rows, first, None],
        expected[:, 1:] - expected[rows, first, None],
        total,
    )
    score[place < first[:, None] + _LEAST - 1] = -np.inf
    return first, score.argmax(axis=1)


def _sums(
    series: _Series, mean: FloatArray, use: NDArray[np.bool_]
) -> tuple[FloatArray, FloatArray]:
    """Add up observed and expected counts before each step and before the end."""
    observed, expected = (
        np.concatenate([np.zeros((mean.shape[0], 1)), np.cumsum(each, axis=1)], axis=1)
        for each in (use * series.y / series.shared, use * mean / series.shared)
    )
    return observed, expected


def _standing_out(observed: FloatArray, expected: FloatArray, total: FloatArray) -> FloatArray:
    """Give standard deviations that spans of all lie above what is expected."""
    score: FloatArray = np.sqrt(np.maximum(observed, 0.0)) - np.sqrt(np.maximum(expected, 0.0))
    score *= 2.0 / np.sqrt(np.maximum(1.0 - expected / np.maximum(total, _TINY), 1e-3))
    return score


def _known_before(series: _Series) -> NDArray[np.intp]:
    known = series.known
    found: NDArray[np.intp] = np.cumsum(known, axis=1) - known
    return found


def _with_evidence(series: _Series, number: NDArray[np.int8]) -> NDArray[np.bool_]:
    """Keep the spans whose T is large. One wave does not hide another: phi is the others'."""
    use = series.known & (number == 0)
    mean = series.means(use)
    phi = series.dispersion(mean, use)
    total = (use * mean).sum(axis=1)
    found = np.zeros(number.shape, dtype=np.bool_)
    for turn in range(1, _SPANS + 1):
        span = series.known & (number == turn)
        cases, expected = (span * series.y).sum(axis=1), (span * mean).sum(axis=1)
        ratio = cases / np.maximum(expected, _TINY)
        twice = 2.0 * (cases * np.log(np.maximum(ratio, _TINY)) - cases + expected)
        twice *= total / np.maximum(total + expected, _TINY) / (series.shared * phi)
        many = cases - expected > _CASES * phi * series.shared
        sure = (ratio > _SPAN_RATIO) & (twice > _FOUND**2) & many
        found |= (number == turn) & sure[:, None]
    return found


def _runs_around(series: _Series, out: NDArray[np.bool_], before: float) -> NDArray[np.bool_]:
    """Extend spans to runs and drop those that say too little."""
    known, runs = series.known, out
    size = max(_LEAST, round(before))
    early = _known_before(series) < before
    for _ in range(2):
        use = known & ~runs
        mean = series.means(use)
        phi = series.dispersion(mean, use)
        residual = 1.5 * (np.cbrt(series.y) ** 2 - np.cbrt(mean) ** 2)
        high = known & (residual > _SHOULDER * np.sqrt(phi)[:, None] * mean ** (1 / 6))
        bridged = high.copy()
        bridged[:, 1:-1] |= high[:, :-2] & high[:, 2:]
        runs = outbreak_runs(out & high, bridged, known, np.inf)
        first, last = run_of(runs)
        cases, expected, length = (
            total_between(each, first, last) for each in (known * series.y, known * mean, known)
        )
        wander = _wander(series, mean, known & ~runs, phi, size)
        # Of sums that share steps, so many are as one.
        part = size / np.maximum(length, 1.0) / series.shared
        runs &= (
            (cases >= _RATIO * expected)
            & ((cases - expected) * part > _EVIDENCE * np.sqrt(wander * expected * part))
            & ~np.take_along_axis(early, np.minimum(first, early.shape[1] - 1), axis=1)
        )
    return runs


def _wander(
    series: _Series, mean: FloatArray, kept: NDArray[np.bool_], phi: FloatArray, size: int
) -> FloatArray:
    """Dispersion of sums over four weeks, which is larger where levels last."""
    excess, expected, full = (
        np.concatenate([np.zeros((mean.shape[0], 1)), np.cumsum(each, axis=1)], axis=1)
        for each in (
            kept * (series.y - mean) / series.shared,
            kept * mean / series.shared,
            kept.astype(np.float64),
        )
    )
    excess, expected, full = (e[:, size:] - e[:, :-size] for e in (excess, expected, full))
    whole = (full == size) & (expected > _TINY)
    squares = np.where(whole, excess**2 / np.where(whole, expected, 1.0), 0.0).sum(axis=1)
    wander: FloatArray = np.maximum(squares / np.maximum(whole.sum(axis=1), 1), phi)
    return wander[:, None]
