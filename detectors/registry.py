"""Detectors by name: those of this package and those that other distributions bring along.

A rule names its detector by `type`. A distribution adds one by an entry point in the group
`fenghuo.detectors`, in its `pyproject.toml`::

    [project.entry-points."fenghuo.detectors"]
    my_chart = "my_package.charts:MyChart"

where `MyChart` implements :class:`detectors.contract.Detector` and has
`type: Literal["my_chart"] = "my_chart"`. Nothing else has to be changed.

Examples
--------
>>> parse_detector({"type": "ears", "method": "C2"}).lookback("day")
9
>>> parse_detector({"type": "eras"})  # doctest: +ELLIPSIS
Traceback (most recent call last):
...
detectors.registry.UnknownDetectorError: unknown detector type 'eras': did you mean 'ears'? ...
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import TYPE_CHECKING, cast

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from detectors.auto import Auto
from detectors.bayes import Bayes
from detectors.bayes_glm import Boda
from detectors.change_point import ChangePoint
from detectors.cusum import Cusum
from detectors.drop import Drop
from detectors.ears import Ears
from detectors.ears_nb import EarsNb
from detectors.essence_ewma import EssenceEwma
from detectors.ewma import Ewma
from detectors.farrington import Farrington
from detectors.farrington_flexible import FarringtonFlexible
from detectors.glr import GlrNb, GlrPoisson
from detectors.historical_limits import HistoricalLimits
from detectors.hmm import NbHmm
from detectors.holt_winters import HoltWinters
from detectors.mem import Mem
from detectors.outbreak_p import OutbreakP
from detectors.percentile import FixedValue, MovingPercentile
from detectors.rammie import Rammie
from detectors.regression import Regression
from detectors.rki import Rki
from detectors.shewhart import Shewhart
from detectors.stl import Stl
from detectors.switch import Switch

if TYPE_CHECKING:
    from detectors.contract import Detector

__all__ = [
    "DETECTORS",
    "ENTRY_POINT_GROUP",
    "FAMILIES",
    "BrokenDetectorError",
    "DetectorRegistry",
    "UnknownDetectorError",
    "config_schema",
    "parse_detector",
    "whole_series_parameters",
]

ENTRY_POINT_GROUP = "fenghuo.detectors"

_BUILT_IN: Mapping[str, type[Detector]] = MappingProxyType(
    {
        "auto": Auto,
        "bayes": Bayes,
        "boda": Boda,
        "change_point": ChangePoint,
        "cusum": Cusum,
        "drop": Drop,
        "ears": Ears,
        "ears_nb": EarsNb,
        "essence_ewma": EssenceEwma,
        "ewma": Ewma,
        "farrington": Farrington,
        "farrington_flexible": FarringtonFlexible,
        "fixed_value": FixedValue,
        "glr_nb": GlrNb,
        "glr_poisson": GlrPoisson,
        "historical_limits": HistoricalLimits,
        "holt_winters": HoltWinters,
        "mem": Mem,
        "moving_percentile": MovingPercentile,
        "nb_hmm": NbHmm,
        "outbreak_p": OutbreakP,
        "rammie": Rammie,
        "regression": Regression,
        "rki": Rki,
        "shewhart": Shewhart,
        "stl": Stl,
        "switch": Switch,
    }
)


FAMILIES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "Automatic choice": ("auto",),
        "A few recent counts (EARS)": ("ears", "ears_nb"),
        "Regression on past years (Farrington)": ("farrington", "farrington_flexible"),
        "Rules on past years and fixed values": (
            "bayes",
            "fixed_value",
            "historical_limits",
            "mem",
            "moving_percentile",
            "rki",
        ),
        "Control charts and likelihood ratios": (
            "cusum",
            "ewma",
            "glr_nb",
            "glr_poisson",
            "outbreak_p",
            "shewhart",
        ),
        "Days of the week, season and holidays": (
            "essence_ewma",
            "holt_winters",
            "rammie",
            "regression",
            "stl",
            "switch",
        ),
        "Bayesian and hidden-state models": ("boda", "change_point", "nb_hmm"),
        "Data quality": ("drop",),
    }
)
"""The detectors of this package by family; those of other distributions have none."""

_WHOLE_SERIES = ("start",)


class UnknownDetectorError(ValueError):
    """No detector has the `type` that was asked for."""


class BrokenDetectorError(RuntimeError):
    """An installed distribution announces a detector that cannot be used."""


class DetectorRegistry(Mapping[str, "type[Detector]"]):
    """Detector classes by their `type`.

    Names are known without importing anything; a class from another distribution is imported when
    it is looked up, so that a broken one hurts only those who use it.

    Raises
    ------
    BrokenDetectorError
        On looking up a detector that cannot be imported or does not keep the contract, and on any
        use if two detectors have the same name.

    Examples
    --------
    >>> DETECTORS["ears"].__name__
    'Ears'
    >>> "ears" in DETECTORS, "no-such-detector" in DETECTORS
    (True, False)
    """

    def __getitem__(self, name: str) -> type[Detector]:
        if name in _BUILT_IN:
            return _BUILT_IN[name]
        return _load(self._announced[name])

    def __iter__(self) -> Iterator[str]:
        return iter(sorted({*_BUILT_IN, *self._announced}))

    def __len__(self) -> int:
        return len(_BUILT_IN) + len(self._announced)

    def __contains__(self, name: object) -> bool:
        # The inherited test would import the class.
        return name in _BUILT_IN or name in self._announced

    @cached_property
    def _announced(self) -> dict[str, EntryPoint]:
        found: dict[str, EntryPoint] = {}
        for point in entry_points(group=ENTRY_POINT_GROUP):
            if point.name in _BUILT_IN or point.name in found:
                other = _origin(found[point.name]) if point.name in found else "fenghuo itself"
                raise BrokenDetectorError(
                    f"two detectors are called {point.name!r}, one from {_origin(point)} and one "
                    f"from {other}: uninstall one of them or have it renamed"
                )
            found[point.name] = point
        return found


DETECTORS = DetectorRegistry()
"""All detectors that are installed."""


def parse_detector(params: Mapping[str, object]) -> Detector:
    """Make a detector from its configuration.

    Parameters
    ----------
    params
        `type` and any parameters of that detector.

    Raises
    ------
    UnknownDetectorError
        If `type` is missing or names no installed detector.
    BrokenDetectorError
        If the detector is installed but cannot be used.
    pydantic.ValidationError
        If a parameter is unknown or has a wrong value.

    Examples
    --------
    >>> parse_detector({"type": "ears", "baseline": 14}).baseline
    14
    """
    name = params.get("type")
    if not isinstance(name, str) or name not in DETECTORS:
        raise UnknownDetectorError(_unknown(name))
    return cast("Detector", _model(DETECTORS[name]).model_validate(dict(params)))


def whole_series_parameters(detector: Detector) -> list[str]:
    """List the parameters in use that fit analyses of whole series only, and no rule.

    With `start` a chart of this package begins at a position of the panel and so depends on more
    than `lookback` steps.

    Examples
    --------
    >>> whole_series_parameters(parse_detector({"type": "cusum", "start": 52}))
    ['start']
    >>> whole_series_parameters(parse_detector({"type": "cusum", "window": 52}))
    []
    """
    ours = type(detector) in _BUILT_IN.values()
    return [name for name in _WHOLE_SERIES if ours and getattr(detector, name, None) is not None]


def config_schema() -> dict[str, object]:
    """JSON Schema (2020-12) of what :func:`parse_detector` takes, told apart by `type`.

    Examples
    --------
    >>> schema = config_schema()
    >>> schema["discriminator"]["mapping"]["ears"]
    '#/$defs/Ears'
    >>> schema["$defs"]["Ears"]["properties"]["baseline"]["minimum"]
    3
    """
    models = {name: _model(DETECTORS[name]) for name in DETECTORS}
    refs, schema = models_json_schema(
        [(model, "validation") for model in models.values()], ref_template="#/$defs/{model}"
    )
    mapping = {name: refs[model, "validation"]["$ref"] for name, model in models.items()}
    for ref in mapping.values():
        definition = schema["$defs"][ref.removeprefix("#/$defs/")]
        # As a Python argument the type has a default; in a configuration it decides the rest.
        definition["required"] = ["type", *definition.get("required", [])]
    return {
        "oneOf": [{"$ref": ref} for ref in mapping.values()],
        "discriminator": {"propertyName": "type", "mapping": mapping},
        "$defs": schema["$defs"],
    }


def _unknown(name: object) -> str:
    known = ", ".join(DETECTORS)
    if name is None:
        return f"a detector needs a `type`: one of {known}"
    close = get_close_matches(str(name), DETECTORS, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"unknown detector type {name!r}: {hint}known are {known}"


def _model(detector: type[Detector]) -> type[BaseModel]:
    # _load has made sure for foreign classes; ours are models by definition.
    return cast("type[BaseModel]", detector)


def _load(point: EntryPoint) -> type[Detector]:
    try:
        found = point.load()
    except Exception as error:  # whatever a foreign module raises while it is imported
        raise BrokenDetectorError(
            f"detector {point.name!r} from {_origin(point)} cannot be imported from "
            f"{point.value!r}: {type(error).__name__}: {error}"
        ) from error
    fault = _fault(found, point.name)
    if fault:
        raise BrokenDetectorError(
            f"detector {point.name!r} from {_origin(point)} ({point.value!r}) {fault}; "
            "detectors.contract.Detector says what a detector must do"
        )
    return cast("type[Detector]", found)


def _fault(found: object, name: str) -> str | None:
    if not (isinstance(found, type) and issubclass(found, BaseModel)):
        return "is no pydantic model class"
    field = found.model_fields.get("type")
    if field is None or field.default != name:
        return f'has no field `type: Literal["{name}"] = "{name}"`'
    absent = [method for method in ("judge", "lookback") if not hasattr(found, method)]
    if absent:
        return f"has no method {' and '.join(absent)}"
    return None


def _origin(point: EntryPoint) -> str:
    return f"distribution {point.dist.name!r}" if point.dist else "an unnamed distribution"
