from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from schemas.refusals import RefusalReason
from streams.feed.rows import FeedError, Row, format_of, open_feed, read_rows

if TYPE_CHECKING:
    from schemas.events import EventKind

VISITS = "event_id,source_id,facility_id,region,occurred_at"
SALES = f"{VISITS},quantity"
HEAD = "v1,his,H1,R1,2026-01-01T08:00:00+08:00"


def read_csv(text: str, kind: EventKind = "visits") -> list[Row]:
    lines = text.encode().splitlines(keepends=True)
    return list(read_rows(lines, "csv", kind, name="f.csv"))


def cell(field: str, text: str, kind: EventKind = "visits") -> Any:
    """What one cell becomes; None when the field is absent."""
    header, head = (VISITS, HEAD) if kind == "visits" else (SALES, f"{HEAD},2")
    if field in header.split(","):
        header, head = header.replace(f",{field}", ""), head.rpartition(",")[0]
    (row,) = read_csv(f"{header},{field}\n{head},{text}\n", kind)
    assert row.fault is None
    return json.loads(row.value).get(field)


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("age", "34", 34),
        ("age", " 34 ", 34),
        ("age", "34.5", "34.5"),
        ("age", "abc", "abc"),
        ("age", "３４", "３４"),
        ("age", "1_0", "1_0"),
        ("age", "", None),
        ("revision", "2", 2),
        ("schema_version", "1", 1),
        ("temperature", "38.5", 38.5),
        ("temperature", "38", 38.0),
        ("temperature", '"38,5"', "38,5"),
        ("temperature", "nan", "nan"),
        ("temperature", "inf", "inf"),
        ("cancelled", "true", True),
        ("cancelled", "FALSE", False),
        ("cancelled", "1", True),
        ("cancelled", "0", False),
        ("cancelled", "yes", "yes"),
        ("icd10", "J11.1 R50.9", ["J11.1", "R50.9"]),
        ("icd10", "J11.1|R50.9", ["J11.1", "R50.9"]),
        ("icd10", "J11.1", ["J11.1"]),
        ("complaint", '"发热, 咳嗽"', "发热, 咳嗽"),
        ("complaint", "38", "38"),
        ("age_group", "0-6", "0-6"),
        ("sex", "female", "female"),
    ],
)
def test_a_visits_cell_becomes_the_type_of_its_field(field: str, text: str, value: object) -> None:
    found = cell(field, text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("quantity", "0.5", 0.5),
        ("otc", "0", False),
        ("otc", "true", True),
        ("product", "100", "100"),
        ("atc", "N02BE01", "N02BE01"),
    ],
)
def test_a_sales_cell_becomes_the_type_of_its_field(field: str, text: str, value: object) -> None:
    found = cell(field, text, "sales")
    assert found == value
    assert type(found) is type(value)


def test_lines_are_those_on_which_rows_begin() -> None:
    text = f'{VISITS},complaint\n{HEAD},"two\nlines"\n\n{HEAD},one\n{HEAD}\n'
    rows = read_csv(text)
    assert [row.line for row in rows] == [2, 5, 6]
    assert json.loads(rows[0].value)["complaint"] == "two\nlines"


def test_a_row_of_another_length_is_a_bad_row() -> None:
    short, long_, good = read_csv(f"{VISITS}\nv1,his\n{HEAD},more\n{HEAD}\n")
    assert short.fault
    assert short.fault.reason is RefusalReason.BAD_FORMAT
    assert short.fault.sentence == "The row has 2 cells, the header 5. Quote commas."
    assert long_.fault
    assert good.fault is None


def test_a_byte_order_mark_is_no_part_of_the_first_column() -> None:
    (row,) = read_csv(f"\ufeff{VISITS}\n{HEAD}\n")
    assert json.loads(row.value)["event_id"] == "v1"


def test_rows_in_another_encoding_are_bad_rows_and_do_not_hide_the_others() -> None:
    lines = [
        f"{VISITS},complaint\n".encode(),
        f"{HEAD},发热\n".encode("gb18030"),
        f"{HEAD},fever\n".encode(),
    ]
    wrong, good = read_rows(lines, "csv", "visits", name="f.csv")
    assert wrong.line == 2
    assert wrong.fault
    assert "UTF-8" in wrong.fault.sentence
    assert good.fault is None


def test_an_endless_cell_is_told_where_it_begins() -> None:
    text = f'{VISITS},complaint\n{HEAD},fine\n{HEAD},"open\n' + "x" * 200_000 + "\n"
    good, endless = read_csv(text)
    assert good.fault is None
    assert endless.line == 3
    assert endless.fault
    assert endless.fault.reason is RefusalReason.BAD_FORMAT


@pytest.mark.parametrize(
    ("header", "kind", "message"),
    [
        ("", "visits", "f.csv:1: the file is empty"),
        (f"{VISITS},sorce", "visits", "f.csv:1: 'sorce' is no field of visits; .*source_id"),
        (f"{VISITS},quantity", "visits", "'quantity' is no field of visits"),
        (f"{VISITS},region", "visits", "f.csv:1: the column region is there twice"),
        ("event_id,source_id,facility_id", "visits", "column region, occurred_at is missing"),
        (VISITS, "sales", "the column quantity is missing; sales cannot do without"),
    ],
)
def test_a_header_that_does_not_fit(header: str, kind: EventKind, message: str) -> None:
    with pytest.raises(FeedError, match=message):
        read_csv(f"{header}\n{HEAD}\n" if header else "", kind)


def test_ndjson_is_passed_on_as_it_is() -> None:
    lines = [b'\xef\xbb\xbf{"a": 1}\n', b"\n", b'  {"b":2}\r\n', b"no json"]
    rows = list(read_rows(lines, "ndjson", "visits", name="f"))
    assert rows == [Row(1, b'{"a": 1}'), Row(3, b'{"b":2}'), Row(4, b"no json")]


@pytest.mark.parametrize(
    ("name", "expected"), [("a.csv", "csv"), ("a.CSV", "csv"), ("a.ndjson", "ndjson")]
)
def test_the_extension_tells_the_format(name: str, expected: str) -> None:
    assert format_of(Path(name)) == expected


def test_without_extension_the_format_must_be_given() -> None:
    assert format_of(Path("-"), "csv") == "csv"
    with pytest.raises(FeedError, match="--format"):
        format_of(Path("-"))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with (
        pytest.raises(FeedError, match=r"nope\.csv: No such file"),
        open_feed(tmp_path / "nope.csv"),
    ):
        pass
