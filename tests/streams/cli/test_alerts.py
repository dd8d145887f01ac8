from __future__ import annotations

import json
from typing import TYPE_CHECKING

import psycopg
import pytest

from streams.errors import FenghuoError

if TYPE_CHECKING:
    from collections.abc import Callable

    from typer.testing import Result

    Run = Callable[..., Result]


def add_alert(
    database: str,
    *,
    grain: str = "week",
    rule: str = "ili-week",
    signal: str = "ili",
    exceedances: int = 2,
    upper: float | None = 38.25,
) -> int:
    with psycopg.connect(database) as connection:
        row = connection.execute(
            "INSERT INTO alerts (severity, signal, region, rule, grain, first_period, last_period, "
            "exceedances, observed, expected, upper, score, p_value, peak, detector, "
            "config_version, as_of) VALUES ('critical', %s, 'TW-TPE', %s, %s, '2009-07-27', "
            "'2009-08-03', %s, 45, %s, %s, 4.2, 0.00001, 52, '{\"type\": \"ears\"}', 'abc', now()) "
            "RETURNING alert_id",
            (signal, rule, grain, exceedances, None if upper is None else 20.5, upper),
        ).fetchone()
    assert row
    return int(row[0])


def test_the_list(run: Run, database: str) -> None:
    add_alert(database)
    shown = run("alerts", "list").stdout
    for text in ("critical", "new", "臺北市", "流感样病例", "Influenza-like", "ili-week"):
        assert text in shown
    for text in ("2009-W31", "2009-W32", "45", "20.50", "38.25"):
        assert text in shown
    assert max(map(len, shown.splitlines())) <= 100


def test_the_list_as_json(run: Run, database: str) -> None:
    day = add_alert(database, grain="day", rule="ili-day")
    week = add_alert(database)
    found = json.loads(run("alerts", "list", "--json").stdout)
    assert [alert["alert_id"] for alert in found] == [week, day]
    assert [alert["last_label"] for alert in found] == ["2009-W32", "2009-08-03"]
    assert found[0]["region_name"] == {"zh": "臺北市", "en": "Taipei City"}
    assert len(json.loads(run("alerts", "list", "--json", "--limit", 1).stdout)) == 1


def test_one_alert_is_told_in_both_languages(run: Run, database: str) -> None:
    shown = " ".join(run("alerts", "show", add_alert(database)).stdout.split())
    assert (
        "Taipei City, Influenza-like illness: 45 visits in epi week 2009-W32 (2009-08-03 to "
        "2009-08-09), where 20.5 were expected; the alarm threshold is 38.2. 2 periods have been "
        "in exceedance since 2009-W31; the highest count was 52."
    ) in shown
    assert "2009年第32周（2009年8月3日起），臺北市“流感样病例”45人次，预期20.5人次" in shown
    assert "自2009-W31起共2个时段超阈值，最高为52。" in shown
    assert 'detector: {"type": "ears"}' in shown


@pytest.mark.parametrize(
    ("grain", "exceedances", "upper", "expected", "absent"),
    [
        ("day", 1, 38.25, "45 visits on 2009-08-03, where", "since"),
        ("rolling7", 1, 38.25, "in the 7 days up to 2009-08-03", "since"),
        ("day", 0, 38.25, "Corrections have taken all exceedances back.", "highest count was"),
        ("day", 1, None, "45 visits on 2009-08-03. It is the only", "threshold is"),
    ],
)
def test_the_sentence_says_what_is_known(
    run: Run,
    database: str,
    *,
    grain: str,
    exceedances: int,
    upper: float | None,
    expected: str,
    absent: str,
) -> None:
    alert = add_alert(database, grain=grain, exceedances=exceedances, upper=upper)
    found = json.loads(run("alerts", "show", alert, "--json").stdout)
    assert expected in found["sentence"]["en"]
    assert absent not in found["sentence"]["en"]


def test_an_alert_of_a_signal_that_is_not_configured_any_more(run: Run, database: str) -> None:
    alert = add_alert(database, signal="former")
    assert "Taipei City, former: 45 cases" in run("alerts", "show", alert).stdout
    assert "former" in run("alerts", "list").stdout


def test_an_alert_that_is_not_there(run: Run, database: str) -> None:
    with pytest.raises(FenghuoError, match=r"no alert 7\. See fenghuo alerts list"):
        run("alerts", "show", 7)


def test_no_alerts(run: Run, database: str) -> None:
    assert "No alert was raised." in run("alerts", "list").stderr
