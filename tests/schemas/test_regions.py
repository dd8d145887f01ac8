"""The built-in registries, look-ups, and what a faulty CSV is told."""

from __future__ import annotations

import csv
import tempfile
from datetime import date
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

import schemas.regions
from schemas.regions import (
    AmbiguousRegionError,
    Region,
    RegionLevel,
    RegionRegistry,
    RegionRegistryError,
    UnknownRegionError,
)

BUILT_IN = ("cn", "tw", "us")
RODS_COUNTIES = [
    "南投縣",
    "台中市",
    "台北市",
    "台南市",
    "台東縣",
    "嘉義市",
    "嘉義縣",
    "基隆市",
    "宜蘭縣",
    "屏東縣",
    "彰化縣",
    "新北市",
    "新竹市",
    "新竹縣",
    "桃園市",
    "澎湖縣",
    "花蓮縣",
    "苗栗縣",
    "連江縣",
    "金門縣",
    "雲林縣",
    "高雄市",
]


@pytest.fixture(scope="module")
def cn() -> RegionRegistry:
    return RegionRegistry.load("cn")


@pytest.fixture(scope="module")
def tw() -> RegionRegistry:
    return RegionRegistry.load("tw")


@pytest.fixture(scope="module")
def us() -> RegionRegistry:
    return RegionRegistry.load("us")


def faults(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RegionRegistryError) as caught:
        RegionRegistry.from_csv(path)
    return str(caught.value)


@pytest.mark.parametrize("name", BUILT_IN)
class TestBuiltIn:
    def test_file_has_the_documented_columns_and_unique_codes(self, name: str) -> None:
        source = files("schemas") / "data" / "regions" / f"{name}.csv"
        rows = list(csv.DictReader(source.read_text(encoding="utf-8").splitlines()))
        assert list(rows[0]) == list(Region.model_fields)
        assert len({row["code"] for row in rows}) == len(rows)
        assert len(source.read_bytes()) < 400_000

    def test_every_region_hangs_below_one_nation(self, name: str) -> None:
        registry = RegionRegistry.load(name)
        (nation,) = registry.at_level("nation")
        assert nation.parent is None
        for region in registry:
            chain = (region, *registry.ancestors(region.code))
            depths = [r.level.depth for r in chain]
            assert depths == sorted(set(depths), reverse=True)
            assert chain[-1] == nation
        assert len(registry.descendants(nation.code)) == len(registry) - 1

    def test_every_region_has_both_names(self, name: str) -> None:
        assert all(r.name_zh and r.name_en for r in RegionRegistry.load(name))

    def test_is_read_once(self, name: str) -> None:
        assert RegionRegistry.load(name) is RegionRegistry.load(name)


