"""The embedded broker's port stays the same."""

from __future__ import annotations

import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from streams.embedded.broker import EmbeddedBroker
from streams.embedded.ports import HeldPorts, free_port, is_free, kept_port
from streams.errors import UnavailableError

if TYPE_CHECKING:
    from pathlib import Path


def test_the_first_start_notes_its_port_and_later_ones_keep_it(tmp_path: Path) -> None:
    usual = free_port()
    assert kept_port(tmp_path, usual=usual) == (usual, None)
    assert kept_port(tmp_path, usual=free_port()) == (usual, None)


def test_another_port_where_the_usual_one_is_taken_is_kept_as_well(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        usual = taken.getsockname()[1]
        assert not is_free(usual)
        port, _ = kept_port(tmp_path, usual=usual)
    assert port != usual
    assert kept_port(tmp_path, usual=usual) == (port, None)


def test_a_noted_port_that_is_taken_is_told_and_stays_noted(tmp_path: Path) -> None:
    noted, _ = kept_port(tmp_path, usual=free_port())
    with socket.create_server(("127.0.0.1", noted)):
        port, taken = kept_port(tmp_path)
        assert port != noted
        assert taken == noted
    assert kept_port(tmp_path) == (noted, None)


def test_two_that_start_at_once_choose_different_ports(tmp_path: Path) -> None:
    """In two processes, neither of which listens yet."""
    usual = free_port()
    script = (
        "import sys; from pathlib import Path; from streams.embedded.ports import *\n"
        "with HeldPorts() as held:\n"
        f"    print(kept_port(Path(sys.argv[1]), usual={usual}, take=held.take)[0], flush=True)\n"
        "    sys.stdin.read()\n"
    )
    started = []
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
        command = [sys.executable, "-c", script, str(tmp_path / name)]
        started.append(
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        )
    try:
        ports = [int(one.stdout.readline()) for one in started if one.stdout]
    finally:
        for one in started:
            one.communicate("")
    assert len(set(ports)) == 3
    assert usual in ports
    with HeldPorts() as held:
        assert held.take(usual)


def test_a_noted_port_that_another_start_holds_is_told(tmp_path: Path) -> None:
    port, _ = kept_port(tmp_path, usual=free_port())
    with HeldPorts() as other, HeldPorts() as held:
        assert other.take(port)
        found, taken = kept_port(tmp_path, take=held.take)
        assert (found != port, taken) == (True, port)


@pytest.mark.parametrize("note", ["", "none", "0", "70000"])
def test_a_note_that_is_no_port_is_written_again(tmp_path: Path, note: str) -> None:
    (tmp_path / "broker.port").write_text(note)
    usual = free_port()
    assert kept_port(tmp_path, usual=usual) == (usual, None)
    assert (tmp_path / "broker.port").read_text() == f"{usual}\n"


def test_a_broker_does_not_start_on_a_port_that_is_taken(tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(UnavailableError),
        EmbeddedBroker(tmp_path, port=taken.getsockname()[1]),
    ):
        pass


def test_a_port_is_free_again_as_soon_as_its_broker_has_stopped(tmp_path: Path) -> None:
    port = free_port()
    for _ in range(2):
        with EmbeddedBroker(tmp_path, port=port), socket.create_connection(("127.0.0.1", port)):
            pass
        assert is_free(port)
