from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from matplotlib import cbook, font_manager
from PIL import Image

from detectors import Ears
from streams.demo.pictures import canvas
from streams.detect.plots import PictureBook
from streams.detect.reading import read_table
from streams.detect.running import judge_table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from streams.detect.reading import CountTable

ALARM = (213, 94, 0)


def table_of(peaks: list[int]) -> CountTable:
    """Series of 40 steps; as many of them are high as `peaks` says."""
    lines = [",".join(["time", *(f"台北/{i}" for i in range(len(peaks)))]) + "\n"]
    for step in range(40):
        high = [step % 10 == 9 and step // 10 < peak for peak in peaks]
        counts = [str(3 + step % 3 + 90 * one) for one in high]
        lines.append(",".join([str(step), *counts]) + "\n")
    return read_table([line.encode() for line in lines], name="f")


def book_of(table: CountTable, most: int | None) -> PictureBook:
    book = PictureBook(table, "ears", most=most)
    for judged in judge_table(table, Ears(baseline=4)):
        book.add(judged)
    return book


def test_the_series_with_most_alarms_are_drawn(tmp_path: Path) -> None:
    table = table_of([0, 3, 1, 4, 2])
    book = book_of(table, 2)
    names = sorted(book.draw(tmp_path, picture).name for picture in range(len(book)))
    assert names == ["0002-台北-1.png", "0004-台北-3.png"]
    assert len(book_of(table, None)) == 5


def test_alarms_are_seen(tmp_path: Path) -> None:
    book = book_of(table_of([0, 4]), None)
    orange = {}
    for picture in range(2):
        path = book.draw(tmp_path, picture)
        with Image.open(path) as image:
            assert path.stat().st_size < 40_000
            pixels = np.array(image.convert("RGB"))[: image.height * 8 // 10]
        orange[path.name] = int((np.abs(pixels - np.array(ALARM)).sum(axis=2) < 30).sum())
    assert orange["0001-台北-0.png"] == 0
    assert orange["0002-台北-1.png"] > 300


def test_series_without_any_number_are_drawn(tmp_path: Path) -> None:
    table = read_table([b"time,count\n", b"1,\n", b"2,\n"], name="f")
    book = book_of(table, None)
    assert book.draw(tmp_path, 0).name == "0001-counts.png"


@pytest.fixture
def no_font_listed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A list of fonts as matplotlib kept it before a font was installed."""
    listed = [
        one for one in font_manager.fontManager.ttflist if not one.name.startswith("DejaVu Serif")
    ]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", listed)
    monkeypatch.setattr(canvas, "_CHINESE", ("DejaVu Serif",))
    canvas.chinese_font.cache_clear()
    yield
    canvas.chinese_font.cache_clear()


@pytest.mark.usefixtures("no_font_listed")
def test_a_font_installed_since_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    font = str(cbook._get_data_path("fonts/ttf/DejaVuSerif.ttf"))
    broken = str(cbook._get_data_path("matplotlibrc"))
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: [broken, font])
    assert canvas.chinese_font() == "DejaVu Serif"
    assert not book_of(table_of([4]), None).lacks_font


@pytest.mark.usefixtures("no_font_listed")
def test_a_font_that_is_missing_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(font_manager, "findSystemFonts", list)
    assert book_of(table_of([4]), None).lacks_font
    assert not book_of(read_table([b"time,a\n", b"1,2\n"], name="f"), None).lacks_font


def test_chinese_names_of_times_are_drawn(tmp_path: Path) -> None:
    lines = [f"2024年第{week}周,{week % 5}\n".encode() for week in range(1, 30)]
    book = book_of(read_table(["周次,余杭区\n".encode(), *lines], name="f"), None)
    # A letter that no font can draw is a warning, and warnings are errors here.
    assert book.draw(tmp_path, 0).name == "0001-余杭区.png"
