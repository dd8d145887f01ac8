from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.alerts import (
    OPEN_STATUSES,
    SYSTEM,
    Absorbed,
    Acknowledged,
    Alert,
    AlertEvent,
    AlertStatus,
    Announced,
    Assessed,
    Assigned,
    Change,
    Closed,
    Commented,
    Confirmed,
    Consequence,
    Discarded,
    Ended,
    Escalated,
    Explained,
    Explanation,
    Likelihood,
    Merged,
    Monitored,
    Reopened,
    Resumed,
    Revised,
    Suppressed,
    Updated,
    Verified,
    Worsened,
    change_adapter,
)
from streams.alerts.lifecycle import (
    CLOSED_STATUSES,
    IllegalTransitionError,
    apply,
    check,
    fold,
    higher,
    possible,
)
from tests.support.alerts import AS_OF, figures, opened

if TYPE_CHECKING:
    from collections.abc import Sequence

AT = datetime(2026, 11, 22, 9, tzinfo=UTC)


def event(seq: int, change: Change, actor: str = "li", alert_id: int = 12) -> AlertEvent:
    return AlertEvent(
        alert_id=alert_id,
        seq=seq,
        at=AT + timedelta(minutes=seq),
        actor=actor,
        change=change,
    )


def after(*changes: Change, actor: str = "li") -> Alert:
    """The alert that was opened and changed so."""
    return fold(
        [event(1, opened(), SYSTEM), *(event(i, c, actor) for i, c in enumerate(changes, 2))]
    )


def updated(observed: float = 60, period: date = date(2009, 8, 10)) -> Updated:
    return Updated(
        first_period=date(2009, 7, 27),
        exceedances=3,
        peak=60,
        figures=figures(observed, period),
        detector={"type": "ears"},
        config_version="abc",
        as_of=AS_OF,
    )


def resumed(observed: float = 80, period: date = date(2009, 9, 7)) -> Resumed:
    return Resumed.model_validate(updated(observed, period).model_dump(exclude={"kind"}))


def worsened(observed: float = 90, period: date = date(2009, 9, 14)) -> Worsened:
    before = Announced(period=date(2009, 8, 3), observed=45, grain="week", rule="weekly")
    numbers = updated(observed, period).model_dump(exclude={"kind"})
    return Worsened.model_validate(numbers | {"before": before})


EXPLANATION = Explanation(
    as_of=AS_OF,
    period=date(2009, 8, 3),
    excess=24.5,
    growth_per_day=None,
    doubling_days=None,
    completeness=None,
)
ASSESSED = Assessed(likelihood="likely", consequence="major")
#: What leads from `new` to each status.
WAY: dict[AlertStatus, tuple[Change, ...]] = {
    "new": (),
    "verifying": (Verified(),),
    "monitoring": (Verified(), Monitored()),
    "assessing": (Verified(), ASSESSED),
    "confirmed": (Verified(), ASSESSED, Confirmed()),
    "discarded": (Discarded(outcome="data_error"),),
    "closed": (Verified(), Monitored(), Closed(outcome="explained")),
    "merged": (Merged(into=3),),
}
OPEN: set[str] = set(OPEN_STATUSES)
CLOSED = {"discarded", "closed", "merged"}
#: From the brief, written down a second time: what may happen where, and where it leads.
ALLOWED: list[tuple[Change, set[str], str | None]] = [
    (Acknowledged(), OPEN, None),
    (Assigned(to="wang"), OPEN, None),
    (Commented(note="hm"), OPEN | CLOSED, None),
    (Verified(), {"new", "monitoring"}, "verifying"),
    (Monitored(), {"verifying", "assessing"}, "monitoring"),
    (ASSESSED, {"verifying", "monitoring", "assessing"}, "assessing"),
    (Confirmed(), {"assessing"}, "confirmed"),
    (
        Discarded(outcome="false_alarm"),
        {"new", "verifying", "monitoring", "assessing"},
        "discarded",
    ),
    (Closed(outcome="outbreak"), {"monitoring", "confirmed"}, "closed"),
    (Merged(into=7), OPEN, "merged"),
    (Reopened(), CLOSED, "verifying"),
    (updated(), OPEN, None),
    (resumed(), OPEN, None),
    (worsened(), OPEN, None),
    (Revised(before=figures(), now=None, as_of=AS_OF), OPEN, None),
    (Ended(quiet_since=date(2009, 8, 10), as_of=AS_OF), OPEN, None),
    (Absorbed(alert=9, severity="info"), OPEN, None),
    (Suppressed(figures=figures(), as_of=AS_OF), CLOSED, None),
    (Explained(explanation=EXPLANATION), OPEN | CLOSED, None),
    (Escalated(after_minutes=15), OPEN, None),
]


def test_every_kind_of_change_and_every_status_is_looked_at() -> None:
    kinds = {member.model_fields["kind"].default for member in get_args(get_args(Change)[0])}
    assert {change.kind for change, *_ in ALLOWED} == kinds - {"opened"}
    assert (
        set(WAY) == set(get_args(AlertStatus)) == OPEN | CLOSED == OPEN_STATUSES | CLOSED_STATUSES
    )


