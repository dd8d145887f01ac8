"""Names of columns that people and publishers use, by what they hold."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

from schemas.widths import half_width

if TYPE_CHECKING:
    from collections.abc import Mapping

    from streams.judging.periods import EpiWeek

__all__ = [
    "CODES",
    "KNOWN_SETS",
    "NAMES",
    "ONSETS",
    "PERSON",
    "SERIALS",
    "Counted",
    "KnownSet",
    "Role",
    "bare",
]

Role: TypeAlias = Literal[
    "time", "year", "week", "month", "day", "region", "signal", "count", "population"
]
"""What a column holds. `year` with `week`, or with `month` and `day`, stand in for `time`."""


def bare(name: str) -> str:
    """Leave letters and digits of a name, in lower case.

    Examples
    --------
    >>> bare("ISO_WeekStartDate"), bare("Organisation unit"), bare("报告 日期")
    ('isoweekstartdate', 'organisationunit', '报告日期')
    """
    return re.sub(r"[\W_]+", "", half_width(name).casefold())


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


NAMES: Final[Mapping[Role, frozenset[str]]] = {
    "time": _names(
        "time date datum period weekending weekend weekendingdate weekenddate weekstart "
        "weekstartdate weekstarting weekbeginning isoweekstartdate isoyw yearweek "
        "isoyearweek epiyearweek daterep reportdate reportingdate datereported meldewoche "
        "kalenderwoche meldedatum 时间 日期 时段 期间 报告日期 报告时间 统计日期 统计时间 "
        "就诊日期 监测日期 报告周 监测周 年周 年周次 年月 時間 報告日期 監測週次 年週 週別"
    ),
    "year": _names("year isoyear epiyear mmwryear jahr 年 年份 年度"),
    "week": _names(
        "week isoweek epiweek mmwrweek weekno weeknumber weeknum kw woche 周 周次 周数 周别 "
        "第几周 週 週次"
    ),
    "month": _names("month monat 月 月份"),
    "day": _names("day tag 日"),
    "region": _names(
        "region area district county province state country city location countryname "
        "regionname provincestate countryregion municipality prefecture jurisdiction "
        "reportingarea orgunit organisationunit organisationunitname bundesland landkreis "
        "kreis countryareaterritory countriesandterritories 地区 区县 县区 区 县 市 省 省份 "
        "城市 地市 县市 行政区 行政区划 辖区 地区名称 区县名称 县区名称 报告地区 街道 乡镇 "
        "监测点 哨点 哨点医院 地區 縣市 縣市別 鄉鎮市區 鄉鎮 現住地區"
    ),
    "signal": _names(
        "signal disease indicator syndrome pathogen virus condition diagnosis age agegroup "
        "agegroupcode altersgruppe sex gender geschlecht dataelement data series 病种 疾病 "
        "疾病名称 病名 症状 症候群 信号 指标 年龄组 年龄段 年龄别 年龄 性别 疾病名稱 年齡層 "
        "年齡別 年齡 性別"
    ),
    "count": _names(
        "count counts cases n number value newcases weeklycount casecount numcases nbcases "
        "cnt visits ilitotal reportedcases anzahl fälle faelle fallzahl anzahlfall 病例数 "
        "发病数 就诊人次 例数 报告数 报告病例数 报告发病数 新增病例数 新发病例数 人次 数量 "
        "计数 病例 发病人数 就诊人数 就诊数 人数 流感样病例数 流感样病例 病例數 確定病例數 "
        "就診人次 健保就診總人次 人數 例數"
    ),
    "population": _names(
        "population pop popdata einwohner totalpatients popcov 人口 人口数 常住人口 总人口 "
        "人口總數 人口數"
    ),
}
#: Columns that name a region by a code; used where none gives its name.
CODES: Final = _names(
    "regioncode areacode geoid iso3 iso2 iso3code isocode code countrycode "
    "countryterritorycode fips uid code3 idlandkreis idbundesland regionid orgunitid "
    "organisationunitid organisationunitcode 地区编码 行政区划代码 区划代码 地区代码 "
    "区县代码 continent continentexp whoregion"
)
#: Dates of a line list, whose rows are cases; best first.
ONSETS: Final = (
    "onset", "onsetdate", "dateonset", "dateofonset", "symptomonset", "symptomonsetdate",
    "dateonsetsymptoms", "diseaseonset", "erkrankungsbeginn", "发病日期", "发病时间", "發病日",
    "發病日期", "diagnosisdate", "dateofdiagnosis", "诊断日期", "诊断时间", "診斷日", "visitdate",
    "admissiondate", "specimendate", "dateofreport",
)  # fmt: skip
#: Ages and sexes: in a line list they tell cases apart, not series.
PERSON: Final = _names("age agegroup sex gender altersgruppe geschlecht 年龄 性别 年龄组")
#: Numbers of cases in a line list.
SERIALS: Final = _names(
    "id caseid patientid no record recordid 病例编号 编号 序号 病例号 卡片编号 卡片id"
)


class Counted(NamedTuple):
    """Which rows of a file count.

    Parameters
    ----------
    column
        Bare name of the column that tells.
    values
        Of rows that count.
    taken_back
        Of rows that do not, although they stand in the file.
    why
        What these rows are, for people.
    """

    column: str
    values: frozenset[str]
    taken_back: frozenset[str]
    why: str


@dataclass(frozen=True)
class KnownSet:
    """The columns of one publisher.

    Parameters
    ----------
    name
        What people call it.
    needs
        Bare names that tell it from others.
    roles
        Bare names by role; several are joined, with a comma between.
    epi_week
        System of its epi weeks, where that is not the usual one.
    adds_up
        Whether rows of one series and time are parts of one count.
    cumulative
        Whether counts are totals since the beginning.
    sparse
        Whether only times with cases have a row: times without one count 0.
    only
        Which rows count; None for all.
    """

    name: str
    needs: frozenset[str]
    roles: Mapping[Role, tuple[str, ...]]
    epi_week: EpiWeek | None = None
    adds_up: bool = False
    cumulative: bool = False
    sparse: bool = False
    only: Counted | None = None


def _roles(**columns: str) -> Mapping[Role, tuple[str, ...]]:
    return {role: tuple(names.split()) for role, names in columns.items()}  # type: ignore[misc]


KNOWN_SETS: Final = (
    KnownSet(
        "WHO FluNet",
        _names("countryareaterritory isoweekstartdate infall"),
        _roles(time="isoweekstartdate", region="countryareaterritory", signal="originsource",
               count="infall"),
    ),
    KnownSet(
        "WHO FluID",
        _names("countryareaterritory isoweekstartdate reportedcases"),
        _roles(time="isoweekstartdate", region="countryareaterritory",
               signal="caseinfo originsource agegroupcode", count="reportedcases",
               population="popcov"),
    ),
    KnownSet(
        "CDC FluView ILINet",
        _names("region year week ilitotal"),
        _roles(year="year", week="week", region="region", count="ilitotal",
               population="totalpatients"),
        epi_week="mmwr",
    ),
    KnownSet(
        "ECDC",
        _names("yearweek country weeklycount"),
        _roles(time="yearweek", region="country", signal="indicator", count="weeklycount",
               population="population"),
    ),
    KnownSet(
        "ECDC",
        _names("daterep countriesandterritories cases"),
        _roles(time="daterep", region="countriesandterritories", count="cases",
               population="popdata2019 popdata2020"),
    ),
    KnownSet(
        "ECDC ERVISS",
        _names("survtype countryname date value"),
        _roles(time="date", region="countryname",
               signal="survtype pathogen pathogentype pathogensubtype indicator age",
               count="value"),
    ),
    KnownSet(
        "ECDC Surveillance Atlas",
        _names("healthtopic time regionname numvalue"),
        _roles(time="time", region="regionname", signal="healthtopic population indicator",
               count="numvalue"),
    ),
    KnownSet(
        "Our World in Data",
        _names("isocode location date newcases"),
        _roles(time="date", region="location", count="newcases"),
    ),
    KnownSet(
        "Our World in Data",
        _names("country date newcases totalcases"),
        _roles(time="date", region="country", count="newcases"),
    ),
    KnownSet(
        "DHIS2",
        _names("dataelement period orgunit value"),
        _roles(time="period", region="orgunit", signal="dataelement categoryoptioncombo",
               count="value"),
    ),
    KnownSet(
        "DHIS2",
        _names("data period organisationunit value"),
        _roles(time="period", region="organisationunit", signal="data", count="value"),
    ),
    KnownSet(
        "DHIS2",
        _names("dx pe ou value"),
        _roles(time="pe", region="ou", signal="dx", count="value"),
    ),
    KnownSet(
        "DHIS2",
        _names("dataname periodcode organisationunitname total"),
        _roles(time="periodcode", region="organisationunitname", signal="dataname", count="total"),
    ),
    KnownSet(
        "RKI COVID-19",
        _names("meldedatum anzahlfall neuerfall"),
        _roles(time="meldedatum", region="landkreis", count="anzahlfall"),
        adds_up=True, sparse=True,
        # RKI's own rule: the cases of a publication are the sum over NeuerFall 0 and 1.
        only=Counted("neuerfall", frozenset({"0", "1"}), frozenset({"-1"}),
                     "cases of the day before that RKI has withdrawn"),
    ),
    KnownSet(
        "RKI SurvStat",
        _names("meldewoche region fallzahl"),
        _roles(time="meldewoche", region="region", signal="altersgruppe", count="fallzahl"),
        # Where an age group has no row, the others make up the whole (00+).
        sparse=True,
    ),
)  # fmt: skip
