"""The image: what it installs is locked, what it copies is there, what it runs is not root."""

from __future__ import annotations

import fnmatch
import re
import tomllib
from typing import Any, Final

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from typer.main import get_command

from streams.cli.main import app
from streams.settings import Settings
from tests.support.compose import PASSWORDS, ROOT, load_compose

DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
PROJECT: Final[dict[str, Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
LOCKS = ("requirements-run.lock", "requirements-build.lock")


def instructions(name: str) -> list[str]:
    joined = DOCKERFILE.replace("\\\n", " ")
    return re.findall(rf"^{name} +(.+)$", joined, re.MULTILINE)


def locked(name: str) -> dict[str, tuple[str, frozenset[str]]]:
    """Return version and hashes of each distribution, by its name and marker."""
    found: dict[str, tuple[str, frozenset[str]]] = {}
    text = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", " ")
    for line in re.findall(r"^[a-z].*$", text, re.MULTILINE):
        pin, *hashes = line.split("--hash=")
        requirement = Requirement(pin.strip())
        name_ = canonicalize_name(requirement.name)
        found[name_] = (str(requirement.specifier), frozenset(map(str.strip, hashes)))
    return found


WHOLE = locked("requirements.lock")


@pytest.mark.parametrize("lock", LOCKS)
def test_pins_are_those_that_were_tested(lock: str) -> None:
    pins = locked(lock)
    assert pins
    for name, (version, hashes) in pins.items():
        assert hashes, name
        assert (version, hashes) == WHOLE[name], name


def test_no_lock_names_a_registry() -> None:
    for lock in ("requirements.lock", *LOCKS):
        assert "://" not in (ROOT / lock).read_text(encoding="utf-8")


def names(requirements: list[str]) -> set[str]:
    return {canonicalize_name(Requirement(one).name) for one in requirements}


def test_what_runs_is_locked_and_nothing_for_developers() -> None:
    project = PROJECT["project"]
    pins = locked("requirements-run.lock").keys()
    assert names(project["dependencies"]) <= pins
    extras = project["optional-dependencies"]
    assert not names(extras["dev"] + extras["embedded"]) & pins
    assert names(PROJECT["build-system"]["requires"]) <= locked("requirements-build.lock").keys()


def test_the_version_is_the_project_s() -> None:
    version = PROJECT["project"]["version"]
    assert f'org.opencontainers.image.version="{version}"' in DOCKERFILE
    assert load_compose(PASSWORDS)["services"]["worker"]["image"] == f"fenghuo:{version}"


def test_base_images_have_a_version_and_agree() -> None:
    bases = [line.split()[0] for line in instructions("FROM")]
    found = [re.fullmatch(r"python:(3\.\d+\.\d+)(-slim)?-bookworm", base) for base in bases]
    assert len(found) == 2
    assert len({match[1] if match else None for match in found}) == 1  # one ABI for the libraries
    python = found[0]
    assert python is not None
    minor = ".".join(python[1].split(".")[:2])
    assert f"Programming Language :: Python :: {minor}" in PROJECT["project"]["classifiers"]


def copied() -> list[str]:
    return [
        source
        for line in instructions("COPY")
        if not line.startswith("--from")
        for source in line.split()[:-1]
    ]


def ignored(path: str) -> bool:
    """Tell whether .dockerignore keeps a path from the builder; the last rule that fits holds."""
    decided = False
    for rule in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        if not rule or rule.startswith("#"):
            continue
        pattern = rule.removeprefix("!").removeprefix("**/")
        parts = [path] if not rule.startswith("**/") else [path.rpartition("/")[2], path]
        top = path.partition("/")[0]
        if any(fnmatch.fnmatch(part, pattern) for part in [*parts, top]):
            decided = not rule.startswith("!")
    return decided


def test_what_is_copied_is_there_and_sent_to_the_builder() -> None:
    assert {"streams", "dashboards", "requirements-run.lock"} <= set(copied())
    for source in copied():
        assert (ROOT / source).exists()
        assert not ignored(source), source
    packages = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert set(packages) <= set(copied())


@pytest.mark.parametrize(
    "path",
    [".env", ".git", ".venv", "config", "config/settings.env", "streams/.env", "tests",
     "streams/demo/__pycache__", "streams/x.pyc", "fenghuo.yaml", "docs"],
)  # fmt: skip
def test_secrets_and_work_files_are_not_sent(path: str) -> None:
    assert ignored(path)


def test_it_does_not_run_as_root() -> None:
    (user,) = instructions("USER")
    number, _, group = user.partition(":")
    assert int(number) == int(group) >= 10_000
    assert f"--uid {number}" in DOCKERFILE
    last_from = DOCKERFILE.rindex("\nFROM ")
    assert DOCKERFILE.index("\nUSER ") > last_from


def test_commands_are_in_exec_form_and_exist() -> None:
    command: Any = get_command(app)
    assert instructions("ENTRYPOINT") == ['["fenghuo"]']
    assert instructions("CMD") == ['["worker"]']
    assert 'CMD ["fenghuo", "health", "worker"]' in instructions("HEALTHCHECK")[0]
    assert "worker" in command.commands
    assert "worker" in command.commands["health"].commands


def test_its_environment_is_settings() -> None:
    named = re.findall(r"\bFENGHUO_([A-Z_]+)=(\S+)", instructions("ENV")[-1])
    assert {name.lower() for name, _ in named} <= set(Settings.model_fields)
    assert int(dict(named)["WEB_PORT"]) > 0  # what the health check asks
    (port,) = instructions("EXPOSE")
    assert int(port) == Settings.model_fields["page_port"].default
