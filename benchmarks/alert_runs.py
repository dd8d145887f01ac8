"""One run of the worker with rules and channels, under a steady stream with outbreaks in it."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import psycopg
from ruamel.yaml import YAML

from benchmarks.alert_watching import Rows, Told, hooked
from benchmarks.outbreaks import RULES, SIGNALS, import_past, outbreaks, records_of
from benchmarks.race import CONTESTANTS, NO_SALES, BenchmarkError, cpu_seconds, stop
from benchmarks.steady import WARM_UP, Looking, publish, recorded, seconds_until
from streams.config import load_configuration
from streams.demo.receivers import WebhookReceiver
from streams.kafka import create_topics

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from benchmarks.outbreaks import Outbreak
    from benchmarks.race import Race

__all__ = ["SCENARIOS", "Channels", "Run", "Scenario", "running_channels", "watch_alerts"]

_SLOW_SECONDS = 20
#: For what is under way when the last event has been published.
_PATIENCE = 60.0


class Scenario(NamedTuple):
    """Which channels are configured."""

    name: str
    title: str
    channels: tuple[str, ...]


SCENARIOS = (
    Scenario("none", "no notifications", ()),
    Scenario("healthy", "webhook", ("hook",)),
    Scenario("away", "webhook away: connection refused", ("away",)),
    Scenario("slow", f"webhook slow: answers after {_SLOW_SECONDS} s", ("slow",)),
    Scenario("refusing", "webhook refuses: answers 500", ("refusing",)),
    Scenario("beside", "webhook beside the three bad ones", ("hook", "away", "slow", "refusing")),
)


@dataclass(frozen=True)
class Run:
    """What one run took, in seconds from the Kafka timestamps."""

    scenario: str
    load: float
    seconds: float
    events: int
    #: Of every event: until `recorded_at`, and until another connection saw the commit.
    recorded: list[float]
    visible: list[float]
    outbreaks: int
    #: Of every outbreak's last case: until its alert was seen.
    row: list[float]
    topic: list[float]
    hook: list[float]
    explained: list[float]
    doubled: int
    worker_cpu: float | None
    database_cpu: float | None
    alerts: int
    #: Events of alerts by kind, and the most that one alert got.
    kinds: dict[str, int] = field(default_factory=dict)
    most: dict[str, int] = field(default_factory=dict)


class Channels(NamedTuple):
    """Receivers, and the channels that lead to them."""

    hook: WebhookReceiver
    configured: Mapping[str, dict[str, Any]]


def running_channels(stack: ExitStack) -> Channels:
    """Start the receivers."""
    hook, slow, refusing = (stack.enter_context(WebhookReceiver()) for _ in range(3))
    slow.delay = _SLOW_SECONDS
    refusing.answer = 500
    closed = stack.enter_context(socket.socket())
    closed.bind(("127.0.0.1", 0))  # and nobody listens
    urls = {
        "hook": hook.url,
        "away": f"http://127.0.0.1:{closed.getsockname()[1]}/",
        "slow": slow.url,
        "refusing": refusing.url,
    }
    configured = {
        name: {"url": url, "rate_per_minute": None, "timeout_seconds": _SLOW_SECONDS + 10}
        for name, url in urls.items()
    }
    return Channels(hook, configured)


def watch_alerts(
    race: Race,
    scenario: Scenario,
    events: Sequence[tuple[bytes, bytes]],
    *,
    base: Path,
    rate: int,
    seconds: float,
    count: int,
    seed: int,
) -> Run:
    """Run the worker and measure."""
    load = os.getloadavg()[0]
    with ExitStack() as stack:
        channels = running_channels(stack)
        path = race.folder / f"alerts-{scenario.name}.yaml"
        _configure(base, path, scenario, channels)
        database = stack.enter_context(race.server.fresh(load_configuration(path)))
        regions = sorted({key.decode() for key, _ in events})
        import_past(database, regions)
        planned = outbreaks(regions, count, seconds, seed=seed)
        found = _publish_and_wait(
            race, scenario, events, planned, path=path, database=database, channels=channels,
            rate=rate, seconds=seconds, seed=seed,
        )  # fmt: skip
        kinds, most, alerts = _volume(database)
    return Run(
        scenario=scenario.name, load=load, seconds=seconds, outbreaks=count,
        kinds=kinds, most=most, alerts=alerts, **found,
    )  # fmt: skip


def _configure(base: Path, path: Path, scenario: Scenario, channels: Channels) -> None:
    yaml = YAML()
    content = yaml.load(base.read_text(encoding="utf-8"))
    content["signals"].update(SIGNALS)
    content["rules"].update(RULES)
    if scenario.channels:
        to = list(scenario.channels)
        content["notify"] = {
            "language": "en",
            "channels": {name: channels.configured[name] for name in to},
            "routes": {
                "at-once": {"severities": ["critical"], "to": to},
                "rest": {"severities": ["warning"], "to": to, "digest_every_minutes": 1},
            },
        }
    with path.open("w", encoding="utf-8") as file:
        yaml.dump(content, file)


def _publish_and_wait(
    race: Race,
    scenario: Scenario,
    events: Sequence[tuple[bytes, bytes]],
    planned: Sequence[Outbreak],
    *,
    path: Path,
    database: str,
    channels: Channels,
    rate: int,
    seconds: float,
    seed: int,
) -> dict[str, Any]:
    stamp = f"{scenario.name}-{time.time_ns()}"
    topic, told_on = f"{race.topic}-{stamp}", f"alerts-{stamp}"
    create_topics(
        race.kafka, [topic, NO_SALES], plain=[told_on], partitions=race.partitions, replication=1
    )
    worker = CONTESTANTS[0]._replace(name=f"alerts-{scenario.name}")
    environment = race.environment(database, judges=True, topic=topic) | {
        "FENGHUO_CONFIG": str(path),
        "FENGHUO_ALERTS_TOPIC": told_on,
    }
    cases = records_of(planned, seed=seed)
    before = race.server.cpu_seconds()
    process = race.start(worker, environment)
    looking, rows, told = Looking(database, topic), Rows(database), Told(race.kafka, told_on)
    for one in (looking, rows, told):
        one.start()
    try:
        sent, times = asyncio.run(
            publish(
                race.kafka, topic, events,
                rate=rate, seconds=seconds, extras=[extra for extra, _ in cases],
            )
        )  # fmt: skip
        last = {
            extra.key.decode(): at
            for (extra, is_last), at in zip(cases, times, strict=True)
            if is_last
        }
        total = sum(one.records for one in sent)
        hooks = "hook" in scenario.channels
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline and not (
            looking.total >= total
            and len(rows.explained) == len(told.opened) == len(last)
            and (not hooks or len(hooked(channels.hook)[0]) == len(last))
        ):
            time.sleep(0.2)
        if process.poll() is not None:
            raise BenchmarkError(f"The worker has ended. See {race.log(worker)}.")
        after, used = race.server.cpu_seconds(), cpu_seconds(process)
    finally:
        for one in (looking, rows, told):
            one.stop()
        stop(process)
    begin = min(one.at for one in sent) + WARM_UP
    kept = [one for one in sent if one.at >= begin]
    hook, doubled = hooked(channels.hook)
    watched = {"row": rows.opened, "topic": told.opened, "hook": hook, "explained": rows.explained}
    return {
        "events": sum(one.records for one in kept),
        "recorded": seconds_until(kept, recorded(database)),
        "visible": seconds_until(kept, looking.seen),
        "doubled": doubled,
        "worker_cpu": used,
        "database_cpu": None if before is None or after is None else after - before,
        **{
            name: [moments[region] - at for region, at in last.items() if region in moments]
            for name, moments in watched.items()
        },
    }


def _volume(database: str) -> tuple[dict[str, int], dict[str, int], int]:
    with psycopg.connect(database) as connection:
        rows = connection.execute(
            "SELECT kind, sum(n)::int, max(n)::int FROM ("
            "SELECT kind, alert_id, count(*) AS n FROM alert_events GROUP BY 1, 2) AS e "
            "GROUP BY 1 ORDER BY 2 DESC"
        ).fetchall()
        alerts = connection.execute("SELECT count(*) FROM alerts").fetchone()
    assert alerts is not None
    return {row[0]: row[1] for row in rows}, {row[0]: row[2] for row in rows}, alerts[0]
