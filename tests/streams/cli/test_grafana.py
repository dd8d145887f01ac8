"""`fenghuo grafana sync` against a server on loopback."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg import sql

from schemas.alerts import Commented, Merged, Verified
from streams.errors import FenghuoError
from streams.grafana.dashboards import dashboards_folder
from streams.grafana.errors import (
    GrafanaAwayError,
    GrafanaConflictError,
    GrafanaDeniedError,
    GrafanaError,
)
from tests.support.alerts import decide, open_alert
from tests.support.grafana_server import TOKEN, GrafanaServer
from tests.support.store import rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from typer.testing import Result

    Run = Callable[..., Result]

PAGE = "https://page.example"
SIGNAL = {"uid": "fenghuo-signal", "title": "Signal", "schemaVersion": 42}
REGION = {"uid": "fenghuo-region", "title": "Region", "schemaVersion": 42}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[GrafanaServer]:
    with GrafanaServer() as running:
        monkeypatch.setenv("FENGHUO_GRAFANA_URL", running.url)
        monkeypatch.setenv("FENGHUO_GRAFANA_TOKEN", TOKEN)
        monkeypatch.setenv("FENGHUO_GRAFANA_DATABASE", "postgresql://reader:pw@db:5432/fenghuo")
        monkeypatch.setenv("FENGHUO_WEB_URL", PAGE)
        yield running


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for model in (SIGNAL, REGION):
        (tmp_path / f"{model['uid']}.json").write_text(json.dumps(model))
    monkeypatch.setattr("streams.grafana.dashboards.dashboards_folder", lambda: tmp_path)
    return tmp_path


class Sync:
    """The command; what became of each thing by name, and of alerts by what became of them."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def __call__(self, *options: str) -> dict[str, str]:
        done: dict[str, str] = {}
        for one in json.loads(self._run("grafana", "sync", "--json", *options).stdout):
            if one["kind"] == "annotations":
                done[f"{one['action']} {one['name']}"] = str(one["number"])
            else:
                done[one["name"]] = one["action"]
        return done


@pytest.fixture
def sync(run: Run, database: str, folder: Path) -> Sync:
    return Sync(run)


def fill(database: str) -> None:
    open_alert(database)
    open_alert(database, region="TW-TAO")
    decide(database, open_alert(database, rule="ili-rolling"), Merged(into=1))


CREATED = {
    "烽火 Fenghuo": "created",
    "Fenghuo": "created",
    "Signal": "created",
    "Region": "created",
    "created alerts": "2",
}
UNCHANGED = {
    "烽火 Fenghuo": "unchanged",
    "Fenghuo": "unchanged",
    "Signal": "unchanged",
    "Region": "unchanged",
    "unchanged alerts": "2",
}


def test_everything_is_created_and_then_nothing_is_written(
    sync: Sync, run: Run, server: GrafanaServer, database: str
) -> None:
    fill(database)
    assert sync() == CREATED
    assert server.folders["fenghuo"]["title"] == "烽火 Fenghuo"
    assert server.datasources["fenghuo"]["url"] == "db:5432"
    assert server.passwords == {"fenghuo": "pw"}
    assert server.dashboards["fenghuo-signal"]["folderUid"] == "fenghuo"
    assert rows(database, "SELECT url FROM screen_links WHERE name = 'page'") == [(PAGE,)]
    assert len(server.annotations) == 2
    assert all(f'href="{PAGE}/alerts/' in row["text"] for row in server.annotations.values())
    server.writes.clear()
    assert sync() == UNCHANGED
    assert "Nothing was changed." in run("grafana", "sync").output
    assert server.writes == []


def test_a_dry_run_tells_and_writes_nothing(
    sync: Sync, run: Run, server: GrafanaServer, database: str
) -> None:
    fill(database)
    assert sync("--dry-run") == CREATED
    assert server.writes == []
    assert rows(database, "SELECT * FROM links") == []
    sync()
    output = run("grafana", "sync", "--dry-run").output
    assert "What a sync would do" in output
    assert "Nothing would be changed." in output


