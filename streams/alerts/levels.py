"""Whether exceedances ended because the baseline took the counts in. Pure."""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING, Final

from schemas.alerts import NewLevel

if TYPE_CHECKING:
    from streams.alerts.combining import Member

__all__ = ["new_level"]

#: Counts that are at least this multiple of the first expectation have not fallen.
_TIMES: Final = 1.5
#: Standard deviations of the difference of two Poisson counts: small counts vary by as much.
_DEVIATIONS: Final = 2.0


def new_level(leading: Member | None) -> NewLevel | None:
    """Return how counts stand when exceedances end; None: they are back, or it is not known.

    A method compares with recent counts. An outbreak that lasts becomes part of them, so that its
    alarms end while it goes on.

    Parameters
    ----------
    leading
        The member whose numbers are shown.
    """
    if leading is None or not leading.judged:
        return None
    found = leading.found
    now, before, since = found.quiet_observed, found.begun_expected, found.first_period
    if now is None or before is None or since is None:
        return None
    before = max(before, 0.0)
    if now < _TIMES * before or now - before < _DEVIATIONS * sqrt(now + before):
        return None
    return NewLevel(
        rule=leading.rule,
        grain=leading.grain,
        since=since,
        before=before,
        now=now,
        expected=found.quiet_expected,
    )
