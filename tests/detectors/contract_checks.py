"""One check of the contract in `detectors.contract` for every detector's tests.

`check_contract(detector)` judges seeded panels whose rows are every kind of odd series, and asserts
what the contract promises: no look-ahead, a verdict that does not depend on which other positions
are judged, an honest `lookback`, series that do not touch each other, and a defined verdict for
every point. A test calls it once for each set of parameters that takes another path.

>>> import numpy as np
>>> from detectors.ears import Ears
>>> check_contract(Ears(method="C2"))
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final
from unittest import mock

import numpy as np

from detectors import _judging
from detectors.contract import Detector, Grain, Panel, Positions, Reason, Verdicts
from detectors.seasons import longest_year, steps_per_year

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detectors.contract import FloatArray

__all__ = ["FIELDS", "assert_same", "check_contract", "odd_panel", "take"]

FIELDS: Final = ("expected", "upper", "score", "p_value", "alarm", "reason")
NUMBERS: Final = FIELDS[:4]
_FIRST_DAY: Final[dict[Grain, str]] = {
    "day": "2015-03-05",
    "rolling7": "2015-03-05",
    "week": "2014-12-29",
    "month": "2001-01-01",
}


def take(verdicts: Verdicts, columns: Positions | slice | list[int]) -> Verdicts:
    """Pick judged columns."""
    values = {name: getattr(verdicts, name)[:, columns] for name in FIELDS}
    return Verdicts(index=verdicts.index[columns], **values)


def assert_same(
    left: Verdicts, right: Verdicts, *, rtol: float = 0.0, atol: float = 0.0, what: str = ""
) -> None:
    """Assert that two verdicts are equal: bit for bit, or numbers within a tolerance.

    With a tolerance, an alarm may differ where the threshold is passed by less than it.
    """
    np.testing.assert_array_equal(left.reason, right.reason, err_msg=f"{what}: reason")
    for name in NUMBERS:
        one, other = getattr(left, name), getattr(right, name)
        if rtol == 0 and atol == 0:
            np.testing.assert_array_equal(one, other, err_msg=f"{what}: {name}")
        else:
            np.testing.assert_allclose(one, other, rtol, atol, err_msg=f"{what}: {name}")
    if rtol == 0 and atol == 0:
        np.testing.assert_array_equal(left.alarm, right.alarm, err_msg=f"{what}: alarm")
    else:
        share = float((left.alarm != right.alarm).mean()) if left.alarm.size else 0.0
        assert share <= 0.01, f"{what}: {share:.1%} of the alarms differ"


def odd_panel(
    length: int,
    *,
    seed: int = 0,
    grain: Grain = "day",
    period: int | None = None,
    dated: bool = False,
    population: bool = False,
    largest: float = 1e15,
) -> Panel:
    """Make a panel of `length` steps with one row for each kind of series a detector may meet.

    Parameters
    ----------
    length
        Steps in the panel.
    seed
        Of the random generator.
    grain, period
        As in `Panel`.
    dated
        Whether the panel has dates (then `period` must be None).
    population
        Whether it has a population, with missing values in it.
    largest
        The huge counts are about this large.
    """
    rng = np.random.default_rng([seed, length])
    season = steps_per_year(Panel(np.zeros((1, 1)), grain=grain, period=period))
    time = np.arange(length)
    rows = [row for _, row in sorted(_rows(rng, time, season, largest).items())]
    counts = np.array(rows, dtype=np.float64)
    people = None
    if population:
        people = rng.uniform(1e3, 1e6, counts.shape)
        people[rng.random(counts.shape) < 0.01] = np.nan
    dates: NDArray[np.datetime64] | None = None
    if dated:
        first = np.datetime64(_FIRST_DAY[grain], "D")
        if grain == "month":
            dates = (first.astype("datetime64[M]") + time).astype("datetime64[D]")
        else:
            dates = first + time * (7 if grain == "week" else 1)
    return Panel(counts, dates=dates, grain=grain, period=period, population=people)


def _rows(
    rng: np.random.Generator, time: NDArray[np.int64], season: int, largest: float
) -> dict[str, FloatArray]:
    size = time.size
    mean = 20 * np.exp(0.6 * np.cos(2 * np.pi * time / season) + 0.3 * time / max(1, size))
    ordinary = rng.poisson(mean).astype(np.float64)
    outbreak = ordinary + np.where(time >= size - 4, 60.0, 0.0)
    holes = np.where(rng.random(size) < 0.15, np.nan, rng.poisson(mean).astype(np.float64))
    mostly_missing = np.where(rng.random(size) < 0.8, np.nan, ordinary)
    late = np.where(time < size * 2 // 3, np.nan, ordinary)
    rare = (rng.random(size) < 0.03).astype(np.float64)
    lone = np.zeros(size)
    lone[-1:] = 1.0
    step = np.where(time < size - 3, 4.0, 40.0)
    clumped = rng.negative_binomial(0.5, 0.05, size).astype(np.float64)
    huge = np.floor(largest * rng.random(size))
    spikes = np.where(rng.random(size) < 0.1, largest, rng.integers(0, 3, size).astype(np.float64))
    return {
        "all_missing": np.full(size, np.nan),
        "clumped": clumped,
        "constant": np.full(size, 7.0),
        "constant_fraction": np.full(size, 0.1),
        "constant_huge": np.full(size, largest),
        "fractions": rng.gamma(0.7, 2.0, size),
        "holes": holes,
        "huge": huge,
        "late": late,
        "lone_case": lone,
        "mostly_missing": mostly_missing,
        "ordinary": ordinary,
        "outbreak": outbreak,
        "rare": rare,
        "spikes": spikes,
        "step": step,
        "tiny": np.where(rng.random(size) < 0.5, 0.0, 1e-200),
        "zeros": np.zeros(size),
    }


@dataclass(frozen=True)
class _Check:
    """One detector on one panel."""

    detector: Detector
    panel: Panel
    rtol: float
    atol: float
    rng: np.random.Generator

    def judge(self, panel: Panel, at: Positions | slice | None = None) -> Verdicts:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return self.detector.judge(panel, at)

    def same(self, left: Verdicts, right: Verdicts, what: str) -> None:
        what = f"{self.detector!r} on {self.panel.counts.shape}: {what}"
        assert_same(left, right, rtol=self.rtol, atol=self.atol, what=what)

    def part(self, series: slice | list[int], time: slice = slice(None)) -> Panel:
        panel = self.panel
        population = None if panel.population is None else panel.population[series][:, time].copy()
        dates = None if panel.dates is None else panel.dates[time].copy()
        counts = panel.counts[series][:, time].copy()
        return replace(panel, counts=counts, dates=dates, population=population)


def check_contract(
    detector: Detector,
    *,
    seeds: int = 1,
    grain: Grain = "day",
    period: int | None = None,
    dated: bool = False,
    population: bool = False,
    history: int | None = None,
    judged: int = 12,
    largest: float = 1e15,
    rtol: float = 0.0,
    atol: float = 0.0,
    alarm_above_upper: bool = True,
    must_judge: bool = True,
) -> None:
    """Assert that a detector keeps the contract of `detectors.contract.Detector`.

    Parameters
    ----------
    detector
        With its parameters.
    seeds
        How many panels to try.
    grain, period, dated, population, largest
        Of the panels; see :func:`odd_panel`. Detectors with a season want a small `period` (the
        `lookback` of a grain allows for its longest year, so that a shorter one is covered).
    history
        Steps before the judged ones in the panel that is compared in full; by default `lookback`
        and a few more. Shorten it where a run is slow.
    judged
        How many of the latest positions are judged in most comparisons.
    rtol, atol
        Tolerance on numbers, for iterative methods whose stopping depends on the batch. 0 asks for
        equality bit for bit, which closed-form methods must keep.
    alarm_above_upper
        Whether `alarm` must be exactly "observed count above `upper`".
    must_judge
        Whether the ordinary series must get at least one verdict (so that the check cannot pass on
        a detector that never judges).
    """
    assert isinstance(detector, Detector)
    lookback = detector.lookback(grain)
    assert isinstance(lookback, int)
    assert lookback >= 0
    before = lookback + 5 if history is None else history
    for seed in range(seeds):
        # One panel with all the history the detector may want, and short ones.
        for length in (before + judged, 1, 2, 9):
            panel = odd_panel(
                length,
                seed=seed,
                grain=grain,
                period=period,
                dated=dated,
                population=population,
                largest=largest,
            )
            rng = np.random.default_rng([seed, length])
            check = _Check(detector, panel, rtol, atol, rng)
            latest = _positions(length, judged)
            verdicts = check.judge(panel, latest)
            _defined(panel, verdicts, alarm_above_upper=alarm_above_upper)
            _subsets(check, verdicts)
            _no_look_ahead(check, verdicts)
            _lookback(check, verdicts, lookback)
            _independent(check, verdicts)
            if must_judge and length == before + judged:
                assert (verdicts.reason < Reason.insufficient_history).any(), "nothing was judged"
    _empty(detector, grain, period)


def _positions(length: int, judged: int) -> Positions:
    return np.arange(max(0, length - judged), length, dtype=np.intp)


def _defined(panel: Panel, verdicts: Verdicts, *, alarm_above_upper: bool) -> None:
    counts = panel.counts[:, verdicts.index]
    for name, dtype in zip(FIELDS, ["f8", "f8", "f8", "f8", "?", "u1"], strict=True):
        values = getattr(verdicts, name)
        assert values.shape == counts.shape, name
        assert values.dtype == np.dtype(dtype), name
    assert np.isin(verdicts.reason, [int(code) for code in Reason]).all()
    judged = verdicts.reason < Reason.insufficient_history
    for name in NUMBERS:
        assert np.isfinite(getattr(verdicts, name)[judged]).all(), f"{name} is not finite"
    short = verdicts.reason == Reason.insufficient_history
    for name in NUMBERS:
        assert np.isnan(getattr(verdicts, name)[short]).all(), f"{name} without a baseline"
    for name in ("score", "p_value"):
        assert np.isnan(getattr(verdicts, name)[~judged]).all(), f"{name} of an unjudged point"
    p_value = verdicts.p_value[judged]
    assert ((p_value >= 0) & (p_value <= 1)).all(), "p_value outside [0, 1]"
    assert not verdicts.alarm[~judged].any(), "alarm at an unjudged point"
    assert not judged[np.isnan(counts)].any(), "a missing count was judged"
    missing = np.isnan(counts)
    assert (verdicts.reason[missing] == Reason.missing_observation).all()
    assert (verdicts.reason[~missing] != Reason.missing_observation).all()
    if alarm_above_upper:
        above = judged & (counts > np.where(judged, verdicts.upper, np.inf))
        np.testing.assert_array_equal(verdicts.alarm, above, err_msg="alarm is not count > upper")


def _subsets(check: _Check, verdicts: Verdicts) -> None:
    index = verdicts.index
    check.same(check.judge(check.panel, slice(-1, None)), take(verdicts, [-1]), "latest only")
    if index.size == check.panel.counts.shape[1]:
        check.same(check.judge(check.panel), verdicts, "all positions by default")
    columns = check.rng.integers(0, index.size, 5)
    some = check.judge(check.panel, index[columns])
    np.testing.assert_array_equal(some.index, index[columns])
    check.same(some, take(verdicts, columns), "some positions, in any order")
    first = max(0, int(index[0]) - 3)
    wider = check.judge(check.panel, slice(first, None))
    check.same(take(wider, slice(int(index[0]) - first, None)), verdicts, "more positions")


def _no_look_ahead(check: _Check, verdicts: Verdicts) -> None:
    middle = verdicts.index.size // 2
    now = int(verdicts.index[middle])
    past = take(verdicts, slice(0, middle + 1))
    for future in (0.0, 1e6, np.nan):
        counts = check.panel.counts.copy()
        counts[:, now + 1 :] = future
        changed = replace(check.panel, counts=counts)
        check.same(check.judge(changed, past.index), past, f"future counts set to {future}")
    cut = check.part(slice(None), slice(0, now + 1))
    check.same(check.judge(cut, past.index), past, "future cut off")


def _lookback(check: _Check, verdicts: Verdicts, lookback: int) -> None:
    for column in {0, verdicts.index.size - 1}:
        first = max(0, int(verdicts.index[column]) - lookback)
        cut = check.part(slice(None), slice(first, None))
        wanted = take(verdicts, slice(column, None))
        check.same(check.judge(cut, wanted.index - first), wanted, "cut to the lookback")
        counts = check.panel.counts.copy()
        counts[:, :first] = 12345.0
        changed = check.judge(replace(check.panel, counts=counts), wanted.index)
        check.same(changed, wanted, "counts before the lookback changed")


def _independent(check: _Check, verdicts: Verdicts) -> None:
    series = check.panel.counts.shape[0]
    order = [int(row) for row in check.rng.permutation(series)]
    rows: Any = order
    shuffled = check.judge(check.part(order), verdicts.index)
    check.same(shuffled, verdicts.rows(rows), "series in another order")
    for row in range(series):
        one = slice(row, row + 1)
        alone = check.judge(check.part(one), verdicts.index)
        check.same(alone, verdicts.rows(one), f"series {row} alone")
    with mock.patch.object(_judging, "BLOCK_FLOATS", 1):
        check.same(check.judge(check.panel, verdicts.index), verdicts, "in blocks of one series")


def _empty(detector: Detector, grain: Grain, period: int | None) -> None:
    for shape, at in (((0, 9), None), ((4, 0), None), ((3, 9), slice(0, 0))):
        verdicts = detector.judge(Panel(np.ones(shape), grain=grain, period=period), at)
        times = 0 if at is not None else shape[1]
        assert verdicts.alarm.shape == (shape[0], times)
    assert detector.lookback(grain) <= 100 * longest_year(grain), "an absurd lookback"
