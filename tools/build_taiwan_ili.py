"""Pack the weekly Taiwan RODS counts into the compact file that the demo ships.

Usage: ``python tools/build_taiwan_ili.py VISITS.csv streams/demo/data/taiwan_ili_2007_2010.csv.gz``

One row per county and ISO week, one column per age group; an empty cell is a week without record.
The output is byte-identical for equal input.
"""

from __future__ import annotations

import csv
import gzip
import io
import sys
from pathlib import Path

AGE_GROUPS = ("0-6", "7-12", "13-18", "19-64", "65+")
LAST_YEAR = 2010


def main(source: Path, target: Path) -> None:
    """Read the source file and write the target file."""
    table: dict[tuple[int, int, str], dict[str, int]] = {}
    with source.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            key = int(row["year"]), int(row["week"]), row["county"]
            if key[0] <= LAST_YEAR:
                table.setdefault(key, {})[row["age_group"]] = int(row["ili_visits"])
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["year", "week", "county", *AGE_GROUPS])
    for key in sorted(table):
        writer.writerow([*key, *(table[key].get(group, "") for group in AGE_GROUPS)])
    target.write_bytes(gzip.compress(text.getvalue().encode(), compresslevel=9, mtime=0))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
