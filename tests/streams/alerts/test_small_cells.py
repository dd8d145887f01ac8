"""Small cells do not leave the database, by whichever way alerts are told."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from schemas.alerts import AlertEvent, Contribution, Explained, Explanation, Verified
from streams.alerts.lifecycle import apply
from streams.alerts.small_cells import alert_to_tell, event_to_tell, without_small_cells
from streams.grafana.annotation import annotation_of
from streams.notify.entries import make_entry
from tests.support.alerts import AS_OF, PERIOD, opened

if TYPE_CHECKING:
    from schemas.alerts import Alert
    from streams.config import Configuration

NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)

parts = st.lists(
    st.builds(
        Contribution,
        name=st.sampled_from(["H-1", "H-2", "0-4", "65+"]),
        observed=st.integers(0, 12).map(float),
        expected=st.one_of(st.none(), st.floats(0, 10)),
    ),
    max_size=5,
).map(tuple)


def explained(**found: tuple[Contribution, ...]) -> Explained:
    return Explained(
        explanation=Explanation(
            as_of=AS_OF, period=PERIOD, excess=24.5, growth_per_day=None, doubling_days=None,
            completeness=None, **found,
        )
    )  # fmt: skip


def part(name: str, observed: float) -> Contribution:
    return Contribution(name=name, observed=observed, expected=0.5)


def told(change: Explained) -> tuple[AlertEvent, Alert]:
    first = AlertEvent(alert_id=7, seq=1, at=NOW, actor="system", change=opened())
    event = AlertEvent(alert_id=7, seq=2, at=NOW, actor="system", change=change)
    return event, apply(apply(None, first), event)


@given(parts, parts, parts)
def test_what_stays_is_told_as_it_is(
    facilities: tuple[Contribution, ...],
    age_groups: tuple[Contribution, ...],
    regions: tuple[Contribution, ...],
) -> None:
    change = explained(facilities=facilities, age_groups=age_groups, regions=regions)
    outside = without_small_cells(change.explanation)
    for name, before in (("facilities", facilities), ("age_groups", age_groups)):
        assert getattr(outside, name) == tuple(
            one for one in before if one.observed == 0 or one.observed >= 5
        )
    same = {"facilities", "age_groups"}
    assert outside.model_dump(exclude=same) == change.explanation.model_dump(exclude=same)


def test_events_and_messages_and_annotations_are_without_them(configuration: Configuration) -> None:
    small, large = part("H-SMALL", 4), part("H-LARGE", 41)
    ages = (part("0-4", 3), part("5-14", 42))
    event, alert = told(explained(facilities=(small, large), age_groups=ages))
    entry = make_entry(event, alert, configuration, channel="duty", secret=None, now=NOW)
    annotation = annotation_of(alert, configuration, "")
    assert annotation is not None
    for text in (
        event_to_tell(event).model_dump_json(),
        alert_to_tell(alert).model_dump_json(),
        entry.event.model_dump_json(),
        entry.alert.model_dump_json(),
        entry.sentence.en,
        entry.sentence.zh,
        annotation.text,
    ):
        assert "H-SMALL" not in text
        assert "0-4" not in text
    assert "H-LARGE" in event_to_tell(event).model_dump_json()
    assert "H-SMALL" in event.model_dump_json()


def test_other_events_are_told_as_they_are() -> None:
    event = AlertEvent(alert_id=7, seq=2, at=NOW, actor="li", change=Verified(note="4 cases"))
    assert event_to_tell(event) is event
    _, alert = told(explained())
    plain = alert.model_copy(update={"explanation": None})
    assert alert_to_tell(plain) is plain
