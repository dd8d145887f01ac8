"""The command that makes simulated events."""

from __future__ import annotations

import json
from contextlib import ExitStack
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.common import (
    ConfigOption,
    KafkaOption,
    console,
    read_config,
    say_waiting,
    settings,
)
from streams.cli.output import event_topics
from streams.cli.places import check_file
from streams.cli.progress import counting_bar
from streams.errors import FenghuoError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import BinaryIO

    from schemas.events import EventKind
    from streams.brokers import Brokers
    from streams.cli.progress import Counting
    from streams.config import Configuration
    from streams.simulate import SimulatedRecord, SimulationPlan

__all__ = ["register"]

#: Whose public holidays a built-in registry's events follow.
_COUNTRIES = {"cn": "CN", "tw": "TW", "us": "US"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(simulate)


def simulate(
    *,
    days: Annotated[
        int | None, typer.Option(min=1, max=36_600, help="Days; 28 by default.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Same seed, same events.")] = None,
    start: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="First day; by default the last day is yesterday."),
    ] = None,
    regions: Annotated[int, typer.Option(min=1, help="Regions, the first by code.")] = 10,
    outbreaks: Annotated[int, typer.Option(min=0, help="Outbreaks to inject.")] = 1,
    plan: Annotated[
        Path | None, typer.Option(help="YAML file of a whole plan; only days, seed override it.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="NDJSON; writes NAME.visits.ndjson and NAME.sales.ndjson.")
    ] = None,
    publish: Annotated[bool, typer.Option("--publish", help="Publish to Kafka.")] = False,
    truth: Annotated[Path | None, typer.Option(help="JSON file for plan and outbreaks.")] = None,
    config: ConfigOption = None,
    kafka: KafkaOption = None,
) -> None:
    """Simulate events of fever clinics and pharmacies, with late, repeated and corrected ones.

    Regions, time zone and age groups are those of the configuration. The same plan gives the same
    bytes. Nothing of it is real: do not publish to an installation that watches real events.
    """
    from streams.simulate import simulate as run  # noqa: PLC0415 - keeps --help fast

    if (out is None) is not publish:
        raise FenghuoError("Say where the events go: --out FILE or --publish.")
    if out is not None:
        check_file(_named(out, "visits"), "--out")
    current = settings(config=config, kafka=kafka)
    changes = {"days": days, "seed": seed}
    if plan is None:
        first = start.date() if start else None
        made = _plan(read_config(current), changes, first, regions, outbreaks)
    else:
        made = _read_plan(plan, changes)
    if truth is not None:
        check_file(truth, "--truth")
        _write_truth(truth, made)
    console.print(
        f"Simulating {made.start} to {made.last_day}, {len(made.region_codes())} regions, seed "
        f"{made.seed}, {len(made.outbreaks)} outbreaks.",
        highlight=False,
    )
    with counting_bar("Simulating", made.days * _WORK_PER_DAY) as bar:
        records = _by_day(run(made), made, bar)
        if out is not None:
            _write(records, out, bar)
        else:
            _publish(current.brokers, records, event_topics(current), bar)


#: The bar moves in large steps of work; a day is worth one step.
_WORK_PER_DAY = 1 << 16


def _plan(
    configuration: Configuration,
    changes: Mapping[str, int | None],
    start: date | None,
    regions: int,
    outbreaks: int,
) -> SimulationPlan:
    from streams.simulate import SimulationPlan  # noqa: PLC0415

    surveillance = configuration.surveillance
    codes = _finest_regions(configuration)[:regions]
    days = changes["days"] or 28
    first = start or datetime.now(UTC).astimezone(surveillance.zone).date() - timedelta(days=days)
    country = _COUNTRIES.get(surveillance.regions)
    return _validated(
        SimulationPlan,
        {
            "start": first,
            "days": days,
            "seed": changes["seed"] if changes["seed"] is not None else 1,
            "time_zone": surveillance.time_zone,
            "regions": codes,
            "holidays": {"country": country} if country else None,
            "age_groups": surveillance.age_groups or ("0+",),
            "outbreaks": [_outbreak(n, outbreaks, codes, first, days) for n in range(outbreaks)],
        },
    )


