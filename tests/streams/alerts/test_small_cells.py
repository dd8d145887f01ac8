"""Small cells do not leave the database, by whichever way alerts are told."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import product
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from schemas.alerts import AlertEvent, Contribution, Explained, Explanation, Verified
from streams.alerts.lifecycle import apply
from streams.alerts.small_cells import (
    alert_to_tell,
    event_to_tell,
    told_parts,
    without_small_cells,
)
from streams.clauses import main_ages, main_facilities, spread
from streams.grafana.annotation import annotation_of
from streams.notify.entries import make_entry
from streams.wording import alert_sentences
from tests.support.alerts import AS_OF, PERIOD, opened

if TYPE_CHECKING:
    from schemas.alerts import Alert
    from streams.config import Configuration

NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)

parts = st.lists(
    st.builds(
        Contribution,
        name=st.sampled_from(["H-1", "H-2", "H-3", "0-4", "65+"]),
        observed=st.integers(0, 12).map(float),
        expected=st.one_of(st.none(), st.floats(0, 10)),
    ),
    max_size=5,
    unique_by=lambda one: one.name,
).map(tuple)


def explained(**found: Any) -> Explained:
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
def test_small_parts_are_left_out_and_the_others_told_in_steps(
    facilities: tuple[Contribution, ...],
    age_groups: tuple[Contribution, ...],
    regions: tuple[Contribution, ...],
) -> None:
    change = explained(facilities=facilities, age_groups=age_groups, regions=regions)
    outside = without_small_cells(change.explanation)
    for name, before in (("facilities", facilities), ("age_groups", age_groups)):
        after = getattr(outside, name)
        kept = [one for one in before if one.observed == 0 or one.observed >= 5]
        # All or, where the exact total would reveal a small one, none.
        assert [one.name for one in after] in ([one.name for one in kept], [])
        for one, exact in zip(after, kept, strict=False):
            assert one.observed % 5 == 0
            assert one.observed <= exact.observed < one.observed + 5
            if exact.expected is not None:  # what is usual as well
                assert one.expected == exact.expected // 5 * 5
        if not after:  # large parts are named, without counts
            assert set(getattr(outside, f"named_{name}".replace("_groups", "s"))) <= {
                one.name for one in before if one.observed >= 5
            }
    same = {"facilities", "age_groups", "steps", "named_facilities", "named_ages", "spread"}
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


counts = st.dictionaries(st.sampled_from("abcde"), st.integers(1, 13), min_size=1)


def worlds(told: dict[str, float], known: dict[str, int]) -> list[dict[str, int]]:
    """All counts that fit what a reader knows, who even knows which parts exist and are small."""
    small = {name for name, value in known.items() if value < 5}
    choices = [
        range(1, 5)
        if name in small
        else range(int(told[name]), int(told[name]) + 5)
        if name in told
        else range(5, 30)
        for name in known
    ]
    return [
        dict(zip(known, one, strict=True))
        for one in product(*choices)
        if sum(one) == sum(known.values())
    ]


@given(counts)
def test_exact_totals_and_steps_determine_no_small_part(known: dict[str, int]) -> None:
    told = told_parts({name: float(value) for name, value in known.items()})
    assert set(told) <= {name for name, value in known.items() if value >= 5}
    if not told:
        return  # who is told nothing does not know the parts either
    possible = worlds(told, known)
    assert known in possible
    for name, value in known.items():
        if value < 5:
            assert len({one[name] for one in possible}) > 1


@given(st.dictionaries(st.tuples(st.sampled_from("xy"), st.sampled_from("abc")),
                       st.integers(1, 13).map(float)))  # fmt: skip
def test_each_group_is_told_by_its_own_total(parts: dict[tuple[str, str], float]) -> None:
    together = told_parts(parts, lambda one: one[0])
    apart: dict[tuple[str, str], float] = {}
    for region in "xy":
        apart |= told_parts({key: value for key, value in parts.items() if key[0] == region})
    assert together == apart


def test_one_more_patient_is_not_seen() -> None:
    before, after = {"a": 12.0, "b": 3.0, "c": 28.0}, {"a": 13.0, "b": 3.0, "c": 28.0}
    assert told_parts(before) == told_parts(after)


def test_other_events_are_told_as_they_are() -> None:
    event = AlertEvent(alert_id=7, seq=2, at=NOW, actor="li", change=Verified(note="4 cases"))
    assert event_to_tell(event) is event
    _, alert = told(explained())
    plain = alert.model_copy(update={"explanation": None})
    assert alert_to_tell(plain) is plain


def test_only_tellable_parts_are_told_and_large_ones_are_named() -> None:
    """A part beside a small one that is not listed, or of a day or an upper region."""
    large, other = part("H-LARGE", 41), part("H-OTHER", 12)
    ages = (part("0-4", 30), part("5-14", 23))
    change = explained(
        facilities=(large, other), age_groups=ages, tellable_facilities=("H-OTHER",),
        tellable_ages=(),
    )  # fmt: skip
    outside = without_small_cells(change.explanation)
    assert [(one.name, one.observed) for one in outside.facilities] == [("H-OTHER", 10)]
    assert outside.age_groups == ()
    assert outside.named_facilities == ("H-LARGE", "H-OTHER")
    assert outside.named_ages == ("0-4", "5-14")
    assert outside.tellable_facilities is outside.tellable_ages is None


def test_names_without_counts_are_put_into_words(configuration: Configuration) -> None:
    change = explained(
        facilities=(part("H-LARGE", 41),), age_groups=(part("0-4", 30),), tellable_facilities=(),
        tellable_ages=(),
    )  # fmt: skip
    _, alert = told(change)
    en, zh = alert_sentences(alert_to_tell(alert), configuration)
    assert "the excess is mainly in ages 0 to 4, at H-LARGE;" in f"{en[:-1]};"
    assert "超出部分以" in zh
    assert "主要来自H-LARGE" in zh
    assert "41" not in en


def test_what_is_usual_is_told_in_words_that_hold(configuration: Configuration) -> None:
    """Not as 5 and 0 where it is 2.57 and 2.29."""
    change = explained(
        facilities=(
            Contribution(name="c2", observed=25, expected=9.6),
            Contribution(name="c0", observed=11, expected=2.57),
            Contribution(name="c1", observed=10, expected=2.29),
        ),
    )
    _, alert = told(change)
    en, zh = alert_sentences(alert_to_tell(alert), configuration)
    assert "at c2 (25 to 29, usually 5 to 9) and c0 (10 to 14, usually under 5)" in en
    assert "c0（10–14人次，平时不足5人次）" in zh
    exact, _ = alert_sentences(alert, configuration)
    assert "at c2 (25, usually 9.6) and c0 (11, usually 2.6)" in exact


@given(parts, parts)
def test_messages_name_the_parts_that_the_page_names(
    facilities: tuple[Contribution, ...], age_groups: tuple[Contribution, ...]
) -> None:
    """Steps make no other part a main one, and no part a small one."""
    exact = explained(facilities=facilities, age_groups=age_groups).explanation
    outside = without_small_cells(exact)
    for main, found in ((main_facilities, facilities), (main_ages, age_groups)):
        small = {one.name for one in found if 0 < one.observed < 5}
        assert list(main(outside)) == [name for name in main(exact) if name not in small]
    assert spread(outside) == spread(exact)
    assert without_small_cells(outside) == outside
