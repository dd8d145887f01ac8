"""Counts laid on a time axis: days added up, totals made new cases, populations carried on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from streams.detect.gathering import described
from streams.detect.steps import WEEK_DAYS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detectors.contract import FloatArray
    from streams.detect.steps import Dated
    from streams.detect.times import TimeAxis

__all__ = ["add_up", "carry_population", "differences"]

#: A source that reports this share of a month's days reports every day.
_DAILY: Final = 0.97
#: Share of its usual days that a month must have where a source has days off.
_ENOUGH: Final = 0.85
_ROUNDING: Final = 1e-9
#: Expected cases above which none since the last case means that nothing was reported.
_SILENCE: Final = 7.0


def add_up(
    axis: TimeAxis, dated: Dated, counts: FloatArray, *, sums: bool, cases: bool
) -> tuple[FloatArray, list[str]]:
    """Lay counts on the axis, shape `[series, time]`, and say what was added up or left out.

    Parameters
    ----------
    counts
        One for each of `dated`.
    sums
        Whether counts of one series and time are parts of one.
    cases
        Whether the file holds cases only, so that a time without any counts 0.
    """
    shape = (len(dated.names), len(axis.labels))
    at = axis.positions(dated.days)
    seen = np.isfinite(counts)
    if not (sums or axis.adds_up):
        spread = np.full(shape, 0.0 if cases else np.nan)
        spread[dated.series, at] = counts
        return _without_silence(axis, dated, spread) if cases else (spread, [])
    spread = np.zeros(shape)
    np.add.at(spread, (dated.series[seen], at[seen]), counts[seen])
    if cases:
        return _without_silence(axis, dated, spread)
    days = np.zeros(shape, dtype=np.int64)
    there = np.unique(np.stack([dated.series, at, dated.days], axis=1)[seen], axis=0)
    np.add.at(days, (there[:, 0], there[:, 1]), 1)
    spread[days == 0] = np.nan
    return _without_parts(axis, dated, spread, days) if axis.adds_up else (spread, [])


def _without_parts(
    axis: TimeAxis, dated: Dated, spread: FloatArray, days: NDArray[np.int64]
) -> tuple[FloatArray, list[str]]:
    """Leave out weeks and months of which a series has fewer days than usual."""
    least = _least(axis, days)
    partial = (days > 0) & (days < least)
    spread[partial] = np.nan
    notes = [f"Daily counts are added up by {axis.grain}."]
    if partial.any():
        rows, steps = np.nonzero(partial)
        order = np.lexsort((rows, steps))
        shown = [
            f"{axis.labels[steps[i]]} has {days[rows[i], steps[i]]} of "
            f"{least[rows[i], steps[i]]:g} days"
            + (f" of {dated.names[rows[i]]}" if dated.names[rows[i]] else "")
            for i in order.tolist()
        ]
        notes.append(
            f"{len(shown):,} incomplete {axis.grain}s are left out as missing: {described(shown)}."
        )
    return spread, notes


def _least(axis: TimeAxis, days: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the days that a step of a series must have, shape `[series, time]`.

    Many sources report on working days only: the usual number of days of the series decides, not
    the calendar's.
    """
    length = np.full(len(axis.labels), float(WEEK_DAYS))
    if axis.grain == "month" and axis.dates is not None:
        months = axis.dates.astype("datetime64[M]")
        length = ((months + 1).astype("datetime64[D]") - axis.dates).astype(np.float64)
    share = np.where(days > 0, days / length, np.nan)
    inner = share[:, 1:-1]
    usual = np.ones(len(days))
    known = np.isfinite(inner).any(axis=1)
    usual[known] = np.nanmedian(inner[known], axis=1)
    enough = np.where((axis.grain == "month") & (usual < _DAILY), _ENOUGH * usual, usual)
    enough[usual >= _DAILY] = 1
    least: NDArray[np.float64] = np.floor(enough[:, None] * length + _ROUNDING)
    return least


def _without_silence(
    axis: TimeAxis, dated: Dated, spread: FloatArray
) -> tuple[FloatArray, list[str]]:
    """Take the end of a series for missing where so long a silence cannot be chance."""
    late, none = [], []
    for row, counts in enumerate(spread):
        if not counts.any():
            none.append(dated.names[row] or "the series")
            continue
        last = int(np.flatnonzero(counts)[-1])
        first = int(np.flatnonzero(counts)[0])
        rate = counts[first : last + 1].mean() if last > first else 0.0
        if rate * (counts.size - 1 - last) > _SILENCE:
            spread[row, last + 1 :] = np.nan
            late.append(f"{dated.names[row] or 'the series'} ({axis.labels[last]})")
    notes = ["Times without a case count 0."]
    if none:
        notes.append(f"{len(none):,} series have no case at all: {described(none)}.")
    if late:
        notes.append(
            f"{len(late):,} series end before {axis.labels[-1]}, and are missing from then on, not "
            f"0: {described(late)}."
        )
    return spread, notes


def differences(axis: TimeAxis, totals: FloatArray) -> tuple[FloatArray, list[str]]:
    """Turn totals since the beginning into new cases; the first of each series is missing.

    A step after a gap is missing, since its new cases are of several steps; so is one whose total
    was corrected downwards.
    """
    new = np.full_like(totals, np.nan)
    new[:, 1:] = np.diff(totals, axis=1)
    down = new < 0
    new[down] = np.nan
    notes = ["Totals since the beginning are turned into new cases of each step."]
    if down.any():
        steps = [axis.labels[place] for place in np.flatnonzero(down.any(axis=0)).tolist()]
        notes.append(
            f"{int(down.sum()):,} totals fall, which are corrections; missing: {described(steps)}."
        )
    return new, notes


def carry_population(
    axis: TimeAxis, dated: Dated, population: FloatArray
) -> tuple[FloatArray, list[str]]:
    """Lay populations on the axis; each holds until the next, the first one before it as well."""
    shape = (len(dated.names), len(axis.labels))
    spread = np.full(shape, np.nan)
    known = np.isfinite(population)
    order = np.flatnonzero(known)
    order = order[np.argsort(dated.days[order], kind="stable")]
    spread[dated.series[order], axis.positions(dated.days[order])] = population[order]
    given = np.isfinite(spread)
    some = given.any(axis=1)
    if given[some].all():
        return spread, []
    steps = np.arange(shape[1])
    last = np.maximum.accumulate(np.where(given, steps, -1), axis=1)
    first = np.argmax(given, axis=1)
    source = np.where(last < 0, first[:, None], last)
    carried = np.take_along_axis(spread, source, axis=1)
    filled = int((np.isfinite(carried) & ~given).sum())
    note = (
        f"Population: {int(given.sum()):,} of {int(given.sum()) + filled:,} are given; each holds "
        "until the next one."
    )
    return carried, [note]
