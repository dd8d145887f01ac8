"""Markdown pages about the comparison of `auto` with single methods."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Final

from detectors.evaluation.contenders import AUTO, LEFT_OUT, contenders
from detectors.evaluation.data_sets import DATA_SETS, TEST_SEED
from streams.evaluation.ranking import lines, tally

if TYPE_CHECKING:
    from collections.abc import Sequence

    from detectors.evaluation.against import Against, Operating
    from detectors.evaluation.contenders import Contender
    from detectors.evaluation.matched import Interval
    from streams.evaluation.running import SetResult

__all__ = ["MADE", "index_page", "set_page"]

MADE: Final = "<!-- Made by `fenghuo evaluate compare --out DIR`; do not edit. -->"
_MARK: Final = {"won": "✓", "open": "≈", "lost": "✗"}
_SAID: Final = {
    "pod": "POD",
    "pod_first": "POD in the first week",
    "pod_early": "POD early",
    "half_time": "time until half are found",
    "mean_delay": "mean delay",
    "in_alarm": "share in alarm",
    "f1": "F1",
    "ppv": "PPV",
}
#: Figures on which the claim "detects more, and earlier" stands.
_CLAIM: Final = ("pod", "pod_first", "half_time", "mean_delay", "in_alarm", "f1")

_HOW = """\
`auto` against every other method at the same false-positive rate, on simulated series whose
outbreaks are known. Nothing here is a method's nominal level: each method's verdicts are ranked,
and the threshold is put where the wanted share of the steps without an outbreak gives an alarm,
over all series of a data set together. `auto` is ranked by its `p_value`; another method by its
`p_value` too (ties by `score`, then at random), or by its `score` alone if it finds more so.

## How to read the tables

- **POD**: share of the outbreaks with an alarm between the start and the last case. **First
  week** (days: also the first 3 days): within these steps from the start.
- **Half found after**: time from the start of an outbreak until half of all outbreaks have been
  found, the median time to detection. A missed outbreak is found later than any other, so the
  figure does not exist where fewer than half are found ("-"), nor a difference where neither
  method finds half. An alarm is taken to come somewhere in its step: one in the first week counts
  as between 0 and 1, and the median is interpolated within its step.
- **Mean delay**: steps from the start to the first alarm; a missed outbreak counts with its whole
  length from start to last case.
- **In alarm**: share of the steps with cases that have an alarm. **Silence**: the longest run of
  steps without an alarm between the first alarm and the last case, mean over the outbreaks found
  (found by fewer alarms, an outbreak is one of the easier ones).
- **F1**, **PPV**: of steps.
- In brackets: 95 % intervals, percentiles of a bootstrap over series; thresholds are set anew in
  every draw.
- **auto**: difference *auto minus method* on the same series, paired, with its 95 % interval, and
  ✓ where the interval lies on the side on which `auto` is better, ✗ where on the other, ≈ where it
  holds 0: neither is shown to be better. With hundreds of lines, some marks are chance: about one
  in forty of truly equal pairs gets ✓, and one in forty ✗.
- Slow methods are run on fewer series (column *series*), and `auto` is then compared on the same
  ones: their intervals are wider.

