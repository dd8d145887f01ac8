from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from schemas.alerts import Commented
from schemas.notify import KINDS
from streams.errors import ConfigError
from streams.notify.entries import make_entry
from streams.notify.rendering import TEMPLATES, Templates
from streams.notify.sample import sample
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
        "【严重】臺北市流感样病例新预警，2009-W32观察45，阈值38.2 #12 "
        "https://fenghuo.example.org/alerts/12"
    )


def test_one_alert_in_english(configuration: Configuration) -> None:
    message = written(configuration, entry(configuration), language="en")
    assert message.subject == "[warning] Taipei City, Influenza-like illness: new alert (#12)"
    for text in (message.text, message.html):
        for part in ("Observed", "45", "20.5", "new", "01234567", "/alerts/12"):
            assert part in text
        assert "观察" not in text
    assert "\n" not in message.short


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
def test_a_trial_says_so(configuration: Configuration, language: Language) -> None:
    event, alert = sample(configuration, NOW)
    one = make_entry(event, alert, configuration, channel="duty", secret=None, now=NOW)
    assert "This is a trial" in written(configuration, one, language=language).text
