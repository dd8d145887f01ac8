"""Alerts made of the verdicts of a database: one for each period in exceedance."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from schemas.alerts import Alert
from tests.support.store import rows

if TYPE_CHECKING:
    from streams.config import Configuration

_EPOCH = datetime(2009, 1, 1, tzinfo=UTC)


def raised_alerts(database: str, configuration: Configuration) -> list[Alert]:
    """Take every verdict with an alarm as an alert."""
    found = rows(
        database,
        "SELECT v.rule, v.region, v.period, v.observed, v.expected, v.upper, v.score, v.p_value, "
        "(SELECT count(*) FROM verdicts e WHERE e.rule = v.rule AND e.region = v.region "
        "AND e.alarm AND e.period <= v.period), "
        "(SELECT min(period) FROM verdicts e WHERE e.rule = v.rule AND e.region = v.region "
        "AND e.alarm) FROM verdicts v WHERE v.alarm ORDER BY 1, 2, 3",
    )
    rules = configuration.surveillance.rules
    return [
        Alert(
            alert_id=number,
            version=1,
            decided_version=1,
            status="new",
            severity=rules[rule].severity,
            signal=rules[rule].signal,
            region=region,
            rule=rule,
            grain=rules[rule].grain,
            first_period=first,
            last_period=period,
            own_first_period=first,
            own_last_period=period,
            exceedances=exceedances,
            observed=observed,
            expected=expected,
            upper=upper,
            score=score,
            p_value=p_value,
            peak=observed,
            detector=rules[rule].detector,
            config_version=configuration.version,
            as_of=_EPOCH,
            opened_at=_EPOCH,
            updated_at=_EPOCH,
        )
        for number, (
            rule, region, period, observed, expected, upper, score, p_value, exceedances, first,
        ) in enumerate(found, 1)
    ]  # fmt: skip
