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
    period
        Steps that R was told make a year; None where they are the simulator's.
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
    period: int | None = None
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
    ReferenceMethod(
        "CDC",
        {"type": "historical_limits", "years_back": 5, "limit": 2.576},
        note="unexplained. R detects less at the same false-positive rate. With the limit of a "
        "prediction, 2.576 sqrt(1 + 1/15) = 2.66, ours has FPR 0.050 and POD 0.53: nearer in POD, "
        "farther in FPR",
    ),
    ReferenceMethod(
        "PeriodicNBGLM",
        {"type": "boda", "years_back": 10, "harmonics": 1, "trend": True, "alpha": 0.01},
        note="R's figures are of a negative-binomial regression of the table's authors, not of "
        "the package; ours is the nearest method here, Bayesian with the same terms",
    ),
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

The table's PeriodicPoisGLM is a regression of its authors, not of the package, and not of ours.
"""

_DAILY_NOTE: Final = (
    "the days of R's bank holidays are not known; they move the false-positive rate of C2 and C3, "
    "0.17 and 0.19 here. R detects outbreaks of size 2 a little later and less often than ours: "
    "unexplained"
)

DAILY_METHODS: Final = (
    ReferenceMethod("C1", _ears("C1"), series=1600, note=_DAILY_NOTE),
    ReferenceMethod("C2", _ears("C2"), series=1600, note=_DAILY_NOTE),
    ReferenceMethod("C3", _ears("C3"), silent_if_flat=True, series=1600, note=_DAILY_NOTE),
    ReferenceMethod(
        "FarrFlexNoufaily",
        _farrington_flexible("nb_plugin"),
        series=160,
        period=365,
        note="the parameters of R's run are not told. Of those tried (3 to 6 years back; half "
        "windows 3, 7, 21; 1 or 10 periods; trend always, tested, never; 26 or 182 days left out; "
        "delta, nb_plugin, muan; levels 0.01, 0.005; years of 364 or 365 days), these and a year "
        "of 365 days agree; with 364 days, the simulator's own year, the false-positive rate is "
        "0.012 and the POD at k = 2 is 0.75",
    ),
)
"""Methods on seven-day sums of the daily simulator."""
