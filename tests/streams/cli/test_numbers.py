"""Numbers on the command line that Python reads but no database holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from streams.brokers import Brokers
from streams.errors import UnavailableError
from streams.kafka_knock import knock
from streams.tables.numbers import read_numbers

if TYPE_CHECKING:
    from collections.abc import Callable

    from typer.testing import Result

    Run = Callable[..., Result]

COMMANDS = (
    ["alerts", "show"],
    ["alerts", "verify"],
    ["alerts", "merge", "1"],
    ["dead-letters", "show"],
    ["dead-letters", "replay"],
    ["users", "revoke", "li"],
)


@pytest.mark.parametrize("text", ["9" * 5000, "9" * 20, "٣", "1_0", "nan"])
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_the_number_of_a_record(run: Run, command: list[str], text: str) -> None:
    result = run(*command, text)
    assert result.exit_code == 2
    assert "is not the number of a record" in " ".join(result.stderr.replace("│", " ").split())


@pytest.mark.parametrize("port", ["9" * 5000, "٣", "0", "65536", ""])
def test_the_port_of_a_broker(port: str) -> None:
    with pytest.raises(UnavailableError, match="is no address of a broker"):
        knock(Brokers(bootstrap=f"localhost:{port}"))


def test_a_count_of_any_length() -> None:
    found = read_numbers(["9" * 5000, "1.234"], commas=False)
    assert "is above 1e+11" in found.problems[0].fault
