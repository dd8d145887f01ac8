"""Grafana's data source: our database, as Grafana reaches it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from streams.errors import FenghuoError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["DATASOURCE_UID", "datasource_body", "differs"]

DATASOURCE_UID: Final = "fenghuo"
_TYPE: Final = "grafana-postgresql-datasource"
#: The plugin's former name, which Grafana still takes and may give back.
_TYPES: Final = frozenset({_TYPE, "postgres"})
_SSL_MODES: Final = ("disable", "require", "verify-ca", "verify-full")
_SETTING: Final = "FENGHUO_GRAFANA_DATABASE"


def datasource_body(uri: str, *, server_version: int, timescale: bool) -> dict[str, Any]:
    """Return the data source as Grafana's API takes it.

    Parameters
    ----------
    uri
        Connection string of the SELECT-only role, as Grafana reaches the database. Grafana knows
        four of libpq's `sslmode`; without one, connections are not encrypted.
    server_version
        PostgreSQL's `server_version_num`.
    timescale
        Whether the database has TimescaleDB.

    Raises
    ------
    FenghuoError
        The connection string is not enough for Grafana.

    Examples
    --------
    >>> body = datasource_body("postgresql://reader:pw@db/fenghuo", server_version=180004,
    ...                        timescale=False)
    >>> body["url"], body["user"], body["jsonData"]["database"]
    ('db:5432', 'reader', 'fenghuo')
    """
    try:
        parts = conninfo_to_dict(uri)
    except ProgrammingError:
        # Its text may hold the password.
        raise FenghuoError(
            f"{_SETTING} is no connection string. Write postgresql://user:password@host/database."
        ) from None
    host, user, name = (str(parts.get(key) or "") for key in ("host", "user", "dbname"))
    for what, value in (("host", host), ("user", user), ("database", name)):
        if not value:
            raise FenghuoError(
                f"{_SETTING} names no {what}. Write postgresql://user:password@host/database."
            )
    if host.startswith("/") or "," in host:
        raise FenghuoError(f"{_SETTING}: Grafana needs one host and port, not {host}.")
    mode = str(parts.get("sslmode") or "disable")
    if mode not in _SSL_MODES:
        raise FenghuoError(
            f"{_SETTING}: Grafana does not know sslmode={mode}; write {', '.join(_SSL_MODES)}."
        )
    if ":" in host:
        host = f"[{host}]"
    return {
        "uid": DATASOURCE_UID,
        "name": "Fenghuo",
        "type": _TYPE,
        "access": "proxy",
        "url": f"{host}:{parts.get('port') or 5432}",
        "user": user,
        "jsonData": {
            "database": name,
            "sslmode": mode,
            "postgresVersion": server_version // 100,
            "timescaledb": timescale,
        },
        "secureJsonData": {"password": str(parts.get("password") or "")},
    }


def differs(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether Grafana's data source is not as wanted, as far as Grafana tells.

    It does not tell the password, only whether there is one.
    """
    if found.get("type") not in _TYPES:
        return True
    if any(found.get(key) != wanted[key] for key in ("name", "access", "url", "user")):
        return True
    stored = found.get("jsonData") or {}
    if any(stored.get(key) != value for key, value in wanted["jsonData"].items()):
        return True
    known = bool((found.get("secureJsonFields") or {}).get("password"))
    return known is not bool(wanted["secureJsonData"]["password"])
