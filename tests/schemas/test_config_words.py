"""Whatever a user writes: no programmer's word, no traceback, and the right line."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from streams.config import load_configuration
from streams.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

SOUND = """\
name: test
regions: tw
time_zone: Asia/Taipei
epi_week: iso
event_time:
  max_age_days: 400
  max_future_minutes: 10
  keep_years: 5
age_groups: ["0-4", "5-64", "65+"]
signals:
  ili:
    title: {en: Influenza-like illness, zh: 流感样病例}
    of: visits
    match:
      icd10: [J09-J11]
      complaint: [流感]
      temperature_at_least: 38
    measure: events
rules:
  week:
    signal: ili
    level: county
    grain: week
    detector:
      type: ears
      alpha: 0.05
      baseline: 7
    min_cases: 5
    severity: warning
    quiet_days: 7
    ended_after: 3
    group: ili
    escalate_after_minutes: 10
alerts:
  update_seconds: 60
  escalate:
    critical: 15
notify:
  language: zh
  give_up_after_hours: 24
  channels:
    duty:
      url: https://example.org
      form: full
      rate_per_minute: 5
  routes:
    all:
      severities: [critical]
      digest: ["08:30"]
      to: [duty]
"""
WRONG = [
    "", "text", "7", "-1", "0,05", "true", "null", "[]", "[a]", "[1, {a: 2}]", "{}", "{a: 1}",
    "2024-02-29", "2024-02-30", '"  "', "1e400", "[流感，influenza]", "“ili”", "!x", "*a", "@a",
    ".nan",
]  # fmt: skip
PROGRAMMERS = re.compile(
    r"Input should|valid (tuple|dictionary|list|string|integer|number)|instance of|match pattern|"
    r"mapping values|Traceback|ValueError|parsing|tuple|dict\b|NoneType|pydantic|found character|"
    r"expected <|float\b|bool\b|Extra inputs|Field required|string_|constructor"
)


def faults(folder: Path, text: str) -> list[str]:
    path = folder / "c.yaml"
    path.write_text(text, encoding="utf-8")
    try:
        load_configuration(path)
    except ConfigError as error:
        return str(error).replace(str(path), "FILE").splitlines()
    return []


def test_every_key_with_every_wrong_value(tmp_path: Path) -> None:
    lines = SOUND.splitlines()
    refused = 0
    for number, line in enumerate(lines):
        found = re.fullmatch(r"( *)([a-z_0-9]+):( .+)?", line)
        assert found
        # What belongs to the key goes with its value.
        end = number + 1
        while end < len(lines) and lines[end].startswith(found[1] + " "):
            end += 1
        for wrong in WRONG:
            text = "\n".join([*lines[:number], f"{found[1]}{found[2]}: {wrong}", *lines[end:]])
            for told in faults(tmp_path, text + "\n"):
                refused += 1
                assert re.match(r"FILE:\d+: .", told), (line, wrong, told)
                assert not PROGRAMMERS.search(told), (line, wrong, told)
    assert refused > 500


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("name: test", "name: 2024-02-30", "FILE:1: 2024-02-30 is not in the calendar; correct it"),
        ("[流感]", "[流感，influenza]",
         "FILE:16: signals.ili.match.complaint.0: '流感，influenza' is one"),
        ("[流感]", "[流感，influenza]", 'write [流感, influenza], or "流感，influenza" in quotes'),
        ("[流感]", "[流感、发热；咳嗽]", "complaint.0: '流感、发热；咳嗽' is one"),
        ("[流感]", "[“流感”]", "typographic quotes, which are part of the text; write 流感"),
        ("[流感]", "流感", "FILE:16: signals.ili.match.complaint: must be a list; a list of"),
        ("name: test", "name：test", "The full-width ： is text to YAML: write :"),
        ("  max_age_days: 400", "\tmax_age_days: 400", "FILE:6: not valid YAML"),
        ("of: visits", "of: visits: x", "FILE:13: not valid YAML: there is a second colon"),
        ("signals:", "signal:", "FILE:10: signal: is no key here; did you mean signals?"),
        ("alpha: 0.05", "alpha: 0,05",
         "FILE:26: rules.week.detector.alpha: must be a number, not '0,05'; write decimals with a"),
    ],
)  # fmt: skip
def test_words(tmp_path: Path, old: str, new: str, told: str) -> None:
    assert SOUND.count(old) >= 1
    found = faults(tmp_path, SOUND.replace(old, new, 1))
    assert len(found) == 1, found
    assert told in found[0]


def test_a_decimal_comma_in_braces(tmp_path: Path) -> None:
    block = "\n      type: ears\n      alpha: 0.05\n      baseline: 7\n"
    text = SOUND.replace(block, " {type: ears, alpha: 0,05}\n")
    (told,) = faults(tmp_path, text)
    assert told.startswith("FILE:24: rules.week.detector.alpha: is split at its comma")


def test_quotes_say_that_a_comma_is_meant(tmp_path: Path) -> None:
    assert faults(tmp_path, SOUND.replace("[流感]", '["流感，influenza"]')) == []


def rule(tmp_path: Path, grain: str, detector: str) -> Any:
    block = "\n      type: ears\n      alpha: 0.05\n      baseline: 7\n"
    path = tmp_path / "c.yaml"
    text = SOUND.replace(block, f" {detector}\n").replace("grain: week", f"grain: {grain}")
    path.write_text(text.replace("keep_years: 5", "keep_years: 3"), encoding="utf-8")
    return load_configuration(path)


@pytest.mark.parametrize(
    ("grain", "detector", "told"),
    [
        (
            "week",
            "{type: farrington_flexible, years_back: 10}",
            "looks back 10 years, and 3 are",
        ),
        ("day", "{type: farrington, years_back: 2}", "farrington is made for weeks"),
        ("rolling7", "{type: ears, method: C2}", "write lag: 7"),
        ("week", "{type: switch}", "switch is made for days"),
        ("day", "{type: mem, seasons: 2}", "mem is made for weeks"),
        ("rolling7", "{type: cusum}", "takes steps for independent"),
    ],
)
def test_doubtful_rules_are_told_with_their_line(
    tmp_path: Path, grain: str, detector: str, told: str
) -> None:
    doubts = rule(tmp_path, grain, detector).doubts
    assert any("c.yaml:24: rules.week.detector: " in one and told in one for one in doubts), doubts


@pytest.mark.parametrize(
    ("grain", "detector"),
    [("week", "{type: auto}"), ("rolling7", "{type: ears, lag: 7}"), ("day", "{type: ears}"),
     ("week", "{type: farrington, years_back: 2}")],
)  # fmt: skip
def test_sound_rules_have_no_doubts(tmp_path: Path, grain: str, detector: str) -> None:
    assert rule(tmp_path, grain, detector).doubts == ()


def test_words_of_r_in_a_rule(tmp_path: Path) -> None:
    made = rule(tmp_path, "week", "{type: farrington_flexible, threshold: nbPlugin}")
    assert made.detectors["week"].threshold == "nb_plugin"
    with pytest.raises(ConfigError, match="what R calls b is years_back"):
        rule(tmp_path, "week", "{type: farrington_flexible, b: 5}")
