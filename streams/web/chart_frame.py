"""What all charts share: colours on light and dark pages, axes, legend, labels. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from bokeh.models import (
    CrosshairTool,
    DatetimeTicker,
    DatetimeTickFormatter,
    HoverTool,
    NumeralTickFormatter,
    PanTool,
    Range1d,
    ResetTool,
    WheelZoomTool,
)
from bokeh.models.annotations.labels import Label
from bokeh.plotting import figure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from bokeh.models.renderers import GlyphRenderer
    from bokeh.plotting import figure as Figure  # noqa: N812 - a class with a lower-case name

__all__ = [
    "DAY_MS", "ROOM", "THEMES", "Theme", "frame", "hover", "label", "legend", "ms", "numbers",
]  # fmt: skip

#: Of the page's own fonts, so that Chinese labels are drawn with them.
_FONT: Final = (
    "-apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'PingFang SC', 'Microsoft YaHei', "
    "'Noto Sans CJK SC', 'Noto Sans SC', sans-serif"
)
_SIZE: Final = "12px"
DAY_MS: Final = 86_400_000
#: Room above the highest count, for the name of the alert.
ROOM: Final = 1.12


class Theme(NamedTuple):
    """Colours; lines and words stand out against the page by 3:1 or more."""

    ink: str
    faint: str
    grid: str
    observed: str
    expected: str
    band: str
    band_alpha: float
    alarm: str
    shade: str
    former: tuple[str, ...]


THEMES: Final[Mapping[str, Theme]] = {
    "light": Theme(
        "#1d2733", "#53606d", "#e4e8ec", "#0b4f8a", "#2f7d5b", "#2f7d5b", 0.14, "#b3261e",
        "#7a5f14", ("#6b7885", "#8f6d3f", "#75639f", "#3f7d7d", "#9a5468"),
    ),
    "dark": Theme(
        "#e6ebf0", "#a3b0bd", "#2c3742", "#7db8f0", "#6fc79c", "#6fc79c", 0.16, "#ff8a80",
        "#d9b85c", ("#8d9aa8", "#b39a78", "#a294cc", "#7fb3b3", "#c78fa2"),
    ),
}  # fmt: skip


def frame(colours: Theme, top: float, *, dates: bool, narrow: bool) -> Figure:
    """Return an empty chart with its axes.

    Parameters
    ----------
    top
        Highest value.
    dates
        Along time; else along whole numbers.
    narrow
        For a phone.
    """
    plot = figure(
        height=300 if narrow else 330,
        y_range=Range1d(start=0, end=top * ROOM or 1),
        sizing_mode="stretch_width",
        x_axis_type="datetime" if dates else "linear",
        tools=[],
        toolbar_location=None,
        background_fill_alpha=0,
        border_fill_alpha=0,
        outline_line_color=None,
        min_border_right=14,
        output_backend="canvas",
    )
    cross = CrosshairTool(dimensions="height", line_color=colours.faint, line_alpha=0.5)
    pan, zoom = PanTool(dimensions="width"), WheelZoomTool(dimensions="width")
    plot.add_tools(pan, zoom, ResetTool(), cross)
    # Neither wheel nor finger is caught: a page is scrolled over its charts.
    plot.toolbar.active_drag = None
    plot.toolbar.active_scroll = None
    plot.yaxis.formatter = NumeralTickFormatter(format="0,0")
    if dates:
        plot.xaxis.ticker = DatetimeTicker(desired_num_ticks=4 if narrow else 8)
        plot.xaxis.formatter = DatetimeTickFormatter(
            days="%m-%d", months="%Y-%m", years="%Y", hours="%m-%d"
        )
    for axis in (*plot.xaxis, *plot.yaxis):
        axis.update(
            axis_line_color=colours.grid,
            major_tick_line_color=colours.grid,
            minor_tick_line_color=None,
            major_label_text_color=colours.faint,
            major_label_text_font=_FONT,
            major_label_text_font_size=_SIZE,
        )
    plot.xgrid.grid_line_color = None
    plot.ygrid.grid_line_color = colours.grid
    return plot


def legend(plot: Figure, colours: Theme, *, narrow: bool) -> None:
    """Put the legend above the chart, where it hides nothing."""
    made = plot.legend[0]
    made.update(
        location="left",
        orientation="horizontal",
        background_fill_alpha=0,
        border_line_color=None,
        label_text_color=colours.ink,
        label_text_font=_FONT,
        label_text_font_size=_SIZE,
        padding=0,
        margin=2,
        spacing=12,
        glyph_width=22,
        ncols=2 if narrow else "auto",
    )
    plot.add_layout(made, "above")


def label(text: str, x: float, colour: str, *, y: float | None = None) -> Label:
    """Return words to the left of a moment: at a height, or at the foot of the chart."""
    return Label(
        x=x,
        y=4 if y is None else y,
        x_offset=-4,
        y_units="screen" if y is None else "data",
        text=text,
        text_align="right",
        text_baseline="bottom" if y is None else "top",
        text_color=colour,
        text_font=_FONT,
        text_font_size=_SIZE,
    )


def hover(
    line: GlyphRenderer[Any], shown: Sequence[tuple[str, str]], *, mode: Literal["mouse", "vline"]
) -> HoverTool:
    """Return the tool that tells the numbers of what is pointed at.

    Parameters
    ----------
    shown
        Names and columns; the period stands before them.
    """
    return HoverTool(
        renderers=[line],
        mode=mode,
        tooltips=[("", "@label"), *((name, f"@{column}{{0,0.[0]}}") for name, column in shown)],
    )


def ms(day: date) -> float:
    """Return a day as Bokeh counts: milliseconds since 1970."""
    return (day.toordinal() - 719_163.0) * DAY_MS


def numbers(values: Sequence[float | None]) -> list[float]:
    """Return values with gaps."""
    return [float("nan") if value is None else float(value) for value in values]
