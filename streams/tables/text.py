"""Bytes of a file as rows of cells: encoding, line ends, separator, lines above the header."""

from __future__ import annotations

import codecs
import csv
import io
import re
from itertools import chain, islice
from typing import TYPE_CHECKING, Final, NamedTuple

from streams.errors import FenghuoError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["Cells", "decode", "read_cells"]

_WORKBOOK: Final = "an Excel workbook, not CSV; save its sheet as CSV UTF-8"
#: First bytes of files that are no text.
_BINARY: Final[Mapping[bytes, str]] = {
    b"PK\x03\x04": _WORKBOOK,
    b"\xd0\xcf\x11\xe0": _WORKBOOK,
    b"\x1f\x8b": "compressed; unpack it with gunzip",
    b"%PDF": "a PDF document, not CSV; export the table as CSV UTF-8",
}
_BOMS: Final[Mapping[bytes, str]] = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_SEPARATORS: Final = (",", ";", "\t", "|", "，", "；")
_NAMES: Final[Mapping[str, str]] = {
    ";": "semicolons", "\t": "tabs", "|": "|", "，": "full-width commas",
    "；": "full-width semicolons",
}  # fmt: skip
#: Excel's first line that names the separator.
_DECLARED: Final = re.compile(r"sep=(.)", re.IGNORECASE)
#: Lines that are looked at for the header and the separator.
_HEAD: Final = 12
#: Lead bytes of a pair, of a Western letter and of the lower half of Big5's second bytes.
_PAIR: Final = re.compile(rb"[\x81-\xfe][\x40-\x7e\x80-\xfe]")
_HIGH: Final = re.compile(rb"[\x80-\xff]+")
_LARGEST_CELL: Final = 1 << 20


class Cells(NamedTuple):
    """A file taken apart.

    Parameters
    ----------
    header
        Cells of the header, without blanks around them.
    line
        Line of the header, from 1.
    rows
        The other rows that are not blank: line and cells. Reading them may raise
        :class:`FenghuoError`.
    separator
        What separates cells.
    notes
        What was assumed, one sentence each.
    """

    header: list[str]
    line: int
    rows: Iterator[tuple[int, list[str]]]
    separator: str
    notes: list[str]


def read_cells(data: bytes, *, name: str, encoding: str | None = None) -> Cells:
    r"""Take a file apart.

    Parameters
    ----------
    data
        The whole file.
    name
        What messages call the file.
    encoding
        The file's encoding; None: it is found out.

    Raises
    ------
    FenghuoError
        The file is no text, or its encoding is unknown.

    Examples
    --------
    >>> cells = read_cells("日期;例数\r1;5\r".encode("gb18030"), name="f")
    >>> cells.header, list(cells.rows), cells.separator
    (['日期', '例数'], [(2, ['1', '5'])], ';')
    """
    text, notes = decode(data, name=name, encoding=encoding)
    # Line ends of Windows, Unix and old Mac OS become one.
    lines = io.StringIO(text, newline=None)
    first = lines.readline()
    declared = _DECLARED.fullmatch(first.strip().strip('"'))
    start = 1 if declared else 0
    if not declared:
        lines.seek(0)
    separator = declared[1] if declared else _separator(text)
    reader = csv.reader(lines, delimiter=separator, strict=True)
    rows = _filled(reader, name, start)
    head = [*islice(rows, _HEAD)]
    place = _header_place(head)
    if place:
        notes.append(f"Lines above the header (line {head[place][0]}) are left out.")
    if separator in _NAMES:
        notes.append(f"Cells are separated by {_NAMES[separator]}.")
    line, header = head[place] if head else (1, [])
    return Cells(header, line, chain(head[place + 1 :], rows), separator, notes)


def decode(data: bytes, *, name: str, encoding: str | None = None) -> tuple[str, list[str]]:
    """Decode a whole file, and say how where it is not UTF-8.

    Raises
    ------
    FenghuoError
        The file is no text, or is not in the encoding that is given or found out.
    """
    for magic, what in _BINARY.items():
        if data.startswith(magic):
            raise FenghuoError(f"{name}:1: this is {what}.")
    if encoding is not None:
        return _decoded(data, _known(encoding), name), []
    for bom, marked in _BOMS.items():
        if data.startswith(bom):
            return _decoded(data, marked, name), []
    if b"\0" in data[:4096]:
        return _decoded(data, _utf16(data, name), name), []
    try:
        return data.decode("utf-8"), []
    except UnicodeDecodeError as error:
        guess = _legacy(data)
        line = _line_of(data, error.start)
    note = f"Line {line} is not UTF-8: the file is read as {guess}; say otherwise with --encoding."
    return _decoded(data, guess, name), [note]


