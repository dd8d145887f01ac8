from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from streams.alerts.predictive_value import predictive_value


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_is_wilsons(counts: tuple[int, int]) -> None:
    outbreaks, decided = counts
    found = predictive_value(outbreaks, decided)
    lower, upper = proportion_confint(outbreaks, decided, alpha=0.05, method="wilson")
    assert found.value == outbreaks / decided
    assert found.lower == pytest.approx(lower, abs=1e-12)
    assert found.upper == pytest.approx(upper, abs=1e-12)
    assert found.lower is not None
    assert found.upper is not None
    assert 0 <= found.lower <= found.value <= found.upper <= 1


def test_without_outcomes_there_is_no_value() -> None:
    assert predictive_value(0, 0) == (0, 0, None, None, None)
    with pytest.raises(ValueError, match="3 of 2 is no share"):
        predictive_value(3, 2)
