from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from streams.errors import FenghuoError
from streams.grafana.dashboards import (
    dashboards_folder,
    load_dashboards,
    note_of,
    noted_fingerprint,
)

if TYPE_CHECKING:
    from pathlib import Path


def write(folder: Path, name: str, **fields: Any) -> None:
    model = {"uid": name, "title": name.title(), "id": 5, "version": 9} | fields
    (folder / f"{name}.json").write_text(json.dumps(model))


def test_all_files_of_the_folder_are_read_and_no_others(tmp_path: Path) -> None:
    write(tmp_path, "b")
    write(tmp_path, "a")
    (tmp_path / "provisioning").mkdir()
    write(tmp_path / "provisioning", "c")
    (tmp_path / "README.md").write_text("Dashboards")
    assert [one.uid for one in load_dashboards(tmp_path)] == ["a", "b"]


def test_what_grafana_numbers_is_no_content(tmp_path: Path) -> None:
    write(tmp_path, "a")
    (dashboard,) = load_dashboards(tmp_path)
    assert dashboard.model == {"uid": "a", "title": "A"}
    assert dashboard.is_shown_by({"title": "A", "uid": "a", "id": 77, "version": 3})
    assert not dashboard.is_shown_by({"title": "B", "uid": "a", "id": 77, "version": 3})


def test_the_note_of_a_save_tells_the_content(tmp_path: Path) -> None:
    write(tmp_path, "a")
    write(tmp_path, "b")
    one, other = load_dashboards(tmp_path)
    assert one.fingerprint != other.fingerprint
    assert noted_fingerprint(note_of(one)) == one.fingerprint


@pytest.mark.parametrize(
    "message", ["", "fenghuo grafana sync", "fenghuo grafana sync 0123456789AB", "Restored 3"]
)
def test_what_people_note_is_no_fingerprint(message: str) -> None:
    assert noted_fingerprint(message) is None


@pytest.mark.parametrize(
    ("content", "problem"),
    [("{", "not JSON"), ("[]", "needs a uid"), ('{"title": "x"}', "needs a uid")],
)
def test_a_broken_file_is_named(tmp_path: Path, content: str, problem: str) -> None:
    (tmp_path / "broken.json").write_text(content)
    with pytest.raises(FenghuoError, match=rf"broken\.json: .*{problem}"):
        load_dashboards(tmp_path)


def test_a_uid_stands_for_one_dashboard(tmp_path: Path) -> None:
    write(tmp_path, "a")
    write(tmp_path, "b", uid="a")
    with pytest.raises(FenghuoError, match="has the uid a as well"):
        load_dashboards(tmp_path)


def test_ours_are_found_and_read() -> None:
    uids = [one.uid for one in load_dashboards(dashboards_folder())]
    assert len(set(uids)) == len(list(dashboards_folder().glob("*.json")))
    assert all(uid.startswith("fenghuo-") for uid in uids)
