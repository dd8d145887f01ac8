from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import pytest

from schemas.alerts import Alert, Contribution, Explanation, Figures, Neighbour
from streams.phrases import Unit, ages, amount, comparison, percent
from streams.wording import alert_reasons, alert_sentences, period_label, period_name

if TYPE_CHECKING:
    from streams.config import Configuration

NOW = datetime(2025, 9, 1, tzinfo=UTC)
WEEK = date(2025, 8, 25)


def explained(**changes: Any) -> Explanation:
    values: dict[str, Any] = {
        "as_of": NOW, "period": WEEK, "excess": 60.0, "growth_per_day": None,
        "growth_until": date(2025, 8, 31),
        "doubling_days": None, "completeness": None,
    }  # fmt: skip
    return Explanation.model_validate(values | changes)


def alert(**changes: Any) -> Alert:
    values: dict[str, Any] = {
        "alert_id": 1, "version": 1, "decided_version": 1, "status": "new", "severity": "warning",
        "signal": "ili", "region": "TW-TPE", "rule": "ili-week", "grain": "week",
        "first_period": WEEK, "own_first_period": WEEK, "own_last_period": WEEK,
        "last_period": WEEK, "exceedances": 1, "observed": 90.0,
        "expected": 30.0, "upper": 48.2, "peak": 90.0, "detector": {}, "config_version": "abc",
        "as_of": NOW, "opened_at": NOW, "updated_at": NOW,
    }  # fmt: skip
    return Alert.model_validate(values | changes)


def part(name: str, observed: float, expected: float | None) -> Contribution:
    return Contribution(name=name, observed=observed, expected=expected)


def told(configuration: Configuration, **changes: Any) -> tuple[str, str]:
    return tuple(alert_sentences(alert(**changes), configuration))  # type: ignore[return-value]


def test_figures_alone(configuration: Configuration) -> None:
    en, zh = told(configuration)
    title = configuration.surveillance.signals["ili"].title
    assert en == (
        f"{title.en} in Taipei City: 90 visits in week 35 of 2025 (25–31 August), about 3 times "
        "the 30 expected and above the alarm threshold of 48."
    )
    assert zh == (
        f"2025年第35周（8月25日至31日），臺北市{title.zh}就诊90人次，约为预期（30人次）的3倍，"
        "超过预警阈值（48人次）。"
    )


@pytest.mark.parametrize(
    ("changes", "en", "zh"),
    [
        ({"grain": "day"}, "90 visits on 25 August 2025, about", "2025年8月25日，臺北市"),
        (
            {"grain": "rolling7"},
            "in the 7 days to 25 August 2025",
            "截至2025年8月25日的7天内，臺北市",
        ),
        (
            {"last_period": date(2025, 12, 29)},
            "in week 1 of 2026 (29 December – 4 January)",
            "2026年第1周（12月29日至1月4日）",
        ),
        ({"observed": 1.0, "expected": 0.02, "upper": 0.5}, "1 visit in", "而预期几乎为零"),
        ({"observed": 90.2, "upper": 89.9}, "just above the alarm threshold.", "略超预警阈值。"),
        ({"expected": None}, "(25–31 August), above the alarm", "90人次，超过预警阈值（48人次）"),
        ({"expected": None, "upper": None}, "(25–31 August).", "臺北市流感样病例就诊90人次。"),
        (
            {"p_value": 1e-9},
            "gives so many less than once in 1,000 times",
            "可能性不足千分之一",
        ),
        ({"p_value": 0.012}, "gives so many about once in 80 times", "可能性约为80分之一"),
        (
            {"exceedances": 3, "first_period": date(2025, 8, 4)},
            "above the threshold in 3 weeks since week 32.",
            "第32周以来累计3周超过阈值。",
        ),
        (
            {"exceedances": 2, "first_period": date(2024, 12, 30), "grain": "day"},
            "above the threshold on 2 days since 30 December 2024.",
            "2024年12月30日以来累计2天超过阈值。",
        ),
        ({"signal": "former"}, "former in Taipei City: 90 cases", "臺北市former90例"),
        ({"region": "XX"}, "in XX: 90", "XX流感样病例就诊90人次"),
    ],
)
def test_figures(configuration: Configuration, changes: dict[str, Any], en: str, zh: str) -> None:
    found = told(configuration, **changes)
    assert en in found[0]
    assert zh in found[1]


