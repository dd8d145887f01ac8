from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.optimize import minimize_scalar
from scipy.stats import nbinom, norm, poisson

from detectors._likelihood_ratio import PoissonRatio
from detectors._negbin_ratio import NegbinRatio
from detectors.contract import Detector, FloatArray, Panel, Reason
from detectors.glr import GlrNb, GlrPoisson
from tests.detectors.contract_checks import assert_same, check_contract, take

FILES = sorted((Path(__file__).parents[1] / "reference" / "r_surveillance").glob("*.json"))
KINDS: dict[str, type[GlrPoisson | GlrNb]] = {"glrpois": GlrPoisson, "glrnb": GlrNb}
UNDEFINED = 1e99


def load(file: Path, case: str) -> dict[str, Any]:
    cases: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))["cases"]
    return next(entry for entry in cases if entry["case"] == case)


def plain_ratio(counts: FloatArray, mean: FloatArray, psi: float, sign: int) -> float:
    """The definition: every run, and the best shift by a numerical search."""

    def log_likelihood(run: slice, kappa: float) -> float:
        mu = mean[run] * math.exp(kappa)
        if psi == 0:
            return float(poisson.logpmf(counts[run], mu).sum())
        return float(nbinom.logpmf(counts[run], 1 / psi, 1 / (1 + psi * mu)).sum())

    best = 0.0
    for first in range(counts.size):
        run = slice(first, None)
        base = log_likelihood(run, 0.0)
        found = minimize_scalar(
            lambda q, run=run: -log_likelihood(run, sign * q),
            bounds=(0, 25),
            method="bounded",
            options={"xatol": 1e-9},
        )
        best = max(best, -float(found.fun) - base)
    return best


@pytest.mark.parametrize("case", KINDS)
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_agrees_with_the_reference(file: Path, case: str) -> None:
    reference = load(file, case)
    control, index = reference["control"], np.array(reference["index"]) - 1
    detector = KINDS[case](c_arl=control["c.ARL"], start=int(index[0]))
    panel = Panel(np.array([reference["counts"]], dtype=float), period=reference["frequency"])
    verdicts = detector.judge(panel, index)
    np.testing.assert_array_equal(verdicts.alarm[0], np.array(reference["alarm"], dtype=bool))
    theirs = np.array(reference["upperbound"], dtype=float)
    ours = verdicts.upper[0] if control["ret"] == "cases" else verdicts.score[0]
    defined = theirs < UNDEFINED
    np.testing.assert_allclose(ours[defined], theirs[defined], rtol=1e-6, atol=1e-6)
    # Where R has no bound, no case was observed; ours is there all the same.
    assert (panel.counts[0, index][~defined] == 0).all()
    assert np.isfinite(ours).all()


@pytest.mark.parametrize("direction", ["up", "down", "both"])
def test_poisson_keeps_the_contract(direction: str) -> None:
    detector = GlrPoisson.model_validate({"direction": direction, "window": 6, "training": 30})
    check_contract(detector, period=12, alarm_above_upper=False)


@pytest.mark.parametrize(
    "parameters",
    [{"direction": "up"}, {"direction": "both", "restart": False, "trend": True}],
)
def test_nb_keeps_the_contract(parameters: dict[str, Any]) -> None:
    detector = GlrNb.model_validate({"window": 3, "training": 12, **parameters})
    check_contract(detector, period=12, alarm_above_upper=False, judged=3)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("psi", [0.0, 0.3, 4.0])
def test_the_statistic_is_the_definition(psi: float, sign: int) -> None:
    rng = np.random.default_rng(11)
    mean = rng.uniform(0.5, 20, (6, 9))
    counts = rng.poisson(mean * np.array([0.3, 0.7, 1, 1.5, 3, 0])[:, None]).astype(np.float64)
    ratio = PoissonRatio(mean) if psi == 0 else NegbinRatio(mean, np.full(6, psi))
    for step in range(9):
        ratio.push(step, counts[:, step])
    want = [plain_ratio(counts[row], mean[row], psi, sign) for row in range(6)]
    np.testing.assert_allclose(ratio.statistic(8, sign), want, rtol=1e-6, atol=1e-4)
    assert max(want) > 1


