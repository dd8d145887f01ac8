from __future__ import annotations

import pytest

from streams.errors import ConfigError
from streams.notify.masking import Mask, expand, secret_parts

ENVIRONMENT = {"KEY": "hunter2-key", "URL": "wecombot://a1b2c3d4e5/?to=li@example.org", "NONE": ""}


def test_references_are_expanded() -> None:
    assert expand("https://x/${KEY}/y", ENVIRONMENT) == "https://x/hunter2-key/y"
    assert expand("$KEY and {KEY}", ENVIRONMENT) == "$KEY and {KEY}"


@pytest.mark.parametrize("name", ["ABSENT", "NONE"])
def test_a_missing_variable_is_named(name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} is not set"):
        expand(f"https://x/${{{name}}}", ENVIRONMENT)


@pytest.mark.parametrize(
    ("configured", "error", "shown"),
    [
        ("${URL}", "cannot reach wecombot://a1b2c3d4e5/", "cannot reach wecombot://***/"),
        ("${URL}", "li@example.org refused", "*** refused"),
        ("https://h.example/hook/${KEY}", "POST /hook/hunter2-key", "POST /***/***"),
        ("smtp://user:p%40ssword@h.example/?from=a@b", "login p@ssword failed", "login *** failed"),
        ("smtp://user:p%40ssword@h.example/?from=a@b", "p%40ssword", "***"),
        ("https://user:abcd@h.example:99/", "h.example:99 is away", "h.example:99 is away"),
    ],
)
def test_secrets_do_not_show(configured: str, error: str, shown: str) -> None:
    assert Mask(secret_parts(configured, ENVIRONMENT))(error) == shown


def test_nothing_is_masked_without_secrets() -> None:
    assert Mask([])("as it is") == "as it is"
    assert Mask(secret_parts("kafka:topic", ENVIRONMENT))("kafka:topic") == "kafka:topic"
