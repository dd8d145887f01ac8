"""A duty officer at work, in headless Chromium."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from schemas.alerts import Commented, Verified
from tests.browser.conftest import ARTEFACTS
from tests.support.alerts import decide

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from tests.browser.conftest import Site
    from tests.support.screen import Screen

    Open = Callable[..., AbstractContextManager[Screen]]

pytestmark = pytest.mark.browser


def number_of(screen: Screen) -> int:
    found = re.search(r"/alerts/(\d+)", screen.page.url)
    assert found
    return int(found[1])


def top_alert(screen: Screen) -> None:
    screen.rows().first.locator(".row-link").click()
    screen.page.wait_for_load_state()


def test_the_top_alert_is_explained_and_drawn(fresh: Site, opened: Open) -> None:
    with opened() as screen:
        screen.sign_in("li")
        first = screen.rows().first
        # Told by shape and word, not by colour alone.
        assert first.locator(".sev-critical").inner_text() == "Critical"
        assert first.locator(".sev-critical path").count() == 1
        assert re.search(r"vs [\d,.]+ expected", first.inner_text())
        assert first.locator("svg.spark polyline.spark-line").count() == 1
        place = first.locator(".place").inner_text()
        top_alert(screen)
        assert place in screen.text("h1")
        sentence = screen.text("#sentence")
        assert re.search(
            r"^Influenza-like illness in .+: [\d,]+ visits in week \d+ of 2009", sentence
        )
        assert "above the alarm threshold" in sentence
        curve, years = screen.charts()
        assert curve > 0.02
        assert years > 0.02
        assert all(screen.model(part) for part in ("observed", "alarms", "alert", "provisional"))
        assert screen.model("year-2009")
        assert screen.model("year-2007")
        assert not screen.model("nothing of this name")
        why = screen.text(".o-why")
        assert "Facilities" in why
        assert "Age groups" in why
        assert "High neighbours" in why


def test_an_alert_is_taken_from_new_to_closed(fresh: Site, opened: Open) -> None:
    with opened() as screen:
        screen.sign_in("li")
        top_alert(screen)
        assert screen.page.locator(".act-confirm").count() == 0  # not possible yet
        screen.act("verify", "Called the emergency department.")
        assert "Verification has begun." in screen.text(".banner-ok")
        screen.act("assess", risk="likely:major")
        assert screen.text(".alert-head .risk") == "High risk"
        screen.act("confirm")
        assert screen.text(".alert-head .status") == "Confirmed"
        screen.act("close", "Peak has passed; schools reopened.", outcome="outbreak")
        assert screen.text(".alert-head .status") == "Closed"
        history = screen.text("#history")
        for told in (
            "Verification has begun · li",
            "Called the emergency department.",
            "High risk (Likely × Major)",
            "Confirmed · li",
            "Closed · li",
            "Outbreak",
            "Peak has passed; schools reopened.",
        ):
            assert told in history
        number = number_of(screen)
        screen.go("/")
        assert screen.page.locator(f"#alert-{number}").count() == 0
        screen.go("/?status=closed")
        assert screen.page.locator(f"#alert-{number}").count() == 1
        screen.go("/rules")
        assert "1 of 1 decided alerts were outbreaks" in screen.text("#ili-county-week")


def test_an_officer_elsewhere_is_refused(fresh: Site, opened: Open) -> None:
    with opened() as screen:
        screen.sign_in("li")
        screen.go("/?q=Taipei City")
        top_alert(screen)
        number = number_of(screen)
    with opened() as screen:
        screen.sign_in("penghu")
        assert {row.locator(".place").inner_text() for row in screen.rows().all()} == {
            "Penghu County"
        }
        answer = screen.page.goto(f"{screen.url}/alerts/{number}?lang=en")
        assert answer
        assert answer.status == 403
        assert "Outside your area" in screen.text("h1")
        assert "Taipei" not in screen.text("main")


def test_the_worst_county_is_three_clicks_away(fresh: Site, opened: Open) -> None:
    with opened() as screen:
        screen.sign_in("guest")
        screen.page.click(".nav >> text=Regions")
        screen.page.wait_for_load_state()
        row = screen.page.locator(".ranked tbody tr").first
        row.locator("a").first.click()
        screen.page.wait_for_load_state()
        # By the published counts Taipei City had the most visits above its past weeks.
        assert screen.text("h1 .place") == "Taipei City"
        assert screen.charts()[0] > 0.02


def test_who_comes_second_is_told_and_loses_nothing(fresh: Site, opened: Open) -> None:
    with opened() as screen:
        screen.sign_in("wang")
        top_alert(screen)
        number = number_of(screen)
        decide(fresh.database, number, Verified(), actor="li")
        screen.act("discard", "Looks like a holiday.", outcome="explained")
        assert "Somebody was quicker." in screen.text(".banner-bad")
        assert "li was quicker: verification has begun" in screen.text(".banner-bad")
        assert screen.text(".alert-head .status") == "Verifying"
        form = screen.page.locator(".act-discard")
        assert form.locator("textarea").input_value() == "Looks like a holiday."
        assert form.locator("input[value=explained]").is_checked()
        form.locator("button[type=submit]").click()  # now having seen it
        screen.page.wait_for_load_state()
        assert screen.text(".alert-head .status") == "Discarded"


def test_the_inbox_renews_itself_in_place(fresh: Site, opened: Open) -> None:
    with opened() as screen:
        screen.sign_in("wang")
        read = screen.rows().nth(12)
        read.scroll_into_view_if_needed()
        before = read.bounding_box()
        moved = screen.rows().nth(3)
        number = int((moved.get_attribute("id") or "").removeprefix("alert-"))
        being_read = read.get_attribute("id")
        decide(fresh.database, number, Verified(), actor="li")
        screen.page.evaluate("fenghuoRenew()")
        screen.page.locator("[data-count=verifying]", has_text="1").wait_for()
        after = screen.page.locator(f"#{being_read}").bounding_box()
        assert before
        assert after
        assert abs(after["y"] - before["y"]) < 2
        screen.go("/?status=verifying")
        assert "With li" in screen.text(f"#alert-{number}")


def test_a_page_tells_that_its_alert_has_changed(fresh: Site, opened: Open) -> None:
    with opened() as screen:
        screen.page.clock.install()
        screen.sign_in("wang")
        top_alert(screen)
        assert screen.page.locator("#changed").is_hidden()
        decide(fresh.database, number_of(screen), Commented(note="Lab is positive."), actor="li")
        screen.page.clock.run_for(25_000)
        screen.page.locator("#changed").wait_for(state="visible")
        assert "Somebody has acted on this alert" in screen.text("#changed")


def test_everything_but_charts_works_without_scripts(fresh: Site, opened: Open) -> None:
    with opened(scripts=False) as screen:
        screen.sign_in("li")
        top_alert(screen)
        assert screen.page.locator("noscript svg polyline").count() > 0
        screen.page.locator(".fold summary").first.click()
        assert screen.page.locator(".o-curve tbody tr").count() > 10
        screen.act("verify", "By hand.")
        screen.act("assess", risk="unlikely:minor")
        assert screen.text(".alert-head .risk") == "Low risk"


def test_the_keyboard_is_enough(fresh: Site, opened: Open) -> None:
    with opened() as screen:
        screen.sign_in("li")
        keyboard = screen.page.keyboard
        keyboard.press("Tab")
        assert screen.page.evaluate("document.activeElement.className") == "skip"
        screen.rows().first.locator(".row-link").focus()
        keyboard.press("Enter")
        screen.page.wait_for_url(re.compile(r"/alerts/\d+"))
        screen.page.locator(".act-verify > summary").focus()
        keyboard.press("Enter")
        keyboard.press("Tab")
        keyboard.type("Typed without a mouse.")
        keyboard.press("Tab")
        keyboard.press("Enter")
        screen.page.wait_for_url(re.compile("done=verify"))
        assert "Typed without a mouse." in screen.text("#history")


def test_chinese_throughout(fresh: Site, opened: Open) -> None:
    with opened(lang="zh") as screen:
        screen.sign_in("li")
        assert screen.page.locator("html").get_attribute("lang") == "zh-CN"
        assert screen.text("h1") == "预警"
        top_alert(screen)
        assert re.search(r"2009年第\d+周.+超过预警阈值", screen.text("#sentence"))
        screen.act("verify", "已电话核实")
        assert "已开始核实" in screen.text(".banner-ok")
        # No word of English is left, but for names: the language link, codes, places.
        prose = screen.text("#actions") + screen.text(".o-facts dl") + screen.text(".figures")
        left = set(re.findall(r"\b[A-Za-z]{4,}\b", prose)) - {"county", "week", "ears"}
        assert left == set()


PLACES = (
    "/", "/alerts/{top}", "/alerts/{top}/lines", "/regions/TW", "/rules", "/account", "/users",
    "/sign-in", "/api/v1/docs", "/?q=nowhere",
)  # fmt: skip


@pytest.mark.parametrize(
    "kind", ["desktop-light-en", "desktop-dark-zh", "phone-light-zh", "phone-dark-en"]
)
def test_each_page_fits_and_can_be_read(fresh: Site, opened: Open, kind: str) -> None:
    size, scheme, lang = kind.split("-")
    phone, dark = size == "phone", scheme == "dark"
    folder = ARTEFACTS / kind
    folder.mkdir(parents=True, exist_ok=True)
    with opened(phone=phone, dark=dark, lang=lang) as screen:
        screen.go("/sign-in")
        screen.page.screenshot(path=folder / "sign-in.png")
        screen.sign_in("chen")
        top_alert(screen)
        top = number_of(screen)
        wrong: list[str] = []
        for place in PLACES:
            screen.go(place.format(top=top))
            drawn = screen.charts()
            name = re.sub(r"[^a-z]+", "-", place.format(top="alert")).strip("-") or "inbox"
            screen.page.screenshot(path=folder / f"{name}.png", full_page=not phone)
            found = [*screen.low_contrast(), *screen.overflow(), *(str(d) for d in drawn if not d)]
            found += screen.small_targets() if phone else []
            wrong += [f"{place} {one}" for one in found]
        assert wrong == []


def test_the_risk_follows_the_chosen_cell(fresh: Site, opened: Open) -> None:
    with opened(phone=True) as screen:
        screen.sign_in("li")
        top_alert(screen)
        screen.act("verify")
        form = screen.page.locator(".act-assess")
        form.locator("> summary").tap()
        assert screen.text("#matrix-said") == "Choose a cell: its colour is the risk."
        form.locator("label.cell").nth(4).tap()
        assert screen.text("#matrix-said") == "Almost certain × Severe: Very high risk"
        assert screen.overflow() == []
        assert screen.small_targets() == []
        form.screenshot(path=ARTEFACTS / "assess-phone.png")
