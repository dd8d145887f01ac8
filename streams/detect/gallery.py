"""The series on which every detector is shown, and its picture.

The weekly series is real (see data/README.md). For methods that are made for days its years 2011
to 2013 are split over days by one multinomial draw with the demo's shares of the weekdays: weekly
totals are real, days are simulated.
"""

from __future__ import annotations

import csv
from datetime import date
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from detectors.contract import Panel
from streams.demo.taiwan import WEEKDAYS
from streams.detect.plots import Picture, draw_picture
from streams.epi_weeks import parse_week, week_label

if TYPE_CHECKING:
    from pathlib import Path

    from detectors.contract import Detector

__all__ = ["ATTRIBUTION", "DAILY", "PARAMETERS", "Shown", "daily", "draw_detector", "weekly"]

ATTRIBUTION: Final = "Taiwan Centers for Disease Control, RODS, published as government open data"
#: Shown with other parameters than the defaults, because those are for other data.
PARAMETERS: Final[dict[str, dict[str, Any]]] = {"fixed_value": {"cases": 4000}}
#: Methods made for days, or for weeks as well as for days.
DAILY: Final = frozenset(
    {"ears", "ears_nb", "essence_ewma", "regression", "switch", "holt_winters", "rammie"}
)
#: Methods that know nothing of weeks.
_NEVER_WEEKLY: Final = frozenset({"regression", "switch", "rammie"})
_DATA: Final = "data/taipei_ili_2007_2013.csv"
_JUDGED: Final = {"week": 104, "day": 182}
_SEED: Final = 2009
_FIRST_YEAR_BY_DAY: Final = 2011


class Shown(NamedTuple):
    """A panel of one series, with names of its steps."""

    panel: Panel
    labels: list[str]
    title: str

    @property
    def first(self) -> int:
        """Position of the first judged step."""
        return len(self.labels) - _JUDGED[self.panel.grain]


@cache
def weekly() -> Shown:
    """Return visits for influenza-like illness in Taipei, by ISO week.

    Examples
    --------
    >>> shown = weekly()
    >>> shown.panel.counts.shape, shown.labels[0], shown.labels[-1]
    ((1, 365), '2007-W01', '2013-W52')
    """
    text = (files("streams.detect") / _DATA).read_text(encoding="utf-8")
    counts = {row["time"]: float(row["count"]) for row in csv.DictReader(text.splitlines())}
    first = parse_week(min(counts), "iso")
    last = parse_week(max(counts), "iso")
    assert first is not None  # noqa: S101 - the file is ours
    assert last is not None  # noqa: S101
    days = np.arange(np.datetime64(first), np.datetime64(last) + 1, 7)
    labels = [week_label(day.astype(date), "iso") for day in days]
    values = np.array([[counts.get(label, np.nan) for label in labels]])
    return Shown(
        Panel(values, dates=days, grain="week"), labels, "Influenza-like illness, Taipei, weekly"
    )


@cache
def daily() -> Shown:
    """Return the same visits from 2011 on, split over the days at random.

    Examples
    --------
    >>> week, day = weekly(), daily()
    >>> bool(day.panel.counts[0, :7].sum() == week.panel.counts[0, week.labels.index("2011-W01")])
    True
    """
    source = weekly()
    begin = source.labels.index(f"{_FIRST_YEAR_BY_DAY}-W01")
    random = np.random.default_rng(_SEED)
    share = np.array(WEEKDAYS) / sum(WEEKDAYS)
    counts = [random.multinomial(int(total), share) for total in source.panel.counts[0, begin:]]
    values = np.concatenate(counts).astype(np.float64)[None]
    assert source.panel.dates is not None  # noqa: S101 - made with dates
    days = source.panel.dates[begin] + np.arange(values.shape[1])
    return Shown(
        Panel(values, dates=days, grain="day"),
        [str(day) for day in days],
        "Influenza-like illness, Taipei, daily (weekly totals real, days simulated)",
    )


def draw_detector(detector: Detector, folder: Path) -> list[Path]:
    """Draw what a detector makes of the series that it is made for; return the files."""
    name = detector.type
    chosen = [weekly()] if name not in _NEVER_WEEKLY else []
    if name in DAILY or "day_of_week" in getattr(type(detector), "model_fields", ()):
        chosen.append(daily())
    return [_draw(detector, shown, folder) for shown in chosen]


def _draw(detector: Detector, shown: Shown, folder: Path) -> Path:
    first = shown.first
    # As a rule judges: no chart is told where to begin.
    verdicts = detector.judge(shown.panel, slice(first, None))
    path = folder / f"{detector.type}-{shown.panel.grain}.png"
    picture = Picture(
        title=shown.title,
        subtitle=detector.type,
        labels=shown.labels[first:],
        observed=shown.panel.counts[0, first:],
        expected=verdicts.expected[0],
        upper=verdicts.upper[0],
        alarms=verdicts.alarm[0],
        judged=np.isfinite(verdicts.score[0]),
    )
    draw_picture(picture, path, width=8.6, height=2.9)
    return path
