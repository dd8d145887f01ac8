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


def _macro(found: re.Match[str], span: Range, *, timescale: bool) -> str:
    name, text = found[1], found[2]
    arguments = [part.strip() for part in text.split(",")] if text.strip() else []
    start, end = _quoted(_iso(span.start)), _quoted(_iso(span.end))
    match name, arguments:
        case "time", [column]:
            return f'{column} AS "time"'
        case "timeEpoch", [column]:
            return f'extract(epoch from {column}) as "time"'
        case "timeFilter", [_, *_]:
            return f"{text.strip()} BETWEEN {start} AND {end}"
        case "timeFrom", []:
            return start
        case "timeTo", []:
            return end
        case "timeGroup" | "timeGroupAlias", [column, interval, *_]:
            width = _seconds(interval.strip("'\""))
            group = (
                f"time_bucket('{width:.3f}s',{column})"
                if timescale
                else f"floor(extract(epoch from {column})/{width})*{width}"
            )
            return f'{group} AS "time"' if name.endswith("Alias") else group
        case "unixEpochFilter", [column]:
            first, last = int(span.start.timestamp()), int(span.end.timestamp())
            return f"{column} >= {first} AND {column} <= {last}"
        case "unixEpochFrom", []:
            return str(int(span.start.timestamp()))
        case "unixEpochTo", []:
            return str(int(span.end.timestamp()))
        case "unixEpochNanoFrom", []:
            return str(_millis(span.start) * 1_000_000)
        case "unixEpochNanoTo", []:
            return str(_millis(span.end) * 1_000_000)
        case "unixEpochGroup" | "unixEpochGroupAlias", [column, interval, *_]:
            width = _seconds(interval.strip("'\""))
            group = f"floor(({column})/{width})*{width}"
            return f'{group} AS "time"' if name.endswith("Alias") else group
        case _:
            raise UnknownMacro(found[0])


def _seconds(interval: str) -> int:
    found = re.fullmatch(r"(\d+)([smhdwMy])", interval)
    if found is None:
        raise UnknownMacro(interval)
    return int(found[1]) * _SECONDS[found[2]]


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _millis(at: datetime) -> int:
    return round(at.timestamp() * 1000)
