"""Taking imported counts back: import-counts --remove."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from schemas.regions import AmbiguousRegionError, UnknownRegionError
from streams.cli.common import console
from streams.cli.output import open_database
from streams.epi_weeks import parse_week
from streams.errors import FenghuoError
from streams.store.imports import Chosen, remove_imports

if TYPE_CHECKING:
    from collections.abc import Sequence

    from schemas.counts import ImportGrain
    from streams.config import Configuration
    from streams.store.imports import Removed

__all__ = ["choose", "take_back"]


def choose(
    configuration: Configuration,
    *,
    signal: str,
    grain: ImportGrain,
    regions: Sequence[str],
    first: str | None,
    last: str | None,
) -> Chosen:
    """Read which imported counts are meant.

    The signal need not be in the configuration any more.

    Raises
    ------
    FenghuoError
        A region's name is not known, a period cannot be read, or the last is before the first.
    """
    begin = _period(first, "--from", configuration)
    end = _period(last, "--to", configuration)
    if begin and end and end < begin:
        raise FenghuoError(f"--to {last} is before --from {first}; exchange them.")
    codes = tuple(_code(text, configuration) for text in regions)
    return Chosen(signal, grain, codes, begin, end)


def take_back(database: str, chosen: Chosen, *, yes: bool) -> None:
    """Tell what would be removed, or remove it."""
    with open_database(database) as connection:
        done = remove_imports(connection, chosen, dry_run=not yes)
    console.print(_told(chosen, done, yes=yes), highlight=False, markup=False)


def _told(chosen: Chosen, done: Removed, *, yes: bool) -> str:
    unit = f"{chosen.grain}s"
    if not done.counts:
        return f"No imported counts of {chosen.signal} by {chosen.grain} are stored for that."
    what = (
        f"{done.counts} imported counts of {chosen.signal} (sum {done.value:g}), regions: "
        f"{done.regions}, {unit} from {done.first} to {done.last}; "
        f"live counts of these {unit}: {done.live:g}"
    )
    if yes:
        return f"Removed {what}. They are judged again."
    return f"Would remove {what}. Nothing was changed; add --yes to remove them."


def _period(text: str | None, option: str, configuration: Configuration) -> date | None:
    if text is None:
        return None
    try:
        return parse_week(text, configuration.surveillance.epi_week) or date.fromisoformat(text)
    except ValueError:
        raise FenghuoError(
            f"{option} {text} is neither a date like 2009-08-03 nor an epi week like 2009-W32."
        ) from None


def _code(text: str, configuration: Configuration) -> str:
    try:
        return configuration.regions.find(text).code
    except (UnknownRegionError, AmbiguousRegionError) as error:
        raise FenghuoError(f"--region: {str(error).rstrip('.?')}.") from None
