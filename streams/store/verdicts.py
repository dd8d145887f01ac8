"""Verdicts: the latest judgement of each period of a rule in a region."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from detectors.contract import Reason

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

    from numpy.typing import NDArray
    from psycopg import AsyncConnection

    from streams.judging.lower_bounds import PanelJudged

__all__ = [
    "BELOW_MIN_CASES",
    "INCOMPLETE",
    "JudgedSeries",
    "Look",
    "begin_look",
    "store_verdicts",
]

#: Reason of a verdict whose exceedance stays below the rule's minimum of cases.
BELOW_MIN_CASES = "below_min_cases"
#: Reason of an exceedance of which days are missing: `observed` is what arrived, a lower bound.
INCOMPLETE = "incomplete"


class Look(NamedTuple):
    """A judge's look at the counts."""

    as_of: datetime
    """Everything that was committed before, by the database's clock, it has seen."""
    number: int
    """Later looks have higher numbers, whatever the clock does."""


@dataclass(frozen=True, slots=True)
class JudgedSeries:
    """Verdicts of one region under one rule; arrays of equal length."""

    region: str
    periods: Sequence[date]
    observed: NDArray[np.float64]
    expected: NDArray[np.float64]
    upper: NDArray[np.float64]
    score: NDArray[np.float64]
    p_value: NDArray[np.float64]
    alarm: NDArray[np.bool_]
    reason: Sequence[str]
    at_least: NDArray[np.float64]
    """Sum of the days that arrived, where days are missing; NaN elsewhere."""

    @classmethod
    def select(
        cls,
        region: str,
        *,
        periods: Sequence[date],
        kept: NDArray[np.bool_],
        found: PanelJudged,
        at_least: NDArray[np.float64],
        row: int,
        min_cases: float,
    ) -> JudgedSeries:
        """Take one series out of a panel's verdicts, for the periods that it was judged for.

        Raises
        ------
        ValueError
            The detector raised an alarm for a period without a count.
        """
        verdicts, observed = found.verdicts, found.observed[row, kept]
        alarm = verdicts.alarm[row, kept]
        if (alarm & ~np.isfinite(observed)).any():
            raise ValueError(f"the detector raised an alarm without a count in region {region}")
        few = alarm & (observed < min_cases)
        reasons = [Reason(code).name for code in verdicts.reason[row, kept]]
        return cls(
            region=region,
            periods=[p for p, wanted in zip(periods, kept, strict=True) if wanted],
            observed=observed,
            expected=verdicts.expected[row, kept],
            upper=verdicts.upper[row, kept],
            score=verdicts.score[row, kept],
            p_value=verdicts.p_value[row, kept],
            alarm=alarm & ~few,
            reason=[
                BELOW_MIN_CASES if below else INCOMPLETE if partial else reason
                for below, partial, reason in zip(
                    few, found.incomplete[row, kept], reasons, strict=True
                )
            ],
            at_least=at_least[kept],
        )


async def begin_look(connection: AsyncConnection) -> Look:
    """Begin a look: the changes to judge have been taken, and no count has been read yet.

    A later look has then seen all that this one was asked to judge, and its verdicts may stay.
    """
    cursor = await connection.execute("SELECT clock_timestamp(), nextval('judging_looks')")
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101 - a query without FROM gives one row
    return Look(*row)


async def store_verdicts(
    connection: AsyncConnection,
    rule: str,
    judged: Sequence[JudgedSeries],
    *,
    look: Look,
    config_version: str,
) -> None:
    """Write verdicts; one of a later look is never replaced."""
    rows = sorted(
        (
            (
                series.region,
                series.periods[i],
                *numbers[:-1],
                bool(series.alarm[i]),
                series.reason[i],
                numbers[-1],
            )
            for series in judged
            for i in range(len(series.periods))
            for numbers in [_numbers(series, i)]
        ),
        key=lambda row: row[:2],
    )
    if not rows:
        return
    columns = [list(column) for column in zip(*rows, strict=True)]
    await connection.execute(_UPSERT, (rule, *look, config_version, *columns))


def _numbers(series: JudgedSeries, i: int) -> tuple[float | None, ...]:
    values = (
        series.observed,
        series.expected,
        series.upper,
        series.score,
        series.p_value,
        series.at_least,
    )
    return tuple(float(v[i]) if np.isfinite(v[i]) else None for v in values)


# An exceedance of a whole count stays where its period has become unknown, unless what arrived is
# less by now: a silence takes nothing back, a correction does.
_UPSERT = """
INSERT INTO verdicts AS v (rule, as_of, look, config_version, region, period, observed, expected,
                           upper, score, p_value, alarm, reason)
SELECT n.rule, n.as_of, n.look, n.config_version, j.region, j.period, j.observed, j.expected,
       j.upper, j.score, j.p_value, j.alarm, j.reason
FROM (SELECT %s AS rule, %s::timestamptz AS as_of, %s::bigint AS look, %s AS config_version) n,
     unnest(%s::text[], %s::date[], %s::float8[], %s::float8[], %s::float8[], %s::float8[],
            %s::float8[], %s::boolean[], %s::text[], %s::float8[])
         AS j(region, period, observed, expected, upper, score, p_value, alarm, reason, at_least)
WHERE j.reason <> 'missing_observation' OR NOT EXISTS (
    SELECT FROM verdicts k
    WHERE k.rule = n.rule AND k.region = j.region AND k.period = j.period
      AND k.alarm AND k.reason <> 'incomplete'
      AND (j.at_least IS NULL OR j.at_least >= k.observed))
ON CONFLICT (rule, region, period) DO UPDATE SET
    observed = EXCLUDED.observed, expected = EXCLUDED.expected, upper = EXCLUDED.upper,
    score = EXCLUDED.score, p_value = EXCLUDED.p_value, alarm = EXCLUDED.alarm,
    reason = EXCLUDED.reason, as_of = EXCLUDED.as_of, look = EXCLUDED.look,
    config_version = EXCLUDED.config_version
WHERE v.look <= EXCLUDED.look
"""