@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([0.0, 1e-4, 0.3, 4.0]),
    st.sampled_from([1, -1]),
    st.sampled_from([0.5, 2.0, 5.0]),
)
@settings(max_examples=40)
def test_what_is_ruled_out_by_bounds_never_reaches_the_limit(
    seed: int, psi: float, sign: int, limit: float
) -> None:
    rng = np.random.default_rng(seed)
    mean = rng.uniform(0.1, 20, (5, 12)) * 10.0 ** rng.integers(-2, 6, (5, 1))
    counts = rng.poisson(mean * rng.choice([0.0, 0.3, 1.0, 1.3, 4.0], (5, 1))).astype(np.float64)
    counts[rng.random(counts.shape) < 0.1] = np.nan
    ratio = PoissonRatio(mean) if psi == 0 else NegbinRatio(mean, np.full(5, psi))
    alone = [
        PoissonRatio(row[None]) if psi == 0 else NegbinRatio(row[None], np.array([psi]))
        for row in mean
    ]
    for step in range(12):
        for part, count in (
            (ratio, counts[:, step]),
            *zip(alone, counts[:, step, None], strict=True),
        ):
            part.push(step, count)
        statistic = ratio.statistic(step, sign)
        # Charts do not touch each other, to the last bit.
        np.testing.assert_array_equal(
            statistic, np.concatenate([one.statistic(step, sign) for one in alone])
        )
        reached = ratio.reached(step, sign, limit)
        clear = np.abs(statistic - limit) > 1e-9 * limit
        np.testing.assert_array_equal(reached[clear], (statistic >= limit)[clear])
        ratio.restart(step, reached)
        for one, again in zip(alone, reached, strict=True):
            one.restart(step, np.array([again]))


@pytest.mark.parametrize("psi", [0.0, 0.3])
def test_a_forgotten_step_is_in_no_run(psi: float) -> None:
    mean = np.full((2, 4), 5.0)
    ratio = PoissonRatio(mean) if psi == 0 else NegbinRatio(mean, np.full(2, psi))
    for step, count in enumerate((30.0, 6.0, 6.0)):
        ratio.push(step, np.full(2, count))
        if step == 0:
            ratio.restart(0, np.array([True, False]))
    new = ratio.statistic(2, 1)
    assert new[0] == pytest.approx(plain_ratio(np.array([6.0, 6.0]), mean[0, :2], psi, 1), abs=1e-6)
    assert new[1] == pytest.approx(
        plain_ratio(np.array([30.0, 6.0, 6.0]), mean[0, :3], psi, 1), rel=1e-6
    )
    assert ratio.bound(3, 2.0, 1)[1] < ratio.bound(3, 2.0, 1)[0]


@pytest.mark.parametrize("kind", [GlrPoisson, GlrNb])
@pytest.mark.parametrize("restart", [True, False])
def test_the_bound_parts_alarms_from_other_counts(
    kind: type[GlrPoisson | GlrNb], *, restart: bool
) -> None:
    rng = np.random.default_rng(12)
    counts = rng.negative_binomial(3, 0.2, (20, 62)).astype(np.float64)
    panel = Panel(counts, period=12)
    for direction in ("up", "down"):
        detector = kind.model_validate(
            {"direction": direction, "restart": restart, "c_arl": 1.5, "start": 48}
        )
        verdicts = detector.judge(panel, slice(48, None))
        observed = counts[:, 48:]
        beyond = observed >= verdicts.upper if direction == "up" else observed < verdicts.upper
        np.testing.assert_array_equal(verdicts.alarm, beyond)
        assert 0 < verdicts.alarm.mean() < 1


