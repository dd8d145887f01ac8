"""Reading alerts by the API, and moving them."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from schemas.alerts import Contribution, Ended, Explained, Explanation
from streams.store.people import set_access
from tests.support.alerts import AS_OF, PERIOD, alert_of, figures, open_alert, tell
from tests.support.store import rows
from tests.support.web import Browser, add

if TYPE_CHECKING:
    from collections.abc import Callable

ALERTS = "/api/v1/alerts"


@pytest.fixture
def officer(browser: Browser, database: str) -> Browser:
    """Somebody who may move all alerts."""
    return signed(browser, database, "li", "officer", "TW")


def signed(browser: Browser, database: str, name: str, role: Any, region: str) -> Browser:
    add(database, name, role=role, region=region)
    browser.sign_in(name)
    found = rows(
        database,
        "SELECT s.csrf_token FROM web_sessions s JOIN users u USING (user_id) WHERE u.name = %s",
        name,
    )
    browser.headers["X-CSRF-Token"] = found[0][0]
    browser.headers["Accept-Language"] = "en"
    rows(database, "UPDATE users SET locale = 'en' RETURNING 1")
    return browser


def explain(database: str, alert_id: int, **parts: Any) -> None:
    known = {
        "as_of": AS_OF,
        "period": PERIOD,
        "excess": 24.5,
        "growth_per_day": None,
        "doubling_days": None,
        "completeness": 1.0,
    }
    tell(database, alert_id, Explained(explanation=Explanation.model_validate(known | parts)))


# ---------------------------------------------------------------- one alert


def test_an_alert_is_told_with_names_sentence_and_what_can_be_done(
    officer: Browser, database: str
) -> None:
    alert_id = open_alert(database)
    alert = officer.get(f"{ALERTS}/{alert_id}").json()
    assert alert["region_name"] == {"en": "Taipei City", "zh": "臺北市"}
    assert alert["signal_title"]["en"] == "Influenza-like illness"
    assert (alert["first_label"], alert["last_label"]) == ("2009-W31", "2009-W32")
    assert alert["sentence"]["en"].startswith("Influenza-like illness in Taipei City: 45 visits")
    assert alert["rank"] == 1
    assert alert["possible"] == ["acknowledge", "assign", "comment", "verify", "discard", "merge"]
    assert alert["rule_predictive_value"]["decided"] == 0


def test_what_is_no_alert_is_told_so(officer: Browser, database: str) -> None:
    for path in ("/99", "/99/history", "/99/series", "/99/lines"):
        answer = officer.get(ALERTS + path)
        assert (answer.status, answer.json()["detail"]) == (404, "There is no alert 99.")
    assert officer.get(f"{ALERTS}/x").status == 422
    assert officer.get(f"{ALERTS}/{2**70}").status == 422
    assert officer.post_json(f"{ALERTS}/99/verify", {"seen": 1}).status == 404


def test_parameters_are_for_those_who_set_them(officer: Browser, database: str) -> None:
    alert_id = open_alert(database, detector={"type": "ears", "method": "C2", "baseline": 7})
    for role, keys in (
        ("viewer", {"type"}),
        ("officer", {"type"}),
        ("epidemiologist", {"type", "method", "baseline"}),
        ("admin", {"type", "method", "baseline"}),
    ):
        with psycopg.connect(database) as connection:
            set_access(connection, "li", role=role, region=None)  # type: ignore[arg-type]
        assert set(officer.get(f"{ALERTS}/{alert_id}").json()["detector"]) == keys
        (opened,) = officer.get(f"{ALERTS}/{alert_id}/history").json()["events"]
        assert set(opened["change"]["detector"]) == keys
        rules = {rule["rule"]: rule for rule in officer.get("/api/v1/rules").json()}
        assert ("method" in rules["ili-week"]["detector"]) is ("method" in keys)


def test_viewers_are_not_given_small_cells(officer: Browser, database: str) -> None:
    alert_id = open_alert(database)
    explain(
        database,
        alert_id,
        facilities=[
            Contribution(name="clinic-small", observed=4, expected=0),
            Contribution(name="clinic-large", observed=41, expected=20),
        ],
        age_groups=[Contribution(name="0-6", observed=3, expected=0)],
    )
    path = f"{ALERTS}/{alert_id}"
    everything = officer.get(path).text + officer.get(f"{path}/history").text
    assert "clinic-small" in everything
    assert "0 to 6" in everything
    with psycopg.connect(database) as connection:
        set_access(connection, "li", role="viewer", region=None)
    for answer in (officer.get(path), officer.get(f"{path}/history"), officer.get(ALERTS)):
        assert answer.status == 200
        assert "clinic-large" in answer.text
        assert "clinic-small" not in answer.text
        assert "0 to 6" not in answer.text
        assert '"0-6"' not in answer.text


# ---------------------------------------------------------------- the inbox


def test_the_inbox_filters_sorts_and_counts(officer: Browser, database: str) -> None:
    ids = {
        region: open_alert(database, region=region, severity=severity, rule=rule, signal=signal)
        for region, severity, rule, signal in (
            ("TW-TPE", "warning", "ili-week", "ili"),
            ("TW-KHH", "critical", "ili-week", "ili"),
            ("TW", "info", "antipyretic-nation", "antipyretic"),
        )
    }
    officer.post_json(f"{ALERTS}/{ids['TW']}/discard", {"seen": 1, "outcome": "explained"})

    def found(query: str) -> list[str]:
        answer = officer.get(f"{ALERTS}?{query}")
        assert answer.status == 200, answer.text
        page = answer.json()
        assert page["total"] >= len(page["items"])
        return [alert["region"] for alert in page["items"]]

    assert found("") == ["TW-KHH", "TW-TPE", "TW"]
    assert found("order=newest") == ["TW", "TW-KHH", "TW-TPE"]
    assert found("open=true") == ["TW-KHH", "TW-TPE"]
    assert found("status=discarded&status=new") == ["TW-KHH", "TW-TPE", "TW"]
    assert found("severity=warning") == ["TW-TPE"]
    assert found("signal=antipyretic") == ["TW"]
    assert found("rule=ili-week&region=TW-KHH") == ["TW-KHH"]
    assert found("region=TW") == ["TW-KHH", "TW-TPE", "TW"]
    assert found("region=nowhere") == []
    assert found("assigned_to=me") == []
    officer.post_json(f"{ALERTS}/{ids['TW-KHH']}/verify", {"seen": 1})
    assert found("assigned_to=me") == found("assigned_to=li") == ["TW-KHH"]
    page = officer.get(f"{ALERTS}?limit=1&offset=1").json()
    assert ([a["region"] for a in page["items"]], page["total"]) == (["TW-TPE"], 3)
    for wrong in ("status=lost", "order=best", "limit=0", "limit=501", "offset=-1", "sort=id"):
        assert officer.get(f"{ALERTS}?{wrong}").status == 422, wrong


# ---------------------------------------------------------------- moving


def test_an_alert_is_led_from_new_to_closed_and_reopened(officer: Browser, database: str) -> None:
    path = f"{ALERTS}/{open_alert(database)}"
    version = 1
    for verb, body, status in (
        ("acknowledge", {"note": "seen"}, "new"),
        ("verify", {"note": "calling the clinic"}, "verifying"),
        ("monitor", {}, "monitoring"),
        ("assess", {"likelihood": "likely", "consequence": "major"}, "assessing"),
        ("confirm", {}, "confirmed"),
        ("comment", {"note": "teams are out"}, "confirmed"),
        ("assign", {"to": None}, "confirmed"),
        ("close", {"outcome": "outbreak", "note": "contained"}, "closed"),
        ("reopen", {}, "verifying"),
        ("discard", {"outcome": "data_error"}, "discarded"),
    ):
        seen = {} if verb in {"acknowledge", "comment"} else {"seen": version}
        answer = officer.post_json(f"{path}/{verb}", body | seen)
        assert answer.status == 200, answer.text
        alert = answer.json()
        assert (alert["status"], alert["version"]) == (status, version + 1)
        version = alert["version"]
    events = officer.get(f"{path}/history").json()["events"]
    assert [event["actor"] for event in events] == ["system"] + ["li"] * 10
    assert events[4]["change"]["likelihood"] == "likely"
    assert alert["risk"] == "high"


def test_who_is_second_is_told_who_did_what_and_when(
    officer: Browser, another: Callable[[], Browser], database: str
) -> None:
    alert_id = open_alert(database)
    path = f"{ALERTS}/{alert_id}"
    wang = signed(another(), database, "wang", "epidemiologist", "TW-TPE")
    assert wang.post_json(f"{path}/verify", {"seen": 1}).status == 200
    refused = officer.post_json(f"{path}/discard", {"seen": 1, "outcome": "false_alarm"})
    problem = refused.json()
    assert (refused.status, problem["type"]) == (409, "/api/v1/docs#changed-meanwhile")
    at = rows(database, "SELECT at AT TIME ZONE 'Asia/Taipei' FROM alert_events WHERE seq = 2")
    assert problem["detail"] == (
        f"wang was quicker: verification has begun (now being verified) at {at[0][0]:%H:%M}; "
        "you saw it new. Look at it again, then decide."
    )
    assert "fenghuo alerts" not in refused.text
    chinese = officer.post_json(f"{path}/discard?lang=zh", {"seen": 1, "outcome": "explained"})
    assert "wang 于" in chinese.json()["detail"]
    assert "您看到的状态是“待处理”" in chinese.json()["detail"]
    assert alert_of(database, alert_id).status == "verifying"
    # New numbers are no conflict.
    tell(database, alert_id, Ended(quiet_since=date(2009, 8, 10), as_of=AS_OF))
    assert officer.post_json(f"{path}/monitor", {"seen": 2}).status == 200


def test_what_is_not_possible_now_is_told_with_what_is(officer: Browser, database: str) -> None:
    alert_id = open_alert(database)
    path = f"{ALERTS}/{alert_id}"
    refused = officer.post_json(f"{path}/confirm", {"seen": 1})
    assert (refused.status, refused.json()["type"]) == (409, "/api/v1/docs#not-possible")
    assert "Possible now: acknowledge" in refused.json()["detail"]
    assert "不能执行此操作" in officer.post_json(f"{path}/confirm?lang=zh", {"seen": 1}).text
    own = officer.post_json(f"{path}/merge?lang=zh", {"seen": 1, "into": alert_id})
    assert "不能与自身合并" in own.json()["detail"]


@pytest.mark.parametrize(
    ("verb", "body"),
    [
        ("verify", {}),
        ("verify", {"seen": 0}),
        ("verify", {"seen": 1, "outcome": "x"}),
        ("discard", {"seen": 1, "outcome": "outbreak"}),
        ("close", {"seen": 1}),
        ("assess", {"seen": 1, "likelihood": "likely"}),
        ("assign", {"seen": 1}),
        ("merge", {"seen": 1}),
        ("comment", {"note": "x" * 4001}),
    ],
)
def test_what_is_missing_or_wrong_is_named(
    officer: Browser, database: str, verb: str, body: dict[str, Any]
) -> None:
    alert_id = open_alert(database)
    answer = officer.post_json(f"{ALERTS}/{alert_id}/{verb}", body)
    assert (answer.status, answer.headers["Content-Type"]) == (422, "application/problem+json")
    assert answer.json()["errors"][0]["field"]
    assert alert_of(database, alert_id).version == 1


def test_only_those_who_can_work_on_it_are_made_responsible(
    officer: Browser, another: Callable[[], Browser], database: str
) -> None:
    path = f"{ALERTS}/{open_alert(database)}/assign"
    add(database, "viewer", role="viewer", region="TW")
    add(database, "elsewhere", role="officer", region="TW-KHH")
    add(database, "here", role="officer", region="TW-TPE")
    told = set()
    for name in ("nobody", "viewer", "elsewhere"):
        refused = officer.post_json(path, {"seen": 1, "to": name})
        assert refused.status == 422
        told.add(refused.json()["detail"].replace(name, "NAME"))
    # A name that is used in another region is answered like one that is used nowhere.
    assert len(told) == 1
    assert officer.post_json(path, {"seen": 1, "to": "Here"}).json()["assigned_to"] == "here"


def test_viewers_only_read(officer: Browser, database: str) -> None:
    alert_id = open_alert(database)
    with psycopg.connect(database) as connection:
        set_access(connection, "li", role="viewer", region=None)
    alert = officer.get(f"{ALERTS}/{alert_id}").json()
    assert alert["possible"] == []
    refused = officer.post_json(f"{ALERTS}/{alert_id}/acknowledge", {})
    assert (refused.status, refused.json()["type"]) == (403, "/api/v1/docs#forbidden")
    assert alert_of(database, alert_id).version == 1


# ---------------------------------------------------------------- curves and lines


def test_the_curve_has_what_was_judged(officer: Browser, database: str) -> None:
    alert_id = open_alert(database)
    for week, (observed, alarm) in enumerate([(10, False), (52, True), (45, True), (12, False)]):
        rows(
            database,
            "INSERT INTO verdicts (rule, region, period, observed, expected, upper, p_value, "
            "alarm, reason, as_of, config_version) "
            "VALUES ('ili-week', 'TW-TPE', %s, %s, 20.5, 38.25, 0.1, %s, 'ok', now(), 'x') "
            "RETURNING 1",
            date(2009, 7, 20) + timedelta(days=7 * week),
            observed,
            alarm,
        )
    series = officer.get(f"{ALERTS}/{alert_id}/series").json()
    assert (series["rule"], series["grain"]) == ("ili-week", "week")
    assert [
        (point["label"], point["observed"], point["upper"], point["alarm"])
        for point in series["points"]
    ] == [
        ("2009-W30", 10, 38.25, False),
        ("2009-W31", 52, 38.25, True),
        ("2009-W32", 45, 38.25, True),
        ("2009-W33", 12, 38.25, False),
    ]
    cut = officer.get(f"{ALERTS}/{alert_id}/series?before=0&after=0").json()
    assert [point["label"] for point in cut["points"]] == ["2009-W31", "2009-W32"]


# ---------------------------------------------------------------- look-ups


def test_rules_are_told_with_how_often_they_were_right(officer: Browser, database: str) -> None:
    for outcome in ("outbreak", "false_alarm"):
        alert_id = open_alert(database)
        for verb, body in (
            ("verify", {}),
            ("monitor", {}),
            ("close", {"outcome": outcome}),
        ):
            version = alert_of(database, alert_id).version
            officer.post_json(f"{ALERTS}/{alert_id}/{verb}", body | {"seen": version})
    rules = {rule["rule"]: rule for rule in officer.get("/api/v1/rules").json()}
    assert set(rules) == {"ili-week", "ili-rolling", "antipyretic-nation"}
    value = rules["ili-week"]["predictive_value"]
    assert (value["outbreaks"], value["decided"], value["value"]) == (1, 2, 0.5)
    assert rules["ili-rolling"]["predictive_value"]["value"] is None


def test_regions_are_found_by_name_or_code(officer: Browser, database: str) -> None:
    def found(query: str) -> list[str]:
        return [one["code"] for one in officer.get(f"/api/v1/regions?q={query}").json()]

    assert found("taipei") == ["TW-TPE", "TW-NWT"]
    assert found("%E5%8F%B0%E5%8C%97") == ["TW-TPE"]  # 台北, which the registry writes 臺北
    assert found("tw-kh") == ["TW-KHH"]
    assert found("")[0] == "TW"
    assert found("%25") == []
    assert len(officer.get("/api/v1/regions?limit=3").json()) == 3


def test_the_document_describes_every_answer(officer: Browser) -> None:
    document = officer.get("/api/v1/openapi.json").json()
    paths = document["paths"]
    assert len([path for path in paths if path.startswith("/api/v1/alerts/")]) == 15
    for path, operations in paths.items():
        for operation in operations.values():
            assert operation["summary"], path
            if path.startswith("/api/"):
                assert {"200", "401", "422", "503"} <= operation["responses"].keys()
                assert operation["description"]
                content = operation["responses"]["200"]["content"]["application/json"]
                assert content["schema"]
            if "alert_id" in path:
                assert {"403", "404"} <= operation["responses"].keys()
    assert officer.get("/api/v1/docs").status == 200


def test_figures_without_p_value_are_told(officer: Browser, database: str) -> None:
    alert_id = open_alert(database, figures=figures(p_value=None, score=None))
    alert = officer.get(f"{ALERTS}/{alert_id}").json()
    assert (alert["q_value"], alert["rank"]) == (None, 1)
