"""Numbers in requests that Python reads but nobody means: 422 with a sentence, never 500."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from streams.web.language import _preferred
from tests.support.alerts import alert_of, open_alert
from tests.support.web import Browser, add

if TYPE_CHECKING:
    from tests.support.web import Answer

#: int() raises ValueError above 4,300 digits, and reads digits of all scripts, blanks and marks.
NO_NUMBERS = ("9" * 5000, "0" * 5000 + "x", "9" * 20, "٣", "１", "1_0", "nan", "inf", "1e3", "-1")


@pytest.fixture
def officer(browser: Browser, database: str) -> Browser:
    add(database, "li", region="TW")
    browser.sign_in("li")
    return browser


def send(officer: Browser, alert: int, verb: str, **fields: str) -> Answer:
    token = officer.form_token(f"/alerts/{alert}")
    return officer.post_form(f"/alerts/{alert}/{verb}", {"csrf_token": token, **fields})


@pytest.mark.parametrize("text", NO_NUMBERS, ids=range(len(NO_NUMBERS)))
def test_a_form_says_what_is_wrong_with_its_number(
    officer: Browser, database: str, text: str
) -> None:
    alert = open_alert(database)
    officer.cookies["lang"] = "en"
    seen = send(officer, alert, "acknowledge", seen=text)
    assert seen.status == 422
    assert "which version of the alert" in seen.text
    into = send(officer, alert, "merge", seen="1", into=text)
    assert into.status == 422
    assert "Name the alert by its number." in into.text
    assert alert_of(database, alert).version == 1


@pytest.mark.parametrize("text", ["9" * 5000, "٣", "nan"])
def test_an_address_with_no_number(officer: Browser, text: str) -> None:
    for path in ("/alerts/{}", "/api/v1/alerts/{}", "/?page={}", "/api/v1/alerts?limit={}"):
        assert officer.get(path.format(quote(text))).status == 422, path


def test_a_browser_cannot_like_a_language_more_than_wholly() -> None:
    assert _preferred("en;q=nan, zh;q=0.1") == "zh"
    assert _preferred("en;q=inf, zh;q=1") == "zh"
    assert _preferred(f"en;q={'9' * 5000}, zh;q=1") == "zh"