def test_a_single_count_by_hand() -> None:
    # One run: X log(X / 4) - X + 4 is 4.99 for 12 and 6.32 for 13.
    verdicts = GlrPoisson(harmonics=0, start=8).judge(
        Panel(np.array([[4.0] * 8 + [11, 13], [4.0] * 8 + [12, 4]])), slice(8, None)
    )
    want = [11 * math.log(11 / 4) - 7, 12 * math.log(3) - 8]
    np.testing.assert_allclose(verdicts.score[:, 0], want, rtol=1e-9)
    np.testing.assert_array_equal(verdicts.upper[:, 0], [12, 12])
    np.testing.assert_array_equal(verdicts.alarm[:, 0], [False, True])
    # Two steps: 24 cases against 8, more than 13 against 4 alone.
    assert verdicts.score[0, 1] == pytest.approx(24 * math.log(3) - 16)
    # After the alarm the chart begins anew: 4 against 4.
    assert verdicts.score[1, 1] == 0
    np.testing.assert_allclose(verdicts.p_value[0, 0], norm.sf(math.sqrt(2 * want[0])), rtol=1e-9)


def test_without_restart_the_chart_remembers_its_alarm() -> None:
    panel = Panel(np.array([[4.0] * 8 + [20, 4]]))
    latest = slice(-1, None)
    assert GlrPoisson(harmonics=0, start=8).judge(panel, latest).score[0, 0] == 0
    kept = GlrPoisson(harmonics=0, start=8, restart=False).judge(panel, latest)
    assert kept.score[0, 0] == pytest.approx(24 * math.log(3) - 16)
    assert kept.alarm[0, 0]


def test_falls_are_found_downwards_only() -> None:
    panel = Panel(np.array([[30.0] * 10 + [12]]))
    alarms = {
        direction: GlrPoisson.model_validate({"harmonics": 0, "start": 10, "direction": direction})
        .judge(panel, slice(-1, None))
        .alarm[0, 0]
        for direction in ("up", "down", "both")
    }
    assert alarms == {"up": False, "down": True, "both": True}


def test_the_negative_binomial_tends_to_poisson() -> None:
    counts = np.random.default_rng(13).poisson(8, (5, 60)).astype(np.float64)
    panel, at = Panel(counts, period=12), slice(40, None)
    one = GlrPoisson(start=40, c_arl=2).judge(panel, at)
    other = GlrNb(start=40, c_arl=2, psi=1e-6, harmonics=1).judge(panel, at)
    np.testing.assert_allclose(other.score, one.score, rtol=0.05, atol=0.01)


def test_a_window_is_a_chart_that_starts_so_much_earlier() -> None:
    counts = np.random.default_rng(14).negative_binomial(3, 0.3, (4, 60)).astype(np.float64)
    for kind in KINDS.values():
        windowed = kind(window=6, training=24).judge(Panel(counts, period=12), np.array([59]))
        cut = Panel(counts[:, 30:].copy(), period=12)
        assert_same(windowed, kind(start=24).judge(cut, slice(-1, None)), rtol=1e-9)
        assert (windowed.reason == Reason.ok).all()


def test_with_a_start_verdicts_do_not_depend_on_the_positions_asked_for() -> None:
    counts = np.random.default_rng(15).negative_binomial(3, 0.3, (4, 50)).astype(np.float64)
    at = np.array([49, 35, 35, 10])
    for kind in KINDS.values():
        panel, detector = Panel(counts, period=12), kind(start=30)
        assert_same(detector.judge(panel, at), take(detector.judge(panel), at), rtol=1e-12)


def test_missing_counts_add_nothing() -> None:
    for kind in KINDS.values():
        full, gap = (
            kind(harmonics=0, start=6).judge(
                Panel(np.array([[4.0, 9, 2, 4, 6, 1, 7, *middle, 9]])), slice(-1, None)
            )
            for middle in ([], [math.nan, math.nan])
        )
        assert_same(full, gap, rtol=1e-9)


def test_are_detectors() -> None:
    detectors: list[Detector] = [GlrPoisson(), GlrNb()]
    assert [detector.type for detector in detectors] == ["glr_poisson", "glr_nb"]
    assert GlrNb(window=10, training=30, start=5).lookback("week") == 39


@pytest.mark.parametrize(
    "wrong", [{"c_arl": 0}, {"direction": "inc"}, {"change": "epi"}, {"psi": 0}, {"mu0": 1}]
)
def test_wrong_parameters_are_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        GlrNb.model_validate(wrong)
