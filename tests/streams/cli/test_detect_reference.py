"""R surveillance 1.20.3 against the command line: counts in a CSV file, verdicts in a CSV file.

Provenance of the numbers is in tests/reference/README.md. Parameters have the names of the guide.
"""

from __future__ import annotations

import csv
import json
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pytest

from streams.epi_weeks import parse_week, week_label

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from typer.testing import Result

    from streams.judging.periods import EpiWeek

    Run = Callable[..., Result]
    Numbers = NDArray[np.float64]

FILES: Final = sorted((Path(__file__).parents[2] / "reference" / "r_surveillance").glob("*.json"))
#: Detector of each case, and what R does without being told.
DETECTORS: Final = {
    "ears": "ears",
    "farrington_flexible": "farrington_flexible",
    "farrington_original": "farrington",
    "cusum": "cusum",
    "glrpois": "glr_poisson",
    "glrnb": "glr_nb",
    "rki": "rki",
    "bayes": "bayes",
    "outbreakP": "outbreak_p",
}
#: R's parameters by the names of the guide.
NAMES: Final = {
    "method": "method",
    "baseline": "baseline",
    "minSigma": "min_sigma",
    "alpha": "alpha",
    "b": "years_back",
    "w": "half_window",
    "noPeriods": "periods",
    "trend": "trend",
    "pThresholdTrend": "trend_alpha",
    "thresholdMethod": "threshold",
    "reweight": "reweight",
    "weightsThreshold": "reweight_threshold",
    "pastWeeksNotIncluded": "exclude_recent",
    "powertrans": "power",
    "k": "k",
    "h": "h",
    "trans": "transform",
    "c.ARL": "c_arl",
    "dir": "direction",
    "actY": "current_year",
}
VALUES: Final = {"nbPlugin": "nb_plugin", "2/3": "two_thirds", "inc": "up"}
#: Only R has these, or they choose what is put out.
NOT_OURS: Final = {"fitFun", "correct", "ret", "m"}
#: Bounds of R where no case was observed, and so no bound was sought.
UNDEFINED: Final = 1e6
#: R's statistic overflows on these (tests/detectors/test_outbreak_p.py).
OVERFLOWING: Final = {"rotaBB", "rods_taipei"}


def references() -> list[Any]:
    return [
        pytest.param(case, file.stem, id=f"{file.stem}-{case['case']}")
        for file in FILES
        for case in json.loads(file.read_text(encoding="utf-8"))["cases"]
    ]


def named(stem: str, case: str) -> dict[str, Any]:
    (found,) = (
        one.values[0]
        for one in references()
        if one.values[1] == stem and one.values[0]["case"] == case
    )
    assert isinstance(found, dict)
    return found


def detector_of(case: dict[str, Any]) -> str:
    return next(ours for theirs, ours in DETECTORS.items() if case["case"].startswith(theirs))


def parameters(case: dict[str, Any]) -> list[str]:
    """The case's parameters, as a person types them."""
    if case["case"].startswith("rki"):
        return [f"variant={case['case'][-1]}"]
    typed = []
    for theirs, value in case["control"].items():
        if theirs == "limit54":
            typed += [f"min_cases={value[0]}", f"min_periods={value[1]}"]
        elif theirs not in NOT_OURS:
            text = str(value).lower() if isinstance(value, bool) else VALUES.get(value, value)
            typed.append(f"{NAMES[theirs]}={text}")
    return typed


def judged(
    run: Run, folder: Path, case: dict[str, Any], lines: Sequence[str], begin: object
) -> list[dict[str, str]]:
    """Rows that the command writes for the file that the lines make."""
    counts, out = folder / "counts.csv", folder / "verdicts.csv"
    counts.write_text("\n".join(lines) + "\n", encoding="utf-8")
    options = [part for one in parameters(case) for part in ("--param", one)]
    run(
        "detect", counts, "--detector", detector_of(case), *options,
        "--period", int(case["frequency"]), "--from", begin, "--out", out,
    )  # fmt: skip
    with out.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def plain(case: dict[str, Any], times: Sequence[object] | None = None) -> list[str]:
    """A file without names: times (1, 2, ... unless given) and counts."""
    labels = range(1, len(case["counts"]) + 1) if times is None else times
    return ["time,count", *(f"{t},{n}" for t, n in zip(labels, case["counts"], strict=True))]


def numbers(values: Sequence[float | str | None]) -> Numbers:
    return np.array([np.nan if value in {None, ""} else float(value or 0) for value in values])


def column(rows: list[dict[str, str]], name: str) -> Numbers:
    return numbers([row[name] for row in rows])


def compare(case: dict[str, Any], stem: str, rows: list[dict[str, str]]) -> None:
    """Alarms are identical; bounds, expectations and p-values agree to 1e-6.

    A period without cases is never an alarm here, whatever R says of it.
    """
    np.testing.assert_array_equal(column(rows, "observed"), case["observed"])
    cases = numbers(case["observed"]) > 0
    alarm, upper = numbers(case["alarm"]), numbers(case["upperbound"])
    if case["case"] == "outbreakP" and stem in OVERFLOWING:
        assert [row["alarm"] == "true" for row in rows] == cases.tolist()
        return
    ours = np.array([row["alarm"] == "true" for row in rows])
    known = ~np.isnan(alarm)
    np.testing.assert_array_equal(ours[known], (alarm.astype(bool) & cases)[known])
    assert {row["alarm"] for row in rows} <= {"true", "false"}
    bound = column(rows, "score" if case["control"].get("ret") == "value" else "upper")
    defined = ~np.isnan(upper) & (upper < UNDEFINED)
    if case["case"] == "farrington_original":
        defined &= upper > 0  # 0 where there are too few cases for an alarm
    np.testing.assert_allclose(bound[defined], upper[defined], rtol=1e-6, atol=1e-6)
    expected, p_value = numbers(case["expected"]), numbers(case["pvalue"])
    if expected.size:
        defined = ~np.isnan(expected) & ~np.isnan(upper)
        found = column(rows, "expected")
        np.testing.assert_allclose(found[defined], expected[defined], rtol=1e-6)
        defined = ~np.isnan(p_value)
        np.testing.assert_allclose(column(rows, "p_value")[defined], p_value[defined], atol=1e-6)


