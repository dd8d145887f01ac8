from __future__ import annotations

import numpy as np
import pytest

from detectors.evaluation import (
    DATA_SETS,
    Contender,
    against,
    contenders,
    run,
    simulate_drawn,
    simulate_weekly,
)
from detectors.evaluation.against import ceiling
from detectors.evaluation.contenders import AUTO, LEFT_OUT
from detectors.evaluation.data_sets import TEST_SEED
from detectors.evaluation.simulate_daily import DAILY_SIGNALS
from detectors.evaluation.simulate_drawn import COURSES, draw_scenarios
from detectors.evaluation.simulate_real import simulate_real
from detectors.evaluation.tables import real_series
from detectors.registry import DETECTORS


@pytest.mark.parametrize("grain", ["week", "day"])
def test_every_method_is_compared_or_left_out_with_a_reason(grain: str) -> None:
    chosen = contenders("day" if grain == "day" else "week")
    names = [one.name for one in chosen]
    assert len(set(names)) == len(names)
    assert {str(one.detector["type"]) for one in chosen} | set(LEFT_OUT) == set(DETECTORS)
    for one in chosen:
        assert one.make(300).type == one.detector["type"]


def test_methods_for_sums_run_on_days_and_on_sums() -> None:
    for kind in ("ears", "farrington_flexible"):
        assert {one.sums for one in contenders("day") if one.detector["type"] == kind} == {
            False,
            True,
        }


def test_the_daily_halves_share_no_signal_and_no_series() -> None:
    seen, unseen = (DATA_SETS[name].make(64) for name in ("daily-seen", "daily-unseen"))
    assert set(seen.scenario) | set(unseen.scenario) == set(DAILY_SIGNALS)
    assert not set(seen.scenario) & set(unseen.scenario)
    assert set(seen.size) == {2, 3, 5, 10}
    assert TEST_SEED >= 1_000_000


def test_drawn_scenarios_stay_in_their_ranges_and_have_other_courses() -> None:
    drawn = draw_scenarios(7)
    assert drawn.theta.size == 42
    assert ((drawn.theta >= -2) & (drawn.theta <= 5)).all()
    assert ((drawn.phi >= 1) & (drawn.phi <= 5)).all()
    assert (np.hypot(drawn.g1, drawn.g2) <= 1).all()
    assert set(drawn.m) == {0, 1, 2}
    made = simulate_drawn(series=2000, seed=7)
    assert made.mean.max() <= 500
    columns = np.arange(made.cases.shape[1])
    with np.errstate(invalid="ignore"):
        late = made.cases @ columns / made.cases.sum(axis=1) - made.start
    inside = made.start < 600
    spread = np.quantile(late[inside], [0.1, 0.9])
    published = simulate_weekly(series=2000, seed=7)
    other = published.cases @ columns / np.maximum(published.cases.sum(axis=1), 1) - published.start
    assert spread[0] < np.quantile(other[published.start < 600], 0.25)
    assert spread[1] > np.quantile(other[published.start < 600], 0.99)
    assert len(COURSES) == 4


def test_auto_against_a_blunt_method_and_against_itself() -> None:
    data = DATA_SETS["weekly"]
    ours = run(AUTO, data, series=105)
    itself = against(ours, ours, data, draws=40)
    for point in itself.matched:
        assert {each.value for each in point.differences.values()} == {0.0}
        assert set(point.verdicts.values()) == {"open"}
        assert point.figures["fpr"].value == pytest.approx(point.rate, abs=0.001)
    c3 = Contender("c3", {"type": "ears", "method": "C3"})
    found = against(ours, run(c3, data, series=105), data, draws=40)
    assert found.series == 105
    for point in found.matched:
        assert point.verdicts["pod"] == "won"
        assert point.differences["pod"].value == pytest.approx(
            next(each for each in itself.matched if each.rate == point.rate).figures["pod"].value
            - point.figures["pod"].value
        )
    assert found.nominal is not None
    assert 0 < found.nominal.rate < 0.5
    assert list(found.curve["pod"]) == sorted(found.curve["pod"])
    best = ceiling(data, series=105)
    assert best["pod"][-1] > found.curve["pod"][-1]


def test_a_slow_method_is_paired_on_its_own_series() -> None:
    data = DATA_SETS["weekly"]
    ours = run(AUTO, data, series=84)
    half = run(Contender("c1", {"type": "ears"}, share=0.5), data, series=84)
    assert half.rows.size == 42
    found = against(ours, half, data, draws=20)
    assert found.series == 42
    whole = run(Contender("c1", {"type": "ears"}), data, series=84)
    assert (whole.p_value[half.rows] == half.p_value).all()


def test_scores_rank_where_they_find_more() -> None:
    data = DATA_SETS["weekly"]
    ours = run(AUTO, data, series=84)
    other = run(Contender("c1", {"type": "ears"}), data, series=84)
    blind = type(other)(
        other.contender,
        other.rows,
        other.truth,
        np.random.default_rng(1).random(other.p_value.shape),
        other.score,
        other.alarm,
    )
    assert against(ours, blind, data, draws=20).ranked_by == "score"


def test_real_series_hold_one_outbreak_each_and_are_else_as_they_were() -> None:
    made = simulate_real(series=330, seed=5)
    assert ((made.panel.counts - made.cases) == np.tile(real_series(), (3, 1))).all()
    assert made.truth.affected.mean() > 0.99
    assert not made.cases[:, : made.judged[0]].any()
    assert ceiling(DATA_SETS["weekly-real"], series=33) == {}
