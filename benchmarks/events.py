"""The events that all contestants read: simulated visits, the same bytes in every run."""

from __future__ import annotations

import struct
from datetime import date
from itertools import islice
from typing import TYPE_CHECKING

from streams.simulate import SimulationPlan, simulate
from streams.simulate.plan import RegionsOfRegistry, Volume

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["REGIONS", "benchmark_events"]

#: County codes over which the events spread.
REGIONS = 320
_DAILY = 60.0  # visits of a county and day
_FIRST_DAY = date(2026, 1, 5)
_SIZES = struct.Struct("<HI")


def benchmark_events(count: int, cache: Path) -> list[tuple[bytes, bytes]]:
    """Return keys and values of visits in order of publication.

    Repeats, corrections, cancellations, late and overtaken records come in the simulator's default
    shares. The events are kept in a file, since simulating takes longer than ingesting.

    Parameters
    ----------
    count
        Records wanted.
    cache
        Folder for the file.
    """
    path = cache / f"visits-{count}.bin"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            for key, value in islice(_simulated(count), count):
                file.write(_SIZES.pack(len(key), len(value)) + key + value)
        part.rename(path)
    return list(_read(path))


def _simulated(count: int) -> Iterator[tuple[bytes, bytes]]:
    plan = SimulationPlan(
        seed=2009,
        start=_FIRST_DAY,
        days=int(count / (REGIONS * _DAILY)) + 3,
        regions=RegionsOfRegistry(registry="cn", limit=REGIONS),
        visits=Volume(daily_mean=_DAILY),
        sales=Volume(daily_mean=0),
    )
    for record in simulate(plan):
        yield record.region.encode(), record.value


def _read(path: Path) -> Iterator[tuple[bytes, bytes]]:
    data = path.read_bytes()
    at = 0
    while at < len(data):
        key_size, value_size = _SIZES.unpack_from(data, at)
        middle = at + _SIZES.size + key_size
        yield data[at + _SIZES.size : middle], data[middle : middle + value_size]
        at = middle + value_size