@pytest.mark.parametrize(
    ("explanation", "en", "zh"),
    [
        (
            {"latest_week": 90.0, "week_before": 45.0, "growth_per_day": 0.1, "doubling_days": 7.0},
            "; doubling about every 7 days by the count in these 7 days and the 7 before.",
            "；按这7天与前7天相比，约每7天翻一番。",
        ),
        (
            {"latest_week": 90.0, "week_before": 9.0, "growth_per_day": 0.3, "doubling_days": 2.1},
            "; 10 times as many in these 7 days as in the 7 days before.",
            "；这7天为前7天的10倍。",
        ),
        (
            {"latest_week": 90.0, "week_before": 80.0, "growth_per_day": 0.0168,
             "doubling_days": 41.2},
            "; 12% more in these 7 days than in the 7 days before.",
            "；这7天较前7天上升12%。",
        ),
        (
            {"latest_week": 90.0, "week_before": 92.0, "growth_per_day": -0.003},
            "; about as many in these 7 days as in the 7 days before.",
            "；这7天与前7天基本持平。",
        ),
        (
            {"latest_week": 60.0, "week_before": 90.0, "growth_per_day": -0.06},
            "; 33% fewer in these 7 days than in the 7 days before.",
            "；这7天较前7天下降33%。",
        ),
        (
            {"age_groups": [part("7-12", 50, 10), part("65+", 20, 5), part("0-6", 20, 15)],
             "facilities": [part("H1", 60, 20), part("H2", 9, 8)]},
            "; the excess is mainly in ages 7 to 12, at H1 (60, usually 20).",
            "；超出部分以7至12岁为主，主要来自H1（60人次，平时20人次）。",
        ),
        (
            {"facilities": [part("H1", 8, 4), part("H2", 7, 4)]},
            "; the excess is spread over many facilities.",
            "；超出部分分布于多家机构。",
        ),
        (
            {"facilities": [part("H1", 60, None), part("H2", 9, 8)]},
            "; the excess is mainly at H1 (60, new there).",
            "；超出部分主要来自H1（60人次，此前无报告）。",
        ),
        (
            {"facilities": [part("H1", 60, None)], "completeness": 1.0},
            "threshold of 48; reporting is complete.",
            "（48人次）；报告基本齐全。",
        ),
        (
            {"regions": [part("TW-NWT", 40, 10), part("TW-KHH", 20, 5.5)],
             "facilities": [part("H1", 60, 20)]},
            " in New Taipei City (40, usually 10) and Kaohsiung City (20, usually 5.5).",
            "；超出部分主要来自新北市（40人次，平时10人次）、高雄市（20人次，平时5.5人次）。",
        ),
        (
            {"neighbours_judged": 6, "neighbours_awaited": 0},
            "; no neighbouring area is high.",
            "；周边地区同期未见偏高。",
        ),
        (
            {"completeness": 0.99, "usual_facilities": 9},
            "; reporting is complete.",
            "；报告基本齐全。",
        ),
        (
            {"completeness": 0.8, "silent": 1, "silent_facilities": ["H3"]},
            "; 80% of the usual reports are in, with nothing from H3.",
            "；报告完整率约80%，H3尚无报告。",
        ),
        (
            {"completeness": 0.996, "silent": 3, "silent_facilities": ["H3", "H4", "H5"]},
            "; 99% of the usual reports are in, with nothing from 3 facilities such as H3.",
            "；报告完整率约99%，H3等3家机构尚无报告。",
        ),
    ],
)  # fmt: skip
def test_explanations(
    configuration: Configuration, explanation: dict[str, Any], en: str, zh: str
) -> None:
    found = told(configuration, explanation=explained(**explanation))
    assert found[0].endswith(en)
    assert found[1].endswith(zh)


@pytest.mark.parametrize(
    ("high", "en", "zh"),
    [
        (1, "nearby New Taipei City is high too", "周边的新北市同期也偏高"),
        (2, "nearby New Taipei City and Keelung City are high", "周边的新北市、基隆市同期也偏高"),
        (4, "4 of 6 neighbouring areas are high too", "周边6个地区中有4个同期也偏高"),
        (6, "all 6 neighbouring areas are high too", "周边6个地区同期均偏高"),
    ],
)
def test_neighbours(configuration: Configuration, high: int, en: str, zh: str) -> None:
    codes = ["TW-NWT", "TW-KEE", "TW-TAO", "TW-ILA", "TW-HSQ", "TW-HSZ"]
    around = [
        Neighbour(region=code, observed=9, expected=3, upper=5, alarm=True) for code in codes[:high]
    ]
    found = told(
        configuration,
        explanation=explained(neighbours=around, neighbours_judged=6, neighbours_awaited=0),
    )
    assert en in found[0]
    assert zh in found[1]


