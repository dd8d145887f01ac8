"""What the R package surveillance calls our parameters, for people who come from there."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

__all__ = ["R_NAMES", "in_our_words", "name_of_r", "r_value"]

#: Its names and ours; told to those who write one of its names.
R_NAMES: Final = MappingProxyType(
    {
        "actY": "current_year",
        "b": "years_back",
        "c.ARL": "c_arl",
        "dir": "direction",
        "limit54": "min_cases and min_periods",
        "m": "baseline",
        "minSigma": "min_sigma",
        "noPeriods": "periods",
        "pThresholdTrend": "trend_alpha",
        "pastWeeksNotIncluded": "exclude_recent",
        "populationOffset": "population_offset",
        "powertrans": "power",
        "thresholdMethod": "threshold",
        "trans": "transform",
        "w": "half_window",
        "weightsThreshold": "reweight_threshold",
    }
)
_VALUES: Final = MappingProxyType(
    {
        "direction": {"inc": "up", "dec": "down", "inc,dec": "both", "dec,inc": "both"},
        "power": {"2/3": "two_thirds", "1/2": "sqrt"},
        "threshold": {"nbPlugin": "nb_plugin"},
    }
)


def r_value(parameter: str, value: object) -> str | None:
    """Return our word for a value as R writes it; None if it is no such value.

    Examples
    --------
    >>> r_value("threshold", "nbPlugin"), r_value("threshold", "muan")
    ('nb_plugin', None)
    """
    return _VALUES.get(parameter, {}).get(value) if isinstance(value, str) else None


def in_our_words(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Replace R's words for values by ours.

    Examples
    --------
    >>> in_our_words({"type": "farrington_flexible", "threshold": "nbPlugin"})
    {'type': 'farrington_flexible', 'threshold': 'nb_plugin'}
    """
    return {key: r_value(key, value) or value for key, value in parameters.items()}


def name_of_r(name: str, known: Collection[str]) -> str | None:
    """Return what a method calls R's parameter of this name; None if it has none like it.

    Examples
    --------
    >>> name_of_r("b", ["years_back"]), name_of_r("b", ["baseline"])
    ('years_back', None)
    """
    ours = R_NAMES.get(name)
    return ours if ours and ours.partition(" ")[0] in known else None
