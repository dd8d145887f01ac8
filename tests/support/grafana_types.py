"""Grafana's own types, and TypeScript's compiler that checks dashboards against them."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.processes import file_lock, fingerprint, run_tool

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["TypesUnavailable", "complaints", "ensure_types"]

_PROJECT = Path(__file__).resolve().parents[1] / "grafana"
#: The versions of Grafana whose types are asked, the newest one with the options of panels.
_TYPES = ("CheckedDashboard", "Dashboard11Json", "Dashboard12Json")


class TypesUnavailable(RuntimeError):  # noqa: N818 - a reason to skip, not a fault of ours
    """The types cannot be had on this machine; the message says why."""


def ensure_types() -> Path:
    """Bring the types here with npm, once per version of the lock file.

    Returns
    -------
    Path
        The `node_modules` folder.

    Raises
    ------
    TypesUnavailable
        If Node.js or npm is missing, or npm cannot bring the packages.
    """
    modules = _PROJECT / "node_modules"
    stamp = modules / ".fenghuo.sha256"
    if shutil.which("node") is None:
        raise TypesUnavailable("node is not installed: the types need Node.js 20 or newer")
    with file_lock(_PROJECT / "package.json"):
        wanted = fingerprint(_PROJECT / "package.json", _PROJECT / "package-lock.json")
        if stamp.exists() and stamp.read_text() == wanted:
            return modules
        failure = run_tool(["npm", "ci", "--no-audit", "--no-fund"], cwd=_PROJECT)
        if failure is not None:
            raise TypesUnavailable(f"Grafana's types could not be brought here: {failure}")
        stamp.write_text(wanted)
    return modules


def complaints(dashboards: Iterable[dict[str, Any]], folder: Path) -> list[str]:
    """Return what the compiler says about dashboards; nothing where they are right.

    Parameters
    ----------
    folder
        An empty one for the files that are compiled.
    """
    modules = ensure_types()
    (folder / "node_modules").symlink_to(modules)
    shutil.copy(_PROJECT / "checked.ts", folder)
    options = json.loads((_PROJECT / "tsconfig.json").read_text())
    (folder / "tsconfig.json").write_text(json.dumps(options | {"include": ["*.ts"]}))
    for dashboard in dashboards:
        literal = json.dumps(dashboard, ensure_ascii=False, indent=1)
        checks = "\n".join(f"export const as{name}: {name} = {literal};" for name in _TYPES)
        (folder / f"{dashboard['uid']}.ts").write_text(
            f'import type {{ {", ".join(_TYPES)} }} from "./checked";\n{checks}\n', encoding="utf-8"
        )
    compiler = modules / "typescript" / "bin" / "tsc"
    done = subprocess.run(
        ["node", str(compiler), "--pretty", "false", "-p", str(folder)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    return [line for line in done.stdout.splitlines() if line] + done.stderr.splitlines()
