from __future__ import annotations

import io
import logging
from typing import TYPE_CHECKING

from mode.utils.logging import ExtensionFormatter

from streams.repeated_logs import RepeatedLogs

if TYPE_CHECKING:
    import pytest


class Shown(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def logger(handler: logging.Handler) -> logging.Logger:
    log = logging.getLogger(f"{__name__}.{id(handler)}")
    log.propagate = False
    log.addHandler(handler)
    return log


def test_a_flood_is_a_few_lines_and_a_number() -> None:
    now = 1_000.0
    shown = Shown()
    shown.addFilter(RepeatedLogs(lambda: now))
    log = logger(shown)

    for number in range(1_000):  # 64 seconds of an outage
        now = 1_000.0 + number * 0.064
        log.error("Unable connect to node with id %s: %s", 1, number)
        log.warning("Heartbeat failed")
        if number == 500:
            log.error("Something else")
            log.critical("The worker stops")
            log.critical("The worker stops")
    assert len(shown.lines) <= 20
    assert shown.lines[:2] == ["Unable connect to node with id 1: 0", "Heartbeat failed"]
    assert shown.lines.count("Something else") == 1
    assert shown.lines.count("The worker stops") == 2
    left_out = [line for line in shown.lines if "more like this were left out" in line]
    assert left_out == [
        "Unable connect to node with id 1: 938 (935 more like this were left out)",
        "Heartbeat failed (935 more like this were left out)",
    ]


def test_another_reason_is_told_at_once() -> None:
    now = 0.0
    shown = Shown()
    shown.addFilter(RepeatedLogs(lambda: now))
    log = logger(shown)
    for number in range(50):
        now = float(number)
        port = 9_092 + number
        log.error("Unable connect to node: %s", ConnectionRefusedError(f"refused at port {port}"))
        if number % 2:
            log.error("Unable connect to node: %s", OSError("certificate has expired"))
    assert sum("refused" in line for line in shown.lines) == 3
    assert sum("expired" in line for line in shown.lines) == 3
    assert shown.lines[:3] == [
        "Unable connect to node: refused at port 9092",
        "Unable connect to node: refused at port 9093",
        "Unable connect to node: certificate has expired",
    ]


def test_reasons_without_end_are_no_flood() -> None:
    shown = Shown()
    shown.addFilter(RepeatedLogs(lambda: 1.0))
    log = logger(shown)
    for number in range(1_000):
        log.error("Refused: %s", ValueError("".join(chr(97 + int(d)) for d in str(number))))
    assert len(shown.lines) == 5 + 3


def test_what_was_left_out_is_told_after_any_time() -> None:
    now = 0.0
    shown = Shown()
    shown.addFilter(RepeatedLogs(lambda: now))
    log = logger(shown)
    for _ in range(5):
        log.error("No broker")
    now = 9_000.0
    log.error("Another")
    log.error("No broker")
    log.error("No broker")
    assert shown.lines == [
        *["No broker"] * 3,
        "Another",
        "No broker (2 more like this were left out)",
        "No broker",
    ]


def test_fausts_own_handler_shows_how_many_were_left_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Its formatter takes arguments that are no tuple for a single one."""
    now = 0.0
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(ExtensionFormatter(stream, fmt="%(message)s %(extra)s"))
    handler.addFilter(RepeatedLogs(lambda: now))
    log = logger(handler)
    for number in range(5):
        log.warning("Timer %s is overlapping by %d%%", "lag", number)
    now = 61.0
    log.warning("Timer %s is overlapping by %d%%", "lag", 9)
    assert (
        "Timer lag is overlapping by 9% (2 more like this were left out)"
        in stream.getvalue().splitlines()[-1]
    )
    assert "Logging error" not in capsys.readouterr().err
