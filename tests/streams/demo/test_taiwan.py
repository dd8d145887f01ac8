from __future__ import annotations

import hashlib
import json
from collections import Counter
from datetime import date, datetime, timedelta
from functools import cache

import numpy as np
import pytest

from schemas.events import DrugSale, FeverVisit
from schemas.privacy import text_looks_personal
from streams.demo import sales, taiwan

START, END = date(2009, 8, 24), date(2009, 9, 14)


@cache
def visits() -> tuple[tuple[str, bytes], ...]:
    return tuple(taiwan.visits(START, END, seed=3))


@cache
def sold() -> tuple[tuple[str, bytes], ...]:
    return tuple(sales.sales(START, END, seed=3))


def test_the_data_are_complete() -> None:
    data = taiwan.weekly_counts()
    assert data.visits.shape == (209, 21, 5)
    assert data.mondays[0] == date(2007, 1, 1)
    assert data.mondays[-1] == date(2010, 12, 27)
    assert len(set(data.regions)) == 21
    # Sums of the source file; 2009 has a week 53.
    years = [monday.isocalendar().year for monday in data.mondays]
    totals = Counter[int]()
    for year, week in zip(years, data.visits, strict=True):
        totals[year] += int(np.nansum(week))
    assert totals == {2007: 520616, 2008: 521100, 2009: 742971, 2010: 613454}


def test_baseline_counts_end_before_the_given_week() -> None:
    counts = list(taiwan.baseline_counts(START))
    assert max(count.period for count in counts) == START - timedelta(7)
    assert all(count.period.weekday() == 0 and count.grain == "week" for count in counts)
    assert {count.stratum for count in counts} == set(taiwan.AGE_GROUPS)
    before = taiwan.weekly_counts().visits[: (START - date(2007, 1, 1)).days // 7]
    assert len(counts) == np.count_nonzero(~np.isnan(before))
    assert sum(count.value for count in counts) == np.nansum(before)


def test_weekly_totals_by_county_and_age_group_are_kept_exactly() -> None:
    data = taiwan.weekly_counts()
    told: Counter[tuple[int, str, str]] = Counter()
    for week in data.range(START, END):
        for region, row in zip(data.regions, data.visits[week], strict=True):
            for group, value in zip(taiwan.AGE_GROUPS, np.nan_to_num(row), strict=True):
                told[data.mondays[week].isocalendar().week, region, group] += int(value)
    drawn: Counter[tuple[int, str, str]] = Counter()
    for region, value in visits():
        event = json.loads(value)
        week = datetime.fromisoformat(event["occurred_at"]).isocalendar().week
        drawn[week, region, group_of(event["age"])] += 1
    assert drawn == told


def group_of(age: int) -> str:
    for group in taiwan.AGE_GROUPS[:-1]:
        low, high = map(int, group.split("-"))
        if low <= age <= high:
            return group
    return "65+"


def test_visits_are_valid_match_the_case_definition_and_come_in_order() -> None:
    before = datetime.min.replace(tzinfo=taiwan.ZONE)
    ids = set()
    for region, value in visits():
        visit = FeverVisit.model_validate_json(value)
        assert visit.region == region
        code = visit.icd10[0]
        assert code is not None
        assert code.startswith(("J10", "J11"))
        assert visit.occurred_at >= before
        before = visit.occurred_at
        ids.add(visit.event_id)
    assert len(ids) == len(visits())


def test_sales_are_valid_labelled_as_simulated_and_come_in_order() -> None:
    before = datetime.min.replace(tzinfo=taiwan.ZONE)
    ids = set()
    for region, value in sold():
        sale = DrugSale.model_validate_json(value)
        assert sale.region == region
        assert sale.source_id == "simulated-pharmacy"
        assert sale.occurred_at >= before
        before = sale.occurred_at
        ids.add(sale.event_id)
    assert len(ids) == len(sold())


def test_nothing_looks_personal() -> None:
    # Neighbours differ in their numbers only.
    some = (visits() + sold())[::5]
    assert [value for _, value in some if text_looks_personal(value.decode())] == []


@pytest.mark.parametrize(
    ("make", "golden"), [(visits, "9e73007d68afd7bf"), (sold, "6fd75d5f337cb5fa")]
)
def test_records_are_the_same_on_every_machine(make: object, golden: str) -> None:
    assert callable(make)
    values = hashlib.sha256(b"\n".join(value for _, value in make())).hexdigest()
    assert values[:16] == golden


def test_a_week_is_split_the_same_whatever_the_range() -> None:
    middle = START + timedelta(7), START + timedelta(14)
    alone = list(taiwan.visits(*middle, seed=3))
    marks = {f"{middle[0] + timedelta(day):%Y%m%d}" for day in range(7)}
    assert alone == [item for item in visits() if json.loads(item[1])["event_id"][-15:-7] in marks]


def test_visits_follow_the_assumed_week_and_counts_agree() -> None:
    daily = taiwan.daily_visits(START, END, seed=3)
    assert daily.sum() == len(visits())
    shares = daily.sum(axis=1).reshape(-1, 7).sum(axis=0) / daily.sum()
    np.testing.assert_allclose(shares, np.asarray(taiwan.WEEKDAYS) / 7, rtol=0.05)


def test_antipyretics_go_one_day_before_the_visits() -> None:
    long = date(2009, 6, 1), date(2009, 12, 28)
    antipyretics = sales.daily_sales(*long, seed=3)[:, :, 0].sum(axis=1)
    ill = taiwan.daily_visits(*long, seed=3).sum(axis=1)
    same, next_day = (np.corrcoef(antipyretics[:-1], other)[0, 1] for other in (ill[:-1], ill[1:]))
    assert next_day > 0.95
    assert next_day > same


def test_sales_follow_the_profile_of_the_real_pharmacy() -> None:
    assert sales.daily_sales(START, END, seed=3).sum() == len(sold())
    events = [json.loads(value) for _, value in sold()]
    quantities = [event["quantity"] for event in events]
    assert 0.08 < sum(q % 1 > 0 for q in quantities) / len(quantities) < 0.2
    hours = Counter(datetime.fromisoformat(event["occurred_at"]).hour for event in events)
    assert not {0, 1, 2, 3, 4, 5, 6, 23} & set(hours)
    assert hours[19] > 1.3 * hours[16]
    groups = Counter(event["atc"][:5] for event in events)
    assert groups["N02BE"] > 3 * groups["N02BA"] > 0


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        (date(2009, 8, 25), END, "no Monday; .* 2009-08-24"),
        (date(2006, 12, 25), END, "there are data from 2007-01-01"),
        (START, date(2011, 1, 10), "there are data from"),
    ],
)
def test_dates_outside_the_data_are_refused(start: date, end: date, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        next(taiwan.visits(start, end, seed=1))


def test_the_last_week_of_the_data_can_be_sold_in() -> None:
    last = taiwan.weekly_counts().mondays[-1]
    assert sales.daily_sales(last, last + timedelta(7), seed=1).shape == (7, 21, 2)
    assert sales.daily_sales(last, last, seed=1).shape == (0, 21, 2)
