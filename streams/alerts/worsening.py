"""Whether counts are so much higher than before that people must hear of them again. Pure."""

from __future__ import annotations

from datetime import timedelta
from math import sqrt
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

    from schemas.alerts import Alert, Announced
    from schemas.config import Worsening
    from schemas.counts import Grain
    from streams.alerts.combining import Member

__all__ = ["FORGOTTEN_AFTER", "has_worsened", "much_higher", "per_day"]

#: After this time the announced figures are compared no more if recent ones are lower: a second
#: wave is measured by what was usual before it, not by the height of the first.
FORGOTTEN_AFTER: Final = timedelta(days=14)

#: Standard deviations of the difference of two Poisson counts (p = 0.023, one-sided).
_DEVIATIONS: Final = 2.0


def per_day(observed: float, grain: Grain) -> float:
    """Return a period's count by day, so that days, weeks and seven days can be compared.

    Examples
    --------
    >>> per_day(21, "day"), per_day(21, "rolling7")
    (21.0, 3.0)
    """
    return observed / _days(grain)


def much_higher(observed: float, grain: Grain, before_per_day: float, worsening: Worsening) -> bool:
    """Tell whether a count exceeds an earlier one by the configured factor, and not by chance.

    Examples
    --------
    >>> from schemas.config import Worsening
    >>> much_higher(26, "day", 13, Worsening()), much_higher(25, "day", 13, Worsening())
    (True, False)
    >>> much_higher(16, "day", 4, Worsening()), much_higher(8, "day", 4, Worsening())
    (True, False)
    """
    before = before_per_day * _days(grain)
    least = max(worsening.cases, _DEVIATIONS * sqrt(observed + before))
    return observed >= worsening.times * before and observed - before >= least


def has_worsened(
    alert: Alert, leading: Member, members: Sequence[Member], worsening: Worsening, now: datetime
) -> bool:
    """Tell whether an open alert's latest exceedance is much higher than what was announced.

    Parameters
    ----------
    leading
        The member whose numbers are shown.
    members
        All of them.
    """
    latest, told = leading.found.latest, alert.announced
    if latest is None or told is None:
        return False
    if sum(at > now - timedelta(days=1) for at in told.worsened) >= worsening.per_day:
        return False
    before = _before(told, leading, members, latest.period)
    return much_higher(latest.observed, leading.grain, before, worsening)


def _before(told: Announced, leading: Member, members: Sequence[Member], period: date) -> float:
    """Return what the latest count is compared with, by day."""
    before = [per_day(told.observed, told.grain)]
    # Corrections may have lowered the announced count since.
    before += [
        per_day(member.found.announced_now, told.grain)
        for member in members
        if member.shown and member.rule == told.rule and member.found.announced_now is not None
    ]
    recent = leading.found.recent_high
    if recent is not None and period - told.period > FORGOTTEN_AFTER:
        before.append(per_day(recent, leading.grain))
    return min(before)


def _days(grain: Grain) -> int:
    return 1 if grain == "day" else 7