class TestChina:
    TODAY = date(2026, 11, 1)

    def test_size_of_the_list_in_force(self, cn: RegionRegistry) -> None:
        sizes = {level: len(cn.at_level(level, on=self.TODAY)) for level in RegionLevel}
        assert sizes == {"nation": 1, "province": 34, "prefecture": 333, "county": 2847}
        assert len(cn) > sum(sizes.values())

    def test_codes_of_the_2015_standard_and_later_ones(self, cn: RegionRegistry) -> None:
        assert "330113" in cn
        assert "330103" in cn
        assert cn["330103"].name_zh == "下城区"
        assert cn["330103"].valid_to == date(2021, 4, 9)
        assert cn.is_valid_on("330103", date(2021, 4, 8))
        assert not cn.is_valid_on("330103", date(2021, 4, 9))
        assert not cn.is_valid_on("330113", date(2021, 4, 8))
        assert cn.is_valid_on("330113", date(2021, 4, 9))

    def test_abolished_codes_name_those_in_force_that_took_their_place(
        self, cn: RegionRegistry
    ) -> None:
        assert cn["330103"].successors == ("330105",)
        assert cn["330104"].successors == ("330102", "330114")
        assert cn["512081"].successors == ("510185",)  # the way leads over 510180
        followed = [region for region in cn if region.successors]
        assert all(region.valid_to for region in followed)
        assert all(cn[code].valid_to is None for one in followed for code in one.successors)
        counties = [r for r in cn if r.valid_to and r.level is RegionLevel.COUNTY]
        assert len([r for r in counties if not r.successors]) <= 6

    def test_a_change_known_to_the_year_leaves_both_codes_valid(self, cn: RegionRegistry) -> None:
        old, new = "632321", "632301"  # 同仁 became a city in 2020
        assert cn.is_valid_on(old, date(2020, 6, 1))
        assert cn.is_valid_on(new, date(2020, 6, 1))
        assert not cn.is_valid_on(old, date(2021, 1, 1))
        assert not cn.is_valid_on(new, date(2019, 12, 31))

    def test_a_renamed_region_keeps_its_old_name_as_alias(self, cn: RegionRegistry) -> None:
        assert cn.find("襄樊市").code == "420600"

    @pytest.mark.parametrize(
        ("code", "parent"),
        [
            ("110101", "110000"),  # a municipality's district
            ("500101", "500000"),
            ("429004", "420000"),  # a county-level city run by the province
            ("469001", "460000"),
            ("659001", "650000"),
            ("371202", "371200"),  # in a prefecture abolished together with it
            ("330106", "330100"),
            ("330100", "330000"),
            ("330000", "100000"),
        ],
    )
    def test_parent(self, cn: RegionRegistry, code: str, parent: str) -> None:
        assert cn[code].parent == parent

    @pytest.mark.parametrize(
        ("code", "name"),
        [
            ("110000", "Beijing"),
            ("330000", "Zhejiang"),
            ("330100", "Hangzhou"),
            ("330102", "Shangcheng District"),
            ("610100", "Xi'an"),
            ("330382", "Yueqing"),
            ("411100", "Luohe"),
            ("371722", "Shan County"),
            ("140800", "Yuncheng"),
            ("150100", "Hohhot"),
            ("429021", "Shennongjia Forestry District"),
            ("610103", "Beilin District"),
            ("433100", "Xiangxi Tujia and Miao Autonomous Prefecture"),
            ("530825", "Zhenyuan Yi, Hani and Lahu Autonomous County"),
        ],
    )
    def test_english_name(self, cn: RegionRegistry, code: str, name: str) -> None:
        assert cn[code].name_en == name

    def test_no_placeholders_or_development_zones(self, cn: RegionRegistry) -> None:
        assert not [r for r in cn if r.name_zh in {"市辖区", "县"} or r.name_zh.endswith("开发区")]

    def test_places_lie_where_they_should(self, cn: RegionRegistry) -> None:
        placed = [r for r in cn if r.lat is not None and r.lon is not None]
        assert len(placed) > 1800
        assert all(r.lat and 15 < r.lat < 54 and r.lon and 73 < r.lon < 136 for r in placed)
        assert all(r.lat is not None for r in cn.at_level("province"))
        assert cn["330100"].lat == pytest.approx(30.29, abs=0.1)
        assert cn["330100"].lon == pytest.approx(120.16, abs=0.1)


class TestTaiwan:
    def test_all_counties_of_the_data_set_are_found(self, tw: RegionRegistry) -> None:
        found = {tw.find(name).code for name in RODS_COUNTIES}
        assert found == {region.code for region in tw.at_level("county")}
        assert len(found) == 22

    def test_both_writings(self, tw: RegionRegistry) -> None:
        assert tw.find("台北市") == tw.find("臺北市") == tw["TW-TPE"]
        assert tw.find("桃園縣").code == "TW-TAO"
        assert tw.find("taipei").code == "TW-TPE"

    def test_counties_lie_directly_in_the_nation(self, tw: RegionRegistry) -> None:
        assert {region.parent for region in tw.at_level("county")} == {"TW"}
        assert all(r.lat and 21 < r.lat < 27 and r.lon and 118 < r.lon < 123 for r in tw)


