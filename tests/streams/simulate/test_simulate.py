from __future__ import annotations

import hashlib
import json
from collections import Counter
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.events import EVENT_KINDS
from schemas.privacy import text_looks_personal
from schemas.refusals import refusal_from
from streams.simulate import (
    MALFORMED,
    TRUTH_OF_BASELINE,
    SimulatedRecord,
    SimulationPlan,
    final_events,
    outbreak_truth,
    simulate,
)

REGIONS = tuple(f"3301{number:02d}" for number in range(5, 13))


def plan(**changes: Any) -> SimulationPlan:
    """A plan of eight regions over ten days, with everything that goes wrong."""
    fields: dict[str, Any] = {
        "seed": 7,
        "start": date(2026, 3, 2),
        "days": 10,
        "regions": REGIONS,
        "malformed": 0.01,
        "outbreaks": [
            {
                "id": "flu-1",
                "region": "330106",
                "start": "2026-03-04",
                "days": 6,
                "cases": 300,
                "kinds": ["visits", "sales"],
            }
        ],
    }
    return SimulationPlan.model_validate(fields | changes)


@cache
def records() -> tuple[SimulatedRecord, ...]:
    return tuple(simulate(plan()))


def sound() -> list[SimulatedRecord]:
    return [record for record in records() if not record.truth.startswith(MALFORMED)]


def test_equal_plans_give_byte_identical_records() -> None:
    assert list(simulate(plan())) == list(records())


def test_output_is_the_same_on_every_machine() -> None:
    # A change of this value breaks the promise to users who keep a plan and a seed.
    values = hashlib.sha256(b"\n".join(record.value for record in records())).hexdigest()
    assert values[:16] == "2a7e5b095ff26f3a"


def test_another_seed_gives_another_stream() -> None:
    assert next(simulate(plan(seed=8))).value != records()[0].value


def test_a_longer_simulation_has_the_same_events_on_the_days_they_share() -> None:
    def first_revisions(stream: Any) -> set[bytes]:
        return {r.value for r in stream if r.event["revision"] == 1}

    shorter = first_revisions(simulate(plan(malformed=0)))
    longer = first_revisions(simulate(plan(malformed=0, days=12)))
    assert shorter < longer


def test_records_come_in_order_of_publication() -> None:
    times = [record.published_at for record in records()]
    assert times == sorted(times)


def test_every_sound_record_is_a_valid_event_under_its_own_key() -> None:
    for record in sound():
        event = EVENT_KINDS[record.kind].model_validate_json(record.value)
        assert event.region == record.region
        assert json.dumps(record.event, ensure_ascii=False, separators=(",", ":")).encode() == (
            record.value
        )


def test_no_record_looks_personal() -> None:
    assert [r for r in records() if text_looks_personal(r.value.decode())] == []


def test_nothing_is_published_before_it_happened_or_more_than_a_week_late() -> None:
    for record in sound():
        occurred = datetime.fromisoformat(record.event["occurred_at"])
        assert occurred < record.published_at
        if record.event["revision"] == 1 and record.truth == TRUTH_OF_BASELINE:
            # Two days for a repetition, and a week for a first version that was overtaken.
            assert record.published_at - occurred < timedelta(days=7 + 2 + 7.1)


def test_late_events_occur_up_to_seven_days() -> None:
    calm = plan(duplicates=0, corrections=0, cancellations=0, malformed=0, days=20)
    delays = [
        r.published_at - datetime.fromisoformat(r.event["occurred_at"]) for r in simulate(calm)
    ]
    assert timedelta(days=6) < max(delays) <= timedelta(days=7)
    late = sum(delay > timedelta(days=1) for delay in delays) / len(delays)
    assert late == pytest.approx(0.02, abs=0.005)


