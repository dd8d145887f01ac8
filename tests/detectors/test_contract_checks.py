from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest

from detectors import Ears, Panel, Verdicts
from detectors.contract import Grain, Positions
from tests.detectors.contract_checks import check_contract

Fault = Callable[[Panel, Verdicts], Verdicts]


@pytest.mark.parametrize("method", ["C1", "C2", "C3"])
@pytest.mark.parametrize("c3_rule", ["surveillance", "published"])
def test_ears_keeps_the_contract(method: str, c3_rule: str) -> None:
    check_contract(Ears.model_validate({"method": method, "c3_rule": c3_rule}), seeds=3)


@pytest.mark.parametrize("grain", get_args(Grain))
@pytest.mark.parametrize("dated", [False, True])
def test_ears_keeps_the_contract_on_every_time_axis(grain: Grain, *, dated: bool) -> None:
    check_contract(Ears(lag=1), grain=grain, dated=dated, population=True, largest=1e100)


class Faulty:
    """EARS C1 with one promise broken."""

    type = "faulty"

    def __init__(self, fault: Fault, lookback: int = 7) -> None:
        self._fault, self._lookback = fault, lookback

    def lookback(self, grain: Grain) -> int:  # noqa: ARG002 - the contract's signature
        return self._lookback

    def judge(self, panel: Panel, at: Positions | slice | None = None) -> Verdicts:
        return self._fault(panel, Ears().judge(panel, at))


def looks_ahead(panel: Panel, verdicts: Verdicts) -> Verdicts:
    late = np.nan_to_num(panel.counts[:, -1:]).clip(0, 1e6) * 1e-6
    return replace(verdicts, expected=verdicts.expected + late)


def depends_on_the_batch(panel: Panel, verdicts: Verdicts) -> Verdicts:
    return replace(verdicts, expected=verdicts.expected + verdicts.index.size)


def mixes_series(panel: Panel, verdicts: Verdicts) -> Verdicts:
    return replace(verdicts, expected=verdicts.expected + panel.counts.shape[0])


def knows_its_row(panel: Panel, verdicts: Verdicts) -> Verdicts:
    return replace(verdicts, expected=verdicts.expected + np.arange(panel.counts.shape[0])[:, None])


def knows_the_position(panel: Panel, verdicts: Verdicts) -> Verdicts:
    return replace(verdicts, expected=verdicts.expected + verdicts.index)


def alarms_on_anything(panel: Panel, verdicts: Verdicts) -> Verdicts:
    return replace(verdicts, alarm=np.ones_like(verdicts.alarm))


def alarms_never(panel: Panel, verdicts: Verdicts) -> Verdicts:
    return replace(verdicts, alarm=np.zeros_like(verdicts.alarm))


def has_large_p_values(panel: Panel, verdicts: Verdicts) -> Verdicts:
    return replace(verdicts, p_value=verdicts.p_value * 3)


def has_endless_scores(panel: Panel, verdicts: Verdicts) -> Verdicts:
    return replace(verdicts, score=np.where(verdicts.score > 3, np.inf, verdicts.score))


def judges_nothing(panel: Panel, verdicts: Verdicts) -> Verdicts:
    blank = Verdicts.blank(panel.counts.shape[0], verdicts.index)
    blank.reason[np.isnan(panel.counts[:, verdicts.index])] = 11
    return blank


@pytest.mark.parametrize(
    "fault",
    [
        looks_ahead,
        depends_on_the_batch,
        mixes_series,
        knows_its_row,
        knows_the_position,
        alarms_on_anything,
        alarms_never,
        has_large_p_values,
        has_endless_scores,
        judges_nothing,
    ],
)
def test_a_broken_promise_is_found(fault: Fault) -> None:
    with pytest.raises(AssertionError):
        check_contract(Faulty(fault))


def test_a_lookback_that_is_too_short_is_found() -> None:
    with pytest.raises(AssertionError, match="lookback"):
        check_contract(Faulty(lambda _, verdicts: verdicts, lookback=6))