class TestUnitedStates:
    def test_states_district_and_outlying_areas(self, us: RegionRegistry) -> None:
        assert len(us.at_level("province")) == 50 + 1 + 6

    @pytest.mark.parametrize("name", ["US-CA", "06", "CA", "California", "加利福尼亚州"])
    def test_aliases(self, us: RegionRegistry, name: str) -> None:
        region = us.get(name) or us.find(name)
        assert region.code == "US-CA"

    def test_centroids(self, us: RegionRegistry) -> None:
        assert us["US-KS"].lat == pytest.approx(38.5, abs=0.2)
        assert us["US-KS"].lon == pytest.approx(-98.4, abs=0.2)
        assert us["US-AK"].lon == pytest.approx(-152, abs=2)  # both sides of the date line
        assert us["US-GU"].lon == pytest.approx(144.8, abs=0.2)


class TestLookUp:
    def test_walks(self, cn: RegionRegistry) -> None:
        above = [region.code for region in cn.ancestors("330106")]
        assert above == ["330100", "330000", "100000"]
        assert cn["330106"] in cn.children("330100")
        assert cn["330106"] in cn.descendants("330000")
        assert cn["330106"] not in cn.children("330000")
        assert cn.descendants("330106") == ()

    @pytest.mark.parametrize(
        ("code", "level", "expected"),
        [
            ("330106", "county", "330106"),
            ("330106", RegionLevel.PREFECTURE, "330100"),
            ("330106", "province", "330000"),
            ("110101", "prefecture", None),
            ("330000", "county", None),
        ],
    )
    def test_parent_at(
        self, cn: RegionRegistry, code: str, level: str, expected: str | None
    ) -> None:
        found = cn.parent_at(code, level)
        assert (found and found.code) == expected

    def test_path_name(self, cn: RegionRegistry) -> None:
        assert cn.path_name("330106") == "浙江省杭州市西湖区"
        assert cn.path_name("330106", lang="en") == "Xihu District, Hangzhou, Zhejiang"
        assert cn.path_name("110101") == "北京市东城区"
        assert cn.path_name("100000", lang="en") == "China"

    def test_namesakes_are_listed(self, cn: RegionRegistry) -> None:
        with pytest.raises(AmbiguousRegionError, match="within which region") as caught:
            cn.find("鼓楼区")
        assert {region.code[:2] for region in caught.value.candidates} == {"32", "35", "41"}
        assert "350102 福建省福州市鼓楼区" in str(caught.value)
        assert cn.find("鼓楼区", within="350000").code == "350102"

    def test_a_region_in_force_wins_over_an_abolished_namesake(self, cn: RegionRegistry) -> None:
        assert cn["320602"].name_zh == cn["320613"].name_zh == "崇川区"
        assert cn.find("崇川区").code == "320613"
        assert cn.find("320602").code == "320602"  # a code says which
        assert cn.find("下城区").code == "330103"

    def test_unknown_names_and_codes_get_suggestions(self, cn: RegionRegistry) -> None:
        assert cn.suggest("Hangzou", n=1) == (cn["330100"],)
        assert cn.suggest("33010", n=3)[0].code.startswith("33010"[:4])
        assert len(cn.suggest("330199", n=2)) == 2
        assert cn.suggest("§§§") == ()
        with pytest.raises(UnknownRegionError, match="did you mean 330100 浙江省杭州市"):
            cn.find("Hangzou")
        for ask in (cn.__getitem__, cn.ancestors, cn.descendants, cn.children, cn.path_name):
            with pytest.raises(UnknownRegionError, match="'999999' is no region of cn"):
                ask("999999")
        with pytest.raises(UnknownRegionError):
            cn.is_valid_on("999999", date(2020, 1, 1))

    def test_get_and_contains(self, cn: RegionRegistry) -> None:
        assert cn.get("999999") is None
        assert "999999" not in cn
        assert None not in cn
        assert "西湖区" not in cn

    def test_regions_are_frozen(self, cn: RegionRegistry) -> None:
        with pytest.raises(ValidationError):
            cn["330106"].name_en = "Lake"  # type: ignore[misc]


