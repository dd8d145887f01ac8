from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from schemas.alerts import Discarded, Explained, Updated
from streams.alerts import following
from streams.alerts.explaining import explain
from streams.alerts.following import explain_changed
from streams.store.alerts import get_history
from streams.store.pool import open_pool
from streams.store.set_aside import list_set_aside
from tests.support.alerts import AS_OF, PERIOD, alert_of, decide, figures, open_alert, tell

if TYPE_CHECKING:
    from streams.config import Configuration


def explained(database: str, alert_id: int) -> list[Explained]:
    with psycopg.connect(database) as connection:
        history = get_history(connection, alert_id)
    return [event.change for event in history if isinstance(event.change, Explained)]


def updated(observed: float) -> Updated:
    return Updated(
        first_period=PERIOD,
        exceedances=3,
        peak=observed,
        figures=figures(observed),
        detector={"type": "ears"},
        config_version="abc",
        as_of=AS_OF,
    )


async def test_an_alert_is_explained_once_for_all_new_numbers(
    database_url: str, configuration: Configuration
) -> None:
    one = open_alert(database_url)
    tell(database_url, one, updated(50), updated(60))
    discarded = open_alert(database_url, region="TW-KHH")
    decide(database_url, discarded, Discarded(outcome="data_error"))
    async with open_pool(database_url, size=1) as pool:
        assert await explain_changed(pool, configuration) == 1
        assert await explain_changed(pool, configuration) == 0
        tell(database_url, one, updated(70))
        assert await explain_changed(pool, configuration) == 1
    first, second = explained(database_url, one)
    assert first.explanation.period == PERIOD
    assert first.explanation.excess == pytest.approx(60 - 20.5)
    assert second.explanation.excess == pytest.approx(70 - 20.5)
    assert alert_of(database_url, one).explanation == second.explanation
    assert explained(database_url, discarded) == []


async def test_what_was_cut_off_is_explained_later(
    database_url: str, configuration: Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    alert_id = open_alert(database_url)

    async def broken(*_: Any) -> None:
        raise psycopg.OperationalError

    async with open_pool(database_url, size=1) as pool:
        with monkeypatch.context() as patched:
            patched.setattr(following, "append_many", broken)
            with pytest.raises(psycopg.OperationalError):
                await explain_changed(pool, configuration)
        assert await explain_changed(pool, configuration) == 1
    assert len(explained(database_url, alert_id)) == 1


async def test_an_alert_that_cannot_be_explained_blocks_no_other(
    database_url: str, configuration: Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [open_alert(database_url, region=region) for region in ("TW-TPE", "TW-KHH", "TW-NWT")]

    async def failing(connection: Any, alerts: Any, *rest: Any) -> Any:
        if ids[1] in {alert.alert_id for alert in alerts}:
            raise ZeroDivisionError
        return await explain(connection, alerts, *rest)

    monkeypatch.setattr(following, "explain", failing)
    async with open_pool(database_url, size=1) as pool:
        await explain_changed(pool, configuration)
        assert await explain_changed(pool, configuration) == 0
    assert [len(explained(database_url, alert_id)) for alert_id in ids] == [1, 0, 1]
    with psycopg.connect(database_url) as connection:
        (aside,) = list_set_aside(connection)
    assert (aside.queue, aside.reason) == ("explanations", "ZeroDivisionError")
