from __future__ import annotations

import re
import threading
from datetime import date
from typing import TYPE_CHECKING

import psycopg
import pytest

from schemas.alerts import (
    Acknowledged,
    Assigned,
    Change,
    Closed,
    Commented,
    Discarded,
    Ended,
    Merged,
    Monitored,
    Reopened,
    Verified,
)
from streams.alerts.lifecycle import IllegalTransitionError
from streams.errors import FenghuoError
from streams.store.alerts import get_history, hold_alerts
from streams.store.decisions import ConflictError, NoAlertError, PersonalDataError
from tests.support.alerts import AS_OF, alert_of, decide, open_alert, tell
from tests.support.store import rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from schemas.alerts import Alert

CLOSE = (Verified(), Monitored(), Closed(outcome="outbreak"))


def kinds(database: str, alert_id: int) -> list[tuple[str, str]]:
    with psycopg.connect(database) as connection:
        return [(event.change.kind, event.actor) for event in get_history(connection, alert_id)]


def test_every_step_is_written_with_who_when_and_why(database_url: str) -> None:
    alert_id = open_alert(database_url)
    alert = decide(
        database_url,
        alert_id,
        Verified(note="called the hospital"),
        Monitored(),
        Discarded(outcome="data_error", note="sent twice"),
    )
    assert alert == alert_of(database_url, alert_id)
    assert (alert.status, alert.outcome, alert.version) == ("discarded", "data_error", 4)
    with psycopg.connect(database_url) as connection:
        history = get_history(connection, alert_id)
    assert [event.seq for event in history] == [1, 2, 3, 4]
    assert [event.actor for event in history] == ["system", "li", "li", "li"]
    assert history[1].change == Verified(note="called the hospital")
    assert [event.at for event in history] == sorted({event.at for event in history})


def test_a_refused_action_leaves_nothing(database_url: str) -> None:
    alert_id = open_alert(database_url)
    before = alert_of(database_url, alert_id)
    with pytest.raises(IllegalTransitionError, match="is new, so you cannot close it"):
        decide(database_url, alert_id, Closed(outcome="outbreak"))
    assert alert_of(database_url, alert_id) == before
    assert len(kinds(database_url, alert_id)) == 1


@pytest.mark.parametrize("actor", ["system", "", " "])
def test_only_people_act(database_url: str, actor: str) -> None:
    with pytest.raises(FenghuoError, match="no officer's name"):
        decide(database_url, open_alert(database_url), Verified(), actor=actor)


def test_an_alert_that_is_not_there(database_url: str) -> None:
    with pytest.raises(NoAlertError, match=r"no alert 7\. See fenghuo alerts list"):
        decide(database_url, 7, Verified())


# ---------------------------------------------------------------- two officers


def test_who_saw_an_older_state_is_told_who_moved_it(database_url: str) -> None:
    alert_id = open_alert(database_url)
    decide(database_url, alert_id, Verified())
    decide(database_url, alert_id, Monitored(), actor="wang", seen=2)
    message = (
        rf"^Alert {alert_id} was moved to monitoring by wang at \d\d:\d\d; you saw verifying\. "
        rf"Look again: fenghuo alerts show {alert_id}$"
    )
    with pytest.raises(ConflictError, match=message):
        decide(database_url, alert_id, Discarded(outcome="false_alarm"), seen=2)
    assert alert_of(database_url, alert_id).status == "monitoring"
    assert decide(database_url, alert_id, Closed(outcome="explained"), seen=3).status == "closed"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (Assigned(to="zhao"), "assigned to zhao"),
        (Assigned(to=None), "assigned to nobody"),
        (Commented(note="three from one school"), "commented on"),
        (Acknowledged(), "acknowledged"),
    ],
)
def test_what_another_person_did_is_a_conflict(
    database_url: str, change: Change, told: str
) -> None:
    alert_id = open_alert(database_url)
    decide(database_url, alert_id, change, actor="wang")
    with pytest.raises(ConflictError, match=f"was {told} by wang"):
        decide(database_url, alert_id, Verified(), seen=1)
    # A remark contradicts nothing.
    decide(database_url, alert_id, Commented(note="seen"), Acknowledged(), seen=1)


