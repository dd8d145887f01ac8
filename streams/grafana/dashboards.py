"""The dashboards as they are installed. They say the same everywhere: addresses come by queries."""

from __future__ import annotations

import hashlib
import json
import re
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from streams.errors import FenghuoError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Dashboard", "dashboards_folder", "load_dashboards", "note_of", "noted_fingerprint"]

_NOTE: Final = "fenghuo grafana sync "
#: What Grafana gives a dashboard, and is no part of its content.
_OF_GRAFANA: Final = frozenset({"id", "version", "iteration"})


class Dashboard(NamedTuple):
    """One dashboard as Grafana should have it."""

    uid: str
    title: str
    model: dict[str, Any]

    @property
    def fingerprint(self) -> str:
        """What tells this content from another one."""
        return hashlib.sha256(_canonical(self.model).encode()).hexdigest()[:12]

    def is_shown_by(self, model: Mapping[str, Any]) -> bool:
        """Whether Grafana's dashboard is this one."""
        return _canonical(model) == _canonical(self.model)


def dashboards_folder() -> Path:
    """Return where the dashboards are: in the installed package, or in the source tree.

    Raises
    ------
    FenghuoError
        They are in neither.
    """
    packaged = Path(str(resources.files("streams.grafana") / "data"))
    source = Path(__file__).resolve().parents[2] / "dashboards"
    for folder in (packaged, source):
        if folder.is_dir():
            return folder
    raise FenghuoError(f"There are no dashboards in {packaged} or {source}. Install fenghuo again.")


def load_dashboards(folder: Path) -> list[Dashboard]:
    """Read all dashboards of a folder; subfolders are left out.

    Raises
    ------
    FenghuoError
        A file is no dashboard, has no uid, or has that of another one.
    """
    found: dict[str, Dashboard] = {}
    for path in sorted(folder.glob("*.json")):
        try:
            model = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise FenghuoError(f"{path}: not JSON: {error}. Install fenghuo again.") from None
        uid = model.get("uid") if isinstance(model, dict) else None
        if not isinstance(uid, str) or not uid:
            raise FenghuoError(f"{path}: a dashboard needs a uid. Install fenghuo again.")
        if uid in found:
            raise FenghuoError(f"{path}: another file has the uid {uid} as well. Remove one.")
        model = {key: value for key, value in model.items() if key not in _OF_GRAFANA}
        found[uid] = Dashboard(uid, str(model.get("title") or uid), model)
    return list(found.values())


def note_of(dashboard: Dashboard) -> str:
    """Return what is noted in a dashboard's history when it is saved.

    By it the next sync knows what it finds; the content that Grafana gives back may differ from
    what it was given, since it brings dashboards up to its own schema.
    """
    return f"{_NOTE}{dashboard.fingerprint}"


def noted_fingerprint(message: str) -> str | None:
    """Return the fingerprint of `note_of`; None: somebody else saved this version.

    Examples
    --------
    >>> noted_fingerprint("fenghuo grafana sync 0123456789ab")
    '0123456789ab'
    >>> noted_fingerprint("Changed a title") is None
    True
    """
    found = re.fullmatch(rf"{_NOTE}([0-9a-f]{{12}})", message.strip())
    return found[1] if found else None


def _canonical(model: Mapping[str, Any]) -> str:
    content = {key: value for key, value in model.items() if key not in _OF_GRAFANA}
    return json.dumps(content, sort_keys=True, ensure_ascii=False)