@pytest.mark.parametrize(
    ("judged", "awaited", "unknown", "high", "en", "zh"),
    [
        (0, 6, 0, 0, "; neighbours not judged yet", "；周边地区尚未判定"),
        (1, 5, 0, 0, "; the one neighbouring area judged so far is not high (5 not judged yet)",
         "；周边已判定的1个地区同期未见偏高（另有5个尚未判定）"),
        (4, 2, 0, 0, "; none of the 4 neighbouring areas judged so far is high (2 not judged yet)",
         "；周边已判定的4个地区同期未见偏高（另有2个尚未判定）"),
        (4, 0, 2, 0, "; none of the 4 neighbouring areas that could be judged is high",
         "；周边已判定的4个地区同期未见偏高"),
        (3, 3, 0, 1, "; nearby New Taipei City is high too (3 not judged yet)",
         "；周边的新北市同期也偏高（另有3个尚未判定）"),
        (4, 2, 0, 4, "; 4 of 6 neighbouring areas are high too (2 not judged yet)",
         "；周边6个地区中有4个同期也偏高（另有2个尚未判定）"),
        (4, 0, 2, 4, "; 4 of 6 neighbouring areas are high too",
         "；周边6个地区中有4个同期也偏高"),
        (4, None, 0, 0, "; none of the 4 neighbouring areas that could be judged is high",
         "；周边已判定的4个地区同期未见偏高"),
        (0, 0, 6, 0, None, None),
    ],
)  # fmt: skip
def test_of_neighbours_no_more_is_said_than_is_known(
    configuration: Configuration,
    judged: int,
    awaited: int | None,
    unknown: int,
    high: int,
    en: str | None,
    zh: str | None,
) -> None:
    codes = ["TW-NWT", "TW-KEE", "TW-TAO", "TW-ILA"]
    around = [
        Neighbour(region=code, observed=9, expected=3, upper=5, alarm=True) for code in codes[:high]
    ]
    found = told(
        configuration,
        explanation=explained(
            neighbours=around,
            neighbours_judged=judged,
            neighbours_awaited=awaited,
            neighbours_unknown=unknown,
        ),
    )
    if en is None or zh is None:
        assert "neighbour" not in found[0]
        assert "周边" not in found[1]
    else:
        assert found[0].endswith(f"{en}.")
        assert found[1].endswith(f"{zh}。")


def test_an_explanation_of_older_numbers_is_left_out(configuration: Configuration) -> None:
    old = explained(period=date(2025, 8, 18), completeness=0.5)
    assert told(configuration, explanation=old) == told(configuration)


def test_what_corrections_took_back(configuration: Configuration) -> None:
    now = Figures(period=WEEK, observed=12, expected=30, upper=48)
    en, zh = told(configuration, exceedances=0, revised=now)
    assert "12 visits in week 35 of 2025 (25–31 August) after corrections, not 90 as first" in en
    assert "就诊由90人次更正为12人次；目前已无超过预警阈值的情况。" in zh
    en, zh = told(configuration, exceedances=0)
    assert "corrections have taken the 90 visits in week 35" in en
    assert "就诊90人次，经数据更正已撤回；目前已无超过预警阈值的情况。" in zh
    same = Figures(period=WEEK, observed=90, expected=70, upper=120)
    en, zh = told(configuration, exceedances=0, revised=same)
    assert "90 visits in week 35 of 2025 (25–31 August) as before, but the alarm threshold" in en
    assert "threshold is now 120; nothing is above" in en
    assert "就诊90人次未变，但预警阈值现为120；目前已无" in zh


@pytest.mark.parametrize(
    ("observed", "expected", "en", "zh"),
    [
        (13, 10, "30% more than the 10 expected", "比预期（10例）高30%"),
        (20, 10, "about twice the 10 expected", "约为预期（10例）的2倍"),
        (24, 10, "about 2.4 times the 10 expected", "约为预期（10例）的2.4倍"),
        (104, 10, "about 10 times the 10 expected", "约为预期（10例）的10倍"),
        (4000, 1000, "about 4 times the 1,000 expected", "约为预期（1000例）的4倍"),
        (10, 12, "where 12 would be expected", "预期12例"),
        (10.2, 10.1, "where 10 would be expected", "预期10例"),
    ],
)
def test_comparisons(observed: float, expected: float, en: str, zh: str) -> None:
    assert comparison(observed, expected, Unit("case", "cases", "例")) == (en, zh)


def test_numbers_for_people() -> None:
    assert [amount(v) for v in (0.04, 9.96, 10.4, 12345.6)] == ["0", "10", "10", "12,346"]
    assert [percent(v) for v in (0.0, 0.999, 1.0, 1.2)] == ["0%", "99%", "100%", "120%"]


def test_ages() -> None:
    assert ages(["65+", "0-6"]) == ("ages 65 and over and 0 to 6", "65岁及以上、0至6岁")
    assert ages(["unknown"]) == ("people of unknown age", "年龄不详者")


