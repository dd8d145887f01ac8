"""The page that puts our figures beside those of R."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from detectors.evaluation.compare import DIFFERENT, markdown
from streams.evaluation.pages import MADE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from detectors.evaluation.compare import Comparison

__all__ = ["beside_page"]

_TOLD: Final = {
    "weekly": "Weekly simulator of Noufaily et al. 2013, beside R",
    "daily": "Daily simulator of Noufaily, Morbey et al. 2019, beside R",
}
_READ: Final = """\
Ours with the 95 % interval, then the figure of R surveillance 1.20.3 on its own simulation of the
same design; * where the two differ by more than 3 standard errors of their difference. R's error
is not known and taken to be as large as ours for as many series."""


def beside_page(simulator: str, rows: Sequence[Comparison]) -> str:
    """Make the page of one simulator ("weekly" or "daily")."""
    marked = sum(
        figure.deviation is not None and abs(figure.deviation) > DIFFERENT
        for row in rows
        for figure in row.figures.values()
    )
    compared = sum(figure.reference is not None for row in rows for figure in row.figures.values())
    said = f"{marked} of {compared} figures are marked."
    parts = [MADE, f"# {_TOLD[simulator]}", _READ, said, markdown(rows)]
    return "\n\n".join(parts) + "\n"
