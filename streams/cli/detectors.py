"""Commands that tell which detectors rules may name, and write the pages about them."""

from __future__ import annotations

from operator import itemgetter
from pathlib import Path  # noqa: TC003 - typer needs it at run time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.common import console
from streams.cli.output import JsonOption, print_json, results, table
from streams.cli.places import check_folder
from streams.errors import FenghuoError

if TYPE_CHECKING:
    from pydantic import BaseModel

__all__ = ["register"]

#: Sections of a docstring that are shown after the parameters.
_SHOWN = ("Notes", "References")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Detectors that rules may name.")
    group.command("list")(list_)
    group.command()(show)
    group.command()(docs)
    app.add_typer(group, name="detectors", no_args_is_help=True)


def list_(*, as_json: JsonOption = False) -> None:
    """List the detectors that are installed, by family."""
    from detectors.registry import DETECTORS  # noqa: PLC0415 - keeps --help fast
    from streams.detect.docstrings import by_family, summary  # noqa: PLC0415

    found = by_family(DETECTORS)
    if as_json:
        rows = [
            {"type": name, "family": family, "summary": summary(model)}
            for family, members in found.items()
            for name, model in members.items()
        ]
        print_json(sorted(rows, key=itemgetter("type")))
        return
    width = max(map(len, DETECTORS))
    for family, members in found.items():
        shown = table(family, "type", "summary", wrap=("summary",))
        for name, model in members.items():
            shown.add_row(name.ljust(width), summary(model))
        results().print(shown, markup=False)
    results().print("What one assumes, its parameters and papers: fenghuo detectors show NAME.")


def show(
    name: Annotated[str, typer.Argument(help="The type that a rule names.")],
    *,
    as_json: JsonOption = False,
) -> None:
    """Show what a detector assumes, when to use it, its parameters, and the paper."""
    from detectors.registry import DETECTORS, UnknownDetectorError, parse_detector  # noqa: PLC0415
    from streams.detect.docstrings import sections  # noqa: PLC0415

    if name not in DETECTORS:
        try:
            parse_detector({"type": name})
        except UnknownDetectorError as error:
            raise FenghuoError(f"{error}. See fenghuo detectors list.") from None
    model: Any = DETECTORS[name]
    if as_json:
        print_json(model.model_json_schema())
        return
    told = sections(model)
    to = results()
    to.print(told.pop("", ""), markup=False, soft_wrap=True)
    to.print()
    to.print(_parameters(model), markup=False)
    for title in _SHOWN:
        if text := told.get(title):
            to.print(f"{title}\n", style="bold", markup=False)
            to.print(text, markup=False, soft_wrap=True)
            to.print()
    to.print(f"In a rule:  detector: {{type: {name}}}", markup=False)
    to.print(
        f"On a file:  fenghuo detect COUNTS.csv --detector {name} --out VERDICTS.csv",
        markup=False,
        soft_wrap=True,
    )


def docs(
    folder: Annotated[Path, typer.Argument(help="Folder for the pages, such as docs/detectors.")],
) -> None:
    """Write one Markdown page for each detector, and a gallery of all on the same real series."""
    from streams.detect.pages import write_pages  # noqa: PLC0415

    check_folder(folder, "FOLDER")
    try:
        written = write_pages(folder, on_page=lambda name: console.print(name, highlight=False))
    except OSError as error:
        raise FenghuoError(f"{folder}: {error.strerror}.") from None
    size = sum(path.stat().st_size for path in written)
    console.print(f"Wrote {len(written)} files, {size / 1e6:.1f} MB, in {folder}.", highlight=False)


def _parameters(model: type[BaseModel]) -> Any:
    from streams.detect.docstrings import parameters  # noqa: PLC0415

    shown = table("Parameters", "name", "values", "default", "meaning", wrap=("values", "meaning"))
    for one in parameters(model):
        shown.add_row(one.name, one.values, one.default, one.meaning)
    return shown
