"""Populations that are not known at every step: one rule for all methods.

A population is often given once a year. A missing one is taken to be that of the latest step before
it at which it is known, or else of the first such step after it; only steps from the beginning of
the method's history up to the judged one count. Where none is known there, all are taken as equal.

Examples
--------
>>> import numpy as np
>>> people = np.array([[np.nan, 10.0, np.nan, 20.0]])
>>> relative_to_judged(people)
array([[0.5, 0.5, 0.5, 1. ]])
>>> CarriedPopulation(people).at(np.array([0]), np.array([0]), np.array([0]), np.array([2]))
array([10.])
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from detectors.contract import FloatArray, Positions

__all__ = ["CarriedPopulation", "relative_to_judged"]


def relative_to_judged(people: FloatArray) -> FloatArray:
    """Fill windows `[problem, step]`, and divide each by its last step, the judged one."""
    step = np.arange(people.shape[1])
    known = ~np.isnan(people)
    latest = np.maximum.accumulate(np.where(known, step, -1), axis=1)
    source = np.where(latest >= 0, latest, known.argmax(axis=1)[:, None])
    filled = np.take_along_axis(people, source, axis=1)
    filled[~known.any(axis=1)] = 1.0
    relative: FloatArray = filled / filled[:, -1:]
    return relative


class CarriedPopulation:
    """Populations of series, shape `[series, time]`, to be read step by step.

    Unlike :func:`relative_to_judged` it copies no windows.
    """

    def __init__(self, population: FloatArray) -> None:
        self._population = population
        steps = population.shape[1]
        step, known = np.arange(steps), ~np.isnan(population)
        self._before = np.maximum.accumulate(np.where(known, step, -1), axis=1)
        ahead = np.where(known, step, steps)[:, ::-1]
        self._after = np.minimum.accumulate(ahead, axis=1)[:, ::-1]

    def at(
        self, series: Positions, step: Positions, first: Positions, judged: Positions
    ) -> FloatArray:
        """Return the populations at some steps, with those from `first` to `judged` to fill from.

        The arguments are broadcast; steps before the panel are allowed.
        """
        inside = np.maximum(step, 0)
        before = np.where(step < 0, -1, self._before[series, inside])
        after = self._after[series, inside]
        use_before = (before >= first) & (before >= 0)
        source = np.where(use_before, before, np.where(after <= judged, after, 0))
        known = use_before | (after <= judged)
        return np.where(known, self._population[series, source], 1.0)
