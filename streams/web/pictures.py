"""Small drawings that stand in the page itself (SVG): no script, no request. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streams.alerts.predictive_value import PredictiveValue
    from streams.store.curves import Point

__all__ = ["bar", "interval", "spark"]

_EDGE = 4.0


def spark(points: Sequence[Point], text: str, *, width: int = 150, height: int = 44) -> Markup:
    """Draw the course of counts, the threshold (dashed) and the exceedances (diamonds).

    Parameters
    ----------
    text
        What the drawing shows, for who cannot see it.
    """
    known = [point for point in points if point.observed is not None]
    if not known:
        return Markup()
    top = max(max(p.observed or 0, p.upper or 0) for p in known) or 1.0
    step = (width - 2 * _EDGE) / max(len(known) - 1, 1)

    def x(place: int) -> float:
        return _EDGE + place * step

    def y(value: float) -> float:
        return height - _EDGE - (height - 2 * _EDGE) * value / top

    course = " ".join(f"{x(i):.1f},{y(p.observed or 0):.1f}" for i, p in enumerate(known))
    parts = [
        _limit(known, x, y),
        f'<polyline class="spark-line" points="{course}"/>',
        *(
            f'<path class="spark-alarm" d="M{x(i):.1f} {y(p.observed or 0) - 3.6:.1f}l3.600 3.600'
            '-3.600 3.600-3.600-3.600Z"/>'
            for i, p in enumerate(known)
            if p.alarm
        ),
    ]
    return Markup(
        '<svg class="spark" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'role="img" aria-label="{text}"><line class="spark-axis" x1="0" x2="{width}" y1="{low}" '
        'y2="{low}"/>{parts}</svg>'
    ).format(
        width=width,
        height=height,
        low=height - 1,
        text=text,
        parts=Markup("".join(parts)),  # noqa: S704 - numbers of ours alone
    )


def _limit(points: Sequence[Point], x: object, y: object) -> str:
    """Draw the threshold where it is known; it may begin late, or have gaps."""
    runs: list[list[str]] = [[]]
    for place, point in enumerate(points):
        if point.upper is None:
            runs.append([])
        else:
            runs[-1].append(f"{x(place):.1f},{y(point.upper):.1f}")  # type: ignore[operator]
    return "".join(
        f'<polyline class="spark-limit" points="{" ".join(run)}"/>' for run in runs if len(run) > 1
    )


def bar(value: float, usual: float | None, top: float, text: str) -> Markup:
    """Draw a count as a bar, with a mark at what is usual.

    Parameters
    ----------
    top
        Value of a full bar.
    """
    scale = 100 / (top or 1.0)
    mark = ""
    if usual is not None:
        at = min(usual * scale, 99.5)
        mark = f'<line class="bar-usual" x1="{at:.1f}%" x2="{at:.1f}%" y1="1" y2="15"/>'
    return Markup(
        '<svg role="img" aria-label="{text}" width="100%" height="16">'
        '<rect class="bar-back" width="100%" height="16" rx="3"/>'
        '<rect class="bar-now" width="{width}%" y="3" height="10" rx="2"/>{mark}</svg>'
    ).format(
        text=text,
        width=f"{min(value * scale, 100):.1f}",
        mark=Markup(mark),  # noqa: S704 - a number of ours alone
    )


def interval(value: PredictiveValue, text: str) -> Markup:
    """Draw a share from 0 to 100 % with its interval."""
    if value.value is None or value.lower is None or value.upper is None:
        inside = ""
    else:
        inside = (
            f'<rect class="ppv-range" x="{value.lower:.1%}" y="6" height="12" rx="3" '
            f'width="{value.upper - value.lower:.1%}"/>'
            f'<circle class="ppv-mark" cx="{value.value:.1%}" cy="12" r="5"/>'
        )
    return Markup(
        '<svg role="img" aria-label="{text}" width="100%" height="34">'
        '<rect class="ppv-back" width="100%" y="9" height="6" rx="3"/>{inside}'
        '<text class="ppv-text" x="0" y="32">0%</text>'
        '<text class="ppv-text" x="50%" y="32" text-anchor="middle">50%</text>'
        '<text class="ppv-text" x="100%" y="32" text-anchor="end">100%</text></svg>'
    ).format(text=text, inside=Markup(inside))  # noqa: S704 - numbers of ours alone