def test_ours_come_to_grafana_whole(run: Run, server: GrafanaServer, database: str) -> None:
    run("grafana", "sync")
    files = {path.stem for path in dashboards_folder().glob("*.json")}
    assert len(server.dashboards) == len(files)
    server.writes.clear()
    run("grafana", "sync")
    assert server.writes == []


# -- dashboards -----------------------------------------------------------------------------------


def test_a_newer_dashboard_takes_the_place_of_ours(
    sync: Sync, server: GrafanaServer, folder: Path
) -> None:
    sync()
    (folder / "fenghuo-region.json").write_text(json.dumps(REGION | {"title": "New"}))
    assert sync()["New"] == "updated"
    saved = server.dashboards["fenghuo-region"]
    assert [one["version"] for one in saved["versions"]] == [1, 2]
    assert saved["model"]["title"] == "New"


def test_a_dashboard_that_grafana_migrated_is_unchanged(sync: Sync, server: GrafanaServer) -> None:
    sync()
    server.migrates = True
    server.writes.clear()
    assert sync()["Signal"] == "unchanged"
    assert server.writes == []


def test_what_was_changed_by_hand_stays_unless_it_is_to_be_overwritten(
    sync: Sync, run: Run, server: GrafanaServer, database: str
) -> None:
    sync()
    server.changed_by_hand("fenghuo-signal", title="By hand")
    fill(database)
    with pytest.raises(FenghuoError, match="fenghuo-signal was changed in Grafana") as error:
        run("grafana", "sync")
    assert "--overwrite" in str(error.value)
    assert "fenghuo-region" not in str(error.value)
    assert server.dashboards["fenghuo-signal"]["model"]["title"] == "By hand"
    # Everything else is done.
    assert len(server.annotations) == 2
    assert sync("--overwrite")["Signal"] == "updated"
    assert server.dashboards["fenghuo-signal"]["model"]["title"] == "Signal"
    assert sync() == UNCHANGED


def test_somebody_who_saves_at_the_same_moment_wins(
    run: Run, sync: Sync, server: GrafanaServer, folder: Path
) -> None:
    sync()
    (folder / "fenghuo-signal.json").write_text(json.dumps(SIGNAL | {"title": "New"}))

    def once() -> None:
        server.before_save = lambda: None
        server.changed_by_hand("fenghuo-signal", title="By hand")

    server.before_save = once
    with pytest.raises(FenghuoError, match="fenghuo-signal was changed in Grafana by hand"):
        run("grafana", "sync")
    assert server.dashboards["fenghuo-signal"]["model"]["title"] == "By hand"


@pytest.mark.parametrize("place", [1, 3, 6])
def test_an_answer_that_got_lost_is_no_change_by_hand(
    sync: Sync, server: GrafanaServer, place: int
) -> None:
    """Of the folder, the data source, the first dashboard."""
    server.faults.extend(["fine"] * place + ["lost"])  # type: ignore[arg-type]
    sync()
    assert not server.faults
    assert [one["version"] for one in server.dashboards["fenghuo-region"]["versions"]] == [1]
    assert set(sync().values()) == {"unchanged"}


def test_a_dashboard_stays_where_people_moved_it(
    sync: Sync, server: GrafanaServer, folder: Path
) -> None:
    sync()
    server.folders["other"] = {"uid": "other", "title": "Other", "version": 1}
    server.dashboards["fenghuo-region"]["folderUid"] = "other"
    (folder / "fenghuo-region.json").write_text(json.dumps(REGION | {"title": "New"}))
    assert sync()["New"] == "updated"
    assert server.dashboards["fenghuo-region"]["folderUid"] == "other"


def test_what_files_provision_is_left_to_them(sync: Sync, server: GrafanaServer) -> None:
    sync()
    server.dashboards["fenghuo-signal"]["provisioned"] = True
    server.changed_by_hand("fenghuo-signal", title="From a file")
    server.datasources["fenghuo"] |= {"readOnly": True, "user": "other"}
    server.writes.clear()
    done = sync()
    assert (done["Signal"], done["Fenghuo"]) == ("kept", "kept")
    assert server.writes == []


