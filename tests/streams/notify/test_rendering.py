from __future__ import annotations

import json
import re
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from schemas.alerts import (
    Absorbed,
    Commented,
    Contribution,
    Ended,
    Escalated,
    Explained,
    Explanation,
    Figures,
    Revised,
    Updated,
)
from schemas.notify import KINDS
from streams.errors import ConfigError
from streams.notify.channels.payloads import alertmanager_payload, webhook_payload
from streams.notify.entries import make_entry
from streams.notify.rendering import TEMPLATES, Templates
from streams.notify.sample import as_trial, sample
from streams.notify.tokens import read_token
from streams.notify.words import KIND_WORDS
from tests.streams.notify.support import NOW, alert_of, configured, opened

if TYPE_CHECKING:
    from pathlib import Path

    from schemas.notify import Language
    from streams.config import Configuration
    from streams.notify.message import Entry, Message

LINK = "  link: https://fenghuo.example.org/alerts/{alert_id}\n"


@pytest.fixture
def configuration(tmp_path: Path) -> Configuration:
    return configured(tmp_path, LINK)


def entry(configuration: Configuration, *changes: Any, alert_id: int = 12, **more: Any) -> Entry:
    event, alert = alert_of([opened(**more), *changes], alert_id=alert_id)
    return make_entry(event, alert, configuration, channel="duty", secret=None, now=NOW)


def figures(
    *,
    observed: float = 45,
    upper: float = 38.25,
    period: date = date(2009, 8, 3),
    incomplete: bool = False,
) -> Figures:
    return Figures(
        period=period, observed=observed, expected=20.5, upper=upper, incomplete=incomplete
    )


def updated(
    *, observed: float = 60, period: date = date(2009, 8, 3), incomplete: bool = False
) -> Updated:
    return Updated(
        first_period=date(2009, 8, 3), exceedances=1, peak=observed,
        figures=figures(observed=observed, period=period, incomplete=incomplete),
        detector={"type": "ears"},
        config_version="abc", as_of=NOW,
    )  # fmt: skip


def written(
    configuration: Configuration,
    *entries: Entry,
    language: Language = "zh",
    folder: Path | None = None,
    digest: bool = False,
) -> Message:
    return Templates(folder).write(
        "0123456789abcdef", "duty", language, entries, configuration, digest=digest
    )


def test_one_alert_in_chinese(configuration: Configuration) -> None:
    message = written(configuration, entry(configuration, severity="critical"))
    assert message.subject == "【严重】臺北市流感样病例：新预警（#12）"
    for text in (message.text, message.html):
        for part in ("流感样病例", "45", "20.5", "38.2", "待处理", "01234567", "/alerts/12"):
            assert part in text
    assert message.short == (
        "【严重】臺北市流感样病例：新预警，2009年第32周实际数45，阈值38 #12 "
        "https://fenghuo.example.org/alerts/12"
    )


def test_one_alert_in_english(configuration: Configuration) -> None:
    message = written(configuration, entry(configuration), language="en")
    assert message.subject == "[warning] Taipei City, Influenza-like illness: new alert (#12)"
    for text in (message.text, message.html):
        for part in ("Observed", "45", "20.5", "new", "01234567", "/alerts/12"):
            assert part in text
        assert "实际数" not in text
    assert "\n" not in message.short


def test_a_lower_bound_is_called_one(configuration: Configuration) -> None:
    """The count, the multiple and the excess; the short message too."""
    why = Explanation(
        as_of=NOW, period=opened().figures.period, incomplete=True, excess=172.5,
        growth_per_day=None, doubling_days=None, completeness=None,
    )  # fmt: skip
    told = entry(
        configuration,
        updated(observed=193, incomplete=True),
        Explained(explanation=why),
    )
    english = written(configuration, told, language="en")
    for part in ("at least 193 (counts of some days are missing)", "at least 172.5",
                 "in the days that have arrived", "at least 9.4 times"):  # fmt: skip
        assert part in english.text
    assert "at least 193 (threshold 38)" in english.short
    chinese = written(configuration, told, language="zh")
    for part in ("至少193（部分日期的数据尚未到达）", "至少172.5", "至少为预期"):
        assert part in chinese.text
    assert "实际数至少193，阈值38" in chinese.short


