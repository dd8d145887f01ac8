"""Loading the configuration file; every error names file, line, key and remedy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from detectors.registry import (
    DETECTORS,
    BrokenDetectorError,
    UnknownDetectorError,
    parse_detector,
    whole_series_parameters,
)
from schemas.config import Surveillance
from schemas.regions import RegionLevel, RegionRegistry, RegionRegistryError
from streams.configuration.document import line_of, plain_content, read_document
from streams.configuration.doubts import doubts
from streams.configuration.plain import known_keys, plain_problems
from streams.configuration.punctuation import mend_decimals, punctuation_problems
from streams.configuration.r_words import in_our_words, name_of_r
from streams.errors import ConfigError
from streams.notify.checking import notify_problems

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ruamel.yaml.comments import CommentedMap

    from detectors.contract import Detector
    from streams.configuration.plain import Problem

__all__ = ["Configuration", "load_configuration"]

_DEFAULT_REGIONS: Final = Surveillance.model_fields["regions"].default


@dataclass(frozen=True)
class Configuration:
    """A checked configuration with what it refers to: registry and detectors."""

    surveillance: Surveillance
    regions: RegionRegistry
    detectors: Mapping[str, Detector]
    #: Fingerprint of the surveillance part; stored with verdicts and alerts.
    version: str
    #: What can be done but is unlikely to be meant: ``file:line: key: text``.
    doubts: tuple[str, ...] = ()


def load_configuration(path: Path) -> Configuration:
    """Read and check a configuration file.

    Raises
    ------
    ConfigError
        With all problems of the file, one a line: ``file:line: key: problem and remedy``.
    """
    document = read_document(path)
    problems = [*mend_decimals(document), *punctuation_problems(document)]
    content = plain_content(document)
    surveillance = None
    try:
        surveillance = Surveillance.model_validate(content)
    except ValidationError as error:
        problems.extend(plain_problems(error, Surveillance))
    # Looked at one by one, so that one mistake does not hide those elsewhere.
    registry = _load_registry(path, content.get("regions", _DEFAULT_REGIONS), problems)
    detectors = _check_rules(content, registry, problems)
    if surveillance is not None and registry is not None:
        problems.extend(notify_problems(surveillance, registry, path.parent))
    if problems or surveillance is None or registry is None:
        raise ConfigError("\n".join(_told(path, document, problems)))
    remarks = _told(path, document, doubts(surveillance, detectors))
    return Configuration(surveillance, registry, detectors, surveillance.version, tuple(remarks))


def _load_registry(path: Path, name: Any, problems: list[Problem]) -> RegionRegistry | None:
    if not isinstance(name, str):
        return None  # its shape has been complained of
    source = str(path.parent / name) if name.endswith(".csv") else name
    try:
        return RegionRegistry.load(source)
    except (RegionRegistryError, OSError) as error:
        problems.append((("regions",), str(error)))
        return None


def _check_rules(
    content: Mapping[str, Any], registry: RegionRegistry | None, problems: list[Problem]
) -> dict[str, Detector]:
    """Make the rules' detectors, and note what the shape of the file alone does not tell."""
    detectors: dict[str, Detector] = {}
    for name, rule in _mapping(content.get("rules")).items():
        key = ("rules", name)
        params = _mapping(rule).get("detector")
        if isinstance(params, dict):
            detector = _detector((*key, "detector"), params, problems)
            if detector is not None:
                detectors[name] = detector
        level = _mapping(rule).get("level")
        if registry is not None and level in list(RegionLevel):
            problems.extend(_level_without_regions((*key, "level"), level, registry))
        problems.extend(_unknown_signal((*key, "signal"), rule, content, problems))
    return detectors


def _detector(
    key: tuple[str, ...], params: Mapping[str, Any], problems: list[Problem]
) -> Detector | None:
    kind = params.get("type")
    try:
        detector = parse_detector(in_our_words(params))
    except (UnknownDetectorError, BrokenDetectorError) as error:
        problems.append(((*key, "type"), str(error)))
    except ValidationError as error:
        model: Any = DETECTORS[str(kind)]
        for loc, text in plain_problems(error, model):
            ours = name_of_r(str(loc[0]), known_keys(model, ())) if loc else None
            hint = f"is no key here; what R calls {loc[0]} is {ours}" if ours else text
            problems.append(((*key, *loc), hint))
    else:
        problems.extend(_whole_series_only(key, detector))
        return detector
    return None


def _whole_series_only(key: tuple[str, ...], detector: Detector) -> list[Problem]:
    """Refuse a `start`: a rule sees the history that its detector asks for, not all of it."""
    text = (
        "is for analyses of whole files with fenghuo detect: it counts from the first step of a "
        "file, and a rule sees recent steps only; remove it{}"
    )
    length = ", and set `window` to the steps of a chart" if hasattr(detector, "window") else ""
    return [((*key, name), text.format(length)) for name in whole_series_parameters(detector)]


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _level_without_regions(
    key: tuple[str, ...], level: str, registry: RegionRegistry
) -> list[Problem]:
    present = {region.level for region in registry}
    if level in present:
        return []
    has = ", ".join(known for known in RegionLevel if known in present)
    return [(key, f"{registry.name} has no region of level {level}; it has {has}")]


def _unknown_signal(
    key: tuple[str, ...], rule: Any, content: Mapping[str, Any], problems: list[Problem]
) -> list[Problem]:
    """Look for the signal also where the file's shape is wrong, and pydantic did not."""
    signals = _mapping(content.get("signals"))
    signal = _mapping(rule).get("signal")
    if not signals or not isinstance(signal, str) or signal in signals:
        return []  # without signals, that is what is told
    if any(key == loc for loc, _ in problems):
        return []
    return [(key, f"{signal!r} is no signal; defined are {', '.join(signals)}")]


def _told(path: Path, document: CommentedMap, problems: list[Problem]) -> list[str]:
    # Of one place the first is told: what others say follows from it.
    first: dict[tuple[str | int, ...], str] = {}
    for loc, text in problems:
        first.setdefault(loc, text)
    placed = sorted(
        (line_of(document, loc), ".".join(map(str, loc)), text) for loc, text in first.items()
    )
    return [
        f"{path}:{line}: {key}: {text}" if key else f"{path}:{line}: {text}"
        for line, key, text in placed
    ]
