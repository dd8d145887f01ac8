"""Users: names, passwords, throttling, small cells."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.errors import FenghuoError
from streams.people.passwords import (
    MIN_LENGTH,
    BadPasswordError,
    check_password,
    hashed,
    one_time,
    verified,
)
from streams.people.small_cells import sees_all
from streams.people.throttling import blocked_until, keys
from streams.people.users import ROLES, BadNameError, checked_display_name, checked_name
from streams.store.admins import LastAdminError
from streams.store.people import (
    NotYoursError,
    NoUserError,
    UserExistsError,
    add_user,
    find_user,
    first_admin,
    get_user,
    list_users,
    remove_user,
    set_access,
    set_disabled,
    set_password,
)
from streams.store.sessions import Lifetimes, begin_session, count_attempt, forgive
from tests.support.store import rows

AT = datetime(2026, 11, 20, 8, tzinfo=UTC)
GOOD = "seven quiet herons by the weir"


# ---------------------------------------------------------------- names


@pytest.mark.parametrize("name", ["li", "李伟", "li.wei@cdc.example.org", "o'brien"[:1], "a" * 64])
def test_names_that_do(name: str) -> None:
    assert checked_name(name) == name.casefold()


@pytest.mark.parametrize(
    "name",
    ["", " ", "a b", "a/b", "-a", "_a", "a" * 65, "li\n", "system", "SYSTEM", "<b>", "a%", "a'"],
)
def test_names_that_do_not(name: str) -> None:
    if name == "li\n":
        assert checked_name(name) == "li"
        return
    with pytest.raises(BadNameError):
        checked_name(name)


@pytest.mark.parametrize("name", ["13800138000", "li-13800138000", "11010519491231002X"])
def test_names_that_give_a_person_away(name: str) -> None:
    with pytest.raises(BadNameError, match="number"):
        checked_name(name)
    with pytest.raises(BadNameError, match="number"):
        checked_display_name(f"Li {name}")


@given(st.text(max_size=80))
def test_a_name_is_as_it_is_looked_up(text: str) -> None:
    try:
        name = checked_name(text)
    except BadNameError:
        return
    assert checked_name(name) == name
    assert not name.isspace()


# ---------------------------------------------------------------- passwords


def test_a_password_is_kept_as_argon2id_with_its_cost() -> None:
    kept = hashed(GOOD)
    assert kept.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert kept != hashed(GOOD)
    assert verified(GOOD, kept)
    assert not verified(GOOD + "x", kept)
    assert not verified("", kept)
    # Nobody's password: it is compared all the same.
    assert not verified(GOOD, None)


@pytest.mark.parametrize(
    "password", ["", "x" * 14, "x" * 201, "a" * 40, "li li li li li", "lililili" * 3]
)
def test_passwords_that_are_guessed(password: str) -> None:
    with pytest.raises(BadPasswordError) as raised:
        check_password(password, name="li")
    assert raised.value.zh


def test_one_time_passwords_do_and_differ() -> None:
    made = {one_time() for _ in range(100)}
    assert len(made) == 100
    for password in made:
        assert len(password) >= MIN_LENGTH
        check_password(password, name="admin")


# ---------------------------------------------------------------- throttling


@given(st.integers(0, 1000), st.integers(1, 100))
def test_waits_begin_late_grow_and_have_an_end(failures: int, free: int) -> None:
    wait = blocked_until(failures, AT, free=free) - AT
    assert (wait == timedelta()) is (failures < free)
    assert wait <= blocked_until(failures + 1, AT, free=free) - AT <= timedelta(minutes=15)


def test_a_household_is_one_address() -> None:
    def of(address: str) -> set[bytes]:
        return {key.digest for key in keys("li", address)}

    assert of("2001:db8:1:2::1") == of("2001:db8:1:2:ffff::9")
    assert of("2001:db8:1:2::1") != of("2001:db8:1:3::1")
    assert of("::ffff:192.0.2.1") == of("192.0.2.1")
    assert len(of("192.0.2.1") & of("192.0.2.2")) == 1  # the name's
    assert {key.digest for key in keys(" LI", "x")} == of("x")


def test_tries_at_the_same_moment_are_counted_before_any_is_looked_at(database_url: str) -> None:
    counted = keys("li", "192.0.2.1")
    with psycopg.connect(database_url, autocommit=True) as connection:
        looked_at = [count_attempt(connection, counted) for _ in range(20)]
    assert [until is None for until in looked_at] == [True] * 5 + [False] * 15


def test_one_name_is_slowed_down_from_whatever_addresses(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        done = [count_attempt(connection, keys("li", f"192.0.2.{n}")) is None for n in range(80)]
        assert done == [True] * 60 + [False] * 20
        # Others are let in from there.
        assert count_attempt(connection, keys("wang", "192.0.2.1")) is None


def test_one_address_is_slowed_down_whatever_names_it_tries(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        done = []
        for n in range(40):
            counted = keys(f"user{n}", "192.0.2.1")
            done.append(count_attempt(connection, counted) is None)
        assert done == [True] * 30 + [False] * 10


def test_a_blocked_try_with_a_new_name_stores_nothing(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        until = None
        for number in range(40):
            until = count_attempt(connection, keys(f"name-{number}", "192.0.2.1"))
        assert until is not None
        before = rows(database_url, "SELECT count(*) FROM sign_in_failures")
        for number in range(100, 110):
            assert count_attempt(connection, keys(f"name-{number}", "192.0.2.1")) is not None
    assert rows(database_url, "SELECT count(*) FROM sign_in_failures") == before


def test_one_right_password_does_not_open_an_address_for_guessing(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        for n in range(29):
            assert count_attempt(connection, keys(f"user{n}", "192.0.2.1")) is None
        own = keys("own", "192.0.2.1")
        assert count_attempt(connection, own) is None
        forgive(connection, own)
        assert count_attempt(connection, keys("more", "192.0.2.1")) is None
        assert count_attempt(connection, keys("still", "192.0.2.1")) is not None


# ---------------------------------------------------------------- the database


def test_users_are_added_and_found(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        user = add_user(connection, "Li", role="officer", password=GOOD, display_name=" 李  伟 ")
        assert (user.name, user.display_name, user.region, user.locale) == (
            "li",
            "李 伟",
            "TW",
            "zh",
        )
        assert get_user(connection, "LI") == user
        with pytest.raises(UserExistsError, match="li"):
            add_user(connection, "ｌｉ", role="viewer")
        with pytest.raises(FenghuoError, match="no region 'nowhere'"):
            add_user(connection, "wang", role="viewer", region="nowhere")
        with pytest.raises(NoUserError, match="wang"):
            get_user(connection, "wang")
        with pytest.raises(FenghuoError, match="no region"):
            set_access(connection, "li", role=None, region="nowhere")
        assert get_user(connection, "li").region == "TW"


def test_the_first_admin_is_made_once(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        first = first_admin(connection)
        assert first
        user = get_user(connection, first.name)
        assert user.is_admin
        assert user.must_change_password
        assert first_admin(connection) is None


def test_an_admin_manages_the_own_region_only(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        add_user(connection, "here", role="officer", region="TW-TPE")
        add_user(connection, "there", role="officer", region="TW-KHH")
        assert [user.name for user in list_users(connection, within="TW-TPE")] == ["here"]
        with pytest.raises(NotYoursError):
            set_access(connection, "there", role="viewer", region=None, within="TW-TPE")
        with pytest.raises(NotYoursError):
            set_access(connection, "here", role=None, region="TW", within="TW-TPE")
        with pytest.raises(NotYoursError):
            add_user(connection, "new", role="viewer", within="TW-TPE")


# ---------------------------------------------------------------- small cells


@pytest.mark.parametrize("how", ["password", "disable", "disable and enable", "remove"])
def test_a_sign_in_checked_before_a_change_begins_no_session(database_url: str, how: str) -> None:
    lifetimes = Lifetimes(timedelta(hours=1), timedelta(hours=9))
    with psycopg.connect(database_url, autocommit=True) as connection:
        user = add_user(connection, "li", role="officer")
        assert begin_session(connection, user, lifetimes=lifetimes, former=None)
        match how:
            case "password":
                set_password(connection, "li", GOOD, must_change=False)
            case "remove":
                remove_user(connection, "li")
            case _:
                set_disabled(connection, "li", disabled=True)
                if "enable" in how:
                    set_disabled(connection, "li", disabled=False)
        assert begin_session(connection, user, lifetimes=lifetimes, former=None) is None
    assert rows(database_url, "SELECT count(*) FROM web_sessions") == [(0,)]


@pytest.mark.parametrize("text", ["li\0", "\ud800"])
def test_text_that_no_name_can_be_is_nobody(database_url: str, text: str) -> None:
    with psycopg.connect(database_url) as connection:
        assert find_user(connection, text) is None


@pytest.mark.parametrize("how", ["disable", "demote", "move", "remove"])
def test_the_last_admin_of_the_nation_stays(database_url: str, how: str) -> None:
    def change(connection: psycopg.Connection, name: str) -> None:
        match how:
            case "disable":
                set_disabled(connection, name, disabled=True)
            case "demote":
                set_access(connection, name, role="officer", region=None)
            case "move":
                set_access(connection, name, role=None, region="TW-TPE")
            case _:
                remove_user(connection, name)

    with psycopg.connect(database_url, autocommit=True) as connection:
        add_user(connection, "boss", role="admin")
        add_user(connection, "below", role="admin", region="TW-KHH")
        add_user(connection, "gone", role="admin")
        set_disabled(connection, "gone", disabled=True)
        with pytest.raises(LastAdminError, match="last admin"):
            change(connection, "BOSS")
        assert get_user(connection, "boss").region == "TW"
        add_user(connection, "second", role="admin")
        change(connection, "boss")
        with pytest.raises(LastAdminError):
            change(connection, "second")


def test_two_admins_do_not_disable_each_other_at_once(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        add_user(connection, "one", role="admin")
        add_user(connection, "two", role="admin")
    refused: list[Exception] = []

    def other() -> None:
        with psycopg.connect(database_url) as connection:
            try:
                set_disabled(connection, "one", disabled=True)
            except LastAdminError as error:
                refused.append(error)

    with psycopg.connect(database_url) as connection:
        set_disabled(connection, "two", disabled=True)
        thread = threading.Thread(target=other)
        thread.start()
        waiting = (
            "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() "
            "AND wait_event_type = 'Lock'"
        )
        while thread.is_alive() and not rows(database_url, waiting):
            time.sleep(0.01)
        connection.commit()
        thread.join(60)
        assert not get_user(connection, "one").disabled
    assert len(refused) == 1


def test_only_viewers_are_not_shown_exact_counts() -> None:
    assert [role for role in ROLES if not sees_all(role)] == ["viewer"]
