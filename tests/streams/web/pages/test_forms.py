from __future__ import annotations

from typing import Any, get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.alerts import AlertEvent, AlertStatus, Commented, Merged, NewLevel, RiskLevel
from schemas.risk import RISK_MATRIX
from streams.alerts.lifecycle import apply, possible
from streams.people.users import ROLES, Role, User
from streams.web.pages.choices import choices, proposed
from streams.web.pages.forms import VERBS, change_of, seen_of
from streams.web.problems import Problem
from tests.support.alerts import AS_OF, opened

GOOD: dict[str, dict[str, str]] = {
    "assess": {"risk": "likely:major"},
    "close": {"outcome": "outbreak"},
    "discard": {"outcome": "data_error"},
    "merge": {"into": "#12"},
    "assign": {"to": "li"},
    "comment": {"note": "x"},
}
STATUSES: tuple[AlertStatus, ...] = get_args(AlertStatus)


def alert_in(status: AlertStatus, **fields: Any) -> Any:
    event = AlertEvent(alert_id=1, seq=1, at=AS_OF, actor="system", change=opened())
    return apply(None, event).model_copy(update={"status": status, **fields})


def user(role: Role) -> User:
    return User(user_id=1, name="li", display_name="li", role=role, region="TW", locale="en",
                created_at=AS_OF)  # fmt: skip


def test_each_step_of_the_lifecycle_has_its_form() -> None:
    everything = {verb for status in STATUSES for verb in possible(status)}
    assert set(VERBS) == everything


@pytest.mark.parametrize("verb", VERBS)
def test_a_form_becomes_its_change(verb: str) -> None:
    change = change_of(
        verb, GOOD.get(verb, {}) | {"note": " why "} if verb != "comment" else GOOD[verb]
    )
    assert change.kind == VERBS[verb]
    assert getattr(change, "note", None) in {"why", "x"}


def test_a_number_may_be_written_as_it_is_shown() -> None:
    assert change_of("merge", {"into": "#12"}) == Merged(into=12)
    assert change_of("comment", {"note": " two words "}) == Commented(note="two words")


@pytest.mark.parametrize(
    ("verb", "fields"),
    [
        ("assess", {}),
        ("assess", {"risk": "likely"}),
        ("assess", {"risk": "likely:enormous"}),
        ("close", {}),
        ("discard", {"outcome": "outbreak"}),
        ("merge", {"into": "twelve"}),
        ("merge", {"into": str(2**63)}),
        ("comment", {"note": "   "}),
        ("verify", {"note": "x" * 4001}),
    ],
)
def test_what_is_wrong_is_told_in_both_languages(verb: str, fields: dict[str, str]) -> None:
    with pytest.raises(Problem) as caught:
        change_of(verb, fields)
    assert caught.value.status == 422
    assert caught.value.en
    assert caught.value.zh


def test_an_unknown_step_is_no_page() -> None:
    with pytest.raises(Problem) as caught:
        change_of("opened", {})
    assert caught.value.status == 404


def _long_number(first: str, digits: str, length: int) -> str:
    return first + (digits * length)[:length]


#: Longer than `int` reads. Few digits are drawn, again and again: thousands of draws take a second.
LONG_NUMBERS = st.builds(
    _long_number,
    st.sampled_from("123456789"),
    st.text("0123456789", min_size=1, max_size=20),
    st.integers(4000, 5000),
)


@example("0\x1f")
@given(text=st.one_of(st.text(), st.integers().map(str), LONG_NUMBERS))
def test_what_was_seen_is_a_number_or_refused(text: str) -> None:
    whole = text.strip().isascii() and text.strip().isdecimal()
    if not text.strip():
        assert seen_of({"seen": text}) is None
    elif whole and len(text.strip()) < 4000 and int(text.strip()) < 2**63:
        # `int` leaves less out around a number than `strip`: of "0\x1f" it makes nothing.
        assert seen_of({"seen": text}) == int(text.strip())
    else:
        with pytest.raises(Problem) as caught:
            seen_of({"seen": text})
        assert caught.value.status == 422


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("role", ROLES)
def test_only_what_is_possible_is_offered(status: AlertStatus, role: Role) -> None:
    offered = choices(alert_in(status), user(role), [], matrix=RISK_MATRIX)
    if role == "viewer":
        assert offered["verbs"] == []
    else:
        assert set(offered["verbs"]) == set(possible(status))
        if offered["proposed"]:
            assert offered["verbs"][0] == offered["proposed"]


def test_nobody_acknowledges_twice() -> None:
    read = alert_in("new", acknowledged_at=AS_OF, acknowledged_by="wang")
    assert "acknowledge" not in choices(read, user("officer"), [], matrix=RISK_MATRIX)["verbs"]


def test_closing_is_not_proposed_while_counts_are_high() -> None:
    level = NewLevel(rule="r", grain="day", since=AS_OF.date(), before=5, now=40, expected=None)
    fallen = alert_in("monitoring", quiet_since=AS_OF.date())
    high = fallen.model_copy(update={"new_level": level})
    assert (proposed(fallen), proposed(high)) == ("close", "assess")


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("risk", [None, *get_args(RiskLevel)])
@pytest.mark.parametrize("ended", [False, True])
def test_what_is_proposed_is_possible(
    status: AlertStatus, risk: RiskLevel | None, *, ended: bool
) -> None:
    alert = alert_in(status, risk=risk, quiet_since=AS_OF.date() if ended else None)
    step = proposed(alert)
    assert step is None or step in possible(status)
    assert (step is None) == (status in {"closed", "discarded", "merged"})
