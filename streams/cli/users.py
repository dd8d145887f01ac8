"""Commands for the people who use the triage page and the API."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from schemas.notify import Language  # noqa: TC001 - typer needs it at run time
from streams.cli.common import DatabaseOption, console, record_number, settings
from streams.cli.output import JsonOption, moment, open_database, print_json, results, table
from streams.errors import FenghuoError
from streams.people.users import Role  # noqa: TC001 - typer needs it at run time

if TYPE_CHECKING:
    from streams.people.users import User

__all__ = ["register"]

Name = Annotated[str, typer.Argument(metavar="NAME")]
RegionOption = Annotated[
    str | None,
    typer.Option(
        help="Code of the region that they see, with all below it.", show_default="the nation"
    ),
]
StdinOption = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input.")
]
PromptOption = Annotated[bool, typer.Option("--prompt", help="Ask for the password.")]
_ROLES = "viewer reads; officer moves alerts; epidemiologist also sees parameters; admin: all."


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="People who use the triage page and the API.")
    group.command("list")(list_)
    for command in (add, password, role, link, disable, enable, remove, token, tokens, revoke):
        group.command()(command)
    app.add_typer(group, name="users", no_args_is_help=True)


def list_(*, as_json: JsonOption = False, database: DatabaseOption = None) -> None:
    """List users: who may do what, and where."""
    from streams.store.people import list_users  # noqa: PLC0415 - quick --help

    with open_database(settings(database=database).database) as connection:
        users = list_users(connection)
    if as_json:
        print_json([user.model_dump(mode="json") for user in users])
        return
    if not users:
        console.print("There are no users. Add one: fenghuo users add NAME --role admin")
        return
    shown = table(
        "Users", "name", "called", "role", "region", "signs in", "last sign-in", wrap=("called",)
    )
    for user in users:
        shown.add_row(
            user.name, user.display_name, user.role, user.region, _way(user),
            moment(user.last_sign_in_at),
        )  # fmt: skip
    results().print(shown, markup=False)


def add(
    name: Name,
    *,
    role: Annotated[Role, typer.Option(help=_ROLES)] = "officer",
    region: RegionOption = None,
    display_name: Annotated[
        str | None, typer.Option(help="How the page calls them.", show_default="NAME")
    ] = None,
    language: Annotated[Language, typer.Option(help="What they read.")] = "zh",
    password_stdin: StdinOption = False,
    prompt: PromptOption = False,
    no_password: Annotated[
        bool, typer.Option("--no-password", help="Tokens only, or OpenID Connect: see link.")
    ] = False,
    database: DatabaseOption = None,
) -> None:
    """Add a user. Without another wish they get a one-time password, which is printed."""
    from streams.store.people import add_user  # noqa: PLC0415 - quick --help

    given = None if no_password else _password(stdin=password_stdin, prompt=prompt)
    with open_database(settings(database=database).database) as connection:
        user = add_user(
            connection,
            name,
            role=role,
            region=region,
            display_name=display_name,
            locale=language,
            password=given[0] if given else None,
            must_change=bool(given and given[1]),
        )
    console.print(f"{user.name} is {user.role} for {user.region}.", markup=False, highlight=False)
    _hand_over(given)


def password(
    name: Name,
    *,
    password_stdin: StdinOption = False,
    prompt: PromptOption = False,
    take_away: Annotated[
        bool, typer.Option("--none", help="None: tokens only, or OpenID Connect (see link).")
    ] = False,
    database: DatabaseOption = None,
) -> None:
    """Set a new password, by default a one-time one; the user's sessions and tokens end."""
    from streams.store.people import (  # noqa: PLC0415 - quick --help
        get_user,
        set_password,
        take_password_away,
    )

    with open_database(settings(database=database).database) as connection:
        get_user(connection, name)  # before anybody types a password
        if take_away:
            take_password_away(connection, name)
            console.print(f"{name} has no password any more.", markup=False, highlight=False)
            return
        given = _password(stdin=password_stdin, prompt=prompt)
        set_password(connection, name, given[0], must_change=given[1])
    console.print(f"{name} has a new password.", markup=False, highlight=False)
    _hand_over(given)


def role(
    name: Name,
    role: Annotated[Role | None, typer.Argument(metavar="[ROLE]", help=_ROLES)] = None,
    *,
    region: Annotated[str | None, typer.Option(help="Code of their new region.")] = None,
    database: DatabaseOption = None,
) -> None:
    """Change what a user may do, where, or both."""
    from streams.store.people import set_access  # noqa: PLC0415 - quick --help

    if role is None and region is None:
        raise FenghuoError("Name a role, or a region with --region.")
    with open_database(settings(database=database).database) as connection:
        user = set_access(connection, name, role=role, region=region)
    console.print(f"{user.name} is {user.role} for {user.region}.", markup=False, highlight=False)


