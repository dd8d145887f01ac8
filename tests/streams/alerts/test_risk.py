from __future__ import annotations

from itertools import pairwise
from typing import get_args

from schemas.alerts import Consequence, Likelihood, RiskLevel
from streams.alerts.risk import risk_level

LEVELS = get_args(RiskLevel)
LIKELIHOODS = get_args(Likelihood)
CONSEQUENCES = get_args(Consequence)


def level(likelihood: Likelihood, consequence: Consequence) -> int:
    return int(LEVELS.index(risk_level(likelihood, consequence)))


def test_the_risk_never_falls_as_likelihood_or_consequence_rise() -> None:
    for consequence in CONSEQUENCES:
        for low, high in pairwise(LIKELIHOODS):
            assert level(low, consequence) <= level(high, consequence)
    for likelihood in LIKELIHOODS:
        for low, high in pairwise(CONSEQUENCES):
            assert level(likelihood, low) <= level(likelihood, high)


def test_the_corners() -> None:
    assert risk_level("very_unlikely", "minimal") == "low"
    assert risk_level("almost_certain", "severe") == "very_high"
    assert risk_level("likely", "moderate") == "high"
    assert risk_level("unlikely", "moderate") == "moderate"