def test_period_labels(configuration: Configuration) -> None:
    assert period_label(WEEK, "week", configuration) == "2025-W35"
    assert period_label(WEEK, "day", configuration) == "2025-08-25"


def test_period_names_say_what_they_span(configuration: Configuration) -> None:
    assert period_name(WEEK, "week", configuration) == ("2025-W35", "2025年第35周")
    assert period_name(WEEK, "rolling7", configuration) == (
        "7 days to 2025-08-25",
        "截至2025-08-25的7天",
    )
    assert period_name(WEEK, "day", configuration) == ("2025-08-25", "2025-08-25")


def test_beside_the_figures_only_the_reasons_are_told(configuration: Configuration) -> None:
    one = alert(exceedances=3, p_value=1e-9, explanation=explained(completeness=1.0))
    whole, reasons = alert_sentences(one, configuration), alert_reasons(one, configuration)
    assert reasons.en.startswith("Above the threshold in 3 weeks since")
    assert whole.en.endswith(reasons.en[1:])
    assert whole.zh.endswith(reasons.zh)
    assert "90" not in reasons.en
    # Where there is nothing else to tell, the figures are better than nothing.
    for bare in (alert(), alert(exceedances=0)):
        assert alert_reasons(bare, configuration) == alert_sentences(bare, configuration)


@pytest.mark.parametrize(
    ("grain", "until", "latest", "en", "zh"),
    [
        # The exceedance of the 25th is not among these days: a fall before it is none of it.
        ("day", date(2025, 8, 24), 60.0, None, None),
        ("day", date(2025, 8, 24), 74.0, None, None),
        ("rolling7", date(2025, 8, 24), 60.0, None, None),
        ("week", date(2025, 8, 27), 60.0, None, None),
        (
            "day", date(2025, 8, 24), 90.0,
            "; 25% more in the 7 days to 24 August than in the 7 days before.",
            "；截至8月24日的7天较前7天上升25%。",
        ),
        (
            "day", date(2025, 8, 24), 720.0,
            "; 10 times as many in the 7 days to 24 August as in the 7 days before.",
            "；截至8月24日的7天为前7天的10倍。",
        ),
        (
            "day", date(2025, 8, 25), 60.0,
            "; 17% fewer in the 7 days to 25 August than in the 7 days before.",
            "；截至8月25日的7天较前7天下降17%。",
        ),
        (
            "rolling7", date(2025, 8, 25), 60.0,
            "; 17% fewer in these 7 days than in the 7 days before.",
            "；这7天较前7天下降17%。",
        ),
        # Explanations of before this was kept.
        (
            "day", None, 60.0,
            "; 17% fewer in the latest 7 whole days than in the 7 days before.",
            "；最近完整7天较前7天下降17%。",
        ),
    ],
)  # fmt: skip
def test_growth_says_which_days_and_is_none_of_days_before_the_exceedance(
    configuration: Configuration,
    grain: str,
    until: date | None,
    latest: float,
    en: str | None,
    zh: str | None,
) -> None:
    found = told(
        configuration,
        grain=grain,
        explanation=explained(
            latest_week=latest, week_before=72.0, growth_per_day=-0.026, growth_until=until
        ),
    )
    if en is None or zh is None:
        assert found == told(configuration, grain=grain)
    else:
        assert found[0].endswith(en)
        assert found[1].endswith(zh)


def test_a_lower_bound_is_called_one(configuration: Configuration) -> None:
    title = configuration.surveillance.signals["ili"].title
    en, zh = told(configuration, incomplete=True, observed=193.0, expected=42.0, upper=57.8)
    assert en == (
        f"{title.en} in Taipei City: at least 193 visits in week 35 of 2025 (25–31 August) in the "
        "days that have arrived, at least 4.5 times the 42 expected and above the alarm threshold "
        "of 58."
    )
    assert zh == (
        f"2025年第35周（8月25日至31日），臺北市{title.zh}就诊至少193人次（部分日期的数据尚未到达），"
        "至少为预期（42人次）的4.5倍，超过预警阈值（58人次）。"
    )


@pytest.mark.parametrize(
    ("observed", "en", "zh"),
    [
        (43, "at least 43% more than the 30 expected", "至少比预期（30例）高43%"),
        (56, "at least 86% more than the 30 expected", "至少比预期（30例）高86%"),
        (59, "at least 1.9 times the 30 expected", "至少为预期（30例）的1.9倍"),
        (359, "at least 11 times the 30 expected", "至少为预期（30例）的11倍"),
    ],
)
def test_the_multiple_of_a_lower_bound_is_rounded_down(observed: float, en: str, zh: str) -> None:
    counted = Unit("case", "cases", "例")
    assert comparison(observed, 30, counted, incomplete=True) == (en, zh)
