"""Which of our detectors, with which parameters, is which method of R in the reference tables.

Examples
--------
>>> method = next(m for m in WEEKLY_METHODS if m.name == "EARS_C2")
>>> dict(method.detector)
{'type': 'ears', 'method': 'C2', 'alpha': 0.01}
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["DAILY_METHODS", "WEEKLY_METHODS", "ReferenceMethod"]

#: Weekly charts that run through the judged weeks begin with the first of them, week 576.
_FIRST_JUDGED: Final = 575


@dataclass(frozen=True, slots=True)
class ReferenceMethod:
    """A detector under the name that R's figures have in the table.

    Parameters
    ----------
    name
        Name in the column `method` of the table; any other name has no figures of R.
    detector
        `type` and parameters, as in a rule.
    silent_if_flat
        Whether steps whose baseline does not vary give no alarm, since R has missing values there.
    series
        How many series R's figures come from.
    note
        Why R's figures differ, where that is known.

    Examples
    --------
    >>> ReferenceMethod("mine", {"type": "ears"}).silent_if_flat
    False
    """

    name: str
    detector: Mapping[str, object]
    silent_if_flat: bool = False
    series: int = 2100
    note: str | None = None


def _farrington_flexible(threshold: str) -> dict[str, object]:
    return {
        "type": "farrington_flexible",
        "years_back": 5,
        "half_window": 3,
        "periods": 10,
        "trend": True,
        "trend_alpha": 1.0,
        "threshold": threshold,
        "reweight": True,
        "reweight_threshold": 2.58,
        "exclude_recent": 26,
        "alpha": 0.01,
        "power": "two_thirds",
    }


def _cusum(transform: str, baseline: str) -> dict[str, object]:
    return {
        "type": "cusum",
        "k": 1.04,
        "h": 2.26,
        "transform": transform,
        "baseline": baseline,
        "start": _FIRST_JUDGED,
    }


def _bayes(years_back: int, half_window: int, *, current_year: bool) -> dict[str, object]:
    return {
        "type": "bayes",
        "years_back": years_back,
        "half_window": half_window,
        "current_year": current_year,
        "alpha": 0.05,
    }


def _ears(method: str) -> dict[str, object]:
    return {"type": "ears", "method": method, "alpha": 0.01}


WEEKLY_METHODS: Final = (
    ReferenceMethod(
        "Farrington_orig",
        {
            "type": "farrington",
            "years_back": 5,
            "half_window": 3,
            "alpha": 0.01,
            "reweight": True,
            "trend": True,
            "power": "two_thirds",
        },
    ),
    ReferenceMethod("FF_nbPlugin_pT1", _farrington_flexible("nb_plugin")),
    # The two-sided level 0.01.
    ReferenceMethod("CDC", {"type": "historical_limits", "years_back": 5, "limit": 2.576}),
    ReferenceMethod("RKI1", {"type": "rki", "variant": 1}),
    ReferenceMethod("RKI2", {"type": "rki", "variant": 2}),
    ReferenceMethod("RKI3", {"type": "rki", "variant": 3}),
    ReferenceMethod("Bayes1", _bayes(0, 6, current_year=True)),
    ReferenceMethod("Bayes2", _bayes(1, 6, current_year=True)),
    ReferenceMethod("Bayes3", _bayes(2, 4, current_year=False)),
    ReferenceMethod("EARS_C1", _ears("C1")),
    ReferenceMethod("EARS_C2", _ears("C2")),
    ReferenceMethod("EARS_C3", _ears("C3"), silent_if_flat=True),
    ReferenceMethod("CUSUM", _cusum("standard", "mean")),
    ReferenceMethod("CUSUM_Rossi", _cusum("rossi", "mean")),
    ReferenceMethod("CUSUM_GLM", _cusum("standard", "glm")),
    ReferenceMethod("CUSUM_GLM_Rossi", _cusum("rossi", "glm")),
    ReferenceMethod(
        "GLR_Pois",
        {"type": "glr_poisson", "c_arl": 5.0, "trend": True, "start": _FIRST_JUDGED},
    ),
    ReferenceMethod(
        "OutbreakP",
        {"type": "outbreak_p", "k": 100.0, "start": 0},
        note="R's POD does not grow with the outbreak: 0.64 at k 1, 0.72 at k 10. It is what ours "
        "is if the scenarios of more than 40 cases a week (31-42) never give an alarm, so R's "
        "likelihood ratio seems to overflow there",
    ),
)
"""Methods on the weekly simulator, judged with alpha 0.01 (Bayes 0.05).

The table's PeriodicPoisGLM and PeriodicNBGLM are regressions of its authors, not of the package.
"""

DAILY_METHODS: Final = (
    ReferenceMethod("C1", _ears("C1"), series=1600),
    ReferenceMethod("C2", _ears("C2"), series=1600),
    ReferenceMethod("C3", _ears("C3"), silent_if_flat=True, series=1600),
    ReferenceMethod("FarrFlexNoufaily", _farrington_flexible("nb_plugin"), series=160),
)
"""Methods on seven-day sums of the daily simulator."""
