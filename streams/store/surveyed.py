"""What the configuration surveys, written where dashboards can read it: names, rules, links."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from streams.store.pool import connect

if TYPE_CHECKING:
    import psycopg

    from streams.config import Configuration

__all__ = ["describe_surveillance", "note_page", "store_surveillance"]


def describe_surveillance(database: str, configuration: Configuration) -> None:
    """Do the same as `store_surveillance`, on a connection of its own."""
    with connect(database) as connection:
        store_surveillance(connection, configuration)


def store_surveillance(connection: psycopg.Connection, configuration: Configuration) -> None:
    """Make the tables `signals` and `rules` say what the configuration says."""
    surveillance = configuration.surveillance
    signals = [
        {
            "signal": name,
            "place": place,
            "title_en": signal.title.en,
            "title_zh": signal.title.zh,
            "kind": signal.of,
            "measure": signal.measure,
        }
        for place, (name, signal) in enumerate(surveillance.signals.items())
    ]
    rules = [
        {
            "rule": name,
            "place": place,
            "signal": rule.signal,
            "level": str(rule.level),
            "grain": rule.grain,
            "severity": rule.severity,
            "detector": " ".join(
                str(value) if key == "type" else f"{key}={value}"
                for key, value in rule.detector.items()
            ),
            "min_cases": rule.min_cases,
        }
        for place, (name, rule) in enumerate(surveillance.rules.items())
    ]
    with connection.transaction():
        # One at a time, so that two workers that start together do not write the same row.
        connection.execute("LOCK TABLE signals, rules IN SHARE ROW EXCLUSIVE MODE")
        connection.execute(_SIGNALS, (json.dumps(signals),))
        connection.execute(_RULES, (json.dumps(rules),))


def note_page(database: str, url: str) -> None:
    """Note where the triage page is, for links from dashboards.

    Parameters
    ----------
    url
        As people's browsers reach it, without a slash at the end.
    """
    with connect(database) as connection:
        connection.execute(
            "INSERT INTO links (name, url) VALUES ('page', %s) "
            "ON CONFLICT (name) DO UPDATE SET url = EXCLUDED.url",
            (url,),
        )


_SIGNALS: Final = """
WITH wanted AS (
    SELECT * FROM jsonb_populate_recordset(NULL::signals, %s::jsonb)
), gone AS (
    DELETE FROM signals WHERE signal NOT IN (SELECT signal FROM wanted)
)
INSERT INTO signals SELECT * FROM wanted
ON CONFLICT (signal) DO UPDATE SET
    (place, title_en, title_zh, kind, measure) =
    (EXCLUDED.place, EXCLUDED.title_en, EXCLUDED.title_zh, EXCLUDED.kind, EXCLUDED.measure)
"""

_RULES: Final = """
WITH wanted AS (
    SELECT * FROM jsonb_populate_recordset(NULL::rules, %s::jsonb)
), gone AS (
    DELETE FROM rules WHERE rule NOT IN (SELECT rule FROM wanted)
)
INSERT INTO rules SELECT * FROM wanted
ON CONFLICT (rule) DO UPDATE SET
    (place, signal, level, grain, severity, detector, min_cases) =
    (EXCLUDED.place, EXCLUDED.signal, EXCLUDED.level, EXCLUDED.grain, EXCLUDED.severity,
     EXCLUDED.detector, EXCLUDED.min_cases)
"""
