"""Checks of the section `notify` that need the rest of the configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.epi_weeks import parse_week
from streams.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

    from schemas.config import Surveillance
    from schemas.notify import Rota
    from schemas.regions import RegionRegistry
    from streams.judging.periods import EpiWeek

__all__ = ["notify_problems"]

_Problem = tuple[tuple[str | int, ...], str]


def notify_problems(
    surveillance: Surveillance, registry: RegionRegistry, folder: Path
) -> list[_Problem]:
    """Return what routes name and nobody knows, wrong weeks and templates, with their places.

    Parameters
    ----------
    folder
        Where the configuration file lies.
    """
    notify = surveillance.notify
    problems: list[_Problem] = []
    for name, route in notify.routes.items():
        place = ("notify", "routes", name)
        problems += _unknown((*place, "signals"), route.signals, surveillance.signals, "signal")
        problems += _unknown((*place, "rules"), route.rules, surveillance.rules, "rule")
        for index, code in enumerate(route.regions):
            if code not in registry:
                close = ", ".join(one.code for one in registry.suggest(code))
                text = f"{code!r} is no region of {registry.name}"
                problems.append(
                    (
                        (*place, "regions", index),
                        f"{text}; did you mean {close}?" if close else text,
                    )
                )
    for name, rota in notify.rotas.items():
        problems += _no_weeks(("notify", "rotas", name), rota, surveillance.epi_week)
    if notify.templates is not None:
        problems += _wrong_templates(folder / notify.templates)
    return problems


def _wrong_templates(folder: Path) -> Iterator[_Problem]:
    from streams.notify.rendering import check_templates  # noqa: PLC0415 - few have any

    try:
        check_templates(folder)
    except ConfigError as error:
        yield ("notify", "templates"), str(error)


def _unknown(
    place: tuple[str | int, ...], names: Sequence[str], known: Collection[str], what: str
) -> Iterator[_Problem]:
    for index, name in enumerate(names):
        if name not in known:
            defined = f"defined are {', '.join(known)}" if known else "none is defined"
            yield (*place, index), f"{name!r} is no {what}; {defined}"


def _no_weeks(place: tuple[str | int, ...], rota: Rota, system: EpiWeek) -> Iterator[_Problem]:
    for where, label in (("from_week", rota.from_week), *(("swaps", week) for week in rota.swaps)):
        try:
            known = parse_week(label, system) is not None
        except ValueError as error:
            yield (*place, where), f"{error}; write another one"
        else:
            if not known:
                yield (*place, where), f"{label!r} is no epi week; write for example 2026-W40"
