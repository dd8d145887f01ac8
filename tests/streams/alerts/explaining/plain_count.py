"""Explanations recomputed in plain Python from the stored events, for comparison."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from math import asin, cos, erfc, log, radians, sin, sqrt
from statistics import NormalDist, fmean, stdev
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from schemas.regions import RegionRegistry
from tests.support.store import rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from schemas.alerts import Alert

_ZONE = ZoneInfo("Asia/Taipei")
_KINDS = {"ili": "visits", "antipyretic": "sales"}
_TW = RegionRegistry.load("tw")
Tally = dict[str, float]


class PlainCount:
    """All events and imports of a database, in dictionaries."""

    def __init__(self, database: str) -> None:
        names = {
            number: name
            for number, *name in rows(
                database, "SELECT series_id, signal, region, stratum FROM series"
            )
        }
        latest: dict[Any, tuple[Any, ...]] = {}
        #: Facilities that sent anything, by kind, region and day.
        self.reports: defaultdict[tuple[str, str, date], set[str]] = defaultdict(set)
        for key, revision, cancelled, at, kind, region, facility, series, amounts in rows(
            database,
            "SELECT event_key, revision, cancelled, occurred_at, kind, region, facility_id, "
            "series, amounts FROM events",
        ):
            day = at.astimezone(_ZONE).date()
            self.reports[kind, region, day].add(facility)
            if key not in latest or latest[key][0] < revision:
                latest[key] = revision, cancelled, day, facility, series, amounts
        #: By signal, region and day: counts by stratum, and by facility.
        self.strata: defaultdict[tuple[str, str, date], Tally] = defaultdict(dict)
        self.facilities: defaultdict[tuple[str, str, date], Tally] = defaultdict(dict)
        for _, cancelled, day, facility, series, amounts in latest.values():
            if cancelled:
                continue
            for number, amount in zip(series, amounts, strict=True):
                signal, region, stratum = names[number]
                _add(self.strata[signal, region, day], stratum, float(amount))
                _add(self.facilities[signal, region, day], facility, float(amount))
        self.imported: defaultdict[tuple[str, str, date], Tally] = defaultdict(dict)
        for signal, region, stratum, grain, period, value in rows(
            database, "SELECT signal, region, stratum, grain, period, value FROM imported_counts"
        ):
            assert grain == "week"
            self.imported[signal, region, period][stratum] = float(value)
        self.first = {s: min(d for x, _, d in self.strata if x == s) for s in _KINDS}
        self.last = {s: max(d for x, _, d in self.strata if x == s) for s in _KINDS}
        self.verdicts = {
            (rule, region, period): numbers
            for rule, region, period, *numbers in rows(
                database,
                "SELECT rule, region, period, observed, expected, upper, alarm, "
                "reason = 'incomplete' FROM verdicts",
            )
        }

    def explain(self, alert: Alert) -> dict[str, Any]:
        """Compute every number of an explanation anew."""
        signal, days = alert.signal, period_days(alert)
        weeks = [[d - timedelta(weeks=k) for d in days] for k in range(1, 9)]
        week_rule = alert.grain == "week"
        known = [w for w in weeks if self.covered(signal, w, week_rule)]
        live = [w for w in known if w[0] >= self.first[signal]]
        until = min(days[-1], self.last[signal])
        latest = [until - timedelta(days=i) for i in range(7)][::-1]
        before = [d - timedelta(days=7) for d in latest]
        whole = week_rule and latest[0].weekday() == 0
        new, old = (
            self.sum(signal, alert.region, week, whole)
            if self.covered(signal, week, whole)
            else None
            for week in (latest, before)
        )
        rate = log(new / old) / 7 if new and old and new + old >= 10 else None
        leaves = self.leaves(signal, alert.region)
        by_leaf = {
            leaf: (
                self.sum(signal, leaf, days, week_rule),
                mean(self.sum(signal, leaf, w, week_rule) for w in known),
            )
            for leaf in leaves
        }
        leading = [leaf for leaf, _ in ranked(by_leaf) if by_leaf[leaf][0] > 0][:5]
        return {
            **self._judged(alert),
            "excess": alert.observed - (alert.expected or 0),
            "observed": self.sum(signal, alert.region, days, week_rule),
            "growth_until": until,
            "latest_week": new,
            "week_before": old,
            "growth_per_day": rate,
            "doubling_days": log(2) / rate if rate and rate > 0 else None,
            "baseline_periods": len(known),
            "regions": top(by_leaf) if alert.region == "TW" else [],
            "facilities": self._facilities(signal, leading, days, live),
            "age_groups": self._ages(signal, alert.region, days, known, week_rule),
            **self._completeness(signal, alert.region, days, live),
            **self._neighbours(alert),
        }

    def _begun(self, signal: str, region: str) -> date:
        """Return the first day on which a facility of a region sent anything."""
        leaves = set(self.leaves(signal, region))
        return min(d for kind, r, d in self.reports if kind == _KINDS[signal] and r in leaves)

    def _judged(self, alert: Alert) -> dict[str, Any]:
        """Judge the alert's period as EARS does: mean and deviation of counts before."""
        detector, weekly = alert.detector, alert.grain == "week"
        lag = detector.get("lag", {"C1": 0, "C2": 2}[detector["method"]])
        step = timedelta(days=7 if weekly else 1)
        days = period_days(alert)
        before = [
            [day - step * back for day in days]
            for back in range(lag + 1, lag + 1 + detector.get("baseline", 7))
        ]
        counts = [
            self.sum(alert.signal, alert.region, period, weekly)
            for period in before
            if self.covered(alert.signal, period, weekly)
            and (weekly or period[0] >= self._begun(alert.signal, alert.region))
        ]
        expected, spread = fmean(counts), stdev(counts)
        score = (self.sum(alert.signal, alert.region, days, weekly) - expected) / spread
        normal = NormalDist()
        return {
            "expected": expected,
            "upper": expected + normal.inv_cdf(0.999) * spread,
            "score": score,
            "p_value": erfc(score / sqrt(2)) / 2,
        }

    def covered(self, signal: str, days: list[date], weekly: bool) -> bool:  # noqa: FBT001
        if weekly and any((signal, r.code, days[0]) in self.imported for r in _TW):
            return True
        return days[0] >= self.first[signal] and days[0] <= self.last[signal]

    def leaves(self, signal: str, region: str) -> set[str]:
        below = {region, *(r.code for r in _TW.descendants(region))}
        return {
            r for table in (self.strata, self.imported) for s, r, _ in table if s == signal
        } & below

    def by_stratum(self, signal: str, region: str, days: list[date], weekly: bool) -> Tally:  # noqa: FBT001
        total: Tally = {}
        for leaf in self.leaves(signal, region):
            brought = self.imported.get((signal, leaf, days[0])) if weekly else None
            parts = [brought] if brought else [self.strata.get((signal, leaf, d), {}) for d in days]
            for part in parts:
                for stratum, count in part.items():
                    _add(total, stratum, count)
        return total

    def sum(self, signal: str, region: str, days: list[date], weekly: bool) -> float:  # noqa: FBT001
        return sum(self.by_stratum(signal, region, days, weekly).values())

    def _facilities(
        self, signal: str, leading: list[str], days: list[date], live: list[list[date]]
    ) -> list[tuple[Any, ...]]:
        def count(facility: str, when: list[date]) -> float:
            return sum(
                self.facilities[signal, r, d].get(facility, 0) for r in leading for d in when
            )

        names = {f for r in leading for d in days for f in self.facilities[signal, r, d]}
        seen = {
            f for r in leading for w in live for d in w for f in self.reports[_KINDS[signal], r, d]
        }
        return top(
            {
                f: (count(f, days), mean(count(f, w) for w in live) if f in seen else None)
                for f in names
            }
        )

    def _ages(
        self,
        signal: str,
        region: str,
        days: list[date],
        known: list[list[date]],
        weekly: bool,  # noqa: FBT001
    ) -> list[tuple[Any, ...]]:
        now = self.by_stratum(signal, region, days, weekly)
        if set(now) == {"all"}:
            return []
        past = [self.by_stratum(signal, region, w, weekly) for w in known]
        groups = {name for part in (now, *past) for name in part}
        found = {g: (now.get(g, 0), mean(p.get(g, 0) for p in past)) for g in groups}
        return [(name, *found[name]) for name, _ in ranked(found)]

    def _completeness(
        self, signal: str, region: str, days: list[date], live: list[list[date]]
    ) -> dict[str, Any]:
        if len(live) < 4:
            return {"completeness": None, "usual": 0, "silent": set()}
        kind, leaves = _KINDS[signal], self.leaves(signal, region)

        def reported(facility: str, day: date) -> bool:
            return any(facility in self.reports.get((kind, r, day), ()) for r in leaves)

        names = {f for r in leaves for w in live for d in w for f in self.reports[kind, r, d]}
        usual = {
            (f, i)
            for f in names
            for i in range(len(days))
            if sum(reported(f, w[i]) for w in live) >= 7 / 8 * len(live)
        }
        got = sum(reported(f, days[i]) for f, i in usual)
        regulars = {f for f, _ in usual}
        return {
            "completeness": got / len(usual) if usual else None,
            "usual": len(regulars),
            "silent": {f for f in regulars if not any(reported(f, d) for d in days)},
        }

    def _neighbours(self, alert: Alert) -> dict[str, Any]:
        here = _TW[alert.region]
        others = sorted((distance(here, r), r.code) for r in _TW if r.level is here.level)[1:7]
        judged = {
            code: self.verdicts[alert.rule, code, alert.last_period]
            for _, code in others
            if (alert.rule, code, alert.last_period) in self.verdicts
        }
        known = {
            code: (observed, expected, upper, alarm, incomplete)
            for code, (observed, expected, upper, alarm, incomplete) in judged.items()
            if observed is not None and (alarm or {expected, upper} != {None})
        }
        return {
            "neighbours_judged": len(known),
            "neighbours_awaited": len(others) - len(judged),
            "neighbours_unknown": len(judged) - len(known),
            "neighbours": [
                (code, *numbers)
                for code, numbers in known.items()
                if numbers[3]
                or (
                    numbers[1] is not None
                    and numbers[0] > numbers[1] + 2 * max(numbers[1], 1) ** 0.5
                )
            ],
        }