@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_digest_has_all_the_worst_first(configuration: Configuration, language: Language) -> None:
    entries = [entry(configuration, alert_id=number, severity="info") for number in (1, 2)]
    entries.append(entry(configuration, alert_id=3, severity="critical"))
    message = written(configuration, *entries, language=language, digest=True)
    assert message.severity == "critical"
    assert [one.alert.alert_id for one in message.entries] == [3, 1, 2]
    assert "3" in message.subject
    for text in (message.text, message.html):
        assert text.index("#3") < text.index("#1") < text.index("#2")
        assert "alerts/2" in text


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_event_has_words(configuration: Configuration, language: Language) -> None:
    assert KIND_WORDS.keys() == KINDS
    message = written(
        configuration, entry(configuration, Commented(note="已电话核实")), language=language
    )
    assert "已电话核实" in message.text


@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_correction_is_told_with_both_values(
    configuration: Configuration, language: Language
) -> None:
    now = figures(observed=12, upper=40)
    one = entry(configuration, Revised(before=figures(), now=now, as_of=NOW))
    message = written(configuration, one, language=language)
    what, short, rows = {
        "en": (
            "gone after corrections",
            ", 2009-W32: 45, now 12 #12",
            ("As first reported: 45", "After corrections: 12", "Threshold: 40"),
        ),
        "zh": (
            "数据更正后不再超阈值",
            "，2009年第32周由45更正为12 #12",
            ("更正前：45", "更正后：12"),
        ),
    }[language]
    assert what in message.subject
    assert short in message.short
    for row in rows:
        assert row in message.text
    assert "38.2" not in message.text  # the threshold of the count that was


def test_what_does_not_hold_any_more_is_said(configuration: Configuration) -> None:
    revised = Revised(before=figures(), now=None, as_of=NOW)
    event, _ = alert_of([opened(), revised])
    _, back = alert_of([opened(), revised, updated(observed=60)])
    late = make_entry(event, back, configuration, channel="duty", secret=None, now=NOW)
    assert "but back by now" in written(configuration, late, language="en").subject
    ended = Ended(quiet_since=date(2009, 8, 10), as_of=NOW)
    event, _ = alert_of([opened(), ended])
    _, back = alert_of([opened(), ended, updated(period=date(2009, 8, 17))])
    late = make_entry(event, back, configuration, channel="duty", secret=None, now=NOW)
    assert "现又超阈值" in written(configuration, late).subject
    assert "建议关闭" in written(configuration, entry(configuration, ended)).subject


def test_a_raised_severity_is_said(configuration: Configuration) -> None:
    raised = Absorbed(alert=3, severity="critical", raised_from="warning")
    one = entry(configuration, raised)
    assert written(configuration, one).subject == (
        "【严重】臺北市流感样病例：级别由警告升为严重，另一预警已并入（#12）"
    )
    assert "raised from warning to critical" in written(configuration, one, language="en").subject


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("digest", [False, True])
def test_what_a_source_calls_its_facilities_becomes_no_link(
    tmp_path: Path, configuration: Configuration, language: Language, *, digest: bool
) -> None:
    names = ("https://evil.example/login", "www.evil.example")
    why = Explanation(
        as_of=NOW, period=opened().figures.period, excess=24.5, growth_per_day=None,
        doubling_days=None, completeness=0.8, silent=1, silent_facilities=(names[1],),
        facilities=(Contribution(name=names[0], observed=40, expected=10.0),),
    )  # fmt: skip
    one = entry(configuration, Explained(explanation=why))
    own = tmp_path / "own"
    (own / language).mkdir(parents=True)
    for name in ("body.txt", "digest.txt"):
        (own / language / name).write_text("{{ items[0].sentence }} {{ items[0].alert }}")
    for folder in (None, own):
        message = written(configuration, one, language=language, folder=folder, digest=digest)
        told = json.dumps([
            webhook_payload(message), alertmanager_payload(message), message.html,
        ])  # fmt: skip
        assert "https[:]//evil[.]example/login" in told
        assert "www[.]evil[.]example" in told
        assert not re.search(r"://\w*evil|evil\.example", told)


def test_numbers_of_an_older_explanation_are_left_out(configuration: Configuration) -> None:
    why = Explanation(
        as_of=NOW, period=opened().figures.period, excess=24.5, growth_per_day=0.1,
        doubling_days=6.9, completeness=0.996,
    )  # fmt: skip
    told = written(configuration, entry(configuration, Explained(explanation=why)), language="en")
    assert "Doubling time: 6.9 days" in told.text
    assert "Reporting completeness: 99%" in told.text
    later = updated(period=date(2009, 8, 10))
    told = written(configuration, entry(configuration, Explained(explanation=why), later))
    assert "6.9" not in told.text


