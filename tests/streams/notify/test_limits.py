from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from streams.notify.limits import SEVERITIES, Backoff, Due, allowance, group
from tests.streams.notify.support import NOW

dues = st.lists(
    st.builds(Due, st.tuples(st.integers(1, 10**6)), st.sampled_from(SEVERITIES), st.booleans()),
    max_size=150,
    unique_by=lambda due: due.notification_ids,
)


@given(due=dues, budget=st.none() | st.integers(1, 30))
def test_all_is_told_once_within_the_budget(due: list[Due], budget: int | None) -> None:
    messages = group(due, budget)
    told = [one for message in messages for one in message]
    assert sorted(told) == sorted(due)
    assert all(messages)
    assert budget is None or len(messages) <= budget
    # What is meant for a digest is in one message.
    assert sum(any(one.digest for one in message) for message in messages) <= 1


@given(due=dues, budget=st.integers(2, 30))
def test_the_most_severe_have_messages_of_their_own(due: list[Due], budget: int) -> None:
    messages = group(due, budget)
    alone = [m[0] for m in messages if len(m) == 1 and not m[0].digest]
    together = [one for m in messages if len(m) > 1 for one in m if not one.digest]
    if alone and together:
        worst = min(SEVERITIES.index(one.severity) for one in together)
        assert max(SEVERITIES.index(one.severity) for one in alone) <= worst


def test_without_budget_nothing_is_formed() -> None:
    assert group([Due((1,), "critical", digest=False)], 0) == []


def test_a_message_has_an_end() -> None:
    due = [Due((number,), "info", digest=True) for number in range(300)]
    assert [len(message) for message in group(due, 1)] == [200]


def test_the_allowance_is_of_the_latest_minute() -> None:
    recent = [NOW - timedelta(seconds=seconds) for seconds in (90, 60, 59, 1)]
    kept, left = allowance(recent, 3, NOW)
    assert kept == recent[2:]
    assert left == 1
    assert allowance(recent, None, NOW)[1] is None
    assert allowance([NOW] * 9, 3, NOW)[1] == 0


@given(failures=st.integers(1, 10_000), jitter=st.floats(0, 1))
def test_waits_grow_up_to_a_limit(failures: int, jitter: float) -> None:
    backoff = Backoff(5, 900)
    wait = backoff.after(failures, jitter=jitter)
    assert timedelta(seconds=2.5) <= wait <= timedelta(seconds=900)
    assert backoff.after(failures + 1, jitter=jitter) >= wait