def test_the_collection_is_whole() -> None:
    cases = references()
    assert len(cases) == 122
    assert {detector_of(one.values[0]) for one in cases} == set(DETECTORS.values())


@pytest.mark.parametrize(("case", "stem"), references())
def test_the_command_agrees_with_r(
    run: Run, tmp_path: Path, case: dict[str, Any], stem: str
) -> None:
    rows = judged(run, tmp_path, case, plain(case), case["index"][0])
    assert [int(row["time"]) for row in rows] == case["index"]
    compare(case, stem, rows)


@pytest.mark.parametrize(
    "kind", ["ears_C2", "farrington_flexible_delta", "farrington_original", "glrnb", "cusum_rossi"]
)
def test_every_layout_and_every_kind_of_time_agrees_with_r(
    run: Run, tmp_path: Path, kind: str
) -> None:
    case = named("rods_taipei", kind)
    length, first = len(case["counts"]), case["index"][0] - 1
    times: dict[str, list[str]] = {
        "numbers from 0": [str(t) for t in range(length)],
        "numbers from -9": [str(t) for t in range(-9, length - 9)],
        "days": [str(date(2007, 1, 1) + timedelta(t)) for t in range(length)],
        "weeks": [str(date(2007, 1, 1) + timedelta(7 * t)) for t in range(length)],
        "epi weeks": weeks(length, "iso"),
    }
    header = "time,region,signal,count"
    for labels in times.values():
        lines = [f"{t},台北市,ili,{n}" for t, n in zip(labels, case["counts"], strict=True)]
        rows = judged(run, tmp_path, case, [header, *reversed(lines)], labels[first])
        assert [row["time"] for row in rows] == labels[first:]
        compare(case, "rods_taipei", rows)
    # With dates a whole number is the number of the step, from 1, as in R.
    for labels in (times["weeks"], times["epi weeks"]):
        rows = judged(run, tmp_path, case, plain(case, labels), case["index"][0])
        assert rows[0]["time"] == labels[first]
        compare(case, "rods_taipei", rows)
    # Two series side by side, the other one shorter by a year.
    lines = [f"{t},{'' if t < 53 else t % 7},{n}" for t, n in enumerate(case["counts"], start=1)]
    rows = judged(run, tmp_path, case, ["time,other,it", *lines], first + 1)
    compare(case, "rods_taipei", [row for row in rows if row["region"] == "it"])


def weeks(length: int, system: EpiWeek) -> list[str]:
    first = parse_week("2007-W01", system)
    assert first is not None
    return [week_label(first + timedelta(7 * t), system) for t in range(length)]


@pytest.mark.parametrize("system", ["iso", "mmwr"])
def test_epi_weeks_of_both_systems_agree_with_r(run: Run, tmp_path: Path, system: EpiWeek) -> None:
    case, out = named("salmonella_agona", "farrington_flexible_nbPlugin"), tmp_path / "v.csv"
    labels = weeks(len(case["counts"]), system)
    assert [one[-3:] for one in labels].count("W53") == 1
    (tmp_path / "c.csv").write_text("\n".join(plain(case, labels)), encoding="utf-8")
    options = [part for one in parameters(case) for part in ("--param", one)]
    run(
        "detect", tmp_path / "c.csv", "--detector", "farrington_flexible", *options,
        "--period", 52, "--epi-week", system, "--from", labels[case["index"][0] - 1], "--out", out,
    )  # fmt: skip
    with out.open(encoding="utf-8", newline="") as file:
        compare(case, "salmonella_agona", list(csv.DictReader(file)))


def test_a_file_of_the_detector_agrees_with_r(run: Run, tmp_path: Path) -> None:
    case, out = named("k1", "farrington_flexible_trend05"), tmp_path / "v.csv"
    config, counts = tmp_path / "detector.yaml", tmp_path / "c.csv"
    settings = [one.replace("=", ": ") for one in parameters(case)]
    config.write_text("\n".join(["type: farrington_flexible", *settings]), encoding="utf-8")
    counts.write_text("\n".join(plain(case)), encoding="utf-8")
    begin = case["index"][0]
    run("detect", counts, "--config", config, "--period", 52, "--from", begin, "--out", out)
    with out.open(encoding="utf-8", newline="") as file:
        compare(case, "k1", list(csv.DictReader(file)))


def test_a_collection_of_series_in_one_file_agrees_with_r(run: Run, tmp_path: Path) -> None:
    cases = {
        one.values[1]: one.values[0] for one in references() if one.values[0]["case"] == "rki1"
    }
    counts, out = tmp_path / "c.csv", tmp_path / "v.csv"
    # All end at the same time, 364.
    lines = [
        f"{364 - len(case['counts']) + step},{stem},s,{n}"
        for stem, case in cases.items()
        for step, n in enumerate(case["counts"], start=1)
    ]
    counts.write_text("\n".join(["time,region,signal,count", *lines]), encoding="utf-8")
    run("detect", counts, "--detector", "rki", "--param", "variant=1", "--out", out)
    with out.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 364 * len(cases)
    for stem, case in cases.items():
        own = [row for row in rows if row["region"] == stem]
        compare(case, stem, own[364 - len(case["index"]) :])
