"""The level of risk, from how likely an event's spread is and how grave it would be."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Final, get_args

from pydantic import AfterValidator

from schemas.alerts import Consequence, Likelihood, RiskLevel

__all__ = ["RISK_MATRIX", "RiskMatrix", "risk_level"]

_LIKELIHOODS: Final = get_args(Likelihood)
_CONSEQUENCES: Final = get_args(Consequence)
_LEVELS: Final = get_args(RiskLevel)

_Row = tuple[RiskLevel, RiskLevel, RiskLevel, RiskLevel, RiskLevel]


def _whole_and_rising(matrix: dict[Likelihood, _Row]) -> dict[Likelihood, _Row]:
    if missing := [name for name in _LIKELIHOODS if name not in matrix]:
        raise ValueError(
            f"lacks {', '.join(missing)}; write a row for each of {', '.join(_LIKELIHOODS)}"
        )
    for name in _LIKELIHOODS:
        for left, right in pairwise(range(len(_CONSEQUENCES))):
            if _rank(matrix[name][left]) > _rank(matrix[name][right]):
                raise ValueError(
                    f"{name}: {_CONSEQUENCES[right]} has a lower level than {_CONSEQUENCES[left]}; "
                    f"a row goes from {_CONSEQUENCES[0]} to {_CONSEQUENCES[-1]}"
                )
    for less, more in pairwise(_LIKELIHOODS):
        for place, consequence in enumerate(_CONSEQUENCES):
            if _rank(matrix[less][place]) > _rank(matrix[more][place]):
                raise ValueError(f"{consequence}: {more} has a lower level than {less}")
    return matrix


def _rank(level: RiskLevel) -> int:
    return _LEVELS.index(level)


#: A row for each likelihood, with the levels of the consequences from minimal to severe. The level
#: never falls as either of both rises.
RiskMatrix = Annotated[dict[Likelihood, _Row], AfterValidator(_whole_and_rising)]

#: What holds unless `alerts.risk_matrix` of the configuration says otherwise.
RISK_MATRIX: Final[dict[Likelihood, _Row]] = {
    "almost_certain": ("low", "moderate", "high", "very_high", "very_high"),
    "highly_likely": ("low", "moderate", "high", "very_high", "very_high"),
    "likely": ("low", "moderate", "high", "high", "very_high"),
    "unlikely": ("low", "low", "moderate", "high", "high"),
    "very_unlikely": ("low", "low", "moderate", "high", "high"),
}


def risk_level(
    likelihood: Likelihood, consequence: Consequence, matrix: RiskMatrix = RISK_MATRIX
) -> RiskLevel:
    """Return the level of risk that a matrix gives.

    The scales, five of likelihood and five of consequence that lead to four levels, are those of
    the World Health Organization's manual for rapid risk assessment (2012, WHO/HSE/GAR/ARO/2012.1),
    which EWARS asks for as well. The manual prints its matrix as a coloured figure. No source that
    could be read while this was written gives the colours cell by cell, so **the cells of the
    default are not verified against the figure**: compare them with the matrix that your
    institution works by, and write that one into the configuration where they differ.

    Parameters
    ----------
    matrix
        As configured; the default where it is left out.

    References
    ----------
    World Health Organization (2012). Rapid risk assessment of acute public health events.
    WHO/HSE/GAR/ARO/2012.1.

    Examples
    --------
    >>> risk_level("likely", "moderate"), risk_level("very_unlikely", "minor")
    ('high', 'low')
    """
    return matrix[likelihood][_CONSEQUENCES.index(consequence)]
