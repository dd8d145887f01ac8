"""Pictures of judged series: observed and expected counts, threshold, alarms.

Drawn as the demo's pictures are: without pyplot, in colours that people with a colour-vision
deficiency can tell apart, with a marker for each alarm. Few colours are kept, so files are small.
"""

from __future__ import annotations

import heapq
import io
import re
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator
from PIL import Image

from detectors.contract import Reason
from streams.demo.pictures.canvas import FAINT, GRID, INK, chinese_font

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from detectors.contract import FloatArray
    from streams.detect.reading import CountTable
    from streams.detect.running import Judged

__all__ = ["MOST_PLOTS", "Picture", "PictureBook", "draw_picture"]

#: Pictures drawn unless all are asked for.
MOST_PLOTS: Final = 50
_BAR, _ALARM, _EXPECTED, _BLANK = "#B7C3CF", "#D55E00", "#0072B2", "#F1F1EE"
_DASHES: Final = (0, (4, 2))
_DPI: Final = 100
#: Steps from each colour to white that are kept, for smooth edges.
_SHADES: Final = 8
_LABELS: Final = 8
_FIRST_CHINESE: Final = 0x2E80


@dataclass(frozen=True, eq=False)
class Picture:
    """One series as it is drawn; arrays have the shape (steps,).

    Parameters
    ----------
    title, subtitle
        Texts above.
    labels
        Names of the steps.
    observed, expected, upper
        Counts, expectation and threshold; NaN where there is none.
    alarms, judged
        True where there is an alarm, and where a verdict was reached.
    """

    title: str
    subtitle: str
    labels: Sequence[str]
    observed: FloatArray
    expected: FloatArray
    upper: FloatArray
    alarms: NDArray[np.bool_]
    judged: NDArray[np.bool_]


class PictureBook:
    """Collects what is to be drawn, the series with the most alarms first.

    Parameters
    ----------
    table
        Where the series come from.
    detector
        Named in each picture.
    most
        How many series are kept; None keeps all.
    """

    def __init__(self, table: CountTable, detector: str, *, most: int | None = MOST_PLOTS) -> None:
        self._table = table
        self._detector = detector
        self._most = most
        self._kept: list[tuple[int, int, Picture]] = []

    def add(self, judged: Judged) -> None:
        """Take in the verdicts of some series."""
        for place, row in enumerate(judged.rows):
            rank = (int(judged.verdicts.alarm[place].sum()), -row)
            if self._most is not None and len(self._kept) >= self._most:
                if rank <= self._kept[0][:2]:
                    continue
                heapq.heappop(self._kept)
            heapq.heappush(self._kept, (*rank, self._picture(judged, place, row)))

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def lacks_font(self) -> bool:
        """Whether a title has characters that no installed font can draw."""
        return chinese_font() is None and any(
            _latin(shown.title) != shown.title for _, _, shown in self._kept
        )

    def draw(self, folder: Path, picture: int) -> Path:
        """Draw one of the kept series into a folder, and return the file."""
        _, row, shown = self._kept[picture]
        path = folder / f"{-row + 1:04d}-{_file_name(shown.title)}.png"
        draw_picture(shown, path)
        return path

    def _picture(self, judged: Judged, place: int, row: int) -> Picture:
        series = self._table.series[row]
        verdicts = judged.verdicts
        index = verdicts.index
        return Picture(
            title=" · ".join(filter(None, series)) or "counts",
            subtitle=self._detector,
            labels=[self._table.axis.labels[position] for position in index.tolist()],
            observed=self._table.counts[row, index],
            expected=verdicts.expected[place],
            upper=verdicts.upper[place],
            alarms=verdicts.alarm[place],
            judged=verdicts.reason[place] < Reason.insufficient_history,
        )


def draw_picture(shown: Picture, path: Path, *, width: float = 9.6, height: float = 3.4) -> None:
    """Draw one series as a PNG file of `width` by `height` inches."""
    chinese = chinese_font()
    families = ["DejaVu Sans", *([chinese] if chinese else [])]
    figure = Figure(figsize=(width, height), dpi=_DPI, facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.07, 0.24, 0.915, 0.58))
    head: dict[str, Any] = {"va": "top", "fontfamily": families}
    title = shown.title if chinese else _latin(shown.title)
    figure.text(0.012, 0.975, title, fontsize=12, color=INK, **head)
    figure.text(0.988, 0.968, shown.subtitle, fontsize=9, color=FAINT, ha="right", **head)
    _draw(axes, shown if chinese else replace(shown, labels=[*map(_latin, shown.labels)]))
    axes.tick_params(labelfontfamily=families)
    figure.legend(
        handles=_handles(),
        loc="lower center",
        ncols=5,
        frameon=False,
        fontsize=8.5,
        labelcolor=INK,
        handletextpad=0.5,
        columnspacing=1.8,
    )
    _save(figure, path)


