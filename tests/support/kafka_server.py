"""A real Apache Kafka 4 broker for tests: one node, KRaft, loopback, temporary folder."""

from __future__ import annotations

import base64
import re
import shutil
import subprocess
import tempfile
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Self

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from tests.support.processes import (
    GuardedProcess,
    file_lock,
    fingerprint,
    free_ports,
    run_tool,
    tail,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import TracebackType

__all__ = ["KafkaServer", "KafkaUnavailable", "ensure_jars"]

_PROJECT = Path(__file__).resolve().parents[1] / "kafka"
_OLDEST_JAVA = 17
_NODE = 1

# Everything internal has one replica, and what would make tests wait is short.
_SETTINGS: dict[str, str] = {
    "process.roles": "broker,controller",
    "node.id": str(_NODE),
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    "inter.broker.listener.name": "PLAINTEXT",
    "auto.create.topics.enable": "false",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "500",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
    # The cleaner's map is reserved at the start: 128 MiB by default, a quarter of our heap.
    "log.cleaner.dedupe.buffer.size": str(8 * 2**20),
    "log.cleaner.backoff.ms": "500",
    # A killed broker is still registered when it comes back, and is refused until this ends.
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    "num.network.threads": "2",
    "num.io.threads": "4",
    "background.threads": "2",
}


class KafkaUnavailable(RuntimeError):  # noqa: N818 - a reason to skip, not a fault of ours
    """Apache Kafka cannot be run on this machine; the message says why."""


def _java() -> str:
    java = shutil.which("java")
    if java is None:
        reason = f"java is not installed: a Kafka broker needs Java {_OLDEST_JAVA} or newer"
        raise KafkaUnavailable(reason)
    told = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(\d+)', told)
    if version is None or int(version.group(1)) < _OLDEST_JAVA:
        first = told.partition("\n")[0]
        reason = f"java is too old ({first}): a Kafka broker needs Java {_OLDEST_JAVA} or newer"
        raise KafkaUnavailable(reason)
    return java


def ensure_jars() -> Path:
    """Bring the broker's jars here with Maven, once per version of the pom.

    Returns
    -------
    Path
        Folder with the jars.

    Raises
    ------
    KafkaUnavailable
        If Java or Maven is missing, or Maven cannot bring the jars.
    """
    _java()
    target = _PROJECT / "target"
    jars = target / "jars"
    stamp = target / "jars.sha256"
    with file_lock(_PROJECT / "pom.xml"):
        wanted = fingerprint(_PROJECT / "pom.xml")
        if stamp.exists() and stamp.read_text() == wanted:
            return jars
        shutil.rmtree(jars, ignore_errors=True)
        failure = run_tool(["mvn", "-B", "-q", "dependency:copy-dependencies"], cwd=_PROJECT)
        if failure is not None:
            reason = f"the jars of Apache Kafka could not be brought here: {failure}"
            raise KafkaUnavailable(reason)
        stamp.write_text(wanted)
    return jars


class KafkaServer:
    """One Apache Kafka broker, running inside a `with` block.

    The ports and the data stay the same over `stop`, `kill` and `restart`; the end of the block
    removes the data.

    Parameters
    ----------
    settings
        Broker settings to add or override.
    listeners
        Listeners beside the plain one: security protocols by their names. `addresses` tells where
        they are; the host that brokers advertise is localhost.
    users
        Passwords of users of SCRAM, by their names.
    heap_mib
        Java heap, in MiB.
    timeout
        Seconds to wait for the broker to answer after a start.

    Raises
    ------
    KafkaUnavailable
        If Java, Maven or the jars cannot be had here.
    """

    def __init__(
        self,
        *,
        settings: Mapping[str, str] | None = None,
        listeners: Mapping[str, str] | None = None,
        users: Mapping[str, str] | None = None,
        heap_mib: int = 512,
        timeout: float = 180.0,
    ) -> None:
        jars = ensure_jars()
        self._java = [
            _java(),
            f"-Xmx{heap_mib}m",
            "-XX:+UseSerialGC",
            "-XX:-UsePerfData",
            f"-Dlog4j2.configurationFile={_PROJECT / 'log4j2.properties'}",
            "-cp",
            f"{jars}/*",
        ]
        self._timeout = timeout
        self._process: GuardedProcess | None = None
        self._folder = Path(tempfile.mkdtemp(prefix="fenghuo-kafka-"))
        self._properties = self._folder / "server.properties"
        self._users = dict(users or {})
        self._listeners = dict(listeners or {})
        port, controller_port, *others = free_ports(2 + len(self._listeners))
        self.addresses: dict[str, str] = {
            name: f"localhost:{other}" for name, other in zip(self._listeners, others, strict=True)
        }
        """Addresses of the listeners beside the plain one, by their names."""
        self.bootstrap: str = f"127.0.0.1:{port}"
        """Address of the broker, `host:port`."""
        self.log: Path = self._folder / "broker.log"
        """File with the broker's output, over all its starts."""
        self._write_properties(port, controller_port, settings or {})

    def _write_properties(
        self, port: int, controller_port: int, settings: Mapping[str, str]
    ) -> None:
        others = [f"{name}://{address}" for name, address in self.addresses.items()]
        plain = f"PLAINTEXT://127.0.0.1:{port}"
        protocols = [f"{name}:{protocol}" for name, protocol in self._listeners.items()]
        protocols.append(_SETTINGS["listener.security.protocol.map"])
        merged = {
            **_SETTINGS,
            "listener.security.protocol.map": ",".join(protocols),
            "listeners": ",".join([plain, *others, f"CONTROLLER://127.0.0.1:{controller_port}"]),
            "advertised.listeners": ",".join([plain, *others]),
            "controller.quorum.voters": f"{_NODE}@127.0.0.1:{controller_port}",
            "log.dirs": str(self._folder / "data"),
            **settings,
        }
        lines = (f"{key}={value}\n" for key, value in merged.items())
        self._properties.write_text("".join(lines))

    def __enter__(self) -> Self:
        try:
            self._format()
            self.start()
        except BaseException:
            self._discard()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # The data go with the block, so there is nothing that an orderly end would save.
        self._discard()

    @property
    def pid(self) -> int | None:
        """Process id of the broker, or None when it is down."""
        return self._process.pid if self.running and self._process else None

    @property
    def running(self) -> bool:
        """Whether the broker's process is up."""
        return self._process is not None and self._process.running

    def start(self) -> None:
        """Start the broker on the data it has and wait until it answers."""
        if self.running:
            return
        if self._process is not None:
            self._process.kill()
        command = [*self._java, "kafka.Kafka", str(self._properties)]
        self._process = GuardedProcess(command, log=self.log, cwd=self._folder)
        self._process.wait_until(self._answers, timeout=self._timeout)

    def stop(self) -> None:
        """End the broker in an orderly way; its data stay."""
        if self._process is not None:
            self._process.stop()

    def kill(self) -> None:
        """End the broker as a power cut would (SIGKILL); its data stay."""
        if self._process is not None:
            self._process.kill()

    def restart(self) -> None:
        """Stop the broker if it runs, then start it on the same ports and data."""
        self.stop()
        self.start()

    def segment(self, partition: str) -> Path:
        """Return the file of a partition that was never rolled, like `visits-0`."""
        return self._folder / "data" / partition / f"{0:020d}.log"

    def stored_batches(self, partition: str) -> list[bytes]:
        """Return the record batches of a partition as they lie on disk."""
        data, batches = self.segment(partition).read_bytes(), []
        while data:
            end = 12 + int.from_bytes(data[8:12], "big")
            batches.append(data[:end])
            data = data[end:]
        return batches

    def damage(self, partition: str, changes: Iterable[tuple[bytes, bytes]]) -> None:
        """Replace batches of a partition's file by others of the same length."""
        path = self.segment(partition)
        data = path.read_bytes()
        with path.open("r+b") as file:
            for old, new in changes:
                assert len(old) == len(new)
                file.seek(data.index(old))
                file.write(new)

    def lose_end(self, partition: str, *, kept: int) -> None:
        """Leave the first batches of a partition, as a faulty disk may. The broker is down."""
        length = sum(map(len, self.stored_batches(partition)[:kept]))
        path = self.segment(partition)
        with path.open("r+b") as file:
            file.truncate(length)
        for other in path.parent.iterdir():
            if other.suffix in {".index", ".timeindex", ".snapshot"}:
                other.unlink()

    def _format(self) -> None:
        # Without hyphens: the tool takes a leading one for an option.
        cluster = base64.b64encode(uuid.uuid4().bytes, b"AB").decode().rstrip("=")
        tool = ["kafka.tools.StorageTool", "format", "-c", str(self._properties), "-t", cluster]
        for name, password in self._users.items():
            for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512"):
                tool += ["--add-scram", f"{mechanism}=[name={name},password={password}]"]
        failure = run_tool([*self._java, *tool], cwd=self._folder, timeout=self._timeout)
        if failure is not None:
            message = f"the broker's storage could not be formatted: {failure}"
            raise RuntimeError(message)

    def _answers(self) -> bool:
        assert self._process is not None
        # A client that dials earlier only fills the log with refused connections.
        if "Kafka Server started" not in self._process.output():
            return False
        try:
            client = KafkaAdminClient(bootstrap_servers=self.bootstrap)
        except KafkaError:
            return False
        try:
            return bool(client.describe_cluster()["brokers"])
        except KafkaError:
            return False
        finally:
            client.close()

    def _discard(self) -> None:
        if self._process is not None:
            self._process.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def tail(self, *, lines: int = 20) -> str:
        """Return the last lines of the broker's log."""
        return tail(self.log, lines=lines)
