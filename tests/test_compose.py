"""compose.yaml: valid, documented, in step with the settings, and without privileges or secrets."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from importlib.metadata import distribution
from pathlib import Path
from typing import Any, Final

import pytest
from jsonschema import Draft7Validator
from typer.main import get_command

from streams.cli.main import app
from streams.settings import Settings
from streams.web.proxies import trusted_proxies
from tests.support.compose import PASSWORDS, ROOT, Variable, example, load_compose, variables

COMPOSE = load_compose(PASSWORDS)
SERVICES: Final[dict[str, Any]] = COMPOSE["services"]
JOBS = {"owner", "migrate", "roles", "topics", "reader", "demo"}
OURS = {name for name, service in SERVICES.items() if "build" in service}
GUIDE = (ROOT / "docs" / "guides" / "compose.md").read_text(encoding="utf-8")
every_service = pytest.mark.parametrize("name", sorted(SERVICES))


def schema() -> dict[str, Any]:
    """Return the Compose Specification's schema, which check-jsonschema brings."""
    vendored = "check_jsonschema/builtin_schemas/vendor/compose-spec.json"
    path = Path(str(distribution("check-jsonschema").locate_file(vendored)))
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def errors_in(compose: dict[str, Any]) -> list[str]:
    checker = Draft7Validator(schema())
    return [f"{error.json_path}: {error.message}" for error in checker.iter_errors(compose)]


def test_it_is_valid_by_the_compose_specification() -> None:
    assert errors_in(COMPOSE) == []


def test_what_is_not_valid_is_noticed() -> None:
    worker = SERVICES["worker"] | {"depends": ["kafka"], "restart": 3}
    found = errors_in(COMPOSE | {"services": SERVICES | {"worker": worker}})
    assert any("depends" in error for error in found)