# -- folder and data source -----------------------------------------------------------------------


def test_a_renamed_folder_keeps_its_name_unless_it_is_to_be_overwritten(
    sync: Sync, server: GrafanaServer
) -> None:
    sync()
    server.folders["fenghuo"] |= {"title": "CDC", "version": 5}
    assert sync()["CDC"] == "kept"
    assert sync("--overwrite")["烽火 Fenghuo"] == "updated"
    assert server.folders["fenghuo"]["title"] == "烽火 Fenghuo"


def test_a_changed_setting_changes_the_data_source_and_nothing_else_of_it(
    sync: Sync, server: GrafanaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync()
    server.datasources["fenghuo"]["jsonData"]["maxOpenConns"] = 7
    server.datasources["fenghuo"]["isDefault"] = True
    monkeypatch.setenv("FENGHUO_GRAFANA_DATABASE", "postgresql://reader:new@db2/fenghuo")
    assert sync()["Fenghuo"] == "updated"
    stored = server.datasources["fenghuo"]
    assert (stored["url"], stored["isDefault"]) == ("db2:5432", True)
    assert stored["jsonData"]["maxOpenConns"] == 7
    assert server.passwords == {"fenghuo": "new"}
    assert sync()["Fenghuo"] == "unchanged"


def test_a_password_that_grafana_cannot_use_is_sent_again_and_the_problem_told(
    run: Run, sync: Sync, server: GrafanaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync()
    server.health = ("ERROR", "password authentication failed for user reader")
    monkeypatch.setenv("FENGHUO_GRAFANA_DATABASE", "postgresql://reader:new@db:5432/fenghuo")
    output = " ".join(run("grafana", "sync").stdout.split())
    assert "Grafana cannot use it: password authentication failed" in output
    assert server.passwords == {"fenghuo": "new"}
    server.health = ("OK", "Database Connection OK")
    assert sync()["Fenghuo"] == "unchanged"


def test_without_its_setting_the_data_source_is_left_alone(
    sync: Sync, server: GrafanaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FENGHUO_GRAFANA_DATABASE", "")
    assert sync()["fenghuo"] == "left out"
    assert server.datasources == {}


def test_a_role_that_may_write_is_refused(
    sync: Sync, server: GrafanaServer, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    role = "fenghuo_test_writer"
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(role)))
        try:
            uri = f"postgresql://{role}:pw@db/fenghuo"
            monkeypatch.setenv("FENGHUO_GRAFANA_DATABASE", uri)
            sync()
            connection.execute(sql.SQL("GRANT UPDATE ON alerts TO {}").format(sql.Identifier(role)))
            with pytest.raises(FenghuoError, match=f"The role {role} .* may change tables"):
                sync()
        finally:
            connection.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(role)))
            connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))


# -- annotations ----------------------------------------------------------------------------------


def test_all_annotations_are_brought_in_step(
    sync: Sync, server: GrafanaServer, database: str
) -> None:
    fill(database)
    sync()
    gone, changed = sorted(server.annotations)
    right = dict(server.annotations[changed])
    del server.annotations[gone]
    server.annotations[changed]["text"] = "something else"
    server.annotations[901] = {**right, "id": 901}
    server.annotations[902] = {**right, "id": 902, "tags": ["fenghuo", "alert:3"]}
    done = sync()
    assert (done["created alerts"], done["updated alerts"], done["removed alerts"]) == ("1",) * 3
    assert len(server.annotations) == 2
    assert server.annotations[changed] == right
    assert sync()["unchanged alerts"] == "2"


