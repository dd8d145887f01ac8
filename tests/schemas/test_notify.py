from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from streams.config import load_configuration
from streams.errors import ConfigError
from tests.streams.notify.support import BASE

if TYPE_CHECKING:
    from pathlib import Path

SOUND = """\
notify:
  link: https://x.example/{alert_id}?t={token}
  secret: ${FENGHUO_LINK_SECRET}
  windows:
    office: {days: [mon, fri], from: 08:30, to: 17:30, holidays: CN}
  channels:
    duty: {url: "${FENGHUO_WECOM_URL}", quiet_hours: {from: 22:00, to: 07:00}}
  rotas:
    week: {from_week: 2026-W40, turns: [duty, [duty]], swaps: {2026-W41: duty}}
  routes:
    urgent:
      regions: [TW-TPE]
      signals: [ili]
      rules: [ili-week]
      during: office
      to: duty
      on_call: week
"""
FIRST_LINE = BASE.count("\n") + 1

#: What is replaced by what; the line within the section, the key and words of the remedy.
MISTAKES = {
    "unknown channel": (
        "      to: duty",
        "      to: dutu",
        16,
        "routes.urgent.to",
        "defined are duty",
    ),
    "unknown rota": (
        "on_call: week",
        "on_call: month",
        17,
        "routes.urgent.on_call",
        "defined are week",
    ),
    "unknown window": (
        "during: office",
        "during: night",
        15,
        "routes.urgent.during",
        "defined are office",
    ),
    "unknown region": ("[TW-TPE]", "[TW-TPX]", 12, "routes.urgent.regions.0", "did you mean"),
    "unknown signal": (
        "signals: [ili]",
        "signals: [flu]",
        13,
        "routes.urgent.signals.0",
        "defined are ili",
    ),
    "unknown rule": (
        "[ili-week]",
        "[ili-wek]",
        14,
        "routes.urgent.rules.0",
        "defined are ili-week",
    ),
    "unknown event": (
        "during: office",
        "on: [open]",
        15,
        "routes.urgent.on.0",
        "write absorbed, ack",
    ),
    "no event": ("during: office", "on: []", 11, "routes.urgent", "name events"),
    "nowhere": ("      to: duty\n      on_call: week\n", "", 11, "routes.urgent", "add `to`"),
    "rota's channel": ("turns: [duty,", "turns: [dutu,", 9, "rotas.week", "'dutu' is no channel"),
    "no week": ("2026-W40", "2026-W54", 9, "rotas.week.from_week", "no week 54"),
    "no week's name": (
        "2026-W40",
        "'2026-10-01'",
        9,
        "rotas.week.from_week",
        "for example 2026-W40",
    ),
    "swap": ("2026-W41", "week41", 9, "rotas.week.swaps", "for example 2026-W40"),
    "country": ("holidays: CN", "holidays: China", 5, "windows.office.holidays", "for example CN"),
    "seconds": ("from: 08:30", "from: 08:30:15", 5, "windows.office.from", "like 08:30"),
    "always quiet": ("to: 07:00", "to: 22:00", 7, "channels.duty.quiet_hours", "never end"),
    "link": ("{alert_id}", "alert", 2, "link", "must hold {alert_id}"),
    "secret": ("  secret: ${FENGHUO_LINK_SECRET}\n", "", 2, "link", "add notify.secret"),
    "templates": ("  windows:", "  templates: none\n  windows:", 4, "templates", "is no folder"),
    "key": ("turns:", "turn:", 9, "rotas.week.turn", "is no key here"),
}


def test_a_sound_section(tmp_path: Path) -> None:
    path = tmp_path / "fenghuo.yaml"
    path.write_text(BASE + SOUND, encoding="utf-8")
    notify = load_configuration(path).surveillance.notify
    assert notify.rotas["week"].turns == (("duty",), ("duty",))
    assert notify.routes["urgent"].on == ("opened", "resumed", "worsened", "escalated", "revised")


def test_who_is_told_does_not_change_the_version(tmp_path: Path) -> None:
    versions = []
    for content in (BASE, BASE + SOUND):
        path = tmp_path / "fenghuo.yaml"
        path.write_text(content, encoding="utf-8")
        versions.append(load_configuration(path).version)
    assert len(set(versions)) == 1


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_named_with_their_place(tmp_path: Path, mistake: str) -> None:
    old, new, line, key, remedy = MISTAKES[mistake]
    assert old in SOUND
    path = tmp_path / "fenghuo.yaml"
    path.write_text(BASE + SOUND.replace(old, new), encoding="utf-8")
    with pytest.raises(ConfigError) as error:
        load_configuration(path)
    place = f"fenghuo.yaml:{FIRST_LINE + line - 1}: notify.{key}: "
    assert any(place in text and remedy in text for text in str(error.value).splitlines()), str(
        error.value
    )
