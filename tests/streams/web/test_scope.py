"""Nobody sees or changes an alert, or a user, outside their region, by whatever route."""

from __future__ import annotations

import json
from itertools import product
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from streams.config import load_configuration
from streams.people.users import ROLES
from streams.settings import Settings
from streams.store.migrate import migrate
from streams.web.app import create_web
from streams.web.gate import PUBLIC, PUBLIC_FOLDER
from tests.conftest import CONFIG, make_database
from tests.support.alerts import PERIOD, figures, open_alert
from tests.support.store import rows
from tests.support.web import PASSWORD, Answer, Browser, add, serving
from tests.support.web_routes import Route, all_routes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.config import Configuration

#: A tree of four levels: code, level, and the code of the region above.
TREE: Final = {
    "T": ("nation", ""),
    "A": ("province", "T"),
    "A1": ("prefecture", "A"),
    "A1a": ("county", "A1"),
    "A2": ("county", "A"),
    "B": ("province", "T"),
    "B1": ("county", "B"),
}
REGIONS: Final = tuple(TREE)

#: What each step needs, so that only the region can be what is wrong.
STEPS: Final[dict[str, dict[str, Any]]] = {
    "acknowledge": {},
    "comment": {"note": "x"},
    "assign": {"to": None},
    "verify": {},
    "discard": {"outcome": "explained"},
    "merge": {"into": 0},
    "monitor": {},
    "assess": {"likelihood": "likely", "consequence": "minor"},
    "confirm": {},
    "close": {"outcome": "explained"},
    "reopen": {},
}


class Placed(NamedTuple):
    alert_id: int
    region: str
    marker: int

    def is_told_in(self, answer: Answer) -> bool:
        return any(text.encode() in answer.body for text in (str(self.marker), f"{self.marker:,}"))


def inside(region: str, of: str) -> bool:
    while region != of:
        if not region:
            return False
        region = TREE[region][1]
    return True


@pytest.fixture(scope="module")
def deep(tmp_path_factory: pytest.TempPathFactory) -> Configuration:
    """A configuration with that tree."""
    folder = tmp_path_factory.mktemp("tree")
    lines = [
        f"{code},{level},{above},{code}区,Area {code}" for code, (level, above) in TREE.items()
    ]
    (folder / "tree.csv").write_text("\n".join(["code,level,parent,name_zh,name_en", *lines]))
    text = CONFIG.read_text(encoding="utf-8").replace("regions: tw", "regions: tree.csv")
    (folder / "tree.yaml").write_text(text, encoding="utf-8")
    return load_configuration(folder / "tree.yaml")


@pytest.fixture(scope="module")
def tree(database_server: str, deep: Configuration) -> Iterator[str]:
    with make_database(database_server) as uri:
        migrate(uri, deep)
        yield uri


@pytest.fixture(scope="module")
def url(tree: str, deep: Configuration) -> Iterator[str]:
    with serving(create_web(Settings(database=tree), deep)) as found:
        yield found


@pytest.fixture(scope="module")
def routes(configuration: Configuration) -> list[Route]:
    public = PUBLIC | {f"{PUBLIC_FOLDER}{{path}}", f"{PUBLIC_FOLDER}bokeh/{{path}}"}
    found = all_routes(create_web(Settings(), configuration))
    return [route for route in found if route.path not in public]


def fill(database: str, regions: list[str]) -> list[Placed]:
    """Begin anew with an alert in each region, each with a count that no other has."""
    with psycopg.connect(database) as connection:
        for table in ("users", "alerts", "alert_events", "verdicts", "sign_in_failures"):
            connection.execute(
                psycopg.sql.SQL("DELETE FROM {}").format(psycopg.sql.Identifier(table))
            )
    placed = []
    for number, region in enumerate(regions):
        marker = 41_777 + 137 * number
        alert_id = open_alert(database, region=region, figures=figures(marker), peak=marker)
        rows(
            database,
            "INSERT INTO verdicts (rule, region, period, observed, expected, upper, alarm, reason, "
            "as_of, config_version) VALUES ('ili-week', %s, %s, %s, 5, 9, true, 'ok', now(), 'x') "
            "RETURNING 1",
            region,
            PERIOD,
            marker,
        )
        placed.append(Placed(alert_id, region, marker))
    return placed


def versions(database: str) -> dict[int, int]:
    return dict(rows(database, "SELECT alert_id, version FROM alerts"))


def signed(url: str, database: str, name: str) -> Browser:
    browser = Browser(url)
    assert browser.sign_in(name).status == 303
    (found,) = rows(database, "SELECT csrf_token FROM web_sessions")
    browser.headers["X-CSRF-Token"] = found[0]
    return browser


