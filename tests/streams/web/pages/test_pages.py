"""The pages over HTTP, as browsers without JavaScript meet them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from schemas.alerts import (
    Absorbed,
    Assigned,
    Commented,
    Contribution,
    DataQuality,
    Discarded,
    Ended,
    Escalated,
    Explained,
    Explanation,
    Monitored,
    Neighbour,
    NewLevel,
    Revised,
    Updated,
    Verified,
)
from streams.web.texts import say
from tests.support.alerts import AS_OF, PERIOD, alert_of, decide, figures, open_alert, tell
from tests.support.store import rows
from tests.support.web import PASSWORD, Answer, Browser, add

if TYPE_CHECKING:
    from collections.abc import Callable

    from streams.people.users import Role


@pytest.fixture
def officer(browser: Browser, database: str) -> Browser:
    return signed_in(browser, database, "li")


def signed_in(
    browser: Browser, database: str, name: str, role: Role = "officer", region: str = "TW"
) -> Browser:
    add(database, name, role, region)
    browser.headers["Accept-Language"] = "en"
    with psycopg.connect(database) as connection:
        connection.execute("UPDATE users SET locale = 'en'")
    assert browser.sign_in(name).status == 303
    return browser


def ids(answer: Answer) -> list[int]:
    assert answer.status == 200
    return [int(number) for number in re.findall(r'id="alert-(\d+)"', answer.text)]


def act(browser: Browser, alert_id: int, verb: str, seen: int, **fields: str) -> Answer:
    token = browser.form_token(f"/alerts/{alert_id}")
    values = {"csrf_token": token, "seen": str(seen)} | fields
    return browser.post_form(f"/alerts/{alert_id}/{verb}", values)


def explanation(**parts: Any) -> Explained:
    known = {
        "as_of": AS_OF, "period": PERIOD, "excess": 24.5, "latest_week": 45.0, "week_before": 20.0,
        "growth_until": PERIOD, "growth_per_day": 0.11, "doubling_days": 6.0, "completeness": 0.8,
        "usual_facilities": 5, "silent": 1, "silent_facilities": ("clinic-9",),
        "facilities": (Contribution(name="clinic-1", observed=20, expected=5),
                       Contribution(name="clinic-2", observed=3, expected=None)),
        "age_groups": (Contribution(name="7-12", observed=30, expected=10),),
        "neighbours": (Neighbour(region="TW-NWT", observed=90, expected=40, upper=60, alarm=True),),
        "neighbours_judged": 4,
    }  # fmt: skip
    return Explained(explanation=Explanation.model_validate(known | parts))


def test_the_days_of_growth_are_named(officer: Browser, database: str) -> None:
    number = open_alert(database)
    tell(database, number, explanation())
    day = PERIOD.isoformat()
    for lang, expected in (
        ("en", f"the 7 days to {day}; doubling about every 6 days"),
        ("zh", f"截至 {day} 的 7 天；约每 6 天翻一番"),
    ):
        assert expected in officer.get(f"/alerts/{number}?lang={lang}").text


# -- the inbox ------------------------------------------------------------------------------------


def test_an_empty_inbox_says_so(officer: Browser) -> None:
    assert "No open alerts" in officer.get("/").text


def test_a_line_tells_what_matters(officer: Browser, database: str) -> None:
    number = open_alert(database)
    tell(database, number, Escalated(after_minutes=15))
    text = officer.get("/").text
    for told in ("Taipei City", "臺北市", "Critical", "Escalated", "vs 20 expected", "2.2×",
                 "2009-W32", "Unassigned", "no outcomes yet"):  # fmt: skip
        assert told in text
    decide(database, number, Assigned(to="li"))
    text = officer.get("/").text
    assert "With li" in text
    assert "Escalated" not in text


def test_gaps_in_the_data_are_told(officer: Browser, database: str) -> None:
    alert_id = open_alert(database)
    tell(database, alert_id, explanation(quality=DataQuality(baseline=8, missing=3)))
    note = "3 of the 8 weeks before are missing"
    assert officer.get(f"/alerts/{alert_id}").text.count(note) == 2  # the sentence, and why
    assert note in officer.get("/").text
    told = officer.get(f"/api/v1/alerts/{alert_id}").json()
    assert told["explanation"]["quality"]["missing"] == 3
    assert note in told["sentence"]["en"]
    assert "此前8周中缺3周" in told["sentence"]["zh"]


def test_an_alert_too_old_to_be_announced_says_so(officer: Browser, database: str) -> None:
    """The period lies in 2009; another alert begins this week."""
    old = open_alert(database)
    today = datetime.now(UTC).date()
    recent = open_alert(
        database, region="TW-KHH", figures=figures(period=today - timedelta(days=7)), exceedances=1
    )
    mark = "Not announced: older than 60 days"
    assert officer.get("/").text.count(mark) == 1
    assert mark in officer.get(f"/alerts/{old}").text
    assert mark not in officer.get(f"/alerts/{recent}").text
    told = {
        one["alert_id"]: one["not_announced_older_than_days"]
        for one in officer.get("/api/v1/alerts").json()["items"]
    }
    assert told == {old: 60, recent: None}
    with psycopg.connect(database) as connection:
        connection.execute("UPDATE users SET locale = 'zh'")
    assert "未即时通知：早于 60 天" in officer.get("/").text
    assert "未即时通知：早于 60 天" in officer.get(f"/alerts/{old}").text


def test_a_lower_bound_is_marked(officer: Browser, database: str) -> None:
    number = open_alert(
        database, figures=figures(193, expected=42, incomplete=True), exceedances=1, peak=193
    )
    tell(database, number, explanation(incomplete=True, excess=151.0))
    line = officer.get("/").text
    assert "≥193" in line
    assert "≥4.5×" in line
    page = officer.get(f"/alerts/{number}").text
    for told in ("at least 193 visits", "in the days that have arrived", "≥193", "≥151", "≥+151"):
        assert told in page
    # A week that is not whole is compared with no other.
    growth = say("en")("why.growth_text", now="45", before="20")
    assert growth not in page
    tell(database, number, explanation())
    assert growth in officer.get(f"/alerts/{number}").text
    chinese = officer.get(f"/alerts/{number}?lang=zh").text
    assert "至少193人次（部分日期的数据尚未到达）" in chinese


def test_the_inbox_is_filtered(officer: Browser, database: str) -> None:
    taipei = open_alert(database)
    kaohsiung = open_alert(database, region="TW-KHH", severity="warning")
    fever = open_alert(database, signal="fever", rule="fever-day", severity="info")
    nation = open_alert(database, region="TW")
    decide(database, kaohsiung, Verified(), actor="li")
    decide(database, nation, Discarded(outcome="explained"), actor="li")
    expected = {
        "/": {taipei, kaohsiung, fever},
        "/?status=verifying": {kaohsiung},
        "/?status=new&status=verifying": {taipei, kaohsiung, fever},
        "/?status=closed&status=discarded": {nation},
        "/?severity=warning": {kaohsiung},
        "/?signal=fever": {fever},
        "/?region=TW-KHH": {kaohsiung},
        "/?region=TW": {taipei, kaohsiung, fever},
        "/?rule=fever-day": {fever},
        "/?mine=1": {kaohsiung},
        "/?q=%E5%8F%B0%E5%8C%97": {taipei, fever},
        "/?q=Kaohsiung&mine=1": {kaohsiung},
        "/?q=nowhere": set(),
    }
    assert {path: set(ids(officer.get(path))) for path in expected} == expected
    counts = dict(re.findall(r'data-count="(\w+)">(\d+)<', officer.get("/").text))
    assert counts == {"open": "3", "new": "2", "verifying": "1", "monitoring": "0",
                      "assessing": "0", "confirmed": "0", "decided": "1",
                      "merged": "0"}  # fmt: skip
    assert "No region is called “nowhere”." in officer.get("/?q=nowhere").text
    assert officer.get("/?status=nonsense").status == 422
    assert officer.get("/?page=0").status == 422


def test_nobody_looks_beyond_their_region(browser: Browser, database: str) -> None:
    open_alert(database, region="TW-KHH")
    own = open_alert(database)
    taipei = signed_in(browser, database, "wang", region="TW-TPE")
    for path in ("/", "/?region=TW-KHH", "/?region=TW", "/?q=TW"):
        assert ids(taipei.get(path)) == [own]
    assert taipei.get("/regions/TW-KHH").status == 403
    assert taipei.get("/regions/TW").status == 403
    assert taipei.get("/regions/XX").status == 404
    assert taipei.get("/regions").headers["Location"] == "/regions/TW-TPE"


def test_many_alerts_come_in_pages(officer: Browser, database: str) -> None:
    numbers = [open_alert(database, rule=f"rule-{i}", figures=figures(100 + i)) for i in range(60)]
    pages = [ids(officer.get(f"/?page={page}")) for page in (1, 2, 3, 4)]
    assert [len(page) for page in pages] == [25, 25, 10, 0]
    assert sorted(number for page in pages for number in page) == sorted(numbers)
    text = officer.get("/?page=2&severity=critical").text
    assert "26–50 of 60" in text
    assert 'href="/?severity=critical&amp;page=3"' in text
    assert 'href="/?severity=critical"' in text


def test_what_others_wrote_is_text(officer: Browser, database: str) -> None:
    nasty = "<script>alert(1)</script>"
    number = open_alert(database)
    decide(database, number, Commented(note=nasty), actor="wang")
    tell(database, number, explanation(
        facilities=(Contribution(name=f"{nasty}", observed=20, expected=5),)))  # fmt: skip
    for path in ("/", f"/alerts/{number}", f"/?q={nasty}"):
        page = officer.get(path).text
        assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in officer.get(f"/alerts/{number}").text


# -- one alert ------------------------------------------------------------------------------------


def test_an_alert_is_explained(officer: Browser, database: str) -> None:
    number = open_alert(database)
    tell(database, number, explanation())
    text = officer.get(f"/alerts/{number}").text
    for told in (
        "Influenza-like illness in Taipei City: 45 visits in week 32 of 2009",
        "45, after 20 in the 7 days before", "doubling about every 6 days",
        "80% of the usual reports of 5 facilities", "Silent: clinic-9", "20 · usually 5", "3 · new",
        "30 · usually 10", "7-12 years", "90 · expected 40", "New Taipei City ◆",
        "1 of 4 are high too",
    ):  # fmt: skip
        assert told in text, told


def test_viewers_see_no_small_counts_and_no_forms(browser: Browser, database: str) -> None:
    number = open_alert(database)
    tell(database, number, explanation())
    viewer = signed_in(browser, database, "guest", "viewer")
    text = viewer.get(f"/alerts/{number}").text
    assert "clinic-1" in text
    assert "clinic-2" not in text
    assert "<textarea" not in text
    assert "You can read alerts" in text
    token = re.search(r'name="csrf-token" content="([^"]+)"', text)
    assert token
    answer = viewer.post_form(f"/alerts/{number}/verify", {"csrf_token": token[1]})
    assert answer.status == 403
    assert alert_of(database, number).status == "new"


def test_only_those_who_are_to_know_see_parameters(
    another: Callable[[], Browser], database: str
) -> None:
    number = open_alert(database, detector={"type": "ears", "method": "C2", "alpha": 0.00135})
    seen = {
        role: "0.00135" in signed_in(another(), database, role, role).get(f"/alerts/{number}").text
        for role in ("viewer", "officer", "epidemiologist", "admin")
    }
    assert seen == {"viewer": False, "officer": False, "epidemiologist": True, "admin": True}


def test_an_alert_goes_from_new_to_closed(officer: Browser, database: str) -> None:
    number = open_alert(database)
    answer = act(officer, number, "verify", 1, note="called")
    assert answer.headers["Location"] == f"/alerts/{number}?done=verify"
    assert "Verification has begun." in officer.get(answer.headers["Location"]).text
    act(officer, number, "assess", 2, risk="likely:major")
    act(officer, number, "confirm", 3)
    act(officer, number, "close", 4, outcome="outbreak", note="over")
    alert = alert_of(database, number)
    assert (alert.status, alert.outcome, alert.risk) == ("closed", "outbreak", "high")
    history = officer.get(f"/alerts/{number}").text
    assert "over" in history
    assert "1/1" in history  # the rule was right
    act(officer, number, "reopen", 5)
    assert alert_of(database, number).status == "verifying"


def test_what_was_typed_is_kept_when_somebody_was_quicker(officer: Browser, database: str) -> None:
    number = open_alert(database)
    decide(database, number, Verified(), actor="wang")
    answer = act(officer, number, "discard", 1, outcome="explained", note="a holiday")
    assert answer.status == 409
    assert "Somebody was quicker." in answer.text
    assert ">a holiday</textarea>" in answer.text
    assert 'value="explained" required checked' in answer.text
    assert alert_of(database, number).status == "verifying"


@pytest.mark.parametrize(
    ("verb", "fields", "status", "told"),
    [
        ("close", {"outcome": "outbreak"}, 409, "That was not done."),
        ("assess", {}, 422, "Choose a cell of the matrix."),
        ("merge", {"into": "9999"}, 404, "There is no alert 9999."),
        ("assign", {"to": "nobody-known"}, 422, "nobody-known"),
        ("explode", {}, 404, "There is no such page."),
    ],
)
def test_what_cannot_be_done_is_told(
    officer: Browser, database: str, verb: str, fields: dict[str, str], status: int, told: str
) -> None:
    number = open_alert(database)
    answer = act(officer, number, verb, 1, **fields)
    assert answer.status == status
    assert told in answer.text


def test_alerts_are_merged_into_one_that_is_offered(officer: Browser, database: str) -> None:
    head = open_alert(database)
    other = open_alert(database, region="TW-NWT")
    assert f'<option value="{head}">' in officer.get(f"/alerts/{other}").text
    answer = act(officer, other, "merge", 1, into=str(head))
    assert answer.headers["Location"].startswith(f"/alerts/{head}?")
    assert f'href="/alerts/{other}"' in officer.get(f"/alerts/{head}").text
    assert "This alert was merged into" in officer.get(f"/alerts/{other}").text


def test_the_history_leaves_out_what_is_said_again_and_again(
    officer: Browser, database: str
) -> None:
    number = open_alert(database)
    for observed in (50, 60, 70):
        change = {"first_period": PERIOD, "exceedances": 1, "peak": observed, "detector": {},
                  "config_version": "abc", "as_of": AS_OF}  # fmt: skip
        tell(database, number, Updated(figures=figures(observed), **change))
    tell(database, number, Absorbed(alert=99, severity="critical"), Ended(
        quiet_since=PERIOD + timedelta(days=7), as_of=AS_OF))  # fmt: skip
    tell(database, number, Revised(before=figures(70), now=figures(4), as_of=AS_OF))
    short = officer.get(f"/alerts/{number}").text
    assert "2009-W32: 60" not in short
    assert "2009-W32: 70" in short
    assert "2 updates of the numbers are left out." in short
    whole = officer.get(f"/alerts/{number}?history=all").text
    assert "2009-W32: 60" in whole
    for told in ("alert #99", "No exceedance since 2009-W33", "corrected from 70 to 4"):
        assert told in whole, told


def test_an_end_at_a_high_level_is_not_told_as_a_fall(officer: Browser, database: str) -> None:
    alert_id = open_alert(database)
    decide(database, alert_id, Verified(), Monitored())
    level = NewLevel(rule="only", grain="week", since=PERIOD, before=10.4, now=31.6, expected=30)
    ended = Ended(quiet_since=PERIOD + timedelta(days=7), new_level=level, as_of=AS_OF)
    tell(database, alert_id, ended)
    inbox, page = officer.get("/"), officer.get(f"/alerts/{alert_id}")
    assert "Ended at a high level" in inbox.text
    assert page.text.count("still 3 times what was expected when the alert began") == 2
    assert "expected before: 10, counted by then: 32 a week" in page.text
    assert "it may be closed" not in page.text
    with psycopg.connect(database) as connection:
        connection.execute("UPDATE users SET locale = 'zh'")
    assert "此时数量并未回落：仍为预警开始时预期数的3倍" in officer.get(f"/alerts/{alert_id}").text


def test_a_page_asks_how_far_its_alert_has_come(officer: Browser, database: str) -> None:
    number = open_alert(database)
    assert officer.get(f"/alerts/{number}/version").json() == {"version": 1, "decided_version": 1}
    decide(database, number, Commented(note="x"))
    assert officer.get(f"/alerts/{number}/version").json() == {"version": 2, "decided_version": 2}


def test_charts_are_documents_of_bokeh(officer: Browser, database: str) -> None:
    number = open_alert(database)
    for path in (f"/alerts/{number}/chart.json?theme=dark&narrow=1", f"/alerts/{number}/years.json",
                 "/regions/TW-TPE/chart.json?theme=nonsense"):  # fmt: skip
        document = officer.get(path).json()
        assert document["doc"]["roots"]
        assert document["root_id"]


def test_there_is_no_alert_of_any_number(officer: Browser) -> None:
    assert officer.get("/alerts/4711").status == 404
    assert officer.get("/alerts/0").status == 422
    assert officer.get(f"/alerts/{2**63}").status == 422


# -- rules, regions, account, users -------------------------------------------------------------


def test_rules_tell_how_often_they_were_right(officer: Browser, database: str) -> None:
    for region, outcome in (("TW-TPE", "explained"), ("TW-KHH", "false_alarm")):
        number = open_alert(database, region=region)
        decide(database, number, Discarded(outcome=outcome))
    open_alert(database, rule="gone-rule")
    text = officer.get("/rules").text
    assert "0 of 2 decided alerts were outbreaks" in text
    assert "(0%–66%)" in text  # Wilson's interval of 0 of 2
    assert "Parameters" not in text


def test_a_region_lists_its_alerts(officer: Browser, database: str) -> None:
    number = open_alert(database)
    text = officer.get("/regions/TW-TPE?signal=ili").text
    assert "Open alerts: 1" in text
    assert f'href="/alerts/{number}"' in text
    assert "No counts of this signal are known here." in text


def test_the_account_changes_language_and_tokens(officer: Browser) -> None:
    assert "Duty officer" in officer.get("/account").text
    token = officer.form_token("/account")
    form = {"csrf_token": token, "label": "dashboard"}
    for wrong in ({}, {"password": "not theirs"}):
        answer = officer.post_form("/account/tokens", form | wrong)
        assert answer.status == 422
        assert "No token was made" in answer.text
        assert 'class="secret"' not in answer.text
    answer = officer.post_form("/account/tokens", form | {"password": PASSWORD})
    secret = re.search(r'<code class="secret">([^<]+)<', answer.text)
    assert secret
    with Browser(officer.url, headers={"Authorization": f"Bearer {secret[1]}"}) as program:
        assert program.get("/api/v1/me").json()["name"] == "li"
        number = re.search(r"/account/tokens/(\d+)/revoke", officer.get("/account").text)
        assert number
        officer.post_form(f"/account/tokens/{number[1]}/revoke", {"csrf_token": token})
        assert program.get("/api/v1/me").status == 401
    officer.post_form("/account/language", {"csrf_token": token, "locale": "zh"})
    assert "值班人员" in officer.get("/account").text
    assert "Duty officer" in officer.get("/account?lang=en").text


def test_admins_manage_users(
    browser: Browser, database: str, another: Callable[[], Browser]
) -> None:
    admin = signed_in(browser, database, "chen", "admin")
    token = admin.form_token("/users")
    fields = {"csrf_token": token, "name": "Wang", "role": "officer", "region": "TW-KHH"}
    answer = admin.post_form("/users", fields)
    password = re.search(r'<code class="secret">([^<]+)<', answer.text)
    assert password
    new = another()
    assert new.sign_in("wang", password[1]).status == 303
    assert new.get("/").headers["Location"] == "/account/password"
    assert "already" in admin.post_form("/users", fields).text
    admin.post_form("/users/wang/role", {"csrf_token": token, "role": "viewer", "region": "TW"})
    admin.post_form("/users/wang/disable", {"csrf_token": token})
    assert new.get("/").headers["Location"].startswith("/sign-in")
    text = admin.get("/users").text
    assert "disabled" in text
    yourself = admin.post_form("/users/chen/disable", {"csrf_token": token})
    assert "You cannot change your own access." in yourself.text
    for path in ("/users/CHEN/disable", "/users/%EF%BC%A3hen/disable", "/users/Chen/password"):
        assert admin.post_form(path, {"csrf_token": token}).status == 422
    assert rows(database, "SELECT disabled FROM users WHERE name = 'chen'") == [(False,)]
    again = admin.post_form("/users/wang/password", {"csrf_token": token})
    assert 'class="secret"' in again.text


def test_others_do_not_manage_users(officer: Browser) -> None:
    assert officer.get("/users").status == 403
    assert "Users" not in re.findall(r'<a href="/users">\s*(\w+)', officer.get("/").text)


# -- what all pages share -------------------------------------------------------------------------


def test_files_may_be_kept_as_long_as_their_address_names_their_content(officer: Browser) -> None:
    page = officer.get("/").text
    link = re.search(r'href="(/static/fenghuo.css\?v=\w+)"', page)
    assert link
    assert "immutable" in officer.get(link[1]).headers["Cache-Control"]
    assert "immutable" not in officer.get("/static/fenghuo.css").headers["Cache-Control"]
    assert officer.get("/favicon.ico").headers["Content-Type"].startswith("image/svg")
    assert officer.get("/static/../pages/inbox.py").status in {404, 303}
    assert officer.get("/static/bokeh/bokeh.min.js").status == 200


def test_no_page_names_another_host(officer: Browser, database: str) -> None:
    number = open_alert(database)
    tell(database, number, explanation())
    for path in ("/", f"/alerts/{number}", "/regions/TW", "/rules", "/account", "/api/v1/docs"):
        found = re.findall(r'(?:src|href|action)="(https?:[^"]+|//[^"]+)"', officer.get(path).text)
        assert found == []


def test_the_language_link_leads_to_the_same_page(officer: Browser, database: str) -> None:
    open_alert(database)
    page = officer.get("/?severity=critical&q=Taipei").text
    link = re.search(r'class="lang" href="([^"]+)"', page)
    assert link
    chinese = officer.get(link[1].replace("&amp;", "&"))
    assert len(ids(chinese)) == 1
    assert 'lang="zh-CN"' in chinese.text
    assert "级别" in officer.get("/").text  # kept by the cookie


def test_times_are_those_of_the_installation(officer: Browser, database: str) -> None:
    number = open_alert(database)
    opened = alert_of(database, number).opened_at
    local = opened.astimezone(UTC) + timedelta(hours=8)
    assert f"{local:%Y-%m-%d %H:%M}" in officer.get(f"/alerts/{number}").text
    assert datetime.now(UTC) - opened < timedelta(minutes=5)
    assert "just now" in officer.get("/").text