def test_other_annotations_are_nobodys_business(
    sync: Sync, server: GrafanaServer, database: str
) -> None:
    """Of another installation, of people, and of those who use our tag."""
    fill(database)
    sync()
    ours = dict(server.annotations)
    others = {
        number: {"id": number, "time": 1, "timeEnd": 1, "text": "x", "tags": tags}
        for number, tags in ((901, ["fenghuo", "alert:77"]), (902, ["deploy"]), (903, ["fenghuo"]))
    }
    server.annotations |= others
    assert sync()["kept other alerts"] == "1"
    assert server.annotations == ours | others
    assert sync("--overwrite")["removed other alerts"] == "1"
    del others[901]
    assert server.annotations == ours | others


def test_another_page_is_told_to_grafana(
    sync: Sync, server: GrafanaServer, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(database)
    sync()
    monkeypatch.setenv("FENGHUO_WEB_URL", "https://new.example")
    done = sync()
    assert (done["Signal"], done["updated alerts"]) == ("unchanged", "2")
    assert all("https://new.example/" in row["text"] for row in server.annotations.values())


def test_a_decision_is_seen_and_a_remark_is_not(
    sync: Sync, server: GrafanaServer, database: str
) -> None:
    fill(database)
    sync()
    decide(database, 1, Verified())
    assert sync()["updated alerts"] == "1"
    server.writes.clear()
    decide(database, 1, Commented(note="x"))
    assert sync()["unchanged alerts"] == "2"
    assert server.writes == []


# -- what goes wrong ------------------------------------------------------------------------------


def test_a_short_absence_is_waited_for(sync: Sync, server: GrafanaServer, database: str) -> None:
    fill(database)
    server.faults.extend(["503", "fine", "429", "fine", "drop"])
    assert sync() == CREATED


def test_a_grafana_that_is_away(
    run: Run, sync: Sync, server: GrafanaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.cli.grafana._ATTEMPTS", 2)
    server.stop()
    with pytest.raises(GrafanaAwayError, match="cannot be reached: connection refused"):
        sync()


def test_a_wrong_token(sync: Sync, monkeypatch: pytest.MonkeyPatch, server: GrafanaServer) -> None:
    monkeypatch.setenv("FENGHUO_GRAFANA_TOKEN", "glsa_wrong")
    with pytest.raises(GrafanaDeniedError, match="does not know the token"):
        sync()


@pytest.mark.parametrize(
    ("method", "path", "what"),
    [
        ("POST", "/folders", "create folders"),
        ("POST", "/datasources", "create data sources"),
        ("POST", "/dashboards", "save dashboards"),
        ("POST", "/annotations", "add annotations"),
        ("GET", "/annotations", "read annotations"),
    ],
)
def test_a_missing_right_is_named(
    sync: Sync, server: GrafanaServer, database: str, method: str, path: str, what: str
) -> None:
    fill(database)
    server.forbidden = {(method, path)}
    with pytest.raises(GrafanaDeniedError, match=f"may not {what}"):
        sync()


def test_a_name_that_is_taken(sync: Sync, server: GrafanaServer) -> None:
    sync()
    server.datasources["mine"] = server.datasources.pop("fenghuo") | {"uid": "mine"}
    with pytest.raises(GrafanaConflictError, match="the same name already exists"):
        sync()


def test_an_annotation_that_is_refused_is_told(
    sync: Sync, server: GrafanaServer, database: str
) -> None:
    fill(database)
    server.refuses = lambda body: "alert:1" in body["tags"]
    with pytest.raises(GrafanaError, match=r"Annotations were not taken \(1\): .*text is wrong"):
        sync()
    assert len(server.annotations) == 1


@pytest.mark.parametrize("missing", ["FENGHUO_GRAFANA_URL", "FENGHUO_GRAFANA_TOKEN"])
def test_settings_that_are_missing_are_named(
    sync: Sync, server: GrafanaServer, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.setenv(missing, "")
    with pytest.raises(FenghuoError, match=f"{missing} is not set"):
        sync()


def test_the_api_may_have_another_address_than_people_use(
    sync: Sync, server: GrafanaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FENGHUO_GRAFANA_API_URL", server.url)
    monkeypatch.setenv("FENGHUO_GRAFANA_URL", "https://grafana.example")
    assert sync()["Signal"] == "created"
