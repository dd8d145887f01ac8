"""Signing in by OpenID Connect, with a provider that is served on loopback."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest
from joserfc.jwk import RSAKey
from pydantic import SecretStr

from streams.errors import FenghuoError
from streams.people.linking import NotLinkedError, linked_user
from streams.settings import Settings
from streams.store.credentials import allow_link_by_name, link_subject
from streams.store.people import add_user, get_user, remove_user, set_disabled
from streams.web.app import create_web
from tests.support.oidc_provider import CLIENT, SECRET, OidcProvider
from tests.support.web import Answer, Browser, add, free_port, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.config import Configuration

ME = "/api/v1/me"


@pytest.fixture
def provider() -> Iterator[OidcProvider]:
    made = OidcProvider()
    with serving(made.app()) as url:
        made.issuer = url
        yield made


@pytest.fixture
def settings(provider: OidcProvider, database: str) -> Settings:
    port = free_port()
    return Settings(
        database=database,
        page_port=port,
        oidc_issuer=provider.issuer,
        oidc_client_id=CLIENT,
        oidc_client_secret=SecretStr(SECRET),
    )


@pytest.fixture
def browser(settings: Settings, configuration: Configuration) -> Iterator[Browser]:
    with (
        serving(create_web(settings, configuration), port=settings.page_port) as url,
        Browser(url) as made,
    ):
        yield made


def at_provider(address: str) -> str:
    """Sign in there, and return the path and query with which it sends people back."""
    parts = urlsplit(address)
    with Browser(f"{parts.scheme}://{parts.netloc}") as there:
        back = there.get(f"{parts.path}?{parts.query}").headers["Location"]
    return back.removeprefix(back[: back.index("/sign-in")])


def sign_in(browser: Browser, *, target: str = "/") -> Answer:
    sent = browser.get(f"/sign-in/oidc?next={target}")
    assert sent.status == 303, sent.text
    return browser.get(at_provider(sent.headers["Location"]))


def without_password(database: str, name: str = "li", **fields: Any) -> None:
    with psycopg.connect(database) as connection:
        add_user(connection, name, role="officer", region="TW-TPE", **fields)
        allow_link_by_name(connection, name)


def test_a_user_signs_in_and_comes_to_where_they_wanted(browser: Browser, database: str) -> None:
    without_password(database)
    answer = sign_in(browser, target="/alerts/7")
    assert (answer.status, answer.headers["Location"]) == (303, "/alerts/7")
    assert set(browser.cookies) == {"fenghuo-session"}
    assert browser.get(ME).json()["name"] == "li"


def test_the_page_offers_it(browser: Browser, provider: OidcProvider) -> None:
    assert "/sign-in/oidc?next=" in browser.get("/sign-in").text


def test_once_linked_the_subject_counts_and_the_name_no_more(
    browser: Browser, provider: OidcProvider, database: str
) -> None:
    without_password(database)
    sign_in(browser)
    provider.claims["preferred_username"] = "renamed"
    browser.cookies.clear()
    assert sign_in(browser).status == 303
    assert browser.get(ME).json()["name"] == "li"
    # Somebody else takes the name that has become free at the provider.
    provider.claims |= {"sub": "s-2", "preferred_username": "li"}
    browser.cookies.clear()
    assert sign_in(browser).status == 403
    assert browser.get(ME).status == 401


def test_nobody_takes_over_a_user_with_a_password_by_choosing_the_name(
    browser: Browser, database: str
) -> None:
    add(database, "li", role="admin", region="TW")
    answer = sign_in(browser)
    assert answer.status == 403
    assert "尚未与您在身份提供方的账户关联" in answer.text
    assert browser.get(ME).status == 401


def test_a_user_who_did_not_ask_for_it_is_not_linked_by_name(
    browser: Browser, database: str
) -> None:
    with psycopg.connect(database) as connection:
        add_user(connection, "li", role="admin", region="TW")  # made for tokens only
    answer = sign_in(browser)
    assert answer.status == 403
    assert "fenghuo users link li" in answer.text
    assert browser.get(ME).status == 401


@pytest.mark.parametrize("claims", [{"preferred_username": "l\0i"}, {"sub": "s\0"}])
def test_claims_that_cannot_be_stored_are_nobodys(
    browser: Browser, provider: OidcProvider, database: str, claims: dict[str, str]
) -> None:
    without_password(database)
    provider.claims |= claims
    assert sign_in(browser).status == 403


def test_half_a_surrogate_pair_is_nobody_s_name(database: str) -> None:
    with psycopg.connect(database) as connection, pytest.raises(NotLinkedError) as refused:
        linked_user(
            connection, subject="https://id.example s-1", name="li\ud800", display_name="",
            locale="en", new_users=None,
        )  # fmt: skip
    assert str(refused.value).encode()


def test_a_subject_is_bound_beforehand(
    browser: Browser, provider: OidcProvider, database: str
) -> None:
    add(database, "wang")
    with psycopg.connect(database) as connection:
        link_subject(connection, "wang", f"{provider.issuer} s-1")
        add_user(connection, "other", role="viewer", region="TW")
        with pytest.raises(FenghuoError, match="Another user is linked"):
            link_subject(connection, "other", f"{provider.issuer} s-1")
    assert sign_in(browser).status == 303  # under the name li, as wang
    assert browser.get(ME).json()["name"] == "wang"
    with psycopg.connect(database) as connection:
        link_subject(connection, "wang", None)
    assert browser.get(ME).status == 401
    assert sign_in(browser).status == 403


def test_who_is_unknown_or_disabled_is_turned_away(browser: Browser, database: str) -> None:
    assert "不是本系统的用户" in sign_in(browser).text
    without_password(database)
    assert sign_in(browser).status == 303
    with psycopg.connect(database) as connection:
        set_disabled(connection, "li", disabled=True)
    browser.cookies.clear()
    assert sign_in(browser).status == 403


def test_who_is_unknown_becomes_a_viewer_where_that_is_configured(
    settings: Settings, configuration: Configuration, provider: OidcProvider, database: str
) -> None:
    wanted = settings.model_copy(update={"oidc_new_users": "TW-KHH"})
    with (
        serving(create_web(wanted, configuration), port=settings.page_port) as url,
        Browser(url) as browser,
    ):
        assert sign_in(browser).status == 303
        me = browser.get(ME).json()
        assert (me["name"], me["display_name"], me["role"], me["region"]) == (
            "li",
            "李",
            "viewer",
            "TW-KHH",
        )
        provider.claims |= {"sub": "s-3", "preferred_username": "13800138000"}
        browser.cookies.clear()
        assert sign_in(browser).status == 403
    with psycopg.connect(database) as connection:
        assert not get_user(connection, "li").has_password
        remove_user(connection, "li")


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://evil.example"},
        {"aud": "another-client"},
        {"aud": [CLIENT, "another-client"], "azp": "another-client"},
        {"nonce": "replayed"},
        {"exp": 1},
        {"sub": None},
    ],
    ids="-".join,
)
def test_a_token_that_is_not_for_this_sign_in_is_refused(
    browser: Browser, provider: OidcProvider, database: str, changes: dict[str, Any]
) -> None:
    without_password(database)
    provider.changes = changes
    assert sign_in(browser).status == 502
    assert browser.get(ME).status == 401


def test_a_token_that_another_key_signed_is_refused(
    browser: Browser, provider: OidcProvider, database: str
) -> None:
    without_password(database)
    provider.signing = RSAKey.generate_key(2048, {"kid": "one"})
    assert sign_in(browser).status == 502
    assert browser.get(ME).status == 401


def test_keys_are_asked_for_anew_when_the_provider_changed_them(
    browser: Browser, provider: OidcProvider, database: str
) -> None:
    without_password(database)
    sign_in(browser)
    provider.key = RSAKey.generate_key(2048, {"kid": "two"})
    browser.cookies.clear()
    assert sign_in(browser).status == 303
    assert provider.asked == ["discovery", "keys", "keys"]


def test_an_answer_to_another_browser_is_refused(
    browser: Browser, settings: Settings, database: str
) -> None:
    without_password(database)
    begun = browser.get("/sign-in/oidc").headers["Location"]
    with Browser(browser.url) as victim:
        assert victim.get(at_provider(begun)).status == 403
        # Nor is an answer to another of one's own sign-ins.
        victim.get("/sign-in/oidc")
        assert victim.get(at_provider(begun)).status == 403
        assert victim.get(ME).status == 401


def test_a_code_holds_once(browser: Browser, database: str) -> None:
    without_password(database)
    back = at_provider(browser.get("/sign-in/oidc").headers["Location"])
    kept = dict(browser.cookies)
    assert browser.get(back).status == 303
    browser.cookies = kept
    assert browser.get(back).status == 502


def test_the_page_says_so_when_the_provider_refuses_or_is_away(
    browser: Browser, provider: OidcProvider
) -> None:
    provider.down = True
    assert browser.get("/sign-in/oidc").status == 502
    provider.down = False
    provider.refuse = True
    refused = sign_in(browser)
    assert refused.status == 403
    assert "未能完成登录" in refused.text


def test_a_provider_of_another_issuer_is_not_believed(
    browser: Browser, provider: OidcProvider
) -> None:
    provider.told_issuer = "https://evil.example"
    assert browser.get("/sign-in/oidc").status == 502


def test_what_is_asked_for_is_a_code_bound_to_this_browser(browser: Browser) -> None:
    asked = parse_qs(urlsplit(browser.get("/sign-in/oidc").headers["Location"]).query)
    assert asked["redirect_uri"] == [f"{browser.url}/sign-in/oidc/callback"]
    assert asked["code_challenge_method"] == ["S256"]
    again = parse_qs(urlsplit(browser.get("/sign-in/oidc").headers["Location"]).query)
    for name in ("state", "nonce", "code_challenge"):
        assert asked[name] != again[name]


def test_without_a_provider_there_is_no_such_page(page_url: str) -> None:
    with Browser(page_url) as other:
        assert other.get("/sign-in/oidc").status == 404
        assert other.get("/sign-in/oidc/callback?code=x&state=y").status == 404
        assert "/sign-in/oidc" not in other.get("/sign-in").text


def test_no_open_redirect(browser: Browser, database: str) -> None:
    without_password(database)
    for target in ("https://evil.example", "//evil.example", "/%5Cevil.example"):
        browser.cookies.clear()
        assert sign_in(browser, target=target).headers["Location"] == "/"
