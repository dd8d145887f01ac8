"""The ceiling for judging single steps: a judge who knows the true mean and dispersion.

Examples
--------
>>> from detectors.evaluation import matched_fpr, measure, simulate_weekly
>>> made = simulate_weekly(series=420, seed=1)
>>> alarm = matched_fpr(oracle(made), made.truth, 0.026).alarm
>>> 0.6 < measure(alarm, made.truth).pod.value < 0.8
True
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import nbinom, norm, poisson

if TYPE_CHECKING:
    from detectors.contract import FloatArray
    from detectors.evaluation.simulation import Simulation

__all__ = ["oracle"]

#: Dispersions nearer to 1 than this are 1: the negative binomial has no such limit in numbers.
_POISSON = 1e-9


def oracle(simulation: Simulation) -> FloatArray:
    r"""Give the true p-values at the judged steps, shape `[series, judged]`.

    They are mid-p-values, P(Y > y) + P(Y = y) / 2 for Y negative binomial with the true mean mu
    and variance phi mu of the step (Poisson for phi = 1, normal with a correction of 1/2 for
    phi < 1), so that steps of different mean can be ranked together. A detector that judges each
    step by itself has to estimate mu and phi and cannot find more; one that uses neighbouring
    steps can.

    Examples
    --------
    >>> from detectors.evaluation import simulate_weekly
    >>> p = oracle(simulate_weekly(series=100, seed=1, sizes=[0], past_sizes=[0]))
    >>> p.shape, bool(abs(p.mean() - 0.5) < 0.02)  # uniform in the mean
    ((100, 49), True)
    """
    at = simulation.judged
    y, mean, phi = (
        values[:, at]
        for values in (simulation.panel.counts, simulation.mean, simulation.dispersion)
    )
    p = np.full(y.shape, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        over, under = phi > 1 + _POISSON, phi < 1 - _POISSON
        equal = ~over & ~under
        size = mean[over] / (phi[over] - 1)
        p[over] = _mid(nbinom, y[over], size, 1 / phi[over])
        p[equal] = _mid(poisson, y[equal], mean[equal])
        sd = np.sqrt(phi[under] * mean[under])
        p[under] = (
            norm.sf((y[under] - 0.5 - mean[under]) / sd)
            + norm.sf((y[under] + 0.5 - mean[under]) / sd)
        ) / 2
    # A mean of 0 (closed on a bank holiday) leaves nothing to judge.
    p[mean <= 0] = 1.0
    return p


def _mid(law: Any, y: FloatArray, *parameters: FloatArray) -> FloatArray:
    mid: FloatArray = (law.sf(y - 1, *parameters) + law.sf(y, *parameters)) / 2
    return mid