@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_digest_tells_of_each_alert_once(
    configuration: Configuration, language: Language
) -> None:
    changes: list[Any] = [Escalated(after_minutes=120), Commented(note="已电话核实")]
    entries = [entry(configuration, *changes[:count]) for count in range(3)]
    entries.append(entry(configuration, alert_id=13, severity="info"))
    message = written(configuration, *entries, language=language, digest=True)
    assert len(message.entries) == 4
    assert message.subject.startswith("预警汇总：2 条" if language == "zh" else "Alerts: 2 (")
    for text in (message.text, message.html):
        assert text.count("#12") == 1
        assert text.count("已电话核实") == 1
        assert ("新预警；超时无人查看；备注" in text) == (language == "zh")
        assert ("new alert; nobody has looked at it; comment" in text) == (language == "en")


def test_what_people_wrote_is_no_html_and_breaks_no_subject(configuration: Configuration) -> None:
    note = "<script>alert(1)</script>\r\nBcc: everyone@example.org"
    message = written(configuration, entry(configuration, Commented(note=note)))
    assert "<script>" not in message.html
    assert "&lt;script&gt;" in message.html
    assert "\n" not in message.subject
    assert "\r" not in message.subject


def test_own_templates_take_the_place_of_the_built_in_ones(
    configuration: Configuration, tmp_path: Path
) -> None:
    (tmp_path / "own" / "zh").mkdir(parents=True)
    (tmp_path / "own" / "zh" / "subject.txt").write_text("预警{{ id }}号", encoding="utf-8")
    message = written(configuration, entry(configuration), folder=tmp_path / "own")
    assert message.subject == "预警12号"
    assert "流感样病例" in message.text


@pytest.mark.parametrize("body", ["{{ nothing }}", "{{ ''.__class__.__mro__ }}", "{{ 1 / 0 }}"])
def test_a_template_that_fails_does_not_stop_an_alert(
    configuration: Configuration, tmp_path: Path, body: str, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "own" / "zh").mkdir(parents=True)
    (tmp_path / "own" / "zh" / "subject.txt").write_text(body, encoding="utf-8")
    message = written(configuration, entry(configuration), folder=tmp_path / "own")
    assert message.subject == "【警告】臺北市流感样病例：新预警（#12）"
    assert "zh/subject.txt" in caplog.text


@pytest.mark.parametrize(
    ("name", "body", "expected"),
    [
        ("zh/body.txt", "\n{% if %}", r"body\.txt:2: .*Mend the template"),
        ("zh/bodi.txt", "", r"bodi\.txt is no template"),
        ("fr/body.txt", "", r"fr/body\.txt is no template"),
    ],
)
def test_wrong_templates_are_named(tmp_path: Path, name: str, body: str, expected: str) -> None:
    path = tmp_path / name
    path.parent.mkdir()
    path.write_text(body, encoding="utf-8")
    with pytest.raises(ConfigError, match=expected):
        Templates(tmp_path)


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere is no folder"):
        Templates(tmp_path / "nowhere")


def test_both_languages_have_all_templates() -> None:
    templates = Templates()
    for language in ("zh", "en"):
        for name in TEMPLATES:
            assert templates._built_in.get_template(f"{language}/{name}")


def test_the_link_has_a_token(tmp_path: Path) -> None:
    signed = configured(
        tmp_path, "  link: 'https://x/{alert_id}?t={token}'\n  secret: '${SECRET}'\n"
    )
    event, alert = alert_of([opened()])
    one = make_entry(event, alert, signed, channel="duty", secret="s3cret", now=NOW)
    assert one.link
    assert one.link.startswith("https://x/12?t=duty.")
    assert read_token(one.link.partition("t=")[2], 12, "s3cret", NOW) == "duty"
    assert read_token(one.link.partition("t=")[2], 12, "another", NOW) is None


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("own", [False, True])
def test_a_trial_says_so(
    configuration: Configuration, language: Language, tmp_path: Path, *, own: bool
) -> None:
    """In each text, since every channel sends another one; with an installation's templates too."""
    event, alert = sample(configuration, NOW)
    one = make_entry(event, alert, configuration, channel="duty", secret=None, now=NOW)
    folder = tmp_path / "own"
    for name in TEMPLATES if own else ():
        path = folder / language / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{{ region }}", encoding="utf-8")
    templates = Templates(folder if own else None)
    message = as_trial(
        templates.write("0" * 36, "duty", language, [one], configuration, digest=False)
    )
    word = "测试" if language == "zh" else "TRIAL"
    payload = alertmanager_payload(message)["alerts"][0]["annotations"]
    for text in (
        message.subject, message.text, message.html, message.short,
        payload["summary"], payload["description"], webhook_payload(message)["short"],
    ):  # fmt: skip
        assert word in text
    assert message.short.startswith(("【测试", "[TRIAL"))
