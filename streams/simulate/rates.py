"""How many events are expected and drawn per region and day."""

from __future__ import annotations

import math
from datetime import date  # noqa: TC003 - pydantic needs it at run time
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import holidays as public_holidays
import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from schemas.events import EventKind  # noqa: TC001 - pydantic needs it at run time
from streams.simulate.plan import Syndrome  # noqa: TC001 - pydantic needs it at run time

if TYPE_CHECKING:
    import numpy.typing as npt

    from streams.simulate.plan import InjectedOutbreak, SimulationPlan

__all__ = ["KINDS", "OutbreakTruth", "Rates", "outbreak_truth", "pick", "random_numbers", "steps"]

#: The order in which kinds are drawn; part of what makes output reproducible.
KINDS: Final[tuple[EventKind, ...]] = ("visits", "sales")
_DAYS_PER_YEAR: Final = 365.25


def random_numbers(seed: int, *path: int) -> np.random.Generator:
    """Open the stream of random numbers that belongs to a place in the simulation.

    Each day and kind has its own stream, so a longer simulation begins with the same records.

    Parameters
    ----------
    seed
        Seed of the whole simulation.
    path
        Purpose, kind and day.
    """
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=path)))


def steps(weights: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Cumulate weights along the last axis and scale them to end at exactly 1."""
    total = np.cumsum(np.asarray(weights, dtype=np.float64), axis=-1)
    scaled: npt.NDArray[np.float64] = total / total[..., -1:]
    return scaled


def pick(
    random: np.random.Generator, cumulated: npt.NDArray[np.float64], size: int
) -> npt.NDArray[np.int64]:
    """Draw indices with the probabilities whose cumulated sums are given by `steps`."""
    return np.searchsorted(cumulated, random.random(size), side="right").astype(np.int64)


class OutbreakTruth(BaseModel):
    """What a detector should find: the events added to the baseline."""

    model_config = ConfigDict(frozen=True)

    id: str
    region: str
    syndrome: Syndrome
    first_day: date
    cases: dict[EventKind, tuple[int, ...]] = Field(
        description="Added events per day of occurrence from first_day on, before any correction"
    )


def _epidemic_curve(outbreak: InjectedOutbreak) -> npt.NDArray[np.float64]:
    median = outbreak.peak * outbreak.days
    scale = outbreak.sigma * math.sqrt(2)
    ends = [math.erf(math.log(day / median) / scale) for day in range(1, outbreak.days + 1)]
    mass = np.diff(np.asarray([-1.0, *ends]))
    share: npt.NDArray[np.float64] = mass / mass.sum()
    return share


def outbreak_truth(plan: SimulationPlan) -> list[OutbreakTruth]:
    """Tell the outbreaks of a plan day by day, as `simulate` adds them.

    Returns
    -------
    list of OutbreakTruth
        In the order of the plan. The days of each kind sum to the outbreak's `cases`.
    """
    truths = []
    for number, outbreak in enumerate(plan.outbreaks):
        cases: dict[EventKind, tuple[int, ...]] = {}
        for kind in outbreak.kinds:
            random = random_numbers(plan.seed, 1, number, KINDS.index(kind))
            drawn = random.multinomial(outbreak.cases, _epidemic_curve(outbreak))
            cases[kind] = tuple(drawn.tolist())
        truths.append(
            OutbreakTruth(
                id=outbreak.id,
                region=outbreak.region,
                syndrome=outbreak.syndrome,
                first_day=outbreak.start,
                cases=cases,
            )
        )
    return truths


class Rates:
    """Expected events of a plan.

    Parameters
    ----------
    plan
        The plan.
    regions
        Number of regions.
    """

    def __init__(self, plan: SimulationPlan, regions: int) -> None:
        self._plan = plan
        normal = random_numbers(plan.seed, 0).standard_normal(regions)
        spread = plan.region_spread
        # Size makes a region large in both kinds: more people go to clinics and to pharmacies.
        self._size = np.exp(spread * normal - spread**2 / 2)
        self._holiday = lru_cache(maxsize=400)(self._is_holiday)
        self._calendar = (
            public_holidays.country_holidays(plan.holidays.country) if plan.holidays else None
        )

    def _is_holiday(self, day: date) -> bool:
        return self._calendar is not None and day in self._calendar

    def day_factor(self, kind: EventKind, day: date) -> float:
        """Multiply weekday, season and holiday effects of a day."""
        plan = self._plan
        weekday = plan.volume(kind).weekday
        factor = 7 * weekday[day.weekday()] / sum(weekday)
        peak = 7 * (plan.season.peak_week - 0.5)
        turn = (day.timetuple().tm_yday - peak) / _DAYS_PER_YEAR
        factor *= 1 + plan.season.amplitude * math.cos(2 * math.pi * turn)
        if plan.holidays and self._holiday(day):
            factor *= plan.holidays.visits if kind == "visits" else plan.holidays.sales
        return factor

    def expected(self, kind: EventKind, day: date) -> npt.NDArray[np.float64]:
        """Give the baseline's mean number of events per region."""
        mean: npt.NDArray[np.float64] = (
            self._size * self._plan.volume(kind).daily_mean * self.day_factor(kind, day)
        )
        return mean

    def draw(
        self, random: np.random.Generator, kind: EventKind, day: date
    ) -> npt.NDArray[np.int64]:
        """Draw the baseline's number of events per region, negative-binomially."""
        k = self._plan.dispersion
        return random.negative_binomial(k, k / (k + self.expected(kind, day)))
