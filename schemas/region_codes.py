"""What is doubtful about a region's code under which something is counted. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from schemas.regions import Region, RegionRegistry

__all__ = ["code_doubt", "doubtful_codes"]


def code_doubt(registry: RegionRegistry, code: str, on: date) -> str | None:
    """Say what is wrong with counting in a region on a day, and which code to send instead.

    Counts of an abolished code, or of one with regions below it, are counts all the same: they
    are in the sums of the levels above. But the county in which they arose does not see them.

    Parameters
    ----------
    registry
        Which regions there are.
    code
        A code of the registry.
    on
        The day counted in.

    Returns
    -------
    str or None
        A sentence; None for the code of a region in force with none below it.

    Raises
    ------
    UnknownRegionError
        The registry lacks the code.
    """
    region = registry[code]
    named = f"{code} {registry.path_name(code)}"
    if region.valid_to is not None and region.valid_to <= on:
        return f"{named} was abolished on {region.valid_to}. {_instead(registry, region)}"
    if any(below.is_valid_on(on) for below in registry.children(code)):
        return (
            f"{named} is a {region.level}: the events count there, and in no region below it. "
            f"{_BY_PLACE}"
        )
    return None


def doubtful_codes(registry: RegionRegistry, on: date) -> Iterator[str]:
    """Yield the codes of which `code_doubt` has something to say."""
    return (region.code for region in registry if code_doubt(registry, region.code, on))


_BY_PLACE = "Send the code of the region of the lowest level in which the facility lies."


def _instead(registry: RegionRegistry, region: Region) -> str:
    followers = [f"{code} {registry.path_name(code)}" for code in region.successors]
    if not followers:
        return _BY_PLACE
    if len(followers) == 1:
        return f"Send {followers[0]} instead."
    return f"Send the one in which the facility lies: {', '.join(followers)}."
