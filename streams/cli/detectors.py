"""Commands that tell which detectors rules may name."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.output import JsonOption, print_json, results, table
from streams.errors import FenghuoError

if TYPE_CHECKING:
    from pydantic import BaseModel

__all__ = ["register"]

#: JSON Schema's bounds, as people write them.
_BOUNDS = {
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
_UNDERLINED = re.compile(r"^(.+)\n-{3,}$", re.MULTILINE)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Detectors that rules may name.")
    group.command("list")(list_)
    group.command()(show)
    app.add_typer(group, name="detectors", no_args_is_help=True)


def list_(*, as_json: JsonOption = False) -> None:
    """List the detectors that are installed."""
    from detectors.registry import DETECTORS  # noqa: PLC0415 - keeps --help fast

    found = {name: _summary(DETECTORS[name]) for name in DETECTORS}
    if as_json:
        print_json([{"type": name, "summary": text} for name, text in found.items()])
        return
    shown = table("Detectors", "type", "summary", wrap=("summary",))
    for name, text in found.items():
        shown.add_row(name, text)
    results().print(shown, markup=False)


def show(
    name: Annotated[str, typer.Argument(help="The type that a rule names.")],
    *,
    as_json: JsonOption = False,
) -> None:
    """Show what a detector does, and its parameters with defaults and bounds."""
    from detectors.registry import DETECTORS, UnknownDetectorError, parse_detector  # noqa: PLC0415

    if name not in DETECTORS:
        try:
            parse_detector({"type": name})
        except UnknownDetectorError as error:
            raise FenghuoError(f"{error}. See fenghuo detectors list.") from None
    model: Any = DETECTORS[name]
    if as_json:
        print_json(model.model_json_schema())
        return
    sections = _sections(inspect.getdoc(model) or "")
    results().print(sections.pop("", ""), markup=False, soft_wrap=True)
    results().print()
    results().print(_parameters(model, sections.get("Parameters", "")), markup=False)
    results().print(f"In a rule:  detector: {{type: {name}}}", markup=False)


def _summary(detector: Any) -> str:
    return (inspect.getdoc(detector) or "").partition("\n\n")[0].replace("\n", " ")


def _sections(doc: str) -> dict[str, str]:
    """Divide a numpydoc text at its underlined titles; the part before them is named ''."""
    pieces = _UNDERLINED.split(doc)
    titles = ["", *pieces[1::2]]
    return {title: text.strip("\n") for title, text in zip(titles, pieces[::2], strict=True)}


def _parameters(model: type[BaseModel], described: str) -> Any:
    meanings = _meanings(described)
    schema = model.model_json_schema()
    definitions = schema.get("$defs", {})
    shown = table("Parameters", "name", "values", "default", "meaning", wrap=("values", "meaning"))
    for name, field in schema.get("properties", {}).items():
        if name == "type":
            continue
        default = field.get("default", ...)
        text = "required" if default is ... else "-" if default is None else str(default)
        meaning = field.get("description") or meanings.get(name, "")
        shown.add_row(name, _values(field, definitions), text, meaning)
    return shown


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
