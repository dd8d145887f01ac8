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
from streams.cli.common import DatabaseOption, settings
from streams.cli.output import JsonOption, open_database, print_json, results
from streams.errors import FenghuoError

if TYPE_CHECKING:
    from schemas.alerts import Alert, Change

__all__ = ["register"]

Id = Annotated[int, typer.Argument(metavar="ID")]
Note = Annotated[str | None, typer.Option("--note", "-m", help="Why.", metavar="TEXT")]
As = Annotated[
    str | None,
    typer.Option(
        "--as",
        help="Your name.",
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
    for command in (
        acknowledge, verify, monitor, assess, confirm, discard, close, assign, comment, merge,
        reopen, rebuild,
    ):  # fmt: skip
        group.command()(command)


def acknowledge(
    alert_id: Id, *, note: Note = None, as_: As = None, database: DatabaseOption = None
) -> None:
    """Tell that you have seen an alert."""
    _act(alert_id, Acknowledged(note=note), as_, None, database)


def verify(
    alert_id: Id,
    *,
    note: Note = None,
    as_: As = None,
    version: Seen = None,
    database: DatabaseOption = None,
) -> None:
    """Begin to verify: is it real, are the data right? It becomes yours if it is nobody's."""
    _act(alert_id, Verified(note=note), as_, version, database)


def monitor(
    alert_id: Id,
    *,
    note: Note = None,
    as_: As = None,
    version: Seen = None,
    database: DatabaseOption = None,
) -> None:
    """Watch an alert that is neither discarded nor assessed yet."""
    _act(alert_id, Monitored(note=note), as_, version, database)


def assess(
    alert_id: Id,
    likelihood: Annotated[Likelihood, typer.Argument(help="How likely it is to spread.")],
    consequence: Annotated[Consequence, typer.Argument(help="How grave that would be.")],
    *,
    note: Note = None,
    as_: As = None,
    version: Seen = None,
    database: DatabaseOption = None,
) -> None:
    """Assess the risk: the level follows from likelihood and consequence."""
    change = Assessed(likelihood=likelihood, consequence=consequence, note=note)
    _act(alert_id, change, as_, version, database)


def confirm(
    alert_id: Id,
    *,
    note: Note = None,
    as_: As = None,
    version: Seen = None,
    database: DatabaseOption = None,
) -> None:
    """Confirm that it is an event that calls for a response."""
    _act(alert_id, Confirmed(note=note), as_, version, database)


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
    database: DatabaseOption = None,
) -> None:
    """Discard an alert that is no event."""
    _act(alert_id, Discarded(outcome=outcome, note=note), as_, version, database)


def close(
    alert_id: Id,
    outcome: Annotated[Outcome, typer.Argument(help="What it was.")],
    *,
    note: Note = None,
    as_: As = None,
    version: Seen = None,
    database: DatabaseOption = None,
) -> None:
    """Close an alert when the response, or the watching, is over."""
    _act(alert_id, Closed(outcome=outcome, note=note), as_, version, database)


def assign(
    alert_id: Id,
    to: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Omitted: nobody.")] = None,
    *,
    note: Note = None,
    as_: As = None,
    version: Seen = None,
    database: DatabaseOption = None,
) -> None:
    """Say who is responsible for an alert."""
    _act(alert_id, Assigned(to=to, note=note), as_, version, database)


def comment(
    alert_id: Id,
    text: Annotated[str, typer.Argument(metavar="TEXT")],
    *,
    as_: As = None,
    database: DatabaseOption = None,
) -> None:
    """Add a remark to an alert."""
    if not text.strip():
        raise FenghuoError("A remark has at least one letter.")
    _act(alert_id, Commented(note=text), as_, None, database)


def merge(
    alert_id: Id,
    into: Annotated[int, typer.Argument(metavar="INTO", help="The alert that stays open.")],
    *,
    note: Note = None,
    as_: As = None,
    version: Seen = None,
    database: DatabaseOption = None,
) -> None:
    """Merge an alert into another one that is about the same event."""
    _act(alert_id, Merged(into=into, note=note), as_, version, database)


def reopen(
    alert_id: Id,
    *,
    note: Note = None,
    as_: As = None,
    version: Seen = None,
    database: DatabaseOption = None,
) -> None:
    """Take back that an alert was closed, discarded or merged."""
    _act(alert_id, Reopened(note=note), as_, version, database)


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
    alert_id: int, change: Change, as_: str | None, version: int | None, database: str | None
) -> None:
    from streams.store.decisions import act  # noqa: PLC0415 - keeps --help fast

    actor = as_ or _login_name()
    with open_database(settings(database=database).database) as connection:
        alert = act(connection, alert_id, change, actor=actor, seen=version)
    results().print(_outcome(alert, change, actor), markup=False, soft_wrap=True)


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
