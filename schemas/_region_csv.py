"""Reading regions from CSV and checking their hierarchy; all faults are collected."""

from __future__ import annotations

import csv
from difflib import get_close_matches
from typing import TYPE_CHECKING

from pydantic import ValidationError

from schemas._region_model import Region, RegionIssue, RegionLevel

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pydantic_core import ErrorDetails

# A region and the line it was read from, if it was.
Row = tuple[Region, int | None]

COLUMNS = tuple(Region.model_fields)
REMEDIES = {
    "level": f"use one of {', '.join(RegionLevel)}",
    "population": "write a whole number without separators, or leave it empty",
    "lat": "write degrees north from -90 to 90, or leave it empty",
    "lon": "write degrees east from -180 to 180, or leave it empty",
    "valid_from": "write an ISO date such as 2021-04-09, or leave it empty",
    "valid_to": "write an ISO date such as 2021-04-09, or leave it empty",
    "code": "every region needs one",
}


def read_rows(path: Path) -> tuple[list[Row], list[RegionIssue]]:
    """Return the regions of a file with their lines, and what is wrong with the others."""
    rows: list[Row] = []
    issues: list[RegionIssue] = []
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file)
        try:
            header = [column.strip() for column in next(reader, [])]
            issues += _header_issues(header)
            if issues:
                return rows, issues
            for cells in reader:
                if any(cell.strip() for cell in cells):
                    _read_row(header, cells, reader.line_num, rows, issues)
        except UnicodeDecodeError as error:
            text = f"byte {error.start} is not UTF-8; save the file as CSV UTF-8"
            issues.append(RegionIssue(text))
        except csv.Error as error:
            issues.append(RegionIssue(f"not valid CSV: {error}", line=reader.line_num))
    return rows, issues


def _header_issues(header: Sequence[str]) -> list[RegionIssue]:
    issues = []
    for column in dict.fromkeys(header):
        if column not in COLUMNS:
            close = get_close_matches(column, COLUMNS, n=1)
            hint = f"did you mean {close[0]}?" if close else f"use {', '.join(COLUMNS)}"
            issues.append(
                RegionIssue(f"unknown column; {hint}", line=1, column=column or "(empty)")
            )
        elif header.count(column) > 1:
            issues.append(RegionIssue("stands twice; remove one", line=1, column=column))
    missing = [column for column in ("code", "level", "parent") if column not in header]
    if "name_zh" not in header and "name_en" not in header:
        missing.append("name_en")
    issues += [RegionIssue("is missing; add it", line=1, column=column) for column in missing]
    return issues


def _read_row(
    header: Sequence[str],
    cells: Sequence[str],
    line: int,
    rows: list[Row],
    issues: list[RegionIssue],
) -> None:
    if len(cells) > len(header):
        text = f"{len(cells)} cells, but the header has {len(header)}; quote cells with commas"
        issues.append(RegionIssue(text, line=line))
        return
    values: dict[str, object] = {
        column: cell.strip() for column, cell in zip(header, cells, strict=False) if cell.strip()
    }
    for column in {"successors", "aliases"} & values.keys():
        parts = (part.strip() for part in str(values[column]).split("|"))
        values[column] = tuple(part for part in parts if part)
    try:
        rows.append((Region.model_validate(values), line))
    except ValidationError as error:
        issues.extend(_value_issue(detail, line) for detail in error.errors(include_url=False))


def _value_issue(detail: ErrorDetails, line: int) -> RegionIssue:
    if not detail["loc"]:
        return RegionIssue(detail["msg"].removeprefix("Value error, "), line=line)
    column = str(detail["loc"][0])
    if detail["type"] == "missing":
        text = f"is empty; {REMEDIES[column]}"
    else:
        text = f"{detail['input']!r} cannot be used; {REMEDIES.get(column, detail['msg'])}"
    return RegionIssue(text, line=line, column=column)


def structure_issues(rows: Sequence[Row]) -> list[RegionIssue]:
    """Return what is wrong with the hierarchy of regions that are each well-formed."""
    first: dict[str, Row] = {}
    issues = []
    for region, line in rows:
        if region.code in first:
            where = first[region.code][1]
            text = f"{region.code} was there before" + (f" (line {where})" if where else "")
            issues.append(RegionIssue(f"{text}; remove one of the two", line=line, column="code"))
        first.setdefault(region.code, (region, line))
    for region, line in rows:
        for code in region.successors:
            if code not in first or code == region.code:
                text = f"{code} cannot follow {region.code}: name another region of this file"
                issues.append(RegionIssue(text, line=line, column="successors"))
        if region.parent is None:
            continue
        above = first.get(region.parent)
        if above is None:
            text = f"{region.code} lies in {region.parent}, which has no row; add or correct it"
            issues.append(RegionIssue(text, line=line, column="parent"))
        elif above[0].level.depth >= region.level.depth:
            text = (
                f"{region.code} is a {region.level} in {region.parent}, a {above[0].level}; "
                "the parent must be of a higher level"
            )
            issues.append(RegionIssue(text, line=line, column="level"))
    return issues + _ring_issues(first)


def _ring_issues(regions: dict[str, Row]) -> list[RegionIssue]:
    issues = []
    settled: set[str] = set()
    for code in regions:
        path: dict[str, None] = {}
        at: str | None = code
        while at is not None and at in regions and at not in settled and at not in path:
            path[at] = None
            at = regions[at][0].parent
        if at in path:
            steps = list(path)
            ring = steps[steps.index(at) :]
            text = f"parents form a ring ({' in '.join([*ring, ring[0]])}); correct one of them"
            issues.append(RegionIssue(text, line=regions[ring[0]][1], column="parent"))
        settled.update(path)
    return issues