def link(
    name: Name,
    *,
    subject: Annotated[
        str | None, typer.Option(help="Their subject (sub) at the provider.", metavar="SUB")
    ] = None,
    issuer: Annotated[
        str | None,
        typer.Option(help="The provider.", show_default="FENGHUO_OIDC_ISSUER", metavar="URL"),
    ] = None,
    by_name: Annotated[
        bool, typer.Option("--by-name", help="Link at the next sign-in under this name, once.")
    ] = False,
    none: Annotated[bool, typer.Option("--none", help="Link with no subject any more.")] = False,
    database: DatabaseOption = None,
) -> None:
    """Say who a user is at the OpenID Connect provider."""
    from streams.store.credentials import (  # noqa: PLC0415 - quick --help
        allow_link_by_name,
        link_subject,
    )

    if [subject is not None, by_name, none].count(True) != 1:
        raise FenghuoError("Give one of --subject SUB, --by-name and --none.")
    known = settings(database=database)
    provider = issuer or known.oidc_issuer
    if subject is not None and not (subject and provider):
        raise FenghuoError("Name the provider with --issuer or FENGHUO_OIDC_ISSUER, and a subject.")
    with open_database(known.database) as connection:
        if by_name:
            allow_link_by_name(connection, name)
            done = "is linked at the next sign-in under this name"
        else:
            link_subject(connection, name, f"{provider} {subject}" if subject else None)
            done = f"is linked with {subject}" if subject else "is linked with no subject"
    console.print(f"{name} {done}.", markup=False, highlight=False)


def disable(name: Name, *, database: DatabaseOption = None) -> None:
    """Let a user in no more; their sessions and tokens end."""
    _set_disabled(name, database, disabled=True)


def enable(name: Name, *, database: DatabaseOption = None) -> None:
    """Let a user in again; former tokens stay revoked."""
    _set_disabled(name, database, disabled=False)


def remove(name: Name, *, database: DatabaseOption = None) -> None:
    """Remove a user. What they did keeps their name: do not give it to somebody else."""
    from streams.store.people import remove_user  # noqa: PLC0415 - quick --help

    with open_database(settings(database=database).database) as connection:
        remove_user(connection, name)
    console.print(f"{name} is removed.", markup=False, highlight=False)


def token(
    name: Name,
    *,
    label: Annotated[str, typer.Option(help="What it is for.")] = "",
    days: Annotated[
        int | None, typer.Option(min=1, help="Holds so long.", show_default="until revoked")
    ] = None,
    database: DatabaseOption = None,
) -> None:
    """Make a token with which programs act as a user; it is printed this once."""
    from streams.store.credentials import add_token  # noqa: PLC0415 - quick --help

    lifetime = None if days is None else timedelta(days=days)
    with open_database(settings(database=database).database) as connection:
        made = add_token(connection, name, label=label, lifetime=lifetime)
    console.print("Send it as Authorization: Bearer TOKEN. It is not shown again.")
    typer.echo(made)


def tokens(name: Name, *, as_json: JsonOption = False, database: DatabaseOption = None) -> None:
    """List a user's tokens, without the secrets."""
    from streams.store.credentials import list_tokens  # noqa: PLC0415 - quick --help

    with open_database(settings(database=database).database) as connection:
        found = list_tokens(connection, name)
    if as_json:
        print_json([one._asdict() for one in found])
        return
    if not found:
        console.print(f"{name} has no tokens.", markup=False, highlight=False)
        return
    shown = table(f"Tokens of {name}", "id", "for", "made", "until", "last used", wrap=("for",))
    for one in found:
        shown.add_row(
            str(one.token_id), one.label or "-", moment(one.created_at), moment(one.expires_at),
            moment(one.used_at),
        )  # fmt: skip
    results().print(shown, markup=False)


def revoke(
    name: Name,
    token_id: Annotated[
        int, typer.Argument(metavar="ID", parser=record_number, help="See fenghuo users tokens.")
    ],
    *,
    database: DatabaseOption = None,
) -> None:
    """Take a token back; it holds no more from now on."""
    from streams.store.credentials import revoke_token  # noqa: PLC0415 - quick --help

    with open_database(settings(database=database).database) as connection:
        revoke_token(connection, name, token_id)
    console.print(f"Token {token_id} of {name} is revoked.", markup=False, highlight=False)


def _set_disabled(name: str, database: str | None, *, disabled: bool) -> None:
    from streams.store.people import set_disabled  # noqa: PLC0415 - quick --help

    with open_database(settings(database=database).database) as connection:
        set_disabled(connection, name, disabled=disabled)
    done = "disabled and signed out" if disabled else "enabled"
    console.print(f"{name} is {done}.", markup=False, highlight=False)


def _password(*, stdin: bool, prompt: bool) -> tuple[str, bool]:
    """Return a password, and whether it is to be changed at the first sign-in."""
    from streams.people.passwords import one_time  # noqa: PLC0415 - quick --help

    if stdin and prompt:
        raise FenghuoError("Take --password-stdin or --prompt, not both.")
    if stdin:
        return sys.stdin.readline().rstrip("\r\n"), False
    if prompt:
        return typer.prompt("Password", hide_input=True, confirmation_prompt=True), False
    return one_time(), True


def _hand_over(given: tuple[str, bool] | None) -> None:
    if given and given[1]:
        console.print("One-time password, to be changed at the first sign-in:")
        typer.echo(given[0])


def _way(user: User) -> str:
    if user.disabled:
        return "disabled"
    if not user.has_password:
        return "without password"
    return "one-time password" if user.must_change_password else "password"
