"""What a detector's class says about itself: its numpydoc text and its parameter model."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from pydantic import BaseModel

__all__ = ["Parameter", "parameters", "sections", "summary"]

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
    return (inspect.getdoc(detector) or "").partition("\n\n")[0].replace("\n", " ")


def sections(detector: Any) -> dict[str, str]:
    """Divide a class's docstring at its underlined titles; the part before them is named ''.

    Examples
    --------
    >>> from detectors import Ears
    >>> list(sections(Ears))
    ['', 'Parameters', 'Notes', 'References', 'Examples']
    """
    pieces = _UNDERLINED.split(inspect.getdoc(detector) or "")
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


def _written(default: Any) -> str:
    return str(default).lower() if isinstance(default, bool) else str(default)


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
    bounds = [sign + str(field[key]) for key, sign in _BOUNDS.items() if key in field]
    return " ".join([kind, ", ".join(bounds)]) if bounds else kind
