"""Mapping events to signals and strata: the case definitions at work."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from schemas.codes import read_atc, read_icd10
from schemas.counts import UNKNOWN_STRATUM

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from schemas.config import Match, Surveillance
    from schemas.events import DrugSale, FeverVisit

__all__ = ["AgeBands", "SaleSignals", "VisitSignals"]

#: Distinct texts and code lists remembered per worker; complaints repeat heavily.
_REMEMBERED = 65_536


class AgeBands:
    """The configured age groups, and the stratum of an age or of a source's own age group."""

    def __init__(self, bands: Iterable[str]) -> None:
        self._of_age = [UNKNOWN_STRATUM] * 126
        self._ranges: dict[str, tuple[int, int]] = {}
        for band in bands:
            low, high = _age_range(band)
            self._ranges[band] = (low, high)
            for age in range(low, min(high, 125) + 1):
                self._of_age[age] = band

    def stratum(self, visit: FeverVisit) -> str:
        """Return the age group; a source's coarser or crossing group counts as unknown."""
        if visit.age is not None:
            return self._of_age[visit.age]
        if visit.age_group is None:
            return UNKNOWN_STRATUM
        if visit.age_group in self._ranges:
            return visit.age_group
        low, high = _age_range(visit.age_group)
        for band, (start, end) in self._ranges.items():
            if start <= low and high <= end:
                return band
        return UNKNOWN_STRATUM


def _age_range(band: str) -> tuple[int, int]:
    low, _, high = band.removesuffix("+").partition("-")
    return int(low), int(high) if high else 999


class _Definition(NamedTuple):
    """One signal's match, compiled. None where the match does not use the field."""

    signal: str
    by_quantity: bool
    codes: tuple[str, ...]
    terms: re.Pattern[str] | None
    categories: frozenset[str]
    everything: bool
    temperature_at_least: float | None
    otc: bool | None


def _compile(name: str, match: Match | None, *, by_quantity: bool) -> _Definition:
    terms = (*match.complaint, *match.product) if match else ()
    codes = (*_icd10_prefixes(match.icd10), *match.atc) if match else ()
    categories = frozenset(match.category) if match else frozenset[str]()
    return _Definition(
        signal=name,
        by_quantity=by_quantity,
        codes=codes,
        terms=re.compile("|".join(map(re.escape, terms)), re.IGNORECASE) if terms else None,
        categories=categories,
        everything=not (terms or codes or categories),
        temperature_at_least=match.temperature_at_least if match else None,
        otc=match.otc if match else None,
    )


def _icd10_prefixes(codes: Sequence[str]) -> list[str]:
    prefixes: list[str] = []
    for code in codes:
        first, _, last = code.partition("-")
        if not last:
            prefixes.append(first.replace(".", "").upper())
        elif first[0] == last[0] and first[1:].isdigit() and last[1:].isdigit():
            prefixes += [f"{first[0]}{n:02d}" for n in range(int(first[1:]), int(last[1:]) + 1)]
        else:
            raise ValueError(f"ICD-10 range {code!r} must stay within one letter")
    return prefixes


class VisitSignals:
    """Case definitions over fever visits."""

    def __init__(self, surveillance: Surveillance) -> None:
        self._definitions = [
            _compile(name, signal.match, by_quantity=False)
            for name, signal in surveillance.signals.items()
            if signal.of == "visits"
        ]
        self._by_content = lru_cache(_REMEMBERED)(self._match_content)

    def __call__(self, visit: FeverVisit) -> tuple[str, ...]:
        """Return the names of the visit's signals."""
        names, conditional = self._by_content(visit.icd10, visit.complaint)
        if not conditional:
            return names
        temperature = visit.temperature
        return tuple(
            d.signal
            for d in conditional
            if d.temperature_at_least is None
            or (temperature is not None and temperature >= d.temperature_at_least)
        )

    def _match_content(
        self, icd10: tuple[str | None, ...], complaint: str | None
    ) -> tuple[tuple[str, ...], tuple[_Definition, ...]]:
        """Return the names of what matches, and the definitions where temperature decides too."""
        plain = tuple(code for text in icd10 if text for code in read_icd10(text))
        matched = tuple(
            d
            for d in self._definitions
            if d.everything
            or (d.codes and any(code.startswith(d.codes) for code in plain))
            or (d.terms and complaint and d.terms.search(complaint))
        )
        conditional = any(d.temperature_at_least is not None for d in matched)
        return tuple(d.signal for d in matched), matched if conditional else ()


class SaleSignals:
    """Product groups over drug sales, with the amount that each signal counts."""

    def __init__(self, surveillance: Surveillance) -> None:
        self._definitions = [
            _compile(name, signal.match, by_quantity=signal.measure == "quantity")
            for name, signal in surveillance.signals.items()
            if signal.of == "sales"
        ]
        self._by_content = lru_cache(_REMEMBERED)(self._match_content)

    def __call__(self, sale: DrugSale) -> tuple[tuple[str, bool], ...]:
        """Return signal names, each with whether its quantity is counted (else: one sale)."""
        return self._by_content((sale.atc, sale.product, sale.category, sale.otc))

    def _match_content(
        self, content: tuple[str | None, str | None, str | None, bool | None]
    ) -> tuple[tuple[str, bool], ...]:
        written, product, category, otc = content
        atc = read_atc(written) if written else None
        return tuple(
            (d.signal, d.by_quantity)
            for d in self._definitions
            if (
                d.everything
                or (d.codes and atc and atc.startswith(d.codes))
                or (d.terms and product and d.terms.search(product))
                or category in d.categories
            )
            and (d.otc is None or d.otc == otc)
        )
