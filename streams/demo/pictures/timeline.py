"""A heat map: counties as rows, weeks as columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.colors import LinearSegmentedColormap, TwoSlopeNorm
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from streams.demo.pictures.canvas import FAINT, INK, Canvas
from streams.demo.pictures.series import period_labels, period_name, refuse_none, step_name

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date
    from pathlib import Path

    import numpy.typing as npt
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

    from streams.demo.pictures.series import CountySeries

__all__ = ["draw_timeline"]

_NOT_JUDGED = "#DDDDDD"
#: Position on the scale and colour; the scale's middle, with its jump, is the threshold.
_RATIO_COLOURS = [
    (0.0, "#D6E2EC"),
    (0.5, "#F7F9FA"),
    (0.5, "#FEE3B5"),
    (0.75, "#E8803A"),
    (1.0, "#7A1F00"),
]
#: Ratio of observed to threshold at which the timeline's colour is darkest.
_DARKEST = 2.5
_DOT = "#111111"
#: Right edge of the cells, as a share of the width.
_RIGHT = 0.905
_FIRST_CHINESE = 0x2E80


def draw_timeline(
    series: Sequence[CountySeries],
    path_stem: Path,
    *,
    title: str = "When each county raised its first alert",
    subtitle: str = "",
    source: str = "",
) -> list[Path]:
    """Draw a heat map: counties as rows, weeks as columns, first alerts marked.

    The colour is observed / threshold: bluish below the threshold, orange to brown above it. Rows
    are ordered by first alert.

    Parameters
    ----------
    series
        One per county; their periods may differ.
    path_stem
        File name without suffix; the folder must exist.
    title, subtitle, source
        Texts above and below.

    Returns
    -------
    list of Path
        The PNG and the SVG file.

    Raises
    ------
    ValueError
        There are no series.
    """
    refuse_none(series)
    periods = sorted({period for one in series for period in one.periods})
    column = {period: number for number, period in enumerate(periods)}

    def first_alert(one: CountySeries) -> int:
        first = one.first_alarm
        return len(periods) if first is None else column[one.periods[first]]

    shown = sorted(series, key=lambda one: (first_alert(one), -float(np.nansum(one.observed))))
    canvas = Canvas(
        width=13, height=2.8 + 0.3 * len(shown), title=title, subtitle=subtitle, source=source
    )
    left = min(0.04 + 0.0058 * max(_width(canvas.name(one)) for one in shown), 0.3)
    bottom, top = canvas.share(1.45), 1 - canvas.share(0.95)
    axes = canvas.figure.add_axes((left, bottom, _RIGHT - left, top - bottom))
    colours = LinearSegmentedColormap.from_list("ratio", _RATIO_COLOURS)
    image = axes.imshow(
        np.ma.masked_invalid(_ratios(shown, column)),
        aspect="auto",
        cmap=colours.with_extremes(bad=_NOT_JUDGED),
        norm=TwoSlopeNorm(1, 0, _DARKEST),
        interpolation="nearest",
    )
    _frame(canvas, axes, shown, periods)
    _mark_alerts(canvas, axes, shown, column)
    _explain_colours(canvas, image, left)
    canvas.legend(_handles(step_name(periods)), right=_RIGHT)
    return canvas.save(path_stem)


def _frame(
    canvas: Canvas, axes: Axes, shown: Sequence[CountySeries], periods: Sequence[date]
) -> None:
    """Label rows and columns, and part the cells by white lines."""
    axes.set_yticks(range(len(shown)), [canvas.name(one) for one in shown])
    axes.set_xticks(np.arange(len(periods) + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(len(shown) + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", lw=1.2)
    axes.tick_params(which="minor", length=0)
    canvas.style(axes)
    axes.set_xticks(*period_labels(periods, at_most=20))


def _explain_colours(canvas: Canvas, image: AxesImage, left: float) -> None:
    axes = canvas.figure.add_axes((left, canvas.share(0.56), 0.3, canvas.share(0.13)))
    bar = canvas.figure.colorbar(image, cax=axes, orientation="horizontal", extend="max")
    bar.set_ticks([0, 0.5, 1, 1.5, 2, _DARKEST])
    bar.outline.set_visible(False)
    axes.set_title(
        "observed / alarm threshold",
        fontsize=9.5,
        color=INK,
        loc="left",
        pad=4,
        fontfamily=canvas.families,
    )
    axes.tick_params(labelsize=9, colors=FAINT, length=2, labelfontfamily=canvas.families)


def _handles(step: str) -> list[Artist]:
    first: dict[str, Any] = {"marker": "o", "ms": 8, "mec": "white"}
    further: dict[str, Any] = {"marker": ".", "ms": 4}
    return [
        Line2D([], [], color=_DOT, ls="", label="first alert", **first),
        Line2D([], [], color=_DOT, ls="", label=f"further {step} in alarm", **further),
        Patch(color=_NOT_JUDGED, label="not judged"),
    ]


def _ratios(shown: Sequence[CountySeries], column: dict[date, int]) -> npt.NDArray[np.float64]:
    ratios = np.full((len(shown), len(column)), np.nan)
    for row, one in enumerate(shown):
        upper = np.where(one.upper > 0, one.upper, np.nan)
        ratios[row, [column[period] for period in one.periods]] = one.observed / upper
    return ratios


def _mark_alerts(
    canvas: Canvas, axes: Axes, shown: Sequence[CountySeries], column: dict[date, int]
) -> None:
    """Dot the cells in alarm, and write the first alert beside the row."""

    def beside(text: str, row: float, **style: Any) -> None:
        axes.annotate(
            text,
            (len(column) - 0.5, row),
            xytext=(6, 0),
            textcoords="offset points",
            fontsize=9.5,
            fontfamily=canvas.families,
            annotation_clip=False,
            **style,
        )

    beside("first alert", -0.65, fontweight=canvas.bold, color=INK)
    for row, one in enumerate(shown):
        first = one.first_alarm
        if first is None:
            beside("no alert", row, va="center", color=FAINT)
            continue
        at = [column[one.periods[index]] for index in np.flatnonzero(one.alarms).tolist()]
        axes.plot(at[1:], [row] * len(at[1:]), ".", color=_DOT, ms=3.5)
        axes.plot(at[0], row, "o", color=_DOT, ms=8, mec="white", mew=1.1)
        beside(period_name(one.periods, first), row, va="center", color=INK)


def _width(text: str) -> int:
    """Count columns; a Chinese character is as wide as two Latin ones."""
    return sum(2 if ord(letter) > _FIRST_CHINESE else 1 for letter in text)
