"""`fenghuo demo` and `fenghuo up`: everything on one machine."""

from __future__ import annotations

import logging
import shutil
import signal
import tempfile
import time
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self

import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from streams.cli.common import (
    ConfigOption,
    console,
    read_config,
    settings,
)
from streams.cli.config import warn_of_noise
from streams.cli.demo_publish import SeedOption, publish
from streams.cli.output import results, table
from streams.cli.places import check_folder
from streams.errors import FenghuoError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.config import Configuration
    from streams.demo.run import DemoResult
    from streams.settings import Settings

__all__ = ["register"]

#: Stands for standard output among paths.
_STDOUT = Path("-")

OutputOption = Annotated[Path, typer.Option(help="Folder for the pictures.")]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print the result as one JSON object, last on stdout.")
]
# Unlike elsewhere, FENGHUO_DATABASE and FENGHUO_KAFKA do not count: they name real servers.
OwnDatabaseOption = Annotated[
    str | None,
    typer.Option("--database", help="PostgreSQL URI.", show_default="one that is started here"),
]
OwnKafkaOption = Annotated[
    str | None,
    typer.Option("--kafka", help="Kafka bootstrap servers.", show_default="one started here"),
]
FolderOption = Annotated[Path, typer.Option(help="Folder where database and logs are kept.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(init)
    app.command()(up)
    group = typer.Typer(invoke_without_command=True)
    group.callback()(demo)
    group.command()(publish)
    app.add_typer(group, name="demo")


def init(
    path: Annotated[Path, typer.Argument(help="File to write; - is stdout.")] = Path(
        "fenghuo.yaml"
    ),
    *,
    for_demo: Annotated[
        bool, typer.Option("--demo", help="The demo's, to run workers by.")
    ] = False,
) -> None:
    """Write a configuration to start from."""
    if for_demo:
        from streams.demo.publish import demo_configuration  # noqa: PLC0415 - keeps --help fast

        text = demo_configuration()
    else:
        template = resources.files("streams") / "data" / "fenghuo.yaml"
        text = template.read_text(encoding="utf-8")
    if path == _STDOUT:
        typer.echo(text, nl=False)
        return
    if path.is_file():
        raise FenghuoError(f"{path} exists already. Name another file, or edit this one.")
    path.write_text(text, encoding="utf-8")
    warn_of_noise(read_config(settings(config=path)))
    console.print(f"Wrote {path}. Next: fenghuo up", highlight=False)


def up(
    config: ConfigOption = None,
    database: OwnDatabaseOption = None,
    kafka: OwnKafkaOption = None,
    folder: FolderOption = Path(".fenghuo"),
) -> None:
    """Run a broker, a database, a worker and the triage page on this machine until Ctrl-C.

    FENGHUO_DATABASE and FENGHUO_KAFKA do not count here. The page's port is FENGHUO_PAGE_PORT.
    """
    from streams.config import load_configuration  # noqa: PLC0415 - keeps --help fast
    from streams.embedded.stack import EmbeddedStack  # noqa: PLC0415
    from streams.store.people import first_admin  # noqa: PLC0415
    from streams.store.pool import connect  # noqa: PLC0415

    check_folder(folder, "--folder")
    current = settings(config=config, database=database, kafka=kafka)
    stack = EmbeddedStack(
        folder.absolute(),
        current.model_copy(update={"config": current.config.absolute()}),
        load_configuration(current.config),
        external_kafka=kafka is not None,
        external_database=database is not None,
        keep_port=True,
        on_owned=lambda: _check_page_port(current),
        on_step=lambda step: console.print(f"{step} …", highlight=False),
        on_notice=_notice,
    )
    with stack:
        worker = stack.start_worker()
        with connect(stack.settings.database) as connection:
            admin = first_admin(connection)
        page = stack.start_page()
        console.print(
            f"Fenghuo is up. Publish to [bold]{stack.settings.kafka}[/bold], look with\n"
            f"  fenghuo status --kafka '{stack.settings.kafka}' "
            f"--database '{stack.settings.database}'\n"
            f"The triage page is at [bold]{stack.settings.page_url}[/bold]"
            + (f": sign in as {admin.name}, one-time password {admin.password}" if admin else "")
            + "\nStop with Ctrl-C.",
            highlight=False,
            soft_wrap=True,
        )
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # children are stopped as well
        try:
            told = False
            while True:
                stack.check()
                worker.check()
                if page.gave_up and not told:  # the worker goes on without it
                    console.print(f"The page does not stay up. See {folder / 'page.log'}.")
                    told = True
                time.sleep(1)
        except KeyboardInterrupt:
            console.print("Stopping …", highlight=False)


def _check_page_port(current: Settings) -> None:
    """Refuse a port that is taken before anything is started or its address is printed."""
    from streams.web.serving import listen  # noqa: PLC0415 - keeps --help fast

    with listen(
        current.page_host, current.page_port, remedy="by FENGHUO_PAGE_HOST and FENGHUO_PAGE_PORT"
    ):
        pass


def _notice(sentence: str) -> None:
    console.print(sentence, style="yellow", markup=False, highlight=False, soft_wrap=True)


def demo(
    context: typer.Context,
    output: OutputOption = Path("demo-output"),
    seed: SeedOption = 2009,
    keep: Annotated[bool, typer.Option(help="Keep the database and the logs.")] = False,  # noqa: FBT002 - a flag
    json: JsonOption = False,  # noqa: FBT002 - a flag
) -> None:
    """Replay the 2009 influenza pandemic in Taiwan through the whole system."""
    if context.invoked_subcommand:
        return
    check_folder(output, "--output")
    from streams.config import load_configuration  # noqa: PLC0415 - keeps --help fast
    from streams.demo.run import run_demo  # noqa: PLC0415

    config = resources.files("streams") / "demo" / "data" / "demo.yaml"
    with resources.as_file(config) as path, _work_folder(keep=keep) as folder:
        current = settings(config=path).model_copy(update={"web_port": 0, "session_timeout": 3.0})
        configuration = load_configuration(path)
        with _Display() as display:

            def done(result: DemoResult, running: Settings) -> None:
                display.stop()
                _show(result)
                if json:
                    typer.echo(result.model_dump_json())
                if keep:
                    _serve(running, configuration)

            run_demo(
                current,
                configuration,
                folder=folder,
                output=output,
                seed=seed,
                on_step=display.step,
                on_progress=display.progress,
                on_done=done,
            )


def _serve(running: Settings, configuration: Configuration) -> None:
    """Serve the triage page of the demo until Ctrl-C."""
    from streams.demo.page import DEMO_USER, let_in, with_free_port  # noqa: PLC0415 - quick --help
    from streams.web.serving import serve  # noqa: PLC0415

    logging.basicConfig(level=logging.WARNING)  # the page's own log is for services
    current = with_free_port(running)
    password = let_in(current.database)
    serve(
        current,
        configuration,
        started=lambda: results().print(
            f"The triage page is at {current.page_url}\n"
            f"  user      {DEMO_USER}\n"
            f"  password  {password}  (for this demo only)\n"
            "Which county had it worst? Choose Regions. Stop with Ctrl-C."
        ),
    )
    console.print("Stopping …", highlight=False)


@contextmanager
def _work_folder(*, keep: bool) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="fenghuo-demo-"))
    folder.chmod(0o755)  # the database's own user must reach it
    try:
        yield folder
    except BaseException:
        console.print(f"Logs and data: {folder}", highlight=False)
        raise
    if keep:
        console.print(f"Database and logs: {folder}", highlight=False)
    else:
        shutil.rmtree(folder, ignore_errors=True)


