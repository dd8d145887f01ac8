from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from pydantic import ValidationError

from schemas.regions import RegionRegistry
from streams.simulate import SimulationPlan

OUTBREAK = {"id": "x", "region": "330106", "start": "2026-03-02", "days": 3, "cases": 5}


def plan(**changes: Any) -> SimulationPlan:
    fields: dict[str, Any] = {"start": "2026-03-02", "days": 7, "regions": ["330106"]}
    return SimulationPlan.model_validate(fields | changes)


def test_a_plan_survives_json() -> None:
    full = plan(outbreaks=[OUTBREAK], holidays={"country": "CN"})
    assert SimulationPlan.model_validate_json(full.model_dump_json()) == full


def test_regions_come_from_a_registry_in_order_of_code() -> None:
    codes = plan(regions={"registry": "tw", "level": "county"}).region_codes()
    assert codes == tuple(
        sorted(region.code for region in RegionRegistry.load("tw").at_level("county"))
    )
    assert plan(regions={"registry": "tw", "limit": 3}).region_codes() == codes[:3]


def test_regions_that_were_abolished_before_the_start_are_left_out() -> None:
    everywhere = {"registry": "cn", "level": "county"}
    registry = RegionRegistry.load("cn")
    codes = plan(regions=everywhere).region_codes()
    assert all(registry.is_valid_on(code, date(2026, 3, 2)) for code in codes)
    assert len(codes) < len(registry.at_level("county"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"time_zone": "Asia/Hangzhou"}, "no IANA time zone"),
        ({"regions": []}, "at least one region"),
        ({"start": "1999-12-31"}, "too early"),
        ({"holidays": {"country": "XX"}}, "no holidays are known"),
        ({"outbreaks": [OUTBREAK, OUTBREAK]}, "used twice"),
        ({"outbreaks": [OUTBREAK | {"start": "2026-03-07"}]}, "leaves the simulated days"),
        ({"duplicate": 0.1}, "Extra inputs"),
    ],
)
def test_impossible_plans_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        plan(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"regions": ["330106", "330106"]}, "named twice"),
        ({"outbreaks": [OUTBREAK | {"region": "330108"}]}, "not simulated"),
    ],
)
def test_plans_whose_regions_do_not_fit_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plan(**changes).region_codes()
