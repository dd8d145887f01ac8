"""Charts as documents that Bokeh's own script draws in the browser. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from bokeh.embed import json_item
from bokeh.models import ColumnDataSource, FixedTicker
from bokeh.models.annotations.geometry import BoxAnnotation, Span

from streams.web.chart_frame import (
    DAY_MS,
    ROOM,
    THEMES,
    frame,
    hover,
    label,
    legend,
    ms,
    numbers,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import date

    from bokeh.plotting import figure as Figure  # noqa: N812 - a class with a lower-case name

    from schemas.counts import Grain
    from streams.web.chart_frame import Theme

__all__ = ["Curve", "curve_chart", "years_chart"]

#: Weeks whose names are written: all would run into each other.
_EACH, _EACH_NARROW = 2, 4
_DASHES: Final = ([6, 3], [2, 2], [8, 3, 2, 3])


class Curve(NamedTuple):
    """A region's counts by period, with what a rule made of them; lists of equal length."""

    periods: Sequence[date]
    observed: Sequence[float | None]
    expected: Sequence[float | None]
    upper: Sequence[float | None]
    alarm: Sequence[bool]
    grain: Grain
    #: From this period on data are still coming in.
    provisional_from: date | None = None

    @property
    def top(self) -> float:
        """Highest value."""
        known = [one for one in (*self.observed, *self.upper) if one is not None]
        return max(known, default=1.0)

    @property
    def half(self) -> float:
        """Half a period in milliseconds."""
        return DAY_MS * (7 if self.grain == "week" else 1) / 2


def curve_chart(
    curve: Curve,
    *,
    theme: str,
    say: Callable[[str], str],
    labels: Sequence[str],
    marked: tuple[date, date] | None = None,
    marked_label: str = "",
    narrow: bool = False,
) -> dict[str, Any]:
    """Draw counts, what was expected, the threshold, and the periods in exceedance.

    Parameters
    ----------
    theme
        light or dark; anything else is light.
    say
        Gives the words of the page's language by their keys.
    labels
        Names of the periods, for who points at one.
    marked
        First and latest period of the alert that the chart is about.
    narrow
        For a phone.
    """
    colours = THEMES.get(theme, THEMES["light"])
    plot = frame(colours, curve.top, dates=True, narrow=narrow)
    source = ColumnDataSource(
        {
            "x": [ms(period) for period in curve.periods],
            "observed": numbers(curve.observed),
            "expected": numbers(curve.expected),
            "upper": numbers(curve.upper),
            "label": list(labels),
        }
    )
    _shade(plot, curve, colours, say)
    _band(plot, curve, colours, say)
    plot.line("x", "upper", source=source, color=colours.expected, line_width=1, alpha=0.7,
              legend_label=say("chart.band"))  # fmt: skip
    plot.line("x", "expected", source=source, color=colours.expected, line_width=2,
              line_dash=[5, 4], legend_label=say("chart.expected"))  # fmt: skip
    line = plot.line("x", "observed", source=source, color=colours.observed, line_width=2.5,
                     name="observed", legend_label=say("chart.observed"))  # fmt: skip
    _alarms(plot, curve, colours, say, marked)
    if marked is not None:
        _mark(plot, curve, colours, marked, marked_label)
    shown = [(say(f"chart.{name}"), name) for name in ("observed", "expected", "upper")]
    plot.add_tools(hover(line, shown, mode="vline"))
    legend(plot, colours, narrow=narrow)
    return dict(json_item(plot))


