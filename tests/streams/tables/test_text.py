from __future__ import annotations

import codecs
import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.errors import FenghuoError
from streams.tables.text import read_cells

TABLE = "日期,地区,病例数\n2024-01-01,余杭区,5\n2024-01-02,西湖区,7\n"
ROWS = [["2024-01-01", "余杭区", "5"], ["2024-01-02", "西湖区", "7"]]


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "gb18030", "gbk"]
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|", "，"])
def test_every_encoding_line_end_and_separator(encoding: str, end: str, separator: str) -> None:
    text = TABLE.replace(",", separator).replace("\n", end)
    cells = read_cells(text.encode(encoding), name="f")
    assert cells.header == ["日期", "地区", "病例数"]
    assert list(cells.rows) == [(2, ROWS[0]), (3, ROWS[1])]


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("週次,縣市,病例數\n2024-W01,臺中市,5\n2024-W02,高雄市,7\n", "big5"),
        ("time,region,count\n1,台北市,2\n", "big5"),
        ("time,region,count\n1,北京,2\n", "gb18030"),
        ("time,region,count\n1,Île-de-France,2\n2,Thüringen,3\n", "cp1252"),
    ],
)
def test_encodings_are_told_apart_on_few_letters_and_said(text: str, encoding: str) -> None:
    cells = read_cells(text.encode(encoding), name="f")
    assert [row for _, row in cells.rows] == [line.split(",") for line in text.split()[1:]]
    assert f"the file is read as {encoding}" in cells.notes[0]


def test_titles_above_the_header_and_excels_separator() -> None:
    title = "PERCENTAGE OF VISITS FOR ILI BY WEEK\n"
    assert read_cells((title + TABLE).encode(), name="f").line == 2
    merged = "某县2024年流感样病例,,\n\n" + TABLE
    cells = read_cells(merged.encode(), name="f")
    assert (cells.line, cells.header) == (3, ["日期", "地区", "病例数"])
    declared = read_cells(b"sep=;\ntime;a,b\n1;2\n", name="f")
    assert (declared.header, list(declared.rows)) == (["time", "a,b"], [(3, ["1", "2"])])


def test_what_is_no_text_is_named() -> None:
    book = io.BytesIO()
    with zipfile.ZipFile(book, "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
    for data, text in (
        (book.getvalue(), "f:1: this is an Excel workbook, not CSV; save its sheet as CSV UTF-8"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "f:1: this is an Excel workbook"),
        (b"%PDF-1.7", "f:1: this is a PDF document"),
        (b"\x1f\x8b\x08", "f:1: this is compressed; unpack it"),
        (b"\x00\x00\x01\x00\x00\x00", "f:1: this is no text"),
        (codecs.BOM_UTF16_LE + b"a", "f:1: not utf-16 text"),
    ):
        with pytest.raises(FenghuoError, match=text):
            read_cells(data, name="f")
    with pytest.raises(FenghuoError, match="--encoding latin-99: no such encoding"):
        read_cells(b"a", name="f", encoding="latin-99")


def test_a_quote_that_never_ends_has_its_line() -> None:
    with pytest.raises(FenghuoError, match=r"f:2: this is not CSV: unexpected end of data"):
        list(read_cells(b'time,count\n1,"2\n', name="f").rows)


@given(
    st.lists(st.lists(st.sampled_from("aZ9北é.-"), min_size=1, max_size=4), min_size=2, max_size=9),
    st.sampled_from(["utf-8", "utf-16", "gb18030"]),
    st.sampled_from([",", ";", "\t"]),
)
def test_no_row_is_lost(cells: list[list[str]], encoding: str, separator: str) -> None:
    rows = [["北" + "".join(cell), str(number)] for number, cell in enumerate(cells)]
    text = "".join(separator.join(row) + "\n" for row in [["名称名称", "数量数量"], *rows])
    found = read_cells(text.encode(encoding), name="f", encoding=encoding)
    assert [row for _, row in found.rows] == rows
