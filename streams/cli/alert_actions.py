"""Commands with which officers move an alert through its lifecycle."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from schemas.alerts import (
    Acknowledged,
    Assessed,
    Assigned,
    Closed,
    Commented,
    Confirmed,
    Consequence,
    Discarded,
    Likelihood,
    Merged,
    Monitored,
    Outcome,
    Reopened,
    Verified,
)
from streams.cli.common import ConfigOption, DatabaseOption, read_config, record_number, settings
from streams.cli.output import JsonOption, open_database, print_json, results
from streams.errors import FenghuoError

if TYPE_CHECKING:
    from schemas.alerts import Alert, Change

__all__ = ["register"]

Id = Annotated[int, typer.Argument(metavar="ID", parser=record_number)]
Note = Annotated[str | None, typer.Option("--note", "-m", help="Why.", metavar="TEXT")]
As = Annotated[
    str | None,
    typer.Option(
        "--as",
        help="Your name as a user (fenghuo users list).",
        envvar="FENGHUO_OFFICER",
        show_default="your login name",
        metavar="NAME",
    ),
]
Seen = Annotated[
    int | None,
    typer.Option(
        "--version",
        min=1,
        help="Version of the alert that you saw: refused if somebody else has moved it since.",
        show_default="as it is now",
    ),
]


def register(group: typer.Typer) -> None:
    """Add the commands."""
    group.command()(acknowledge)
    _add_step(
        group,
        "verify",
        Verified,
        "Begin to verify: is it real, are the data right? It becomes yours if it is nobody's.",
    )
    _add_step(
        group, "monitor", Monitored, "Watch an alert that is neither discarded nor assessed yet."
    )
    group.command()(assess)
    _add_step(group, "confirm", Confirmed, "Confirm that it is an event that calls for a response.")
    for command in (discard, close, assign, comment, merge):
        group.command()(command)
    _add_step(group, "reopen", Reopened, "Take back that an alert was closed, discarded or merged.")
    group.command()(rebuild)


def _add_step(
    group: typer.Typer,
    name: str,
    change: type[Verified | Monitored | Confirmed | Reopened],
    text: str,
) -> None:
    """Add a command that takes an alert one step on, with no more to say than why."""

    def step(
        alert_id: Id,
        *,
        note: Note = None,
        as_: As = None,
        version: Seen = None,
        as_json: JsonOption = False,
        database: DatabaseOption = None,
    ) -> None:
        _act(alert_id, change(note=note), as_, version, database, as_json=as_json)

    group.command(name, help=text)(step)


def acknowledge(
    alert_id: Id,
    *,
    note: Note = None,
    as_: As = None,
    as_json: JsonOption = False,
    database: DatabaseOption = None,
) -> None:
    """Tell that you have seen an alert."""
    _act(alert_id, Acknowledged(note=note), as_, None, database, as_json=as_json)


def assess(
    alert_id: Id,
    likelihood: Annotated[Likelihood, typer.Argument(help="How likely it is to spread.")],
    consequence: Annotated[Consequence, typer.Argument(help="How grave that would be.")],
    *,
    note: Note = None,
    as_: As = None,
    version: Seen = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> None:
    """Assess the risk: the level follows from both, by the matrix of the configuration."""
    from schemas.risk import risk_level  # noqa: PLC0415 - keeps --help fast

    handling = read_config(settings(config=config)).surveillance.alerts
    change = Assessed(
        likelihood=likelihood,
        consequence=consequence,
        risk=risk_level(likelihood, consequence, handling.risk_matrix),
        note=note,
    )
    _act(alert_id, change, as_, version, database, as_json=as_json)


def discard(
    alert_id: Id,
    outcome: Annotated[
        Literal["explained", "data_error", "false_alarm"],
        typer.Argument(help="What it was."),
    ],
    *,
    note: Note = None,
    as_: As = None,
    version: Seen = None,
    as_json: JsonOption = False,
    database: DatabaseOption = None,
) -> None:
    """Discard an alert that is no event."""
    _act(alert_id, Discarded(outcome=outcome, note=note), as_, version, database, as_json=as_json)


def close(
    alert_id: Id,
    outcome: Annotated[Outcome, typer.Argument(help="What it was.")],
    *,
    note: Note = None,
    as_: As = None,
    version: Seen = None,
    as_json: JsonOption = False,
    database: DatabaseOption = None,
) -> None:
    """Close an alert when the response, or the watching, is over."""
    _act(alert_id, Closed(outcome=outcome, note=note), as_, version, database, as_json=as_json)


def assign(
    alert_id: Id,
    to: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Omitted: nobody.")] = None,
    *,
    note: Note = None,
    as_: As = None,
    version: Seen = None,
    as_json: JsonOption = False,
    database: DatabaseOption = None,
) -> None:
    """Say who is responsible for an alert."""
    _act(alert_id, Assigned(to=to, note=note), as_, version, database, as_json=as_json)


def comment(
    alert_id: Id,
    text: Annotated[str, typer.Argument(metavar="TEXT")],
    *,
    as_: As = None,
    as_json: JsonOption = False,
    database: DatabaseOption = None,
) -> None:
    """Add a remark to an alert."""
    if not text.strip():
        raise FenghuoError("A remark has at least one letter.")
    _act(alert_id, Commented(note=text), as_, None, database, as_json=as_json)


def merge(
    alert_id: Id,
    into: Annotated[
        int, typer.Argument(metavar="INTO", parser=record_number, help="The alert that stays open.")
    ],
    *,
    note: Note = None,
    as_: As = None,
    version: Seen = None,
    as_json: JsonOption = False,
    database: DatabaseOption = None,
) -> None:
    """Merge an alert into another one that is about the same event."""
    _act(alert_id, Merged(into=into, note=note), as_, version, database, as_json=as_json)


def rebuild(
    *,
    check: Annotated[bool, typer.Option("--check", help="Compare only; exit 1 if they differ.")] = (
        False
    ),
    as_json: JsonOption = False,
    database: DatabaseOption = None,
) -> None:
    """Make the table of alerts anew from their history."""
    from streams.store.alert_history import rebuild as run  # noqa: PLC0415 - keeps --help fast

    with open_database(settings(database=database).database) as connection:
        alerts, differences = run(connection, check_only=check)
    if as_json:
        print_json({"alerts": alerts, "differences": [d._asdict() for d in differences]})
    else:
        for difference in differences:
            results().print(f"Alert {difference.alert_id}: {', '.join(difference.fields)}")
        done = "differ from their history" if check else "were made anew"
        results().print(f"{len(differences)} of {alerts} alerts {done}.")
    if check and differences:
        raise typer.Exit(1)


def _act(
    alert_id: int,
    change: Change,
    as_: str | None,
    version: int | None,
    database: str | None,
    *,
    as_json: bool,
) -> None:
    from streams.people.users import folded_name  # noqa: PLC0415 - keeps --help fast
    from streams.store.authorised import act_as  # noqa: PLC0415 - keeps --help fast

    actor = as_ or _login_name()
    with open_database(settings(database=database).database) as connection:
        alert = act_as(connection, alert_id, change, actor=actor, seen=version)
    if as_json:
        print_json(alert.model_dump(mode="json"))
        return
    results().print(_outcome(alert, change, folded_name(actor)), markup=False, soft_wrap=True)


def _login_name() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        raise FenghuoError("Nobody is logged in. Say who you are with --as NAME.") from None


def _outcome(alert: Alert, change: Change, actor: str) -> str:
    """Say what has become of an alert."""
    parts = [f"Alert {alert.alert_id} is {alert.status}"]
    match change:
        case Commented():
            parts.append(f"the remark is noted, by {actor}")
        case Acknowledged():
            parts.append(f"read by {alert.acknowledged_by or actor}")
        case Assigned() | Verified():
            parts.append(f"assigned to {alert.assigned_to or 'nobody'}")
        case Assessed():
            parts.append(f"risk {alert.risk}")
        case Discarded() | Closed():
            parts.append(f"outcome {alert.outcome}")
        case Merged():
            parts.append(f"into alert {alert.merged_into}")
        case _:
            pass
    return f"{', '.join(parts)} (version {alert.version})."
