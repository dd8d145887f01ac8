from __future__ import annotations

import json
from datetime import date
from typing import TYPE_CHECKING

import pytest

from schemas.alerts import (
    Assigned,
    Closed,
    Contribution,
    Discarded,
    Ended,
    Explained,
    Explanation,
    Merged,
    Monitored,
    Neighbour,
    Revised,
    Verified,
)
from streams.errors import FenghuoError
from tests.support.alerts import AS_OF, PERIOD, decide, figures, open_alert, tell

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
    expected = None if upper is None else 20.5
    alert_id = open_alert(
        database,
        signal=signal,
        rule=rule,
        grain=grain,
        exceedances=max(exceedances, 1),
        figures=figures(upper=upper, expected=expected),
    )
    if exceedances == 0:
        tell(database, alert_id, Revised(before=figures(), now=None, as_of=AS_OF))
    return alert_id


def test_the_list(run: Run, database: str) -> None:
    add_alert(database)
    shown = run("alerts", "list").stdout
    for text in ("critical", "new", "臺北市", "流感样病例", "Influenza-like", "ili-week"):
        assert text in shown
    for text in ("2009-W31", "2009-W32", "45", "20", "38"):
        assert text in shown
    assert max(map(len, shown.splitlines())) <= 100


def test_the_list_is_read_at_80_columns(
    run: Run, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_alert(database)
    gone = add_alert(database, signal="fever")
    tell(database, gone, Revised(before=figures(), now=figures(7), as_of=AS_OF))
    monkeypatch.setenv("COLUMNS", "80")
    lines = run("alerts", "list").stdout.splitlines()
    # Wide letters take two columns.
    assert max(len(line) + sum(letter >= "一" for letter in line) for line in lines) <= 80
    assert any("45 → 7" in line for line in lines)
    assert any("臺北市 Taipei" in line for line in lines)


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
        "Influenza-like illness in Taipei City: 45 visits in week 32 of 2009 (3–9 August), about "
        "2.2 times the 20 expected and above the alarm threshold of 38; above the threshold in 2 "
        "weeks since week 31; by the method's reckoning chance alone gives so many less than once "
        "in 1,000 times."
    ) in shown
    assert (
        "2009年第32周（8月3日至9日），臺北市流感样病例就诊45人次，约为预期（20人次）的2.2倍"
        in shown
    )
    assert "；第31周以来累计2周超过阈值；" in shown
    assert 'detector: {"type": "ears"}' in shown


def test_the_explanation_is_shown_in_full(run: Run, database: str) -> None:
    alert_id = add_alert(database)
    assert "not yet; it follows" in run("alerts", "show", alert_id).stdout
    explanation = Explanation(
        as_of=AS_OF,
        period=PERIOD,
        excess=24.5,
        growth_until=date(2026, 8, 3),
        latest_week=45,
        week_before=30,
        growth_per_day=0.058,
        doubling_days=11.97,
        completeness=0.956,
        usual_facilities=12,
        silent=3,
        silent_facilities=("ED07", "ED09"),
        facilities=(
            Contribution(name="ED01", observed=30, expected=11.5),
            Contribution(name="ED02", observed=4, expected=None),
        ),
        age_groups=(Contribution(name="5-14", observed=28, expected=6),),
        neighbours=(Neighbour(region="TW-NWT", observed=60, expected=40, upper=55, alarm=True),),
        neighbours_judged=6,
    )
    tell(database, alert_id, Explained(explanation=explanation))
    shown = " ".join(run("alerts", "show", alert_id).stdout.split())
    for text in (
        "excess: 24.50",
        "growth: 45 in the 7 days to 2026-08-03, 30 in the 7 before; doubling in 12 days",
        "completeness: 96% of the usual reports of 12 facilities; silent: ED07, ED09 and 1 more",
        "facilities: ED01 30 (usually 11.50); ED02 4 (new)",
        "age groups: 5-14 28 (usually 6)",
        "neighbours high: 1 of 6: 新北市 New Taipei City 60 (expected 40)",
    ):
        assert text in shown
    assert "areas below" not in shown


