"""Verdicts as a file, and what they come to."""

from __future__ import annotations

import csv
import os
import sys
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import numpy as np

from detectors.contract import Reason
from streams.errors import FenghuoError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import TextIO

    from detectors.contract import FloatArray
    from streams.detect.reading import CountTable
    from streams.detect.running import Judged

__all__ = ["COLUMNS", "VerdictWriter", "open_verdicts"]

COLUMNS: Final = (
    "time", "region", "signal", "observed", "expected", "upper", "score", "p_value", "alarm",
    "onset", "reason",
)  # fmt: skip
_NAMES: Final = {int(reason): reason.name for reason in Reason}


class VerdictWriter:
    """Writes one row for each judged point, and counts them.

    Numbers are written as short as they can be read back without loss; a missing one is empty.
    """

    def __init__(self, file: TextIO, table: CountTable) -> None:
        self._table = table
        self._writer = csv.writer(file, lineterminator="\n")
        self._writer.writerow(COLUMNS)
        self.points = 0
        self.alarms = 0
        self.series_in_alarm = 0
        self.reasons: Counter[str] = Counter()

    def write(self, judged: Judged) -> None:
        """Write the verdicts of some series."""
        verdicts = judged.verdicts
        onset = verdicts.onset
        labels = [self._table.axis.labels[position] for position in verdicts.index.tolist()]
        for place, row in enumerate(judged.rows):
            series = self._table.series[row]
            size = len(labels)
            alarms = verdicts.alarm[place].tolist()
            reasons = [_NAMES[code] for code in verdicts.reason[place].tolist()]
            self._writer.writerows(
                zip(
                    labels,
                    [series.region] * size,
                    [series.signal] * size,
                    _texts(self._table.counts[row, verdicts.index]),
                    _texts(verdicts.expected[place]),
                    _texts(verdicts.upper[place]),
                    _texts(verdicts.score[place]),
                    _texts(verdicts.p_value[place]),
                    _truths(alarms),
                    _truths(onset[place].tolist()),
                    reasons,
                    strict=True,
                )
            )
            self.points += size
            self.alarms += sum(alarms)
            self.series_in_alarm += any(alarms)
            self.reasons.update(reasons)


@contextmanager
def open_verdicts(path: Path) -> Iterator[TextIO]:
    """Open a file that comes into being only when everything has been written; - is stdout.

    Raises
    ------
    FenghuoError
        It cannot be written.
    """
    if str(path) == "-":
        yield sys.stdout
        return
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with unfinished.open("w", encoding="utf-8", newline="") as file:
            yield file
        unfinished.replace(path)
    except OSError as error:
        raise FenghuoError(f"{path}: {error.strerror}.") from None
    finally:
        unfinished.unlink(missing_ok=True)


def _truths(values: list[bool]) -> list[str]:
    return ["true" if value else "false" for value in values]


def _texts(values: FloatArray) -> list[str]:
    return [
        "" if missing else repr(value).removesuffix(".0")
        for value, missing in zip(values.tolist(), np.isnan(values).tolist(), strict=True)
    ]
