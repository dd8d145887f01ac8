from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from schemas.config import EventTime, Match, Surveillance
from streams.config import load_configuration
from streams.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

SOUND = """\
name: test
regions: tw
time_zone: Asia/Taipei
event_time:
  max_age_days: 400
  keep_years: 5
age_groups: ["0-4", "5-64", "65+"]
signals:
  ili:
    title: {en: Influenza-like illness, zh: 流感样病例}
    of: visits
    match:
      icd10: [J09-J11]
      complaint: [流感]
  antipyretic:
    title: {en: Antipyretics, zh: 退热药}
    of: sales
    match: {atc: [N02B]}
    measure: quantity
rules:
  ili-day:
    signal: ili
    level: county
    detector: {type: ears, method: C2}
    min_cases: 5
  sales-nation:
    signal: antipyretic
    level: nation
    grain: week
    detector:
      type: ears
      method: C1
"""

#: What is replaced by what; the line, the key and words of the remedy that must come out.
MISTAKES: dict[str, tuple[str, str, int, str, list[str]]] = {
    "unknown key": ("time_zone:", "timezone:", 3, "timezone", ["mean time_zone?"]),
    "unknown key inside": ("min_cases: 5", "min_case: 5", 25, "rules.ili-day.min_case", ["no key"]),
    "missing key": ("    level: nation\n", "", 26, "rules.sales-nation.level", ["missing", "add"]),
    "detector's type": (
        "{type: ears, method: C2}", "{type: eras}", 24, "rules.ili-day.detector.type",
        ["did you mean 'ears'", "known are"],
    ),
    "detector without type": (
        "{type: ears, method: C2}", "{method: C2}", 24, "rules.ili-day.detector.type",
        ["needs a `type`", "ears"],
    ),
    "detector's parameter": (
        "method: C1", "methods: C1", 32, "rules.sales-nation.detector.methods", ["is no key here"],
    ),
    "detector's value": (
        "method: C1", "method: C9", 32, "rules.sales-nation.detector.method",
        ["'C1', 'C2' or 'C3'"],
    ),
    "detector for whole series": (
        "      type: ears\n      method: C1\n", "      type: cusum\n      h: 3\n      start: 104\n",
        33, "rules.sales-nation.detector.start",
        ["fenghuo detect", "recent steps only; remove it, and set `window`"],
    ),
    "history since a start": (
        "{type: ears, method: C2}", "{type: outbreak_p, start: 0}", 24,
        "rules.ili-day.detector.start", ["remove it"],
    ),
    "unknown signal": (
        "signal: ili", "signal: flu", 22, "rules.ili-day.signal", ["'flu'", "ili, antipyretic"],
    ),
    "no level": ("level: county", "level: town", 23, "rules.ili-day.level", ["'county'"]),
    "level without regions": (
        "level: county", "level: province", 23, "rules.ili-day.level",
        ["tw has no region of level province", "nation, county"],
    ),
    "gap of ages": ('"5-64"', '"6-64"', 7, "age_groups", ["'6-64' must start at 5"]),
    "overlap of ages": ('"5-64"', '"4-64"', 7, "age_groups", ["must start at 5"]),
    "closed ages": ('"65+"', '"65-99"', 7, "age_groups", ["'65-99' must be open"]),
    "backward ages": ('"5-64"', '"5-3"', 7, "age_groups", ["ends before it starts"]),
    "no ages": ('"5-64"', "children", 7, "age_groups.1", ["no age group; write 0-4"]),
    "ICD-10 code": ("J09-J11", "flu", 13, "signals.ili.match.icd10", ["no ICD-10", "J09-J11"]),
    "ICD-10 backwards": ("J09-J11", "J11-J09", 13, "signals.ili.match.icd10", ["upwards"]),
    "ICD-10 over letters": ("J09-J11", "I09-J11", 13, "signals.ili.match.icd10", ["one letter"]),
    "ICD-10 range of subcodes": ("J09-J11", "J09.1-J11.2", 13, "signals.ili.match.icd10", ["J11"]),
    "ATC code": ("N02B", "N2B", 18, "signals.antipyretic.match.atc", ["no ATC", "N02B"]),
    "empty term": ("[流感]", '[" "]', 14, "signals.ili.match.complaint.0", ["is empty"]),
    "match of another kind": (
        "match: {atc: [N02B]}", "match: {icd10: [J11]}", 15, "signals.antipyretic",
        ["icd10, which sales do not have", "atc, category, otc, product"],
    ),
    "quantity of visits": (
        "of: visits", "of: visits\n    measure: quantity", 9, "signals.ili", ["no quantity"],
    ),
    "time zone": ("Asia/Taipei", "Asia/Taipeh", 3, "time_zone", ["no IANA", "Asia/Shanghai"]),
    "registry": (
        "regions: tw", "regions: xx", 2, "regions", ["no built-in registry", "cn, tw, us"],
    ),
    "CSV that is not there": ("regions: tw", "regions: my.csv", 2, "regions", ["no such file"]),
    "rule's name": ("  ili-day:", "  ILI day:", 21, "rules.ILI day", ["is no name", "a-z"]),
    "kept too short": (
        "keep_years: 5", "keep_years: 2\n  max_future_minutes: 5", 4, "event_time",
        ["keep_years: 3 or more"],
    ),
    "quiet period": (
        "min_cases: 5", "quiet_days: -1", 25, "rules.ili-day.quiet_days", ["must be 0 or more"],
    ),
    "end": (
        "min_cases: 5", "ended_after: 0", 25, "rules.ili-day.ended_after", ["must be 1 or more"],
    ),
    "group of another signal": (
        "min_cases: 5", "min_cases: 5\n    group: antipyretic", 26, "rules.ili-day.group",
        ["'antipyretic' is the group of rules of signal antipyretic", "write another name"],
    ),
    "escalation of no severity": (
        "regions: tw", "regions: tw\nalerts: {escalate: {urgent: 5}}", 3, "alerts.escalate.urgent",
        ["'info', 'warning' or 'critical'"],
    ),
    "escalation at once": (
        "regions: tw", "regions: tw\nalerts: {escalate: {critical: 0}}", 3,
        "alerts.escalate.critical", ["must be 1 or more"],
    ),
    "number": (
        "max_age_days: 400", "max_age_days: many", 5, "event_time.max_age_days", ["whole number"],
    ),
}  # fmt: skip