class _Display:
    """Steps as lines; two bars while events flow."""

    def __init__(self) -> None:
        self._bars = Progress(
            TextColumn("  {task.description:<10}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.completed:>9,.0f} of {task.total:,.0f}"),
            TimeElapsedColumn(),
            console=console,
        )
        self._tasks: tuple[int, int] | None = None

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Leave the terminal to others."""
        self._bars.stop()

    def step(self, text: str) -> None:
        self._bars.console.print(f"{text} …", highlight=False)

    def progress(self, total: int, published: int, stored: int) -> None:
        if self._tasks is None:
            self._tasks = (
                self._bars.add_task("published", total=total),
                self._bars.add_task("stored", total=total),
            )
        for task, done in zip(self._tasks, (published, stored), strict=True):
            self._bars.update(task, completed=done)  # type: ignore[arg-type]


def _show(result: DemoResult) -> None:
    first = table(
        "First alert of each county (EARS C2 on weekly visits for influenza-like illness)",
        "county", "", "week", "observed", "expected", "threshold",
        right=("observed", "expected", "threshold"),
    )  # fmt: skip
    for alert in result.first_alerts:
        first.add_row(
            alert.name_zh,
            alert.name_en,
            alert.week,
            f"{alert.observed:,.0f}",
            "-" if alert.expected is None else f"{alert.expected:,.1f}",
            "-" if alert.upper is None else f"{alert.upper:,.1f}",
        )
    results().print(first)
    results().print(
        f"{result.events_published:,} events published = {result.events_stored:,} stored = "
        f"{result.events_recounted:,} recounted; {result.counts_checked:,} hourly counts equal the "
        f"recount.\n{result.events_per_second:,.0f} events/s from broker to commit; "
        f"{result.alerts} alerts; {result.dead_letters} dead letters; {result.seconds:.0f} s.\n"
        f"{result.notifications} messages delivered to a webhook and a mail server on this "
        f"machine, {result.digests} of them digests.\n"
        "The demo's rules have short baselines, to be early in a pandemic: on noise its rolling "
        "rules open about 6 alerts a year in each county. fenghuo init writes calmer ones."
    )
    for picture in result.pictures:
        results().print(f"  {picture}")