@pytest.mark.parametrize(
    ("grain", "exceedances", "upper", "expected", "absent"),
    [
        ("day", 1, 38.25, "45 visits on 3 August 2009, about", "since"),
        ("rolling7", 1, 38.25, "in the 7 days to 3 August 2009", "since"),
        ("day", 0, 38.25, "corrections have taken the 45 visits", "since"),
        ("day", 1, None, "45 visits on 3 August 2009; by the method", "threshold"),
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
    assert "former in Taipei City: 45 cases" in run("alerts", "show", alert).stdout
    assert "former" in run("alerts", "list").stdout


def test_an_alert_that_is_not_there(run: Run, database: str) -> None:
    with pytest.raises(FenghuoError, match=r"no alert 7\. See fenghuo alerts list"):
        run("alerts", "show", 7)


def test_no_alerts(run: Run, database: str) -> None:
    assert "No alert was raised." in run("alerts", "list").stderr


# ---------------------------------------------------------------- what people made of them


def test_the_list_tells_how_often_each_rule_was_right(run: Run, database: str) -> None:
    for outcome in ("outbreak", "explained", "false_alarm", "outbreak"):
        decide(database, add_alert(database), Verified(), Monitored(), Closed(outcome=outcome))
    decide(database, add_alert(database), Merged(into=add_alert(database, signal="fever")))
    add_alert(database, rule="ili-day", grain="day")
    shown = run("alerts", "list").stdout
    assert "ili-week: 2 of 4, 50% (15% to 85%)" in shown
    assert "ili-day: no outcomes yet" in shown
    found = json.loads(run("alerts", "list", "--json", "--rule", "ili-week").stdout)
    value = found[0]["rule_predictive_value"]
    assert (value["outbreaks"], value["decided"], value["value"]) == (2, 4, 0.5)
    assert value["lower"] == pytest.approx(0.15, abs=0.01)
    (other,) = json.loads(run("alerts", "list", "--json", "--rule", "ili-day").stdout)
    assert other["rule_predictive_value"]["value"] is None


def test_the_rules_with_their_outcomes(run: Run, database: str) -> None:
    decide(database, add_alert(database), Discarded(outcome="data_error"))
    shown = run("alerts", "rules").stdout
    assert "ili-week" in shown
    assert "0% (0% to 79%)" in shown
    assert "no outcomes yet" in shown
    found = {one["rule"]: one for one in json.loads(run("alerts", "rules", "--json").stdout)}
    assert (found["ili-week"]["outbreaks"], found["ili-week"]["decided"]) == (0, 1)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--open"], {"week"}),
        (["--status", "discarded"], {"day"}),
        (["--severity", "critical"], {"day", "week"}),
        (["--severity", "info"], set()),
        (["--region", "TW-TPE", "--signal", "ili"], {"week"}),
        (["--region", "TW"], {"day", "week"}),
        (["--region", "TW-KHH"], set()),
        (["--assigned-to", "wang"], {"week"}),
    ],
)
def test_some_of_the_alerts(
    run: Run, database: str, options: list[str], expected: set[str]
) -> None:
    decide(database, add_alert(database), Assigned(to="wang"))
    discarded = add_alert(database, grain="day", rule="ili-day", signal="fever")
    decide(database, discarded, Discarded(outcome="explained"))
    found = json.loads(run("alerts", "list", "--json", *options).stdout)
    assert {alert["grain"] for alert in found} == expected


def test_nothing_that_was_asked_for(run: Run, database: str) -> None:
    add_alert(database)
    assert "No alert is like that." in run("alerts", "list", "--severity", "info").stderr


def test_what_was_decided_is_shown(run: Run, database: str) -> None:
    alert = add_alert(database)
    tell(database, alert, Ended(quiet_since=date(2009, 8, 10), as_of=AS_OF))
    shown = run("alerts", "show", alert).stdout
    assert "no exceedance since 2009-W33; may be closed" in shown
    assert "nobody" in shown
    decide(database, alert, Verified(), Monitored(), Closed(outcome="explained"))
    shown = run("alerts", "show", alert).stdout
    for text in ("closed", "explained", "li", "0 of 1, 0% (0% to 79%)"):
        assert text in shown


def test_a_corrected_alert_shows_both_values(run: Run, database: str) -> None:
    alert = add_alert(database)
    tell(database, alert, Revised(before=figures(), now=figures(7), as_of=AS_OF))
    assert "2009-W32: from 45 to 7" in run("alerts", "show", alert).stdout
    gone = add_alert(database, signal="fever", exceedances=0)
    assert "2009-W32: from 45 to nothing" in run("alerts", "show", gone).stdout


def test_a_lower_bound_is_called_one(run: Run, database: str) -> None:
    alert = open_alert(database, figures=figures(193, incomplete=True))
    shown = run("alerts", "show", alert).stdout
    assert "at least 193 (counts of some days are missing)" in shown
    assert "in the days that have arrived" in shown
    assert "≥193" in run("alerts", "list").stdout


def test_the_history_tells_who_when_and_why(run: Run, database: str) -> None:
    alert = add_alert(database)
    decide(database, alert, Verified(note="asked the clinic"), actor="wang")
    tell(database, alert, Revised(before=figures(), now=figures(7), as_of=AS_OF))
    shown = " ".join(run("alerts", "history", alert).stdout.split())
    for text in ("opened", "system", "verified", "wang", "asked the clinic"):
        assert text in shown
    assert "period: 2009-08-03; from: 45; to: 7" in shown
    found = json.loads(run("alerts", "history", alert, "--json").stdout)
    assert [event["seq"] for event in found] == [1, 2, 3]
    with pytest.raises(FenghuoError, match="no alert 99"):
        run("alerts", "history", 99)