def fault(folder: Path, text: str) -> str:
    path = folder / "fenghuo.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_configuration(path)
    return str(caught.value).replace(str(path), "FILE")


def changed(old: str, new: str, text: str = SOUND) -> str:
    assert text.count(old) == 1, old
    return text.replace(old, new)


def test_the_sound_one_is_sound(tmp_path: Path) -> None:
    path = tmp_path / "fenghuo.yaml"
    path.write_text(SOUND, encoding="utf-8")
    configuration = load_configuration(path)
    assert list(configuration.detectors) == ["ili-day", "sales-nation"]
    assert configuration.version == configuration.surveillance.version


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named_with_line_key_and_remedy(tmp_path: Path, mistake: str) -> None:
    old, new, line, key, remedy = MISTAKES[mistake]
    text = SOUND
    if mistake == "kept too short":
        text = changed("max_age_days: 400", "max_age_days: 800", text)
    told = fault(tmp_path, changed(old, new, text))
    assert told.startswith(f"FILE:{line}: {key}: "), told
    for words in remedy:
        assert words in told
    assert "\n" not in told


def test_all_mistakes_are_told_together_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = SOUND
    chosen = [
        "unknown key", "gap of ages", "ICD-10 code", "ATC code", "unknown signal",
        "level without regions", "detector's type", "unknown key inside", "detector's value",
    ]  # fmt: skip
    for mistake in chosen:
        old, new, *_ = MISTAKES[mistake]
        text = changed(old, new, text)
    told = fault(tmp_path, text).splitlines()
    expected = [(MISTAKES[mistake][2], MISTAKES[mistake][3]) for mistake in chosen]
    assert [tuple(line.split(": ")[:2]) for line in told] == [
        (f"FILE:{line}", key) for line, key in sorted(expected)
    ]


