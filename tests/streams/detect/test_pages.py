from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from detectors import Ears
from detectors.registry import DETECTORS
from streams.detect.gallery import daily, weekly
from streams.detect.pages import detector_page, index_page, write_pages

GUIDES = Path(__file__).parents[3] / "docs" / "guides"


def test_every_page_links_and_picture_exists(tmp_path: Path) -> None:
    told: list[str] = []
    written = write_pages(tmp_path, detectors={"ears": Ears}, on_page=told.append)
    assert told == ["ears"]
    names = {str(path.relative_to(tmp_path)) for path in written}
    assert names == {
        "README.md", "gallery.md", "ears.md", "pictures/ears-week.png", "pictures/ears-day.png",
    }  # fmt: skip
    assert all(path.stat().st_size < 40_000 for path in written)
    for page in tmp_path.glob("*.md"):
        for link in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
            inside = link.replace("../guides/", f"{GUIDES}/").replace(
                "../evaluation/", f"{GUIDES.parent}/evaluation/"
            )
            assert (tmp_path / inside).exists(), f"{page.name} links to {link}"


def test_pictures_are_the_same_each_time(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        write_pages(tmp_path / folder, detectors={"ears": Ears})
    for one in (tmp_path / "a" / "pictures").iterdir():
        assert one.read_bytes() == (tmp_path / "b" / "pictures" / one.name).read_bytes()


def test_a_page_has_all_that_the_class_says() -> None:
    for name in DETECTORS:
        model = DETECTORS[name]
        page = detector_page(name, model)
        for title in ("Parameters", "References", "Example", "Use"):
            assert f"\n## {title}\n" in page
        for field in model.model_fields.keys() - {"type"}:  # type: ignore[attr-defined]
            (row,) = re.findall(rf"^\| `{field}` \|.*\|$", page, re.MULTILINE)
            assert all(cell.strip() for cell in row.strip("|").split(" | ")), row
        assert ":class:" not in page
        assert "```python\n>>> " in page


def test_the_list_has_every_method_once_by_family_and_advice_that_exists() -> None:
    page = index_page(DETECTORS)
    advice, *families = page.split("\n## ")[1:]
    assert advice.startswith("Where to begin")
    assert set(re.findall(r"\((\w+)\.md\)", advice)) <= set(DETECTORS)
    assert "| `" not in advice
    listed = [
        name for text in families for name in re.findall(r"^\| \[(\w+)\]", text, re.MULTILINE)
    ]
    assert sorted(listed) == sorted(DETECTORS)
    (ears,) = re.findall(r"^\| \[ears\].*$", page, re.MULTILINE)
    assert ears.endswith("| 7 days |")


def test_a_detector_that_needs_parameters_has_a_page_without_picture(tmp_path: Path) -> None:
    class Demanding(Ears):
        """A method. It needs a number."""

        needed: int

    written = write_pages(tmp_path, detectors={"demanding": Demanding})
    assert {path.suffix for path in written} == {".md"}
    assert "has parameters without a default" in (tmp_path / "gallery.md").read_text("utf-8")
    assert "| `needed` | integer | required |" in (tmp_path / "demanding.md").read_text("utf-8")


def test_the_series_shown() -> None:
    week, day = weekly(), daily()
    assert week.labels[week.first] == "2012-W01"
    assert week.labels.count("2009-W53") == 1
    assert np.isfinite(week.panel.counts).all()
    totals = day.panel.counts.reshape(-1, 7).sum(axis=1)
    np.testing.assert_array_equal(totals, week.panel.counts[0, -totals.size :])
    weekend = day.panel.counts.reshape(-1, 7).mean(axis=0)
    assert weekend.argmax() == 6
