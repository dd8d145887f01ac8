"""What a database role lacks: one sentence that names the role and the one to use.

Every connection of a command is a `CommandConnection`, so that no command has to think of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import psycopg
from psycopg import errors

from streams.errors import StoreError, UnavailableError

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["LACKING", "CommandConnection"]

#: Errors of a role that may not do what a command does.
LACKING: Final = (errors.InsufficientPrivilege, errors.ReadOnlySqlTransaction)

_REMEDY: Final = (
    "Sign in as fenghuo_page for users, web and decisions on alerts, as fenghuo_owner for db and "
    "alerts rebuild, as fenghuo_worker for other commands (operators' guide, Database roles)."
)


class CommandConnection(psycopg.Connection):
    """A connection whose ``with`` block turns the database's refusals into errors for people."""

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        """Close the connection.

        Raises
        ------
        StoreError
            The role lacks a right.
        UnavailableError
            The connection was lost.
        """
        lost, standby, role = self.broken, self._standby(), "" if self.closed else self.info.user
        super().__exit__(exc_type, exc_val, exc_tb)
        if isinstance(exc_val, LACKING):
            raise StoreError(_lacking(role, exc_val, standby=standby)) from None
        if lost and isinstance(exc_val, psycopg.OperationalError):
            told = str(exc_val).strip().splitlines()[0].rstrip(".")
            raise UnavailableError(
                f"The connection to the database was lost: {told}. What was not finished was "
                "taken back; run the command again."
            ) from None

    def _standby(self) -> bool:
        return not self.closed and self.info.parameter_status("in_hot_standby") == "on"


def _lacking(role: str, error: psycopg.Error, *, standby: bool) -> str:
    told = (error.diag.message_primary or str(error)).strip().rstrip(".")
    if standby:
        return f"This server is a standby: {told}. Name the primary in FENGHUO_DATABASE."
    return f"The database role {role} may not do this: {told}. {_REMEDY}"
