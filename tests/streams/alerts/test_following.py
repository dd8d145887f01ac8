from __future__ import annotations

import asyncio
import select
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from schemas.alerts import Discarded, Explained, Updated
from streams.alerts import following
from streams.alerts.explaining import explain
from streams.alerts.following import explain_changed, renew_explanations
from streams.store.alerts import get_history
from streams.store.pool import open_pool
from streams.store.set_aside import list_set_aside
from streams.wording import alert_sentences
from tests.support.alerts import AS_OF, PERIOD, alert_of, decide, figures, open_alert, tell
from tests.support.store import rows

if TYPE_CHECKING:
    from schemas.alerts import AlertEvent
    from streams.config import Configuration


def explained(database: str, alert_id: int) -> list[Explained]:
    history = history_of(database, alert_id)
    return [event.change for event in history if isinstance(event.change, Explained)]


def history_of(database: str, alert_id: int) -> list[AlertEvent]:
    with psycopg.connect(database) as connection:
        return get_history(connection, alert_id)


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


# ---------------------------------------------------------------- many alerts, slow machines


async def too_long(connection: psycopg.AsyncConnection[Any]) -> None:
    """Compute for longer than the server lets a session of this transaction be silent."""
    await connection.execute("SET LOCAL idle_in_transaction_session_timeout = '50ms'")
    # The server's last word makes the socket readable.
    await asyncio.to_thread(select.select, [connection.fileno()], [], [], 120)
    await connection.execute("SELECT")


