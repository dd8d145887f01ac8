"""False alarms of each method's defaults on noise: what is run, and the page of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, cast

from scipy.stats import chi2

from detectors.evaluation.noise import NOISES, FalseAlarms, false_alarms
from detectors.registry import DETECTORS, parse_detector
from streams.configuration.noisy import MOST_A_YEAR
from streams.evaluation.running import pool

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from detectors.contract import Grain

__all__ = [
    "FULL_SERIES",
    "NoiseRow",
    "Tried",
    "interval",
    "noise_page",
    "run_noise",
    "tried_methods",
]

#: Series of a method that is fast; slow methods get fewer.
FULL_SERIES: Final = 60
_LEAST_SERIES: Final = 2
_FEWER: Final[Mapping[tuple[str, str], float]] = {
    ("auto", "day"): 0.06,
    ("auto", "rolling7"): 0.06,
    ("auto", "week"): 0.5,
    ("boda", "day"): 0.04,
    ("change_point", "day"): 0.2,
    ("change_point", "week"): 0.5,
    ("glr_nb", "day"): 0.06,
    ("glr_nb", "week"): 0.3,
    ("glr_poisson", "day"): 0.2,
    ("nb_hmm", "day"): 0.06,
    ("nb_hmm", "week"): 0.3,
    ("outbreak_p", "day"): 0.5,
    ("rammie", "day"): 0.08,
    ("stl", "day"): 0.5,
}
#: Methods that find falls, or whose rule knows nothing of what is usual.
_LEFT_OUT: Final = frozenset({"drop", "fixed_value"})
_WEEKS_ONLY: Final = frozenset(
    {"bayes", "farrington", "farrington_flexible", "historical_limits", "mem", "rki"}
)
_DAYS_ONLY: Final = frozenset({"essence_ewma", "rammie", "regression", "switch"})
_SUMS: Final[tuple[Mapping[str, object], ...]] = (
    {"type": "auto"},
    {"type": "ears", "method": "C2", "baseline": 14, "lag": 7},
    {"type": "ears", "method": "C2", "baseline": 56, "lag": 7},
    {"type": "ears", "method": "C2", "baseline": 84, "lag": 7},
    {"type": "ears", "method": "C2", "baseline": 84, "lag": 7, "outliers": 4},
    {"type": "ears", "method": "C2", "baseline": 112, "lag": 7, "outliers": 4},
)
_TITLES: Final[Mapping[Grain, str]] = {
    "day": "Days",
    "rolling7": "Sums of seven days, judged every day",
    "week": "Weeks",
}
#: Noise that weeks have as well: a week's cases have no days of the week.
_WEEKLY_NOISE: Final = ("poisson 1", "poisson 5", "poisson 50", "negative binomial 5")
_CONFIDENCE: Final = 0.95


@dataclass(frozen=True, slots=True)
class Tried:
    """A method with its parameters on steps of one grain."""

    grain: Grain
    detector: Mapping[str, object]
    series: int = FULL_SERIES

    @property
    def noises(self) -> tuple[str, ...]:
        """Names of the noise that it is tried on."""
        return _WEEKLY_NOISE if self.grain == "week" else tuple(NOISES)


@dataclass(frozen=True, slots=True)
class NoiseRow:
    """What came out for one method and grain, by noise."""

    tried: Tried
    found: Mapping[str, FalseAlarms] = field(default_factory=dict)


def tried_methods(types: Sequence[str] = (), scale: float = 1.0) -> list[Tried]:
    """List the methods with their defaults, by grain, and the county rule beside its rivals.

    Parameters
    ----------
    types
        Types of detectors; all if empty.
    scale
        Part of the series of a full run.
    """
    chosen = [name for name in DETECTORS if name not in _LEFT_OUT]
    pairs: list[tuple[Grain, Mapping[str, object]]] = []
    pairs += [("day", {"type": name}) for name in chosen if name not in _WEEKS_ONLY]
    pairs += [("rolling7", one) for one in _SUMS]
    pairs += [("week", {"type": name}) for name in chosen if name not in _DAYS_ONLY]
    return [
        Tried(grain, one, _series(str(one["type"]), grain, scale))
        for grain, one in pairs
        if not types or one["type"] in types
    ]


def run_noise(
    tried: Sequence[Tried], *, workers: int = 2, on_done: Callable[[Tried], None] = lambda _: None
) -> list[NoiseRow]:
    """Judge noise with every method, spread over processes."""
    with pool(workers) as submit:
        waiting = {
            (place, name): submit(_one, one.grain, dict(one.detector), name, one.series)
            for place, one in enumerate(tried)
            for name in one.noises
        }
        rows = []
        for place, one in enumerate(tried):
            found = {
                name: cast("FalseAlarms", waiting[place, name].result()) for name in one.noises
            }
            rows.append(NoiseRow(one, found))
            on_done(one)
    return rows


def _one(grain: Grain, detector: Mapping[str, object], noise: str, series: int) -> FalseAlarms:
    return false_alarms(parse_detector(detector), NOISES[noise], grain, series=series)


def _series(kind: str, grain: Grain, scale: float) -> int:
    return max(_LEAST_SERIES, round(FULL_SERIES * _FEWER.get((kind, grain), 1.0) * scale))


def noise_page(rows: Sequence[NoiseRow]) -> str:
    """Make the page with the tables."""
    parts = ["<!-- Made by `fenghuo evaluate noise`; run it again instead. -->", _HEAD]
    for grain, title in _TITLES.items():
        these = [row for row in rows if row.tried.grain == grain]
        if these:
            parts += [f"## {title}", _table(these)]
    parts.append(_TAIL)
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def _table(rows: Sequence[NoiseRow]) -> str:
    names = rows[0].tried.noises
    lines = [
        f"| method | level | series-years | {' | '.join(names)} |",
        f"|---|---|---|{'---|' * len(names)}",
    ]
    for row in rows:
        kind = str(row.tried.detector["type"])
        given = {key: value for key, value in row.tried.detector.items() if key != "type"}
        told = "".join(f", `{key}: {value}`" for key, value in given.items())
        years = row.found[names[0]].years
        cells = " | ".join(_cell(row.found[name]) for name in names)
        link = f"[{kind}](../detectors/{kind}.md){told}"
        lines.append(f"| {link} | {_level(row.tried.detector)} | {years:.0f} | {cells} |")
    return "\n".join(lines)


def _cell(found: FalseAlarms) -> str:
    low, high = interval(found)
    return f"{found.alerts_a_year:.2g} ({low:.2g}-{high:.2g})"


def interval(found: FalseAlarms) -> tuple[float, float]:
    """Return the 95 % interval of the alerts per series-year, as of a Poisson number."""
    if not found.years:
        return 0.0, 0.0
    rest = (1 - _CONFIDENCE) / 2
    low = chi2.ppf(rest, 2 * found.alerts) / 2 if found.alerts else 0.0
    high = chi2.ppf(1 - rest, 2 * found.alerts + 2) / 2
    return float(low) / found.years, float(high) / found.years


def _level(given: Mapping[str, object]) -> str:
    detector = parse_detector(given)
    for name in ("effective_alpha", "alpha"):
        value = getattr(detector, name, None)
        if isinstance(value, float):
            return f"`alpha` {value:g}"
    for name in ("threshold", "c_arl", "h", "k", "limit", "percentile"):
        value = getattr(detector, name, None)
        if isinstance(value, int | float):
            return f"`{name}` {value:g}"
    return "-"


_HEAD: Final = """\
# False alarms on noise

