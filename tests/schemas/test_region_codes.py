"""Codes that are abolished or too wide; ../trials/events/11 found that they passed in silence."""

from __future__ import annotations

from datetime import date

import pytest

from schemas.region_codes import code_doubt, doubtful_codes
from schemas.regions import Region, RegionLevel, RegionRegistry, UnknownRegionError

DAY = date(2026, 11, 28)


@pytest.fixture(scope="module")
def cn() -> RegionRegistry:
    return RegionRegistry.load("cn")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (
            "330103",
            (
                "330103 浙江省杭州市下城区 was abolished on 2021-04-09. "
                "Send 330105 浙江省杭州市拱墅区 instead."
            ),
        ),
        (
            "330104",
            (
                "330104 浙江省杭州市江干区 was abolished on 2021-04-09. Send the one in which the "
                "facility lies: 330102 浙江省杭州市上城区, 330114 浙江省杭州市钱塘区."
            ),
        ),
        (
            "371200",
            (
                "371200 山东省莱芜市 was abolished on 2019-01-09. Send the code of the region of "
                "the lowest level in which the facility lies."
            ),
        ),
        (
            "330100",
            (
                "330100 浙江省杭州市 is a prefecture: the events count there, and in no region "
                "below it. Send the code of the region of the lowest level in which the "
                "facility lies."
            ),
        ),
        ("330000", "330000 浙江省 is a province: "),
        ("100000", "100000 中国 is a nation: "),
    ],
)
def test_what_is_wrong_and_what_to_send(cn: RegionRegistry, code: str, said: str) -> None:
    doubt = code_doubt(cn, code, DAY)
    assert doubt is not None
    assert doubt.startswith(said)


def test_a_county_in_force_is_not_doubtful(cn: RegionRegistry) -> None:
    assert code_doubt(cn, "330106", DAY) is None


def test_an_abolished_code_is_right_for_the_days_before(cn: RegionRegistry) -> None:
    assert code_doubt(cn, "330103", date(2021, 4, 8)) is None
    assert code_doubt(cn, "330103", date(2021, 4, 9))


def test_an_unknown_code_raises(cn: RegionRegistry) -> None:
    with pytest.raises(UnknownRegionError):
        code_doubt(cn, "999999", DAY)


@pytest.mark.parametrize("name", ["tw", "us"])
def test_registries_whose_lowest_level_is_not_the_county(name: str) -> None:
    registry = RegionRegistry.load(name)
    (nation,) = registry.at_level(RegionLevel.NATION)
    assert list(doubtful_codes(registry, DAY)) == [nation.code]


def test_a_region_whose_parts_are_all_abolished_counts_itself() -> None:
    parts = RegionRegistry(
        [
            Region(code="C", level=RegionLevel.PREFECTURE, name_en="City"),
            Region(
                code="D",
                level=RegionLevel.COUNTY,
                parent="C",
                name_en="District",
                valid_to=date(2020, 1, 1),
                successors=("C",),
            ),
        ],
        name="parts",
    )
    assert list(doubtful_codes(parts, DAY)) == ["D"]
    assert list(doubtful_codes(parts, date(2019, 1, 1))) == ["C"]
