"""Loading the configuration file; every error names file, line, key and remedy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedBase, CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from detectors.registry import (
    BrokenDetectorError,
    UnknownDetectorError,
    parse_detector,
    whole_series_parameters,
)
from schemas.config import Surveillance
from schemas.regions import RegionLevel, RegionRegistry, RegionRegistryError
from streams.errors import ConfigError
from streams.notify.checking import notify_problems

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from detectors.contract import Detector

__all__ = ["Configuration", "load_configuration"]


@dataclass(frozen=True)
class Configuration:
    """A checked configuration with what it refers to: registry and detectors."""

    surveillance: Surveillance
    regions: RegionRegistry
    detectors: Mapping[str, Detector]
    #: Fingerprint of the surveillance part; stored with verdicts and alerts.
    version: str


def load_configuration(path: Path) -> Configuration:
    """Read and check a configuration file.

    Raises
    ------
    ConfigError
        With all problems of the file, one a line: ``file:line: key: problem and remedy``.
    """
    document = _read_yaml(path)
    content = _plain(document)
    problems: list[_Problem] = []
    surveillance = None
    try:
        surveillance = Surveillance.model_validate(content)
    except ValidationError as error:
        problems.extend(_problems(error))
    # Looked at one by one, so that one mistake does not hide those elsewhere.
    registry = _load_registry(path, content.get("regions", _DEFAULT_REGIONS), problems)
    detectors = _check_rules(content, registry, problems)
    if surveillance is not None and registry is not None:
        problems.extend(notify_problems(surveillance, registry, path.parent))
    if problems or surveillance is None or registry is None:
        raise _config_error(path, document, problems)
    return Configuration(surveillance, registry, detectors, surveillance.version)


_DEFAULT_REGIONS = Surveillance.model_fields["regions"].default
_Problem = tuple[tuple[str | int, ...], str]


def _read_yaml(path: Path) -> CommentedMap:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"{path}: {error.strerror}. Name the file with --config or FENGHUO_CONFIG."
        ) from None
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise ConfigError(f"{path}:{line}: not UTF-8; save the file as UTF-8") from None
    try:
        document = YAML(typ="rt").load(text)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        problem = str(error.problem).partition(" with value ")[0]
        raise ConfigError(f"{path}:{line}: not valid YAML: {problem}") from None
    except YAMLError as error:
        raise ConfigError(f"{path}:1: not valid YAML: {error}") from None
    if not isinstance(document, CommentedMap):
        raise ConfigError(f"{path}:1: the file must hold keys such as name, signals and rules")
    return document


def _plain(node: Any) -> Any:
    if isinstance(node, CommentedMap):
        return {str(key): _plain(value) for key, value in node.items()}
    if isinstance(node, CommentedSeq):
        return [_plain(value) for value in node]
    return node


def _load_registry(path: Path, name: Any, problems: list[_Problem]) -> RegionRegistry | None:
    if not isinstance(name, str):
        return None  # its shape has been complained of
    source = str(path.parent / name) if name.endswith(".csv") else name
    try:
        return RegionRegistry.load(source)
    except (RegionRegistryError, OSError) as error:
        problems.append((("regions",), str(error)))
        return None


def _check_rules(
    content: Mapping[str, Any], registry: RegionRegistry | None, problems: list[_Problem]
) -> dict[str, Detector]:
    """Make the rules' detectors, and note what the shape of the file alone does not tell."""
    detectors: dict[str, Detector] = {}
    for name, rule in _mapping(content.get("rules")).items():
        key = ("rules", name)
        params = _mapping(rule).get("detector")
        if isinstance(params, dict):
            try:
                detectors[name] = parse_detector(params)
                problems.extend(_whole_series_only((*key, "detector"), detectors[name]))
            except (UnknownDetectorError, BrokenDetectorError) as error:
                problems.append(((*key, "detector", "type"), str(error)))
            except ValidationError as error:
                problems.extend(((*key, "detector", *loc), text) for loc, text in _problems(error))
        level = _mapping(rule).get("level")
        if registry is not None and level in list(RegionLevel):
            problems.extend(_level_without_regions((*key, "level"), level, registry))
        problems.extend(_unknown_signal((*key, "signal"), rule, content, problems))
    return detectors


def _whole_series_only(key: tuple[str, ...], detector: Detector) -> list[_Problem]:
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
) -> list[_Problem]:
    present = {region.level for region in registry}
    if level in present:
        return []
    has = ", ".join(known for known in RegionLevel if known in present)
    return [(key, f"{registry.name} has no region of level {level}; it has {has}")]


def _unknown_signal(
    key: tuple[str, ...], rule: Any, content: Mapping[str, Any], problems: list[_Problem]
) -> list[_Problem]:
    """Look for the signal also where the file's shape is wrong, and pydantic did not."""
    signals = _mapping(content.get("signals"))
    signal = _mapping(rule).get("signal")
    if not isinstance(signal, str) or signal in signals or any(key == loc for loc, _ in problems):
        return []
    return [(key, f"{signal!r} is no signal; defined are {', '.join(signals)}")]


def _problems(error: ValidationError) -> list[_Problem]:
    problems: list[_Problem] = []
    for detail in error.errors(include_url=False):
        text = detail["msg"].removeprefix("Value error, ")
        place = tuple(detail["loc"])
        if place and place[-1] == "[key]":
            place = place[:-1]
            if detail["type"] == "string_pattern_mismatch":
                text = "is no name; use a-z, 0-9, _ and -, from a letter on, at most 40 characters"
        elif detail["type"] == "extra_forbidden":
            text = "is no key here; remove it or check its spelling"
        elif detail["type"] == "missing":
            text = "is missing; add it"
        problems.append((place, text))
    return problems


def _config_error(path: Path, document: CommentedMap, problems: list[_Problem]) -> ConfigError:
    placed = sorted((_line(document, loc), ".".join(map(str, loc)), text) for loc, text in problems)
    return ConfigError("\n".join(f"{path}:{line}: {key}: {text}" for line, key, text in placed))


def _key_line(node: CommentedMap, key: str | int, line: int) -> int:
    try:
        return int(node.lc.key(key)[0]) + 1
    except KeyError:  # it came in by a merge (<<)
        return line


def _line(document: CommentedMap, loc: Sequence[str | int]) -> int:
    """Line of the deepest node on the way to `loc` that the file really has."""
    node: Any = document
    line = 1
    for part in loc:
        if isinstance(node, CommentedMap) and part in node:
            line = _key_line(node, part, line)
        elif isinstance(node, CommentedSeq) and isinstance(part, int) and part < len(node):
            line = node.lc.item(part)[0] + 1
        else:
            break
        node = node[part]
        if not isinstance(node, CommentedBase):
            break
    return line