@pytest.mark.parametrize("status", list(WAY))
@pytest.mark.parametrize(
    ("change", "where", "leads"), ALLOWED, ids=lambda v: getattr(v, "kind", "")
)
def test_the_table_of_transitions(
    status: AlertStatus, change: Change, where: set[str], leads: str | None
) -> None:
    alert = after(*WAY[status])
    assert alert.status == status
    actor = SYSTEM if change.kind in {"updated", "escalated"} else "li"
    if change.kind == "escalated" and status in OPEN:  # people have read all but the new ones
        alert = apply(alert, event(alert.version + 1, resumed(), SYSTEM))
    following = event(alert.version + 1, change, actor)
    if status in where:
        assert apply(alert, following).status == (leads or status)
    else:
        with pytest.raises(IllegalTransitionError, match=f"Alert 12 is {status}, so"):
            apply(alert, following)


def test_the_refusal_says_what_is_possible() -> None:
    with pytest.raises(
        IllegalTransitionError,
        match=r"^Alert 12 is confirmed, so you cannot discard it\. "
        r"Possible now: acknowledge, assign, comment, close, merge\.$",
    ):
        check(after(*WAY["confirmed"]), Discarded(outcome="explained"))
    assert possible("merged") == ["comment", "reopen"]


def test_who_acts_on_a_new_alert_has_read_it() -> None:
    alert = after(Assigned(to="wang"))
    assert (alert.status, alert.assigned_to) == ("new", "wang")
    assert (alert.acknowledged_by, alert.acknowledged_at) == ("li", AT + timedelta(minutes=2))
    later = apply(alert, event(3, Acknowledged(), "wang"))
    assert later.acknowledged_by == "li"
    assert after(updated(), actor=SYSTEM).acknowledged_by is None


def test_verifying_takes_an_alert_that_nobody_has() -> None:
    assert after(Verified()).assigned_to == "li"
    assert after(Assigned(to="wang"), Verified()).assigned_to == "wang"
    assert after(Assigned(to="wang"), Assigned(to=None)).assigned_to is None


def test_the_risk_follows_from_likelihood_and_consequence() -> None:
    alert = after(Verified(), ASSESSED, Assessed(likelihood="unlikely", consequence="minor"))
    assert (alert.status, alert.risk) == ("assessing", "low")
    assert (alert.likelihood, alert.consequence) == ("unlikely", "minor")


def test_reopening_takes_the_decision_back() -> None:
    closed = after(*WAY["closed"])
    assert (closed.outcome, closed.closed_at) == ("explained", AT + timedelta(minutes=4))
    again = apply(closed, event(5, Reopened()))
    assert (again.outcome, again.closed_at, again.merged_into) == (None, None, None)
    assert apply(after(*WAY["merged"]), event(3, Reopened())).merged_into is None


def test_the_next_exceedance_ends_the_quiet_and_a_correction_before_it_does_not() -> None:
    quiet = Ended(quiet_since=date(2009, 8, 10), as_of=AS_OF)
    assert after(quiet).quiet_since == date(2009, 8, 10)
    assert after(quiet, updated(60, date(2009, 8, 10))).quiet_since is None
    assert after(quiet, updated(60, date(2009, 8, 3))).quiet_since == date(2009, 8, 10)


def test_corrections_leave_both_values_and_an_exceedance_that_comes_back_clears_them() -> None:
    now = figures(7)
    gone = after(Revised(before=figures(45), now=now, as_of=AS_OF))
    assert (gone.exceedances, gone.observed, gone.revised) == (0, 45, now)
    back = apply(gone, event(3, updated(48), SYSTEM))
    assert (back.exceedances, back.observed, back.revised) == (3, 48, None)


def test_the_severity_only_rises() -> None:
    assert higher("info", "warning") == higher("warning", "info") == "warning"
    alert = fold([event(1, opened(severity="warning"), SYSTEM)])
    assert apply(alert, event(2, Absorbed(alert=3, severity="info"))).severity == "warning"
    assert apply(alert, event(2, Absorbed(alert=3, severity="critical"))).severity == "critical"


def test_an_alert_that_was_read_is_not_escalated() -> None:
    with pytest.raises(IllegalTransitionError, match="acknowledged by li already"):
        check(after(Acknowledged()), Escalated(after_minutes=15))


def test_an_alert_that_resumes_is_unread_and_can_be_escalated_again() -> None:
    alert = after(
        Escalated(after_minutes=15), Verified(), Ended(quiet_since=date(2009, 8, 31), as_of=AS_OF)
    )
    assert (alert.over, alert.acknowledged_by) == (True, "li")
    again = apply(alert, event(5, resumed(), SYSTEM))
    assert (again.status, again.over, again.quiet_since) == ("verifying", False, None)
    assert (again.acknowledged_at, again.acknowledged_by, again.escalated_at) == (None, None, None)
    assert again.unread_since == again.resumed_at == AT + timedelta(minutes=5)
    escalated = apply(again, event(6, Escalated(after_minutes=15), SYSTEM))
    assert escalated.escalated_at == AT + timedelta(minutes=6)