How many alerts the defaults of each method open where nothing happens:
[false alarms on noise](noise.md).
"""

_SEEDS: Final = f"""\
Whatever was chosen in `auto` by looking at simulations was chosen with seeds below 1,000; the
seeds here are from {TEST_SEED:,} on. The equations of the simulators are in
`detectors.evaluation.simulate_weekly`, `simulate_drawn` and `simulate_daily`, those of the
figures in `detectors.evaluation.matched`."""

_PARAMETERS: Final = """\
Parameters that are not told are the defaults of the [method's page](../detectors/README.md).
Charts that accumulate start with the first judged step, as they do in R, unless their name says
"window": then each judged step has a chart of its own, as in the stream."""


def index_page(results: Sequence[SetResult], beside: Sequence[str] = ()) -> str:
    """Make the page that tells how to read, what came out, and how to reproduce it."""
    parts = [MADE, "# `auto` beside single methods", _HOW, "## What came out", _summary(results)]
    parts += [_lost(results), "## Data sets", _data_sets(results)]
    if beside:
        links = " and ".join(f"[{name}]({name}-beside-r.md)" for name in beside)
        parts += [
            "## Are these the methods that others use?",
            f"The same simulators with R surveillance 1.20.3 side by side: {links}.",
        ]
    parts += ["## Methods and parameters", _methods()]
    parts += ["## How to reproduce", _reproduce(results)]
    return "\n\n".join(part.strip("\n") for part in parts if part) + "\n"


def set_page(result: SetResult, pictures: Sequence[str] = ()) -> str:
    """Make the page of one data set."""
    data = DATA_SETS[result.name]
    unit = {"week": "weeks", "day": "days"}[data.grain]
    parts = [
        MADE,
        f"# {data.title}",
        f"{data.about} {result.series} series; [how to read this](README.md).",
    ]
    parts += [f"![{data.title}]({picture})" for picture in pictures]
    parts += [_scores(result), _open(result)]
    for column, rate in enumerate(data.rates):
        ordered = sorted(result.others, key=lambda one: -one.matched[column].figures["pod"].value)
        points = [(one, one.matched[column]) for one in (result.auto, *ordered)]
        parts += [
            f"## At a false-positive rate of {100 * rate:g} %",
            _table(points, unit, data.early),
        ]
    own = [(one, one.nominal) for one in result.others if one.nominal is not None]
    parts += ["## At each method's own alarms", _own(result), _own_table(own, unit)]
    parts += [_failed(result)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _summary(results: Sequence[SetResult]) -> str:
    rows = ["| data set | figure | ✓ | ≈ | ✗ |", "|---|---|---:|---:|---:|"]
    for result in results:
        counts = tally(result)
        for number, figure in enumerate(_CLAIM):
            link = f"[{DATA_SETS[result.name].title}]({result.name}.md)" if not number else ""
            cells = " | ".join(str(counts[figure][verdict]) for verdict in _MARK)
            rows.append(f"| {link} | {_SAID[figure]} | {cells} |")
    told = "Comparisons (method x false-positive rate) that `auto` wins, leaves open and loses:"
    return f"{told}\n\n" + "\n".join(rows)


def _lost(results: Sequence[SetResult]) -> str:
    found: list[str] = []
    for result in results:
        for figure in _CLAIM:
            ones = lines(result, figure, "lost")
            if ones:
                listed = "; ".join(_where(rate, one, figure) for rate, one in ones)
                found.append(f"- {result.name}, {_SAID[figure]}: {listed}.")
    told = "\n".join(found) or "Nowhere."
    return f"### Where `auto` is worse\n\n{told}\n\nWhat stays open is listed on each page."


def _open(result: SetResult) -> str:
    found: list[str] = []
    for figure in _CLAIM:
        by_method: dict[str, list[str]] = {}
        for rate, one in lines(result, figure, "open"):
            by_method.setdefault(one.name, []).append(f"{100 * rate:g}")
        if by_method:
            listed = "; ".join(f"{name} ({', '.join(at)} %)" for name, at in by_method.items())
            found.append(f"- {_SAID[figure]}: {listed}.")
    if not found:
        return ""
    return "No difference is shown, at the rates told, in\n\n" + "\n".join(found)


def _where(rate: float, one: Against, figure: str) -> str:
    point = next(each for each in one.matched if each.rate == rate)
    return f"{one.name} at {100 * rate:g} % ({_signed(point.differences[figure].value, figure)})"


def _data_sets(results: Sequence[SetResult]) -> str:
    done = {result.name: result for result in results}
    rows = ["| data set | series | what |", "|---|---:|---|"]
    for name, data in DATA_SETS.items():
        if name in done:
            rows.append(f"| [{data.title}]({name}.md) | {done[name].series} | {data.about} |")
    return "\n".join(rows) + "\n\n" + _SEEDS


def _methods() -> str:
    parts = [_PARAMETERS]
    for grain, said in (("week", "Weekly"), ("day", "Daily")):
        rows = ["| method | type | parameters |", "|---|---|---|"]
        rows += [_method(one) for one in contenders("day" if grain == "day" else "week")]
        parts += [f"### {said}", "\n".join(rows)]
    left = "; ".join(f"`{name}` ({why})" for name, why in LEFT_OUT.items())
    return "\n\n".join([*parts, f"Left out: {left}."])


def _method(one: Contender) -> str:
    kind = str(one.detector["type"])
    given = {key: value for key, value in one.detector.items() if key != "type"}
    told = ", ".join(f"`{key}={_literal(value)}`" for key, value in given.items()) or "defaults"
    return f"| {one.name} | [{kind}](../detectors/{kind}.md) | {told} |"


def _literal(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _reproduce(results: Sequence[SetResult]) -> str:
    draws = max((result.draws for result in results), default=0)
    return (
        "```sh\nfenghuo evaluate compare --out docs/evaluation\n```\n\n"
        f"runs everything again with the same seeds ({draws} bootstrap draws), and writes these "
        "pages, the pictures, and the numbers beside them (`*.csv` for people, `*.json` for "
        "`--redraw`, which makes the pages from the numbers). `--quick` runs a tenth of the series."
    )


def _scores(result: SetResult) -> str:
    counts = tally(result)
    said = [
        f"{_SAID[figure]}: {counts[figure]['won']} ✓, {counts[figure]['open']} ≈, "
        f"{counts[figure]['lost']} ✗"
        for figure in _CLAIM
    ]
    return f"`auto` against {len(result.others)} methods at three rates - {'; '.join(said)}."


def _columns(early: int, unit: str) -> list[tuple[str, str]]:
    step = unit[:-1]
    first = [("pod_first", "first week")]
    if step == "day":
        first = [("pod_early", f"first {early} days"), ("pod_first", "first 7 days")]
    return [
        ("pod", "POD"),
        *first,
        ("half_time", f"half found after ({unit})"),
        ("mean_delay", f"mean delay ({unit})"),
    ]


def _table(points: Sequence[tuple[Against, Operating]], unit: str, early: int) -> str:
    columns = _columns(early, unit)
    head = ["method", "series"]
    for _, name in columns:
        head += [name, "auto"]
    head += ["in alarm", "auto", f"silence ({unit})", "F1", "auto", "PPV"]
    rows = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for one, point in points:
        own = one.name == AUTO.name
        cells = [f"**{one.name}**" if own else one.name, str(one.series)]
        for figure, _ in columns:
            cells += [_figure(point.figures[figure], figure), _apart(point, figure, own=own)]
        cells += [_figure(point.figures["in_alarm"], "in_alarm")]
        cells += [_apart(point, "in_alarm", own=own)]
        cells.append(_number(point.figures["silence"].value, "silence"))
        cells += [_figure(point.figures["f1"], "f1"), _apart(point, "f1", own=own)]
        cells.append(_figure(point.figures["ppv"], "ppv"))
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


def _own(result: SetResult) -> str:
    own = result.auto.nominal
    said = ""
    if own is not None:
        rate = own.figures["fpr"]
        said = (
            f" The alarms of `auto` itself (level 1 %) have a false-positive rate of "
            f"{_share(rate.value)} ({_share(rate.low)} to {_share(rate.high)}) and a POD of "
            f"{_figure(own.figures['pod'], 'pod')}; {_figure(own.figures['in_alarm'], 'in_alarm')} "
            "of the steps with cases are in alarm, and the longest silence of an outbreak that was "
            f"found has {_number(own.figures['silence'].value, 'silence')} steps on average."
        )
    return (
        "With the level or limit of the parameters above; `auto` at the false-positive rate that "
        f"the method then has.{said}"
    )


def _own_table(points: Sequence[tuple[Against, Operating]], unit: str) -> str:
    head = ["method", "FPR", "POD", "auto", f"half found after ({unit})", "auto", "F1", "auto"]
    rows = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for one, point in sorted(points, key=lambda each: each[1].rate):
        rate = point.figures["fpr"]
        cells = [one.name, f"{_share(rate.value)} ({_share(rate.low)}-{_share(rate.high)})"]
        for figure in ("pod", "half_time", "f1"):
            cells += [_figure(point.figures[figure], figure), _apart(point, figure)]
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


def _failed(result: SetResult) -> str:
    if not result.failed:
        return ""
    listed = "\n".join(f"- {name}: {why}" for name, why in result.failed.items())
    return f"## Could not be run\n\n{listed}"


def _timed(figure: str) -> bool:
    return figure in {"half_time", "mean_delay", "silence"}


def _number(value: float, figure: str) -> str:
    if not math.isfinite(value):
        return "-"
    return f"{value:.2f}" if _timed(figure) else f"{value:.3f}".removeprefix("0")


def _figure(found: Interval, figure: str) -> str:
    low, high = (_number(value, figure) for value in (found.low, found.high))
    if math.isinf(found.value) and low == high:
        return "-"
    return f"{_number(found.value, figure)} ({low} to {high})"


def _signed(value: float, figure: str) -> str:
    if math.isnan(value):
        return "-"
    sign = "+" if value >= 0 else "−"
    if math.isinf(value):
        return f"{sign}∞"
    return sign + _number(abs(value), figure)


def _apart(point: Operating, figure: str, *, own: bool = False) -> str:
    if own:
        return ""
    found = point.differences[figure]
    if math.isnan(found.value):
        return ""
    low, high = _signed(found.low, figure), _signed(found.high, figure)
    return f"{_MARK[point.verdicts[figure]]} {_signed(found.value, figure)} ({low} to {high})"


def _share(value: float) -> str:
    return f"{100 * value:.2g} %"
