from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from detectors import Ears
from detectors.registry import DETECTORS, parse_detector
from streams.configuration.r_words import R_NAMES
from streams.detect import choosing
from streams.detect.choosing import begin_at, choose_detector, read_parameters
from streams.errors import FenghuoError

if TYPE_CHECKING:
    from pathlib import Path


class Chart(BaseModel):
    """A detector with parameters of every sort."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    type: Literal["chart"] = "chart"
    name: str = ""
    variant: Literal[1, 2] = 1
    code: Literal["1", "2"] = "1"
    trend: bool | Literal["auto"] = "auto"
    lags: tuple[int, ...] = ()
    days: tuple[str, ...] = ()
    cap: float | None = 1.0
    start: int | None = Field(default=None, ge=0)


def fields(name: str) -> set[str]:
    model: Any = DETECTORS[name]
    return set(model.model_fields)


@pytest.fixture
def chart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing, "parse_detector", Chart.model_validate)


@pytest.mark.parametrize(
    ("given", "field", "value"),
    [
        ("name=12", "name", "12"),
        ("name=a=b", "name", "a=b"),
        ("variant=2", "variant", 2),
        ("code=2", "code", "2"),
        ("trend=true", "trend", True),
        ("trend=FALSE", "trend", False),
        ("trend=auto", "trend", "auto"),
        ("lags=[1, 2]", "lags", (1, 2)),
        ("lags=1,2", "lags", (1, 2)),
        ("days=2026-01-01,2026-05-01", "days", ("2026-01-01", "2026-05-01")),
        ("cap=null", "cap", None),
        ("cap=NULL", "cap", None),
        ("cap=none", "cap", None),
        ("name=none", "name", "none"),
        ("cap=1e-3", "cap", 0.001),
        ("cap=.5", "cap", 0.5),
    ],
)
def test_values_of_every_sort(chart: None, given: str, field: str, value: object) -> None:
    found = getattr(choose_detector("chart", [given]), field)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("eras", [], "did you mean 'ears'.* See fenghuo detectors list"),
        ("ears", ["basline=3"], "--param basline=3: ears has no such parameter: did you mean base"),
        ("ears", ["zzz=3"], r"--param zzz=3: ears has no such parameter: It has method, baseline"),
        ("ears", ["baseline=2"], "--param baseline=2: must be 3 or more, not '2'"),
        (
            "ears",
            ["method=C4"],
            "--param method=C4: is 'C4', which is not known; write",
        ),
        ("ears", ["baseline"], "--param baseline: write it as NAME=VALUE"),
        ("ears", ["=3"], "--param =3: write it as NAME=VALUE"),
        ("ears", ["lag=1", "lag=2"], "--param lag is given twice"),
        ("ears", ["minSigma=1"], "what R calls minSigma is min_sigma here. It has method"),
        ("glr_nb", ["dir=inc"], "what R calls dir is direction here"),
        ("farrington", ["limit54=5,4"], "what R calls limit54 is min_cases and min_periods here"),
        ("ears", ["w=3"], "--param w=3: ears has no such parameter: It has method"),
        (
            "glr_nb",
            ["direction=upward"],
            "--param direction=upward: is 'upward', which is",
        ),
        ("ears", ["type=ears"], "name the detector with --detector"),
    ],
)
def test_refused(name: str, given: list[str], message: str) -> None:
    with pytest.raises(FenghuoError, match=message) as caught:
        choose_detector(name, given)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "word", "ours"),
    [
        ("glr_poisson", "direction=inc", {"direction": "up"}),
        ("glr_nb", "direction=dec", {"direction": "down"}),
        ("glr_nb", "direction=inc,dec", {"direction": "both"}),
        ("farrington_flexible", "threshold=nbPlugin", {"threshold": "nb_plugin"}),
        ("farrington_flexible", "power=2/3", {"power": "two_thirds"}),
        ("farrington", "power=1/2", {"power": "sqrt"}),
        ("farrington", "power=none", {"power": "none"}),
        ("farrington", "trend=FALSE", {"trend": False}),
    ],
)
def test_words_of_r_are_taken(kind: str, word: str, ours: dict[str, object]) -> None:
    name, _, value = word.partition("=")
    expected = parse_detector({"type": kind, **ours})
    assert choose_detector(kind, [word]) == expected
    assert choose_detector(None, [], {"type": kind, name: value}) == expected


def test_the_names_told_for_those_of_r_exist() -> None:
    known = {field for name in DETECTORS for field in fields(name)}
    for ours in R_NAMES.values():
        assert set(ours.split(" and ")) <= known


#: As the issue that asked for the command names them.
PROMISED: dict[str, tuple[str, ...]] = {
    "ears": ("method=C1", "method=C2", "method=C3", "baseline=7", "lag=2", "alpha=0.001",
             "min_sigma=0"),
    "farrington_flexible": (
        "years_back=5", "half_window=3", "periods=10", "trend=true", "trend=false",
        "trend_alpha=0.05", "threshold=delta", "threshold=nb_plugin", "threshold=muan",
        "reweight=true", "reweight_threshold=2.58", "exclude_recent=26", "alpha=0.01",
        "power=two_thirds", "power=sqrt", "power=none", "min_cases=5", "min_periods=4",
    ),
    "farrington": ("years_back=5", "half_window=3", "alpha=0.01", "reweight=true", "trend=true",
                   "power=two_thirds", "power=sqrt", "power=none"),
    "cusum": ("k=1.04", "h=2.26", "transform=none", "transform=standard", "transform=rossi",
              "transform=anscombe", "baseline=mean", "baseline=glm"),
    "glr_poisson": ("c_arl=5", "direction=up", "direction=down", "direction=both"),
    "glr_nb": ("c_arl=5", "direction=up", "direction=down", "direction=both"),
    "rki": ("variant=1", "variant=2", "variant=3"),
    "bayes": ("years_back=2", "half_window=4", "current_year=true", "alpha=0.05"),
    "outbreak_p": ("k=100",),
}  # fmt: skip


@pytest.mark.parametrize("kind", PROMISED)
def test_the_promised_parameters_and_values_are_taken_as_written(kind: str) -> None:
    for one in PROMISED[kind]:
        name, _, text = one.partition("=")
        found = getattr(choose_detector(kind, [one]), name)
        assert str(found).lower().removesuffix(".0") == text.lower()


@pytest.mark.parametrize(
    "text",
    [
        "type: ears\nbaseline: 14\n",
        "detector: {type: ears, baseline: 14}\n",
        '{"type": "ears", "baseline": 14}',
    ],
)
def test_file_completed_by_parameters(tmp_path: Path, text: str) -> None:
    path = tmp_path / "d.yaml"
    path.write_text(text, encoding="utf-8")
    parameters = read_parameters(path)
    assert choose_detector(None, [], parameters) == Ears(baseline=14)
    assert choose_detector("ears", ["baseline=9", "lag=1"], parameters) == Ears(baseline=9, lag=1)
    with pytest.raises(FenghuoError, match="--detector rki, but the file of --config is for ears"):
        choose_detector("rki", [], parameters)


def test_a_file_may_leave_the_type_to_the_option() -> None:
    assert choose_detector("ears", [], {"lag": 2}) == Ears(lag=2)
    with pytest.raises(FenghuoError, match="needs a `type`"):
        choose_detector(None, [], {"lag": 2})
    with pytest.raises(FenghuoError, match=r"^bsaeline: ears has no such parameter: did you mean"):
        choose_detector("ears", [], {"bsaeline": 2})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file"),
        (b"- 1\n", "the file must hold a detector"),
        (b"a: [1\n", r"d.yaml:2: not valid YAML"),
        ("a: 北".encode("gbk"), "not UTF-8"),
    ],
)
def test_files_refused(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "d.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(FenghuoError, match=message):
        read_parameters(path)


def test_charts_begin_at_the_first_judged_step_unless_told() -> None:
    chart: Any = Chart(name="a")
    begun: Any = begin_at(chart, 7)
    assert begun == Chart(name="a", start=7)
    told: Any = Chart(start=0)
    assert begin_at(told, 7) is told
    assert begin_at(Ears(), 7) == Ears()


@pytest.mark.parametrize(("kind", "start"), [("outbreak_p", 0), ("shewhart", None)])
def test_what_has_no_training_does_not_begin_at_the_first_judged_step(
    kind: str, start: int | None
) -> None:
    class Untrained(Chart):
        type: str = kind  # type: ignore[assignment]

    begun: Any = Untrained()
    assert getattr(begin_at(begun, 7), "start", ...) == start
