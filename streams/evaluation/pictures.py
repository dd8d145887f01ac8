"""Curves of detection and of time to detection over false-positive rates."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any, Final

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator, PercentFormatter

from detectors.evaluation.data_sets import DATA_SETS
from streams.demo.pictures.canvas import FAINT, GRID, INK
from streams.evaluation.ranking import best

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from detectors.evaluation.against import Against
    from streams.evaluation.running import SetResult

__all__ = ["draw_curves"]

_AUTO: Final = "#D55E00"
#: Colours and dashes of the best others, told apart with a colour-vision deficiency too.
_OTHERS: Final = (
    ("#0072B2", "-"),
    ("#009E73", (0, (6, 2))),
    ("#CC79A7", (0, (2, 1.5))),
    ("#56B4E9", (0, (6, 2, 1.5, 2))),
)
_REST: Final = "#CFD5DA"
_TICKS: Final = (0.001, 0.003, 0.01, 0.03, 0.1, 0.2)
_DPI: Final = 130
#: Letters in a line of the legend.
_WIDTH: Final = 28


def draw_curves(result: SetResult, folder: Path) -> list[Path]:
    """Draw ROC and AMOC of a data set, `auto` in front and the best of the others named.

    Returns
    -------
    list of Path
        `NAME-roc.png` and `NAME-amoc.png`.
    """
    unit = {"week": "weeks", "day": "days"}[DATA_SETS[result.name].grain]
    kinds = (
        ("roc", "pod", "Outbreaks detected"),
        ("amoc", "mean_delay", f"Mean time to detection ({unit})"),
    )
    return [
        _draw(result, column, label, folder / f"{result.name}-{kind}.png")
        for kind, column, label in kinds
    ]


def _draw(result: SetResult, column: str, label: str, path: Path) -> Path:
    figure = Figure(figsize=(8.6, 4.8), dpi=_DPI, facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.085, 0.115, 0.575, 0.77))
    named = best(result, len(_OTHERS))
    rest = [one for one in result.others if one not in named]
    for one in rest:
        _line(axes, one.curve, column, color=_REST, lw=0.9, zorder=1)
    axes.plot([], [], color=_REST, lw=0.9, label=f"{len(rest)} others")
    handles, labels = axes.get_legend_handles_labels()
    for one, (color, dashes) in zip(named, _OTHERS, strict=False):
        drawn = _line(axes, one.curve, column, color=color, ls=dashes, lw=1.7, zorder=3)
        handles.insert(-1, drawn)
        labels.insert(-1, _label(one, result.series))
    if column == "pod" and result.ceiling:
        drawn = _line(axes, result.ceiling, column, color=INK, ls=(0, (1, 2)), lw=1.3, zorder=2)
        handles.append(drawn)
        labels.append("single steps, true mean\nand dispersion known")
    drawn = _line(axes, result.auto.curve, column, color=_AUTO, lw=2.8, zorder=4)
    handles.insert(0, drawn)
    labels.insert(0, "auto")
    _style(axes, label, share=column == "pod")
    for rate in DATA_SETS[result.name].rates:
        axes.axvline(rate, color=FAINT, lw=0.7, ls=(0, (1, 3)), zorder=0)
    figure.legend(
        handles,
        labels,
        loc="upper left",
        bbox_to_anchor=(0.672, 0.90),
        frameon=False,
        fontsize=8.8,
        labelcolor=INK,
        handlelength=2.6,
        labelspacing=0.75,
    )
    figure.text(
        0.085, 0.935, DATA_SETS[result.name].title, fontsize=11.5, color=INK, fontweight="bold"
    )
    figure.savefig(path, metadata={"Software": None})
    return path


def _label(one: Against, series: int) -> str:
    """Name a method, and on how many series it was run where those were few."""
    name = one.name if 2 * one.series > series else f"{one.name} ({one.series} series)"
    return textwrap.fill(name, _WIDTH)


def _line(axes: Axes, curve: Mapping[str, Sequence[float]], column: str, **style: Any) -> Artist:
    (drawn,) = axes.plot(curve["fpr"], curve[column], **style)
    return drawn


def _style(axes: Axes, label: str, *, share: bool) -> None:
    axes.set_xscale("log")
    axes.set_xlim(_TICKS[0], _TICKS[-1])
    axes.set_xticks(_TICKS, [f"{100 * tick:g} %" for tick in _TICKS])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel(
        "False-positive rate (share of steps without outbreak)", color=INK, fontsize=9.5
    )
    axes.set_ylabel(label, color=INK, fontsize=9.5)
    if share:
        axes.set_ylim(0, 1.01)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    else:
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_axisbelow(True)
    axes.grid(color=GRID, lw=0.8)
    axes.tick_params(length=0, labelsize=9, labelcolor=INK)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.tick_params(axis="x", pad=5)
