"""`fenghuo detect`: a file of counts in, a file of verdicts out."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path  # noqa: TC003 - typer needs it at run time
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from streams.cli.common import console
from streams.cli.output import table as make_table
from streams.cli.progress import counting_bar
from streams.errors import FenghuoError

if TYPE_CHECKING:
    from detectors.contract import Detector
    from streams.detect.plots import PictureBook
    from streams.detect.reading import CountTable
    from streams.detect.writing import VerdictWriter

__all__ = ["register"]

#: A file whose steps are emptier than this is remarked on.
_FEW = 0.5


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
    latest: Annotated[bool, typer.Option("--latest", help="Judge the last time only.")] = False,
    grain: Annotated[
        Literal["day", "week", "month"] | None,
        typer.Option(help="Width of a step, if the dates' distances shall not decide."),
    ] = None,
    epi_week: Annotated[
        Literal["iso", "mmwr"], typer.Option(help="Epi weeks begin on Monday or on Sunday.")
    ] = "iso",
    plot: Annotated[
        Path | None, typer.Option(help="Folder for pictures, of the 50 series with most alarms.")
    ] = None,
    plot_all: Annotated[bool, typer.Option("--plot-all", help="Draw every series.")] = False,
) -> None:
    """Judge the counts of a file, without database or stream.

    The file is long (time,region,signal,count and, if wanted, population) or wide (time, then one
    column for each series). A time is a date, an epi week like 2009-W32, a month like 2009-07 or a
    whole number. An empty count and a time without a row are missing, not 0.
    """
    from streams.detect.choosing import choose_detector, read_parameters  # noqa: PLC0415

    if detector is None and config is None:
        raise FenghuoError("Say which detector: --detector NAME or --config FILE.")
    if latest and begin is not None:
        raise FenghuoError("--latest judges the last time only; leave out --from or --latest.")
    if plot_all and plot is None:
        raise FenghuoError("--plot-all needs --plot FOLDER.")
    chosen = choose_detector(detector, param or [], read_parameters(config) if config else None)
    table = _read(counts, epi_week, grain)
    first = table.axis.position_from(begin) if begin is not None else None
    _remark(table, period)
    book = _book(table, chosen, draw_all=plot_all) if plot else None
    writer = _judge(table, chosen, out, book, period=period, first=first, latest=latest)
    if book is not None and plot is not None:
        _draw(book, plot, len(table.series))
    _summarise(writer, table, out)


def _read(
    counts: Path,
    epi_week: Literal["iso", "mmwr"],
    grain: Literal["day", "week", "month"] | None,
) -> CountTable:
    from streams.detect.reading import read_table  # noqa: PLC0415

    if str(counts) == "-":
        return read_table(sys.stdin.buffer, name="stdin", epi_week=epi_week, grain=grain)
    try:
        with counts.open("rb") as lines:
            return read_table(lines, name=str(counts), epi_week=epi_week, grain=grain)
    except OSError as error:
        raise FenghuoError(f"{counts}: {error.strerror}.") from None


def _remark(table: CountTable, period: int | None) -> None:
    """Tell what was assumed, and what looks odd."""
    import numpy as np  # noqa: PLC0415

    axis = table.axis
    width = "whole numbers" if axis.grain is None else f"by {axis.grain}"
    console.print(
        f"{len(table.series):,} series, {len(axis.labels):,} steps {width}, "
        f"{axis.labels[0]} to {axis.labels[-1]}.",
        highlight=False,
    )
    if axis.kind == "integer" and period is None:
        console.print("Taken as weeks, 52 in a year; say otherwise with --period.")
    filled = float(np.isfinite(table.counts).mean())
    if filled < _FEW:
        console.print(f"Only {filled:.0%} of the counts are there; the rest is missing.")


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
    if len(book) < series:
        console.print("They have the most alarms; --plot-all draws every series.")


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
