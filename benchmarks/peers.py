"""A second virtual environment: Quix Streams pins versions that clash with ours."""

from __future__ import annotations

import hashlib
import subprocess
import venv
from pathlib import Path

__all__ = ["peers_python"]

_HERE = Path(__file__).resolve().parent
_LOCK = _HERE / "requirements-peers.lock"
_FOLDER = _HERE / ".venv-peers"


def peers_python() -> Path:
    """Return the interpreter of the peers' environment; on first use the environment is made."""
    python = _FOLDER / "bin" / "python"
    stamp = _FOLDER / ".installed"
    wanted = hashlib.sha256(_LOCK.read_bytes()).hexdigest()
    if python.exists() and stamp.exists() and stamp.read_text() == wanted:
        return python
    venv.create(_FOLDER, with_pip=True, clear=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--require-hashes", "-r", str(_LOCK)], check=True)
    stamp.write_text(wanted)
    return python
