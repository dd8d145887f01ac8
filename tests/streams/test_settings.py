"""Settings that are empty."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from streams.cli.common import settings
from streams.errors import ConfigError
from streams.settings import Settings

#: Where nothing is a meaning of its own.
MAY_BE_EMPTY = {
    name
    for name, field in Settings.model_fields.items()
    if field.default == "" or isinstance(field.default, SecretStr)
}


@pytest.mark.parametrize("name", sorted(set(Settings.model_fields) - MAY_BE_EMPTY))
@pytest.mark.parametrize("value", ["", "  "])
def test_an_empty_setting_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    variable = f"FENGHUO_{name.upper()}"
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigError, match=f"^{variable}.* is empty. Give it a value, or leave it"):
        Settings()


@pytest.mark.parametrize("name", sorted(MAY_BE_EMPTY))
def test_an_empty_setting_whose_default_is_empty_is_none(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(f"FENGHUO_{name.upper()}", "")
    assert getattr(Settings(), name) == Settings.model_fields[name].default


def test_empty_options_are_named() -> None:
    with pytest.raises(ConfigError, match=r"FENGHUO_KAFKA or --kafka is empty.*localhost:9092"):
        settings(kafka=" , ")
    with pytest.raises(ConfigError, match="FENGHUO_CONFIG or --config is empty"):
        settings(config=Path(""))  # noqa: PTH201 - what typer makes of an empty option
    with pytest.raises(ConfigError, match="FENGHUO_PAGE_HOST or --host is empty"):
        settings(page_host="")
