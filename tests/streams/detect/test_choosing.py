from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from detectors import Ears
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
        ("ears", ["baseline=2"], "--param baseline=2: Input should be greater than or equal to 3"),
        ("ears", ["method=C4"], "--param method=C4: Input should be 'C1', 'C2' or 'C3'"),
        ("ears", ["baseline"], "--param baseline: write it as NAME=VALUE"),
        ("ears", ["=3"], "--param =3: write it as NAME=VALUE"),
        ("ears", ["lag=1", "lag=2"], "--param lag is given twice"),
        ("ears", ["type=ears"], "name the detector with --detector"),
    ],
)
def test_refused(name: str, given: list[str], message: str) -> None:
    with pytest.raises(FenghuoError, match=message) as caught:
        choose_detector(name, given)
    assert "\n" not in str(caught.value)


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
