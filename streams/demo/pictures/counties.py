"""Small multiples: the largest counties over time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, MaxNLocator

from streams.demo.pictures.canvas import FAINT, GRID, INK, Canvas
from streams.demo.pictures.series import period_labels, period_name, refuse_none, step_name

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from streams.demo.pictures.series import CountySeries

__all__ = ["draw_counties"]

_BAR, _ALARM, _EXPECTED = "#B7C3CF", "#D55E00", "#0072B2"
_DASHES = (0, (4, 2))


def draw_counties(
    series: Sequence[CountySeries],
    path_stem: Path,
    *,
    title: str = "Observed cases and alerts in the largest counties",
    subtitle: str = "",
    unit: str = "cases",
    source: str = "",
    largest: int = 6,
) -> list[Path]:
    """Draw observed bars, baseline, threshold and alerts of the largest counties.

    Parameters
    ----------
    series
        Any number; those with the highest total are drawn.
    path_stem
        File name without suffix; the folder must exist.
    title, subtitle, source
        Texts above and below.
    unit
        What is counted, for the vertical axis.
    largest
        How many counties.

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
    shown = sorted(series, key=lambda one: -float(np.nansum(one.observed)))[:largest]
    columns = 2 if len(shown) > 1 else 1
    rows = -(-len(shown) // columns)
    canvas = Canvas(
        width=13, height=2.3 + 2.6 * rows, title=title, subtitle=subtitle, source=source
    )
    for number, one in enumerate(shown):
        axes = canvas.figure.add_subplot(rows, columns, number + 1)
        _draw_county(canvas, axes, one)
        if number % columns == 0:
            axes.set_ylabel(
                f"{unit} per {step_name(one.periods)}", color=FAINT, fontfamily=canvas.families
            )
    canvas.legend(_handles(step_name(shown[0].periods)))
    canvas.figure.tight_layout(rect=(0.005, canvas.share(0.75), 0.995, 1 - canvas.share(0.85)))
    canvas.figure.subplots_adjust(hspace=0.42, wspace=0.11)
    return canvas.save(path_stem)


def _handles(step: str) -> list[Artist]:
    return [
        Patch(color=_BAR, label="observed"),
        Patch(color=_ALARM, label=f"observed, {step} in alarm"),
        Line2D([], [], color=_EXPECTED, lw=2, label="expected (baseline)"),
        Line2D([], [], color=INK, lw=1.3, ls=_DASHES, label="alarm threshold"),
        Line2D([], [], color=_ALARM, marker="v", ls="", ms=8, label="first alert"),
    ]


def _draw_county(canvas: Canvas, axes: Axes, one: CountySeries) -> None:
    x = np.arange(len(one.periods))
    observed = np.nan_to_num(one.observed)
    axes.bar(x, observed, width=0.86, color=np.where(one.alarms, _ALARM, _BAR).tolist())
    axes.plot(x, one.expected, color=_EXPECTED, lw=2)
    axes.plot(x, one.upper, color=INK, lw=1.3, ls=_DASHES)
    heights = np.concatenate([observed, np.nan_to_num(one.upper), np.nan_to_num(one.expected)])
    top = max(float(heights.max(initial=0)), 1.0)
    if (first := one.first_alarm) is not None:
        _point_at_first(canvas, axes, one, first=first, top=top)
    axes.set_title(
        canvas.name(one),
        loc="left",
        fontsize=12,
        fontweight=canvas.bold,
        color=INK,
        pad=7,
        fontfamily=canvas.families,
    )
    axes.set_ylim(0, 1.17 * top)
    axes.set_xlim(-0.7, len(x) - 0.3)
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.grid(axis="y", color=GRID, lw=0.8)
    canvas.style(axes)
    axes.set_xticks(*period_labels(one.periods, at_most=11))


def _point_at_first(
    canvas: Canvas, axes: Axes, one: CountySeries, *, first: int, top: float
) -> None:
    """Hang the first alert's label above it, on the side before the rise if there is room."""
    bar = float(np.nan_to_num(one.observed[first]))
    high = 1.1 * top
    axes.plot([first, first], [bar, high], color=_ALARM, lw=1, zorder=4)
    axes.plot([first], [bar + 0.045 * top], marker="v", ms=8, color=_ALARM, mec="white", zorder=5)
    before = first > 0.3 * len(one.periods)
    axes.annotate(
        f"first alert {period_name(one.periods, first)}",
        (first, high),
        xytext=(-5 if before else 5, 0),
        textcoords="offset points",
        ha="right" if before else "left",
        va="top",
        color=_ALARM,
        fontsize=9.5,
        fontweight=canvas.bold,
        fontfamily=canvas.families,
        path_effects=[withStroke(linewidth=3, foreground="white")],
    )
