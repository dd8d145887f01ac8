"""Judging a table of counts, chunk of series by chunk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from detectors.contract import Panel
from detectors.reporting import judge_reports
from streams.detect.choosing import begin_at
from streams.detect.remarks import last_counts
from streams.detect.times import panel_grain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from detectors.contract import Detector, Verdicts
    from streams.detect.reading import CountTable

__all__ = ["Judged", "judge_table", "make_panel"]

#: Judged points of one chunk: large enough to be fast, small enough for a bar that moves.
_CHUNK: Final = 1 << 16


class Judged(NamedTuple):
    """The verdicts of some series of a table."""

    rows: list[int]
    """Numbers of the series in the table, one for each row of the verdicts."""
    verdicts: Verdicts


def make_panel(table: CountTable, rows: list[int], *, period: int | None = None) -> Panel:
    """Make a panel of some series.

    Parameters
    ----------
    period
        Steps in a year. With dates, baselines step back calendar years unless it is given; whole
        numbers are weeks, 52 in a year, and years are one step, unless it is given.
    """
    if table.axis.is_integer and period is None:
        period = 1 if table.axis.kind == "year" else 52
    return Panel(
        table.counts[rows],
        dates=table.axis.dates if period is None else None,
        grain=panel_grain(table.axis, period),
        period=period,
        population=None if table.population is None else table.population[rows],
    )


def judge_table(
    table: CountTable,
    detector: Detector,
    *,
    period: int | None = None,
    first: int | None = None,
    latest: bool = False,
) -> Iterator[Judged]:
    """Judge all series, signal by signal, and give the verdicts chunk by chunk.

    Parameters
    ----------
    first
        Position of the first judged step. A detector that accumulates begins there.
    latest
        Judge the last count of each series only. Regions report at different speeds: a series
        that ends before the others is judged where it ends.
    """
    times = len(table.axis.labels)
    if first is not None:
        detector = begin_at(detector, first)
    last = last_counts(table.counts)
    size = max(1, _CHUNK // (1 if latest else max(1, times - (first or 0))))
    groups: dict[tuple[str, int], list[int]] = {}
    for row, one in enumerate(table.series):
        groups.setdefault((one.signal, int(last[row]) if latest else -1), []).append(row)
    for (_, end), rows in groups.items():
        at = slice(end, end + 1) if latest else slice(first or 0, None)
        for begin in range(0, len(rows), size):
            chunk = rows[begin : begin + size]
            panel = make_panel(table, chunk, period=period)
            yield Judged(chunk, judge_reports(detector, panel, at))
