"""`fenghuo db owner`, `fenghuo db roles`: the database roles of migrations, workers and page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.common import DatabaseOption, console, settings
from streams.cli.output import open_database

if TYPE_CHECKING:
    from pydantic import SecretStr

__all__ = ["register"]


def register(db: typer.Typer) -> None:
    """Add the commands to the group `db`."""
    db.command()(owner)
    db.command()(roles)


def owner(
    name: Annotated[str, typer.Argument(help="Name of the role.")] = "fenghuo_owner",
    *,
    database: DatabaseOption = None,
) -> None:
    """Make the role that owns the database and migrates it, and give it all tables.

    Run it as a superuser while workers and page are stopped, and db migrate after it. The password
    is that in FENGHUO_OWNER_PASSWORD.
    """
    from streams.store.ownership import give_to_owner, others_connected  # noqa: PLC0415 - keeps --help fast
    from streams.store.pool import connect  # noqa: PLC0415

    current = settings(database=database)
    with connect(current.database) as connection:
        if others := others_connected(connection):
            console.print(
                f"Warning: others are connected to this database ({', '.join(others)}). Stop "
                "workers and page first: they may lose their rights until fenghuo db roles, and "
                "hold this up meanwhile.",
                style="yellow",
                highlight=False,
                soft_wrap=True,
            )
        created = give_to_owner(connection, name, _password(current.owner_password))
    _report(name, created=created, known=bool(_password(current.owner_password)))


def roles(
    worker: Annotated[str, typer.Option(help="Name of the workers' role.")] = "fenghuo_worker",
    page: Annotated[str, typer.Option(help="Name of the triage page's role.")] = "fenghuo_page",
    *,
    database: DatabaseOption = None,
) -> None:
    """Make the roles that workers and the triage page sign in as, or bring them up to date.

    Run it as a superuser, or as the owner of the tables with CREATEROLE, and repeat it after each
    db migrate. The passwords are those in FENGHUO_WORKER_PASSWORD and FENGHUO_PAGE_PASSWORD.
    """
    from streams.store.roles import PAGE, WORKER, grant_roles  # noqa: PLC0415

    current = settings(database=database)
    passwords = {
        worker: _password(current.worker_password),
        page: _password(current.page_password),
    }
    with open_database(current.database) as connection:
        done = grant_roles(
            connection, {worker: (WORKER, passwords[worker]), page: (PAGE, passwords[page])}
        )
    for role in done:
        _report(role.name, created=role.created, known=bool(passwords[role.name]))


def _password(given: SecretStr) -> str | None:
    return given.get_secret_value() or None


def _report(name: str, *, created: bool, known: bool) -> None:
    became = "was made" if created else "is up to date"
    without = "" if known else " No password was given: it keeps the one that it has, if any."
    console.print(f"Role {name} {became}.{without}", highlight=False, soft_wrap=True)