def test_shares_of_nuisances_are_as_planned() -> None:
    stream = sound()
    once = Counter((r.kind, r.value) for r in stream)
    repeats = sum(once.values()) - len(once)
    assert repeats / len(once) == pytest.approx(0.05, abs=0.008)
    events = {r.event["event_id"] for r in stream}
    revised = {r.event["event_id"] for r in stream if r.event["revision"] > 1}
    corrected = {
        r.event["event_id"] for r in stream if r.event["revision"] > 1 and not r.event["cancelled"]
    }
    cancelled = {r.event["event_id"] for r in stream if r.event["cancelled"]}
    assert len(corrected) / len(events) == pytest.approx(0.02, abs=0.004)
    assert len(cancelled) / len(events) == pytest.approx(0.01, abs=0.003)
    assert revised == corrected | cancelled
    broken = len(records()) - len(stream)
    assert broken / len(events) == pytest.approx(0.01, abs=0.003)


def test_some_revisions_overtake_the_one_before() -> None:
    seen: dict[str, int] = {}
    overtaken, revised = set(), set()
    for record in sound():
        event = record.event
        name, revision = event["event_id"], event["revision"]
        if revision > 1:
            revised.add(name)
        if name not in seen and revision > 1:
            overtaken.add(name)
        seen[name] = max(revision, seen.get(name, 0))
    assert len(overtaken) / len(revised) == pytest.approx(0.2, abs=0.05)


def test_corrections_change_every_kind_of_field() -> None:
    first: dict[tuple[str, str], dict[str, Any]] = {}
    changed: Counter[str] = Counter()
    for record in sorted(sound(), key=lambda r: int(r.event["revision"])):
        key = record.kind, record.event["event_id"]
        if record.event["revision"] == 1:
            first[key] = record.event
        elif record.event["revision"] == 2 and not record.event["cancelled"]:
            before, after = first[key], record.event
            differing = {f for f in before | after if before.get(f) != after.get(f)}
            changed.update(differing - {"revision"})
    wanted = {"region", "facility_id", "occurred_at", "age", "sex", "temperature", "complaint"}
    assert wanted | {"icd10", "quantity", "product", "atc"} <= set(changed)
    assert not {"event_id", "source_id"} & set(changed)


@given(st.randoms(use_true_random=False))
def test_final_events_do_not_depend_on_the_order_of_arrival(random: Any) -> None:
    few = few_records()
    shuffled = list(few)
    random.shuffle(shuffled)
    assert final_events(shuffled) == final_events(few)


@cache
def few_records() -> tuple[SimulatedRecord, ...]:
    small = plan(days=1, regions=REGIONS[:2], outbreaks=[], corrections=0.3, cancellations=0.2)
    return tuple(simulate(small))


def test_final_events_keep_the_last_revision_and_drop_cancelled_events() -> None:
    highest: dict[tuple[str, str], dict[str, Any]] = {}
    for record in few_records():
        if record.truth.startswith(MALFORMED):
            continue
        key = record.event["source_id"], record.event["event_id"]
        if record.event["revision"] >= highest.get(key, {"revision": 0})["revision"]:
            highest[key] = record.event
    final = {
        (e.event["source_id"], e.event["event_id"]): e.event for e in final_events(few_records())
    }
    assert final == {key: event for key, event in highest.items() if not event["cancelled"]}
    assert 0 < len(final) < len(highest)


def test_outbreaks_are_added_as_their_truth_says() -> None:
    (truth,) = outbreak_truth(plan())
    assert {kind: sum(days) for kind, days in truth.cases.items()} == {"visits": 300, "sales": 300}
    first: Counter[tuple[str, date]] = Counter()
    for record in {r.value: r for r in sound() if r.truth == "flu-1"}.values():
        event = record.event
        if event["revision"] == 1:
            day = datetime.fromisoformat(event["occurred_at"]).date()
            assert event["region"] == "330106"
            first[record.kind, day] += 1
    told = {
        (kind, truth.first_day + timedelta(day)): cases
        for kind, days in truth.cases.items()
        for day, cases in enumerate(days)
        if cases
    }
    assert first == told


