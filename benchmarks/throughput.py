"""Throughput beside Faust, Quix Streams and the raw limits, in one run on the same events."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from benchmarks.events import benchmark_events
from benchmarks.latency import measure_latency
from benchmarks.peers import peers_python
from benchmarks.profiling import profile
from benchmarks.race import CONTESTANTS, NO_SALES, Race
from benchmarks.report import machine, markdown, print_report
from benchmarks.servers import broker, database_server, default_broker
from streams.config import load_configuration
from streams.feed.publish import publish_records
from streams.kafka import create_topics, topic_ids

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.race import Outcome

_HERE = Path(__file__).resolve().parent
_OUTPUT = _HERE / "output"
_RESULTS = _HERE / "results"
_TOPIC = "bench.visits"

console = Console(width=None if sys.stdout.isatty() else 150)


def main() -> None:
    """Run the benchmark."""
    options = _options()
    only = options.only.split(",") if options.only else [c.name for c in CONTESTANTS]
    chosen = [contestant for contestant in CONTESTANTS if contestant.name in only]
    if any(contestant.peer for contestant in chosen):
        console.print("Peers' environment ...")
        peers_python()
    console.print(f"Simulating {options.events:,} visits ...")
    events = benchmark_events(options.events, _OUTPUT)
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="fh-bench-"))  # short: it holds a unix socket
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        folder.chmod(0o755)
        race = _prepare(stack, folder, options, events)
        about = machine(race.server.version(), options.broker)
        if options.profile:
            _save_profile(profile(race, _OUTPUT), about)
            return
        outcomes = _rounds(race, chosen, options.repeat)
        latency = None
        if options.latency:
            console.print("Latency ...")
            latency = measure_latency(race, events, rate=options.latency_rate, seconds=15)
    print_report(console, outcomes, latency, about)
    result = {
        "events": options.events,
        "about": about,
        "outcomes": [outcome.as_json() for outcome in outcomes],
        "latency": latency._asdict() if latency else None,
    }
    (_OUTPUT / "throughput.json").write_text(json.dumps(result, indent=1))
    if options.save:
        command = "python -m benchmarks.throughput " + " ".join(sys.argv[1:])
        path = _RESULTS / f"{_today()}.md"
        path.write_text(markdown(outcomes, latency, about, command.strip()))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.throughput", description=__doc__)
    parser.add_argument("--events", type=int, default=400_000)
    parser.add_argument("--broker", choices=["embedded", "apache"], default=default_broker())
    parser.add_argument("--repeat", type=int, default=1, help="rounds, contestants interleaved")
    parser.add_argument("--partitions", type=int, default=8)
    parser.add_argument("--only", help="names of contestants, with commas: "
                        + ",".join(c.name for c in CONTESTANTS))  # fmt: skip
    parser.add_argument("--slow-seconds", type=float, default=10, help="sample of Faust async for")
    parser.add_argument("--latency", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--latency-rate", type=int, default=5_000, help="events per second")
    parser.add_argument("--set", action="append", default=[], metavar="FENGHUO_X=Y",
                        help="a setting for all processes, to try it out")  # fmt: skip
    parser.add_argument("--profile", action="store_true", help="only: where the worker's time goes")
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/DATE.md too")
    return parser.parse_args()


def _prepare(
    stack: ExitStack,
    folder: Path,
    options: argparse.Namespace,
    events: Sequence[tuple[bytes, bytes]],
) -> Race:
    """Start broker and database, and publish the events."""
    console.print(f"Starting broker ({options.broker}) and database ...")
    kafka = stack.enter_context(broker(options.broker, folder))
    server = stack.enter_context(database_server(folder))
    create_topics(
        kafka,
        [_TOPIC, NO_SALES],
        plain=["alerts"],
        partitions=options.partitions,
        replication=1,
    )
    publish_records(kafka, _TOPIC, events)
    config = {True: _HERE / "surveillance.yaml", False: folder / "quiet.yaml"}
    text = config[True].read_text(encoding="utf-8")
    config[False].write_text(text.partition("\nrules:")[0] + "\n", encoding="utf-8")
    return Race(
        kafka=kafka,
        log_id=topic_ids(kafka, [_TOPIC])[_TOPIC],
        server=server,
        judging=load_configuration(config[True]),
        quiet=load_configuration(config[False]),
        config=config,
        folder=_OUTPUT,
        topic=_TOPIC,
        partitions=options.partitions,
        events=len(events),
        slow_seconds=options.slow_seconds,
        settings=dict(item.split("=", 1) for item in options.set),
    )


def _rounds(race: Race, chosen: Sequence[object], repeat: int) -> list[Outcome]:
    # The broker's Java compiles what it runs often, and PostgreSQL fills log segments with zeros
    # until it has some to use again: nobody shall go first.
    for name in ("getmany", "upsert"):
        race.run(next(c for c in CONTESTANTS if c.name == name))
    outcomes = []
    for number in range(repeat):
        for contestant in CONTESTANTS:
            if contestant not in chosen:
                continue
            outcome = race.run(contestant)
            console.print(
                f"round {number + 1}: {contestant.title}: {outcome.rate:,.0f} events/s "
                f"(load {outcome.load:.1f})",
                highlight=False,
            )
            outcomes.append(outcome)
    return outcomes


def _save_profile(text: str, about: dict[str, str]) -> None:
    head = "\n".join(f"{name}: {value}" for name, value in about.items())
    path = _RESULTS / f"profile-{_today()}.txt"
    path.write_text(f"{head}\n\n{text}")
    console.print(text, highlight=False, markup=False)
    console.print(f"Written to {path.relative_to(_HERE.parent)}")


def _today() -> str:
    return f"{datetime.now(UTC).date():%Y-%m-%d}"


if __name__ == "__main__":
    main()
