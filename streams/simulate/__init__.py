"""Simulated events with known truth.

A `SimulationPlan` says what to simulate; `simulate` generates the records in the order in which
they are published, with the nuisances of real sources: late, repeated, corrected, cancelled,
overtaken and broken records. `final_events` and `outbreak_truth` tell what a pipeline should count
and what a detector should find.
"""

from __future__ import annotations

from streams.simulate.final import FinalEvent, final_events
from streams.simulate.generate import TRUTH_OF_BASELINE, SimulatedRecord, simulate
from streams.simulate.plan import InjectedOutbreak, SimulationPlan
from streams.simulate.publish import MALFORMED
from streams.simulate.rates import OutbreakTruth, outbreak_truth

__all__ = [
    "MALFORMED",
    "TRUTH_OF_BASELINE",
    "FinalEvent",
    "InjectedOutbreak",
    "OutbreakTruth",
    "SimulatedRecord",
    "SimulationPlan",
    "final_events",
    "outbreak_truth",
    "simulate",
]