def test_new_numbers_are_no_conflict(database_url: str) -> None:
    alert_id = open_alert(database_url)
    tell(database_url, alert_id, Ended(quiet_since=date(2009, 8, 10), as_of=AS_OF))
    assert decide(database_url, alert_id, Verified(), seen=1).version == 3


def at_the_same_time(*actions: Callable[[], object]) -> list[BaseException | None]:
    """Run actions on threads, and return what each of them raised."""
    barrier = threading.Barrier(len(actions))
    raised: list[BaseException | None] = [None] * len(actions)

    def run(number: int, action: Callable[[], object]) -> None:
        barrier.wait()
        try:
            action()
        except FenghuoError as error:
            raised[number] = error

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(actions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


@pytest.mark.parametrize("turn", range(5))
def test_of_two_officers_at_once_one_wins_and_the_other_is_told(
    database_url: str, turn: int
) -> None:
    alert_id = open_alert(database_url)
    decide(database_url, alert_id, Verified())
    wanted: dict[str, Change] = {
        "li": Monitored(note=str(turn)),
        "wang": Discarded(outcome="data_error"),
    }
    raised = at_the_same_time(
        *(
            lambda who=who, change=change: decide(database_url, alert_id, change, actor=who, seen=2)
            for who, change in wanted.items()
        )
    )
    assert sorted(error is None for error in raised) == [False, True]
    (loser,) = [error for error in raised if error]
    assert isinstance(loser, ConflictError)
    winner = [*wanted][raised.index(None)]
    alert = alert_of(database_url, alert_id)
    assert re.match(
        rf"Alert {alert_id} was moved to {alert.status} by {winner} at ..:..; you saw verifying",
        str(loser),
    )
    assert kinds(database_url, alert_id)[2:] == [(wanted[winner].kind, winner)]


def test_many_at_once_leave_a_history_without_gap_and_ids_in_the_order_of_time(
    database_url: str,
) -> None:
    ids = [open_alert(database_url, region=region) for region in ("TW-TPE", "TW-KHH")]
    raised = at_the_same_time(
        *(
            lambda n=n: decide(
                database_url,
                ids[n % 2],
                *(Commented(note=f"{n} {i}") for i in range(20)),
                actor=f"o{n}",
            )
            for n in range(6)
        )
    )
    assert raised == [None] * 6
    found = rows(database_url, "SELECT alert_id, seq, at FROM alert_events ORDER BY event_id")
    assert [at for *_, at in found] == sorted(at for *_, at in found)
    for alert_id in ids:
        assert [seq for i, seq, _ in found if i == alert_id] == list(range(1, 62))


def test_an_action_waits_for_whoever_is_changing_alerts(database_url: str) -> None:
    alert_id = open_alert(database_url)
    done: list[Alert] = []
    with psycopg.connect(database_url) as holder:
        hold_alerts(holder)
        thread = threading.Thread(
            target=lambda: done.append(decide(database_url, alert_id, Verified(), seen=1))
        )
        thread.start()
        waiting = (
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        while rows(database_url, waiting) == [(0,)]:
            pass
        assert not done
    thread.join()
    assert done[0].status == "verifying"


def test_a_version_that_nobody_can_have_seen(database_url: str) -> None:
    alert_id = open_alert(database_url)
    with pytest.raises(ConflictError, match=r"is at version 1: you cannot have seen 7\."):
        decide(database_url, alert_id, Verified(), seen=7)
    assert alert_of(database_url, alert_id).status == "new"


def test_a_conflict_of_another_day_tells_the_day(database_url: str) -> None:
    alert_id = open_alert(database_url)
    decide(database_url, alert_id, Verified(), actor="wang")
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE alert_events SET at = at - interval '3 days'")
    with pytest.raises(
        ConflictError, match=r"by wang on \d{4}-\d\d-\d\d at \d\d:\d\d; you saw new"
    ):
        decide(database_url, alert_id, Monitored(), seen=1)


# ---------------------------------------------------------------- nothing personal


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            Commented(note="家长电话 138-0013-8000"),
            "The note holds what looks like a mobile number",
        ),
        (Verified(note="110105 19491231 002X"), "The note holds what looks like a resident id"),
        (
            Discarded(outcome="explained", note="１３８００１３８０００"),
            "The note holds what looks like a mobile number",
        ),
        (Assigned(to="13800138000"), "The name holds what looks like a mobile number"),
    ],
)
def test_what_identifies_a_person_is_refused(
    database_url: str, change: Change, expected: str
) -> None:
    alert_id = open_alert(database_url)
    with pytest.raises(PersonalDataError, match=expected) as refused:
        decide(database_url, alert_id, change)
    assert not re.search(r"\d{3}", str(refused.value))
    assert kinds(database_url, alert_id) == [("opened", "system")]
    decide(database_url, alert_id, Commented(note="3例，同一学校，2026-11-20起病，体温38.6"))