def years_chart(
    weeks: Sequence[str],
    years: Mapping[int, Sequence[float | None]],
    *,
    theme: str,
    say: Callable[[str], str],
    narrow: bool = False,
) -> dict[str, Any]:
    """Draw the same weeks of several years over each other, the latest year on top.

    Parameters
    ----------
    weeks
        Names of the weeks, the same for all years.
    years
        Counts of each year's weeks.
    theme, say, narrow
        As of `curve_chart`.
    """
    colours = THEMES.get(theme, THEMES["light"])
    top = max((one for counts in years.values() for one in counts if one is not None), default=1)
    plot = frame(colours, top, dates=False, narrow=narrow)
    places = list(range(len(weeks)))
    latest = max(years, default=0)
    for number, year in enumerate(sorted(years, reverse=True)):
        now = year == latest
        names = [f"{year} {week}" for week in weeks]
        source = ColumnDataSource({"x": places, "observed": numbers(years[year]), "label": names})
        line = plot.line(
            "x",
            "observed",
            source=source,
            legend_label=str(year),
            color=colours.observed if now else colours.former[(number - 1) % len(colours.former)],
            line_width=3 if now else 1.75,
            line_dash="solid" if now else _DASHES[number % 3],
            level="overlay" if now else "glyph",
            name=f"year-{year}",
        )
        plot.add_tools(hover(line, [(say("chart.observed"), "observed")], mode="mouse"))
    plot.xaxis.ticker = FixedTicker(ticks=places[:: _EACH_NARROW if narrow else _EACH])
    plot.xaxis.major_label_overrides = dict(zip(places, weeks, strict=True))
    if years:
        legend(plot, colours, narrow=narrow)
    else:
        plot.line([], [])  # Bokeh warns of charts without anything
    return dict(json_item(plot))


def _band(plot: Figure, curve: Curve, colours: Theme, say: Callable[[str], str]) -> None:
    """Shade up to the threshold, run by run: where it is not known nothing is shaded."""
    run: list[tuple[float, float]] = []
    for period, upper in (*zip(curve.periods, curve.upper, strict=True), (None, None)):
        if period is not None and upper is not None:
            run.append((ms(period), upper))
            continue
        if len(run) > 1:
            stamps, tops = zip(*run, strict=True)
            plot.varea(list(stamps), [0.0] * len(run), list(tops), color=colours.band,
                       alpha=colours.band_alpha, legend_label=say("chart.band"))  # fmt: skip
        run = []


def _shade(plot: Figure, curve: Curve, colours: Theme, say: Callable[[str], str]) -> None:
    """Shade what is still coming in, with a pattern: colour alone would not tell."""
    if curve.provisional_from is None or not curve.periods:
        return
    left = ms(curve.provisional_from) - curve.half
    plot.add_layout(
        BoxAnnotation(
            left=left,
            right=ms(curve.periods[-1]) + curve.half,
            fill_color=colours.shade,
            fill_alpha=0.08,
            hatch_pattern="right_diagonal_line",
            hatch_color=colours.shade,
            hatch_alpha=0.4,
            hatch_scale=9,
            line_color=None,
            level="underlay",
            name="provisional",
        )
    )
    plot.add_layout(label(say("chart.provisional"), left, colours.shade))


def _alarms(
    plot: Figure,
    curve: Curve,
    colours: Theme,
    say: Callable[[str], str],
    marked: tuple[date, date] | None,
) -> None:
    """Mark the exceedances: diamonds, filled where they are the alert's."""
    rows = [i for i, high in enumerate(curve.alarm) if high and curve.observed[i] is not None]
    if not rows:
        return
    ours = [marked is not None and marked[0] <= curve.periods[i] <= marked[1] for i in rows]
    plot.scatter(
        [ms(curve.periods[i]) for i in rows],
        [float(curve.observed[i] or 0) for i in rows],
        marker="diamond",
        size=[13 if one else 10 for one in ours],
        fill_color=colours.alarm,
        fill_alpha=[1.0 if one else 0.0 for one in ours],
        line_color=colours.alarm,
        line_width=1.5,
        name="alarms",
        legend_label=say("chart.alarm"),
    )


def _mark(plot: Figure, curve: Curve, colours: Theme, marked: tuple[date, date], text: str) -> None:
    """Shade the time of the alert, and name it."""
    first, last = ms(marked[0]) - curve.half, ms(marked[1]) + curve.half
    plot.add_layout(
        BoxAnnotation(left=first, right=last, fill_color=colours.alarm, fill_alpha=0.06,
                      line_color=None, level="underlay", name="alert")
    )  # fmt: skip
    plot.add_layout(
        Span(location=first, dimension="height", line_color=colours.alarm, line_dash=[2, 3])
    )
    plot.add_layout(label(text, first, colours.alarm, y=curve.top * ROOM))
