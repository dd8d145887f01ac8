"""What both pictures share: figure, fonts, colours, head and legend."""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from matplotlib import font_manager
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from streams.demo.pictures.series import CountySeries

__all__ = ["FAINT", "GRID", "INK", "Canvas", "chinese_font"]

_LATIN: Final = "DejaVu Sans"
#: Beginnings of the names of families with Chinese characters, best first.
_CHINESE: Final = (
    "Noto Sans CJK",
    "Source Han Sans",
    "Noto Sans TC",
    "Noto Sans SC",
    "PingFang",
    "Microsoft JhengHei",
    "Microsoft YaHei",
    "WenQuanYi",
    "Heiti",
    "SimHei",
    "Hiragino Sans GB",
    "Noto Serif CJK",
    "Source Han Serif",
    "Arial Unicode",
    "Droid Sans Fallback",
    "AR PL",
)
INK, FAINT, GRID = "#222222", "#666666", "#E3E6E9"
_LINE: Final = "#AAAAAA"
_DPI: Final = 150
_BOLD: Final = {"bold", "600", "700", "800", "900"}


@cache
def chinese_font() -> str | None:
    """Find an installed font family with Chinese characters, or None.

    matplotlib keeps a list of fonts between runs: one that was installed since is not in it.
    """
    found = _listed_font()
    if found is None:
        _list_new_fonts()
        found = _listed_font()
    return found


def _listed_font() -> str | None:
    listed = font_manager.fontManager.ttflist
    for beginning in _CHINESE:
        families = {
            entry.name
            for entry in listed
            if entry.name.startswith(beginning) and Path(entry.fname).is_file()
        }
        if families:
            return min(families)
    return None


def _list_new_fonts() -> None:
    known = {entry.fname for entry in font_manager.fontManager.ttflist}
    for path in font_manager.findSystemFonts():
        if path not in known:
            # A broken font of the system must not end a drawing.
            with suppress(OSError, RuntimeError):
                font_manager.fontManager.addfont(path)


def _has_bold(family: str) -> bool:
    # Asking for a weight that a family lacks makes matplotlib complain on standard error.
    return any(
        entry.name == family and str(entry.weight) in _BOLD
        for entry in font_manager.fontManager.ttflist
    )


class Canvas:
    """A figure with head and foot.

    Parameters
    ----------
    width, height
        Inches.
    title, subtitle, source
        Texts above and below.
    """

    def __init__(
        self, *, width: float, height: float, title: str, subtitle: str, source: str
    ) -> None:
        self.figure = Figure(figsize=(width, height), dpi=_DPI, facecolor="white")
        FigureCanvasAgg(self.figure)
        self._height = height
        chinese = chinese_font()
        self._bilingual = chinese is not None
        self.families = [_LATIN, chinese] if chinese else [_LATIN]
        self.bold = "bold" if chinese is None or _has_bold(chinese) else "normal"
        head: dict[str, Any] = {"va": "top", "fontfamily": self.families}
        top = 1 - self.share(0.14)
        self.figure.text(0.012, top, title, fontsize=16, fontweight=self.bold, color=INK, **head)
        self.figure.text(
            0.012, top - self.share(0.32), subtitle, fontsize=10.5, color=FAINT, **head
        )
        self.figure.text(
            0.012, self.share(0.1), source, fontsize=8.5, color=FAINT, fontfamily=self.families
        )

    def share(self, inches: float) -> float:
        """Convert a vertical distance to a share of the figure's height."""
        return inches / self._height

    def name(self, one: CountySeries) -> str:
        """Name a region, in Chinese too where the font allows."""
        return f"{one.name_zh} {one.name_en}" if self._bilingual else one.name_en

    def legend(self, handles: list[Artist], *, right: float | None = None) -> None:
        """Put the legend below the axes: in the middle, or ending at `right`."""
        self.figure.legend(
            handles=handles,
            loc="lower center" if right is None else "lower right",
            bbox_to_anchor=(0.5, self.share(0.3)) if right is None else (right, self.share(0.42)),
            ncols=len(handles),
            frameon=False,
            prop=FontProperties(family=self.families, size=10),
            labelcolor=INK,
            handletextpad=0.5,
            columnspacing=2,
        )

    def style(self, axes: Axes) -> None:
        """Take away what carries no information."""
        axes.set_axisbelow(True)
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
        axes.spines["bottom"].set_color(_LINE)
        axes.tick_params(which="major", length=0, labelsize=9.5, labelcolor=INK)
        axes.tick_params(axis="x", which="major", length=3, color=_LINE)
        axes.tick_params(labelfontfamily=self.families)

    def save(self, path_stem: Path) -> list[Path]:
        """Write PNG and SVG."""
        paths = [path_stem.with_name(f"{path_stem.name}.{suffix}") for suffix in ("png", "svg")]
        self.figure.savefig(paths[0], dpi=_DPI)
        # Without a date, a picture says nothing about when it was drawn.
        self.figure.savefig(paths[1], metadata={"Date": None})
        return paths
