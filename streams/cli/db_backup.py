"""`fenghuo db backup`: the whole database in one file, by a pg_dump that fits the server."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path  # noqa: TC003 - typer needs it at run time
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.common import DatabaseOption, console, settings
from streams.cli.output import open_database
from streams.cli.places import check_file
from streams.errors import FenghuoError, StoreError, UnavailableError

if TYPE_CHECKING:
    import psycopg

__all__ = ["backup"]


def backup(
    file: Annotated[Path, typer.Argument(help="File to write, in pg_dump's custom format.")],
    *,
    database: DatabaseOption = None,
) -> None:
    """Write the whole database into one file, beside running workers, as of one moment.

    Takes the system's pg_dump, or that of the embedded database where the system's is missing or
    older than the server. Sign in as the owner of the tables or a superuser.
    """
    from streams.embedded.tools import find_tool  # noqa: PLC0415 - keeps --help fast

    check_file(file, "FILE")
    if file.exists():
        raise FenghuoError(f"{file} exists already. Name another file.")
    given = settings(database=database).database
    with open_database(given) as connection:
        role, major = connection.info.user, connection.info.server_version // 10_000
        plain, secret = _without_password(connection, given)
    tool = find_tool("pg_dump", major)
    if tool is None:
        raise UnavailableError(
            f"There is no pg_dump of version {major} or newer. Install PostgreSQL's client "
            "programs of the server's version."
        )
    _dump(tool, plain, secret, file, role)
    size = file.stat().st_size / 1e6
    console.print(
        f"Wrote {file}, {size:,.1f} MB. Restore it into an empty database with\n"
        f"  {tool.with_name('pg_restore')} --no-owner --dbname=URI {file}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


def _without_password(connection: psycopg.Connection, given: str) -> tuple[str, str]:
    """Return connection string and password apart: arguments of a process are no secret."""
    from psycopg.conninfo import conninfo_to_dict, make_conninfo  # noqa: PLC0415

    parts = conninfo_to_dict(given)
    parts.pop("password", None)
    return make_conninfo("", **parts), connection.info.password


def _dump(tool: Path, plain: str, secret: str, file: Path, role: str) -> None:
    unfinished = file.with_name(f"{file.name}.unfinished")
    command = [str(tool), "--format=custom", f"--file={unfinished}", f"--dbname={plain}"]
    environment = os.environ | ({"PGPASSWORD": secret} if secret else {})
    try:
        done = subprocess.run(  # noqa: S603 - PostgreSQL's own program
            command, env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise StoreError(_why(done.stderr, role))
        unfinished.rename(file)
    finally:
        unfinished.unlink(missing_ok=True)


def _why(said: str, role: str) -> str:
    lines = [line.partition("error: ")[2] or line for line in said.splitlines() if line.strip()]
    told = lines[0].rstrip(".") if lines else "it did not say why"
    if "permission denied" in told:
        return (
            f"The database role {role} may not do this: {told}. Sign in as fenghuo_owner or a "
            "superuser."
        )
    return f"pg_dump failed: {told}. Nothing was written."