# ---------------------------------------------------------------- merging and reopening


def test_merging_raises_the_severity_of_the_alert_that_stays(database_url: str) -> None:
    head = open_alert(database_url, severity="warning", region="TW-KHH")
    child = open_alert(database_url, severity="critical")
    merged = decide(database_url, child, Merged(into=head, note="same school"))
    assert (merged.status, merged.merged_into) == ("merged", head)
    assert alert_of(database_url, head).severity == "critical"
    assert kinds(database_url, head)[-1] == ("absorbed", "li")
    with pytest.raises(ConflictError, match=f"alert {child} by li"):
        decide(database_url, head, Verified(), seen=1)


def test_alerts_are_merged_into_open_ones_only(database_url: str) -> None:
    one, two, three = (open_alert(database_url, region=r) for r in ("TW-TPE", "TW-KHH", "TW-NWT"))
    decide(database_url, one, Merged(into=two))
    with pytest.raises(
        IllegalTransitionError, match=f"Alert {one} is merged into alert {two}: name that one"
    ):
        decide(database_url, three, Merged(into=one))
    with pytest.raises(IllegalTransitionError, match="into itself"):
        decide(database_url, two, Merged(into=two))
    with pytest.raises(IllegalTransitionError, match=f"Alert {one} is merged"):
        decide(database_url, two, Merged(into=one))  # so there are no rings
    decide(database_url, two, *CLOSE)
    with pytest.raises(IllegalTransitionError, match=rf"Alert {two} is closed\."):
        decide(database_url, three, Merged(into=two))
    with pytest.raises(NoAlertError):
        decide(database_url, three, Merged(into=99))


def test_a_closed_alert_knows_how_far_it_was_judged(database_url: str) -> None:
    alert_id = open_alert(database_url)
    rows(
        database_url,
        "INSERT INTO verdicts (rule, region, period, alarm, reason, as_of, config_version) "
        "VALUES ('ili-week', 'TW-TPE', '2009-08-17', false, 'ok', now(), 'x') RETURNING 1",
    )
    assert decide(database_url, alert_id, *CLOSE).judged_to == date(2009, 8, 17)


def test_a_reopened_alert_is_judged_again(database_url: str) -> None:
    alert_id = open_alert(database_url)
    decide(database_url, alert_id, *CLOSE)
    assert decide(database_url, alert_id, Reopened(note="a new case")).status == "verifying"
    assert rows(database_url, "SELECT signal, region, day FROM pending_judgements") == [
        ("ili", "TW-TPE", date(2009, 8, 3))
    ]


def test_reopening_is_refused_while_another_one_is_open(database_url: str) -> None:
    first = open_alert(database_url)
    decide(database_url, first, *CLOSE)
    second = open_alert(database_url)
    with pytest.raises(IllegalTransitionError, match=f"while alert {second} of the same"):
        decide(database_url, first, Reopened())
    decide(database_url, second, Discarded(outcome="explained"))
    decide(database_url, first, Reopened())