async def test_what_takes_too_long_together_is_explained_in_smaller_portions(
    database_url: str, configuration: Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    counties = [one.code for one in configuration.regions.at_level("county")]
    ids = [open_alert(database_url, region=region) for region in counties]
    assert len(ids) > 16

    async def slow(connection: Any, alerts: Any, *rest: Any) -> Any:
        if len(alerts) > 5:
            await too_long(connection)
        return await explain(connection, alerts, *rest)

    monkeypatch.setattr(following, "explain", slow)
    async with open_pool(database_url, size=1) as pool:
        assert await explain_changed(pool, configuration) == len(ids)
    assert {len(explained(database_url, alert_id)) for alert_id in ids} == {1}
    assert rows(database_url, "SELECT count(*) FROM set_aside") == [(0,)]


async def test_an_alert_that_ends_its_session_is_set_aside_alone(
    database_url: str, configuration: Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [open_alert(database_url, region=region) for region in ("TW-TPE", "TW-KHH", "TW-NWT")]

    async def deadly(connection: Any, alerts: Any, *rest: Any) -> Any:
        if ids[1] in {alert.alert_id for alert in alerts}:
            await too_long(connection)
        return await explain(connection, alerts, *rest)

    monkeypatch.setattr(following, "explain", deadly)
    async with open_pool(database_url, size=1) as pool:
        assert await explain_changed(pool, configuration) == 2
        assert await explain_changed(pool, configuration) == 0
    assert [len(explained(database_url, alert_id)) for alert_id in ids] == [1, 0, 1]
    with psycopg.connect(database_url) as connection:
        (aside,) = list_set_aside(connection)
    assert "idle-in-transaction" in aside.reason


async def test_changes_in_several_portions_are_explained_once(
    database_url: str, configuration: Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "_FIRST_PORTION", 1)
    one = open_alert(database_url)
    tell(database_url, one, updated(50), updated(60))
    async with open_pool(database_url, size=1) as pool:
        assert await explain_changed(pool, configuration) == 1
        tell(database_url, one, updated(70))
        assert await explain_changed(pool, configuration) == 1
    first, second = explained(database_url, one)
    assert first.explanation.excess == pytest.approx(60 - 20.5)
    assert second.explanation.excess == pytest.approx(70 - 20.5)


async def test_counts_are_rolled_up_while_alerts_are_explained(
    database_url: str, configuration: Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_alert(database_url)

    async def watched(connection: Any, *rest: Any) -> Any:
        async with await psycopg.AsyncConnection.connect(database_url) as other:
            await other.execute("SET lock_timeout = '1s'")
            await other.execute("SELECT roll_up_facilities(1)")
        return await explain(connection, *rest)

    monkeypatch.setattr(following, "explain", watched)
    async with open_pool(database_url, size=1) as pool:
        assert await explain_changed(pool, configuration) == 1
    assert rows(database_url, "SELECT count(*) FROM set_aside") == [(0,)]


# ---------------------------------------------------------------- neighbours that are judged later

#: The nearest counties of Taipei City.
AROUND = ("TW-NWT", "TW-KEE", "TW-TAO", "TW-ILA", "TW-HSQ", "TW-HSZ")


def judged(database: str, *regions: str, alarm: bool = True, observed: float | None = 90) -> None:
    with psycopg.connect(database) as connection:
        for region in regions:
            connection.execute(
                "INSERT INTO verdicts (rule, region, period, observed, expected, upper, alarm, "
                "reason, as_of, config_version) "
                "VALUES ('ili-week', %s, %s, %s, %s, NULL, %s, 'ok', '-infinity', 'x') "
                "ON CONFLICT (rule, region, period) DO UPDATE SET alarm = EXCLUDED.alarm, "
                "observed = EXCLUDED.observed, expected = EXCLUDED.expected",
                (region, PERIOD, observed, observed and 90, alarm),
            )


def waited(database: str) -> None:
    """Let the pause before the next explanation be over."""
    with psycopg.connect(database) as connection:
        connection.execute("UPDATE explained_neighbours SET look_after = clock_timestamp()")


def neighbours(database: str, configuration: Configuration, alert_id: int) -> str:
    alert = alert_of(database, alert_id)
    return alert_sentences(alert, configuration).en.rpartition("; ")[2]


async def test_an_alert_is_explained_again_when_its_neighbours_are_judged(
    database_url: str, configuration: Configuration
) -> None:
    alert_id = open_alert(database_url)
    async with open_pool(database_url, size=1) as pool:
        await explain_changed(pool, configuration)
        assert neighbours(database_url, configuration, alert_id) == "neighbours not judged yet."
        waited(database_url)
        assert await renew_explanations(pool, configuration) == 0
        judged(database_url, *AROUND)
        waited(database_url)
        assert await renew_explanations(pool, configuration) == 1
        told = neighbours(database_url, configuration, alert_id)
        assert told == "all 6 neighbouring areas are high too."
        # Nothing is made again for what stays the same.
        waited(database_url)
        assert await renew_explanations(pool, configuration) == 0
        judged(database_url, AROUND[0], alarm=False)
        judged(database_url, AROUND[1], alarm=False, observed=None)
        waited(database_url)
        assert await renew_explanations(pool, configuration) == 1
        told = neighbours(database_url, configuration, alert_id)
        assert told == "4 of 6 neighbouring areas are high too."
        waited(database_url)
        assert await explain_changed(pool, configuration) == 0
    kinds = [event.change.kind for event in history_of(database_url, alert_id)]
    assert kinds == ["opened", "explained", "explained", "explained"]


async def test_neighbours_without_a_verdict_are_judged_for_the_alert_once(
    database_url: str, configuration: Configuration
) -> None:
    alert_id = open_alert(database_url)
    judged(database_url, *AROUND[:2])
    async with open_pool(database_url, size=1) as pool:
        await explain_changed(pool, configuration)
        pending = "SELECT signal, region, day FROM pending_judgements ORDER BY region"
        asked = rows(database_url, pending)
        assert asked == [("ili", region, PERIOD) for region in sorted(AROUND[2:])]
        tell(database_url, alert_id, updated(50))
        await explain_changed(pool, configuration)
    assert rows(database_url, pending) == asked


async def test_explanations_for_neighbours_come_ever_more_seldom_and_end(
    database_url: str, configuration: Configuration
) -> None:
    alert_id = open_alert(database_url)
    judged(database_url, *AROUND)
    pauses = []
    async with open_pool(database_url, size=1) as pool:
        await explain_changed(pool, configuration)
        assert await renew_explanations(pool, configuration) == 0  # not at once
        for round_ in range(12):
            judged(database_url, AROUND[0], alarm=bool(round_ % 2))
            assert await renew_explanations(pool, configuration) == 0
            waited(database_url)
            assert await renew_explanations(pool, configuration) == 1
            ((pause,),) = rows(
                database_url,
                "SELECT extract(epoch FROM look_after - clock_timestamp())::float8 "
                "FROM explained_neighbours",
            )
            pauses.append(pause)
        assert [round(pause) for pause in pauses[:3]] == [8, 32, 128]
        assert round(pauses[-1]) == 6 * 3600
        judged(database_url, AROUND[0], alarm=True)
        waited(database_url)
        with psycopg.connect(database_url) as connection:
            connection.execute("UPDATE explained_neighbours SET look_until = clock_timestamp()")
            connection.execute("UPDATE verdicts SET alarm = NOT alarm")
        decide(database_url, alert_id, Discarded(outcome="data_error"))
        assert await renew_explanations(pool, configuration) == 0
    assert rows(database_url, "SELECT FROM explained_neighbours") == []


async def test_an_alert_that_cannot_be_explained_again_keeps_its_explanation(
    database_url: str, configuration: Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [open_alert(database_url, region=region) for region in ("TW-TPE", "TW-KHH")]
    async with open_pool(database_url, size=1) as pool:
        await explain_changed(pool, configuration)

        async def failing(connection: Any, alerts: Any, *rest: Any) -> Any:
            if ids[0] in {alert.alert_id for alert in alerts}:
                raise ZeroDivisionError
            return await explain(connection, alerts, *rest)

        monkeypatch.setattr(following, "explain", failing)
        judged(database_url, *AROUND, "TW-TNN")
        waited(database_url)
        await renew_explanations(pool, configuration)
        waited(database_url)
        assert await renew_explanations(pool, configuration) == 0
    assert [len(explained(database_url, alert_id)) for alert_id in ids] == [1, 2]


async def test_two_workers_explain_neighbours_once(
    database_url: str, configuration: Configuration
) -> None:
    for region in ("TW-TPE", "TW-KHH", "TW-TNN"):
        open_alert(database_url, region=region)
    async with open_pool(database_url, size=4) as pool:
        await explain_changed(pool, configuration)
        judged(database_url, "TW-NWT", "TW-PIF", "TW-CYQ")
        waited(database_url)
        both = await asyncio.gather(*(renew_explanations(pool, configuration) for _ in range(3)))
    assert sum(both) == 3
