from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from schemas.alerts import Explanation
from streams.wording import alert_sentences
from tests.streams.alerts.explaining.plain_count import PlainCount
from tests.support.store import rows

if TYPE_CHECKING:
    from schemas.alerts import Contribution
    from tests.streams.alerts.explaining.conftest import Demo


@pytest.fixture(scope="module")
def plain(demo: Demo) -> PlainCount:
    return PlainCount(demo.database)


def parts(found: tuple[Contribution, ...]) -> list[Any]:
    return [(one.name, pytest.approx(one.observed), _near(one.expected)) for one in found]


def _near(value: float | None) -> Any:
    # Relative only: chances are as small as 1e-18.
    return None if value is None else pytest.approx(value, rel=1e-6, abs=0)


def test_every_number_of_200_explanations_is_a_recount(demo: Demo, plain: PlainCount) -> None:
    step = len(demo.alerts) // 200
    chosen = [*demo.alerts[::step], *(a for a in demo.alerts if a.region == "TW")]
    assert len(chosen) >= 200
    assert {a.rule for a in chosen} == set(demo.configuration.surveillance.rules)
    seen: Counter[str] = Counter()
    for alert in chosen:
        told = alert.explanation
        assert told is not None
        true = plain.explain(alert)
        for name in ("observed", "expected", "upper", "score", "p_value"):
            assert getattr(alert, name) == _near(true[name]), name
        assert told.period == alert.last_period
        for name in (
            "growth_until", "baseline_periods", "neighbours_judged", "neighbours_awaited",
            "neighbours_unknown",
        ):  # fmt: skip
            assert getattr(told, name) == true[name]
        for name in (
            "excess", "latest_week", "week_before", "growth_per_day", "doubling_days",
            "completeness",
        ):  # fmt: skip
            assert getattr(told, name) == _near(true[name]), name
        assert told.usual_facilities == true["usual"]
        assert told.silent == len(true["silent"])
        assert set(told.silent_facilities) == true["silent"]
        for name in ("facilities", "regions", "age_groups"):
            assert true[name] == parts(getattr(told, name)), name
        assert [tuple(one.model_dump().values()) for one in told.neighbours] == true["neighbours"]
        seen.update(name for name, value in told if value)
        seen["new facility"] += any(one.expected is None for one in told.facilities)
    # Nothing was true only because it was never there. Names without counts, and counts in steps,
    # are for others. In the demo no whole region falls silent: `incomplete` is tested in
    # tests/streams/judging/test_lower_bounds.py.
    for_others = {"named_facilities", "named_ages", "steps", "spread"}
    fields = set(Explanation.model_fields) - for_others - {"incomplete"}
    assert [name for name in fields if not seen[name]] == []
    assert not seen["incomplete"]
    assert seen["new facility"]


def test_the_counts_by_facility_are_a_recount(demo: Demo, plain: PlainCount) -> None:
    replaced = rows(demo.database, "SELECT count(*) FROM events WHERE revision > 1")[0][0]
    assert replaced > 1000
    found = rows(
        demo.database, "SELECT signal, region, day, facility_id, value FROM facility_counts"
    )
    true = {
        (*place, facility): pytest.approx(count)
        for place, counts in plain.facilities.items()
        for facility, count in counts.items()
        if count
    }
    assert {tuple(row[:4]): float(row[4]) for row in found if row[4]} == true


def test_the_silent_department_is_named(demo: Demo) -> None:
    named = [
        a for a in demo.alerts if a.explanation and "TW-NWT-ED02" in a.explanation.silent_facilities
    ]
    assert {a.region for a in named} <= {"TW-NWT", "TW"}
    for alert in named:
        told = alert_sentences(alert, demo.configuration)
        assert "with nothing from TW-NWT-ED02" in told.en
        assert "TW-NWT-ED02尚无报告" in told.zh
    assert named


def test_all_sentences_are_whole(demo: Demo) -> None:
    for alert in demo.alerts:
        en, zh = alert_sentences(alert, demo.configuration)
        assert en.endswith(".")
        assert not re.search(r"None|\bnan\b|  |,,|;;|\b1 (visits|packs)\b|\.\.", en), en
        assert zh.endswith("。")
        assert not re.search(r"None|\bnan\b| |，，|；；|[A-Za-z]{4}", zh), zh