How many alerts does each method open where nothing happens? In brackets: 95 % intervals. An alert
is a run of alarms; an alarm within three judged days (two weeks) after one belongs to the same run,
as in the stream. Each method has its defaults, and all the history that it looks back to.

**Levels are not comparable.** A level of 0.01 in one method is not that of another: it may be
one-sided or two-sided, about one count or about a chart, exact or nominal, and daily methods have
seven times as many looks as weekly ones. `k`, `h` and `c_arl` are no probabilities at all. Compare
methods by the alerts that they open; how much they find at equal rates of false alarms stands in
[`auto` beside single methods](README.md).

Noise: independent Poisson counts with 1, 5 and 50 cases a step (for sums of seven days: a day);
negative binomial counts of mean 5 and variance 12.5; `weekdays 20`: mean 20, variance 1.3 times the
mean, Mondays 1.5 and Sundays 0.5 times the average."""

_TAIL: Final = f"""\
## What follows

- Multiply by the number of regions: a rule with 2 alerts per series-year in 100 counties opens four
  a week.
- Real counts are more than noise: seasons, holidays and late reports add false alarms of their own.
- `min_cases` of a rule takes alarms of small counts out.
- `fenghuo config check` runs this simulation on the rules of a configuration whose methods are
  fast, and warns of those that open more than {MOST_A_YEAR:g} alerts per series-year.
- Left out: `drop` (finds falls) and `fixed_value` (its rule knows nothing of what is usual).

```sh
fenghuo evaluate noise --out docs/evaluation/noise.md
```"""
