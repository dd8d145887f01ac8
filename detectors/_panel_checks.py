"""Checks of what a panel is made of; every message says what is wrong and how to mend it.

Examples
--------
>>> import numpy as np
>>> check_counts(np.array([[1.0, -2.0]]))  # doctest: +ELLIPSIS
Traceback (most recent call last):
...
ValueError: counts must not be negative, got -2 at series 0, time 1 (1 in all): ...
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from detectors._calendar import STEP_DAYS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detectors.contract import FloatArray, Grain

__all__ = ["check_counts", "check_dates", "check_period", "check_population"]

# The square of this, summed over any history, is still finite.
_MAX_COUNT = 1e100


def check_counts(counts: FloatArray) -> None:
    """Raise unless counts are a float64 matrix of numbers in range or NaN."""
    _check_float64("counts", counts)
    if counts.ndim != 2:  # noqa: PLR2004 - series and time
        raise ValueError(f"counts must have the shape [series, time], got {counts.shape}")
    # NaN compares as False, so both tests pass over missing values.
    for wrong, what in ((counts < 0, "negative"), (counts > _MAX_COUNT, f"above {_MAX_COUNT:g}")):
        if wrong.any():
            series, time = (int(axis[0]) for axis in np.nonzero(wrong))
            raise ValueError(
                f"counts must not be {what}, got {counts[series, time]:g} at series {series}, "
                f"time {time} ({int(wrong.sum())} in all): correct them or set them to NaN"
            )


def check_dates(dates: NDArray[np.datetime64], times: int, grain: Grain) -> None:
    """Raise unless dates are days, one per step and exactly one step apart."""
    if not isinstance(dates, np.ndarray) or dates.dtype != np.dtype("datetime64[D]"):
        found = getattr(dates, "dtype", type(dates).__name__)
        raise ValueError(f"dates must be a datetime64[D] array, got {found}")
    if dates.shape != (times,):
        raise ValueError(f"dates must have the shape [time] = ({times},), got {dates.shape}")
    if np.isnat(dates).any():
        raise ValueError(f"dates must not be missing, got NaT at {int(np.isnat(dates).argmax())}")
    if grain == "month":
        steps, unit = np.diff(dates.astype("datetime64[M]")).astype(np.int64), 1
    else:
        steps, unit = np.diff(dates).astype(np.int64), STEP_DAYS[grain]
    if (steps != unit).any():
        gap = int((steps != unit).argmax())
        raise ValueError(
            f"dates must be one {grain} step apart, got {dates[gap]} followed by "
            f"{dates[gap + 1]}: sort them, and fill gaps with NaN counts"
        )


def check_period(period: int | None, *, dated: bool) -> None:
    """Raise unless the period is a positive whole number on an integer time axis."""
    if period is None:
        return
    if dated:
        raise ValueError("period is for integer time only: leave it out, or leave out dates")
    if isinstance(period, bool) or not isinstance(period, int) or period < 1:
        raise ValueError(f"period must be a positive number of steps in a year, got {period!r}")


def check_population(population: FloatArray, shape: tuple[int, ...]) -> None:
    """Raise unless the population is positive and shaped like the counts."""
    _check_float64("population", population)
    if population.shape != shape:
        raise ValueError(
            f"population must have the shape of counts, {shape}, got {population.shape}"
        )
    if (population <= 0).any() or np.isinf(population).any():
        raise ValueError("population must be positive and finite: set unknown values to NaN")


def _check_float64(name: str, array: object) -> None:
    if not isinstance(array, np.ndarray) or array.dtype != np.float64:
        found = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
        raise ValueError(
            f"{name} must be a float64 array, got {found}: convert with .astype(np.float64)"
        )