def test_two_rules_with_the_same_mistake_are_two_lines(tmp_path: Path) -> None:
    text = changed("signal: ili", "signal: flu", SOUND).replace("signal: anti", "signal: anty")
    told = fault(tmp_path, text).splitlines()
    assert [line.split(": ")[1] for line in told] == [
        "rules.ili-day.signal",
        "rules.sales-nation.signal",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name: [", "not valid YAML"),
        ("name: a\nname: b\n", 'FILE:2: not valid YAML: the key "name" stands here twice'),
        ("name: a\n\tb: c\n", "FILE:2: not valid YAML"),
        ("name: \x01\n", "FILE:1: not valid YAML"),
        ("", "FILE:1: the file must hold keys"),
        ("- a\n", "FILE:1: the file must hold keys"),
        ("name: test\n", "FILE:1: signals: is missing; add it"),
        ("name: test\nsignals: {}\n", "FILE:2: signals: "),
        ("name: test\nsignals: ili\nrules: [ili]\n", "FILE:2: signals: "),
        ("name: test\nregions: 7\nsignals: {}\nrules: {a: 1}\n", "FILE:2: regions: "),
    ],
)
def test_what_is_no_configuration_at_all(tmp_path: Path, text: str, told: str) -> None:
    assert told in fault(tmp_path, text)


def test_a_missing_file_is_named_with_the_ways_to_name_another(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file") as caught:
        load_configuration(tmp_path / "none.yaml")
    assert "none.yaml" in str(caught.value)
    assert "--config or FENGHUO_CONFIG" in str(caught.value)


def test_a_file_in_another_encoding(tmp_path: Path) -> None:
    path = tmp_path / "gbk.yaml"
    path.write_bytes("name: test\n# 流感\n".encode("gbk"))
    with pytest.raises(ConfigError, match=r"gbk\.yaml:2: not UTF-8"):
        load_configuration(path)


def test_a_mistake_that_came_in_by_a_merge(tmp_path: Path) -> None:
    text = changed("    min_cases: 5", "    <<: *few").replace(
        "name: test\n", "name: test\nfew: &few {min_cases: -1}\n"
    )
    told = fault(tmp_path, text).splitlines()
    assert told[0].startswith("FILE:2: few: is no key")
    assert told[1].startswith("FILE:22: rules.ili-day.min_cases: ")


def test_a_registry_of_ones_own_is_found_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "my.csv").write_text("code,level,parent,name_en\nX,nation,,X\n", encoding="utf-8")
    text = changed("regions: tw", "regions: my.csv")
    assert "my has no region of level county; it has nation" in fault(tmp_path, text)
    (tmp_path / "my.csv").write_text("code,level\n", encoding="utf-8")
    assert "my.csv: line 1: column parent: is missing" in fault(tmp_path, text)


def surveillance(**changes: Any) -> Surveillance:
    signals = {"fever": {"title": {"en": "Fever", "zh": "发热"}, "of": "visits"}}
    return Surveillance.model_validate({"name": "a", "signals": signals} | changes)


def test_equal_content_has_an_equal_version() -> None:
    assert surveillance().version == surveillance(epi_week="iso").version
    assert surveillance().version != surveillance(epi_week="mmwr").version


def test_an_unknown_signal_has_a_place_without_a_file_too() -> None:
    rule = {"signal": "flu", "level": "county", "detector": {"type": "ears"}}
    with pytest.raises(ValidationError) as caught:
        surveillance(rules={"r": rule})
    assert [error["loc"] for error in caught.value.errors()] == [("rules", "r", "signal")]


@pytest.mark.parametrize(
    ("days", "years", "fits"),
    [(729, 2, True), (730, 2, False), (400, 2, True), (7300, 20, False), (7299, 20, True)],
)
def test_events_are_kept_longer_than_they_may_be_revised(
    days: int, years: int, *, fits: bool
) -> None:
    if fits:
        assert EventTime(max_age_days=days, keep_years=years).keep_years == years
    else:
        with pytest.raises(ValidationError, match=f"keep_years: {years + 1} or more"):
            EventTime(max_age_days=days, keep_years=years)


@pytest.mark.parametrize("code", ["J11", "J11.1", "J09-J11", "C7A", "S52.521A", "J00-J99"])
def test_icd10_codes(code: str) -> None:
    assert Match(icd10=(code,)).fields == {"icd10"}


@pytest.mark.parametrize(("grain", "periods"), [("day", 3), ("rolling7", 3), ("week", 2)])
def test_the_end_of_exceedances_by_default(grain: str, periods: int) -> None:
    rule = {"signal": "fever", "level": "county", "grain": grain, "detector": {"type": "ears"}}
    made = surveillance(rules={"r": rule, "s": rule | {"ended_after": 9, "group": "own"}}).rules
    assert (made["r"].ended_after_periods, made["s"].ended_after_periods) == (periods, 9)
    assert (made["r"].merged_as, made["s"].merged_as) == ("fever", "own")
