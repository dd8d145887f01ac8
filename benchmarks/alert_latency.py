"""From the event that completes an outbreak to its alert: in the database, on Kafka, at a webhook.

The real worker runs with rules, under a steady stream of other events; scenarios are interleaved.
"""

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

from benchmarks.alert_report import markdown, print_report, summary
from benchmarks.alert_runs import SCENARIOS, watch_alerts
from benchmarks.events import REGIONS, benchmark_events
from benchmarks.race import Race
from benchmarks.report import machine
from benchmarks.servers import broker, database_server, default_broker
from benchmarks.steady import WARM_UP
from streams.config import load_configuration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.alert_runs import Run

_HERE = Path(__file__).resolve().parent
_OUTPUT = _HERE / "output"
_RESULTS = _HERE / "results"

console = Console(width=None if sys.stdout.isatty() else 150)


def main() -> None:
    """Run the benchmark."""
    options = _options()
    only = options.only.split(",") if options.only else [one.name for one in SCENARIOS]
    wanted = int(options.rate * (options.seconds + WARM_UP))
    console.print(f"Simulating {wanted:,} visits ...")
    events = benchmark_events(wanted, _OUTPUT)
    runs = []
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="fh-bench-"))  # short: it holds a unix socket
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        folder.chmod(0o755)
        race = _race(stack, folder, options, events)
        about = machine(race.server.version(), options.broker)
        for number in range(options.repeat):
            for scenario in SCENARIOS:
                if scenario.name not in only:
                    continue
                run = watch_alerts(
                    race, scenario, events,
                    base=_HERE / "surveillance.yaml", rate=options.rate, seconds=options.seconds,
                    count=options.alerts, seed=number,
                )  # fmt: skip
                console.print(f"round {number + 1}: {summary(run)}", highlight=False)
                runs.append(run)
    print_report(console, runs, options.rate, about)
    _keep(runs, options, about)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.alert_latency", description=__doc__)
    parser.add_argument("--seconds", type=float, help="of each run; 60, with --quick 15")
    parser.add_argument("--alerts", type=int, help="outbreaks of each run; 210, with --quick 40")
    parser.add_argument("--rate", type=int, default=5_000, help="events per second")
    parser.add_argument("--broker", choices=["embedded", "apache"], default=default_broker())
    parser.add_argument("--repeat", type=int, default=1, help="rounds, scenarios interleaved")
    parser.add_argument("--partitions", type=int, default=8)
    parser.add_argument("--only", help="names of scenarios, with commas: "
                        + ",".join(one.name for one in SCENARIOS))  # fmt: skip
    parser.add_argument("--set", action="append", default=[], metavar="FENGHUO_X=Y",
                        help="a setting of the worker, to try it out")  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="short runs, to see that it works")
    parser.add_argument("--save", action="store_true", help="write results/alerts-DATE.md too")
    options = parser.parse_args()
    options.seconds = options.seconds or (15 if options.quick else 60)
    options.alerts = options.alerts or (40 if options.quick else 210)
    if options.alerts > REGIONS:
        parser.error(f"--alerts: at most {REGIONS}, one for each county")
    return options


def _race(
    stack: ExitStack,
    folder: Path,
    options: argparse.Namespace,
    events: Sequence[tuple[bytes, bytes]],
) -> Race:
    console.print(f"Starting broker ({options.broker}) and database ...")
    kafka = stack.enter_context(broker(options.broker, folder))
    server = stack.enter_context(database_server(folder))
    config = _HERE / "surveillance.yaml"
    judging = load_configuration(config)
    return Race(
        kafka=kafka,
        log_id="",
        server=server,
        judging=judging,
        quiet=judging,
        config={True: config, False: config},
        folder=_OUTPUT,
        topic="bench.visits",
        partitions=options.partitions,
        events=len(events),
        slow_seconds=0,
        settings=dict(item.split("=", 1) for item in options.set),
    )


def _keep(runs: Sequence[Run], options: argparse.Namespace, about: dict[str, str]) -> None:
    results = [{**vars(run), "recorded": None, "visible": None} for run in runs]
    (_OUTPUT / "alerts.json").write_text(json.dumps({"about": about, "runs": results}, indent=1))
    if options.save:
        command = "python -m benchmarks.alert_latency " + " ".join(sys.argv[1:])
        path = _RESULTS / f"alerts-{datetime.now(UTC).date():%Y-%m-%d}.md"
        path.write_text(markdown(runs, options.rate, about, command.strip()))


if __name__ == "__main__":
    main()
