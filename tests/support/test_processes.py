from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.processes import GuardedProcess, free_ports, group_is_gone, run_tool

if TYPE_CHECKING:
    from pathlib import Path

# Starts a server, tells its process id, and waits to be killed.
OWNER = """
import pathlib, sys, time
from tests.support.processes import GuardedProcess
folder = pathlib.Path(sys.argv[1])
server = GuardedProcess(["sleep", "600"], log=folder / "log", cwd=folder)
print(server.pid, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGTERM])
def test_a_server_ends_with_its_owner(tmp_path: Path, signal_number: int) -> None:
    command = [sys.executable, "-c", OWNER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        server = int(owner.stdout.readline())
        os.kill(server, 0)
        owner.send_signal(signal_number)

    assert group_is_gone(server)


def test_stop_lets_the_server_tidy_up(tmp_path: Path) -> None:
    script = "trap 'echo tidied; exit 0' TERM; echo ready; while :; do sleep 0.05; done"
    server = GuardedProcess(["sh", "-c", script], log=tmp_path / "log", cwd=tmp_path)
    server.wait_until(lambda: "ready" in server.output(), timeout=20)

    server.stop()

    assert server.output().splitlines() == ["ready", "tidied"]
    assert not server.running
    assert group_is_gone(server.pid)


def test_an_early_end_shows_the_log(tmp_path: Path) -> None:
    script = "echo the disk is full; exit 3"
    server = GuardedProcess(["sh", "-c", script], log=tmp_path / "log", cwd=tmp_path)
    with pytest.raises(RuntimeError, match=r"(?s)code 3.*the disk is full"):
        server.wait_until(lambda: False, timeout=20)
    server.kill()


def test_free_ports_are_distinct_and_never_those_of_outgoing_connections() -> None:
    ports = free_ports(20)
    assert len(set(ports)) == 20
    assert max(ports) < 32_768


def test_a_failing_tool_is_told_in_words(tmp_path: Path) -> None:
    assert run_tool(["true"], cwd=tmp_path) is None
    assert run_tool(["no-such-tool"], cwd=tmp_path) == "no-such-tool is not installed"
    failure = run_tool(["sh", "-c", "echo the registry is down; exit 7"], cwd=tmp_path)
    assert failure is not None
    assert failure.splitlines()[1:] == ["the registry is down"]
    assert "code 7" in failure
