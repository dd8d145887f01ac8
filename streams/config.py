"""Loading the configuration file; every error names file, line, key and remedy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedBase, CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError

from detectors.registry import UnknownDetectorError, parse_detector
from schemas.config import Surveillance
from schemas.regions import RegionRegistry, RegionRegistryError
from streams.errors import ConfigError

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
    try:
        surveillance = Surveillance.model_validate(_plain(document))
    except ValidationError as error:
        raise _config_error(path, document, _problems(error)) from None
    problems: list[_Problem] = []
    registry = _load_registry(path, surveillance, problems)
    detectors = _build_detectors(surveillance, problems)
    if registry is not None:
        problems.extend(_levels_without_regions(surveillance, registry))
    if problems or registry is None:
        raise _config_error(path, document, problems)
    return Configuration(surveillance, registry, detectors, surveillance.version)


_Problem = tuple[tuple[str | int, ...], str]


def _read_yaml(path: Path) -> CommentedMap:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"{path}: {error.strerror}. Name the file with --config or FENGHUO_CONFIG."
        ) from None
    try:
        document = YAML(typ="rt").load(text)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(f"{path}:{line}: not valid YAML: {error.problem}") from None
    if not isinstance(document, CommentedMap):
        raise ConfigError(f"{path}:1: the file must hold keys such as name, signals and rules")
    return document


def _plain(node: Any) -> Any:
    if isinstance(node, CommentedMap):
        return {str(key): _plain(value) for key, value in node.items()}
    if isinstance(node, CommentedSeq):
        return [_plain(value) for value in node]
    return node


def _load_registry(
    path: Path, surveillance: Surveillance, problems: list[_Problem]
) -> RegionRegistry | None:
    name = surveillance.regions
    source = str(path.parent / name) if name.endswith(".csv") else name
    try:
        return RegionRegistry.load(source)
    except (RegionRegistryError, OSError) as error:
        problems.append((("regions",), str(error)))
        return None


def _build_detectors(surveillance: Surveillance, problems: list[_Problem]) -> dict[str, Detector]:
    detectors: dict[str, Detector] = {}
    for name, rule in surveillance.rules.items():
        key = ("rules", name, "detector")
        try:
            detectors[name] = parse_detector(rule.detector)
        except UnknownDetectorError as error:
            problems.append(((*key, "type"), str(error)))
        except ValidationError as error:
            problems.extend(((*key, *loc), text) for loc, text in _problems(error))
    return detectors


def _levels_without_regions(
    surveillance: Surveillance, registry: RegionRegistry
) -> list[_Problem]:
    present = {region.level for region in registry}
    return [
        (
            ("rules", name, "level"),
            f"{surveillance.regions} has no region of level {rule.level}; it has "
            + ", ".join(sorted(present)),
        )
        for name, rule in surveillance.rules.items()
        if rule.level not in present
    ]


def _problems(error: ValidationError) -> list[_Problem]:
    problems: list[_Problem] = []
    for detail in error.errors(include_url=False):
        text = detail["msg"].removeprefix("Value error, ")
        if detail["type"] == "extra_forbidden":
            text = "is no key here; remove it or check its spelling"
        elif detail["type"] == "missing":
            text = "is missing; add it"
        problems.append((tuple(detail["loc"]), text))
    return problems


def _config_error(path: Path, document: CommentedMap, problems: list[_Problem]) -> ConfigError:
    lines = [
        f"{path}:{_line(document, loc)}: {'.'.join(map(str, loc)) or 'file'}: {text}"
        for loc, text in problems
    ]
    return ConfigError("\n".join(lines))


def _line(document: CommentedMap, loc: Sequence[str | int]) -> int:
    """Line of the deepest node on the way to `loc` that the file really has."""
    node: Any = document
    line = 1
    for part in loc:
        if isinstance(node, CommentedMap) and part in node:
            line = node.lc.key(part)[0] + 1
        elif isinstance(node, CommentedSeq) and isinstance(part, int) and part < len(node):
            line = node.lc.item(part)[0] + 1
        else:
            break
        node = node[part]
        if not isinstance(node, CommentedBase):
            break
    return line