def _draw(axes: Axes, shown: Picture) -> None:
    x = np.arange(len(shown.labels))
    top = _top(shown)
    axes.fill_between(
        np.append(x, x.size) - 0.5,
        0,
        1.2 * top,
        where=np.append(~shown.judged, False),
        step="post",
        color=_BLANK,
        lw=0,
    )
    for these, colour in ((~shown.alarms, _BAR), (shown.alarms, _ALARM)):
        axes.bar(x[these], np.nan_to_num(shown.observed[these]), width=0.86, color=colour)
    axes.plot(x, shown.expected, color=_EXPECTED, lw=1.8)
    axes.plot(x, shown.upper, color=INK, lw=1.2, ls=_DASHES)
    high = np.minimum(shown.observed[shown.alarms] + 0.06 * top, 1.14 * top)
    axes.plot(x[shown.alarms], high, "v", color=_ALARM, ms=5.5, mec="white", mew=0.6)
    axes.set_ylim(0, 1.2 * top)
    axes.set_xlim(-0.7, max(x.size, 1) - 0.3)
    _style(axes, shown.labels)


def _top(shown: Picture) -> float:
    """Find the height of the picture: a threshold far above all counts is cut off."""
    seen = np.concatenate([shown.observed, shown.expected])
    counts = float(np.nanmax(seen, initial=1.0))
    upper = shown.upper[np.isfinite(shown.upper)]
    return max(counts, min(float(upper.max(initial=0.0)), 2 * counts))


def _style(axes: Axes, labels: Sequence[str]) -> None:
    step = max(1, -(-len(labels) // _LABELS))
    places = list(range(0, len(labels), step))
    axes.set_xticks(places, [labels[place] for place in places])
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.grid(axis="y", color=GRID, lw=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color("#AAAAAA")
    axes.tick_params(length=0, labelsize=8.5, labelcolor=INK)


def _handles() -> list[Artist]:
    return [
        Patch(color=_BAR, label="observed"),
        Line2D([], [], color=_EXPECTED, lw=1.8, label="expected"),
        Line2D([], [], color=INK, lw=1.2, ls=_DASHES, label="alarm threshold"),
        Patch(color=_ALARM, label="observed, in alarm"),
        Patch(color=_BLANK, label="not judged"),
    ]


def _save(figure: Figure, path: Path) -> None:
    raw = io.BytesIO()
    figure.savefig(raw, format="png", dpi=_DPI)
    image = Image.open(raw).convert("RGB")
    image.quantize(palette=_palette(), dither=Image.Dither.NONE).save(path, optimize=True)


@cache
def _palette() -> Image.Image:
    """Make the palette of all pictures: a colour that is found in few pixels stays what it is."""
    colours = np.array([to_rgb(one) for one in (INK, FAINT, _BAR, _ALARM, _EXPECTED)])
    shade = np.linspace(0, 1, _SHADES, endpoint=False)[:, None, None]
    blended = (colours + (1 - colours) * shade).reshape(-1, 3)
    # Near to white there is nothing but these, so that white stays white.
    plain = np.array([to_rgb(one) for one in ("white", _BLANK, GRID)])
    shades = np.concatenate([plain, blended])
    palette = Image.new("P", (1, 1))
    palette.putpalette(np.rint(255 * shades).astype(np.uint8).tobytes())
    return palette


def _latin(title: str) -> str:
    """Leave out what no installed font can write; the file's name still has it."""
    return "".join("?" if ord(letter) >= _FIRST_CHINESE else letter for letter in title)


def _file_name(title: str) -> str:
    """Keep letters of any script and digits.

    Examples
    --------
    >>> _file_name("台北市 / ILI"), _file_name("../..")
    ('台北市-ILI', 'series')
    """
    return re.sub(r"\W+", "-", title).strip("-")[:80] or "series"
