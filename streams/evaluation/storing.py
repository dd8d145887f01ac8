"""Results in files, so that pages can be made again without running anything."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from detectors.evaluation.against import Against, Operating
from detectors.evaluation.compare import Compared, Comparison
from detectors.evaluation.matched import BETTER, SAMPLE, Interval
from detectors.evaluation.metrics import Estimate
from streams.evaluation.running import SetResult

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = ["load_beside_r", "load_set", "store_beside_r", "store_set"]

_INFINITE: Final = "inf"
_DECIMALS: Final = 6
_HEADER: Final = (
    "method",
    "series",
    "alarms",
    "rate",
    "figure",
    "value",
    "low",
    "high",
    "auto_minus_method",
    "difference_low",
    "difference_high",
    "auto",
)


def store_set(result: SetResult, folder: Path) -> list[Path]:
    """Write a data set's result as JSON, and as CSV for people."""
    whole, flat = folder / f"{result.name}.json", folder / f"{result.name}.csv"
    whole.write_text(_dump(asdict(result)), encoding="utf-8")
    with flat.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_HEADER)
        writer.writerows(_rows(result))
    return [whole, flat]


def load_set(name: str, folder: Path) -> SetResult | None:
    """Read what :func:`store_set` wrote; None where there is nothing."""
    path = folder / f"{name}.json"
    if not path.exists():
        return None
    found = _parse(path.read_text(encoding="utf-8"))
    found["auto"] = _against(found["auto"])
    found["others"] = [_against(one) for one in found["others"]]
    return SetResult(**found)


def store_beside_r(simulator: str, rows: Sequence[Comparison], folder: Path) -> Path:
    """Write the figures beside those of R as JSON."""
    path = folder / f"{simulator}-beside-r.json"
    path.write_text(_dump([asdict(row) for row in rows]), encoding="utf-8")
    return path


def load_beside_r(simulator: str, folder: Path) -> list[Comparison] | None:
    """Read what :func:`store_beside_r` wrote; None where there is nothing."""
    path = folder / f"{simulator}-beside-r.json"
    if not path.exists():
        return None
    rows = _parse(path.read_text(encoding="utf-8"))
    for row in rows:
        row["figures"] = {
            name: Compared(**{**one, "ours": Estimate(**one["ours"])})
            for name, one in row["figures"].items()
        }
    return [Comparison(**row) for row in rows]


def _rows(result: SetResult) -> Iterator[tuple[object, ...]]:
    for one in (result.auto, *result.others):
        points = [("matched", each) for each in one.matched]
        if one.nominal is not None:
            points.append(("own", one.nominal))
        for kind, point in points:
            for figure in ("fpr", *BETTER, *SAMPLE):
                row = (one.name, one.series, kind, f"{point.rate:.6g}", figure)
                yield (*row, *_numbers(point, figure))


def _numbers(point: Operating, figure: str) -> list[str]:
    values = [f"{value:.6g}" for value in point.figures[figure]]
    if figure not in point.differences:
        return [*values, "", "", "", ""]
    apart = [f"{value:.6g}" for value in point.differences[figure]]
    return [*values, *apart, point.verdicts[figure]]


def _against(found: dict[str, Any]) -> Against:
    nominal = found["nominal"]
    return Against(
        **{
            **found,
            "matched": tuple(_operating(each) for each in found["matched"]),
            "nominal": None if nominal is None else _operating(nominal),
            "curve": {name: tuple(values) for name, values in found["curve"].items()},
        }
    )


def _operating(found: dict[str, Any]) -> Operating:
    return Operating(
        rate=found["rate"],
        figures={name: Interval(*values) for name, values in found["figures"].items()},
        differences={name: Interval(*values) for name, values in found["differences"].items()},
        verdicts=found["verdicts"],
    )


def _dump(value: Any) -> str:
    return (
        json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False) + "\n"
    )


def _plain(value: Any) -> Any:
    """Replace what JSON has no number for: not-a-number by null, infinity by a text."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        if math.isnan(value):
            return None
        if math.isinf(value):
            return _INFINITE if value > 0 else f"-{_INFINITE}"
        return round(value, _DECIMALS)
    return value


def _parse(text: str) -> Any:
    return _numbered(json.loads(text))


def _numbered(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: each
            if key in {"detector", "nominal", "note", "skipped", "size", "reference", "deviation"}
            and each is None
            else _numbered(each)
            for key, each in value.items()
        }
    if isinstance(value, list):
        return [_numbered(each) for each in value]
    if value is None:
        return math.nan
    return float(value) if value in {_INFINITE, f"-{_INFINITE}"} else value
