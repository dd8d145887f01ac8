"""What can be done with an alert now, in the order in which it is likely. Pure."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final, get_args

from schemas.alerts import Consequence, Likelihood
from schemas.risk import risk_level
from streams.alerts.lifecycle import possible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from schemas.alerts import Alert
    from schemas.risk import RiskMatrix
    from streams.people.users import User

__all__ = ["choices", "proposed"]

_IN_ORDER: Final = (
    "acknowledge", "verify", "assess", "confirm", "monitor", "close", "discard", "comment",
    "assign", "merge", "reopen",
)  # fmt: skip
_NEXT: Final = {
    "new": "verify",
    "verifying": "assess",
    "monitoring": "assess",
    "assessing": "confirm",
    "confirmed": "close",
}


def proposed(alert: Alert) -> str | None:
    """Return the step that usually follows; None: nothing has to be done.

    Where exceedances have ended and counts have fallen, closing is; where the risk was found low,
    watching.
    """
    if (
        alert.quiet_since is not None
        and alert.new_level is None
        and "close" in possible(alert.status)
    ):
        return "close"
    if alert.status == "assessing" and alert.risk == "low":
        return "monitor"
    return _NEXT.get(alert.status)


def choices(
    alert: Alert, user: User, colleagues: Sequence[User], *, matrix: RiskMatrix
) -> dict[str, Any]:
    """Return what the template of the actions needs.

    Parameters
    ----------
    matrix
        Of risk, as configured.
    """
    can = set(possible(alert.status)) if user.may_act else set()
    if alert.acknowledged_at is not None:
        can.discard("acknowledge")
    first = proposed(alert)
    verbs = [verb for verb in _IN_ORDER if verb in can]
    verbs.sort(key=lambda verb: verb != first)
    risk = f"{alert.likelihood}:{alert.consequence}" if alert.likelihood else ""
    return {
        "verbs": verbs,
        "proposed": first,
        "may_act": user.may_act,
        "colleagues": colleagues,
        # From the gravest down, as matrices of risk are drawn.
        "likelihoods": tuple(reversed(get_args(Likelihood))),
        "consequences": get_args(Consequence),
        "risk_level": partial(risk_level, matrix=matrix),
        "present_risk": risk,
    }
