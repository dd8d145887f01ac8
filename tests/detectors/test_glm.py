from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors._control_charts import Season, _fit_poisson
from detectors.glm import fit_glm, negbin_dispersion

if TYPE_CHECKING:
    from detectors.contract import FloatArray

STEPS = 40


def problems(count: int, columns: int, seed: int, condition: float) -> dict[str, Any]:
    """Draw regressions whose designs have columns that nearly depend on each other."""
    rng = np.random.default_rng([seed, columns])
    x = rng.normal(size=(count, STEPS, columns))
    x[:, :, 0] = 1.0
    if columns > 2:
        # The last column is the one before it, plus a difference of 1 / condition.
        x[:, :, -1] = x[:, :, -2] + x[:, :, -1] / condition
    beta = rng.normal(0, 0.3, (count, columns))
    beta[:, 0] = rng.uniform(0.5, 5.0, count)
    offset = rng.normal(0, 0.3, (count, STEPS))
    mean = np.exp(np.einsum("bnp,bp->bn", x, beta) + offset)
    psi = rng.uniform(0.01, 1.0, (count, 1))
    y = rng.poisson(mean * rng.gamma(1 / psi, psi, mean.shape)).astype(np.float64)
    weight = rng.uniform(0.2, 2.0, y.shape)
    weight[rng.random(y.shape) < 0.1] = 0.0
    return {"counts": y, "design": x, "weight": weight, "offset": offset}


def statsmodels_fit(batch: dict[str, Any], row: int) -> Any:
    used = batch["weight"][row] > 0
    return sm.GLM(
        batch["counts"][row][used],
        batch["design"][row][used],
        family=sm.families.Poisson(),
        offset=batch["offset"][row][used],
        var_weights=batch["weight"][row][used],
    ).fit(tol=1e-9, maxiter=20, scale="X2")


