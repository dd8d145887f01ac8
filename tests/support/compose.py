"""compose.yaml as Docker Compose reads it: variables filled in, anchors merged."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ruamel.yaml import YAML

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["PASSWORDS", "ROOT", "Variable", "example", "load_compose", "variables"]

ROOT = Path(__file__).resolve().parents[2]
#: What has to be set, with a character that no URI takes as it is.
PASSWORDS = dict.fromkeys(
    (
        "POSTGRES_PASSWORD",
        "OWNER_PASSWORD",
        "WORKER_PASSWORD",
        "PAGE_PASSWORD",
        "GRAFANA_ADMIN_PASSWORD",
        "GRAFANA_READER_PASSWORD",
    ),
    "p@ss",
)
_COMPOSE = ROOT / "compose.yaml"
#: ${NAME}, ${NAME:-default}, ${NAME:?what to do}; others are not used.
_VARIABLE = re.compile(r"\$\{([A-Z_]+)(?::([-?])([^}]*))?\}")
_LINE = re.compile(r"^(# )?([A-Z_]+)=(.*)$", re.MULTILINE)


class Variable(NamedTuple):
    """A variable where it is used."""

    name: str
    default: str
    required: bool


def _raw() -> str:
    # What a comment says of variables is no use of them.
    return re.sub(r"^\s*#.*", "", _COMPOSE.read_text(encoding="utf-8"), flags=re.MULTILINE)


def variables() -> Iterator[Variable]:
    """Yield every use of a variable in compose.yaml."""
    for name, operator, rest in _VARIABLE.findall(_raw()):
        yield Variable(name, rest if operator == "-" else "", operator == "?")


def example() -> dict[str, tuple[str, bool]]:
    """Return what .env.example says of each variable, and whether it stands in a comment."""
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    return {name: (value, bool(mark)) for mark, name, value in _LINE.findall(text)}


def load_compose(environment: Mapping[str, str]) -> dict[str, Any]:
    """Return compose.yaml with variables from an environment; one that is required must be there.

    Raises
    ------
    KeyError
        A required variable is not set or is empty.
    """

    def value(match: re.Match[str]) -> str:
        name, operator, rest = match.groups()
        found = environment.get(name, "")
        if not found and operator != "-":
            raise KeyError(name)
        return found or rest

    loaded: dict[str, Any] = _plain(YAML(typ="safe").load(_VARIABLE.sub(value, _raw())))
    return loaded


def _plain(node: Any) -> Any:
    if isinstance(node, dict):
        return {str(key): _plain(value) for key, value in node.items()}
    return [_plain(item) for item in node] if isinstance(node, list) else node
