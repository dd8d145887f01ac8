"""Reduce hourly sales of one pharmacy to the small profile that the demo ships.

Usage: ``python tools/build_pharmacy_profile.py HOURLY.csv streams/demo/data/pharmacy_profile.json``

The input has the columns ``hour`` (ISO 8601, local) and one column per ATC group with packs sold.
Only sums over three years leave this script; no single sale can be read from them.
"""

from __future__ import annotations

import csv
import json
import sys
from collections import Counter
from datetime import datetime
from pathlib import Path

SOURCE = "M. Zdravkovic, Pharma sales data: hourly sales of one pharmacy in Serbia, 2014-2016"
#: Sleeping pills and tranquillisers say nothing about infectious disease.
LEFT_OUT = {"N05B", "N05C"}
ANTIPYRETIC = "N02BE"
#: An hour that sold at most this many packs is taken for one receipt.
QUIET = 3.0
RAREST = 0.001


def main(source: Path, target: Path) -> None:
    """Read the source file and write the target file."""
    by_hour = [0.0] * 24
    by_weekday = [0.0] * 7
    by_group: Counter[str] = Counter()
    quantities: Counter[float] = Counter()
    days: Counter[int] = Counter()
    seen = set()
    with source.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            hour = datetime.fromisoformat(row.pop("hour"))
            sold = {group: float(packs) for group, packs in row.items() if group not in LEFT_OUT}
            if hour.date() not in seen:
                seen.add(hour.date())
                days[hour.weekday()] += 1
            by_hour[hour.hour] += sold[ANTIPYRETIC]
            by_weekday[hour.weekday()] += sold[ANTIPYRETIC]
            by_group.update(sold)
            if 0 < sold[ANTIPYRETIC] <= QUIET:
                quantities[round(sold[ANTIPYRETIC], 2)] += 1
    per_day = [total / days[weekday] for weekday, total in enumerate(by_weekday)]
    kept = {q: n for q, n in sorted(quantities.items()) if n >= RAREST * quantities.total()}
    profile = {
        "source": SOURCE,
        "method": (
            f"Shares of packs sold; hour and weekday (Monday first, mean 1) of {ANTIPYRETIC}. "
            f"Quantities: {ANTIPYRETIC} totals of hours with at most {QUIET:g} packs, as the "
            "nearest thing to a receipt line. Made by tools/build_pharmacy_profile.py."
        ),
        "hour_share": [round(total / sum(by_hour), 5) for total in by_hour],
        "weekday_factor": [round(7 * mean / sum(per_day), 4) for mean in per_day],
        "group_share": {g: round(q / by_group.total(), 5) for g, q in sorted(by_group.items())},
        "quantity_share": {f"{q:g}": round(n / sum(kept.values()), 5) for q, n in kept.items()},
    }
    target.write_text(json.dumps(profile, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
