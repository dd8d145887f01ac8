"""The single methods that `auto` is compared with, and their parameters.

Parameters are those of the papers or of the software in which the method is used; where the
literature has several variants they are all here. A level that only sets the method's own alarms
is 0.01 (Bayes 0.05): at matched false-positive rates it has no influence.

Examples
--------
>>> [one.name for one in contenders("week") if one.detector["type"] == "rki"]
['rki 1', 'rki 2', 'rki 3']
>>> contenders("day")[0].name
'auto'
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from detectors.registry import parse_detector

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from detectors.contract import Detector, Grain

__all__ = ["AUTO", "FIRST", "LEFT_OUT", "Contender", "contenders"]

FIRST: Final = "first judged"
"""Stands for the position of the first judged step: charts begin there, as they do in R."""
#: Parameters that no longer history than there is may be asked for.
_HISTORY: Final = "training"


@dataclass(frozen=True, slots=True)
class Contender:
    """A method with its parameters.

    Parameters
    ----------
    name
        Unique on its data set.
    detector
        `type` and parameters, as in a rule; a `start` may be :data:`FIRST`.
    sums
        Whether it judges sums over the latest seven days in place of days.
    share
        Part of the series it is run on, at random: slow methods get fewer. `auto` is compared on
        the same ones.

    Examples
    --------
    >>> Contender("mine", {"type": "ears"}).share
    1.0
    """

    name: str
    detector: Mapping[str, object]
    sums: bool = False
    share: float = 1.0

    def make(self, first: int) -> Detector:
        """Make the detector for series whose first judged step is `first`.

        Examples
        --------
        >>> Contender("mine", {"type": "cusum", "start": FIRST}).make(575).start
        575
        """
        given = {key: first if value == FIRST else value for key, value in self.detector.items()}
        training = given.get(_HISTORY)
        if isinstance(training, int):
            given[_HISTORY] = min(training, first)
        return parse_detector(given)


AUTO: Final = Contender("auto", {"type": "auto", "alpha": 0.01})

LEFT_OUT: Final[Mapping[str, str]] = {
    "drop": "finds counts that are too low",
}
"""Methods that are not compared, and why."""


def contenders(grain: Grain) -> tuple[Contender, ...]:
    """Return the methods for weekly ("week") or daily ("day") series, `auto` first.

    Examples
    --------
    >>> contenders("week")[0].name
    'auto'
    """
    if grain == "day":
        return (AUTO, *_daily())
    return (AUTO, *_weekly())


def _flexible(**changed: object) -> dict[str, object]:
    return {
        "type": "farrington_flexible",
        "threshold": "nb_plugin",
        "alpha": 0.01,
        **changed,
    }


def _variants(
    kind: str, values: tuple[object, ...], key: str, **more: object
) -> Iterator[Contender]:
    for value in values:
        yield Contender(f"{kind} {value}", {"type": kind, key: value, **more})


def _bayes() -> Iterator[Contender]:
    for number, years, half, current in ((1, 0, 6, True), (2, 1, 6, True), (3, 2, 4, False)):
        yield Contender(
            f"bayes {number}",
            {
                "type": "bayes",
                "years_back": years,
                "half_window": half,
                "current_year": current,
                "alpha": 0.05,
            },
        )


def _ears() -> Iterator[Contender]:
    yield from _variants("ears", ("C1", "C2", "C3"), "method", alpha=0.01)
    yield Contender(
        "ears C3 published",
        {"type": "ears", "method": "C3", "c3_rule": "published", "alpha": 0.01},
    )
    yield Contender("ears C2 28", {"type": "ears", "method": "C2", "baseline": 28, "alpha": 0.01})
    yield from _variants("ears_nb", ("C1", "C2", "C3"), "method", alpha=0.01)


def _cusum() -> Iterator[Contender]:
    for transform in ("standard", "rossi", "anscombe"):
        for baseline in ("mean", "glm"):
            yield Contender(
                f"cusum {transform} {baseline}",
                {"type": "cusum", "transform": transform, "baseline": baseline, "start": FIRST},
            )


def _shewhart(baseline: int) -> Iterator[Contender]:
    for law in ("poisson", "nb", "gaussian"):
        yield Contender(
            f"shewhart {law}", {"type": "shewhart", "distribution": law, "baseline": baseline}
        )


def _ewma(**more: object) -> Iterator[Contender]:
    for law in ("poisson", "gaussian"):
        yield Contender(f"ewma {law}", {"type": "ewma", "distribution": law, **more})


def _weekly() -> Iterator[Contender]:
    yield Contender("farrington", {"type": "farrington", "alpha": 0.01})
    yield Contender(
        "farrington, no power",
        {"type": "farrington", "alpha": 0.01, "power": "none"},
    )
    yield Contender("farrington_flexible nb_plugin", _flexible())
    yield Contender("farrington_flexible muan", _flexible(threshold="muan"))
    yield Contender("farrington_flexible delta", _flexible(threshold="delta"))
    yield Contender("farrington_flexible nb_plugin, no trend", _flexible(trend=False))
    yield Contender("farrington_flexible nb_plugin, 10 years", _flexible(years_back=10))
    yield Contender("historical_limits", {"type": "historical_limits", "limit": 2.576})
    yield Contender(
        "historical_limits 1 week", {"type": "historical_limits", "limit": 2.576, "steps": 1}
    )
    yield from _variants("rki", (1, 2, 3), "variant")
    yield from _bayes()
    yield from _ears()
    yield from _cusum()
    yield Contender(
        "cusum rossi glm, window", {"type": "cusum", "transform": "rossi", "baseline": "glm"}
    )
    chart = {"trend": True, "start": FIRST, "training": 520}
    yield Contender("glr_poisson", {"type": "glr_poisson", **chart})
    yield Contender("glr_nb", {"type": "glr_nb", **chart})
    yield Contender("glr_poisson, window", {"type": "glr_poisson", "trend": True}, share=0.5)
    yield Contender("outbreak_p", {"type": "outbreak_p", "start": 0})
    yield Contender("outbreak_p, window", {"type": "outbreak_p"})
    yield Contender("boda", {"type": "boda", "years_back": 5}, share=0.5)
    yield Contender("nb_hmm", {"type": "nb_hmm"}, share=0.25)
    yield Contender("change_point", {"type": "change_point"}, share=0.25)
    yield from _shewhart(52)
    yield from _ewma(training=104)
    yield Contender("essence_ewma", {"type": "essence_ewma", "sudden": None})
    yield Contender("holt_winters", {"type": "holt_winters"})
    yield Contender(
        "holt_winters, year",
        {"type": "holt_winters", "season": 52, "window": 260, "startup": 104, "errors": 104},
    )
    yield Contender("stl", {"type": "stl"}, share=0.5)
    yield Contender("stl, year", {"type": "stl", "season": 52, "window": 260}, share=0.2)
    yield Contender("mem", {"type": "mem"})
    yield Contender("moving_percentile", {"type": "moving_percentile"})
    yield Contender("fixed_value", {"type": "fixed_value"})
    yield Contender("regression", {"type": "regression"})
    yield Contender(
        "regression 3 years, season", {"type": "regression", "baseline": 156, "harmonics": 1}
    )
    yield Contender("switch", {"type": "switch", "sudden": None})
    yield Contender("rammie", {"type": "rammie", "window": 208})


def _daily() -> Iterator[Contender]:
    weeks: dict[str, object] = {"exclude_recent": 182, "half_window": 21}
    for sums in (False, True):
        yield from _on_days(weeks, sums=sums)


def _on_days(weeks: dict[str, object], *, sums: bool) -> Iterator[Contender]:
    """Methods that are used on days as well as on sums over seven days."""
    both = [
        *_ears(),
        Contender("farrington_flexible nb_plugin", _flexible()),
        Contender("farrington", {"type": "farrington", "alpha": 0.01}),
        Contender(
            "historical_limits 1 day", {"type": "historical_limits", "limit": 2.576, "steps": 1}
        ),
        *_variants("rki", (1, 2, 3), "variant"),
        *_bayes(),
        *_cusum(),
        *_shewhart(28),
        *_ewma(),
        Contender("essence_ewma", {"type": "essence_ewma", "sudden": None}),
        Contender("essence_ewma, sudden too", {"type": "essence_ewma", "sudden": 0.9}),
        Contender("outbreak_p, window", {"type": "outbreak_p"}),
        Contender("holt_winters", {"type": "holt_winters"}),
        Contender("holt_winters additive", {"type": "holt_winters", "form": "additive"}),
        Contender("stl", {"type": "stl"}),
    ]
    days_only = [
        Contender("farrington_flexible nb_plugin, wide", _flexible(**weeks)),
        Contender("farrington_flexible muan", _flexible(threshold="muan"), share=0.25),
        Contender("farrington_flexible delta", _flexible(threshold="delta"), share=0.25),
        Contender("rammie", {"type": "rammie"}, share=0.5),
        Contender("regression", {"type": "regression"}),
        Contender("regression 1 year", {"type": "regression", "baseline": 364, "harmonics": 1}),
        Contender("switch", {"type": "switch", "sudden": None}),
        Contender("switch, sudden too", {"type": "switch", "sudden": 0.9}),
        Contender("historical_limits", {"type": "historical_limits", "limit": 2.576}),
        Contender("glr_poisson", {"type": "glr_poisson", "start": FIRST}),
        Contender("glr_nb", {"type": "glr_nb", "start": FIRST}),
        Contender("boda", {"type": "boda"}, share=0.1),
        Contender("nb_hmm", {"type": "nb_hmm"}, share=0.15),
        Contender("change_point", {"type": "change_point"}, share=0.15),
        Contender("mem", {"type": "mem"}),
        Contender("moving_percentile", {"type": "moving_percentile"}),
        Contender("fixed_value", {"type": "fixed_value"}),
    ]
    chosen = both if sums else [*both, *days_only]
    for one in chosen:
        name = f"{one.name}, 7-day sums" if sums else one.name
        yield Contender(name, one.detector, sums=sums, share=one.share)
