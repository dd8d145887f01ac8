from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from detectors import Ears, Panel, Reason, Verdicts, judged_positions
from detectors.contract import Detector

COUNTS = np.ones((2, 4))


def days(*values: str) -> np.ndarray[Any, Any]:
    return np.array(values, dtype="datetime64[D]")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"counts": [[1.0]]}, "counts must be a float64 array, got list"),
        ({"counts": np.ones((2, 4), dtype=np.int64)}, "got int64: convert with"),
        ({"counts": np.ones(4)}, r"shape \[series, time\], got \(4,\)"),
        ({"counts": np.array([[0.0, -3.0]])}, "negative, got -3 at series 0, time 1"),
        ({"counts": np.array([[0.0], [np.inf]])}, "above 1e.100, got inf at series 1, time 0"),
        ({"counts": COUNTS, "grain": "hour"}, "grain must be one of .*rolling7.* got 'hour'"),
        ({"counts": COUNTS, "period": 0}, "period must be a positive number"),
        ({"counts": COUNTS, "period": 52.0}, "period must be a positive number"),
        ({"counts": COUNTS, "period": True}, "period must be a positive number"),
        ({"counts": COUNTS, "dates": ["2026-01-01"] * 4}, "dates must be a datetime64.D. array"),
        ({"counts": COUNTS, "dates": days("2026-01-01")}, r"dates must have the shape .*\(4,\)"),
        (
            {"counts": np.ones((1, 2)), "dates": days("2026-01-01", "NaT")},
            "dates must not be missing, got NaT at 1",
        ),
        (
            {"counts": np.ones((1, 2)), "dates": days("2026-01-01", "2026-01-03")},
            "one day step apart, got 2026-01-01 followed by 2026-01-03: .* fill gaps",
        ),
        (
            {"counts": np.ones((1, 2)), "dates": days("2026-01-02", "2026-01-01")},
            "one day step apart",
        ),
        (
            {"counts": np.ones((1, 2)), "dates": days("2026-01-05", "2026-01-06"), "grain": "week"},
            "one week step apart",
        ),
        (
            {
                "counts": np.ones((1, 2)),
                "dates": days("2026-01-01", "2026-03-01"),
                "grain": "month",
            },
            "one month step apart",
        ),
        (
            {"counts": np.ones((1, 1)), "dates": days("2026-01-01"), "period": 365},
            "period is for integer time only",
        ),
        ({"counts": COUNTS, "population": np.ones((2, 3))}, r"shape of counts, \(2, 4\)"),
        ({"counts": COUNTS, "population": np.zeros((2, 4))}, "positive and finite"),
        ({"counts": COUNTS, "population": np.full((2, 4), np.inf)}, "positive and finite"),
        ({"counts": COUNTS, "population": np.ones((2, 4), dtype=np.int32)}, "population .* int32"),
    ],
)
def test_panels_that_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Panel(**fields)


@pytest.mark.parametrize(
    ("grain", "dates"),
    [
        ("day", days("2026-02-28", "2026-03-01")),
        ("rolling7", days("2026-02-28", "2026-03-01")),
        ("week", days("2025-12-29", "2026-01-05")),
        ("month", days("2026-01-01", "2026-02-01")),
    ],
)
def test_dates_one_step_apart_are_taken(grain: Any, dates: np.ndarray[Any, Any]) -> None:
    panel = Panel(np.array([[1.0, np.nan]]), dates=dates, grain=grain)
    assert panel.dates is not None
    assert np.array_equal(panel.dates, dates)


def test_a_panel_shares_its_arrays_but_does_not_let_them_be_written() -> None:
    counts = np.ones((1, 3))
    panel = Panel(counts, population=np.full((1, 3), 1e6))
    assert np.shares_memory(panel.counts, counts)
    with pytest.raises(ValueError, match="read-only"):
        panel.counts[0, 0] = 2
    counts[0, 0] = 2


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (None, [0, 1, 2, 3, 4]),
        (slice(-2, None), [3, 4]),
        (slice(None, None, 2), [0, 2, 4]),
        (np.array([4, 0, 4]), [4, 0, 4]),
        (np.array([1], dtype=np.uint8), [1]),
        (np.array([]), []),
    ],
)
def test_positions(at: Any, expected: list[int]) -> None:
    positions = judged_positions(at, 5)
    assert positions.tolist() == expected
    assert positions.dtype == np.intp


@pytest.mark.parametrize(
    "at",
    [np.array([5]), np.array([-1]), np.array([[0]]), np.array([1.0]), np.array([True, False])],
)
def test_positions_that_are_refused(at: Any) -> None:
    with pytest.raises(ValueError, match="at must"):
        judged_positions(at, 5)


def test_reasons_up_to_ten_are_judged() -> None:
    judged = {reason.name for reason in Reason if reason.judged}
    assert judged == {"ok", "all_zero", "constant_baseline", "continuing", "reporting_changed"}
    assert max(Reason) <= np.iinfo(np.uint8).max


def test_blank_verdicts_have_no_history() -> None:
    blank = Verdicts.blank(2, np.array([3]))
    assert np.isnan([blank.expected, blank.upper, blank.score, blank.p_value]).all()
    assert not blank.alarm.any()
    assert (blank.reason == Reason.insufficient_history).all()


def test_rows_are_views() -> None:
    verdicts = Verdicts.blank(3, np.array([0, 1]))
    verdicts.rows(slice(1, 2)).alarm[:] = True
    assert verdicts.alarm.tolist() == [[False, False], [True, True], [False, False]]


def test_the_contract_tells_detectors_from_other_things() -> None:
    assert isinstance(Ears(), Detector)
    assert not isinstance(Panel(COUNTS), Detector)
