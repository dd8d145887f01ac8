"""The series on which `auto` is compared, by name; none of their seeds was used for tuning.

Whatever in `auto` was chosen by looking at simulated series was chosen with seeds below 1,000, on
the published weekly scenarios and on every second daily signal. Seeds here are from 2,000,000 on.

Examples
--------
>>> made = DATA_SETS["daily-unseen"].make(32)
>>> made.panel.grain, sorted(set(made.scenario.tolist()))
('day', [3, 5, 7, 9, 11, 13, 15, 17])
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from detectors.evaluation.simulate_daily import DAILY_SIGNALS, DAILY_SIZES, simulate_daily
from detectors.evaluation.simulate_drawn import simulate_drawn
from detectors.evaluation.simulate_real import simulate_real
from detectors.evaluation.simulate_weekly import simulate_weekly
from detectors.evaluation.simulation import join

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from detectors.contract import Grain
    from detectors.evaluation.simulation import Simulation

__all__ = ["DATA_SETS", "TEST_SEED", "DataSet"]

TEST_SEED: Final = 2_000_000
"""Least seed of the series here; tuning has used seeds below 1,000, early comparisons 1,000,000."""


@dataclass(frozen=True, slots=True)
class DataSet:
    """Simulated series, and at which points detectors are compared on them.

    Parameters
    ----------
    title
        One line.
    about
        What they are, and what of them `auto` was tuned on.
    grain
        Width of a step.
    rates
        False-positive rates.
    first, early
        Steps from the start of an outbreak that count as "within the first week" and as early.
    series
        How many series a full run takes.
    make
        Makes that many series.
    """

    title: str
    about: str
    grain: Grain
    rates: tuple[float, ...]
    first: int
    early: int
    series: int
    make: Callable[[int], Simulation]


def _weekly(series: int) -> Simulation:
    return simulate_weekly(series=series, seed=TEST_SEED)


def _drawn(series: int) -> Simulation:
    return simulate_drawn(series=series, seed=TEST_SEED + 1)


def _real(series: int) -> Simulation:
    return simulate_real(series=series, seed=TEST_SEED + 2)


def _daily(first: int, seed: int) -> Callable[[int], Simulation]:
    def make(series: int) -> Simulation:
        each = max(series // len(DAILY_SIZES), 1)
        return join(
            [
                simulate_daily(
                    series=each, seed=seed + number, size=size, signals=DAILY_SIGNALS[first::2]
                )
                for number, size in enumerate(DAILY_SIZES)
            ]
        )

    return make


_WEEK_RATES: Final = (0.0105, 0.026, 0.07)
_DAY_RATES: Final = (0.01, 0.02, 0.05)

DATA_SETS: Final[Mapping[str, DataSet]] = {
    "weekly": DataSet(
        "Weekly, the 42 published scenarios",
        "Simulator of Noufaily et al. 2013 (`simulate_weekly`), new seeds. The scenarios "
        "themselves were looked at while `auto` was made.",
        "week",
        _WEEK_RATES,
        first=1,
        early=2,
        series=1260,
        make=_weekly,
    ),
    "weekly-drawn": DataSet(
        "Weekly, 42 scenarios drawn at random",
        "Scenarios, trends, seasons and outbreak courses drawn at random (`simulate_drawn`): three "
        "of four outbreaks are faster or slower than the published ones. One seed of this "
        "simulator was used on 2026-11-30 to choose between three candidates for `auto`.",
        "week",
        _WEEK_RATES,
        first=1,
        early=2,
        series=1260,
        make=_drawn,
    ),
    "weekly-real": DataSet(
        "Weekly, real series with outbreaks put in",
        "Emergency visits for influenza-like illness in Taiwan, 22 counties by 5 age groups "
        "(Taiwan CDC, RODS, open data), the last of seven years judged, with one simulated "
        "outbreak in each of six copies of a series (`simulate_real`). What is real is left as it "
        "is: alarms in the winter's epidemic count as false, as do those of real outbreaks. "
        "Their level wanders, which no simulator has: an early comparison on these series, with "
        "other outbreaks, is why `auto` follows the level, and one with two other seeds is why a "
        "source that joins is a new level for it. They are not unseen.",
        "week",
        _WEEK_RATES,
        first=1,
        early=2,
        series=660,
        make=_real,
    ),
    "daily-seen": DataSet(
        "Daily, the eight signals that were looked at",
        "Simulator of Noufaily, Morbey et al. 2019 (`simulate_daily`), new seeds, signals "
        f"{', '.join(map(str, DAILY_SIGNALS[::2]))} in the authors' numbering, outbreaks of sizes "
        "2, 3, 5 and 10. The outbreak course of `auto` for days was chosen on these signals.",
        "day",
        _DAY_RATES,
        first=7,
        early=3,
        series=192,
        make=_daily(0, TEST_SEED + 10),
    ),
    "daily-unseen": DataSet(
        "Daily, the eight signals that were kept apart",
        "The same simulator, signals "
        f"{', '.join(map(str, DAILY_SIGNALS[1::2]))}: nothing was chosen on them.",
        "day",
        _DAY_RATES,
        first=7,
        early=3,
        series=192,
        make=_daily(1, TEST_SEED + 20),
    ),
}
"""By the name of their page."""
