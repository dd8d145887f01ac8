"""What events say: patients and purchases as encoded JSON fragments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from streams.simulate.catalogue import AGE_STRETCHES, PRODUCTS, QUANTITIES, SYNDROMES
from streams.simulate.rates import pick, steps
from streams.simulate.render import fragment

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Literal

    import numpy.typing as npt

    from schemas.events import EventKind
    from streams.simulate.plan import SimulationPlan, Syndrome

__all__ = ["BASELINE", "SYNDROME_NAMES", "Content", "content_of", "temperatures"]

#: Stands for "no outbreak" where a syndrome's number is asked for.
BASELINE: Final = -1
SYNDROME_NAMES: Final[tuple[Syndrome, ...]] = tuple(SYNDROMES)

_OLDEST = 125
#: How a patient's age reaches us: in years, as a group, or not at all.
_AGE_KNOWN = steps([0.92, 0.05, 0.03])
_SEXES = tuple(fragment(sex=sex) for sex in ("female", "male", "unknown"))
_SEX_SHARES = steps([0.50, 0.48, 0.02])
_COMPLAINT_MISSING = 0.08
_CODE_MISSING = 0.12
_TEMPERATURE_MISSING = 0.10
_TEMPERATURE_SPREAD = 0.7
_TEMPERATURES = tuple(fragment(temperature=tenths / 10) for tenths in range(300, 451))


class Content(Protocol):
    """Draws what a kind of events says.

    Each event's content is a tuple of fragments, one per field that a correction may exchange.
    """

    def draw(
        self, random: np.random.Generator, causes: npt.NDArray[np.int64]
    ) -> list[tuple[str, ...]]:
        """Draw one content per cause.

        Parameters
        ----------
        random
            Source of randomness.
        causes
            shape (events,): index into SYNDROME_NAMES, or BASELINE.
        """
        ...


def content_of(kind: EventKind, plan: SimulationPlan) -> Content:
    """Choose the drawer of a kind of events."""
    if kind == "visits":
        return _Visits(plan.written_language, plan.age_groups)
    return _Sales(plan.written_language)


def temperatures(
    random: np.random.Generator, means: npt.NDArray[np.float64], *, missing: float
) -> list[str]:
    """Draw body temperatures as fragments.

    Parameters
    ----------
    random
        Source of randomness.
    means
        shape (patients,), °C.
    missing
        Share of patients whose temperature was not recorded.
    """
    size = len(means)
    degrees = means + _TEMPERATURE_SPREAD * random.standard_normal(size)
    tenths = np.rint(np.clip(degrees, 35.2, 41.8) * 10).astype(np.int64) - 300
    known = random.random(size) >= missing
    return [
        _TEMPERATURES[tenth] if is_known else ""
        for tenth, is_known in zip(tenths.tolist(), known.tolist(), strict=True)
    ]


class _Choices:
    """Fragments of which each syndrome has some; index 0 is "not recorded"."""

    def __init__(self, groups: Sequence[Sequence[str]]) -> None:
        self.texts = ["", *(text for group in groups for text in group)]
        self._count = np.asarray([len(group) for group in groups])
        self._first = 1 + np.cumsum(self._count) - self._count

    def draw(
        self, random: np.random.Generator, syndromes: npt.NDArray[np.int64], *, missing: float
    ) -> npt.NDArray[np.int64]:
        size = len(syndromes)
        nth = (random.random(size) * self._count[syndromes]).astype(np.int64)
        chosen: npt.NDArray[np.int64] = np.where(
            random.random(size) < missing, 0, self._first[syndromes] + nth
        )
        return chosen


class _Visits:
    """Parts: age, sex, temperature, complaint, codes."""

    def __init__(self, language: Literal["zh", "en"], age_groups: tuple[str, ...]) -> None:
        looks = SYNDROMES.values()
        self._shares = steps([look.share for look in looks])
        self._temperature = np.asarray([look.temperature for look in looks])
        self._stretch = steps([look.ages for look in looks])
        self._complaints = _Choices(
            [[fragment(complaint=text) for text in getattr(look, language)] for look in looks]
        )
        self._codes = _Choices([[fragment(icd10=codes) for codes in look.codes] for look in looks])
        years = [fragment(age=age) for age in range(_OLDEST + 1)]
        groups = [fragment(age_group=_group(age, age_groups)) for age in range(_OLDEST + 1)]
        self._age_texts = [*years, *groups, *[""] * (_OLDEST + 1)]

    def draw(
        self, random: np.random.Generator, causes: npt.NDArray[np.int64]
    ) -> list[tuple[str, ...]]:
        size = len(causes)
        usual = pick(random, self._shares, size)
        syndromes = np.where(causes == BASELINE, usual, causes)
        ages = self._draw_ages(random, syndromes)
        complaints = self._complaints.draw(random, syndromes, missing=_COMPLAINT_MISSING)
        codes = self._codes.draw(random, syndromes, missing=_CODE_MISSING)
        # A visit without complaint always has a code: otherwise nobody would have sent it.
        spare = self._codes.draw(random, syndromes, missing=0)
        codes = np.where(complaints == 0, spare, codes)
        return list(
            zip(
                [self._age_texts[age] for age in ages.tolist()],
                [_SEXES[sex] for sex in pick(random, _SEX_SHARES, size).tolist()],
                temperatures(random, self._temperature[syndromes], missing=_TEMPERATURE_MISSING),
                [self._complaints.texts[number] for number in complaints.tolist()],
                [self._codes.texts[number] for number in codes.tolist()],
                strict=True,
            )
        )

    def _draw_ages(
        self, random: np.random.Generator, syndromes: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.int64]:
        """Index into the age texts: age + 126 x (0 in years, 1 as group, 2 unknown)."""
        size = len(syndromes)
        stretch = (random.random(size)[:, None] >= self._stretch[syndromes]).sum(axis=1)
        low, high = np.asarray(AGE_STRETCHES).T
        width = (high - low + 1)[stretch]
        ages: npt.NDArray[np.int64] = low[stretch] + (random.random(size) * width).astype(np.int64)
        how = pick(random, _AGE_KNOWN, size)
        return ages + (_OLDEST + 1) * how


def _group(age: int, groups: tuple[str, ...]) -> str:
    for group in groups:
        low, _, high = group.removesuffix("+").partition("-")
        if int(low) <= age <= int(high or _OLDEST):
            return group
    return f"{age}-{age}"  # the plan's groups leave a gap here


class _Sales:
    """Parts: product, quantity."""

    def __init__(self, language: Literal["zh", "en"]) -> None:
        at = 0 if language == "zh" else 1
        self._products = []
        for product in PRODUCTS:
            fields = {
                "product": getattr(product, language),
                "atc": product.atc,
                "category": product.category[at],
                "otc": product.otc,
            }
            self._products.append(fragment(**{k: v for k, v in fields.items() if v is not None}))
        weights = np.asarray([product.weight for product in PRODUCTS])
        # One row per syndrome; the last row, which BASELINE = -1 finds, is everyday business.
        self._rows = steps(
            [
                *(
                    weights * [name in product.bought_for for product in PRODUCTS]
                    for name in SYNDROME_NAMES
                ),
                weights,
            ]
        )
        self._quantities = [fragment(quantity=quantity) for quantity in QUANTITIES]
        self._quantity_shares = steps(list(QUANTITIES.values()))

    def draw(
        self, random: np.random.Generator, causes: npt.NDArray[np.int64]
    ) -> list[tuple[str, ...]]:
        size = len(causes)
        bought = (random.random(size)[:, None] >= self._rows[causes]).sum(axis=1)
        quantities = pick(random, self._quantity_shares, size)
        return list(
            zip(
                [self._products[number] for number in bought.tolist()],
                [self._quantities[number] for number in quantities.tolist()],
                strict=True,
            )
        )