class TestFaults:
    def test_all_faults_are_told_together(self, tmp_path: Path) -> None:
        path = tmp_path / "mine.csv"
        text = faults(
            path,
            "code,level,parent,name_en,lat,lon,population,valid_from\n"
            "A,nation,,A-land,,,,\n"
            "B,state,A,B,,,,\n"
            "C,province,A,C,91,0,,\n"
            "D,province,A,D,,,1 000,2021-13-01\n"
            "E,province,Z,E,,,,\n"
            "E,province,A,E,,,,\n"
            "F,nation,A,F,,,,\n"
            ",county,A,G,,,,\n"
            "H,county,A,,,,,\n"
            "I,county,A,I,1,,,\n",
        )
        assert text.splitlines() == [
            (
                f"{path}: line 3: column level: 'state' cannot be used; "
                "use one of nation, province, prefecture, county"
            ),
            (
                f"{path}: line 4: column lat: '91' cannot be used; "
                "write degrees north from -90 to 90, or leave it empty"
            ),
            (
                f"{path}: line 5: column population: '1 000' cannot be used; "
                "write a whole number without separators, or leave it empty"
            ),
            (
                f"{path}: line 5: column valid_from: '2021-13-01' cannot be used; "
                "write an ISO date such as 2021-04-09, or leave it empty"
            ),
            f"{path}: line 6: column parent: E lies in Z, which has no row; add or correct it",
            f"{path}: line 7: column code: E was there before (line 6); remove one of the two",
            (
                f"{path}: line 8: column level: F is a nation in A, a nation; "
                "the parent must be of a higher level"
            ),
            f"{path}: line 9: column code: is empty; every region needs one",
            f"{path}: line 10: the region has no name; fill in name_zh or name_en",
            f"{path}: line 11: only one of lat and lon is given; fill in both or neither",
        ]

    @pytest.mark.parametrize("successor", ["B", "C"])
    def test_a_successor_is_another_region_of_the_file(
        self, tmp_path: Path, successor: str
    ) -> None:
        text = faults(
            tmp_path / "followed.csv",
            f"code,level,parent,name_en,successors\nA,nation,,A,\nB,county,A,B,{successor}\n",
        )
        assert f"line 3: column successors: {successor} cannot follow B: name another" in text

    def test_a_ring_is_told_once(self, tmp_path: Path) -> None:
        text = faults(
            tmp_path / "ring.csv",
            "code,level,parent,name_en\nA,nation,C,A\nB,province,A,B\nC,county,B,C\n",
        )
        assert text.count("ring (A in C in B in A)") == 1

    def test_a_region_in_itself(self, tmp_path: Path) -> None:
        text = faults(tmp_path / "self.csv", "code,level,parent,name_en\nA,nation,A,A\n")
        assert "line 2: column parent: parents form a ring (A in A)" in text

    def test_header(self, tmp_path: Path) -> None:
        text = faults(tmp_path / "head.csv", "code,levle,name,name\n")
        assert "line 1: column levle: unknown column; did you mean level?" in text
        assert "line 1: column level: is missing; add it" in text
        assert "line 1: column parent: is missing; add it" in text
        assert "column code" not in text
        twice = faults(tmp_path / "twice.csv", "code,level,parent,name_en,code\n")
        assert "column code: stands twice; remove one" in twice

    def test_empty_file(self, tmp_path: Path) -> None:
        assert "column code: is missing" in faults(tmp_path / "empty.csv", "")

    def test_too_many_cells(self, tmp_path: Path) -> None:
        text = faults(
            tmp_path / "cells.csv", "code,level,parent,name_en\nA,nation,,Aland, Islands\n"
        )
        assert "line 2: 5 cells, but the header has 4; quote cells with commas" in text

    def test_dates_in_the_wrong_order(self, tmp_path: Path) -> None:
        text = faults(
            tmp_path / "dates.csv",
            "code,level,parent,name_en,valid_from,valid_to\nA,nation,,A,2020-01-01,2020-01-01\n",
        )
        assert "line 2: valid_from is not before valid_to" in text

    def test_another_encoding(self, tmp_path: Path) -> None:
        path = tmp_path / "gbk.csv"
        path.write_bytes("code,level,parent,name_zh\nA,nation,,中国\n".encode("gbk"))
        with pytest.raises(RegionRegistryError, match="not UTF-8; save the file as CSV UTF-8"):
            RegionRegistry.from_csv(path)

    def test_the_mark_excel_writes_and_blank_lines_do_no_harm(self, tmp_path: Path) -> None:
        path = tmp_path / "excel.csv"
        text = "code,level,parent,name_en\r\n\r\nA,nation,,A\r\n,,,\r\n"
        path.write_text(text, encoding="utf-8-sig")
        assert [region.code for region in RegionRegistry.load(path)] == ["A"]

    def test_no_such_registry(self) -> None:
        with pytest.raises(RegionRegistryError, match="use one of cn, tw, us or a CSV's path"):
            RegionRegistry.load("uk")

    def test_regions_given_in_code_are_checked_too(self) -> None:
        regions = [Region(code="A", level=RegionLevel.COUNTY, parent="B", name_en="A")]
        with pytest.raises(RegionRegistryError, match="mine: column parent: A lies in B"):
            RegionRegistry(regions, name="mine")


