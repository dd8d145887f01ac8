from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import jsonschema  # type: ignore[import-untyped,unused-ignore]
import pytest
from pydantic import ValidationError

from detectors import (
    BrokenDetectorError,
    Ears,
    UnknownDetectorError,
    config_schema,
    parse_detector,
    registry,
)
from detectors.cusum import Cusum
from detectors.registry import FAMILIES, DetectorRegistry, whole_series_parameters

if TYPE_CHECKING:
    from pathlib import Path

BUILT_IN = frozenset(registry.DETECTORS)
PLUGIN = '''
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from detectors import Verdicts, judged_positions


class Fixed(BaseModel):
    """Alarm above a fixed count."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    type: Literal["fixed"] = "fixed"
    limit: float

    def lookback(self, grain):
        return 0

    def judge(self, panel, at=None):
        index = judged_positions(at, panel.counts.shape[1])
        verdicts = Verdicts.blank(panel.counts.shape[0], index)
        verdicts.upper[:] = self.limit
        verdicts.alarm[:] = panel.counts[:, index] > self.limit
        return verdicts


class Halfway(BaseModel):
    type: Literal["halfway"] = "halfway"

    def lookback(self, grain):
        return 0


NOT_A_CLASS = 1
'''


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the import path with a distribution `acme-charts` that has no entry points."""
    (tmp_path / "acme_charts.py").write_text(PLUGIN)
    (tmp_path / "acme_broken.py").write_text("import no_such_module_at_all\n")
    (tmp_path / "acme_charts-1.0.dist-info").mkdir()
    (tmp_path / "acme_charts-1.0.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: acme-charts\nVersion: 1.0\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(registry, "DETECTORS", DetectorRegistry())
    for module in ("acme_charts", "acme_broken"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    return tmp_path


def announce(folder: Path, **points: str) -> None:
    lines = [f"{name} = {value}" for name, value in points.items()]
    (folder / "acme_charts-1.0.dist-info" / "entry_points.txt").write_text(
        "[fenghuo.detectors]\n" + "\n".join(lines) + "\n"
    )


def test_parsing_gives_the_detector() -> None:
    detector = parse_detector({"type": "ears", "method": "C3", "baseline": 14})
    assert detector == Ears(method="C3", baseline=14)


def test_a_detector_survives_its_own_dump() -> None:
    detector = Ears(method="C2", alpha=0.01, min_sigma=1)
    assert parse_detector(detector.model_dump()) == detector


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"type": "aers"}, "unknown detector type 'aers': did you mean 'ears'. known are auto"),
        ({"type": "zzz"}, "unknown detector type 'zzz': known are auto, bayes"),
        ({"type": 3}, "unknown detector type 3: known are"),
        ({"method": "C1"}, "a detector needs a `type`: one of auto, bayes"),
    ],
)
def test_unknown_types_are_told_with_the_known_ones(
    params: dict[str, object], message: str
) -> None:
    with pytest.raises(UnknownDetectorError, match=message):
        parse_detector(params)


@pytest.mark.parametrize("wrong", [{"method": "C9"}, {"basline": 7}, {"alpha": "high"}])
def test_wrong_parameters_are_told_by_name(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        parse_detector({"type": "ears", **wrong})


def test_the_schema_takes_what_the_parser_takes() -> None:
    schema = config_schema()
    validator = jsonschema.Draft202012Validator(schema)
    validator.check_schema(schema)
    assert validator.is_valid({"type": "ears"})
    assert validator.is_valid({"type": "ears", "method": "C2", "lag": None, "alpha": 0.01})
    for wrong in ({}, {"type": "eras"}, {"type": "ears", "alpha": 1}, {"type": "ears", "x": 1}):
        assert not validator.is_valid(wrong)


def test_a_foreign_detector_is_found_parsed_and_in_the_schema(installed: Path) -> None:
    announce(installed, fixed="acme_charts:Fixed")
    assert sorted(set(registry.DETECTORS) - BUILT_IN) == ["fixed"]
    assert len(registry.DETECTORS) == len(BUILT_IN) + 1
    detector = parse_detector({"type": "fixed", "limit": 3})
    assert (detector.type, detector.lookback("day")) == ("fixed", 0)
    validator = jsonschema.Draft202012Validator(config_schema())
    assert validator.is_valid({"type": "fixed", "limit": 3})
    assert validator.is_valid({"type": "ears"})
    assert not validator.is_valid({"type": "fixed"})


def test_names_are_known_without_importing(installed: Path) -> None:
    announce(installed, fixed="acme_charts:Fixed", broken="acme_broken:Chart")
    assert "broken" in registry.DETECTORS
    assert sorted(set(registry.DETECTORS) - BUILT_IN) == ["broken", "fixed"]
    assert parse_detector({"type": "ears"}) == Ears()
    assert "acme_broken" not in sys.modules
    assert "acme_charts" not in sys.modules


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("acme_broken:Chart", "cannot be imported .*ModuleNotFoundError.*no_such_module_at_all"),
        ("acme_charts:Missing", "cannot be imported from 'acme_charts:Missing'.*AttributeError"),
        ("acme_charts:NOT_A_CLASS", "is no pydantic model class"),
        ("acme_charts:Fixed", "has no field `type"),
        ("acme_charts:Halfway", "has no method judge"),
    ],
)
def test_a_broken_detector_is_named_with_its_distribution(
    installed: Path, value: str, message: str
) -> None:
    announce(installed, halfway=value)
    with pytest.raises(BrokenDetectorError, match=f"'halfway' from .*'acme-charts'.*{message}"):
        parse_detector({"type": "halfway"})


def test_two_detectors_of_one_name_are_refused(installed: Path) -> None:
    announce(installed, ears="acme_charts:Fixed")
    with pytest.raises(BrokenDetectorError, match=r"are called 'ears'.*acme-charts"):
        parse_detector({"type": "fixed"})


def test_looking_up_a_missing_name_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        registry.DETECTORS["no-such-detector"]


def test_a_start_in_a_detector_of_others_is_their_affair() -> None:
    class Theirs(Cusum):
        """May mean anything by it."""

    assert whole_series_parameters(Theirs(start=3)) == []


def test_every_detector_of_the_package_has_one_family() -> None:
    members = [name for names in FAMILIES.values() for name in names]
    assert len(members) == len(set(members))
    assert set(members) == BUILT_IN


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_a_start_is_told_to_be_for_whole_series(name: str) -> None:
    model: Any = registry.DETECTORS[name]
    if "start" in model.model_fields:
        assert whole_series_parameters(model(start=3)) == ["start"]
    if name != "fixed_value":
        assert whole_series_parameters(model()) == []
