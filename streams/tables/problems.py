"""The problems of a file for people: those of one kind are told once."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["TOLD", "bundled"]

#: Kinds of problems that are told; the rest is counted.
TOLD: Final = 20

# Their numbers and times differ from line to line, what is wrong does not. Names of regions and
# age groups are no such thing: each one has to be mended by itself.
_ALIKE: Final = re.compile(r"period |count |time |the same |line \d|\d+ cells")
_VARYING: Final = re.compile(r"'[^']*'|[\w./-]*\d[\w./-]*")


def bundled(problems: Iterable[tuple[int, str]], *, name: str, end: str) -> str:
    r"""Write the problems of a file, the first of each kind with the number of the others.

    Parameters
    ----------
    problems
        Line and sentence.
    name
        What messages call the file.
    end
        The last line.

    Examples
    --------
    >>> rows = [(9, "count 'x' is no number."), (3, "count 'y' is no number."), (4, "no region.")]
    >>> print(bundled(rows, name="c.csv", end="Nothing was imported."))
    c.csv:3: count 'y' is no number (and the like in 1 more line).
    c.csv:4: no region.
    Nothing was imported.
    """
    first: dict[str, tuple[int, str]] = {}
    lines: dict[str, set[int]] = {}
    same: dict[str, bool] = {}
    for line, text in sorted(problems):
        kind = _VARYING.sub("#", text) if _ALIKE.match(text) else text
        first.setdefault(kind, (line, text))
        lines.setdefault(kind, set()).add(line)
        same[kind] = same.get(kind, True) and text == first[kind][1]
    told: list[str] = []
    for kind, (line, text) in list(first.items())[:TOLD]:
        more = len(lines[kind]) - 1
        what = "and" if same[kind] else "and the like"
        again = f" ({what} in {more:,} more line{'s' if more > 1 else ''})." if more else "."
        told.append(f"{name}:{line}: {text.removesuffix('.')}{again}")
    if more := len(first) - len(told):
        told.append(f"and {more:,} more problems.")
    return "\n".join([*told, end])
