from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from detectors import Ears, Panel, Verdicts, judged_positions
from streams.detect import running
from streams.detect.reading import CountTable, read_table
from streams.detect.running import judge_table, make_panel

if TYPE_CHECKING:
    import pytest

    from detectors.contract import Positions


class Recorder(BaseModel):
    """A detector that tells in `expected` where it began, and in `upper` what season it saw."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    type: Literal["recorder"] = "recorder"
    start: int | None = None

    def lookback(self, grain: str) -> int:  # noqa: ARG002 - the contract
        return 0

    def judge(self, panel: Panel, at: Positions | slice | None = None) -> Verdicts:
        verdicts = Verdicts.blank(
            panel.counts.shape[0], judged_positions(at, panel.counts.shape[1])
        )
        verdicts.expected[:] = np.nan if self.start is None else self.start
        verdicts.upper[:] = panel.period or np.nan
        return verdicts


def table_of(*times: str, extra: str = "") -> CountTable:
    lines = [f"{time},r{i % 3},s{i % 2},{i}{extra}\n" for i, time in enumerate(times)]
    header = "time,region,signal,count" + (",population" if extra else "") + "\n"
    return read_table([line.encode() for line in [header, *lines]], name="f")


def test_panels_of_the_kinds_of_time() -> None:
    integer = make_panel(table_of("1", "3"), [0])
    assert (integer.period, integer.grain, integer.dates) == (52, "week", None)
    assert make_panel(table_of("1", "3"), [0], period=12).grain == "month"
    weeks = make_panel(table_of("2009-W52", "2010-W02"), [1])
    assert (weeks.period, weeks.grain) == (None, "week")
    assert str(weeks.dates) == "['2009-12-21' '2009-12-28' '2010-01-04' '2010-01-11']"
    by_position = make_panel(table_of("2009-W52", "2010-W02"), [0], period=52)
    assert (by_position.period, by_position.grain, by_position.dates) == (52, "week", None)


def test_population_goes_with_its_series() -> None:
    panel = make_panel(table_of("1", "2", extra=",7"), [1])
    np.testing.assert_array_equal(panel.population, [[7, 7]])  # holds before it was given, too


def test_chunks_hold_one_signal_and_every_series_once(monkeypatch: pytest.MonkeyPatch) -> None:
    table = table_of(*"123456789")
    (whole,) = judge_table(read_table([b"time,a\n", *(b"%d,1\n" % i for i in range(9))], name="f"),
                           Ears())  # fmt: skip
    assert whole.rows == [0]
    monkeypatch.setattr(running, "_CHUNK", 18)
    chunks = list(judge_table(table, Ears(baseline=3)))
    assert [len(chunk.rows) for chunk in chunks] == [2, 1, 2, 1]
    assert sorted(row for chunk in chunks for row in chunk.rows) == list(range(6))
    for chunk in chunks:
        assert len({table.series[row].signal for row in chunk.rows}) == 1
        alone = Ears(baseline=3).judge(make_panel(table, chunk.rows))
        np.testing.assert_array_equal(alone.reason, chunk.verdicts.reason)


def test_where_charts_begin() -> None:
    table = table_of("5", "6", "7", "8")
    recorder = Recorder()
    begun = next(judge_table(table, recorder, first=2, period=4)).verdicts
    assert begun.index.tolist() == [2, 3]
    assert (begun.expected == 2).all()
    assert (begun.upper == 4).all()
    told = next(judge_table(table, Recorder(start=0), first=2)).verdicts
    assert (told.expected == 0).all()
    everything = next(judge_table(table, recorder)).verdicts
    assert everything.index.size == 4
    assert np.isnan(everything.expected).all()
    # Each series is judged at its own last count: regions report at different speeds.
    latest = list(judge_table(table, recorder, latest=True))
    assert [(one.rows, one.verdicts.index.tolist()) for one in latest] == [
        ([row], [row]) for row in range(4)
    ]
