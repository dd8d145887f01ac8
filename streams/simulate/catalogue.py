"""Syndromes and products: what simulated patients complain of and what is sold to them.

The proportions are plausible, not measured; nothing here may serve as epidemiological evidence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from streams.simulate.plan import Syndrome

__all__ = ["AGE_STRETCHES", "PRODUCTS", "QUANTITIES", "SYNDROMES", "Presentation", "Product"]

#: Ages in years within which a patient's age is uniform, both ends included.
AGE_STRETCHES: Final = ((0, 4), (5, 14), (15, 24), (25, 59), (60, 94))


@dataclass(frozen=True, kw_only=True)
class Presentation:
    """How a syndrome looks at the front desk."""

    share: float
    codes: tuple[tuple[str, ...], ...]
    zh: tuple[str, ...]
    en: tuple[str, ...]
    temperature: float
    #: Shares of AGE_STRETCHES.
    ages: tuple[float, float, float, float, float]


@dataclass(frozen=True, kw_only=True)
class Product:
    """A product and the syndromes that it is bought for."""

    weight: float
    zh: str
    en: str
    category: tuple[str, str]
    atc: str | None = None
    otc: bool = True
    bought_for: tuple[Syndrome, ...]


SYNDROMES: Final[dict[Syndrome, Presentation]] = {
    "ili": Presentation(
        share=0.34,
        codes=(
            ("J11.1",),
            ("J10.1",),
            ("J11.1", "R50.9"),
            ("J06.9",),
            ("J06.9", "R05"),
            ("R50.9",),
        ),
        zh=(
            "发热、咳嗽2天",
            "高热伴全身酸痛1天",
            "发热、咽痛3天",
            "流感样症状，乏力、头痛",
            "发热伴寒战，流涕",
            "咳嗽、流涕，体温38.9",
        ),
        en=(
            "fever and cough for 2 days",
            "high fever, muscle aches since yesterday",
            "flu-like illness, sore throat",
            "fever, chills, headache",
            "cough and runny nose, febrile",
        ),
        temperature=38.6,
        ages=(0.30, 0.24, 0.12, 0.22, 0.12),
    ),
    "gastroenteritis": Presentation(
        share=0.18,
        codes=(("A09",), ("K52.9",), ("A08.4",), ("R11",), ("A09", "E86")),
        zh=("腹泻、呕吐1天", "水样便5次，低热", "恶心、呕吐伴腹痛", "进食后腹痛、腹泻"),
        en=(
            "vomiting and diarrhoea for 1 day",
            "watery stools, low fever",
            "nausea and stomach cramps",
        ),
        temperature=37.5,
        ages=(0.32, 0.18, 0.14, 0.22, 0.14),
    ),
    "hand-foot-mouth": Presentation(
        share=0.06,
        codes=(("B08.4",), ("B08.5",), ("B08.4", "R50.9")),
        zh=("手足皮疹伴发热2天", "口腔疱疹、拒食", "手、足、口疱疹1天"),
        en=("rash on hands and feet, fever", "mouth ulcers, refuses food"),
        temperature=38.2,
        ages=(0.86, 0.11, 0.01, 0.02, 0.0),
    ),
    "lower-respiratory": Presentation(
        share=0.20,
        codes=(("J18.9",), ("J20.9",), ("J44.1",), ("J45.9",), ("J18.9", "R06.0")),
        zh=("咳嗽、咳痰1周", "胸闷、气促2天", "咳嗽伴发热，听诊湿啰音"),
        en=("productive cough for a week", "short of breath for 2 days", "wheezing, fever"),
        temperature=38.0,
        ages=(0.22, 0.10, 0.08, 0.25, 0.35),
    ),
    "other": Presentation(
        share=0.22,
        codes=(("R50.9",), ("B34.9",), ("R50.8",), ("R53",)),
        zh=("发热待查", "反复低热1周", "发热，无明显伴随症状", "低热、乏力3天"),
        en=("fever of unknown origin", "low fever for a week", "fever without other symptoms"),
        temperature=37.9,
        ages=(0.16, 0.14, 0.18, 0.32, 0.20),
    ),
}

_ANTIPYRETIC = ("解热镇痛", "analgesic")
_COLD = ("感冒用药", "cold remedy")
_GUT = ("肠胃用药", "stomach and bowel")
_ALLERGY = ("抗过敏", "allergy")
_COUGH = ("止咳化痰", "cough")
_ANTIVIRAL = ("抗病毒", "antiviral")

PRODUCTS: Final[tuple[Product, ...]] = (
    Product(
        weight=16,
        zh="对乙酰氨基酚片 0.5g",
        en="Paracetamol tablets 500 mg",
        category=_ANTIPYRETIC,
        atc="N02BE01",
        bought_for=("ili", "hand-foot-mouth"),
    ),
    Product(
        weight=9,
        zh="对乙酰氨基酚混悬滴剂",
        en="Paracetamol oral drops",
        category=_ANTIPYRETIC,
        atc="N02BE01",
        bought_for=("ili", "hand-foot-mouth"),
    ),
    Product(
        weight=12,
        zh="布洛芬混悬液 100ml",
        en="Ibuprofen suspension 100 ml",
        category=_ANTIPYRETIC,
        atc="M01AE01",
        bought_for=("ili", "hand-foot-mouth"),
    ),
    Product(
        weight=12,
        zh="氨酚伪麻美芬片",
        en="Paracetamol, combinations",
        category=_COLD,
        atc="N02BE51",
        bought_for=("ili",),
    ),
    Product(
        weight=12, zh="连花清瘟胶囊", en="Lianhua Qingwen", category=_COLD, bought_for=("ili",)
    ),
    Product(weight=8, zh="感冒灵颗粒", en="Ganmaoling", category=_COLD, bought_for=("ili",)),
    Product(
        weight=3,
        zh="磷酸奥司他韦胶囊",
        en="Oseltamivir capsules",
        category=_ANTIVIRAL,
        atc="J05AH02",
        otc=False,
        bought_for=("ili",),
    ),
    Product(
        weight=9,
        zh="蒙脱石散",
        en="Diosmectite powder",
        category=_GUT,
        atc="A07BC05",
        bought_for=("gastroenteritis",),
    ),
    Product(
        weight=5,
        zh="口服补液盐散",
        en="Oral rehydration salts",
        category=_GUT,
        atc="A07CA",
        bought_for=("gastroenteritis",),
    ),
    Product(
        weight=8,
        zh="氨溴索口服溶液",
        en="Ambroxol syrup",
        category=_COUGH,
        atc="R05CB06",
        bought_for=("lower-respiratory",),
    ),
    Product(
        weight=6,
        zh="氯雷他定片",
        en="Loratadine tablets",
        category=_ALLERGY,
        atc="R06AX13",
        bought_for=("other",),
    ),
)

#: Packs per receipt line and their weights; fractions are broken packs.
QUANTITIES: Final[dict[float, float]] = {
    1.0: 62,
    2.0: 21,
    3.0: 7,
    0.5: 4,
    0.25: 1,
    1.5: 1,
    4.0: 2,
    5.0: 1,
    10.0: 1,
}