def test_who_reopens_an_alert_has_read_it() -> None:
    alert = fold([event(1, opened(), SYSTEM), event(2, Merged(into=3), SYSTEM)])
    assert alert.acknowledged_at is None
    assert apply(alert, event(3, Reopened())).acknowledged_by == "li"


def test_an_alert_is_not_merged_into_itself() -> None:
    with pytest.raises(IllegalTransitionError, match="into itself"):
        check(after(), Merged(into=12))


def test_a_history_begins_once_and_has_no_gap() -> None:
    with pytest.raises(IllegalTransitionError, match="begins as opened"):
        fold([event(1, Verified())])
    with pytest.raises(IllegalTransitionError, match="opened already"):
        apply(after(), event(2, opened()))
    with pytest.raises(IllegalTransitionError, match="Event 4 of alert 12 does not follow on 1"):
        apply(after(), event(4, Verified()))
    with pytest.raises(ValueError, match="one event at least"):
        fold([])


# ---------------------------------------------------------------- any sequence of actions

CHANGES = st.one_of(
    *(st.just(change) for change, *_ in ALLOWED),
    st.builds(
        Assessed,
        likelihood=st.sampled_from(get_args(Likelihood)),
        consequence=st.sampled_from(get_args(Consequence)),
    ),
    st.builds(Assigned, to=st.sampled_from(["li", "wang", None])),
    st.builds(Merged, into=st.sampled_from([7, 12])),
)
ACTIONS = st.lists(st.tuples(CHANGES, st.sampled_from(["li", "wang"])), max_size=40)
BY_SYSTEM = {
    "updated", "resumed", "worsened", "revised", "ended", "suppressed", "explained", "escalated",
    "absorbed",
}  # fmt: skip


def attempt(actions: Sequence[tuple[Change, str]]) -> tuple[list[AlertEvent], list[Alert]]:
    """Try actions one after the other; refused ones leave nothing behind."""
    events = [event(1, opened(), SYSTEM)]
    states = [fold(events)]
    for change, person in actions:
        actor = SYSTEM if change.kind in BY_SYSTEM else person
        following = event(len(events) + 1, change, actor)
        where = next(w for c, w, _ in ALLOWED if c.kind == change.kind)
        try:
            states.append(apply(states[-1], following))
        except IllegalTransitionError:
            refused_for_more = (
                change.kind == "escalated" and states[-1].acknowledged_at is not None
            ) or (isinstance(change, Merged) and change.into == 12)
            assert states[-1].status not in where or refused_for_more
        else:
            assert states[-2].status in where
            events.append(following)
    return events, states


@given(ACTIONS)
def test_no_sequence_of_actions_breaks_an_alert(actions: list[tuple[Change, str]]) -> None:
    for state in (states := attempt(actions)[1]):
        decided = state.status in CLOSED_STATUSES
        assert decided == (state.closed_at is not None)
        assert (state.status == "merged") == (state.merged_into is not None)
        assert (state.outcome is not None) == (state.status in {"discarded", "closed"})
        assert (state.risk is None) == (state.likelihood is None) == (state.consequence is None)
        assert (state.acknowledged_at is None) == (state.acknowledged_by is None)
        read = state.acknowledged_by or state.resumed_at or state.worsened_at
        assert state.status in {"new", "merged", "discarded"} or read
        assert 1 <= state.decided_version <= state.version
        assert Alert.model_validate(state.model_dump()) == state
    for one, other in pairwise(states):
        assert other.version == one.version + 1
        assert other.decided_version in {one.decided_version, other.version}
        assert other.status == one.status or other.decided_version == other.version
        assert other.suppressed >= one.suppressed


@given(ACTIONS)
def test_the_history_as_it_is_stored_leads_to_the_same_alert(
    actions: list[tuple[Change, str]],
) -> None:
    events, states = attempt(actions)
    stored = [AlertEvent.model_validate_json(one.model_dump_json()) for one in events]
    assert fold(stored) == states[-1]
    for one in events:
        assert change_adapter.validate_python(one.change.model_dump(mode="json")) == one.change


@given(ACTIONS)
def test_what_is_called_possible_is(actions: list[tuple[Change, str]]) -> None:
    *_, alert = attempt(actions)[1]
    by_verb: dict[str, Change] = {
        "acknowledge": Acknowledged(), "assign": Assigned(to="li"), "comment": Commented(note="x"),
        "verify": Verified(), "monitor": Monitored(), "assess": ASSESSED, "confirm": Confirmed(),
        "discard": Discarded(outcome="explained"), "close": Closed(outcome="outbreak"),
        "merge": Merged(into=7), "reopen": Reopened(),
    }  # fmt: skip
    for verb, change in by_verb.items():
        if verb in possible(alert.status):
            check(alert, change)
        else:
            with pytest.raises(IllegalTransitionError):
                check(alert, change)
