"""Charts and small drawings: what is drawn is what was counted."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.alerts.predictive_value import predictive_value
from streams.store.curves import Point
from streams.web.chart_frame import THEMES
from streams.web.charts import Curve, curve_chart, years_chart
from streams.web.pictures import bar, interval, spark

FIRST = date(2009, 7, 6)
GAPS = [None, None, 20.0, 22.0, None, 25.0, 26.0, 27.0]


def curve(**changes: Any) -> Curve:
    known: dict[str, Any] = {
        "periods": [FIRST + timedelta(weeks=i) for i in range(8)],
        "observed": [10.0, 11.0, 12.0, 13.0, None, 15.0, 90.0, 30.0],
        "expected": [None, None, 10.0, 10.0, None, 11.0, 11.0, 12.0],
        "upper": GAPS,
        "alarm": [False] * 6 + [True, True],
        "grain": "week",
    }
    return Curve(**(known | changes))


def parts(document: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    """All models of a kind, wherever they stand in a document."""
    found: list[dict[str, Any]] = []

    def look(node: Any) -> None:
        if isinstance(node, dict):
            if node.get("type") == "object" and node.get("name") == kind:
                found.append(node.get("attributes", {}))
            for value in node.values():
                look(value)
        elif isinstance(node, list):
            for value in node:
                look(value)

    look(document)
    return found


def draw(shown: Curve, **changes: Any) -> dict[str, Any]:
    known: dict[str, Any] = {
        "theme": "light",
        "say": lambda key: key,
        "labels": [str(period) for period in shown.periods],
    }
    return curve_chart(shown, **(known | changes))


def shaded(document: dict[str, Any]) -> int:
    drawn = [one["glyph"]["name"] for one in parts(document, "GlyphRenderer")]
    return drawn.count("VArea")


def test_the_threshold_is_shaded_only_where_it_is_known() -> None:
    assert shaded(draw(curve())) == 2  # the gap lies between
    assert shaded(draw(curve(upper=[None] * 8))) == 0


def test_what_still_comes_in_is_hatched() -> None:
    assert parts(draw(curve()), "BoxAnnotation") == []
    since = FIRST + timedelta(weeks=7)
    (box,) = parts(draw(curve(provisional_from=since)), "BoxAnnotation")
    assert "right_diagonal_line" in str(box)
    assert box["right"] - box["left"] == 7 * 86_400_000


def test_the_alert_is_marked_and_named() -> None:
    marked = (FIRST + timedelta(weeks=6), FIRST + timedelta(weeks=7))
    document = draw(curve(), marked=marked, marked_label="Alert #12")
    assert [one["text"] for one in parts(document, "Label")] == ["Alert #12"]
    assert len(parts(document, "Span")) == 1


@pytest.mark.parametrize("theme", THEMES)
def test_each_theme_draws_with_its_colours(theme: str) -> None:
    assert THEMES[theme].observed in str(draw(curve(), theme=theme))
    assert THEMES["light"].observed in str(draw(curve(), theme="no such theme"))


def test_years_lie_over_each_other() -> None:
    document = years_chart(
        ["W1", "W2"], {2009: [5.0, None], 2008: [1.0, 2.0]}, theme="dark", say=lambda key: key
    )
    assert [one.get("name") for one in parts(document, "GlyphRenderer")] == [
        "year-2009",
        "year-2008",
    ]
    assert parts(years_chart([], {}, theme="dark", say=str), "Legend") == []


@given(
    counts=st.lists(
        st.one_of(st.none(), st.floats(0, 1e9, allow_nan=False)), min_size=0, max_size=40
    ),
    text=st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=20),
)
def test_a_sparkline_is_drawing_and_text_whatever_it_is_given(
    counts: list[float | None], text: str
) -> None:
    points = [Point(FIRST + timedelta(days=i), value, None, value, alarm=bool(value))
              for i, value in enumerate(counts)]  # fmt: skip
    made = spark(points, text)
    known = [value for value in counts if value is not None]
    if not known:
        assert not made
        return
    drawing = ET.fromstring(str(made))
    assert drawing.get("aria-label") == text
    line = drawing.find("polyline[@class='spark-line']")
    assert line is not None
    places = [tuple(map(float, pair.split(","))) for pair in (line.get("points") or "").split()]
    assert len(places) == len(known)
    assert all(0 <= x <= 150 and 0 <= y <= 44 for x, y in places)
    # The higher the count, the higher the line (y grows downwards).
    assert [y for _, y in places].index(min(y for _, y in places)) >= 0
    assert places[known.index(max(known))][1] == min(y for _, y in places)
    assert len(drawing.findall("path")) == sum(bool(value) for value in known)


def test_a_bar_never_leaves_its_room() -> None:
    for value, usual in ((5.0, 10.0), (10.0, None), (0.0, 0.0), (20.0, 40.0)):
        drawn = ET.fromstring(str(bar(value, usual, 10.0, "<5 & more")))
        widths = [float(one.get("width", "0").rstrip("%")) for one in drawn.iter("rect")]
        assert all(0 <= width <= 100 for width in widths)
        assert drawn.get("aria-label") == "<5 & more"
        assert len(drawn.findall("line")) == (usual is not None)


def test_an_interval_reaches_from_its_lower_to_its_upper_end() -> None:
    value = predictive_value(3, 10)
    drawn = str(interval(value, "3 of 10"))
    assert re.search(r'class="ppv-range" x="10\.8%" y="6" height="12" rx="3" width="49\.5%"', drawn)
    assert 'cx="30.0%"' in drawn
    assert "ppv-range" not in str(interval(predictive_value(0, 0), "nothing"))
