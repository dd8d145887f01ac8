"""What Grafana does to a query before PostgreSQL sees it: macros and variables are filled in.

As its documentation has it: the pages "PostgreSQL query editor" (macros) and "Variable syntax"
(formats) of Grafana 13.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple, TypeAlias
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["Range", "UnknownMacro", "expand", "used_variables"]

#: A single value, or those of a variable of which several may be chosen.
Value: TypeAlias = "str | Sequence[str]"

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800, "M": 2_592_000, "y": 31_536_000}
_VARIABLE = re.compile(r"\$\{(\w+)(?:\.\w+)?(?::(\w+))?\}|\[\[(\w+)(?::(\w+))?\]\]|\$(\w+)")
_MACRO = re.compile(r"\$__(\w+)\(((?:[^()]|\([^()]*\))*)\)")


class UnknownMacro(LookupError):  # noqa: N818 - what it is, not what it does
    """A macro or variable that Grafana would leave as it is."""


class Range(NamedTuple):
    """The time range of a dashboard, and the width of a point in it."""

    start: datetime
    end: datetime
    interval: str = "1d"

    @property
    def seconds(self) -> int:
        """The interval in seconds."""
        return _seconds(self.interval)


def expand(
    sql: str, span: Range, variables: Mapping[str, Value], *, timescale: bool = False
) -> str:
    """Fill variables and macros in.

    Parameters
    ----------
    timescale
        The data source's switch `timescaledb`, which changes `$__timeGroup`.

    Raises
    ------
    UnknownMacro
        Something is left that Grafana would not fill in.
    """
    filled = _VARIABLE.sub(lambda found: _variable(found, span, variables), sql)
    expanded = _MACRO.sub(lambda found: _macro(found, span, timescale=timescale), filled)
    if "$__" in expanded:
        raise UnknownMacro(expanded[expanded.index("$__") :][:60])
    return expanded


def used_variables(text: str) -> set[str]:
    """Return the names of the variables in a text, those of Grafana itself left out."""
    names = {found[1] or found[3] or found[5] for found in _VARIABLE.finditer(text)}
    return {name for name in names if name and not name.startswith("__")}


def _variable(found: re.Match[str], span: Range, variables: Mapping[str, Value]) -> str:
    name, form = found[1] or found[3] or found[5], found[2] or found[4]
    if name == "__interval":
        return span.interval
    if name == "__interval_ms":
        return str(span.seconds * 1000)
    if name in {"__from", "__to"} and found[5] is None:
        return str(_millis(span.start if name == "__from" else span.end))
    if name.startswith("__"):
        return found[0]
    if name not in variables:
        raise UnknownMacro(found[0])
    value = variables[name]
    if form is None:
        # Only the values of a variable that may have several are quoted by themselves.
        return value if isinstance(value, str) else ",".join(map(_quoted, value))
    if form not in _FORMATS:
        raise UnknownMacro(found[0])
    return _FORMATS[form]([value] if isinstance(value, str) else list(value))


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _glob(values: list[str]) -> str:
    return values[0] if len(values) == 1 else "{" + ",".join(values) + "}"


_FORMATS: dict[str, Callable[[list[str]], str]] = {
    "sqlstring": lambda values: ",".join(map(_quoted, values)),
    "singlequote": lambda values: ",".join("'" + v.replace("'", r"\'") + "'" for v in values),
    "doublequote": lambda values: ",".join('"' + v.replace('"', r"\"") + '"' for v in values),
    "csv": ",".join,
    "raw": ",".join,
    "text": " + ".join,
    "pipe": "|".join,
    "glob": _glob,
    "json": lambda values: json.dumps(values[0] if len(values) == 1 else values),
    "percentencode": lambda values: quote(_glob(values), safe=""),
}


class _Call(NamedTuple):
    """A macro as it is written."""

    text: str
    arguments: list[str]
    span: Range
    timescale: bool

    @property
    def grouped(self) -> str:
        """`$__timeGroup`, by the width in seconds."""
        column, width = self.arguments[0], _seconds(self.arguments[1].strip("'\""))
        if self.timescale:
            return f"time_bucket('{width:.3f}s',{column})"
        return f"floor(extract(epoch from {column})/{width})*{width}"

    @property
    def grouped_epoch(self) -> str:
        """`$__unixEpochGroup`."""
        column, width = self.arguments[0], _seconds(self.arguments[1].strip("'\""))
        return f"floor(({column})/{width})*{width}"

    @property
    def start(self) -> str:
        return _quoted(_iso(self.span.start))

    @property
    def end(self) -> str:
        return _quoted(_iso(self.span.end))


#: By name: how many arguments at least, and what is sent.
_MACROS: dict[str, tuple[int, Callable[[_Call], str]]] = {
    "time": (1, lambda call: f'{call.text} AS "time"'),
    "timeEpoch": (1, lambda call: f'extract(epoch from {call.text}) as "time"'),
    "timeFilter": (1, lambda call: f"{call.text} BETWEEN {call.start} AND {call.end}"),
    "timeFrom": (0, lambda call: call.start),
    "timeTo": (0, lambda call: call.end),
    "timeGroup": (2, lambda call: call.grouped),
    "timeGroupAlias": (2, lambda call: f'{call.grouped} AS "time"'),
    "unixEpochFilter": (
        1,
        lambda call: (
            f"{call.text} >= {int(call.span.start.timestamp())} "
            f"AND {call.text} <= {int(call.span.end.timestamp())}"
        ),
    ),
    "unixEpochFrom": (0, lambda call: str(int(call.span.start.timestamp()))),
    "unixEpochTo": (0, lambda call: str(int(call.span.end.timestamp()))),
    "unixEpochNanoFrom": (0, lambda call: str(_millis(call.span.start) * 1_000_000)),
    "unixEpochNanoTo": (0, lambda call: str(_millis(call.span.end) * 1_000_000)),
    "unixEpochGroup": (2, lambda call: call.grouped_epoch),
    "unixEpochGroupAlias": (2, lambda call: f'{call.grouped_epoch} AS "time"'),
}


def _macro(found: re.Match[str], span: Range, *, timescale: bool) -> str:
    text = found[2].strip()
    arguments = [part.strip() for part in text.split(",")] if text else []
    least, write = _MACROS.get(found[1], (len(arguments) + 1, None))
    if write is None or len(arguments) < least:
        raise UnknownMacro(found[0])
    return write(_Call(text, arguments, span, timescale))


def _seconds(interval: str) -> int:
    found = re.fullmatch(r"(\d+)([smhdwMy])", interval)
    if found is None:
        raise UnknownMacro(interval)
    return int(found[1]) * _SECONDS[found[2]]


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _millis(at: datetime) -> int:
    return round(at.timestamp() * 1000)
