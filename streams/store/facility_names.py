"""Names of facilities: two sources may use the same identifier for different facilities."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["facility_names"]


def facility_names(facilities: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Return a unique name for each facility of those that are shown together.

    Parameters
    ----------
    facilities
        Pairs of source and identifier; repeated pairs are one facility. An empty source is unknown.

    Examples
    --------
    >>> facility_names([("his.a", "clinic-1"), ("his.b", "clinic-1"), ("his.b", "clinic-2")])
    {('his.a', 'clinic-1'): 'his.a/clinic-1', ('his.b', 'clinic-1'): 'his.b/clinic-1', \
('his.b', 'clinic-2'): 'clinic-2'}
    """
    pairs = sorted(set(facilities))
    sources = Counter(facility for _, facility in pairs)
    names = {
        (source, facility): f"{source}/{facility}" if source and sources[facility] > 1 else facility
        for source, facility in pairs
    }
    used = Counter(names.values())
    # Identifiers may contain slashes but no blanks.
    return {pair: name if used[name] == 1 else " / ".join(pair) for pair, name in names.items()}
