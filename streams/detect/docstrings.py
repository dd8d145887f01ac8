"""What a detector's class says about itself: its numpydoc text and its parameter model."""

from __future__ import annotations

import inspect
import re
import unicodedata
from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from detectors.registry import DETECTORS, FAMILIES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel

__all__ = ["Parameter", "by_family", "parameters", "sections", "spoken", "summary"]

#: JSON Schema's bounds, as people write them.
_BOUNDS: Final = {
    "minimum": "≥ ",
    "exclusiveMinimum": "> ",
    "maximum": "≤ ",
    "exclusiveMaximum": "< ",
    "multipleOf": "multiple of ",
    "minLength": "length ≥ ",
    "maxLength": "length ≤ ",
    "minItems": "items ≥ ",
    "maxItems": "items ≤ ",
}
#: Types of JSON, as people know them.
_KINDS: Final = {"boolean": "true, false", "array": "list"}
_ROLE: Final = re.compile(r":(class|func|meth|mod|data|attr|math):`[~!]?([^`]+)`")
_GREEK: Final = re.compile(r"\\([a-z]+)")
_UNDERLINED: Final = re.compile(r"^(.+)\n-{3,}$", re.MULTILINE)


class Parameter(NamedTuple):
    """One parameter, as it is told to people."""

    name: str
    values: str
    default: str
    meaning: str
    """One line, from the model."""
    description: str
    """From the docstring; equal to `meaning` where that says nothing."""


def summary(detector: Any) -> str:
    """Return the first paragraph of a class's docstring, on one line.

    Examples
    --------
    >>> from detectors import Ears
    >>> summary(Ears)
    'EARS C1, C2 and C3 (Hutwagner et al. 2003).'
    """
    return spoken((inspect.getdoc(detector) or "").partition("\n\n")[0].replace("\n", " "))


def by_family(detectors: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Group detectors by family; those of other distributions come last.

    Examples
    --------
    >>> from detectors import Ears
    >>> list(by_family({"ears": Ears, "mine": Ears}))
    ['A few recent counts (EARS)', 'Installed by others']
    """
    found = {
        family: {name: detectors[name] for name in names if name in detectors}
        for family, names in FAMILIES.items()
    }
    known = {name for names in FAMILIES.values() for name in names}
    found["Installed by others"] = {
        name: model for name, model in detectors.items() if name not in known
    }
    return {family: members for family, members in found.items() if members}


def spoken(text: str) -> str:
    r"""Turn what is special to Sphinx into plain text; detectors' classes into their types.

    Examples
    --------
    >>> spoken(r"See :class:`detectors.ears.Ears`, :meth:`lower` and :math:`\phi\mu_t`::")
    'See `ears`, `lower` and `φμ_t`:'
    """
    text = _ROLE.sub(_said, text)
    return re.sub(r"::$", ":", text, flags=re.MULTILINE).replace("``", "`")


def _said(found: re.Match[str]) -> str:
    role, target = found.groups()
    if role == "math":
        return f"`{_GREEK.sub(_greek, target)}`"
    return f"`{_types().get(target.rpartition('.')[2], target)}`"


def _greek(found: re.Match[str]) -> str:
    try:
        return unicodedata.lookup(f"GREEK SMALL LETTER {found[1]}")
    except KeyError:
        return found[0]


@cache
def _types() -> dict[str, str]:
    return {DETECTORS[name].__name__: name for names in FAMILIES.values() for name in names}


def sections(detector: Any) -> dict[str, str]:
    """Divide a class's docstring at its underlined titles; the part before them is named ''.

    Examples
    --------
    >>> from detectors import Ears
    >>> list(sections(Ears))
    ['', 'Parameters', 'Notes', 'References', 'Examples']
    """
    pieces = _UNDERLINED.split(spoken(inspect.getdoc(detector) or ""))
    titles = ["", *pieces[1::2]]
    return {title: text.strip("\n") for title, text in zip(titles, pieces[::2], strict=True)}


def parameters(model: type[BaseModel]) -> list[Parameter]:
    """List the parameters of a detector, without its type.

    Examples
    --------
    >>> from detectors import Ears
    >>> [one.default for one in parameters(Ears) if one.name in ("method", "baseline")]
    ['C1', '7']
    """
    described = _meanings(sections(model).get("Parameters", ""))
    schema = model.model_json_schema()
    definitions = schema.get("$defs", {})
    found = []
    for name, field in schema.get("properties", {}).items():
        if name == "type":
            continue
        default = field.get("default", ...)
        text = "required" if default is ... else "-" if default is None else _written(default)
        description = described.get(name, "")
        meaning = field.get("description") or description
        values = _values(field, definitions)
        found.append(Parameter(name, values, text, meaning, description or meaning))
    return found


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return ", ".join(map(_written, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _meanings(described: str) -> dict[str, str]:
    """Read the Parameters section: a name at the margin, its meaning indented below."""
    found: dict[str, list[str]] = {}
    names: list[str] = []
    for line in described.splitlines():
        if line and not line[0].isspace():
            names = [name.strip() for name in line.partition(":")[0].split(",")]
        for name in names if line[:1].isspace() else ():
            found.setdefault(name, []).append(line.strip())
    return {name: " ".join(lines) for name, lines in found.items()}


def _values(field: dict[str, Any], definitions: dict[str, Any]) -> str:
    if "$ref" in field:
        return _values(definitions[field["$ref"].rpartition("/")[2]], definitions)
    if options := field.get("anyOf") or field.get("oneOf"):
        texts = [_values(option, definitions) for option in options]
        return " or ".join(text for text in texts if text != "null")
    if "enum" in field:
        return ", ".join(map(str, field["enum"]))
    if "const" in field:
        return str(field["const"])
    kind = str(field.get("type", "any"))
    kind = _KINDS.get(kind, kind)
    bounds = [sign + _written(field[key]) for key, sign in _BOUNDS.items() if key in field]
    return " ".join([kind, ", ".join(bounds)]) if bounds else kind
