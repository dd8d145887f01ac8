"""CPU time that the worker's intake takes for a record, beside a bare `json.loads` of it.

The ratio of the two hardly depends on the machine or on its load: both run in turn, in one process,
and the smallest time of each counts.

    python -m benchmarks.intake [--records N] [--rounds R]
"""

from __future__ import annotations

import argparse
import gc
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.contestants.common import Record, now
from benchmarks.events import benchmark_events
from streams.config import load_configuration
from streams.ingest.intake import Intake

if TYPE_CHECKING:
    from collections.abc import Callable

_HERE = Path(__file__).resolve().parent


def main() -> None:
    """Run the benchmark and print one line for each kind of record."""
    parser = argparse.ArgumentParser(prog="benchmarks.intake", description=__doc__)
    parser.add_argument("--records", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=40)
    options = parser.parse_args()
    intake = Intake(load_configuration(_HERE / "surveillance.yaml"))
    events = benchmark_events(options.records, _HERE / "output")
    plain = [Record(n, key, value) for n, (key, value) in enumerate(events)]
    kinds = {
        "as simulated": plain,
        "with blanks": [_written(record) for record in plain],
        "with null": [_written(record, sex=None) for record in plain],
        "refused": [_written(record, region=7) for record in plain],
    }
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)  # about as the worker
    for name, records in kinds.items():
        read, bare = _smallest(intake, records, options.rounds)
        print(
            f"{name:13} intake {read:6.2f} us, json.loads {bare:5.2f} us of CPU time a record: "
            f"{read / bare:5.2f} x"
        )


def _written(record: Record, **changes: object) -> Record:
    value = json.dumps(json.loads(record.value or b"") | changes, ensure_ascii=False)
    return record._replace(value=value.encode())


def _smallest(intake: Intake, records: list[Record], rounds: int) -> tuple[float, float]:
    """Return the smallest time of intake and of `json.loads`, in microseconds a record."""
    values = [record.value or b"" for record in records]

    def read() -> None:
        intake.read("visits", records, now=now())

    def load() -> None:
        for value in values:
            json.loads(value)

    times = [(_time(read), _time(load)) for _ in range(rounds)]
    reads, loads = zip(*times, strict=True)
    return min(reads) / len(records) * 1e6, min(loads) / len(records) * 1e6


def _time(work: Callable[[], None]) -> float:
    begin = time.process_time()
    work()
    return time.process_time() - begin


if __name__ == "__main__":
    main()
