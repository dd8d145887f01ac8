"""Counts put into the store directly, for tests of what reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date

__all__ = ["imported", "live", "reporting"]


def live(
    database: str,
    region: str,
    counts: Mapping[date, float],
    *,
    signal: str = "ili",
    stratum: str = "19-64",
) -> None:
    """Set daily counts as a commit leaves them, and have them judged."""
    with psycopg.connect(database) as connection:
        connection.execute(
            "INSERT INTO series (signal, region, stratum) VALUES (%s, %s, %s) "
            "ON CONFLICT DO NOTHING",
            (signal, region, stratum),
        )
        for day, value in counts.items():
            connection.execute(
                "INSERT INTO daily_counts (series_id, day, value) "
                "SELECT series_id, %s, %s FROM series "
                "WHERE signal = %s AND region = %s AND stratum = %s "
                "ON CONFLICT (series_id, day) DO UPDATE SET value = EXCLUDED.value",
                (day, value, signal, region, stratum),
            )
            connection.execute(
                "INSERT INTO pending_judgements (signal, region, day) VALUES (%s, %s, %s)",
                (signal, region, day),
            )


def imported(
    database: str, region: str, grain: str, counts: Mapping[date, float], *, signal: str = "ili"
) -> None:
    """Set imported counts."""
    with psycopg.connect(database) as connection:
        for period, value in counts.items():
            connection.execute(
                "INSERT INTO imported_counts (signal, region, stratum, grain, period, value) "
                "VALUES (%s, %s, 'all', %s, %s, %s)",
                (signal, region, grain, period, value),
            )


def reporting(
    database: str, region: str, days: Iterable[date], *, signal: str = "ili", kind: str = "visits"
) -> None:
    """Note that a region's facilities sent something, whatever it was."""
    with psycopg.connect(database) as connection:
        connection.execute(
            "INSERT INTO signals (signal, place, title_en, title_zh, kind, measure) "
            "VALUES (%s, 0, '', '', %s, 'events') ON CONFLICT DO NOTHING",
            (signal, kind),
        )
        for day in days:
            connection.execute(
                "INSERT INTO facility_reports (region, kind, day, facilities) "
                "VALUES (%s, %s, %s, 1)",
                (region, kind, day),
            )