def _known(encoding: str) -> str:
    try:
        return codecs.lookup(encoding).name
    except LookupError:
        raise FenghuoError(
            f"--encoding {encoding}: no such encoding; write for example utf-8, gb18030 or big5."
        ) from None


def _decoded(data: bytes, encoding: str, name: str) -> str:
    try:
        return data.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = _line_of(data, error.start)
        raise FenghuoError(
            f"{name}:{line}: not {encoding} text. Save the file as UTF-8 (Excel: CSV UTF-8), or "
            "say its encoding with --encoding."
        ) from None


def _line_of(data: bytes, place: int) -> int:
    return len(re.findall(rb"\r\n|\r|\n", data[:place])) + 1


def _utf16(data: bytes, name: str) -> str:
    """Tell the order of bytes in UTF-16 without a mark by where ASCII has its zeros."""
    even, odd = data[0:4096:2].count(0), data[1:4096:2].count(0)
    if len(data) % 2 == 0 and max(even, odd) > 4 * min(even, odd):
        return "utf-16-be" if even > odd else "utf-16-le"
    raise FenghuoError(f"{name}:1: this is no text; save the table as CSV UTF-8.")


def _legacy(data: bytes) -> str:
    """Tell GB 18030, Big5 and Windows' Western encoding apart by pairs of bytes.

    Libraries guess by statistics of letters and fail on the few names of a small file.
    A Western letter stands alone among ASCII letters; in Chinese, high bytes follow each other.
    The second byte of a character is below 0x80 in 4 of 10 characters of Big5, and in rare
    characters of GB 18030 only.

    Examples
    --------
    >>> [_legacy(text.encode(code)) for text, code in (
    ...     ("余杭区,5", "gb18030"), ("臺中市,5", "big5"), ("Thüringen,5", "cp1252"))]
    ['gb18030', 'big5', 'cp1252']
    """
    if all(len(run) == 1 for run in _HIGH.findall(data)):
        return "cp1252"
    pairs = _PAIR.findall(data)
    low = sum(pair[1] < 0x80 for pair in pairs)  # noqa: PLR2004 - ASCII ends there
    order = ["gb18030", "big5"] if low * 10 < len(pairs) else ["big5", "gb18030"]
    for encoding in order:
        try:
            data.decode(encoding)
        except UnicodeDecodeError:
            continue
        return encoding
    return "cp1252"


def _separator(text: str) -> str:
    """Choose the separator with which most cells stand in the fullest of the first lines."""
    head = re.split(r"\r\n|\r|\n", text[: 1 << 16], maxsplit=_HEAD)[:_HEAD]
    best, most = ",", 1
    for separator in _SEPARATORS:
        try:
            counts = [len(row) for row in csv.reader(head, delimiter=separator)]
        except csv.Error:
            continue
        # The header and a row below it have as many cells; a title may hold any separator.
        agreed = max((n for n in counts if counts.count(n) > 1 or len(counts) == 1), default=1)
        if agreed > most:
            best, most = separator, agreed
    return best


def _filled(reader: Iterator[list[str]], name: str, start: int) -> Iterator[tuple[int, list[str]]]:
    # The limit holds for the whole process: other readers rely on the usual one.
    usual = csv.field_size_limit(_LARGEST_CELL)
    try:
        yield from _rows(reader, name, start)
    finally:
        csv.field_size_limit(usual)


def _rows(reader: Iterator[list[str]], name: str, start: int) -> Iterator[tuple[int, list[str]]]:
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:
            line = reader.line_num + start  # type: ignore[attr-defined]
            raise FenghuoError(f"{name}:{line}: this is not CSV: {error}.") from None
        if cells is None:
            return
        cells = [cell.strip() for cell in cells]
        if any(cells):
            yield reader.line_num + start, cells  # type: ignore[attr-defined]


def _header_place(head: Sequence[tuple[int, list[str]]]) -> int:
    """Skip titles: rows with one filled cell above a row with several."""
    for place, (_, cells) in enumerate(head):
        if sum(map(bool, cells)) > 1:
            return place
    return 0
