"""What pydantic finds wrong, in words for people who write configuration files."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from datetime import date, time
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any, Final, Union, get_args, get_origin

from pydantic import BaseModel

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

__all__ = ["Place", "Problem", "known_keys", "plain_problems", "unknown_key"]

Place = tuple[str | int, ...]
Problem = tuple[Place, str]

_LONGEST: Final = 60


def plain_problems(error: ValidationError, model: type[BaseModel]) -> list[Problem]:
    """List what is wrong, each with its place.

    Parameters
    ----------
    model
        What was to be made; it knows the keys.

    Examples
    --------
    >>> from pydantic import ValidationError
    >>> from detectors import Ears
    >>> try:
    ...     Ears.model_validate({"baseline": "many", "alhpa": 0.1})
    ... except ValidationError as error:
    ...     plain_problems(error, Ears)  # doctest: +NORMALIZE_WHITESPACE
    [(('baseline',), "must be a whole number, not 'many'"),
     (('alhpa',), 'is no key here; did you mean alpha?')]
    """
    found: dict[Place, str] = {}
    details = error.errors(include_url=False)
    meant = {_meant(detail, model) for detail in details if detail["type"] == "extra_forbidden"}
    for detail in details:
        if detail["type"] == "missing" and tuple(detail["loc"]) in meant:
            continue  # it is there, mistyped, which is told
        place, text = _problem(detail, model)
        found.setdefault(place, text)
    return list(found.items())


def _meant(detail: ErrorDetails, model: type[BaseModel]) -> Place | None:
    *parents, key = detail["loc"]
    close = get_close_matches(str(key), known_keys(model, parents), n=1)
    return (*parents, close[0]) if close else None


def _problem(detail: ErrorDetails, model: type[BaseModel]) -> Problem:
    place = tuple(detail["loc"])
    kind = detail["type"]
    if place and place[-1] == "[key]":
        if kind == "string_pattern_mismatch":
            return place[:-1], _NAME
        return place[:-1], plain_fault(detail)
    if kind == "extra_forbidden":
        return place, unknown_key(str(place[-1]), known_keys(model, place[:-1]))
    if kind in {"model_type", "model_attributes_type", "dataclass_type", "dict_type"}:
        keys = known_keys(model, place)
        such = f" such as {', '.join(keys[:3])}" if keys else ""
        return place, f"must hold keys{such}, not {_shown(detail['input'])}"
    return _real(place, detail["input"]), plain_fault(detail)


def _real(place: Place, _: object) -> Place:
    """Leave out what pydantic adds to a place: the kinds of a union."""
    return tuple(part for part in place if not (isinstance(part, str) and _is_kind(part)))


def _is_kind(part: str) -> bool:
    return part in {"int", "float", "str", "bool", "none"} or part.endswith(("]", ")"))


def unknown_key(key: str, known: Sequence[str]) -> str:
    """Say that a key is unknown, and which one is meant or which there are.

    Examples
    --------
    >>> unknown_key("signal", ["signals", "rules"]), unknown_key("x", ["rules"])
    ('is no key here; did you mean signals?', 'is no key here; there are rules')
    """
    close = get_close_matches(key, known, n=1)
    if close:
        return f"is no key here; did you mean {close[0]}?"
    return f"is no key here; there are {', '.join(known)}" if known else "is no key here; remove it"


def known_keys(model: type[BaseModel], place: Sequence[str | int]) -> list[str]:
    """List the keys that a place of a model may have."""
    here: Any = model
    for part in place:
        here = _inside(here, part)
    for one in _alternatives(here):
        if isinstance(one, type) and issubclass(one, BaseModel):
            return [field.alias or name for name, field in one.model_fields.items()]
    return []


def _inside(annotation: Any, part: str | int) -> Any:
    for one in _alternatives(annotation):
        if isinstance(one, type) and issubclass(one, BaseModel):
            for name, field in one.model_fields.items():
                if part in {name, field.alias}:
                    return field.annotation
        origin, inner = get_origin(one), get_args(one)
        if origin in {dict, Mapping} and len(inner) > 1:
            return inner[1]
        if origin in {tuple, list} and inner:
            return inner[0]
    return None


def _alternatives(annotation: Any) -> list[Any]:
    origin = get_origin(annotation)
    if origin is Annotated:
        return _alternatives(get_args(annotation)[0])
    if origin in {Union, types.UnionType}:
        return [inner for one in get_args(annotation) for inner in _alternatives(one)]
    return [annotation]


def plain_fault(detail: ErrorDetails) -> str:
    """Say what is wrong with a value, and how to mend it."""
    kind = detail["type"]
    if kind in {"value_error", "assertion_error"}:
        return detail["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    say = _SAID.get(kind)
    if say is not None:
        return say(detail["input"], detail.get("ctx", {}))
    for beginning, general in _GENERAL.items():
        if kind.startswith(beginning):
            return general(detail["input"], detail.get("ctx", {}))
    if "ctx" in detail and kind not in _PYDANTIC:
        return detail["msg"]  # ours: it is plain already
    return f"has a value that does not fit here: {_shown(detail['input'])}; see the guide"


def _shown(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "keys of its own"
    if isinstance(value, str):
        return repr(value) if len(value) <= _LONGEST else f"{value[:_LONGEST]!r}..."
    if isinstance(value, list | tuple):
        return "a list"
    return str(value)[:_LONGEST]


def _number(what: str) -> Callable[[object, Mapping[str, Any]], str]:
    def say(value: object, _: Mapping[str, Any]) -> str:
        if isinstance(value, str) and "," in value:
            return f"must be {what}, not {_shown(value)}; write decimals with a point, like 0.05"
        return f"must be {what}, not {_shown(value)}"

    return say


def _text(value: object, _: Mapping[str, Any]) -> str:
    if isinstance(value, int | float | date | time):
        return f'must be text; put it in quotes: "{_shown(value)}"'
    return f"must be text, not {_shown(value)}"


def _list(value: object, _: Mapping[str, Any]) -> str:
    if value is None or isinstance(value, Mapping):
        return f"must be a list like [a, b], not {_shown(value)}"
    return f"must be a list; a list of one is [{value}]"


def _choice(value: object, context: Mapping[str, Any]) -> str:
    expected = str(context.get("expected", ""))
    if value is None:
        return f"is empty; write {expected}"
    close = get_close_matches(str(value), [word.strip("'") for word in _words(expected)], n=1)
    hint = f"did you mean {close[0]}? It is one of" if close else "write"
    return f"is {_shown(value)}, which is not known; {hint} {expected}"


def _words(expected: str) -> list[str]:
    return expected.replace(" or ", ", ").split(", ")


def _bound(text: str, key: str) -> Callable[[object, Mapping[str, Any]], str]:
    def say(value: object, context: Mapping[str, Any]) -> str:
        limit = context.get(key)
        limit = f"{limit:g}" if isinstance(limit, float) else limit
        return f"must be {text.format(limit)}, not {_shown(value)}"

    return say


def _pattern(value: object, context: Mapping[str, Any]) -> str:
    if "+)$" in str(context.get("pattern", "")) or "\\+" in str(context.get("pattern", "")):
        return f"{_shown(value)} is no age group; write 0-4, or 65+ for the last"
    return f"{_shown(value)} {_NAME}"


def _length(value: object, context: Mapping[str, Any]) -> str:
    least = context.get("min_length", 1)
    if value is None or not value or least == 1:
        return "is empty; write something, or remove it"
    return f"needs {least} entries or more"


def _too_long(_: object, context: Mapping[str, Any]) -> str:
    return f"has too many entries or letters; at most {context.get('max_length')}"


_NAME: Final = "is no name; use a-z, 0-9, _ and -, from a letter on, at most 40 characters"
_SAID: Final[Mapping[str, Callable[[object, Mapping[str, Any]], str]]] = {
    "missing": lambda _, __: "is missing; add it",
    "string_pattern_mismatch": _pattern,
    "string_too_short": _length,
    "too_short": _length,
    "string_too_long": _too_long,
    "too_long": _too_long,
    "literal_error": _choice,
    "enum": _choice,
    "greater_than_equal": _bound("{} or more", "ge"),
    "greater_than": _bound("more than {}", "gt"),
    "less_than_equal": _bound("{} or less", "le"),
    "less_than": _bound("less than {}", "lt"),
    "multiple_of": _bound("a multiple of {}", "multiple_of"),
    "finite_number": _number("a number"),
    "none_required": lambda value, _: f"must be empty, not {_shown(value)}",
}
#: Families of kinds, by how their names begin.
_GENERAL: Final[Mapping[str, Callable[[object, Mapping[str, Any]], str]]] = {
    "int_": _number("a whole number"),
    "float_": _number("a number"),
    "decimal_": _number("a number"),
    "bool_": lambda value, _: f"must be true or false, not {_shown(value)}",
    "string_": _text,
    "tuple_": _list,
    "list_": _list,
    "set_": _list,
    "frozen_set_": _list,
    "iterable_": _list,
    "date_": lambda value, _: f"is no date: {_shown(value)}; write it like 2024-02-10",
    "datetime_": lambda value, _: f"is no time: {_shown(value)}; write it like 2024-02-10T08:30",
    "time_": lambda value, _: f'is no time of day: {_shown(value)}; write it like "08:30"',
    "dict_": lambda value, _: f"must hold keys, not {_shown(value)}",
    "mapping_": lambda value, _: f"must hold keys, not {_shown(value)}",
    "model_": lambda value, _: f"must hold keys, not {_shown(value)}",
}
#: Kinds of pydantic with a context, whose words are a programmer's.
_PYDANTIC: Final = frozenset({"union_tag_invalid", "union_tag_not_found", "is_instance_of"})
