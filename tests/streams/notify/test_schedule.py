from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.notify import WEEKDAYS, Rota, Window
from streams.notify.schedule import end_of_window, in_window, next_multiple, next_of, on_call

TAIPEI = ZoneInfo("Asia/Taipei")
BERLIN = ZoneInfo("Europe/Berlin")


def window(start: str, end: str, **more: Any) -> Window:
    return Window.model_validate({"from": start, "to": end, **more})


def local(text: str, zone: ZoneInfo = TAIPEI) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone)


@pytest.mark.parametrize(
    ("moment", "inside"),
    [
        ("2026-11-18T08:29:59", False),
        ("2026-11-18T08:30:00", True),
        ("2026-11-18T17:29:59", True),
        ("2026-11-18T17:30:00", False),
        ("2026-11-21T10:00:00", False),  # a Saturday
    ],
)
def test_office_hours(moment: str, inside: bool) -> None:  # noqa: FBT001
    office = window("08:30", "17:30", days=["mon", "tue", "wed", "thu", "fri"])
    assert in_window(office, local(moment), TAIPEI) is inside


def test_a_night_belongs_to_the_day_on_which_it_began() -> None:
    night = window("22:00", "07:00", days=["fri"])
    assert end_of_window(night, local("2026-11-20T23:00"), TAIPEI) == local("2026-11-21T07:00")
    assert end_of_window(night, local("2026-11-21T06:59"), TAIPEI) == local("2026-11-21T07:00")
    assert end_of_window(night, local("2026-11-20T06:00"), TAIPEI) is None
    assert end_of_window(night, local("2026-11-21T22:30"), TAIPEI) is None


def test_equal_times_are_a_whole_day() -> None:
    day = window("08:00", "08:00", days=["wed"])
    assert in_window(day, local("2026-11-19T07:59"), TAIPEI)
    assert not in_window(day, local("2026-11-19T08:00"), TAIPEI)


def test_holidays_are_off_and_make_up_workdays_are_on() -> None:
    office = window("09:00", "17:00", days=["mon", "tue", "wed", "thu", "fri"], holidays="CN")
    shanghai = ZoneInfo("Asia/Shanghai")
    assert not in_window(office, local("2026-10-01T10:00", shanghai), shanghai)  # a Thursday
    assert in_window(office, local("2026-10-10T10:00", shanghai), shanghai)  # a Saturday
    assert not in_window(office, local("2026-10-17T10:00", shanghai), shanghai)  # another one


def test_the_next_digest() -> None:
    times = [time(8), time(16)]
    assert next_of(times, local("2026-11-18T07:59"), TAIPEI) == local("2026-11-18T08:00")
    assert next_of(times, local("2026-11-18T08:00"), TAIPEI) == local("2026-11-18T16:00")
    assert next_of(times, local("2026-11-18T20:00"), TAIPEI) == local("2026-11-19T08:00")


def test_the_next_of_so_many_minutes() -> None:
    assert next_multiple(15, local("2026-11-18T08:00"), TAIPEI) == local("2026-11-18T08:15")
    assert next_multiple(15, local("2026-11-18T08:14:59"), TAIPEI) == local("2026-11-18T08:15")
    assert next_multiple(7, local("2026-11-18T23:59"), TAIPEI) == local("2026-11-19T00:00")


def test_the_clock_that_is_put_forward_skips_no_digest() -> None:
    # 02:30 does not exist on 2026-03-29 in Berlin.
    due = next_of([time(2, 30)], local("2026-03-29T01:00", BERLIN), BERLIN)
    assert due == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)


def test_turns_change_at_the_handover() -> None:
    rota = Rota.model_validate(
        {
            "from_week": "2026-W46",
            "turns": ["li", ["wang", "zhao"], "chen"],
            "swaps": {"2026-W49": "zhou"},
        }
    )

    def who(moment: str) -> tuple[str, ...]:
        return on_call(rota, local(moment), TAIPEI, "iso")

    assert who("2026-11-09T08:29") == ("chen",)  # the week before the first turn
    assert who("2026-11-09T08:30") == ("li",)
    assert who("2026-11-16T08:29") == ("li",)
    assert who("2026-11-16T08:30") == ("wang", "zhao")
    assert who("2026-11-25T12:00") == ("chen",)
    assert who("2026-12-01T12:00") == ("zhou",)
    assert who("2026-12-08T12:00") == ("wang", "zhao")


@pytest.mark.parametrize("system", ["iso", "mmwr"])
@given(
    at=st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    day=st.sampled_from(WEEKDAYS),
    handover=st.times().map(lambda t: t.replace(second=0, microsecond=0)),
    turns=st.integers(1, 5),
)
def test_everyone_has_a_week_in_turn(
    system: Any, at: datetime, day: str, handover: time, turns: int
) -> None:
    rota = Rota.model_validate(
        {
            "from_week": "2026-W01",
            "turns": [f"p{number}" for number in range(turns)],
            "handover": {"day": day, "at": handover},
        }
    )
    order = [
        on_call(rota, at + timedelta(days=7 * week), TAIPEI, system)[0] for week in range(turns)
    ]
    assert sorted(order) == sorted(f"p{number}" for number in range(turns))


clocks = st.times().map(lambda t: t.replace(second=0, microsecond=0))


@given(
    start=clocks,
    end=clocks,
    days=st.sets(st.sampled_from(WEEKDAYS), min_size=1),
    zone=st.sampled_from([TAIPEI, BERLIN]),
    now=st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
)
def test_a_window_ends_later_and_within_a_day(
    start: time, end: time, days: set[str], zone: ZoneInfo, now: datetime
) -> None:
    hours = Window.model_validate({"from": start, "to": end, "days": sorted(days)})
    ends = end_of_window(hours, now, zone)
    if ends is not None:
        assert now < ends <= now + timedelta(hours=25)
        assert ends.astimezone(zone).time() == end or zone == BERLIN
