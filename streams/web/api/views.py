"""Alerts and their history as a user may see them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from schemas.alerts import Explained, Opened, Resumed, Updated, Worsened
from schemas.config import Title
from streams.alerts.lifecycle import possible
from streams.alerts.predictive_value import PredictiveValue, predictive_value
from streams.alerts.recency import too_old_to_announce
from streams.people.small_cells import explanation_for, for_role
from streams.phrases import place, title
from streams.web.api.models import AlertEventView, AlertView, PredictiveValueView
from streams.wording import alert_sentences, period_label

if TYPE_CHECKING:
    from collections.abc import Mapping

    from schemas.alerts import AlertEvent, Change
    from streams.config import Configuration
    from streams.people.users import User
    from streams.store.inbox import Ranked

__all__ = ["alert_view", "detector_for", "event_view", "value_view"]


def alert_view(
    ranked: Ranked,
    user: User,
    configuration: Configuration,
    values: Mapping[str, PredictiveValue],
) -> AlertView:
    """Return an alert as a user may see it.

    Parameters
    ----------
    values
        How often each rule was right.
    """
    alert = for_role(ranked.alert, user.role)
    sentence = alert_sentences(alert, configuration)
    return AlertView(
        **alert.model_dump(exclude={"detector", "explanation"}),
        explanation=alert.explanation,
        detector=detector_for(alert.detector, user),
        region_name=Title(**place(alert.region, configuration)._asdict()),
        signal_title=Title(**title(alert, configuration)._asdict()),
        first_label=period_label(alert.first_period, alert.grain, configuration),
        last_label=period_label(alert.last_period, alert.grain, configuration),
        sentence=Title(en=sentence.en, zh=sentence.zh),
        q_value=ranked.q_value,
        rank=ranked.rank,
        rule_predictive_value=value_view(values.get(alert.rule)),
        not_announced_older_than_days=too_old_to_announce(alert, configuration.surveillance),
        possible=possible(alert.status) if user.may_act else [],
    )


def event_view(event: AlertEvent, user: User) -> AlertEventView:
    """Return an entry of a history as a user may see it."""
    return AlertEventView(
        seq=event.seq, at=event.at, actor=event.actor, change=_change_for(event.change, user)
    )


def detector_for(detector: Mapping[str, Any], user: User) -> dict[str, Any]:
    """Return the method, with its parameters for those who are to know them."""
    if user.may_see_parameters:
        return dict(detector)
    return {name: detector[name] for name in ("type",) if name in detector}


def value_view(value: PredictiveValue | None) -> PredictiveValueView:
    """Return how often a rule was right; None: nothing is decided."""
    return PredictiveValueView(**(value or predictive_value(0, 0))._asdict())


def _change_for(change: Change, user: User) -> Change:
    match change:
        case Opened() | Updated() | Resumed() | Worsened():
            return change.model_copy(update={"detector": detector_for(change.detector, user)})
        case Explained():
            shown = explanation_for(change.explanation, user.role)
            return change.model_copy(update={"explanation": shown})
        case _:
            return change
