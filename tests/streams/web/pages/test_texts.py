"""Every text is there in both languages, and nobody asks for one that is not."""

from __future__ import annotations

import re
from pathlib import Path
from string import Formatter
from typing import get_args

import pytest

from schemas.alerts import AlertStatus, Consequence, Likelihood, Outcome, RiskLevel
from schemas.counts import Grain
from schemas.regions import RegionLevel
from streams.people.users import ROLES
from streams.web.pages.forms import VERBS
from streams.web.texts import TEXTS, say

WEB = Path(__file__).resolve().parents[4] / "streams" / "web"
SOURCES = [*WEB.glob("templates/*"), *WEB.glob("**/*.py")]
#: Besides what is filled in these hold signs alone.
SIGNS = {"why.chance_text", "history.observed", "facts.by"}


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("key", TEXTS)
def test_both_languages_say_the_same(key: str) -> None:
    text = TEXTS[key]
    assert text.en.strip()
    assert text.zh.strip()
    assert fields(text.en) == fields(text.zh)
    if key not in SIGNS:
        assert re.search(r"[\u4e00-\u9fff]", text.zh), "no Chinese"
        assert not re.search(r"[\u4e00-\u9fff]", text.en), "Chinese in the English text"


def asked_for() -> tuple[set[str], set[str]]:
    """Keys that are asked for, and the beginnings of those that are put together."""
    whole: set[str] = set()
    begun: set[str] = set()
    for source in SOURCES:
        text = source.read_text(encoding="utf-8")
        whole |= set(re.findall(r"\b(?:t|say)\(\s*['\"]([a-z_]+\.[a-z_.]+)['\"]\s*[,)]", text))
        begun |= set(re.findall(r"\bt\(\s*['\"]([a-z_.]+\.)['\"]\s*~", text))
        begun |= set(re.findall(r"\b(?:t|say)\(\s*f['\"]([a-z_.]+\.)\{", text))
        # Chosen from several, and asked for a line later.
        whole |= set(re.findall(r"['\"]([a-z_]+\.[a-z_.]+)['\"]", text)) & TEXTS.keys()
    return whole, begun


def test_no_text_is_missing_and_none_is_left_over() -> None:
    whole, begun = asked_for()
    assert len(whole) > 100
    assert whole - TEXTS.keys() == set()
    assert {b for b in begun if not any(key.startswith(b) for key in TEXTS)} == set()
    left = {k for k in TEXTS.keys() - whole if not any(k.startswith(b) for b in begun)}
    assert left == set()


def test_what_is_put_together_has_all_its_texts() -> None:
    wanted = [
        *(f"status.{one}" for one in get_args(AlertStatus)),
        *(f"outcome.{one}{more}" for one in get_args(Outcome) for more in ("", ".means")),
        *(f"likelihood.{one}{more}" for one in get_args(Likelihood) for more in ("", ".means")),
        *(f"consequence.{one}{more}" for one in get_args(Consequence) for more in ("", ".means")),
        *(f"risk.{one}{more}" for one in get_args(RiskLevel) for more in ("", ".short")),
        *(f"act.{one}{more}" for one in VERBS for more in ("", ".means", ".go")),
        *(f"act.done.{one}" for one in VERBS),
        *(f"role.{one}{more}" for one in ROLES for more in ("", ".means")),
        *(f"grain.{one}" for one in get_args(Grain)),
        *(f"{name}.{one}" for one in RegionLevel for name in ("level", "levels")),
    ]
    assert [key for key in wanted if key not in TEXTS] == []


def test_a_text_is_filled_in() -> None:
    assert say("en")("inbox.range", first=1, last=25, total="26") == "1–25 of 26"
    assert say("zh")("inbox.range", first=1, last=25, total="26") == "第1–25条，共26条"
    with pytest.raises(KeyError):
        say("en")("no.such.text")
