"""The level of risk, from how likely an event's spread is and how grave it would be. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from schemas.alerts import Consequence, Likelihood, RiskLevel

__all__ = ["risk_level"]

_CONSEQUENCES: Final[tuple[Consequence, ...]] = (
    "minimal",
    "minor",
    "moderate",
    "major",
    "severe",
)
#: The matrix of rapid risk assessment: a row for each likelihood, columns from minimal to severe.
_MATRIX: Final[dict[Likelihood, tuple[RiskLevel, ...]]] = {
    "almost_certain": ("low", "moderate", "high", "very_high", "very_high"),
    "highly_likely": ("low", "moderate", "high", "very_high", "very_high"),
    "likely": ("low", "moderate", "high", "high", "very_high"),
    "unlikely": ("low", "low", "moderate", "high", "high"),
    "very_unlikely": ("low", "low", "moderate", "high", "high"),
}


def risk_level(likelihood: Likelihood, consequence: Consequence) -> RiskLevel:
    """Return the level of risk, after the scales of WHO's manual.

    World Health Organization (2012). Rapid risk assessment of acute public health events.
    WHO/HSE/GAR/ARO/2012.1.

    Examples
    --------
    >>> risk_level("likely", "moderate"), risk_level("very_unlikely", "minor")
    ('high', 'low')
    """
    return _MATRIX[likelihood][_CONSEQUENCES.index(consequence)]