def _finest_regions(configuration: Configuration) -> tuple[str, ...]:
    """Return the codes in force of the level on which events come in."""
    deepest = max(configuration.regions, key=lambda region: region.level.depth).level
    at_level = configuration.regions.at_level(deepest)
    return tuple(sorted(region.code for region in at_level if region.valid_to is None))


def _outbreak(
    number: int, of: int, codes: tuple[str, ...], first: date, days: int
) -> dict[str, Any]:
    """Place outbreaks in different regions, spread over the later two thirds of the time."""
    length = max(1, min(14, days // 2))
    earliest, latest = min(days // 3, days - length), days - length
    begin = earliest + (latest - earliest) * (number + 1) // (of + 1)
    return {
        "id": f"outbreak-{number + 1}",
        "region": codes[number * len(codes) // of],
        "start": first + timedelta(days=begin),
        "days": length,
        "cases": 40 * length,
        "kinds": ("visits", "sales"),
    }


def _read_plan(path: Path, changes: Mapping[str, int | None]) -> SimulationPlan:
    from ruamel.yaml import YAML  # noqa: PLC0415
    from ruamel.yaml.error import YAMLError  # noqa: PLC0415

    from streams.simulate import SimulationPlan  # noqa: PLC0415

    try:
        document = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FenghuoError(f"{path}: {error.strerror}.") from None
    except (YAMLError, UnicodeDecodeError) as error:
        raise FenghuoError(f"{path}: not valid YAML: {error}") from None
    if not isinstance(document, dict):
        raise FenghuoError(f"{path}: the file must hold keys such as start, days and regions.")
    document |= {key: value for key, value in changes.items() if value is not None}
    return _validated(SimulationPlan, document, where=f"{path}: ")


def _validated(
    model: type[SimulationPlan], values: dict[str, Any], *, where: str = ""
) -> SimulationPlan:
    from pydantic import ValidationError  # noqa: PLC0415

    try:
        plan = model.model_validate(values)
        plan.region_codes()
    except ValidationError as error:
        details = error.errors(include_url=False)
        raise FenghuoError(
            "\n".join(f"{where}{'.'.join(map(str, d['loc']))}: {d['msg']}" for d in details)
        ) from None
    except ValueError as error:
        raise FenghuoError(f"{where}{error}.") from None
    return plan


def _write_truth(path: Path, plan: SimulationPlan) -> None:
    from streams.simulate import outbreak_truth  # noqa: PLC0415

    document = {
        "plan": plan.model_dump(mode="json"),
        "outbreaks": [truth.model_dump(mode="json") for truth in outbreak_truth(plan)],
    }
    path.write_text(json.dumps(document, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def _by_day(
    records: Iterable[SimulatedRecord], plan: SimulationPlan, bar: Counting
) -> Iterator[SimulatedRecord]:
    """Move the bar on with each day of publication; the days after the last one are few."""
    day = plan.start
    for record in records:
        published = record.published_at.date()
        while day < published and day < plan.last_day:
            bar.advance(_WORK_PER_DAY)
            day += timedelta(days=1)
        yield record
    bar.advance(_WORK_PER_DAY)


def _write(records: Iterable[SimulatedRecord], out: Path, bar: Counting) -> None:
    with ExitStack() as stack:
        files: dict[str, BinaryIO] = {}
        for kind in ("visits", "sales"):
            files[kind] = stack.enter_context(_named(out, kind).open("wb"))
        for record in records:
            files[record.kind].write(record.value + b"\n")
            bar.count(1)
    console.print(f"Wrote {_named(out, 'visits')} and {_named(out, 'sales')}.", highlight=False)


def _named(out: Path, kind: str) -> Path:
    base = out.with_suffix("") if out.suffix in {".ndjson", ".jsonl", ".json"} else out
    return Path(f"{base}.{kind}.ndjson")


def _publish(
    brokers: Brokers,
    records: Iterable[SimulatedRecord],
    topics: Mapping[EventKind, str],
    bar: Counting,
) -> None:
    from streams.feed.publish import publish_mixed  # noqa: PLC0415

    sent = publish_mixed(
        brokers,
        ((topics[record.kind], record.region.encode(), record.value) for record in records),
        bar.count,
        say_waiting,
    )
    console.print(f"{sent} records sent to {', '.join(topics.values())}.", highlight=False)
