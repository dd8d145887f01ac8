from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import TypeAdapter, ValidationError
from ruamel.yaml import YAML

from schemas.alerts import Consequence, Likelihood, RiskLevel
from schemas.risk import RISK_MATRIX, RiskMatrix, risk_level

GUIDES = Path(__file__).parents[2] / "docs" / "guides"
LEVELS = get_args(RiskLevel)
LIKELIHOODS = get_args(Likelihood)
CONSEQUENCES = get_args(Consequence)

matrix_adapter: TypeAdapter[Any] = TypeAdapter(RiskMatrix)


def level(likelihood: Likelihood, consequence: Consequence) -> int:
    return int(LEVELS.index(risk_level(likelihood, consequence)))


def test_the_risk_never_falls_as_likelihood_or_consequence_rise() -> None:
    for consequence in CONSEQUENCES:
        for low, high in pairwise(LIKELIHOODS):
            assert level(low, consequence) <= level(high, consequence)
    for likelihood in LIKELIHOODS:
        for low, high in pairwise(CONSEQUENCES):
            assert level(likelihood, low) <= level(likelihood, high)


def test_the_corners() -> None:
    assert risk_level("very_unlikely", "minimal") == "low"
    assert risk_level("almost_certain", "severe") == "very_high"
    assert risk_level("likely", "moderate") == "high"
    assert risk_level("unlikely", "moderate") == "moderate"


def test_a_matrix_of_ones_own() -> None:
    everywhere = matrix_adapter.validate_python(dict.fromkeys(LIKELIHOODS, ["moderate"] * 5))
    assert risk_level("almost_certain", "severe", everywhere) == "moderate"
    assert matrix_adapter.validate_python(RISK_MATRIX) == RISK_MATRIX


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"likely": ["low", "high", "moderate", "high", "high"]}, "moderate has a lower level"),
        ({"unlikely": ["very_high"] * 5}, "minimal: likely has a lower level than unlikely"),
        ({"likely": ["low"] * 4}, "likely"),
        ({"certain": ["high"] * 5}, "certain"),
        ({"likely": ["low"] * 4 + ["extreme"]}, "very_high"),
    ],
)
def test_a_wrong_matrix_is_refused(change: dict[str, list[str]], expected: str) -> None:
    with pytest.raises(ValidationError, match=expected):
        matrix_adapter.validate_python({**RISK_MATRIX, **change})


@pytest.mark.parametrize("guide", ["duty-officers.md", "duty-officers.zh-CN.md"])
def test_the_guides_show_the_default(guide: str) -> None:
    words = {"low": "low", "moderate": "moderate", "high": "high", "very high": "very_high",
             "低": "low", "中": "moderate", "高": "high", "极高": "very_high"}  # fmt: skip
    shown = {}
    for line in (GUIDES / guide).read_text(encoding="utf-8").splitlines():
        if found := re.match(r"\| `(\w+)`[^|]* \|(.*)\|$", line):
            cells = [cell.strip() for cell in found[2].split("|")]
            if found[1] in LIKELIHOODS:
                shown[found[1]] = tuple(words[cell] for cell in cells)
    assert shown == RISK_MATRIX


def test_the_example_of_the_configuration_is_the_default() -> None:
    text = (GUIDES / "epidemiologists.md").read_text(encoding="utf-8")
    (example,) = [
        block
        for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
        if "risk_matrix" in block
    ]
    matrix = YAML(typ="safe").load(example)["alerts"]["risk_matrix"]
    assert matrix_adapter.validate_python(matrix) == RISK_MATRIX


def test_a_matrix_has_all_rows() -> None:
    with pytest.raises(ValidationError, match="lacks unlikely; write a row for each of"):
        matrix_adapter.validate_python({k: v for k, v in RISK_MATRIX.items() if k != "unlikely"})
