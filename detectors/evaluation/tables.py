"""The tables that come with the package: parameters of the simulators, and figures of R.

Examples
--------
>>> table("noufaily2013_scenarios42")["phi"][:3]
array([1.5, 1.5, 1.5])
"""

from __future__ import annotations

import csv
import gzip
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["TableName", "real_series", "table"]

TableName: TypeAlias = Literal[
    "noufaily2013_scenarios42",
    "noufaily2019_signals",
    "repro_bedubourg_R",
    "repro_noufaily2019_R_mean",
]


@cache
def table(name: TableName) -> Mapping[str, NDArray[np.generic]]:
    """Read a table by columns: numbers where every cell is one (empty is NaN), text otherwise.

    Where each comes from is told in `scenarios/README.md`. The columns are read-only.

    Examples
    --------
    >>> table("repro_bedubourg_R")["method"][1]
    np.str_('FF_nbPlugin_pT1')
    """
    text = (files("detectors.evaluation") / "scenarios" / f"{name}.csv").read_text("utf-8")
    header, *rows = csv.reader(text.splitlines())
    columns = {
        key: _column(cells) for key, cells in zip(header, zip(*rows, strict=True), strict=True)
    }
    return MappingProxyType(columns)


@cache
def real_series() -> NDArray[np.float64]:
    """Read weekly visits for influenza-like illness, shape `[110, 364]`; weeks 1 to 52 of 7 years.

    A week without a record counts as one without a visit.

    Examples
    --------
    >>> real_series().shape, real_series()[0, :3]
    ((110, 364), array([119., 116.,  95.]))
    """
    name = "taiwan_ili_weekly_2007_2013.csv.gz"
    packed = (files("detectors.evaluation") / "scenarios" / name).read_bytes()
    _, *rows = csv.reader(gzip.decompress(packed).decode("utf-8").splitlines())
    counts = np.array([[float(cell or 0) for cell in row[2:]] for row in rows])
    counts.flags.writeable = False
    return counts


def _column(cells: tuple[str, ...]) -> NDArray[np.generic]:
    column: NDArray[np.generic]
    try:
        column = np.array([float(cell) if cell else np.nan for cell in cells])
    except ValueError:
        column = np.array(cells)
    column.flags.writeable = False
    return column
