"""Punctuation that YAML takes for text: full-width commas, typographic quotes, decimal commas."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.scalarstring import ScalarString

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.configuration.plain import Place, Problem

__all__ = ["mend_decimals", "punctuation_problems"]

_SEPARATORS: Final = re.compile("[，、；;]")
_QUOTES: Final = re.compile("^[“”‘’「『«].*[“”‘’」』»]$")
#: Keys below which texts are for people to read.
_PROSE: Final = frozenset({"title", "description"})


def punctuation_problems(document: CommentedMap) -> list[Problem]:
    """List texts that were meant to be several, or to be without their quotes.

    A text in straight quotes is meant as it stands.
    """
    return list(_problems(document, ()))


def _problems(node: Any, place: Place) -> Iterator[Problem]:
    if isinstance(node, CommentedMap):
        for key, value in node.items():
            if "：" in str(key):
                yield (*place, str(key)), "holds the full-width ：; write : and a blank after it"
            elif key not in _PROSE:
                yield from _problems(value, (*place, str(key)))
    elif isinstance(node, CommentedSeq):
        for number, value in enumerate(node):
            yield from _in_list(value, (*place, number))
    elif isinstance(node, str) and not isinstance(node, ScalarString) and _QUOTES.match(node):
        yield place, _quoted(node)


def _in_list(value: Any, place: Place) -> Iterator[Problem]:
    if not isinstance(value, str) or isinstance(value, ScalarString):
        yield from _problems(value, place)
    elif sign := _SEPARATORS.search(value):
        parts = [part.strip(" “”‘’\"'") for part in _SEPARATORS.split(value) if part.strip()]
        yield (
            place,
            (
                f"{value!r} is one entry, since {sign[0]} does not separate entries; write "
                f'[{", ".join(parts)}], or "{value}" in quotes if it is one'
            ),
        )
    elif _QUOTES.match(value):
        yield place, _quoted(value)


def _quoted(value: str) -> str:
    return f"{value!r} has typographic quotes, which are part of the text; write {value[1:-1]}"


def mend_decimals(document: CommentedMap) -> list[Problem]:
    """Find `{alpha: 0,05}`, which YAML splits, and put the number together for other checks."""
    return list(_decimals(document, ()))


def _decimals(node: Any, place: Place) -> Iterator[Problem]:
    if isinstance(node, CommentedSeq):
        for number, value in enumerate(node):
            yield from _decimals(value, (*place, number))
    if not isinstance(node, CommentedMap):
        return
    before: Any = None
    for key in list(node):
        split = isinstance(key, int) and node[key] is None and before is not None
        if split and isinstance(node[before], int):
            yield (
                (*place, str(before)),
                (
                    "is split at its comma, which separates entries; write decimals with a point, "
                    "like 0.05"
                ),
            )
            node[before] = float(f"{node[before]}.0{key}")
            del node[key]
            continue
        yield from _decimals(node[key], (*place, str(key)))
        before = key