TEXT = st.text(
    st.characters(exclude_categories=("C", "Z"), exclude_characters="|"), min_size=1, max_size=8
)


@st.composite
def trees(draw: st.DrawFn) -> list[Region]:
    """Draw regions whose parents, if any, are earlier ones of a higher level."""
    codes = draw(st.lists(TEXT, min_size=1, max_size=25, unique=True))
    regions: list[Region] = []
    for code in codes:
        level = draw(st.sampled_from(RegionLevel))
        above = [r.code for r in regions if r.level.depth < level.depth]
        place = draw(st.booleans())
        regions.append(
            Region(
                code=code,
                level=level,
                parent=draw(st.sampled_from([None, *above])),
                name_zh=draw(TEXT),
                name_en=draw(st.just("") | TEXT),
                lat=draw(st.floats(-90, 90)) if place else None,
                lon=draw(st.floats(-180, 180)) if place else None,
                population=draw(st.none() | st.integers(0, 10**10)),
                valid_from=draw(st.none() | st.dates(max_value=date(1999, 12, 31))),
                valid_to=draw(st.none() | st.dates(min_value=date(2000, 1, 1))),
                successors=tuple(
                    draw(st.lists(st.sampled_from(codes), max_size=2))
                    if (codes := [r.code for r in regions])
                    else ()
                ),
                aliases=tuple(draw(st.lists(TEXT, max_size=3))),
            )
        )
    return draw(st.permutations(regions))


@given(trees())
def test_a_registry_survives_the_round_trip_through_csv(regions: list[Region]) -> None:
    registry = RegionRegistry(regions, name="drawn")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "drawn.csv"
        registry.to_csv(path)
        again = RegionRegistry.from_csv(path)
    assert list(again) == regions


@given(trees())
def test_ancestors_and_descendants_agree(regions: list[Region]) -> None:
    registry = RegionRegistry(regions, name="drawn")
    for region in registry:
        below = registry.descendants(region.code)
        assert len(set(below)) == len(below)
        for other in registry:
            assert (other in below) == (region in registry.ancestors(other.code))
        children = registry.children(region.code)
        assert [r for r in below if r.parent == region.code] == list(children)
        roots = [r for r in (region, *registry.ancestors(region.code)) if r.parent is None]
        assert len(roots) == 1


@given(trees(), st.data())
def test_a_lost_row_is_noticed(regions: list[Region], data: st.DataObject) -> None:
    parents = sorted({region.parent for region in regions if region.parent is not None})
    if not parents:
        return
    lost = data.draw(st.sampled_from(parents))
    with pytest.raises(RegionRegistryError, match="which has no row"):
        RegionRegistry((r for r in regions if r.code != lost), name="drawn")


def test_public_names() -> None:
    assert sorted(schemas.regions.__all__) == schemas.regions.__all__
    assert all(hasattr(schemas.regions, name) for name in schemas.regions.__all__)
