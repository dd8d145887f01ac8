"""Files of events, one a row: NDJSON as it is, CSV turned into the same JSON."""

from __future__ import annotations

import csv
import json
import re
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Literal, NamedTuple, get_args

from schemas.events import EVENT_KINDS, EventKind
from schemas.refusals import Refusal, RefusalReason
from streams.errors import FenghuoError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from pydantic.fields import FieldInfo

__all__ = ["FeedError", "Format", "Row", "format_of", "open_feed", "read_rows"]

Format = Literal["csv", "ndjson"]

_EXTENSIONS: Final[dict[str, Format]] = {
    ".csv": "csv",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".json": "ndjson",
}
_write_json: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_NOT_UTF8: Final = "The row is not UTF-8 text. Save the file as UTF-8 (Excel: CSV UTF-8)."


class FeedError(FenghuoError):
    """A file as a whole cannot be read; the text begins with ``file:line:``."""


class Row(NamedTuple):
    """One row: the line that it begins on, and its JSON or why there is none."""

    line: int
    value: bytes
    fault: Refusal | None = None


def format_of(path: Path, given: Format | None = None) -> Format:
    """Tell a file's format by its extension.

    Raises
    ------
    FeedError
        The extension is none of the known ones and no format is given.
    """
    if given is not None:
        return given
    known = _EXTENSIONS.get(path.suffix.lower())
    if known is None:
        raise FeedError(f"{path}: the extension tells no format; add --format csv or ndjson.")
    return known


@contextmanager
def open_feed(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading bytes; ``-`` is standard input.

    Raises
    ------
    FeedError
        The file cannot be opened.
    """
    if str(path) == "-":
        yield sys.stdin.buffer
        return
    try:
        file = path.open("rb")
    except OSError as error:
        raise FeedError(f"{path}: {error.strerror}.") from None
    with file:
        yield file


def read_rows(
    lines: Iterable[bytes], file_format: Format, kind: EventKind, *, name: str
) -> Iterator[Row]:
    """Read rows of events, without validating them.

    Parameters
    ----------
    lines
        The lines of the file, as bytes.
    name
        What messages call the file.

    Raises
    ------
    FeedError
        The header of a CSV file does not fit the kind of events.
    """
    if file_format == "ndjson":
        return _read_ndjson(lines)
    return _read_csv(lines, kind, name)


def _read_ndjson(lines: Iterable[bytes]) -> Iterator[Row]:
    for number, line in enumerate(lines, start=1):
        value = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
        if value := value.strip():
            yield Row(number, value)


def _read_csv(lines: Iterable[bytes], kind: EventKind, name: str) -> Iterator[Row]:
    # Wrong bytes become surrogates, so that a row tells of them by itself.
    reader = csv.reader(line.decode("utf-8", "surrogateescape") for line in lines)
    header = [cell.strip().removeprefix("\ufeff") for cell in next(reader, [])]
    converters = _converters(header, kind, name)
    begins = reader.line_num + 1
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:
            fault = Refusal(RefusalReason.BAD_FORMAT, f"From here on it is no CSV: {error}.")
            yield Row(begins, b"", fault)
            return
        if cells is None:
            return
        if cells:
            yield _row(begins, cells, converters)
        begins = reader.line_num + 1


def _row(line: int, cells: Sequence[str], converters: Sequence[tuple[str, _Convert]]) -> Row:
    if len(cells) != len(converters):
        sentence = f"The row has {len(cells)} cells, the header {len(converters)}. Quote commas."
        return Row(line, b"", Refusal(RefusalReason.BAD_FORMAT, sentence))
    event = {
        field: convert(text)
        for (field, convert), cell in zip(converters, cells, strict=True)
        if (text := cell.strip())
    }
    try:
        return Row(line, _write_json(event).encode())
    except UnicodeEncodeError:
        return Row(line, b"", Refusal(RefusalReason.BAD_FORMAT, _NOT_UTF8))


if TYPE_CHECKING:
    _Convert = Callable[[str], Any]

# What cannot be converted stays text, so that validation tells what is wrong with it.
_INTEGER: Final = re.compile(r"[+-]?\d{1,18}", re.ASCII)
_NUMBER: Final = re.compile(r"[+-]?(\d{1,18}(\.\d*)?|\.\d+)([eE][+-]?\d{1,2})?", re.ASCII)
_BOOLEANS: Final = {"true": True, "false": False, "1": True, "0": False}
_CODES: Final = re.compile(r"[\s|]+")


def _integer(text: str) -> int | str:
    return int(text) if _INTEGER.fullmatch(text) else text


def _number(text: str) -> float | str:
    return float(text) if _NUMBER.fullmatch(text) else text


def _boolean(text: str) -> bool | str:
    return _BOOLEANS.get(text.lower(), text)


def _codes(text: str) -> list[str]:
    return [code for code in _CODES.split(text) if code]


def _converters(header: Sequence[str], kind: EventKind, name: str) -> list[tuple[str, _Convert]]:
    """Choose a converter for each column by the type of its field."""
    fields = EVENT_KINDS[kind].model_fields
    if problem := _header_problem(header, fields, kind):
        raise FeedError(f"{name}:1: {problem}")
    return [(column, _converter(fields[column])) for column in header]


def _converter(field: FieldInfo) -> _Convert:
    kinds = {field.annotation, *get_args(field.annotation)}
    if bool in kinds:
        return _boolean
    if int in kinds or 1 in kinds:
        return _integer
    if float in kinds:
        return _number
    return _codes if getattr(field.annotation, "__origin__", None) is tuple else str


def _header_problem(
    header: Sequence[str], fields: Mapping[str, FieldInfo], kind: EventKind
) -> str | None:
    if not header:
        return "the file is empty; the first line must name the columns."
    if unknown := [column for column in header if column not in fields]:
        return (
            f"{', '.join(map(repr, unknown))} is no field of {kind}; "
            f"the columns may be {', '.join(fields)}."
        )
    if twice := sorted({column for column in header if header.count(column) > 1}):
        return f"the column {', '.join(twice)} is there twice; keep one."
    missing = [n for n, field in fields.items() if field.is_required() and n not in header]
    if missing:
        return f"the column {', '.join(missing)} is missing; {kind} cannot do without."
    return None
