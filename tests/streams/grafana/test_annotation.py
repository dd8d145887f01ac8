from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import pytest

from schemas.alerts import AlertEvent
from streams.alerts.lifecycle import fold
from streams.grafana.annotation import (
    TAG,
    Annotation,
    alert_tag,
    annotation_of,
    read_annotation,
)
from tests.support.alerts import AS_OF, opened

if TYPE_CHECKING:
    from schemas.alerts import Alert
    from streams.config import Configuration

PAGE = "https://page.example/fh"


def alert(**fields: Any) -> Alert:
    begun = fold([AlertEvent(alert_id=12, seq=1, at=AS_OF, actor="system", change=opened())])
    return begun.model_copy(update=fields)


def at(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def made(configuration: Configuration, **fields: Any) -> Annotation:
    annotation = annotation_of(alert(**fields), configuration, PAGE)
    assert annotation is not None
    return annotation


def test_it_begins_with_the_first_period_at_midnight_of_the_configured_zone(
    configuration: Configuration,
) -> None:
    annotation = made(configuration)
    # Monday 27 July 2009 in Taipei.
    assert at(annotation.time) == datetime(2009, 7, 26, 16, tzinfo=UTC)


def test_it_is_a_point_while_the_alert_goes_on(configuration: Configuration) -> None:
    annotation = made(configuration)
    assert annotation.time_end == annotation.time


@pytest.mark.parametrize(
    "over", [{"quiet_since": date(2009, 8, 10)}, {"status": "closed"}, {"status": "discarded"}]
)
def test_it_ends_with_the_last_period_in_exceedance(
    configuration: Configuration, over: dict[str, Any]
) -> None:
    # The week from 3 August ends with Sunday the 9th.
    ends = datetime(2009, 8, 9, 16, tzinfo=UTC)
    assert at(made(configuration, **over).time_end) == ends
    by_day = made(configuration, grain="day", **over)
    assert at(by_day.time_end) == datetime(2009, 8, 3, 16, tzinfo=UTC)


def test_a_merged_alert_has_none(configuration: Configuration) -> None:
    assert annotation_of(alert(status="merged", merged_into=3), configuration, PAGE) is None


def test_one_that_corrections_took_back_is_a_point_that_says_so(
    configuration: Configuration,
) -> None:
    annotation = made(configuration, exceedances=0, status="closed")
    assert annotation.time_end == annotation.time
    assert "corrections have taken" in annotation.text
    assert "经数据更正" in annotation.text


def test_the_tags(configuration: Configuration) -> None:
    assert made(configuration).tags == (
        "fenghuo", "alert:12", "severity:critical", "signal:ili", "region:TW-TPE",
    )  # fmt: skip


def test_long_codes_and_colons_fit_into_a_tag(configuration: Configuration) -> None:
    tags = made(configuration, region="urn:region:" + "x" * 500).tags
    assert tags[-1].startswith("region:urn-region-xxx")
    assert all(len(tag) <= 100 for tag in tags)
    assert len(str(tags)) < 500


def test_the_text_tells_both_sentences_the_status_and_the_way(
    configuration: Configuration,
) -> None:
    zh, en, last = made(configuration, status="verifying").text.split("<br>")
    assert zh.startswith("2009年第32周")
    assert en.startswith("Influenza-like illness in Taipei")
    assert last == (
        "核实中 / being verified · "
        '<a href="https://page.example/fh/alerts/12">预警 12 / alert 12</a>'
    )


def test_without_a_page_there_is_no_link(configuration: Configuration) -> None:
    annotation = annotation_of(alert(), configuration, "")
    assert annotation is not None
    assert "href" not in annotation.text


def test_names_are_no_markup(configuration: Configuration) -> None:
    text = made(configuration, signal="<script>").text
    assert "<script>" not in text
    assert "&lt;script&gt;" in text


def test_what_grafana_answers_is_read_back(configuration: Configuration) -> None:
    annotation = made(configuration, status="closed")
    row = {
        "id": 7,
        "time": annotation.time,
        "timeEnd": annotation.time_end,
        "tags": sorted(annotation.tags),
        "text": annotation.text,
    }
    alert_id, read = read_annotation(row)
    assert alert_id == 12
    assert read.fingerprint == annotation.fingerprint


@pytest.mark.parametrize(
    "other", [{"time": 1}, {"time_end": 1}, {"tags": (TAG,)}, {"text": "other"}]
)
def test_every_part_is_in_the_fingerprint(
    configuration: Configuration, other: dict[str, Any]
) -> None:
    annotation = made(configuration)
    assert annotation._replace(**other).fingerprint != annotation.fingerprint


@pytest.mark.parametrize(
    "tag", ["alert:", "alert:x", "alert:0", "alert:1 ", "alert:-1", "alerts:1"]
)
def test_other_tags_name_no_alert(tag: str) -> None:
    assert read_annotation({"id": 1, "time": 5, "tags": [tag], "text": "x"}) == (
        None,
        Annotation(5, 5, (tag,), "x"),
    )


def test_the_tag_of_an_alert_is_read_back() -> None:
    assert read_annotation({"id": 1, "tags": [TAG, alert_tag(34)]})[0] == 34