BROKEN = (
    "not_json",
    "missing_field",
    "unknown_field",
    "naive_time",
    "wrong_type",
    "impossible_value",
    "bad_format",
    "unsupported_version",
)


def test_malformed_records_break_in_every_way() -> None:
    reasons = {r.truth for r in records() if r.truth.startswith(MALFORMED)}
    assert reasons == {f"{MALFORMED}{reason}" for reason in (*BROKEN, "unknown_region")}


@pytest.mark.parametrize("reason", BROKEN)
def test_malformed_records_are_refused_for_the_reason_they_carry(reason: str) -> None:
    for record in (r for r in records() if r.truth == f"{MALFORMED}{reason}"):
        with pytest.raises(ValidationError) as refused:
            EVENT_KINDS[record.kind].model_validate_json(record.value)
        assert refusal_from(refused.value).reason == reason


def test_records_of_unknown_regions_name_no_simulated_region() -> None:
    strangers = [r for r in records() if r.truth == f"{MALFORMED}unknown_region"]
    assert not {record.event["region"] for record in strangers} & set(REGIONS)


def test_the_stream_does_not_wait_for_the_last_day() -> None:
    century = plan(days=36_500, outbreaks=[])
    stream = simulate(century)
    assert len([next(stream) for _ in range(1000)]) == 1000


@pytest.mark.parametrize("start", [date(2026, 3, 1), date(2026, 10, 10)])
@pytest.mark.parametrize(
    "zone",
    [
        "America/New_York", "Asia/Kathmandu", "Europe/London",
        # At midnight, which comes twice or never.
        "America/Havana", "Atlantic/Azores", "Asia/Beirut",
    ],
)  # fmt: skip
def test_events_keep_to_their_local_day_over_clock_changes(zone: str, start: date) -> None:
    month = plan(
        start=start,
        days=31,
        time_zone=zone,
        regions=("US-NY",),
        outbreaks=[],
        corrections=0,
        malformed=0,
    )
    for record in simulate(month):
        event = EVENT_KINDS[record.kind].model_validate_json(record.value)
        local = event.occurred_at.astimezone(month.zone)
        assert local.utcoffset() == event.occurred_at.utcoffset()
        assert f"{local:%Y%m%d}" in event.event_id


def test_sources_outside_chinese_time_zones_write_english() -> None:
    abroad = plan(time_zone="America/Chicago", outbreaks=[], days=1)
    assert all(
        record.value.isascii()
        for record in simulate(abroad)
        if not record.truth.endswith("bad_format")
    )
    assert not all(record.value.isascii() for record in records())


def test_season_weekday_and_holidays_shape_the_counts() -> None:
    def visits_per_day(**changes: Any) -> Counter[date]:
        calm = {"outbreaks": [], "malformed": 0, "duplicates": 0, "corrections": 0}
        stream = simulate(plan(**calm, cancellations=0, dispersion=1e6, **changes))
        return Counter(
            datetime.fromisoformat(r.event["occurred_at"]).date()
            for r in stream
            if r.kind == "visits"
        )

    weekdays = [3.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    volume = {"daily_mean": 100, "weekday": weekdays}
    flat = {"amplitude": 0}
    week = visits_per_day(visits=volume, season=flat, days=14)
    assert week[date(2026, 3, 2)] / week[date(2026, 3, 3)] == pytest.approx(3, rel=0.2)
    free = visits_per_day(
        start=date(2026, 9, 28), season=flat, holidays={"country": "CN", "visits": 0.2}
    )
    assert free[date(2026, 10, 1)] / free[date(2026, 9, 29)] == pytest.approx(0.2, rel=0.3)
    strong = {"amplitude": 0.8, "peak_week": 2}
    winter = visits_per_day(season=strong, start=date(2026, 1, 5), days=3)
    summer = visits_per_day(season=strong, start=date(2026, 7, 6), days=3)
    assert sum(winter.values()) > 4 * sum(summer.values())
