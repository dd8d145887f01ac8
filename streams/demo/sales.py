"""Simulated drug sales that go with the demo's visits.

Nothing here was observed in Taiwan: every record carries the source id `simulated-pharmacy`.
Everyday business follows the profile of one real pharmacy (hours, weekdays, products, quantities;
see data/README.md). On top of it antipyretics (ATC N02BE) are sold in proportion to the visits of
the **next** day: people buy before they go to an emergency department.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final

import numpy as np

from streams.demo.taiwan import ZONE, daily_visits, weekly_counts
from streams.simulate.rates import pick, random_numbers, steps
from streams.simulate.render import Draft, clock, fragment, render

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

__all__ = ["SOURCE_ID", "daily_sales", "sales"]

SOURCE_ID: Final = "simulated-pharmacy"

_ANTIPYRETIC: Final = "N02BE"
#: Antipyretics sold every day, per average daily visit of the county over all years.
_EVERYDAY: Final = 0.30
#: Antipyretics sold in addition per visit of the next day.
_PER_VISIT: Final = 0.35
#: Negative-binomial size of a county and day.
_DISPERSION: Final = 60.0
_DAY, _HOUR = 86_400, 3_600
_PHARMACIES: Final = 8

#: Products of each group: name, ATC code, category, without prescription.
_PRODUCTS: Final[dict[str, tuple[tuple[str, str, str, bool], ...]]] = {
    "M01AB": (("待克菲那錠 25mg", "M01AB05", "消炎止痛", False),),
    "M01AE": (("布洛芬錠 200mg", "M01AE01", "消炎止痛", True),),
    "N02BA": (("阿斯匹靈錠 500mg", "N02BA01", "解熱鎮痛", True),),
    "N02BE": (
        ("乙醯胺酚錠 500mg", "N02BE01", "解熱鎮痛", True),
        ("乙醯胺酚糖漿", "N02BE01", "解熱鎮痛", True),
        ("綜合感冒膠囊", "N02BE51", "感冒用藥", True),
    ),
    "R03": (("沙丁胺醇吸入劑", "R03AC02", "氣喘用藥", False),),
    "R06": (("氯雷他定錠 10mg", "R06AX13", "抗過敏", True),),
}


@dataclass(frozen=True, kw_only=True)
class _Profile:
    """The pharmacy profile, as cumulated shares and encoded products."""

    hours: npt.NDArray[np.float64]
    weekdays: tuple[float, ...]
    antipyretic_share: float
    products: tuple[tuple[str, ...], tuple[str, ...]]
    product_steps: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]
    quantities: tuple[str, ...]
    quantity_steps: npt.NDArray[np.float64]


@cache
def _profile() -> _Profile:
    """Read the profile; products are listed twice: antipyretics, and all others."""
    path = files("streams.demo").joinpath("data/pharmacy_profile.json")
    raw = json.loads(path.read_text(encoding="utf-8"))
    texts: tuple[list[str], list[str]] = [], []
    shares: tuple[list[float], list[float]] = [], []
    for group, share in raw["group_share"].items():
        at = 0 if group == _ANTIPYRETIC else 1
        for name, atc, category, otc in _PRODUCTS[group]:
            texts[at].append(fragment(product=name, atc=atc, category=category, otc=otc))
            shares[at].append(share / len(_PRODUCTS[group]))
    return _Profile(
        hours=steps(raw["hour_share"]),
        weekdays=tuple(raw["weekday_factor"]),
        antipyretic_share=raw["group_share"][_ANTIPYRETIC],
        products=(tuple(texts[0]), tuple(texts[1])),
        product_steps=(steps(shares[0]), steps(shares[1])),
        quantities=tuple(fragment(quantity=float(packs)) for packs in raw["quantity_share"]),
        quantity_steps=steps(list(raw["quantity_share"].values())),
    )


def daily_sales(start: date, end: date, *, seed: int) -> npt.NDArray[np.int64]:
    """Count the sales that `sales` yields.

    Parameters
    ----------
    start, end
        Mondays, as for `taiwan.visits`.
    seed
        The seed of the visits too: sales go before them.

    Returns
    -------
    ndarray
        shape (days, counties, 2): antipyretics, all other products.

    Raises
    ------
    ValueError
        A date is no Monday or lies outside the data.
    """
    data, profile = weekly_counts(), _profile()
    today = daily_visits(start, end, seed=seed)
    tomorrow = np.roll(today, -1, axis=0)
    if len(today):
        is_last = end > data.mondays[-1]
        tomorrow[-1] = today[-1] if is_last else daily_visits(end, end + timedelta(7), seed=seed)[0]
    usual = _EVERYDAY * np.nansum(data.visits, axis=2).mean(axis=0) / 7
    weekdays = np.resize(profile.weekdays, len(today))
    everyday = usual * weekdays[:, None]
    others = everyday * (1 / profile.antipyretic_share - 1)
    means = np.stack([everyday + _PER_VISIT * tomorrow, others], axis=-1)
    chance = _DISPERSION / (_DISPERSION + means)
    days = [
        random_numbers(seed, 20, (start + timedelta(day)).toordinal()).negative_binomial(
            _DISPERSION, chance[day]
        )
        for day in range(len(means))
    ]
    return np.asarray(days, dtype=np.int64).reshape(means.shape)


def sales(start: date, end: date, *, seed: int) -> Iterator[tuple[str, bytes]]:
    """Simulate the drug sales of some weeks.

    Parameters
    ----------
    start, end
        Mondays: the first week, and the week after the last.
    seed
        Equal seeds give byte-identical records.

    Yields
    ------
    (region, value)
        A `DrugSale` as JSON and its Kafka key, in order of time over the whole country.

    Raises
    ------
    ValueError
        A date is no Monday or lies outside the data.
    """
    write_time = clock(ZONE)
    for number, counts in enumerate(daily_sales(start, end, seed=seed)):
        day = start + timedelta(number)
        random = random_numbers(seed, 21, day.toordinal())
        for draft in _drafts(random, day, counts):
            yield draft.region, render(draft, write_time(draft.occurred))


def _drafts(random: np.random.Generator, day: date, counts: npt.NDArray[np.int64]) -> list[Draft]:
    """Draw the sales of one day in order of time; `counts` has shape (counties, 2)."""
    regions = weekly_counts().regions
    cells = np.repeat(np.arange(counts.size), counts.ravel())
    size = len(cells)
    seconds = pick(random, _profile().hours, size) * _HOUR
    seconds += (random.random(size) * _HOUR).astype(np.int64)
    cells, seconds = random.permutation(cells), np.sort(seconds)
    counties, others = np.divmod(cells, 2)
    ranks = pick(random, steps(1 / np.arange(1, _PHARMACIES + 1)), size)
    midnight = (day - date(1970, 1, 1)).days * _DAY - 8 * _HOUR  # Taipei has no summer time
    mark = f"-S{day:%Y%m%d}-"
    return [
        Draft(
            f"{regions[county]}{mark}{n:06d}",
            SOURCE_ID,
            f"{regions[county]}-PH{rank + 1:02d}",
            regions[county],
            moment,
            parts,
        )
        for n, (county, rank, moment, parts) in enumerate(
            zip(
                counties.tolist(),
                ranks.tolist(),
                (midnight + seconds).tolist(),
                _contents(random, others),
                strict=True,
            ),
            1,
        )
    ]


def _contents(random: np.random.Generator, others: npt.NDArray[np.int64]) -> list[tuple[str, ...]]:
    profile, size = _profile(), len(others)
    chosen = [pick(random, shares, size) for shares in profile.product_steps]
    products = np.where(others == 0, chosen[0], chosen[1] + len(profile.products[0]))
    texts = profile.products[0] + profile.products[1]
    quantities = pick(random, profile.quantity_steps, size)
    return list(
        zip(
            [texts[product] for product in products.tolist()],
            [profile.quantities[quantity] for quantity in quantities.tolist()],
            strict=True,
        )
    )
