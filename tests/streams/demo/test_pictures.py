from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.image import imread

from streams.demo.pictures import CountySeries, draw_counties, draw_timeline
from streams.demo.pictures.series import period_labels, period_name

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DRAWERS = pytest.mark.parametrize("draw", [draw_counties, draw_timeline])


def county(number: int, *, weeks: int = 30, step: int = 7, alarms: bool = True) -> CountySeries:
    observed = 100.0 + 20 * np.sin(np.arange(weeks) + number)
    expected = np.full(weeks, 100.0)
    upper = np.full(weeks, 115.0)
    expected[:3] = upper[:3] = np.nan
    observed[5:6] = np.nan
    return CountySeries(
        name_zh="臺北市",
        name_en=f"County {number}",
        periods=[date(2009, 11, 2) + timedelta(step * week) for week in range(weeks)],
        observed=observed,
        expected=expected,
        upper=upper,
        alarms=(np.nan_to_num(observed) > np.nan_to_num(upper, nan=1e9)) & alarms,
    )


@DRAWERS
@pytest.mark.parametrize(
    "series",
    [
        [county(number) for number in range(8)],
        [county(1)],
        [county(1, alarms=False), county(2, weeks=12)],
        [county(1, step=1)],
        [county(1, weeks=1, alarms=False)],
    ],
    ids=["eight", "one", "no alarm", "days", "one week"],
)
def test_pictures_are_written_as_png_and_svg(
    draw: Callable[..., list[Path]], series: list[CountySeries], tmp_path: Path
) -> None:
    png, svg = draw(series, tmp_path / "picture.v1", source="where it comes from")
    assert (png.name, svg.name) == ("picture.v1.png", "picture.v1.svg")
    pixels = imread(png)
    assert pixels.shape[1] == 1950
    assert len(np.unique((255 * pixels).astype(np.uint8).view(np.uint32))) > 20
    assert ET.parse(svg).getroot().tag.endswith("svg")
    assert svg.stat().st_size > 10_000


@DRAWERS
def test_alarms_change_the_picture(draw: Callable[..., list[Path]], tmp_path: Path) -> None:
    calm = draw([county(1, alarms=False)], tmp_path / "calm")[0].read_bytes()
    assert draw([county(1)], tmp_path / "alarmed")[0].read_bytes() != calm


@DRAWERS
def test_drawing_changes_no_global_state(draw: Callable[..., list[Path]], tmp_path: Path) -> None:
    before = list(mpl.rcParams.items())
    draw([county(1)], tmp_path / "picture")
    assert list(mpl.rcParams.items()) == before


@DRAWERS
def test_nothing_to_draw_is_refused(draw: Callable[..., list[Path]], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nothing to draw"):
        draw([], tmp_path / "picture")


def test_arrays_must_fit_the_periods() -> None:
    with pytest.raises(ValueError, match=r"upper has the shape \(2,\), but there are 1 periods"):
        CountySeries(
            name_zh="臺北市",
            name_en="Taipei",
            periods=[date(2009, 1, 5)],
            observed=np.zeros(1),
            expected=np.zeros(1),
            upper=np.zeros(2),
            alarms=np.zeros(1, dtype=np.bool_),
        )


def test_weeks_are_named_by_their_iso_year() -> None:
    weeks = [date(2009, 12, 21), date(2009, 12, 28), date(2010, 1, 4)]
    assert [period_name(weeks, index) for index in range(3)] == ["2009-W52", "2009-W53", "2010-W01"]
    assert period_labels(weeks, at_most=3) == ([0, 1, 2], ["W52\nDec 2009", "W53", "W01\nJan 2010"])
