"""`fenghuo config` and `fenghuo regions`: what is surveyed, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from schemas.regions import AmbiguousRegionError, Region, UnknownRegionError
from streams.cli.common import ConfigOption, console, read_config, settings, warn
from streams.cli.output import results, table
from streams.errors import FenghuoError

if TYPE_CHECKING:
    from streams.config import Configuration

__all__ = ["register", "warn_of_noise"]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    config = typer.Typer(help="The surveillance configuration.", no_args_is_help=True)
    config.command()(check)
    app.add_typer(config, name="config")
    regions = typer.Typer(help="The region registry.", no_args_is_help=True)
    regions.command()(find)
    app.add_typer(regions, name="regions")


def check(config: ConfigOption = None) -> None:
    """Check the configuration file; problems are told by line, key and remedy."""
    current = settings(config=config)
    checked = read_config(current)
    shown = table("Rules", "rule", "signal", "level", "grain", "detector", "severity")
    for name, rule in checked.surveillance.rules.items():
        parameters = {k: v for k, v in rule.detector.items() if k != "type"}
        described = " ".join(f"{k}={v}" for k, v in parameters.items())
        shown.add_row(
            name,
            rule.signal,
            str(rule.level),
            rule.grain,
            f"{rule.detector['type']} {described}".strip(),
            rule.severity,
        )
    results().print(shown)
    warn(checked.doubts)
    warn_of_noise(checked)
    console.print(
        f"{current.config} is right: {len(checked.surveillance.signals)} signals, "
        f"{len(checked.surveillance.rules)} rules, {len(checked.regions)} regions, "
        f"version {checked.version}.",
        highlight=False,
    )


def warn_of_noise(configuration: Configuration) -> None:
    """Name the rules that would open many alerts where nothing happens."""
    from streams.configuration.noisy import noisy_rules  # noqa: PLC0415 - keeps --help fast

    warn(noisy_rules(configuration.surveillance.rules, configuration.detectors))


def find(
    name: Annotated[str, typer.Argument(help="Name in Chinese or English, or a code.")],
    config: ConfigOption = None,
) -> None:
    """Find the code of a region by its name."""
    registry = read_config(settings(config=config)).regions
    found: list[Region]
    try:
        found = [registry.find(name)]
    except AmbiguousRegionError as error:
        found = list(error.candidates)
    except UnknownRegionError as error:
        raise FenghuoError(str(error)) from None
    shown = table("", "code", "level", "中文", "English", "valid")
    for region in found:
        since = f"{region.valid_from or ''}–{region.valid_to or ''}".strip("–")
        shown.add_row(
            region.code,
            str(region.level),
            registry.path_name(region.code, lang="zh"),
            registry.path_name(region.code, lang="en"),
            since,
        )
    results().print(shown)
