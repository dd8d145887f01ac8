"""All pages of a folder from the numbers in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from detectors.evaluation.data_sets import DATA_SETS
from streams.evaluation.beside import beside_page
from streams.evaluation.pages import index_page, set_page
from streams.evaluation.pictures import draw_curves
from streams.evaluation.running import BESIDE_R
from streams.evaluation.storing import load_beside_r, load_set

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["write_pages"]


def write_pages(folder: Path) -> list[Path]:
    """Write pages and pictures for whatever results are in the folder; return the files."""
    written: list[Path] = []
    results = [found for name in DATA_SETS if (found := load_set(name, folder)) is not None]
    for result in results:
        pictures = draw_curves(result, folder)
        page = set_page(result, [picture.name for picture in pictures])
        written += [*pictures, _write(folder / f"{result.name}.md", page)]
    beside: list[str] = []
    for simulator in BESIDE_R:
        rows = load_beside_r(simulator, folder)
        if rows is not None:
            beside.append(simulator)
            page = beside_page(simulator, rows)
            written.append(_write(folder / f"{simulator}-beside-r.md", page))
    written.append(_write(folder / "README.md", index_page(results, beside)))
    return written


def _write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path