@given(
    scope=st.sampled_from(REGIONS),
    role=st.sampled_from(ROLES),
    regions=st.lists(st.sampled_from(REGIONS), unique=True, min_size=3, max_size=4),
)
@settings(
    max_examples=8,
    # Each example is some hundred requests: a smaller one would not be clearer.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_no_route_shows_or_changes_what_lies_outside(
    tree: str, url: str, routes: list[Route], scope: str, role: Any, regions: list[str]
) -> None:
    placed = fill(tree, regions)
    add(tree, "li", role=role, region=scope)
    mine = [one for one in placed if inside(one.region, scope)]
    others = [one for one in placed if not inside(one.region, scope)]
    before = versions(tree)
    with signed(url, tree, "li") as browser:
        listed = {one["alert_id"] for one in browser.get("/api/v1/alerts").json()["items"]}
        assert listed == {one.alert_id for one in mine}
        for route in routes:
            if "{alert_id}" in route.path:
                check_alerts(browser, route, mine, others)
            elif route.method == "GET":
                check_lists(browser, route, others)
        # Nor is one of mine merged into one outside.
        for one, other in product(mine, others):
            path = f"/api/v1/alerts/{one.alert_id}/merge"
            answer = browser.post_json(path, {"seen": 1, "into": other.alert_id})
            assert answer.status == 403
    assert versions(tree) == before


def check_alerts(browser: Browser, route: Route, mine: list[Placed], others: list[Placed]) -> None:
    """Make sure that a route that is about one alert answers for those inside only."""
    for one in others:
        for answer in ask_about(browser, route, one.alert_id, mine):
            assert answer.status == 403, (route, answer.text)
            assert not one.is_told_in(answer)
    if route.method == "GET":
        for one in mine:
            answer = browser.get(route.address(alert_id=one.alert_id))
            assert answer.status == 200, (route, answer.text)


def check_lists(browser: Browser, route: Route, others: list[Placed]) -> None:
    """Make sure that a route that is about no alert tells nothing of those outside."""
    for answer in look_at(browser, route, others):
        assert answer.status < 500, (route, answer.text)
        for one in others:
            assert not one.is_told_in(answer), route


def ask_about(
    browser: Browser, route: Route, alert_id: int, mine: list[Placed]
) -> Iterator[Answer]:
    """Ask a route for an alert, or have it change the alert in every way."""
    if route.method == "GET":
        yield browser.get(route.address(alert_id=alert_id))
        return
    into = mine[0].alert_id if mine else alert_id + 1
    for verb, fields in STEPS.items():
        body = fields | ({"into": into} if verb == "merge" else {})
        if route.path.startswith("/api/"):
            if not route.path.endswith(f"/{verb}"):
                continue
            seen = {} if verb in {"acknowledge", "comment"} else {"seen": 1}
            yield browser.post_json(route.address(alert_id=alert_id), body | seen)
        else:
            form = {name: str(value or "") for name, value in body.items()} | {"seen": "1"}
            yield browser.post_form(route.address(alert_id=alert_id, verb=verb), form)


def look_at(browser: Browser, route: Route, others: list[Placed]) -> Iterator[Answer]:
    """Ask a route that is about no alert, also for the regions outside."""
    if "{code}" in route.path:
        for one in others:
            answer = browser.get(route.address(code=one.region))
            assert answer.status == 403, (route, answer.text)
            yield answer
        return
    if "{" in route.path:
        return
    yield browser.get(route.path)
    for one in others[:2]:
        for query in (f"region={one.region}", f"q={one.alert_id}"):
            yield browser.get(f"{route.path}?{query}")


# ---------------------------------------------------------------- admins of a part


def test_an_admin_of_a_county_manages_that_county_only(tree: str, url: str) -> None:
    fill(tree, [])
    add(tree, "boss", role="admin", region="A1")
    add(tree, "below", role="officer", region="A1a")
    add(tree, "aside", role="officer", region="B1")
    add(tree, "above", role="admin", region="T")

    def state() -> list[Any]:
        return rows(
            tree,
            "SELECT name, role, region, disabled, password_hash FROM users "
            "WHERE name IN ('aside', 'above', 'boss') ORDER BY name",
        )

    before = state()
    with signed(url, tree, "boss") as browser:
        shown = browser.get("/users").text
        assert "below" in shown
        assert "aside" not in shown
        assert ">above<" not in shown
        for name in ("aside", "above"):
            for path, form in (
                ("role", {"role": "viewer", "region": "A1"}),
                ("disable", {}),
                ("enable", {}),
                ("password", {}),
            ):
                assert browser.post_form(f"/users/{name}/{path}", form).status == 403, path
        wide = {"role": "admin", "region": "T"}
        assert browser.post_form("/users/below/role", wide).status == 403
        new = {"name": "new", "display_name": "", "role": "admin", "region": "B1"}
        assert browser.post_form("/users", new).status == 403
        assert browser.post_form("/users/boss/role", wide).status in {403, 422}
        fine = {"role": "viewer", "region": "A1"}
        assert browser.post_form("/users/below/role", fine).status == 303
    assert state() == before
    assert rows(tree, "SELECT count(*) FROM users") == [(4,)]


def test_only_admins_manage_users(tree: str, url: str, routes: list[Route]) -> None:
    for role in ("viewer", "officer", "epidemiologist"):
        fill(tree, [])
        add(tree, "li", role=role, region="T")
        add(tree, "other", role="viewer", region="T")
        with signed(url, tree, "li") as browser:
            managing = [route for route in routes if route.path.startswith("/users")]
            assert managing
            for route in managing:
                fields = {"name": "x", "role": "admin", "region": "T"}
                address = route.address(name="other")
                answer = (
                    browser.get(address)
                    if route.method == "GET"
                    else browser.post_form(address, fields)
                )
                assert answer.status == 403, route
            assert PASSWORD not in json.dumps(browser.get("/api/v1/me").json())