@pytest.mark.parametrize("columns", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("condition", [1.0, 1e2, 1e4, 1e5])
def test_a_thousand_problems_agree_with_statsmodels(columns: int, condition: float) -> None:
    batch = problems(50, columns, int(condition), condition)
    fit = fit_glm(**batch)
    assert fit.converged.all()
    assert fit.kept.all()
    errors = fit.standard_errors(fit.dispersion())
    for row in range(50):
        reference = statsmodels_fit(batch, row)
        # Coefficients of nearly dependent columns are as large as their standard errors.
        scale = np.maximum(np.abs(reference.params), reference.bse)
        assert (np.abs(fit.coefficients[row] - reference.params) <= 1e-8 * scale).all()
        np.testing.assert_allclose(errors[row], reference.bse, rtol=1e-8)
        np.testing.assert_allclose(fit.dispersion()[row], reference.scale, rtol=1e-8)


def test_a_new_row_is_predicted_as_statsmodels_does() -> None:
    batch = problems(5, 3, 9, 1.0)
    fit, new = fit_glm(**batch), np.array([1.0, 0.3, -0.2])
    linear, error = fit.predict(new, 0.5, fit.dispersion())
    for row in range(5):
        frame = statsmodels_fit(batch, row).get_prediction(new[None], offset=np.array([0.5]))
        assert np.exp(linear[row]) == pytest.approx(frame.predicted_mean[0], rel=1e-9)
        assert error[row] * np.exp(linear[row]) == pytest.approx(frame.se_mean[0], rel=1e-8)


@given(st.integers(0, 2**32 - 1), st.integers(0, 3), st.integers(0, 3))
@settings(max_examples=25)
def test_aliased_columns_are_the_later_ones_and_change_nothing(
    seed: int, source: int, place: int
) -> None:
    batch = problems(3, 4, seed, 1.0)
    design = batch["design"]
    copy = 2.0 * design[:, :, source] - design[:, :, 0]
    place = max(place, source) + 1
    wide = np.insert(design, place, copy, axis=2)
    plain, fit = fit_glm(**batch), fit_glm(**{**batch, "design": wide})
    expected = np.ones((3, 5), dtype=bool)
    expected[:, place] = False
    assert np.array_equal(fit.kept, expected)
    np.testing.assert_allclose(fit.mean, plain.mean, rtol=1e-7)
    np.testing.assert_array_equal(fit.coefficients[:, place], 0.0)
    others = np.delete(fit.coefficients, place, axis=1)
    np.testing.assert_allclose(others, plain.coefficients, rtol=1e-6, atol=1e-8)
    assert np.array_equal(fit.freedom, plain.freedom)


def test_a_shared_design_missing_counts_and_weight_zero_are_the_same() -> None:
    rng = np.random.default_rng(3)
    counts = rng.poisson(5.0, (4, 20)).astype(np.float64)
    design = np.stack([np.ones(20), np.arange(20.0)], axis=1)
    missing, weight = counts.copy(), np.ones_like(counts)
    missing[:, 4], weight[:, 4] = np.nan, 0.0
    one = fit_glm(missing, design)
    two = fit_glm(counts, np.repeat(design[None], 4, axis=0), weight=weight)
    np.testing.assert_allclose(one.coefficients, two.coefficients, rtol=1e-12)
    short = fit_glm(np.delete(counts, 4, axis=1), np.delete(design, 4, axis=0))
    np.testing.assert_allclose(one.coefficients, short.coefficients, rtol=1e-10)
    np.testing.assert_allclose(one.unscaled_covariance, short.unscaled_covariance, rtol=1e-9)


@pytest.mark.parametrize(
    ("counts", "converged"),
    [
        ([0.0, 0, 0, 0, 0], False),
        ([0.0, 0, 0, 0, 9], True),
        ([np.nan] * 5, True),
        ([np.nan, np.nan, 3, np.nan, np.nan], True),
        ([1e15, 0, 1e15, 0, 1e15], True),
        ([7.0, 7, 7, 7, 7], True),
    ],
)
def test_odd_problems_end_in_flags_and_finite_numbers(
    counts: list[float], converged: object
) -> None:
    design = np.stack([np.ones(5), np.arange(5.0)], axis=1)
    fit = fit_glm(np.array([counts]), design)
    arrays: list[FloatArray] = [fit.coefficients, fit.unscaled_covariance, fit.mean, fit.deviance]
    for array in [*arrays, fit.dispersion(1.0), fit.standard_errors(fit.dispersion(1.0))]:
        assert np.isfinite(array).all()
    if not any(count == 9 for count in counts):
        assert fit.converged[0] == converged


def test_a_level_without_cases_is_flagged() -> None:
    design = np.array([[1.0, 0], [1, 0], [1, 1], [1, 1]])
    fit = fit_glm(np.array([[3.0, 5, 0, 0], [3, 5, 1, 0]]), design)
    assert fit.converged.tolist() == [False, True]
    np.testing.assert_allclose(fit.mean[0, :2], 4.0, rtol=1e-9)


def test_negbin_dispersion_is_recovered() -> None:
    rng = np.random.default_rng(4)
    mean = np.full((2, 20_000), 10.0)
    drawn = np.stack([rng.negative_binomial(4, 4 / 14, 20_000), rng.poisson(10, 20_000)])
    counts = drawn.astype(np.float64)
    counts[:, :10] = np.nan
    psi = negbin_dispersion(counts, mean, np.full(2, 19_990.0))
    assert psi[0] == pytest.approx(0.25, abs=0.02)
    assert psi[1] < 0.01


def test_the_fit_of_control_charts_is_the_same() -> None:
    rng = np.random.default_rng(8)
    design, _ = Season(trend=True, harmonics=2, year=52.0).design(104, 1)
    counts = rng.poisson(np.exp(design @ [2.0, 0.5, 0.4, -0.3, 0.2, 0.1]), (20, 104)).astype(float)
    counts[:, 5::9] = np.nan
    known = ~np.isnan(counts)
    filled = np.where(known, counts, 0.0)
    level = filled.sum(axis=1) / known.sum(axis=1)
    beta = _fit_poisson(filled, known.astype(float), design, level)
    np.testing.assert_allclose(beta, fit_glm(counts, design).coefficients, rtol=1e-9, atol=1e-12)