def docker_compose(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["docker", "compose", "--project-directory", str(ROOT), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")} | environment,
    )


if shutil.which("docker") and docker_compose("version").returncode == 0:

    def test_docker_compose_reads_it_as_we_do() -> None:
        done = docker_compose(
            "--profile", "demo", "config", "--format", "json", "--no-env-resolution", **PASSWORDS
        )
        assert done.returncode == 0, done.stderr
        read = json.loads(done.stdout)["services"]
        assert read.keys() == SERVICES.keys()
        for name, service in SERVICES.items():
            expected = {k: "" if v is None else str(v) for k, v in service["environment"].items()}
            assert read[name]["environment"] == expected

    def test_docker_compose_names_the_password_that_is_missing() -> None:
        done = docker_compose("config", "--quiet")
        assert done.returncode != 0
        assert all(name in done.stderr for name in PASSWORDS)


# Variables ------------------------------------------------------------------------------------


def test_every_variable_stands_in_the_example_and_no_other() -> None:
    assert {variable.name for variable in variables()} == set(example())


@pytest.mark.parametrize("variable", sorted(set(variables())), ids=lambda used: str(used.name))
def test_the_example_shows_the_default_or_asks_for_a_value(variable: Variable) -> None:
    value, in_comment = example()[variable.name]
    assert in_comment is not variable.required
    assert value == variable.default


@pytest.mark.parametrize("name", sorted(PASSWORDS))
def test_without_a_password_nothing_starts(name: str) -> None:
    with pytest.raises(KeyError, match=name):
        load_compose(PASSWORDS | {name: ""})


def test_every_variable_is_documented() -> None:
    assert [name for name in example() if f"`{name}`" not in GUIDE] == []


def test_no_secret_stands_in_the_file() -> None:
    # With other passwords all that looks like one is another: none is written down.
    other = load_compose(dict.fromkeys(PASSWORDS, "other"))["services"]
    named = [
        (service, key)
        for service, keys in SERVICES.items()
        for key in keys["environment"]
        if re.search(r"PASSWORD|SECRET|TOKEN", key)
    ]
    assert len(named) > len(PASSWORDS)
    for service, key in named:
        if key != "FENGHUO_GRAFANA_TOKEN":
            assert SERVICES[service]["environment"][key] == "p@ss"
            assert other[service]["environment"][key] == "other"


def test_our_variables_are_settings() -> None:
    known = {f"FENGHUO_{name.upper()}" for name in Settings.model_fields}
    named = {
        key for name in OURS for key in SERVICES[name]["environment"] if key.startswith("FENGHUO_")
    } | {name for name in example() if name.startswith("FENGHUO_")}
    assert named <= known


def test_the_settings_of_workers_and_page_are_those_of_the_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for key, value in SERVICES["web"]["environment"].items():
        monkeypatch.setenv(key, "" if value is None else str(value))
    settings = Settings()
    assert settings.kafka == "kafka:9092"
    assert "p@ss" not in settings.database
    assert settings.page_port == 8090
    assert SERVICES["web"]["ports"] == [f"127.0.0.1:8090:{settings.page_port}"]
    assert settings.page_url == "http://localhost:8090"


# Services -------------------------------------------------------------------------------------


@every_service
def test_commands_exist(name: str) -> None:
    service = SERVICES[name]
    checks = service.get("healthcheck", {}).get("test", ["CMD", "fenghuo", "health"])
    lines = [service["command"], checks[2:]] if name in OURS else []
    for line in lines:
        command: Any = get_command(app)
        for word in line:
            assert word in command.commands, f"fenghuo {' '.join(line)}"
            command = command.commands[word]


@every_service
def test_images_have_a_version_and_are_documented(name: str) -> None:
    image = SERVICES[name]["image"]
    assert re.fullmatch(r"[a-z/]+:\d+\.\d+\.\d+(-[a-z0-9]+)?", image)
    assert f"`{image}`" in GUIDE


@every_service
def test_ports_are_on_loopback_and_documented(name: str) -> None:
    for port in SERVICES[name].get("ports", []):
        address, published, inside = port.split(":")
        assert address == "127.0.0.1"
        assert published == inside
        assert re.search(rf"^\| `{name}` \|.*\b{inside}\b", GUIDE, re.MULTILINE)


def test_only_jobs_sign_in_to_the_database_as_its_superuser() -> None:
    users = {
        name: str(SERVICES[name]["environment"]["FENGHUO_DATABASE"]).split("//")[1].split("@")[0]
        for name in OURS
    }
    superuser = SERVICES["timescaledb"]["environment"]["POSTGRES_USER"]
    assert {name for name, user in users.items() if user == superuser} == {
        "owner", "roles", "reader",
    }  # fmt: skip
    assert (users["migrate"], users["worker"], users["web"]) == (
        "fenghuo_owner", "fenghuo_worker", "fenghuo_page",
    )  # fmt: skip


def test_the_database_is_not_published() -> None:
    assert "ports" not in SERVICES["timescaledb"]
    assert SERVICES["timescaledb"]["networks"] == ["inside"]
    assert COMPOSE["networks"]["inside"]["internal"] is True


def test_the_page_believes_the_gateway_alone_about_addresses() -> None:
    (network,) = COMPOSE["networks"]["outside"]["ipam"]["config"]
    believed = SERVICES["web"]["environment"]["FENGHUO_PAGE_PROXIES"]
    assert trusted_proxies(believed) == [network["gateway"]]


def test_volumes_have_names_and_are_documented() -> None:
    used = {
        volume.partition(":")[0]
        for service in SERVICES.values()
        for volume in service.get("volumes", [])
        if isinstance(volume, str) and not volume.startswith(".")
    }
    assert used == set(COMPOSE["volumes"])
    assert [name for name in used if not re.search(rf"^\| `{name}` \|", GUIDE, re.MULTILINE)] == []


def test_folders_that_are_mounted_exist_but_for_the_configuration() -> None:
    mounted = {
        volume.partition(":")[0]
        for service in SERVICES.values()
        for volume in service.get("volumes", [])
        if isinstance(volume, str) and volume.startswith(".")
    }
    assert all((ROOT / folder).is_dir() for folder in mounted)
    for name in OURS:
        (config,) = SERVICES[name]["volumes"]
        assert config["read_only"]
        assert config["bind"] == {"create_host_path": False}  # or a folder of root's appears


@every_service
def test_what_runs_for_long_is_watched_limited_and_started_again(name: str) -> None:
    service = SERVICES[name]
    assert service["deploy"]["resources"]["limits"].keys() == {"memory", "pids"}
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}
    if name in JOBS:
        assert service["restart"] == "no"
        assert service["healthcheck"] == {"disable": True}
    else:
        assert service["restart"] == "unless-stopped"
        assert service["healthcheck"]["test"]


@every_service
def test_nobody_has_privileges(name: str) -> None:
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service.keys() & {"privileged", "user", "pid", "ipc", "devices"}
    assert ("cap_add" in service) is (name == "timescaledb")
    if name in OURS:
        assert service["read_only"]
        assert service["init"]


def test_any_number_of_workers_may_run() -> None:
    assert not SERVICES["worker"].keys() & {"container_name", "hostname", "ports"}
    assert "FENGHUO_WORKER_NAME" not in SERVICES["worker"]["environment"]
    many = load_compose(PASSWORDS | {"WORKERS": "7"})
    assert many["services"]["worker"]["deploy"]["replicas"] == 7


def test_everything_waits_for_what_it_needs() -> None:
    for name, service in SERVICES.items():
        for needed, how in service.get("depends_on", {}).items():
            done = "service_completed_successfully" if needed in JOBS else "service_healthy"
            assert how == {"condition": done}, name
    assert SERVICES["worker"]["depends_on"].keys() == {"roles", "topics"}


def test_the_demo_is_started_only_when_asked_for() -> None:
    assert {n for n, service in SERVICES.items() if "profiles" in service} == {"demo"}


def test_a_worker_is_given_the_time_that_it_takes_to_stop() -> None:
    from streams.worker import _END_SECONDS  # noqa: PLC0415 - Faust is slow to import

    assert int(SERVICES["worker"]["stop_grace_period"].removesuffix("s")) > _END_SECONDS
