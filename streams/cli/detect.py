"""`fenghuo detect`: a file of counts in, a file of verdicts out."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path  # noqa: TC003 - typer needs it at run time
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from streams.cli.common import console
from streams.cli.output import table as make_table
from streams.cli.places import check_file, check_folder
from streams.cli.progress import counting_bar
from streams.errors import FenghuoError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from detectors.contract import Detector
    from streams.cli.progress import Counting
    from streams.detect.plots import PictureBook
    from streams.detect.reading import CountTable, Reading
    from streams.detect.writing import VerdictWriter

__all__ = ["register"]

#: Bytes of a file that takes so long to read that a bar is shown.
_LARGE = 2_000_000
_WEEKS = 52
#: Steps without a count that are named.
_NAMED = 3
_NO_FONT = (
    "No font with Chinese characters is installed: titles have ? in their place. Install one, such "
    "as Noto Sans CJK (Debian, Ubuntu: apt install fonts-noto-cjk), and draw again."
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(detect)


def detect(
    counts: Annotated[Path, typer.Argument(metavar="COUNTS.csv", help="Counts; - is stdin.")],
    *,
    out: Annotated[Path, typer.Option(help="CSV file for the verdicts; - is stdout.")],
    detector: Annotated[
        str | None, typer.Option(help="Its type; see fenghuo detectors list.")
    ] = None,
    param: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="A parameter; may be given many times."),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="YAML or JSON file of the detector: type and parameters.")
    ] = None,
    period: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Steps in a year. Whole-number times: 52 unless given. Dates: baselines step back "
            "exactly so many steps instead of calendar years.",
        ),
    ] = None,
    begin: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="First judged time, and where charts that accumulate begin: a date, week or "
            "month; or a whole number, which is a value of the time column where that holds whole "
            "numbers and elsewhere the number of the step, from 1. All are judged by default.",
        ),
    ] = None,
    latest: Annotated[
        bool, typer.Option("--latest", help="Judge the last count of each series only.")
    ] = False,
    grain: Annotated[
        Literal["day", "week", "month"] | None,
        typer.Option(
            help="Width of a step, if the dates' distances shall not decide. Daily counts are "
            "added up by week or month. week: 2018-01 is a week, not a month."
        ),
    ] = None,
    epi_week: Annotated[
        Literal["iso", "mmwr"] | None,
        typer.Option(
            help="Epi weeks begin on Monday or on Sunday.", show_default="iso; FluView: mmwr"
        ),
    ] = None,
    columns: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ROLE=COLUMN,...",
            help="Which columns to take: time (or year and week), region, signal, count, "
            "population; columns joined with + give one name. Without count, each row is a case.",
        ),
    ] = None,
    cumulative: Annotated[
        bool, typer.Option("--cumulative", help="Counts are totals; take the new cases.")
    ] = False,
    decimal: Annotated[
        Literal[".", ","] | None,
        typer.Option(help="What stands before decimals, if 1.006 may be 1006."),
    ] = None,
    encoding: Annotated[
        str | None, typer.Option(help="Encoding of the file.", show_default="found out")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Folder for pictures, of the 50 series with most alarms.")
    ] = None,
    plot_all: Annotated[bool, typer.Option("--plot-all", help="Draw every series.")] = False,
) -> None:
    """Judge the counts of a file, without database or stream.

    The file is long (time,region,signal,count and, if wanted, population) or wide (time, then one
    column for each series). The columns of WHO, CDC, ECDC, OWID, JHU, DHIS2 and RKI are known, and
    so are usual Chinese and English names. A time is a date, an epi week like 2009-W32, a month
    like 2009-07, a year or a whole number. An empty count and a time without a row are missing,
    not 0.

    With most methods an alarm is a count above `upper`; cusum, glr_poisson, glr_nb and outbreak_p
    compare what a chart has added up, change_point a probability, and drop a lower limit. The
    command says so at its end.
    """
    from streams.detect.choosing import choose_detector, read_parameters  # noqa: PLC0415
    from streams.detect.reading import Reading  # noqa: PLC0415
    from streams.tables.layout import read_mapping  # noqa: PLC0415

    if detector is None and config is None:
        raise FenghuoError("Say which detector: --detector NAME or --config FILE.")
    if latest and begin is not None:
        raise FenghuoError("--latest judges the last time only; leave out --from or --latest.")
    if plot_all and plot is None:
        raise FenghuoError("--plot-all needs --plot FOLDER.")
    _check_places(counts, out, plot)
    chosen = choose_detector(detector, param or [], read_parameters(config) if config else None)
    reading = Reading(
        epi_week=epi_week,
        grain=grain,
        columns=read_mapping(columns) if columns else None,
        decimal=decimal,
        encoding=encoding,
        cumulative=cumulative,
        steps=period is not None,
        today=datetime.now(tz=UTC).astimezone().date(),
    )
    table = _read(counts, reading)
    first = table.axis.position_from(begin) if begin is not None else None
    _remark(table, period)
    if chosen.type == "mem":
        _remark_season(table, chosen, period)
    book = _book(table, chosen, draw_all=plot_all) if plot else None
    writer = _judge(table, chosen, out, book, period=period, first=first, latest=latest)
    if book is not None and plot is not None:
        _draw(book, plot, len(table.series))
    _summarise(writer, table, out)
    _explain(chosen.type)


def _check_places(counts: Path, out: Path, plot: Path | None) -> None:
    """Refuse places that cannot be written, before there is anything to lose."""
    if str(out) != "-":
        check_file(out, "--out")
        if out.exists() and counts.exists() and out.samefile(counts):
            raise FenghuoError(f"--out {out}: this is the file of counts; name another.")
    if plot is not None:
        check_folder(plot, "--plot")


def _read(counts: Path, reading: Reading) -> CountTable:
    from streams.detect.reading import read_table  # noqa: PLC0415

    if str(counts) == "-":
        return read_table(sys.stdin.buffer, name="stdin", reading=reading)
    try:
        size = counts.stat().st_size
        with ExitStack() as stack:
            lines: Iterable[bytes] = stack.enter_context(counts.open("rb"))
            if size > _LARGE:
                bar = stack.enter_context(counting_bar("Reading", size, unit="lines"))
                lines = _counted(lines, bar)
            return read_table(lines, name=str(counts), reading=reading)
    except OSError as error:
        raise FenghuoError(f"{counts}: {error.strerror}.") from None


def _counted(lines: Iterable[bytes], bar: Counting) -> Iterator[bytes]:
    for line in lines:
        yield line
        bar.count(1)
        bar.advance(len(line))


def _remark(table: CountTable, period: int | None) -> None:
    """Tell what was assumed, and what looks odd."""
    from streams.detect.remarks import odd_series  # noqa: PLC0415

    axis = table.axis
    width = "whole numbers" if axis.grain is None else f"by {axis.grain}"
    if axis.kind == "year":
        width = "by year"
    for note in table.notes:
        console.print(note, highlight=False, markup=False, soft_wrap=True)
    steps = "step" if len(axis.labels) == 1 else "steps"
    console.print(
        f"{len(table.series):,} series, {len(axis.labels):,} {steps} {width}, "
        f"{axis.labels[0]} to {axis.labels[-1]}.",
        highlight=False,
    )
    if axis.kind == "integer" and period is None:
        console.print("Taken as weeks, 52 in a year; say otherwise with --period.")
    for remark in odd_series(table):
        console.print(remark, style="yellow", highlight=False, markup=False, soft_wrap=True)
    _remark_missing(table)


def _remark_missing(table: CountTable) -> None:
    import numpy as np  # noqa: PLC0415

    axis = table.axis
    there = np.isfinite(table.counts)
    if there.all():
        return
    missing = there.size - int(there.sum())
    share = missing / there.size
    console.print(
        f"{missing:,} of {there.size:,} counts are missing ({share:.1%}), which is not 0."
    )
    empty = [axis.labels[position] for position in np.flatnonzero(~there.any(axis=0)).tolist()]
    if empty:
        more = ", ..." if len(empty) > _NAMED else ""
        console.print(
            f"Steps without any count: {len(empty):,} ({', '.join(empty[:_NAMED])}{more}).",
            highlight=False,
        )


def _remark_season(table: CountTable, detector: Any, period: int | None) -> None:
    """Tell where seasons begin on a time axis that has no calendar."""
    if table.axis.kind != "integer" and period is None:
        return
    labels, length = table.axis.labels, period or _WEEKS
    place = (min(detector.season_start, _WEEKS) - 1) * length // _WEEKS
    first = f", the first one at {labels[place]}" if place < len(labels) else ""
    console.print(
        f"The first time of the file is taken as the beginning of week 1: seasons begin every "
        f"{length} steps{first}; say otherwise with --param season_start=WEEK.",
        highlight=False,
    )


def _book(table: CountTable, detector: Detector, *, draw_all: bool) -> PictureBook:
    from streams.detect.plots import MOST_PLOTS, PictureBook  # noqa: PLC0415

    return PictureBook(table, detector.type, most=None if draw_all else MOST_PLOTS)


def _judge(
    table: CountTable,
    detector: Detector,
    out: Path,
    book: PictureBook | None,
    *,
    period: int | None,
    first: int | None,
    latest: bool,
) -> VerdictWriter:
    from streams.detect.running import judge_table  # noqa: PLC0415
    from streams.detect.writing import VerdictWriter, open_verdicts  # noqa: PLC0415

    with ExitStack() as stack:
        writer = VerdictWriter(stack.enter_context(open_verdicts(out)), table)
        bar = stack.enter_context(counting_bar("Judging", len(table.series), unit="points"))
        for judged in judge_table(table, detector, period=period, first=first, latest=latest):
            before = writer.points
            writer.write(judged)
            if book is not None:
                book.add(judged)
            bar.count(writer.points - before)
            bar.advance(len(judged.rows))
            bar.flush()
    return writer


def _draw(book: PictureBook, folder: Path, series: int) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with counting_bar("Drawing", len(book), unit="pictures") as bar:
            for picture in range(len(book)):
                book.draw(folder, picture)
                bar.count(1)
                bar.advance(1)
    except OSError as error:
        raise FenghuoError(f"{folder}: {error.strerror}.") from None
    console.print(f"Drew {len(book)} of {series} series in {folder}.", highlight=False)
    if book.lacks_font:
        console.print(_NO_FONT, style="yellow", highlight=False, soft_wrap=True)
    if len(book) < series:
        console.print("They have the most alarms; --plot-all draws every series.")


def _explain(kind: str) -> None:
    """Say what an alarm compares, where it is not the count with `upper`."""
    from streams.detect.decisions import DECISIONS, decision  # noqa: PLC0415

    if kind in DECISIONS:
        console.print(
            f"An alarm of {kind}: {decision(kind)}.",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )


def _summarise(writer: VerdictWriter, table: CountTable, out: Path) -> None:
    shown = make_table("Verdicts", "reason", "points", "share", right=("points", "share"))
    for reason, points in writer.reasons.most_common():
        shown.add_row(reason, f"{points:,}", f"{points / writer.points:.1%}")
    console.print(shown, markup=False)
    where = "" if str(out) == "-" else f" Wrote {out}."
    console.print(
        f"{len(table.series):,} series, {writer.points:,} points judged, {writer.alarms:,} alarms "
        f"in {writer.series_in_alarm:,} series.{where}",
        highlight=False,
        soft_wrap=True,
    )