def period_days(alert: Alert) -> list[date]:
    if alert.grain == "week":
        return [alert.last_period + timedelta(days=i) for i in range(7)]
    back = 6 if alert.grain == "rolling7" else 0
    return [alert.last_period - timedelta(days=i) for i in range(back, -1, -1)]


def mean(values: Iterable[float]) -> float | None:
    found = list(values)
    return sum(found) / len(found) if found else None


def ranked(found: dict[str, tuple[float, float | None]]) -> list[tuple[str, float]]:
    excess = {name: now - (usual or 0) for name, (now, usual) in found.items()}
    return sorted(excess.items(), key=lambda one: (-one[1], one[0]))


def top(found: dict[str, tuple[float, float | None]]) -> list[tuple[Any, ...]]:
    return [(name, *found[name]) for name, excess in ranked(found) if excess > 0][:5]


def distance(a: Any, b: Any) -> float:
    lat, lon, lat2, lon2 = map(radians, (a.lat, a.lon, b.lat, b.lon))
    inner: Callable[[float], float] = lambda x: sin(x / 2) ** 2  # noqa: E731
    return 2 * asin(sqrt(inner(lat2 - lat) + cos(lat) * cos(lat2) * inner(lon2 - lon)))


def _add(tally: Tally, name: str, value: float) -> None:
    tally[name] = tally.get(name, 0) + value
